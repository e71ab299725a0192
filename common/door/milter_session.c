/*
 * milter_session.c: the milter door's state machine. See the header for what it promises.
 *
 * An event first moves the state (what begins, what is over), then takes its facts, then asks the rules of its phase, unless an earlier
 * verdict stands; `conclude` puts the verdict to use. The verdicts that outlive their event are kept by phase in arenas of their own:
 * connect's, helo's (a second HELO replaces it), the message's.
 *
 * Which message an event belongs to is known without MAIL too, since MAIL may be declined: what follows an end, an abort, a refused DATA
 * or a MILTER_ACCEPT is the next message.
 */
#include "common/door/milter_session.h"

#include "common/base/limits.h"
#include "common/door/milter_internal.h"

enum { EVENT_ARENA_SIZE = 4096, RECIPIENTS_KEPT = 64 }; /* what most events need, so that they take no memory */

/* A verdict that outlives its event. */
typedef struct Standing {
  Arena *arena; /* made when first needed: most sessions are not refused */
  Verdict verdict;
  bool is_set;
  bool said; /* it was in a result, hence in the log */
} Standing;

/* How the rules of the event are being asked. */
typedef enum Asking {
  ASKING_NOTHING,
  ASKING_RULES,      /* for the verdict */
  ASKING_VARIABLES,  /* the phase has another owner */
  ASKING_WHILE_HELD, /* helo and mail, behind a refusal that is held: for variables, effects, and whether they speak too */
  ASKING_TO_SPARE,   /* rcpt rules, HERE only: is the recipient accepted before what is held is said? */
} Asking;

struct MilterSession {
  MilterPlan *plan, *offered;
  Session *facts;
  Variables *variables;
  bool is_new;         /* no event yet: there is nothing to forget */
  bool message_is_new; /* nothing of a message yet: neither */

  Standing connect, helo; /* held refusals */
  Standing ended;         /* disconnect: whatever comes is answered with it */
  bool session_accepted;
  bool may_spare;   /* while something is held: some rcpt rule accepts a recipient */
  bool helo_speaks; /* helo's rules came to a verdict of their own behind what is held: nobody is spared */

  /* The message. Its texts are in the facts' message arena. */
  Standing mail;         /* MAIL was refused */
  Standing data;         /* DATA was refused */
  bool mail_speaks;      /* as helo_speaks, for this message */
  bool message_over;     /* the next envelope event begins another one */
  bool message_accepted; /* no more rules */
  bool message_discarded;
  unsigned recipient_count;
  GArray *recipients;   /* of Value: those that were accepted, where rules read them; NULL: none */
  GArray *effects;      /* of Effect: to do at its end */
  bool has_too_much;    /* more of them than are kept */
  GPtrArray *mailboxes; /* of char: the accepted recipients as RCPT said them, where rules may take them out */
  MilterContent content;
  HeaderCount *headers; /* of the plan's names; NULL: no header came yet */

  /* The event. */
  Arena *arena;
  MatchSpace *match_space;
  Trace *trace; /* NULL: nothing is recorded */
  Phase phase;
  Asking asking;
  Evaluation *evaluation;
  MilterResult result;
};

static void standing_clear(Standing *standing) {
  standing->is_set = standing->said = false;
  if (standing->arena) {
    arena_reset(standing->arena);
  }
}

static void standing_set(Standing *standing, const Verdict *verdict) {
  standing_clear(standing);
  if (standing->arena == NULL) {
    standing->arena = arena_new(256);
  }
  standing->verdict = verdict_copy(standing->arena, verdict);
  standing->is_set = true;
}

static void forget_event(MilterSession *session) {
  arena_reset(session->arena);
  session->evaluation = NULL;
  session->asking = ASKING_NOTHING;
  session->result = (MilterResult){.action = MILTER_CONTINUE};
}

/* The room of many is given back. */
static void forget_recipients(MilterSession *session) {
  if (session->recipients != NULL && session->recipients->len > RECIPIENTS_KEPT) {
    g_array_free(g_steal_pointer(&session->recipients), TRUE);
  } else if (session->recipients != NULL) {
    g_array_set_size(session->recipients, 0);
  }
}

