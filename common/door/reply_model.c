/*
 * reply_model.c: what Postfix and Sendmail make of a reply on its way to the client. Everything here was measured (Postfix 3.7.11, Sendmail 8.17.1).
 */
#include <string.h>

#include "common/base/mailaddress.h"
#include "common/door/reply_internal.h"

static bool code_is(const ReplyWork *work, const char *code) {
  return strcmp(work->parts.code, code) == 0;
}

/* After a refusal the client may think that all is over, and it is not. */
static void note_open_transaction(ReplyWork *work) {
  if (!code_is(work, "421") && !(code_is(work, "521") && work->mta == MTA_POSTFIX)) {
    reply_note(work, work->phase == PHASE_EOM ? REPLY_NOTE_END_OPEN : REPLY_NOTE_TRANSACTION_OPEN,
               "a refusal at %s leaves the transaction open until the client says RSET", phase_name(work->phase));
  }
}

/* ---- Postfix's policy protocol ---- */

/* Postfix's internal form: without <> and quotes. */
static const char *internal_address(const ReplyWork *work, const char *text) {
  Slice slice = slice_from(text ? text : "");
  MailAddress address;
  if (slice.length >= 2 && text[0] == '<' && text[slice.length - 1] == '>') {
    slice = slice_make(text + 1, slice.length - 2);
  }
  if (text && memchr(text, '"', strlen(text)) && mail_address_parse(work->arena, slice_from(text), &address)) {
    return arena_printf(work->arena, "%.*s%s%.*s", SLICE_ARGS(address.localpart), address.domain.length ? "@" : "",
                        SLICE_ARGS(address.domain));
  }
  return slice_to_string(work->arena, slice);
}

static PostfixList list_of_phase(Phase phase) {
  switch (phase) {
    case PHASE_CONNECT:
      return POSTFIX_LIST_CLIENT;
    case PHASE_HELO:
      return POSTFIX_LIST_HELO;
    case PHASE_MAIL:
      return POSTFIX_LIST_SENDER;
    case PHASE_DATA:
      return POSTFIX_LIST_DATA;
    case PHASE_EOM:
      return POSTFIX_LIST_END_OF_DATA;
    case PHASE_ETRN:
      return POSTFIX_LIST_ETRN;
    case PHASE_RCPT:
    case PHASE_VRFY:
    case PHASE_EXPN:
    case PHASE_UNKNOWN:
    case PHASE_COUNT:
      return POSTFIX_LIST_RECIPIENT;
  }
  g_assert_not_reached();
}

/* "<a@example.org>: Recipient address rejected: " */
static const char *list_prefix(const ReplyWork *work, PostfixList list) {
  const ReplyContext *context = work->context;
  const char *what = "", *about = "";
  switch (list) {
    case POSTFIX_LIST_CLIENT:
      what = "Client host";
      about = arena_printf(work->arena, "%s[%s]", context->client_name ? context->client_name : "unknown",
                           context->client_address ? context->client_address : "unknown");
      break;
    case POSTFIX_LIST_HELO:
      what = "Helo command";
      about = context->helo_name ? context->helo_name : "";
      break;
    case POSTFIX_LIST_SENDER:
      what = "Sender address";
      about = internal_address(work, context->sender);
      break;
    case POSTFIX_LIST_RECIPIENT:
      what = "Recipient address";
      about = internal_address(work, context->recipient);
      break;
    case POSTFIX_LIST_ETRN:
      what = "Etrn command";
      about = context->etrn_domain ? context->etrn_domain : "";
      break;
    case POSTFIX_LIST_DATA:
      what = "Data command";
      about = "DATA";
      break;
    case POSTFIX_LIST_END_OF_DATA:
      what = "End-of-data";
      about = "END-OF-MESSAGE";
      break;
    case POSTFIX_LIST_OF_PHASE:
      g_assert_not_reached();
  }
  return arena_printf(work->arena, "<%s>: %s rejected: ", about, what);
}

