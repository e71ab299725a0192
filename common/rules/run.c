/*
 * run.c: what an action may do to the run that performs it (run.h), and what an unknown condition does.
 */
#include "common/rules/run.h"

#include "common/rules/evaluation.h"

Arena *run_arena(Run *run) {
  return run->arena;
}

Phase run_phase(const Run *run) {
  return run->evaluation->phase;
}

Value run_value(Run *run, const Expression *expression) {
  Value scratch;
  const Value *value = expression_value(run, expression, &scratch);
  if (value->state == VALUE_UNKNOWN)
    run_tell_failures(run, value->as.failures);
  return *value;
}

Slice run_text(Run *run, const Expression *expression) {
  return expression_text(run, expression);
}

Reply run_reply(Run *run, const ReplyPlan *plan, Outcome outcome) {
  uint16_t code;
  EnhancedCode enhanced;
  Slice text;
  reply_default(outcome, run->evaluation->phase, &code, &enhanced, &text);
  size_t count = MAX(plan->line_count, (size_t)1);
  Slice *lines = ARENA_NEW_ARRAY(run->arena, Slice, count);
  lines[0] = text;
  for (size_t i = 0; i < plan->line_count; i++)
    lines[i] = expression_text(run, plan->lines[i]);
  return (Reply){plan->code != 0 ? plan->code : code, plan->enhanced.class_digit != 0 ? plan->enhanced : enhanced, lines, count};
}

/* ---- effects and verdicts ---- */

static void add_effect(Run *run, const Effect *effect) {
  if (run->effect_count == run->effect_room) {
    size_t room = MAX(run->effect_room * 2, (size_t)4);
    Effect *effects = ARENA_NEW_ARRAY(run->arena, Effect, room);
    if (run->effect_count > 0)
      memcpy(effects, run->effects, run->effect_count * sizeof(*effects));
    run->effects = effects;
    run->effect_room = room;
  }
  run->effects[run->effect_count++] = *effect;
}

/* What an observed rule leaves: one note, whatever its action says. */
static void add_note(Run *run, const Rule *rule, Outcome outcome, const Reply *reply) {
  if (run->noted == rule)
    return;
  run->noted = rule;
  Effect note = {.kind = EFFECT_OBSERVED, .rule = rule->id};
  note.as.observed.outcome = outcome;
  note.as.observed.action = slice_from(rule->action_text);
  if (reply != NULL)
    note.as.observed.reply = *reply;
  add_effect(run, &note);
}

void run_effect(Run *run, const Rule *rule, const Effect *effect) {
  if (rule->observe) {
    add_note(run, rule, OUTCOME_PASS, NULL);
    return;
  }
  Effect mine = *effect;
  mine.rule = rule->id;
  add_effect(run, &mine);
}

static Reply failure_reply(Run *run) {
  Slice *line = ARENA_NEW(run->arena, Slice);
  *line = SLICE_LITERAL("temporary failure: try again later");
  return (Reply){451, {4, 3, 0}, line, 1};
}

void run_fail(Run *run, Slice rule) {
  run->verdict = (Verdict){.outcome = OUTCOME_TEMPFAIL, .reply = failure_reply(run), .rule = rule, .by_failure = true};
  run->ended = true;
}

void run_end(Run *run, const Rule *rule, const Verdict *verdict) {
  if (rule->observe) {
    add_note(run, rule, verdict->outcome, &verdict->reply);
    return;
  }
  /* A message that is thrown away is lost to the customer as one that bounces. */
  bool refuses = verdict->outcome == OUTCOME_REJECT || verdict->outcome == OUTCOME_DISCONNECT;
  if (run->doubt && (verdict->outcome == OUTCOME_DISCARD || (refuses && verdict->reply.code >= 500))) {
    run_fail(run, rule->id);
    return;
  }
  run->verdict = *verdict;
  run->verdict.rule = rule->id;
  run->verdict.by_failure = false;
  run->ended = true;
}

/* ---- unknown ---- */

