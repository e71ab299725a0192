/*
 * reply_compiler.h: what an SMTP client really sees of a verdict: at which command, the exact bytes, and what was lost or changed on the way.
 *
 * The compiler is a door's encoder, which makes the bytes for the mail server, and a model of the mail server behind it. The model holds what was
 * measured on Postfix 3.7 and Sendmail 8.17; tests/mta/test_replies.py compares it with them. Pure.
 */
#ifndef COMMON_DOOR_REPLY_COMPILER_H
#define COMMON_DOOR_REPLY_COMPILER_H

#include "common/door/milter_session.h"
#include "common/smtp/mta.h"
#include "common/smtp/verdict.h"

/* The list of restrictions that check_policy_service stands in: its name comes before the text. */
typedef enum PostfixList {
  POSTFIX_LIST_OF_PHASE, /* the one that is named for the phase at which the reply is said */
  POSTFIX_LIST_CLIENT,
  POSTFIX_LIST_HELO,
  POSTFIX_LIST_SENDER,
  POSTFIX_LIST_RECIPIENT, /* also smtpd_relay_restrictions, and all that is asked about VRFY */
  POSTFIX_LIST_ETRN,
  POSTFIX_LIST_DATA,
  POSTFIX_LIST_END_OF_DATA,
} PostfixList;

/* The session, as far as it shows in replies. A NULL name is one that nobody knows. */
typedef struct ReplyContext {
  const char *server_name; /* the mail server's own; never NULL */
  const char *client_name, *client_address, *helo_name, *etrn_domain;
  const char *sender, *recipient; /* as the client said them, with <> */
  DelayReject delay_reject;       /* where our milter says what connect and helo refuse */
  bool smtpd_delays;              /* Postfix's smtpd_delay_reject: connect, helo and mail are asked about at RCPT TO */
  PostfixList list;
} ReplyContext;

typedef enum ReplyNoteKind {
#define REPLY_NOTE(symbol, name, weight, advice) REPLY_NOTE_##symbol,
#include "common/door/reply_note.def"
#undef REPLY_NOTE
  REPLY_NOTE_COUNT
} ReplyNoteKind;

typedef enum ReplyNoteWeight { REPLY_NOTE_WARNED, REPLY_NOTE_PEDANTIC, REPLY_NOTE_DETAIL } ReplyNoteWeight; /* reply_note.def */

const char *reply_note_name(ReplyNoteKind kind); /* "text_lost" */
ReplyNoteWeight reply_note_weight(ReplyNoteKind kind);
const char *reply_note_advice(ReplyNoteKind kind); /* "" for none */

/* A sentence about one reply: "Postfix puts \"<a@example.org>: Recipient address rejected: \" before the text". */
typedef struct ReplyNote {
  ReplyNoteKind kind;
  const char *sentence;
} ReplyNote;

typedef struct SeenReply {
  Phase phase;       /* the command that it answers; connect is the greeting */
  const char *bytes; /* all lines with code and enhanced code, each with CR LF */
  bool closes;       /* the server closes the connection behind it */
  bool is_own;       /* the rule's reply, not one that the mail server says because of it */
} SeenReply;

enum { SEEN_REPLIES_MAX = 2 };

typedef struct CompiledReply {
  SeenReply seen[SEEN_REPLIES_MAX]; /* in the order of the session */
  size_t seen_count;                /* 0: the client sees nothing of it */
  ReplyNote notes[REPLY_NOTE_COUNT];
  size_t note_count;
} CompiledReply;

/*
 * `verdict` refuses (verdict_refuses), and the mail server asks at `asked`, which is the verdict's own phase or, for what was held, a later one.
 * Texts are in the arena.
 */
CompiledReply reply_compile(Arena *arena, const Verdict *verdict, Door door, Mta mta, Phase asked, const ReplyContext *context);

/* True when the mail server asks through the door at the phase. */
bool mta_asks(Mta mta, Door door, Phase phase);

#endif