/* Codes about an address, X.1.y, are made to fit what is refused. */
static void fix_enhanced(ReplyWork *work, PostfixList list) {
  static const unsigned of_sender[] = {0, 7, 8, 7, 7, 0, 7, 7, 8}, of_recipient[] = {0, 1, 2, 3, 4, 5, 6, 3, 2};
  EnhancedCode code;
  if (!enhanced_parse(slice_from(work->parts.enhanced), &code) || code.subject != 1) {
    return;
  }
  unsigned subject = 0, detail = 0;
  if (list == POSTFIX_LIST_SENDER || list == POSTFIX_LIST_RECIPIENT) {
    const unsigned *details = list == POSTFIX_LIST_SENDER ? of_sender : of_recipient;
    subject = 1;
    detail = code.detail < G_N_ELEMENTS(of_sender) ? details[code.detail] : 0;
  }
  if (subject == code.subject && detail == code.detail) {
    return;
  }
  g_autofree char *fixed = g_strdup_printf("%u.%u.%u", code.class_digit, subject, detail);
  const char *where = list == POSTFIX_LIST_SENDER      ? "where a sender is refused"
                      : list == POSTFIX_LIST_RECIPIENT ? "where a recipient is refused"
                                                       : "where no address is refused";
  reply_note(work, REPLY_NOTE_ENHANCED_CHANGED, "Postfix makes %s of %s %s", fixed, work->parts.enhanced, where);
  (void)g_snprintf(work->parts.enhanced, sizeof work->parts.enhanced, "%s", fixed);
}

void reply_model_policy(ReplyWork *work) {
  PostfixList list = work->context->list == POSTFIX_LIST_OF_PHASE ? list_of_phase(work->phase) : work->context->list;
  const char *prefix = list_prefix(work, list);
  bool closes = code_is(work, "421") || code_is(work, "521");
  reply_note(work, REPLY_NOTE_PREFIX, "Postfix puts \"%s\" before the text", prefix);
  fix_enhanced(work, list);
  work->parts.lines[0] = arena_printf(work->arena, "%s%s", prefix, work->parts.lines[0]);
  reply_see(work, work->phase, &work->parts, closes);
  if (work->phase == PHASE_DATA || work->phase == PHASE_EOM) {
    note_open_transaction(work);
  } else if (work->phase == PHASE_HELO && !closes) {
    reply_note(work, REPLY_NOTE_GOES_ON, "Postfix serves a client that goes on after a refused HELO");
  }
}

/* ---- Postfix's milter client ---- */

static void postfix_connect(ReplyWork *work) {
  const char *name = work->context->server_name;
  if (code_is(work, "421")) {
    reply_see_server(work, PHASE_CONNECT, arena_printf(work->arena, "421 %s Service unavailable - try again later", name), true);
    reply_note(work, REPLY_NOTE_TEXT_LOST, "the text is lost: Postfix greets with its own 421");
    return;
  }
  if (work->parts.code[0] == '5') {
    reply_see_server(work, PHASE_CONNECT, arena_printf(work->arena, "554 %s ESMTP not accepting connections", name), false);
    reply_note(work, REPLY_NOTE_GREETING, "Postfix greets with its own 554 and says this at MAIL FROM");
  } else {
    reply_note(work, REPLY_NOTE_LATER, "Postfix says it at MAIL FROM");
  }
  reply_see(work, PHASE_MAIL, &work->parts, code_is(work, "521"));
}

void reply_model_postfix_milter(ReplyWork *work) {
  bool closes = code_is(work, "421") || code_is(work, "521");
  if (work->phase == PHASE_CONNECT) {
    postfix_connect(work);
    return;
  }
  if (work->phase == PHASE_HELO && !code_is(work, "421")) {
    reply_note(work, REPLY_NOTE_LATER, "Postfix answers HELO with 250 and says this at MAIL FROM");
    reply_see(work, PHASE_MAIL, &work->parts, closes);
    return;
  }
  reply_see(work, work->phase, &work->parts, closes);
  if (work->phase == PHASE_DATA) {
    note_open_transaction(work);
  }
}

/* ---- Sendmail's milter client ---- */

