/*
 * policy_question.c: one question of Postfix: which phases are evaluated, whose verdict counts, what of it is said.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/policy_internal.h"
#include "common/rules/action.h"
#include "common/smtp/capability.h"

enum { STEPS_MAX = 4 };

struct PolicyQuestion {
  Arena *arena;
  Ruleset *ruleset; /* a reference, dropped with the arena */
  Session *session;
  Variables *variables;
  PolicyMemory *memory;
  const PolicyRequest *request;
  PolicyOptions options;
  Phase asked;
  MemoryKey key;
  bool has_key, is_message;
  bool has_groups; /* the message's groups were fetched from the memory */
  Phase steps[STEPS_MAX]; /* the phases to evaluate, in order */
  size_t step_count;
  size_t at;              /* the step that runs, or is next */
  Evaluation *evaluation; /* of that step, NULL before */
  const char *expired;    /* the reason, once the deadline is over */
  Trace *trace;
  const Verdict *verdicts[STEPS_MAX]; /* of each step that is done; NULL: it has no rules */
  size_t held;                        /* the step whose refusal waits for what the rcpt rules say; step_count: none */
  bool decided;
  Verdict verdict;
  int64_t delay_ms;
};

/* ---- Which phases ---- */

static bool phase_is_asked(const PolicyQuestion *question, Phase phase) {
  if ((question->options.owned & PHASE_BIT(phase)) == 0) {
    return false;
  }
  if (phase == question->asked) {
    return true;
  }
  switch (phase) {
    case PHASE_CONNECT:
      return true;
    case PHASE_HELO:
      return question->asked != PHASE_CONNECT && question->request->attributes[FACT_HELO_NAME].length > 0;
    case PHASE_MAIL:
      return question->asked == PHASE_RCPT || question->asked == PHASE_DATA || question->asked == PHASE_EOM;
    case PHASE_RCPT:
    case PHASE_DATA:
    case PHASE_EOM:
    case PHASE_VRFY:
    case PHASE_EXPN:
    case PHASE_ETRN:
    case PHASE_UNKNOWN:
    case PHASE_COUNT:
      return false;
  }
  g_assert_not_reached();
}

static void plan_steps(PolicyQuestion *question) {
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    if (phase_is_asked(question, (Phase)phase)) {
      g_assert(question->step_count < STEPS_MAX);
      question->steps[question->step_count++] = (Phase)phase;
    }
  }
  question->held = question->step_count;
}

/* The time of day costs a conversion: only for rules that read it. */
static bool reads_time(const PolicyQuestion *question) {
  for (size_t i = 0; i < question->step_count; i++) {
    const bool *facts = question->ruleset->phases[question->steps[i]].facts;
    if (facts[FACT_TIME] || facts[FACT_DATE] || facts[FACT_WEEKDAY]) {
      return true;
    }
  }
  return false;
}

/* Where rules that this door asks at data or eom read `recipients`. */
static bool reads_recipients(const PolicyQuestion *question) {
  const PhaseProgram *phases = question->ruleset->phases;
  PhaseSet owned = question->options.owned;
  return ((owned & PHASE_BIT(PHASE_DATA)) && phases[PHASE_DATA].facts[FACT_RECIPIENTS]) ||
         ((owned & PHASE_BIT(PHASE_EOM)) && phases[PHASE_EOM].facts[FACT_RECIPIENTS]);
}

static void drop_ruleset(void *ruleset) {
  ruleset_unref(ruleset);
}

static void take_variables(PolicyQuestion *question, Variables **variables) {
  if (*variables != NULL && variables_ruleset(*variables) != question->ruleset) {
    variables_free(*variables);
    *variables = NULL;
  }
  if (*variables == NULL) {
    *variables = variables_new(question->ruleset);
  } else {
    variables_reset(*variables);
  }
  question->variables = *variables;
}

