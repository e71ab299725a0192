/*
 * inquiry.c: one inquiry: which phases are evaluated, whose verdict counts.
 */
#include "common/door/inquiry.h"

#include <string.h>

#include "common/rules/action.h"

enum { STEPS_MAX = 4 };

struct Inquiry {
  Arena *arena;
  Ruleset *ruleset;
  bool holds_ruleset; /* it has a reference, dropped with the arena: it has waited */
  Session *session;
  Variables *variables;
  InquiryOptions options;
  Phase steps[STEPS_MAX]; /* the phases to evaluate, in order: those with rules, and the last one */
  size_t step_count;
  size_t at;              /* the step that runs, or is next */
  Evaluation *evaluation; /* of that step, NULL before */
  const char *expired;    /* the reason, once the deadline is over */
  Trace *trace;
  const Verdict *verdicts[STEPS_MAX]; /* of each step that is done; NULL: it has no rules */
  size_t held;                        /* the step whose refusal waits for what the rcpt rules say; step_count: none */
  const Verdict *verdict;             /* NULL before it is decided */
  int64_t delay_ms;
};

static void plan_steps(Inquiry *inquiry) {
  for (PhaseSet left = inquiry->options.phases; left != 0; left &= left - 1) {
    Phase phase = (Phase)__builtin_ctz(left);
    if (inquiry->ruleset->phases[phase].has_rules || (left & (left - 1)) == 0) {
      g_assert(inquiry->step_count < STEPS_MAX);
      inquiry->steps[inquiry->step_count++] = phase;
    }
  }
  inquiry->held = inquiry->step_count;
}

/* The time of day costs a conversion: only for rules that read it. */
static bool reads_time(const Inquiry *inquiry) {
  for (size_t i = 0; i < inquiry->step_count; i++) {
    const bool *facts = inquiry->ruleset->phases[inquiry->steps[i]].facts;
    if (facts[FACT_TIME] || facts[FACT_DATE] || facts[FACT_WEEKDAY]) {
      return true;
    }
  }
  return false;
}

static void take_variables(Inquiry *inquiry, Variables **variables) {
  if (*variables != NULL && variables_ruleset(*variables) != inquiry->ruleset) {
    variables_free(*variables);
    *variables = NULL;
  }
  if (*variables == NULL) {
    *variables = variables_new(inquiry->ruleset);
  } else {
    variables_reset(*variables);
  }
  inquiry->variables = *variables;
}

Inquiry *inquiry_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables, const InquiryOptions *options) {
  Inquiry *inquiry = ARENA_NEW(arena, Inquiry);
  inquiry->arena = arena;
  inquiry->session = session;
  inquiry->options = *options;
  inquiry->ruleset = ruleset;
  take_variables(inquiry, variables);
  plan_steps(inquiry);
  return inquiry;
}

void inquiry_set_time(Inquiry *inquiry, Clock *clock) {
  if (reads_time(inquiry)) {
    ClockMoment moment = clock_moment(clock, clock_unix(clock));
    session_set_time(inquiry->session, &moment);
  }
}