static void begin_message(MilterSession *session) {
  if (session->message_is_new) {
    return;
  }
  session->message_is_new = true;
  milter_content_reset(&session->content);
  session_reset_message(session->facts);
  variables_reset_message(session->variables);
  standing_clear(&session->mail);
  standing_clear(&session->data);
  session->mail_speaks = session->message_over = session->message_accepted = session->message_discarded = false;
  session->recipient_count = 0;
  forget_recipients(session);
  g_array_set_size(session->effects, 0);
  g_ptr_array_set_size(session->mailboxes, 0);
  session->headers = NULL;
  session->has_too_much = false;
}

static Standing *held_refusal(MilterSession *session) {
  return session->connect.is_set ? &session->connect : session->helo.is_set ? &session->helo : NULL;
}

static void look_for_spare_rules(MilterSession *session) {
  session->may_spare = session->plan->spares && held_refusal(session) != NULL;
}

static void take_offered_plan(MilterSession *session) {
  if (!session->offered) {
    return;
  }
  milter_plan_unref(session->plan);
  session->plan = g_steal_pointer(&session->offered);
  milter_content_clear(&session->content); /* its limits may be others */
  variables_rebind(session->variables, session->plan->ruleset);
  look_for_spare_rules(session);
}

MilterSession *milter_session_new(MilterPlan *plan) {
  MilterSession *session = g_new0(MilterSession, 1);
  session->plan = milter_plan_ref(plan);
  session->facts = session_new(DOOR_MILTER);
  session->variables = variables_new(plan->ruleset);
  session->effects = g_array_new(FALSE, FALSE, sizeof(Effect));
  session->mailboxes = g_ptr_array_new();
  session->arena = arena_new(EVENT_ARENA_SIZE);
  session->match_space = match_space_new();
  milter_facts_start(session->facts, &plan->options);
  session->is_new = session->message_is_new = true;
  return session;
}

void milter_session_free(MilterSession *session) {
  if (!session) {
    return;
  }
  arena_free(session->arena); /* evaluations first: they hold on to facts and variables */
  Standing *all[] = {&session->connect, &session->helo, &session->ended, &session->mail, &session->data};
  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
    arena_free(all[i]->arena);
  }
  g_array_free(session->effects, TRUE);
  if (session->recipients != NULL) {
    g_array_free(session->recipients, TRUE);
  }
  g_ptr_array_free(session->mailboxes, TRUE);
  match_space_free(session->match_space);
  variables_free(session->variables);
  session_free(session->facts);
  milter_content_clear(&session->content);
  milter_plan_unref(session->plan);
  milter_plan_unref(session->offered);
  g_free(session);
}

/* All that the session knows, but for what is offered. */
static void forget_session(MilterSession *session) {
  begin_message(session);
  session_reset(session->facts);
  variables_reset(session->variables);
  standing_clear(&session->connect);
  standing_clear(&session->helo);
  standing_clear(&session->ended);
  session->session_accepted = session->may_spare = session->helo_speaks = false;
}

void milter_session_restart(MilterSession *session) {
  forget_event(session);
  forget_session(session);
  g_clear_pointer(&session->offered, milter_plan_unref);
  session->trace = NULL;
  milter_facts_start(session->facts, &session->plan->options);
  session->is_new = true;
}

Session *milter_session_facts(MilterSession *session) {
  return session->facts;
}

void milter_session_trace(MilterSession *session, Trace *trace) {
  session->trace = trace;
}

MilterPlan *milter_session_plan(const MilterSession *session) {
  return session->plan;
}

void milter_session_offer_plan(MilterSession *session, MilterPlan *plan) {
  milter_plan_unref(session->offered);
  session->offered = plan == session->plan ? NULL : milter_plan_ref(plan);
}

const MilterResult *milter_session_result(const MilterSession *session) {
  return &session->result;
}

void milter_session_take_logged(MilterSession *session, const MilterEvent *event) {
  milter_facts_take_logged(session->facts, session->plan, event);
}

Question *const *milter_session_wanted(MilterSession *session, size_t *count) {
  *count = 0;
  return session->evaluation ? evaluation_wanted(session->evaluation, count) : NULL;
}

void milter_session_answer(MilterSession *session, const Question *question, Answer *answer) {
  if (session->evaluation) {
    evaluation_answer(session->evaluation, question, answer);
  }
}

void milter_session_expire(MilterSession *session, const char *reason) {
  if (session->evaluation) {
    evaluation_expire(session->evaluation, reason);
  }
}

