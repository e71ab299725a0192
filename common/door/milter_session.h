/*
 * milter_session.h: the milter door, pure: a state machine fed by events, under the thin callbacks of milter/. No I/O, no libmilter.
 *
 * Each event either is answered at once or waits for look-ups:
 *
 *     state = milter_session_event(s, &event);
 *     while (state == EVALUATION_WAITS) { ask milter_session_wanted(); wait; milter_session_answer()...; state = milter_session_run(s); }
 *     milter_session_result(s)
 *
 * Held refusals: what connect and helo refuse is said later (MilterOptions.delay_reject), at each recipient before its own rules, unless
 * the rcpt rules (HERE look-ups only) come to `accept recipient`. `disconnect` is said at once. `accept recipient` never becomes a milter
 * ACCEPT; nothing but CONTINUE, TEMPFAIL and REJECT ever answers an unknown command. Whole-message effects are kept until the end of the
 * message; those of a refused recipient are dropped. The session keeps its ruleset for a message and takes a new one at the next MAIL.
 * Confined: one thread at a time.
 *
 * The first verdict other than pass counts, as at the policy door. While a refusal of connect or helo is held, the rules of helo and mail
 * are asked on only where a rcpt rule may accept the recipient, and when they come to a verdict of their own (but a refusal of helo) no
 * recipient is spared. A held refusal is in the result (and so in the log) each time it is said; one that was never said is in the result
 * of MILTER_CLOSE. DISCARD is kept until MILTER_EOM, so that every recipient is asked; a refusal there comes before it.
 */
#ifndef COMMON_DOOR_MILTER_SESSION_H
#define COMMON_DOOR_MILTER_SESSION_H

#include "common/door/milter_changes.h"
#include "common/message/message.h"
#include "common/rules/evaluate.h"
#include "common/smtp/session.h"

typedef enum MilterEventKind {
  MILTER_CONNECT, /* host name argument, address */
  MILTER_HELO,    /* name */
  MILTER_MAIL,    /* sender, then ESMTP parameters */
  MILTER_RCPT,
  MILTER_DATA,
  MILTER_HEADER, /* name, value: one field of the message's header */
  MILTER_EOH,
  MILTER_BODY,   /* some of its bytes */
  MILTER_EOM,
  MILTER_UNKNOWN, /* the command */
  MILTER_ABORT,
  MILTER_CLOSE,
} MilterEventKind;

#define MILTER_EVENT_COUNT (MILTER_CLOSE + 1)

/* All that it points to must live until the event is decided and its result was used. */
typedef struct MilterEvent {
  MilterEventKind kind;
  const char *const *arguments; /* of the callback, NULL-terminated; may be NULL */
  const IpAddress *address;     /* CONNECT: NULL when there is none (local) */
  unsigned port;                /* CONNECT: 0 when unknown */
  Slice body;                   /* BODY */
  /* A macro's value or NULL: "{client_addr}", "i". */
  const char *(*macro)(void *data, const char *name);
  void *macro_data;
} MilterEvent;

typedef enum MilterAction { MILTER_CONTINUE, MILTER_REJECT, MILTER_TEMPFAIL, MILTER_ACCEPT, MILTER_DISCARD } MilterAction;

/* What the callback returns. Everything lives until the next event. */
typedef struct MilterResult {
  MilterAction action;
  bool has_reply;           /* REJECT, TEMPFAIL: use smfi_setmlreply with these */
  char code[4];             /* "550" */
  char enhanced[12];        /* "5.7.1", "" for none */
  const char *const *lines; /* NULL-terminated; %-doubled, printable ASCII, each 1..980 bytes, at most 32 */
  int64_t delay_ms;
  /* At MILTER_EOM with CONTINUE: what the rules want done to the message, and the calls that do it, in order. */
  const Effect *effects;
  size_t effect_count;
  const MilterChange *changes;
  size_t change_count;
  const Verdict *verdict; /* for the log: NULL when no rules were evaluated */
} MilterResult;