PolicyQuestion *policy_question_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables, PolicyMemory *memory,
                                    const PolicyRequest *request, const PolicyOptions *options, Clock *clock) {
  PolicyQuestion *question = ARENA_NEW(arena, PolicyQuestion);
  question->arena = arena;
  question->session = session;
  question->memory = memory;
  question->request = request;
  question->options = *options;
  question->asked = policy_phase(request);
  question->has_key = memory != NULL && memory_key(request, &question->key, &question->is_message);
  bool pinned = question->has_key && question->is_message;
  question->ruleset = pinned ? policy_memory_pin(memory, &question->key, ruleset) : ruleset_ref(ruleset);
  arena_on_reset(arena, drop_ruleset, question->ruleset);
  take_variables(question, variables);
  plan_steps(question);
  session_reset(session);
  policy_facts(session, request, options);
  if (reads_time(question)) {
    ClockMoment moment = clock_moment(clock, clock_unix(clock));
    session_set_time(session, &moment);
  }
  if ((question->asked == PHASE_DATA || question->asked == PHASE_EOM) && reads_recipients(question)) {
    policy_recipients_fact(session, request, memory, question->has_key && question->is_message ? &question->key : NULL, arena);
  }
  return question;
}

void policy_question_trace(PolicyQuestion *question, Trace *trace) {
  question->trace = trace;
}

/* ---- Held refusals ---- */

/* Some rcpt rule accepts a recipient: only then it is worth asking them about a refusal of connect or helo. */
static bool rcpt_may_accept(const Ruleset *ruleset) {
  const PhaseProgram *rcpt = &ruleset->phases[PHASE_RCPT];
  for (size_t i = 0; i < rcpt->count; i++) {
    const Statement *statement = &rcpt->statements[i];
    if (statement->kind == STATEMENT_RULE && !statement->rule->observe && strcmp(statement->rule->action->name, "accept") == 0) {
      return true;
    }
  }
  return false;
}

static bool is_held_kind(Phase phase, const Verdict *verdict) {
  return (phase == PHASE_CONNECT || phase == PHASE_HELO) && verdict_refuses(verdict) && verdict->outcome != OUTCOME_DISCONNECT;
}

/* A message with a spared recipient was refused nothing by connect and helo; data and eom do not begin again with it. */
static bool is_spared_message(const PolicyQuestion *question) {
  return (question->asked == PHASE_DATA || question->asked == PHASE_EOM) && question->has_key && question->is_message &&
         policy_memory_is_spared(question->memory, &question->key);
}

/* ---- Groups of recipients ---- */

/* Each recipient is a question of its own: what the message's earlier ones were is remembered for it. */
static bool groups_recipients(const PolicyQuestion *question) {
  return question->asked == PHASE_RCPT && question->ruleset->group_count > 0 && question->has_key && question->is_message;
}

static void settle_groups(PolicyQuestion *question) {
  if (question->has_groups) {
    variables_end_recipient(question->variables, !verdict_refuses(&question->verdict));
    policy_memory_store_groups(question->memory, &question->key, variables_groups(question->variables));
  }
}

/* ---- Evaluating ---- */

static void start_step(PolicyQuestion *question) {
  Phase phase = question->steps[question->at];
  if (phase == PHASE_RCPT && groups_recipients(question)) {
    policy_memory_load_groups(question->memory, &question->key, variables_groups(question->variables));
    question->has_groups = true;
  }
  EvaluationOptions options = {.here_only = question->held < question->step_count && phase == PHASE_RCPT,
                               .trace = question->trace,
                               .match_space = question->options.match_space};
  question->evaluation = evaluation_new(question->arena, question->ruleset, phase, question->session, question->variables, &options);
  if (question->expired != NULL) {
    evaluation_expire(question->evaluation, question->expired);
  }
}

static const Failure *join_failures(Arena *arena, const Failure *first, const Failure *last) {
  if (first == NULL || last == NULL) {
    return first ? first : last;
  }
  Failure *copy = ARENA_NEW(arena, Failure);
  *copy = *first;
  copy->next = join_failures(arena, first->next, last);
  return copy;
}

