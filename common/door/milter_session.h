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

#include "common/rules/evaluate.h"
#include "common/smtp/session.h"

typedef enum MilterEventKind {
  MILTER_CONNECT, /* host name argument, address */
  MILTER_HELO,    /* name */
  MILTER_MAIL,    /* sender, then ESMTP parameters */
  MILTER_RCPT,
  MILTER_DATA,
  MILTER_EOH,
  MILTER_EOM,
  MILTER_UNKNOWN, /* the command */
  MILTER_ABORT,
  MILTER_CLOSE,
} MilterEventKind;

typedef struct MilterEvent {
  MilterEventKind kind;
  const char *const *arguments; /* of the callback, NULL-terminated; may be NULL */
  const IpAddress *address;     /* CONNECT: NULL when there is none (local) */
  unsigned port;                /* CONNECT: 0 when unknown */
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
  /* At MILTER_EOM with CONTINUE: what to do to the message, in order. */
  const Effect *effects;
  size_t effect_count;
  const Verdict *verdict; /* for the log: NULL when no rules were evaluated */
} MilterResult;

typedef enum DelayReject { DELAY_REJECT_NO, DELAY_REJECT_MAIL, DELAY_REJECT_RCPT } DelayReject;

typedef struct MilterOptions {
  DelayReject delay_reject;
  const char *server_name; /* where the MTA gives no {j}; never NULL */
  const char *service;     /* of the listener, where {daemon_name} is none; may be NULL */
  PhaseSet owned;          /* phases that this door answers (the policy door owns others when both are on) */
  Clock *clock;
} MilterOptions;

typedef struct MilterSession MilterSession;

MilterSession *milter_session_new(Ruleset *ruleset, const MilterOptions *options);
void milter_session_free(MilterSession *session);
Session *milter_session_facts(MilterSession *session);
/* Records the evaluations to come (explain); borrowed. */
void milter_session_trace(MilterSession *session, Trace *trace);
/* The ruleset that the next message (or connection) takes; keeps a reference until then. */
void milter_session_offer_ruleset(MilterSession *session, Ruleset *ruleset);
/* The ruleset in use; borrowed. */
const Ruleset *milter_session_ruleset(const MilterSession *session);

EvaluationState milter_session_event(MilterSession *session, const MilterEvent *event);
EvaluationState milter_session_run(MilterSession *session);
Question *const *milter_session_wanted(MilterSession *session, size_t *count);
void milter_session_answer(MilterSession *session, const Question *question, Answer *answer);
void milter_session_expire(MilterSession *session, const char *reason);
const MilterResult *milter_session_result(const MilterSession *session);

/* A verdict's reply as the milter sends it (explain): the same cleaning. In the arena. */
MilterResult milter_encode(Arena *arena, const Verdict *verdict, Phase phase);
/* A header's name or value, or the reason of a quarantine: printable ASCII, 1..LIMIT_HEADER_VALUE bytes. In the arena. */
char *milter_effect_text(Arena *arena, Slice text);

/*
 * What to negotiate, from the ruleset: which events are needed, which of them need no reply, which macros at which step. Beside what the
 * rules read, the log wants the client, the sender and the queue id. The end of the message always comes: no one can decline it.
 */
typedef struct MilterNeeds {
  bool connect, helo, mail, rcpt, data, eoh, eom, unknown;                           /* needed at all */
  bool reply_connect, reply_helo, reply_mail, reply_rcpt, reply_data, reply_unknown; /* must be able to answer */
  bool add_headers, quarantine;                                                      /* SMFIF_ADDHDRS, SMFIF_QUARANTINE */
  const char *macros_connect, *macros_helo, *macros_mail, *macros_rcpt, *macros_data,
      *macros_eom; /* blank-separated, in the arena; "" for none */
} MilterNeeds;
MilterNeeds milter_needs(Arena *arena, const Ruleset *ruleset, const MilterOptions *options);
/* True when a session that negotiated `have` brings all that `want` asks for: may it take a reloaded ruleset? */
bool milter_needs_cover(const MilterNeeds *have, const MilterNeeds *want);

#endif