/* tempfail wins over match, match over skip. */
ErrorBehaviour unknown_behaviour(ErrorBehaviour own, const Failure *failures) {
  if (own != ON_ERROR_DEFAULT)
    return own;
  ErrorBehaviour strongest = ON_ERROR_SKIP;
  for (const Failure *failure = failures; failure != NULL; failure = failure->next) {
    if (failure->on_error == ON_ERROR_TEMPFAIL)
      return ON_ERROR_TEMPFAIL;
    if (failure->on_error == ON_ERROR_MATCH)
      strongest = ON_ERROR_MATCH;
  }
  return strongest;
}

static void fail_rule(Run *run, const Rule *rule) {
  if (!rule->observe) {
    run_fail(run, rule->id);
    return;
  }
  Reply reply = failure_reply(run);
  add_note(run, rule, OUTCOME_TEMPFAIL, &reply);
}

bool run_unknown_condition(Run *run, const Rule *rule, const Failure *failures) {
  switch (unknown_behaviour(rule->on_error, failures)) {
    case ON_ERROR_MATCH:
      return true;
    case ON_ERROR_TEMPFAIL:
      fail_rule(run, rule);
      return false;
    case ON_ERROR_DEFAULT:
    case ON_ERROR_SKIP:
      break;
  }
  if (rule->is_allow && !rule->observe)
    run->doubt = true;
  return false;
}

bool run_unknown_ends(Run *run, const Rule *rule, const Value *value) {
  run_tell_failures(run, value->as.failures);
  if (unknown_behaviour(rule->on_error, value->as.failures) != ON_ERROR_TEMPFAIL)
    return false;
  fail_rule(run, rule);
  return true;
}

/* What could not be read might have said OK: that leaves the same doubt as an unknown accept. */
void run_unknown(Run *run, const Rule *rule, const Value *value) {
  if (!run_unknown_ends(run, rule, value) && !rule->observe)
    run->doubt = true;
}

/* ---- variables and scores ---- */

const Value *run_variable(Run *run, const VariableInfo *info) {
  const Value *mine = run->values[info->scope];
  return mine != NULL ? &mine[info->slot] : variables_slot(run->evaluation->variables, info->scope, info->slot);
}

static void copy_scope(Run *run, Scope scope) {
  size_t count = run->evaluation->ruleset->scope_slots[scope];
  run->values[scope] = ARENA_NEW_ARRAY(run->arena, Value, count);
  run->written[scope] = ARENA_NEW_ARRAY(run->arena, bool, count);
  for (uint32_t slot = 0; slot < count; slot++)
    run->values[scope][slot] = *variables_slot(run->evaluation->variables, scope, slot);
}

void run_set(Run *run, const Rule *rule, const VariableInfo *variable, Value value) {
  if (rule->observe) {
    add_note(run, rule, OUTCOME_PASS, NULL);
    return;
  }
  if (run->values[variable->scope] == NULL)
    copy_scope(run, variable->scope);
  run->values[variable->scope][variable->slot] = variables_copy_value(run->arena, &value);
  run->written[variable->scope][variable->slot] = true;
}

double run_total(Run *run, uint32_t score) {
  double sum = variables_score_at(run->evaluation->variables, score, run->evaluation->phase);
  for (size_t i = 0; i < run->score_count; i++) {
    if (score == SCORE_TOTAL || run->scores[i].name == score)
      sum += run->scores[i].amount;
  }
  return sum;
}

static bool has_scored(const Run *run, const Rule *rule, Scope scope, uint32_t name) {
  for (size_t i = 0; i < run->score_count; i++) {
    const Contribution *contribution = &run->scores[i];
    if (contribution->rule == rule && contribution->scope == scope && contribution->name == name)
      return true;
  }
  return variables_has_scored(run->evaluation->variables, rule, scope, name);
}

void run_score(Run *run, const Rule *rule, Scope scope, uint32_t name, double amount) {
  if (rule->observe) {
    add_note(run, rule, OUTCOME_PASS, NULL);
    return;
  }
  if (has_scored(run, rule, scope, name))
    return;
  if (run->score_count == run->score_room) {
    size_t room = MAX(run->score_room * 2, (size_t)8);
    Contribution *scores = ARENA_NEW_ARRAY(run->arena, Contribution, room);
    if (run->score_count > 0)
      memcpy(scores, run->scores, run->score_count * sizeof(*scores));
    run->scores = scores;
    run->score_room = room;
  }
  run->scores[run->score_count++] = (Contribution){rule, name, scope, run->evaluation->phase, amount};
}
