/*
 * policy_question.c: one question of Postfix: which phases it is about, what is remembered of its message, what of the verdict is said.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/inquiry.h"
#include "common/door/policy_internal.h"
#include "common/smtp/capability.h"

struct PolicyQuestion {
  Arena *arena;
  Inquiry *inquiry;
  PolicyMemory *memory;
  const PolicyRequest *request;
  PhaseSet owned;
  bool accept_is_ok;
  Phase asked;
  MemoryKey key;
  bool has_key, is_message;
  bool has_groups; /* the message's groups were fetched from the memory */
  bool is_settled; /* ... and what became of the recipient is stored */
};

/* ---- Which phases ---- */

static PhaseSet phases_to_ask(const PolicyRequest *request, Phase asked) {
  PhaseSet phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(asked);
  if (asked != PHASE_CONNECT && request->attributes[FACT_HELO_NAME].length > 0) {
    phases |= PHASE_BIT(PHASE_HELO);
  }
  if (asked == PHASE_RCPT || asked == PHASE_DATA || asked == PHASE_EOM) {
    phases |= PHASE_BIT(PHASE_MAIL);
  }
  return phases;
}

/* ---- What is remembered of a message ---- */

/* A message with a spared recipient was refused nothing by connect and helo; data and eom do not begin again with it. */
static bool is_spared_message(void *self) {
  const PolicyQuestion *question = self;
  return (question->asked == PHASE_DATA || question->asked == PHASE_EOM) && question->has_key && question->is_message &&
         policy_memory_is_spared(question->memory, &question->key);
}

static void spare_message(void *self) {
  const PolicyQuestion *question = self;
  if (question->has_key && question->is_message) {
    policy_memory_spare(question->memory, &question->key);
  }
}

/* Each recipient is a question of its own: what the message's earlier ones were is remembered for it. */
static void fetch_groups(void *self, Phase phase, Variables *variables) {
  PolicyQuestion *question = self;
  if (phase == PHASE_RCPT && question->asked == PHASE_RCPT && variables_ruleset(variables)->group_count > 0 && question->has_key &&
      question->is_message) {
    policy_memory_load_groups(question->memory, &question->key, variables_groups(variables));
    question->has_groups = true;
  }
}

static void settle_groups(PolicyQuestion *question) {
  if (question->has_groups && !question->is_settled) {
    Variables *variables = inquiry_variables(question->inquiry);
    variables_end_recipient(variables, !verdict_refuses(inquiry_verdict(question->inquiry)));
    policy_memory_store_groups(question->memory, &question->key, variables_groups(variables));
    question->is_settled = true;
  }
}

/* Where rules that this door asks at data or eom read `recipients`. */
static bool reads_recipients(const PolicyQuestion *question) {
  const PhaseProgram *phases = inquiry_ruleset(question->inquiry)->phases;
  return ((question->owned & PHASE_BIT(PHASE_DATA)) && phases[PHASE_DATA].facts[FACT_RECIPIENTS]) ||
         ((question->owned & PHASE_BIT(PHASE_EOM)) && phases[PHASE_EOM].facts[FACT_RECIPIENTS]);
}

/* What rules at data and eom are to know of the recipients, Postfix says here alone. */
static void remember_recipient(PolicyQuestion *question) {
  if (question->asked == PHASE_RCPT && !verdict_refuses(inquiry_verdict(question->inquiry)) && question->has_key && question->is_message &&
      reads_recipients(question)) {
    policy_memory_add_recipient(question->memory, &question->key, question->request->attributes[FACT_RECIPIENT]);
  }
}

/* ---- Asking ---- */