static void sendmail_connect(ReplyWork *work) {
  const char *name = work->context->server_name;
  if (code_is(work, "421")) {
    reply_see_server(work, PHASE_CONNECT, arena_printf(work->arena, "421 4.7.0 %s closing connection", name), true);
  } else if (work->parts.code[0] == '5') {
    reply_see_server(work, PHASE_CONNECT, arena_printf(work->arena, "554 %s ESMTP not accepting messages", name), false);
    reply_see_server(work, PHASE_MAIL, "550 5.0.0 Command rejected", false);
  } else {
    reply_see_server(work, PHASE_MAIL, "451 4.3.2 Please try again later", false);
  }
  reply_note(work, REPLY_NOTE_TEXT_LOST, "code and text are lost: Sendmail says its own");
}

/* As Sendmail does it: at most 203 bytes, the middle left out. */
static const char *shortened(Arena *arena, const char *text) {
  enum { LONGEST = 203, PART = (LONGEST - 3) / 2 };
  size_t length = strlen(text);
  return length <= LONGEST ? text : arena_printf(arena, "%.*s...%s", PART, text, text + length - PART);
}

/* 450, 550 and 553 are about an address, for Sendmail. */
static void put_address_first(ReplyWork *work) {
  const char *address = work->phase == PHASE_MAIL ? work->context->sender : work->phase == PHASE_RCPT ? work->context->recipient : NULL;
  if (address && (code_is(work, "450") || code_is(work, "550") || code_is(work, "553"))) {
    address = shortened(work->arena, address);
    work->parts.lines[0] = arena_printf(work->arena, "%s... %s", address, work->parts.lines[0]);
    reply_note(work, REPLY_NOTE_PREFIX, "Sendmail puts \"%s... \" before the text of 450, 550 and 553", address);
  }
}

/* A text that begins with one has one, for Sendmail. */
static void add_enhanced(ReplyWork *work) {
  if (work->parts.enhanced[0]) {
    return;
  }
  Slice rest;
  bool more;
  EnhancedCode code;
  Slice word = slice_split(slice_from(work->parts.lines[0]), ' ', &rest, &more);
  if (more && enhanced_parse(word, &code)) {
    (void)g_snprintf(work->parts.enhanced, sizeof work->parts.enhanced, "%.*s", SLICE_ARGS(word));
    work->parts.lines[0] = slice_to_string(work->arena, rest);
  } else {
    (void)g_snprintf(work->parts.enhanced, sizeof work->parts.enhanced, "%c.0.0", work->parts.code[0]);
    reply_note(work, REPLY_NOTE_ENHANCED_ADDED, "the reply has no enhanced code: Sendmail says %s", work->parts.enhanced);
  }
}

void reply_model_sendmail_milter(ReplyWork *work) {
  bool closes = code_is(work, "421");
  if (code_is(work, "521")) {
    reply_note(work, REPLY_NOTE_NOT_CLOSED, "Sendmail does not close the connection after 521");
  }
  if (work->phase == PHASE_CONNECT) {
    sendmail_connect(work);
    return;
  }
  add_enhanced(work);
  put_address_first(work);
  if (work->phase == PHASE_HELO && !closes) {
    reply_note(work, REPLY_NOTE_LATER, "Sendmail answers HELO with 250 and says this at MAIL FROM");
    reply_note(work, REPLY_NOTE_REPEATED, "Sendmail says it again at RCPT TO and DATA");
    reply_see(work, PHASE_MAIL, &work->parts, false);
    return;
  }
  reply_see(work, work->phase, &work->parts, closes);
  if (work->phase == PHASE_DATA) {
    note_open_transaction(work);
  }
}

/* ---- Sendmail's socket maps: check_vrfy, check_expn, check_etrn, check_other ---- */

void reply_model_socketmap(ReplyWork *work) {
  bool closes = work->phase == PHASE_UNKNOWN && code_is(work, "421");
  if (work->verdict->outcome == OUTCOME_DISCONNECT && !closes) {
    reply_note(work, REPLY_NOTE_NOT_CLOSED, "Sendmail does not close the connection at %s", phase_command(work->phase));
  }
  reply_see(work, work->phase, &work->parts, closes);
}