/* The verdict of the step `from`, with the effects and failures of the steps up to `last`. */
static void decide(PolicyQuestion *question, size_t from, size_t last) {
  const Verdict *own = question->verdicts[from];
  question->verdict = own ? *own : (Verdict){.outcome = OUTCOME_PASS, .phase = question->steps[from]};
  question->decided = true;
  size_t count = 0, sources = 0;
  for (size_t i = 0; i <= last; i++) {
    const Verdict *verdict = question->verdicts[i];
    count += verdict ? verdict->effect_count : 0;
    sources += verdict != NULL && (verdict->effect_count > 0 || verdict->failures != NULL);
  }
  if (sources == 0) {
    return;
  }
  Effect *effects = ARENA_NEW_ARRAY(question->arena, Effect, count);
  const Failure *failures = NULL;
  size_t at = 0;
  for (size_t i = 0; i <= last; i++) {
    const Verdict *verdict = question->verdicts[i];
    for (size_t e = 0; verdict != NULL && e < verdict->effect_count; e++) {
      effects[at++] = verdict->effects[e];
      question->delay_ms += verdict->effects[e].kind == EFFECT_DELAY ? verdict->effects[e].as.delay_ms : 0;
    }
    failures = verdict ? join_failures(question->arena, failures, verdict->failures) : failures;
  }
  question->delay_ms = MIN(question->delay_ms, (int64_t)question->options.deadline_ms);
  question->verdict.effects = effects;
  question->verdict.effect_count = count;
  question->verdict.failures = failures;
}

/* While a refusal is held: the other phases only say whether it is spared. */
static void step_done_held(PolicyQuestion *question, const Verdict *verdict) {
  bool is_rcpt = question->steps[question->at] == PHASE_RCPT;
  if (is_rcpt && verdict != NULL && verdict->outcome == OUTCOME_ACCEPT) {
    if (question->has_key && question->is_message) {
      policy_memory_spare(question->memory, &question->key);
    }
    decide(question, question->at, question->at);
    return;
  }
  bool goes_on = verdict == NULL || verdict->outcome == OUTCOME_PASS || is_held_kind(question->steps[question->at], verdict);
  if (is_rcpt || !goes_on) {
    decide(question, question->held, question->held);
  }
}

static void step_done(PolicyQuestion *question, const Verdict *verdict) {
  question->verdicts[question->at] = verdict;
  Phase phase = question->steps[question->at];
  bool last = question->at + 1 == question->step_count;
  if (question->held < question->step_count) {
    step_done_held(question, verdict);
  } else if (verdict == NULL || verdict->outcome == OUTCOME_PASS) {
    if (last) {
      decide(question, question->at, question->at);
    }
  } else if (question->asked == PHASE_RCPT && is_held_kind(phase, verdict) && rcpt_may_accept(question->ruleset)) {
    question->held = question->at;
  } else if (last || !is_held_kind(phase, verdict) || !is_spared_message(question)) {
    decide(question, question->at, question->at);
  }
  question->at++;
  question->evaluation = NULL;
}

EvaluationState policy_question_run(PolicyQuestion *question) {
  if (question->step_count == 0) {
    question->verdict = (Verdict){.outcome = OUTCOME_PASS, .phase = question->asked};
    question->decided = true;
  }
  while (!question->decided) {
    if (!question->ruleset->phases[question->steps[question->at]].has_rules) {
      step_done(question, NULL);
      continue;
    }
    if (question->evaluation == NULL) {
      start_step(question);
    }
    if (evaluation_run(question->evaluation) == EVALUATION_WAITS) {
      return EVALUATION_WAITS;
    }
    const Verdict *verdict = evaluation_verdict(question->evaluation);
    evaluation_commit(question->evaluation);
    step_done(question, verdict);
    if (question->decided) {
      settle_groups(question);
    }
  }
  return EVALUATION_DECIDED;
}