PolicyQuestion *policy_question_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables, PolicyMemory *memory,
                                    PolicyRequest *request, const PolicyOptions *options, Clock *clock) {
  PolicyQuestion *question = ARENA_NEW(arena, PolicyQuestion);
  question->arena = arena;
  question->memory = memory;
  question->request = request;
  question->owned = options->owned;
  question->accept_is_ok = options->accept_is_ok;
  question->asked = policy_phase(request);
  question->has_key = memory != NULL && policy_memory_key(memory, request, &question->key, &question->is_message);
  bool pinned = question->has_key && question->is_message;
  InquiryOptions inquiry = {
      .asked = question->asked,
      .phases = phases_to_ask(request, question->asked) & options->owned,
      .deadline_ms = options->deadline_ms,
      .match_space = options->match_space,
      .answers = options->answers,
      .hooks = {.self = question, .is_spared = is_spared_message, .spare = spare_message, .begins = fetch_groups},
  };
  session_reset(session);
  if (pinned) {
    policy_memory_approach(memory, &question->key);
  }
  policy_facts(session, request, options);
  question->inquiry =
      inquiry_new(arena, pinned ? policy_memory_pin(memory, &question->key, ruleset) : ruleset, session, variables, &inquiry);
  inquiry_set_time(question->inquiry, clock);
  if ((question->asked == PHASE_DATA || question->asked == PHASE_EOM) && reads_recipients(question)) {
    policy_recipients_fact(session, request, memory, question->has_key && question->is_message ? &question->key : NULL, arena);
  }
  return question;
}

void policy_question_trace(PolicyQuestion *question, Trace *trace) {
  inquiry_trace(question->inquiry, trace);
}

EvaluationState policy_question_run(PolicyQuestion *question) {
  EvaluationState state = inquiry_run(question->inquiry);
  if (state == EVALUATION_DECIDED) {
    settle_groups(question);
  }
  return state;
}

Question *const *policy_question_wanted(PolicyQuestion *question, size_t *count) {
  return inquiry_wanted(question->inquiry, count);
}

void policy_question_answer(PolicyQuestion *question, const Question *asked, Answer *answer) {
  inquiry_answer(question->inquiry, asked, answer);
}

void policy_question_expire(PolicyQuestion *question, const char *reason) {
  inquiry_expire(question->inquiry, reason);
}

const Verdict *policy_question_verdict(const PolicyQuestion *question) {
  return inquiry_verdict(question->inquiry);
}

Phase policy_question_phase(const PolicyQuestion *question) {
  return question->asked;
}

int64_t policy_question_delay_ms(const PolicyQuestion *question) {
  return inquiry_delay_ms(question->inquiry);
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
  const Verdict *verdict = inquiry_verdict(question->inquiry);
  for (size_t i = 0; i < verdict->effect_count; i++) {
    const Effect *effect = &verdict->effects[i];
    if (phase_takes(question->asked, effect->kind) && policy_encode_effect(question->arena, effect).length > 0 &&
        say_once(question, effect_name(effect->kind), effect->rule,
                 effect->kind == EFFECT_BCC_MESSAGE ? effect->as.address : SLICE_EMPTY)) {
      return effect;
    }
  }
  return NULL;
}

/* The text behind "action=". */
static Slice action_of(PolicyQuestion *question) {
  const Verdict *verdict = inquiry_verdict(question->inquiry);
  switch (verdict->outcome) {
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
      return policy_encode(question->arena, verdict, verdict->effect_count > 0 ? choose_effect(question) : NULL, question->accept_is_ok);
    case OUTCOME_DISCARD:
      return say_once(question, "discard", verdict->rule, SLICE_EMPTY) ? policy_encode(question->arena, verdict, NULL, false)
                                                                       : SLICE_LITERAL("DUNNO");
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      return policy_encode(question->arena, verdict, NULL, false);
  }
  g_assert_not_reached();
}

Slice policy_question_bytes(PolicyQuestion *question) {
  remember_recipient(question);
  Slice action = action_of(question);
  if (slice_equal(action, SLICE_LITERAL("DUNNO"))) {
    return SLICE_LITERAL("action=DUNNO\n\n"); /* nearly always */
  }
  static const char before[] = "action=", after[] = "\n\n";
  size_t length = sizeof before - 1 + action.length + sizeof after - 1;
  char *bytes = arena_alloc_text(question->arena, length);
  memcpy(bytes, before, sizeof before - 1);
  memcpy(bytes + sizeof before - 1, action.data, action.length);
  memcpy(bytes + sizeof before - 1 + action.length, after, sizeof after - 1);
  return slice_make(bytes, length);
}