/* Answering */

static int64_t delay_of(const Verdict *verdict) {
  int64_t sum = 0;
  for (size_t i = 0; i < verdict->effect_count; i++) {
    if (verdict->effects[i].kind == EFFECT_DELAY) {
      sum += verdict->effects[i].as.delay_ms;
    }
  }
  return sum;
}

/* The verdict of this event's own rules is the answer. */
static void answer_with(MilterSession *session, const Verdict *verdict) {
  if (verdict->outcome == OUTCOME_PASS && verdict->effect_count == 0) {
    session->result.verdict = verdict; /* as nearly always */
    return;
  }
  session->result = milter_encode(session->arena, verdict, session->phase);
  session->result.delay_ms = delay_of(verdict);
}

/* An earlier verdict is the answer: its effects are done with. */
static void answer_with_standing(MilterSession *session, Standing *standing) {
  Verdict *verdict = ARENA_NEW(session->arena, Verdict);
  *verdict = standing->verdict;
  verdict->effects = NULL;
  verdict->effect_count = 0;
  standing->said = true;
  session->result = milter_encode(session->arena, verdict, standing->verdict.phase);
}

/* Nothing is said now; what the rules want logged or delayed is. */
static void answer_effects_only(MilterSession *session, const Verdict *verdict) {
  Verdict *rest = ARENA_NEW(session->arena, Verdict);
  *rest = (Verdict){.outcome = OUTCOME_PASS,
                    .phase = verdict->phase,
                    .failures = verdict->failures,
                    .effects = verdict->effects,
                    .effect_count = verdict->effect_count};
  answer_with(session, rest);
}

static void keep_effects(MilterSession *session, const Verdict *verdict) {
  if (verdict->effect_count == 0) {
    return; /* as nearly always */
  }
  session->has_too_much |= !milter_keep_effects(session->effects, session_message_arena(session->facts), verdict);
}

/* Putting a verdict to use, by phase */

static void conclude_session_phase(MilterSession *session, Standing *standing, const Verdict *verdict) {
  switch (verdict->outcome) {
    case OUTCOME_PASS:
    case OUTCOME_DISCARD:
      answer_with(session, verdict);
      return;
    case OUTCOME_ACCEPT:
      session->session_accepted = true;
      answer_with(session, verdict);
      return;
    case OUTCOME_DISCONNECT:
      standing_set(&session->ended, verdict);
      session->ended.said = true;
      answer_with(session, verdict);
      return;
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
      standing_set(standing, verdict);
      look_for_spare_rules(session);
      if (session->plan->options.delay_reject == DELAY_REJECT_NO) {
        standing->said = true;
        answer_with(session, verdict);
      } else {
        answer_effects_only(session, verdict);
      }
      return;
  }
}

static void conclude_refusal(MilterSession *session, Standing *standing, const Verdict *verdict) {
  Standing *kept = verdict->outcome == OUTCOME_DISCONNECT ? &session->ended : standing;
  if (kept) {
    standing_set(kept, verdict);
    kept->said = true;
  }
  answer_with(session, verdict);
}

/* helo and mail behind a refusal that is held. */
static void conclude_while_held(MilterSession *session, const Verdict *verdict) {
  if (session->phase == PHASE_MAIL) {
    session->mail_speaks = verdict->outcome != OUTCOME_PASS;
    keep_effects(session, verdict);
  } else {
    session->helo_speaks = verdict->outcome != OUTCOME_PASS && (!verdict_refuses(verdict) || verdict->outcome == OUTCOME_DISCONNECT);
  }
  answer_effects_only(session, verdict);
}

/* MAIL and DATA: not refused. ACCEPT and DISCARD end the MTA's interest in us, so they wait while there is something to do at the end. */
static void conclude_message_phase(MilterSession *session, Standing *standing, const Verdict *verdict) {
  if (verdict_refuses(verdict)) {
    conclude_refusal(session, standing, verdict);
    return;
  }
  keep_effects(session, verdict);
  answer_with(session, verdict);
  if (verdict->outcome == OUTCOME_DISCARD) {
    session->message_discarded = true;
    session->message_accepted = session->phase == PHASE_MAIL; /* MAIL's verdict is that of each recipient */
    session->result.action = MILTER_CONTINUE;
  } else if (verdict->outcome == OUTCOME_ACCEPT) {
    session->message_accepted = true;
    session->session_accepted = session->session_accepted || verdict->accept_scope == SCOPE_SESSION;
    if (session->effects->len > 0 || session->message_discarded) {
      session->result.action = MILTER_CONTINUE;
    }
    /* After ACCEPT at DATA the MTA says neither end nor abort of this message. */
    session->message_over = session->phase == PHASE_DATA && session->result.action == MILTER_ACCEPT;
  }
}