void inquiry_trace(Inquiry *inquiry, Trace *trace) {
  inquiry->trace = trace;
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

static bool is_spared(const Inquiry *inquiry) {
  return inquiry->options.hooks.is_spared != NULL && inquiry->options.hooks.is_spared(inquiry->options.hooks.self);
}

/* ---- Evaluating ---- */

static void start_step(Inquiry *inquiry) {
  Phase phase = inquiry->steps[inquiry->at];
  if (inquiry->options.hooks.begins != NULL) {
    inquiry->options.hooks.begins(inquiry->options.hooks.self, phase, inquiry->variables);
  }
  EvaluationOptions options = {.here_only = inquiry->held < inquiry->step_count && phase == PHASE_RCPT,
                               .trace = inquiry->trace,
                               .match_space = inquiry->options.match_space,
                               .answers = inquiry->options.answers};
  inquiry->evaluation = evaluation_new(inquiry->arena, inquiry->ruleset, phase, inquiry->session, inquiry->variables, &options);
  if (inquiry->expired != NULL) {
    evaluation_expire(inquiry->evaluation, inquiry->expired);
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

static const Verdict *pass(Inquiry *inquiry, Phase phase) {
  Verdict *verdict = ARENA_NEW(inquiry->arena, Verdict);
  *verdict = (Verdict){.outcome = OUTCOME_PASS, .phase = phase};
  return verdict;
}

/* The verdict of the step `from`, with the effects and failures of the steps up to `last`. */
static void decide(Inquiry *inquiry, size_t from, size_t last) {
  const Verdict *own = inquiry->verdicts[from];
  inquiry->verdict = own ? own : pass(inquiry, inquiry->steps[from]);
  size_t count = 0, sources = 0;
  for (size_t i = 0; i <= last; i++) {
    const Verdict *verdict = inquiry->verdicts[i];
    count += verdict ? verdict->effect_count : 0;
    sources += verdict != NULL && (verdict->effect_count > 0 || verdict->failures != NULL);
  }
  if (sources == 0) {
    return;
  }
  Effect *effects = ARENA_NEW_ARRAY(inquiry->arena, Effect, count);
  const Failure *failures = NULL;
  size_t at = 0;
  for (size_t i = 0; i <= last; i++) {
    const Verdict *verdict = inquiry->verdicts[i];
    for (size_t e = 0; verdict != NULL && e < verdict->effect_count; e++) {
      effects[at++] = verdict->effects[e];
      inquiry->delay_ms += verdict->effects[e].kind == EFFECT_DELAY ? verdict->effects[e].as.delay_ms : 0;
    }
    failures = verdict ? join_failures(inquiry->arena, failures, verdict->failures) : failures;
  }
  inquiry->delay_ms = MIN(inquiry->delay_ms, (int64_t)inquiry->options.deadline_ms);
  Verdict *whole = ARENA_NEW(inquiry->arena, Verdict);
  *whole = *inquiry->verdict;
  whole->effects = effects;
  whole->effect_count = count;
  whole->failures = failures;
  inquiry->verdict = whole;
}

/* While a refusal is held: the other phases only say whether it is spared. */
static void step_done_held(Inquiry *inquiry, const Verdict *verdict) {
  bool is_rcpt = inquiry->steps[inquiry->at] == PHASE_RCPT;
  if (is_rcpt && verdict != NULL && verdict->outcome == OUTCOME_ACCEPT) {
    if (inquiry->options.hooks.spare != NULL) {
      inquiry->options.hooks.spare(inquiry->options.hooks.self);
    }
    decide(inquiry, inquiry->at, inquiry->at);
    return;
  }
  bool goes_on = verdict == NULL || verdict->outcome == OUTCOME_PASS || is_held_kind(inquiry->steps[inquiry->at], verdict);
  if (is_rcpt || !goes_on) {
    decide(inquiry, inquiry->held, inquiry->held);
  }
}

static void step_done(Inquiry *inquiry, const Verdict *verdict) {
  inquiry->verdicts[inquiry->at] = verdict;
  Phase phase = inquiry->steps[inquiry->at];
  bool last = inquiry->at + 1 == inquiry->step_count;
  if (inquiry->held < inquiry->step_count) {
    step_done_held(inquiry, verdict);
  } else if (verdict == NULL || verdict->outcome == OUTCOME_PASS) {
    if (last) {
      decide(inquiry, inquiry->at, inquiry->at);
    }
  } else if (inquiry->options.asked == PHASE_RCPT && is_held_kind(phase, verdict) && rcpt_may_accept(inquiry->ruleset)) {
    inquiry->held = inquiry->at;
  } else if (last || !is_held_kind(phase, verdict) || !is_spared(inquiry)) {
    decide(inquiry, inquiry->at, inquiry->at);
  }
  inquiry->at++;
  inquiry->evaluation = NULL;
}

static void drop_ruleset(void *ruleset) {
  ruleset_unref(ruleset);
}

/* Most inquiries are decided at once: they need no reference. */
static void hold_ruleset(Inquiry *inquiry) {
  if (!inquiry->holds_ruleset) {
    arena_on_reset(inquiry->arena, drop_ruleset, ruleset_ref(inquiry->ruleset));
    inquiry->holds_ruleset = true;
  }
}

EvaluationState inquiry_run(Inquiry *inquiry) {
  if (inquiry->step_count == 0) {
    inquiry->verdict = pass(inquiry, inquiry->options.asked);
  }
  while (inquiry->verdict == NULL) {
    if (!inquiry->ruleset->phases[inquiry->steps[inquiry->at]].has_rules) {
      step_done(inquiry, NULL);
      continue;
    }
    if (inquiry->evaluation == NULL) {
      start_step(inquiry);
    }
    if (evaluation_run(inquiry->evaluation) == EVALUATION_WAITS) {
      hold_ruleset(inquiry);
      return EVALUATION_WAITS;
    }
    const Verdict *verdict = evaluation_verdict(inquiry->evaluation);
    evaluation_commit(inquiry->evaluation);
    step_done(inquiry, verdict);
  }
  return EVALUATION_DECIDED;
}

Question *const *inquiry_wanted(Inquiry *inquiry, size_t *count) {
  return evaluation_wanted(inquiry->evaluation, count);
}

void inquiry_answer(Inquiry *inquiry, const Question *asked, Answer *answer) {
  if (inquiry->evaluation != NULL) {
    evaluation_answer(inquiry->evaluation, asked, answer);
  }
}

void inquiry_expire(Inquiry *inquiry, const char *reason) {
  inquiry->expired = reason;
  if (inquiry->evaluation != NULL) {
    evaluation_expire(inquiry->evaluation, reason);
  }
}

const Verdict *inquiry_verdict(const Inquiry *inquiry) {
  g_assert(inquiry->verdict != NULL);
  return inquiry->verdict;
}

int64_t inquiry_delay_ms(const Inquiry *inquiry) {
  return inquiry->delay_ms;
}

Phase inquiry_asked(const Inquiry *inquiry) {
  return inquiry->options.asked;
}

Ruleset *inquiry_ruleset(const Inquiry *inquiry) {
  return inquiry->ruleset;
}

Variables *inquiry_variables(const Inquiry *inquiry) {
  return inquiry->variables;
}