typedef enum DelayReject { DELAY_REJECT_NO, DELAY_REJECT_MAIL, DELAY_REJECT_RCPT } DelayReject;

/* Its texts must live as long as sessions do. */
typedef struct MilterOptions {
  DelayReject delay_reject;
  const char *server_name; /* where the MTA gives no {j}; never NULL */
  const char *service;     /* of the listener, where {daemon_name} is none; may be NULL */
  PhaseSet owned;          /* phases that this door answers (the policy door owns others when both are on) */
  Clock *clock;
  AnswerSource answers;  /* as of an evaluation */
  MessageLimits message; /* what is kept of a message's content */
} MilterOptions;

/*
 * What a ruleset asks of the MTA, at each step. Beside what the rules read, the log wants the client, the sender and the queue id. The end of the
 * message always comes: no one can decline it.
 */
typedef struct MilterStep {
  bool needed;        /* at all; else it is declined */
  bool reply;         /* we must be able to answer */
  const char *macros; /* to ask for, blank-separated; "" for none */
} MilterStep;
typedef struct MilterNeeds {
  MilterStep steps[MILTER_EVENT_COUNT]; /* by event; abort and close come unasked */
  /* SMFIF_ADDHDRS, CHGHDRS, ADDRCPT, DELRCPT, CHGFROM, QUARANTINE */
  bool add_headers, change_headers, add_recipients, delete_recipients, change_sender, quarantine;
} MilterNeeds;
/* True when a session that negotiated `have` brings all that `want` asks for: may it take a reloaded ruleset? */
bool milter_needs_cover(const MilterNeeds *have, const MilterNeeds *want);

/* A ruleset with the options, and all that follows from them and would else be found out at each event. Immutable, shared by reference count; thread-safe. */
typedef struct MilterPlan MilterPlan;
/* Takes a reference to the ruleset. */
MilterPlan *milter_plan_new(Ruleset *ruleset, const MilterOptions *options);
MilterPlan *milter_plan_ref(MilterPlan *plan);
void milter_plan_unref(MilterPlan *plan); /* takes NULL */
const Ruleset *milter_plan_ruleset(const MilterPlan *plan);
const MilterNeeds *milter_plan_needs(const MilterPlan *plan);

typedef struct MilterSession MilterSession;

/* Takes a reference to the plan. */
MilterSession *milter_session_new(MilterPlan *plan);
void milter_session_free(MilterSession *session);
/* As new, with the plan that it has; what was taken for the session that ended is used again or given back. */
void milter_session_restart(MilterSession *session);
Session *milter_session_facts(MilterSession *session);
/* Records the evaluations to come (explain); borrowed. */
void milter_session_trace(MilterSession *session, Trace *trace);
/* What the next message (or connection) takes; keeps a reference until then. */
void milter_session_offer_plan(MilterSession *session, MilterPlan *plan);
/* The plan in use; borrowed. */
MilterPlan *milter_session_plan(const MilterSession *session);

EvaluationState milter_session_event(MilterSession *session, const MilterEvent *event);
EvaluationState milter_session_run(MilterSession *session);
Question *const *milter_session_wanted(MilterSession *session, size_t *count);
void milter_session_answer(MilterSession *session, const Question *question, Answer *answer);
void milter_session_expire(MilterSession *session, const char *reason);
const MilterResult *milter_session_result(const MilterSession *session);
/* Before the result is logged: takes the facts that only a log line tells (the queue id) from the event, which must be the last one. */
void milter_session_take_logged(MilterSession *session, const MilterEvent *event);

/* A verdict's reply as the milter sends it (explain): the same cleaning. In the arena. */
MilterResult milter_encode(Arena *arena, const Verdict *verdict, Phase phase);
/* A header's name or value, or the reason of a quarantine: printable ASCII, 1..LIMIT_HEADER_VALUE bytes. In the arena. */
char *milter_effect_text(Arena *arena, Slice text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MilterPlan, milter_plan_unref)

#endif