static void keep_recipient(MilterSession *session) {
  const Value *recipient = session_get(session->facts, FACT_RECIPIENT);
  if (recipient->state != VALUE_SET || session->recipient_count > LIMIT_MESSAGE_RECIPIENTS) {
    return;
  }
  if (session->recipients == NULL) {
    session->recipients = g_array_new(FALSE, FALSE, sizeof(Value));
  }
  Value kept = value_copy(session_message_arena(session->facts), recipient);
  g_array_append_val(session->recipients, kept);
}

static void accept_recipient(MilterSession *session) {
  session->recipient_count++;
  if (session->plan->needed[FACT_RECIPIENTS]) {
    keep_recipient(session);
  }
  Slice recipient = session_raw(session->facts, FACT_RECIPIENT);
  if (session->plan->keeps_mailboxes && recipient.length > 0) {
    g_ptr_array_add(session->mailboxes, slice_to_string(session_message_arena(session->facts), recipient));
  }
  variables_end_recipient(session->variables, true);
}

static void conclude_recipient(MilterSession *session, const Verdict *verdict) {
  if (verdict_refuses(verdict)) {
    variables_end_recipient(session->variables, false);
    conclude_refusal(session, NULL, verdict);
    return;
  }
  accept_recipient(session);
  keep_effects(session, verdict);
  answer_with(session, verdict);
  session->result.action = MILTER_CONTINUE;
  session->message_discarded = session->message_discarded || verdict->outcome == OUTCOME_DISCARD;
}

/* Rather than to leave out some of what the rules want done. */
static void refuse_too_much(MilterSession *session) {
  static const Slice line = SLICE_LITERAL("too many changes of one message");
  Verdict *verdict = ARENA_NEW(session->arena, Verdict);
  *verdict = (Verdict){.outcome = OUTCOME_TEMPFAIL, .phase = PHASE_EOM, .reply = {451, {4, 3, 0}, &line, 1}, .by_failure = true};
  answer_with(session, verdict);
}

/* What is left to do when the message is taken. */
static void finish_message(MilterSession *session) {
  session->message_over = true;
  if (session->message_discarded) {
    session->result.action = MILTER_DISCARD;
    return;
  }
  if (session->has_too_much) {
    refuse_too_much(session);
    return;
  }
  session->result.action = MILTER_CONTINUE;
  session->result.effects = (const Effect *)(void *)session->effects->data;
  session->result.effect_count = session->effects->len;
  MilterMessage message = {.recipients = (const char *const *)session->mailboxes->pdata,
                           .recipient_count = session->mailboxes->len,
                           .headers = session->headers,
                           .header_count = session->headers ? session->plan->header_count : 0};
  session->result.changes =
      milter_changes(session->arena, session->result.effects, session->result.effect_count, &message, &session->result.change_count);
}

static void conclude_end(MilterSession *session, const Verdict *verdict) {
  session->message_over = true;
  if (verdict_refuses(verdict)) {
    conclude_refusal(session, NULL, verdict);
    return;
  }
  keep_effects(session, verdict);
  answer_with(session, verdict);
  session->message_discarded = session->message_discarded || verdict->outcome == OUTCOME_DISCARD;
  finish_message(session);
}

static void conclude(MilterSession *session, const Verdict *verdict) {
  switch (session->phase) {
    case PHASE_CONNECT:
      conclude_session_phase(session, &session->connect, verdict);
      return;
    case PHASE_HELO:
      conclude_session_phase(session, &session->helo, verdict);
      return;
    case PHASE_MAIL:
      conclude_message_phase(session, &session->mail, verdict);
      return;
    case PHASE_RCPT:
      conclude_recipient(session, verdict);
      return;
    case PHASE_DATA:
      conclude_message_phase(session, &session->data, verdict);
      return;
    case PHASE_EOM:
      conclude_end(session, verdict);
      return;
    case PHASE_VRFY:
    case PHASE_EXPN:
    case PHASE_ETRN:
    case PHASE_UNKNOWN:
      if (verdict->outcome == OUTCOME_DISCONNECT) {
        standing_set(&session->ended, verdict);
        session->ended.said = true;
      }
      answer_with(session, verdict);
      return;
    case PHASE_COUNT:
      break;
  }
  g_assert_not_reached();
}

