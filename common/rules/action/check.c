/*
 * check.c: the value of an action map decides.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_INDEX, false, false, "T[key]"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  const ArgumentNode *index = action_argument(node, 0, 0);
  const Expression *value = check_index(checker, index->expression, TYPE_ACTION);
  if (!value)
    return false;
  check_add_argument(checker, rule, value);
  *plan = (void *)value;
  return true;
}

static Outcome outcome_of(const ActionValue *action) {
  if (action->code == 421 || action->code == 521)
    return OUTCOME_DISCONNECT;
  return action->word == ACTION_WORD_TEMPFAIL ? OUTCOME_TEMPFAIL : OUTCOME_REJECT;
}

/* A code that stands alone takes the enhanced code that goes with it; without any, both are the phase's. */
static void end_with_reply(Run *run, const Rule *rule, const ActionValue *action) {
  Outcome outcome = outcome_of(action);
  ReplyPlan plan = {.code = action->code, .enhanced = action->enhanced};
  if (plan.code != 0 && plan.enhanced.class_digit == 0)
    plan.enhanced = reply_enhanced(plan.code);
  Reply reply = run_reply(run, &plan, outcome);
  if (!slice_is_empty(action->text)) {
    Slice *line = ARENA_NEW(run_arena(run), Slice);
    *line = action->text;
    reply.lines = line;
    reply.line_count = 1;
  }
  run_end(run, rule, &(Verdict){.outcome = outcome, .reply = reply});
}

/* DISCARD and HOLD need a message; elsewhere they are told to the log, and the next rule is read. */
static bool has_message(Run *run, const Rule *rule, const char *word) {
  if (PHASES_MESSAGE & PHASE_BIT(run_phase(run)))
    return true;
  const char *text = arena_printf(run_arena(run), "%s is left out: there is no message at %s", word, phase_name(run_phase(run)));
  run_effect(run, rule, &(Effect){.kind = EFFECT_LOG, .as.log_text = slice_from(text)});
  return false;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  Value value = run_value(run, plan);
  if (value.state == VALUE_UNKNOWN)
    run_unknown(run, rule, &value);
  if (value.state != VALUE_SET)
    return;
  const ActionValue *action = value.as.action;
  switch (action->word) {
    case ACTION_WORD_REJECT:
    case ACTION_WORD_TEMPFAIL:
      end_with_reply(run, rule, action);
      return;
    case ACTION_WORD_PASS:
      run_end(run, rule, &(Verdict){.outcome = OUTCOME_PASS});
      return;
    case ACTION_WORD_NEXT:
      return;
    case ACTION_WORD_DISCARD:
      if (has_message(run, rule, "DISCARD"))
        run_end(run, rule, &(Verdict){.outcome = OUTCOME_DISCARD, .discard_why = action->text});
      return;
    case ACTION_WORD_HOLD:
      if (has_message(run, rule, "HOLD"))
        run_effect(run, rule, &(Effect){.kind = EFFECT_QUARANTINE_MESSAGE, .as.why = action->text});
      return;
  }
  g_assert_not_reached();
}

const Action action_check = {
    .name = "check",
    .sentence = "does what the value of a map of actions says",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "check access[client_address]",
    .compile = compile,
    .perform = perform,
};