Question *const *policy_question_wanted(PolicyQuestion *question, size_t *count) {
  return evaluation_wanted(question->evaluation, count);
}

void policy_question_answer(PolicyQuestion *question, const Question *asked, Answer *answer) {
  if (question->evaluation != NULL) {
    evaluation_answer(question->evaluation, asked, answer);
  }
}

void policy_question_expire(PolicyQuestion *question, const char *reason) {
  question->expired = reason;
  if (question->evaluation != NULL) {
    evaluation_expire(question->evaluation, reason);
  }
}

const Verdict *policy_question_verdict(const PolicyQuestion *question) {
  g_assert(question->decided);
  return &question->verdict;
}

Phase policy_question_phase(const PolicyQuestion *question) {
  return question->asked;
}

int64_t policy_question_delay_ms(const PolicyQuestion *question) {
  return question->delay_ms;
}

/* ---- Saying it ---- */

/* Where Postfix takes it (measured): with a sender known, not for VRFY and ETRN, and a header only before the message is stored. */
static bool phase_takes(Phase phase, EffectKind kind) {
  return effect_is_whole_message(kind) && (capability(DOOR_POLICY, phase)->effects & EFFECT_BIT(kind)) != 0;
}

/* True when it is new for this message: a rule says it once, but copies to each of its addresses. Without anything to remember it by it is said each time. */
static bool say_once(PolicyQuestion *question, const char *kind, Slice rule, Slice target) {
  uint64_t hash = (slice_hash(rule) * 31 + slice_hash(slice_from(kind))) * 31 + slice_hash_fold(target);
  return !question->has_key || policy_memory_say(question->memory, &question->key, (uint32_t)(hash ^ (hash >> 32)));
}

static const Effect *choose_effect(PolicyQuestion *question) {
  for (size_t i = 0; i < question->verdict.effect_count; i++) {
    const Effect *effect = &question->verdict.effects[i];
    if (phase_takes(question->asked, effect->kind) && policy_encode_effect(question->arena, effect).length > 0 &&
        say_once(question, effect_name(effect->kind), effect->rule, effect->kind == EFFECT_BCC_MESSAGE ? effect->as.address : SLICE_EMPTY)) {
      return effect;
    }
  }
  return NULL;
}

/* What rules at data and eom are to know of the recipients, Postfix says here alone. */
static void remember_recipient(PolicyQuestion *question) {
  if (question->asked == PHASE_RCPT && !verdict_refuses(&question->verdict) && question->has_key && question->is_message &&
      reads_recipients(question)) {
    policy_memory_add_recipient(question->memory, &question->key, question->request->attributes[FACT_RECIPIENT]);
  }
}

Slice policy_question_bytes(PolicyQuestion *question) {
  g_assert(question->decided);
  remember_recipient(question);
  Slice action = SLICE_EMPTY;
  switch (question->verdict.outcome) {
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
      action = policy_encode(question->arena, &question->verdict, choose_effect(question), question->options.accept_is_ok);
      break;
    case OUTCOME_DISCARD:
      action = say_once(question, "discard", question->verdict.rule, SLICE_EMPTY) ? policy_encode(question->arena, &question->verdict, NULL, false)
                                                                     : SLICE_LITERAL("DUNNO");
      break;
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      action = policy_encode(question->arena, &question->verdict, NULL, false);
      break;
  }
  static const char before[] = "action=", after[] = "\n\n";
  size_t length = sizeof before - 1 + action.length + sizeof after - 1;
  char *bytes = arena_alloc_text(question->arena, length);
  memcpy(bytes, before, sizeof before - 1);
  memcpy(bytes + sizeof before - 1, action.data, action.length);
  memcpy(bytes + sizeof before - 1 + action.length, after, sizeof after - 1);
  return slice_make(bytes, length);
}