/* Nobody asked the rules of this phase, or they are another door's. */
static void conclude_without_verdict(MilterSession *session) {
  if (session->phase == PHASE_RCPT) {
    accept_recipient(session);
  } else if (session->phase == PHASE_EOM) {
    finish_message(session);
  }
}

/* Asking the rules */

EvaluationState milter_session_run(MilterSession *session) {
  if (session->asking == ASKING_NOTHING) {
    return EVALUATION_DECIDED;
  }
  if (evaluation_run(session->evaluation) == EVALUATION_WAITS) {
    return EVALUATION_WAITS;
  }
  const Verdict *verdict = evaluation_verdict(session->evaluation);
  Asking asking = session->asking;
  session->asking = ASKING_NOTHING;
  if (asking == ASKING_TO_SPARE && verdict->outcome != OUTCOME_ACCEPT) {
    variables_end_recipient(session->variables, false);
    answer_with_standing(session, held_refusal(session));
    return EVALUATION_DECIDED;
  }
  evaluation_commit(session->evaluation);
  if (asking == ASKING_VARIABLES) {
    conclude_without_verdict(session);
  } else if (asking == ASKING_WHILE_HELD) {
    conclude_while_held(session, verdict);
  } else {
    conclude(session, verdict);
  }
  return EVALUATION_DECIDED;
}

static EvaluationState ask_rules(MilterSession *session, Asking asking) {
  const MilterPlan *plan = session->plan;
  if (plan->timed & PHASE_BIT(session->phase)) {
    ClockMoment moment = clock_moment(plan->options.clock, clock_unix(plan->options.clock));
    session_set_time(session->facts, &moment);
  }
  EvaluationOptions options = {.here_only = asking == ASKING_TO_SPARE,
                               .observe_all = asking == ASKING_VARIABLES,
                               .trace = session->trace,
                               .match_space = session->match_space,
                               .answers = plan->options.answers};
  session->asking = asking;
  session->evaluation = evaluation_new(session->arena, plan->ruleset, session->phase, session->facts, session->variables, &options);
  return milter_session_run(session);
}

static bool is_owned(const MilterSession *session, Phase phase) {
  return (session->plan->options.owned & PHASE_BIT(phase)) != 0;
}

static EvaluationState ask_phase(MilterSession *session, Phase phase) {
  session->phase = phase;
  bool rules_over = session->session_accepted || ((PHASE_BIT(phase) & PHASES_MESSAGE) && session->message_accepted);
  if (rules_over || (session->plan->evaluated & PHASE_BIT(phase)) == 0) {
    conclude_without_verdict(session);
    return EVALUATION_DECIDED;
  }
  return ask_rules(session, is_owned(session, phase) ? ASKING_RULES : ASKING_VARIABLES);
}

/* Helo and mail, while an earlier refusal is held. */
static EvaluationState ask_while_held(MilterSession *session, Phase phase) {
  session->phase = phase;
  if (!session->may_spare || (session->plan->evaluated & PHASE_BIT(phase)) == 0) {
    return EVALUATION_DECIDED;
  }
  return ask_rules(session, is_owned(session, phase) ? ASKING_WHILE_HELD : ASKING_VARIABLES);
}

/* Events */

static EvaluationState say(MilterSession *session, Standing *standing) {
  answer_with_standing(session, standing);
  return EVALUATION_DECIDED;
}

static EvaluationState on_connect(MilterSession *session, const MilterEvent *event) {
  if (!session->is_new) {
    forget_session(session);
    take_offered_plan(session);
    milter_facts_start(session->facts, &session->plan->options);
  }
  milter_facts_take(session->facts, session->plan, event);
  return ask_phase(session, PHASE_CONNECT);
}

static EvaluationState on_helo(MilterSession *session, const MilterEvent *event) {
  begin_message(session);
  if (!session->session_accepted) {
    standing_clear(&session->helo);
    session->helo_speaks = false;
    variables_forget_phase(session->variables, PHASE_HELO);
  }
  milter_facts_take(session->facts, session->plan, event);
  if (session->ended.is_set) {
    return say(session, &session->ended);
  }
  if (session->connect.is_set) {
    return session->plan->options.delay_reject == DELAY_REJECT_NO ? say(session, &session->connect) : ask_while_held(session, PHASE_HELO);
  }
  return ask_phase(session, PHASE_HELO);
}

static EvaluationState on_mail(MilterSession *session, const MilterEvent *event) {
  begin_message(session);
  take_offered_plan(session);
  milter_facts_take(session->facts, session->plan, event);
  if (session->ended.is_set) {
    return say(session, &session->ended);
  }
  Standing *held = held_refusal(session);
  if (held) {
    return session->plan->options.delay_reject == DELAY_REJECT_RCPT ? ask_while_held(session, PHASE_MAIL) : say(session, held);
  }
  return ask_phase(session, PHASE_MAIL);
}

/* An event inside a message whose MAIL may have been declined. */
static void enter_message(MilterSession *session, bool after_refused_data) {
  if (session->message_over || (after_refused_data && session->data.is_set)) {
    begin_message(session);
    take_offered_plan(session);
  }
}

static EvaluationState on_recipient(MilterSession *session, const MilterEvent *event) {
  enter_message(session, true);
  milter_facts_take(session->facts, session->plan, event);
  Standing *held = held_refusal(session);
  if (session->ended.is_set) {
    return say(session, &session->ended);
  }
  if (held == NULL) {
    return session->mail.is_set ? say(session, &session->mail) : ask_phase(session, PHASE_RCPT);
  }
  session->phase = PHASE_RCPT;
  if (session->may_spare && !session->helo_speaks && !session->mail_speaks) {
    return ask_rules(session, ASKING_TO_SPARE);
  }
  return say(session, held);
}

/* Unknown where one could not be read as an address, or there were more than we keep. */
static void set_recipients(MilterSession *session) {
  static const Failure not_all_known = {NULL, {"recipients", 10}, {"not all recipients are known", 28}, ON_ERROR_TEMPFAIL};
  Value value = {VALUE_UNKNOWN, TYPE_LIST, {.failures = &not_all_known}};
  if (session->recipients != NULL && session->recipients->len == session->recipient_count) {
    ValueList *list = ARENA_NEW(session_message_arena(session->facts), ValueList);
    *list = (ValueList){session->recipient_count, (const Value *)(void *)session->recipients->data};
    value = (Value){VALUE_SET, TYPE_LIST, {.list = list}};
  }
  session_borrow_value(session->facts, FACT_RECIPIENTS, &value);
}

static void count_recipients(MilterSession *session) {
  if (session->recipient_count == 0) {
    session_unset(session->facts, FACT_RECIPIENT_COUNT);
    session_unset(session->facts, FACT_RECIPIENTS);
    return;
  }
  session_set_scalar(session->facts, FACT_RECIPIENT_COUNT, value_int(session->recipient_count));
  if (session->plan->needed[FACT_RECIPIENTS]) {
    set_recipients(session);
  }
}

/* The rules at the end of the message will be asked. */
static bool is_judged(MilterSession *session) {
  return !session->session_accepted && !session->message_accepted && (session->plan->evaluated & PHASE_BIT(PHASE_EOM)) != 0;
}

/* An earlier verdict that answers DATA and all that follows. */
static Standing *message_refusal(MilterSession *session) {
  Standing *held = held_refusal(session);
  return session->ended.is_set                   ? &session->ended
         : held && session->recipient_count == 0 ? held
         : session->mail.is_set                  ? &session->mail
         : session->data.is_set                  ? &session->data
                                                 : NULL;
}

/* DATA and the end: of the recipients that were accepted. */
static EvaluationState on_content(MilterSession *session, const MilterEvent *event, Phase phase) {
  enter_message(session, false);
  session_reset_recipient(session->facts);
  milter_facts_take(session->facts, session->plan, event);
  count_recipients(session);
  Standing *standing = message_refusal(session);
  if (standing) {
    session->message_over = phase == PHASE_EOM;
    return say(session, standing);
  }
  if (phase == PHASE_EOM && is_judged(session)) {
    milter_content_facts(&session->content, session->plan, session->facts);
  }
  return ask_phase(session, phase);
}

/* Kept where rules read them, counted where rules may change one of several. */
static void on_header(MilterSession *session, const MilterEvent *event) {
  enter_message(session, false);
  const MilterPlan *plan = session->plan;
  if (is_judged(session) && message_refusal(session) == NULL) {
    milter_content_header(&session->content, plan, event);
  }
  if (plan->header_count == 0 || event->arguments == NULL || event->arguments[0] == NULL) {
    return;
  }
  if (session->headers == NULL) {
    session->headers = ARENA_NEW_ARRAY(session_message_arena(session->facts), HeaderCount, plan->header_count);
    memcpy(session->headers, plan->headers, plan->header_count * sizeof *session->headers);
  }
  milter_count_header(session->headers, plan->header_count, slice_from(event->arguments[0]));
}

/* No rule waits for the body: the verdict at the end stands already, whatever comes. */
static bool is_decided_early(MilterSession *session) {
  EvaluationOptions options = {.match_space = session->match_space};
  Evaluation *evaluation = evaluation_new(session->arena, session->plan->ruleset, PHASE_EOM, session->facts, session->variables, &options);
  return evaluation_run(evaluation) == EVALUATION_DECIDED; /* and comes again at the end: nothing of this is committed */
}

/* At the first piece of a body that is worth it. */
static void judge_early(MilterSession *session) {
  count_recipients(session);
  milter_content_header_facts(&session->content, session->plan, session->facts);
  if (is_decided_early(session)) {
    milter_content_skip_body(&session->content);
  }
}

static void on_body(MilterSession *session, const MilterEvent *event) {
  enter_message(session, false);
  if (!is_judged(session) || message_refusal(session) != NULL) {
    return;
  }
  if (session->plan->judges_early && milter_content_is_worth_judging(&session->content, event->body)) {
    judge_early(session);
  }
  milter_content_body(&session->content, session->plan, event->body);
}

static EvaluationState on_unknown(MilterSession *session, const MilterEvent *event) {
  milter_facts_take(session->facts, session->plan, event);
  return session->ended.is_set ? say(session, &session->ended) : ask_phase(session, milter_command_phase(event));
}

static EvaluationState on_close(MilterSession *session) {
  Standing *held = held_refusal(session);
  if (held && !held->said) {
    answer_with_standing(session, held);
  }
  begin_message(session);
  return EVALUATION_DECIDED;
}

static EvaluationState take_event(MilterSession *session, const MilterEvent *event) {
  switch (event->kind) {
    case MILTER_CONNECT:
      return on_connect(session, event);
    case MILTER_HELO:
      return on_helo(session, event);
    case MILTER_MAIL:
      return on_mail(session, event);
    case MILTER_RCPT:
      return on_recipient(session, event);
    case MILTER_DATA:
      return on_content(session, event, PHASE_DATA);
    case MILTER_EOM:
      return on_content(session, event, PHASE_EOM);
    case MILTER_UNKNOWN:
      return on_unknown(session, event);
    case MILTER_ABORT:
      begin_message(session);
      return EVALUATION_DECIDED;
    case MILTER_CLOSE:
      return on_close(session);
    case MILTER_HEADER:
      on_header(session, event);
      return EVALUATION_DECIDED;
    case MILTER_EOH:
      return EVALUATION_DECIDED;
    case MILTER_BODY:
      on_body(session, event);
      return EVALUATION_DECIDED;
  }
  g_assert_not_reached();
}

/* Rules of any phase may set variables of the message; all else of it comes with what belongs to it. */
static bool leaves_message_new(const MilterSession *session, MilterEventKind kind) {
  const PhaseProgram *phases = session->plan->ruleset->phases;
  return (kind == MILTER_CONNECT && !phases[PHASE_CONNECT].sets_variables) || (kind == MILTER_HELO && !phases[PHASE_HELO].sets_variables) ||
         kind == MILTER_ABORT || kind == MILTER_CLOSE;
}

EvaluationState milter_session_event(MilterSession *session, const MilterEvent *event) {
  forget_event(session);
  if (!session->message_is_new) {
    session_reset_recipient(session->facts);
  }
  EvaluationState state = take_event(session, event);
  session->is_new = false;
  session->message_is_new = session->message_is_new && leaves_message_new(session, event->kind);
  return state;
}
