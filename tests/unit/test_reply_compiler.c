/*
 * test_reply_compiler.c: what clients of Postfix and Sendmail see of verdicts. tests/mta/test_replies.py holds the same against the mail servers themselves.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/reply_compiler.h"
#include "tests/unit/unit.h"

#define NOTE(kind) (1u << REPLY_NOTE_##kind)

typedef struct Case {
  const char *name;
  Outcome outcome;
  uint16_t code;
  EnhancedCode enhanced;
  const char *lines[4];
  Phase rules, asked;
  Door door;
  Mta mta;
  const char *seen; /* "phase:bytes", '|' between two, '!' behind the phase where it closes, with ~ for CR LF; "" for nothing */
  unsigned notes;
} Case;

#define REJECT_550       \
  OUTCOME_REJECT, 550, { \
    5, 7, 1              \
  }
#define BYE_421              \
  OUTCOME_DISCONNECT, 421, { \
    4, 7, 0                  \
  }
#define NEVER_521            \
  OUTCOME_DISCONNECT, 521, { \
    5, 7, 1                  \
  }
#define POSTFIX_POLICY DOOR_POLICY, MTA_POSTFIX
#define POSTFIX_MILTER DOOR_MILTER, MTA_POSTFIX
#define SENDMAIL_MILTER DOOR_MILTER, MTA_SENDMAIL

static const Case cases[] = {
    {"policy",
     REJECT_550,
     {"no"},
     PHASE_RCPT,
     PHASE_RCPT,
     POSTFIX_POLICY,
     "rcpt:550 5.7.1 <b c@example.org>: Recipient address rejected: no~",
     NOTE(PREFIX)},
    {"held by Postfix",
     REJECT_550,
     {"no"},
     PHASE_MAIL,
     PHASE_MAIL,
     POSTFIX_POLICY,
     "rcpt:550 5.7.1 <b c@example.org>: Recipient address rejected: no~",
     NOTE(PREFIX) | NOTE(LATER)},
    {"lines through policy",
     REJECT_550,
     {"a", "b"},
     PHASE_DATA,
     PHASE_DATA,
     POSTFIX_POLICY,
     "data:550 5.7.1 <DATA>: Data command rejected: a b~",
     NOTE(PREFIX) | NOTE(LINES_JOINED) | NOTE(TRANSACTION_OPEN)},
    {"end through policy",
     REJECT_550,
     {"\xff\n"},
     PHASE_EOM,
     PHASE_EOM,
     POSTFIX_POLICY,
     "eom:550 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: ?~",
     NOTE(PREFIX) | NOTE(NOT_ASCII) | NOTE(CONTROLS) | NOTE(END_OPEN)},
    {"enhanced through policy",
     OUTCOME_REJECT,
     551,
     {5, 1, 6},
     {"no"},
     PHASE_ETRN,
     PHASE_ETRN,
     POSTFIX_POLICY,
     "etrn:551 5.0.0 <relay.example>: Etrn command rejected: no~",
     NOTE(PREFIX) | NOTE(ENHANCED_CHANGED)},
    {"none through policy",
     OUTCOME_REJECT,
     550,
     {0, 0, 0},
     {"no"},
     PHASE_VRFY,
     PHASE_VRFY,
     POSTFIX_POLICY,
     "vrfy:550 5.7.1 <b c@example.org>: Recipient address rejected: no~",
     NOTE(PREFIX) | NOTE(ENHANCED_ADDED)},
    {"disconnect through policy",
     BYE_421,
     {"bye"},
     PHASE_CONNECT,
     PHASE_RCPT,
     POSTFIX_POLICY,
     "rcpt!421 4.7.0 <b c@example.org>: Recipient address rejected: bye~",
     NOTE(PREFIX) | NOTE(LATER)},
    {"policy is no door of Sendmail", REJECT_550, {"no"}, PHASE_RCPT, PHASE_RCPT, DOOR_POLICY, MTA_SENDMAIL, "", NOTE(NOT_ASKED)},

    {"milter", REJECT_550, {"no"}, PHASE_RCPT, PHASE_RCPT, POSTFIX_MILTER, "rcpt:550 5.7.1 no~", 0},
    {"lines",
     REJECT_550,
     {"100%", "", "z"},
     PHASE_EOM,
     PHASE_EOM,
     POSTFIX_MILTER,
     "eom:550-5.7.1 100%~550-5.7.1  ~550 5.7.1 z~",
     NOTE(PERCENT)},
    {"letters",
     REJECT_550,
     {"caf\xc3\xa9\t"},
     PHASE_MAIL,
     PHASE_MAIL,
     POSTFIX_MILTER,
     "mail:550 5.7.1 caf???~",
     NOTE(NOT_ASCII) | NOTE(CONTROLS)},
    {"held", REJECT_550, {"no"}, PHASE_HELO, PHASE_HELO, POSTFIX_MILTER, "rcpt:550 5.7.1 no~", NOTE(LATER)},
    {"greeting of Postfix",
     BYE_421,
     {"a", "b"},
     PHASE_CONNECT,
     PHASE_CONNECT,
     POSTFIX_MILTER,
     "connect!421 mx.example.org Service unavailable - try again later~",
     NOTE(TEXT_LOST) | NOTE(LINES_CUT)},
    {"521 at connect",
     NEVER_521,
     {"no"},
     PHASE_CONNECT,
     PHASE_CONNECT,
     POSTFIX_MILTER,
     "connect:554 mx.example.org ESMTP not accepting connections~|mail!521 5.7.1 no~",
     NOTE(GREETING)},
    {"421 at HELO", BYE_421, {"a", "b"}, PHASE_HELO, PHASE_HELO, POSTFIX_MILTER, "helo!421-4.7.0 a~421 4.7.0 b~", 0},
    {"521 at HELO", NEVER_521, {"no"}, PHASE_HELO, PHASE_HELO, POSTFIX_MILTER, "mail!521 5.7.1 no~", NOTE(LATER)},
    {"unknown", OUTCOME_TEMPFAIL, 451, {4, 7, 1}, {"no"}, PHASE_UNKNOWN, PHASE_UNKNOWN, POSTFIX_MILTER, "unknown:451 4.7.1 no~", 0},
    {"another class",
     OUTCOME_REJECT,
     450,
     {4, 7, 1},
     {"no"},
     PHASE_RCPT,
     PHASE_RCPT,
     POSTFIX_MILTER,
     "rcpt:550 5.7.1 no~",
     NOTE(CODE_CHANGED) | NOTE(ENHANCED_CHANGED)},
    {"nothing to say",
     REJECT_550,
     {" "},
     PHASE_RCPT,
     PHASE_RCPT,
     POSTFIX_MILTER,
     "rcpt:550 5.7.1 recipient address refused by local policy~",
     NOTE(EMPTY_TEXT)},
    {"lines without a code",
     OUTCOME_REJECT,
     550,
     {0, 0, 0},
     {"a", "b"},
     PHASE_RCPT,
     PHASE_RCPT,
     POSTFIX_MILTER,
     "rcpt:550-5.0.0 a~550 5.0.0 b~",
     NOTE(ENHANCED_ADDED)},
    {"without a code", OUTCOME_REJECT, 550, {0, 0, 0}, {"a"}, PHASE_RCPT, PHASE_RCPT, POSTFIX_MILTER, "rcpt:550 a~", 0},
    {"VRFY is not the milter's", REJECT_550, {"no"}, PHASE_VRFY, PHASE_VRFY, POSTFIX_MILTER, "", NOTE(NOT_ASKED)},

    {"Sendmail's sender",
     REJECT_550,
     {"a", "b"},
     PHASE_MAIL,
     PHASE_MAIL,
     SENDMAIL_MILTER,
     "mail:550-5.7.1 <a@example.org>... a~550 5.7.1 b~",
     NOTE(PREFIX)},
    {"Sendmail's recipient",
     OUTCOME_TEMPFAIL,
     450,
     {4, 7, 1},
     {"no"},
     PHASE_CONNECT,
     PHASE_RCPT,
     SENDMAIL_MILTER,
     "rcpt:450 4.7.1 <\"b c\"@example.org>... no~",
     NOTE(PREFIX) | NOTE(LATER)},
    {"no address", OUTCOME_REJECT, 554, {5, 7, 1}, {"no"}, PHASE_RCPT, PHASE_RCPT, SENDMAIL_MILTER, "rcpt:554 5.7.1 no~", 0},
    {"Sendmail adds a code",
     OUTCOME_REJECT,
     554,
     {0, 0, 0},
     {"no"},
     PHASE_EOM,
     PHASE_EOM,
     SENDMAIL_MILTER,
     "eom:554 5.0.0 no~",
     NOTE(ENHANCED_ADDED)},
    {"a text that is a code",
     OUTCOME_REJECT,
     550,
     {0, 0, 0},
     {"5.7.9 no"},
     PHASE_MAIL,
     PHASE_MAIL,
     SENDMAIL_MILTER,
     "mail:550 5.7.9 <a@example.org>... no~",
     NOTE(PREFIX)},
    {"greeting of Sendmail",
     BYE_421,
     {"bye"},
     PHASE_CONNECT,
     PHASE_CONNECT,
     SENDMAIL_MILTER,
     "connect!421 4.7.0 mx.example.org closing connection~",
     NOTE(TEXT_LOST)},
    {"Sendmail's 521",
     NEVER_521,
     {"no"},
     PHASE_CONNECT,
     PHASE_CONNECT,
     SENDMAIL_MILTER,
     "connect:554 mx.example.org ESMTP not accepting messages~|mail:550 5.0.0 Command rejected~",
     NOTE(TEXT_LOST) | NOTE(NOT_CLOSED)},
    {"Sendmail's 521 at HELO",
     NEVER_521,
     {"no"},
     PHASE_HELO,
     PHASE_HELO,
     SENDMAIL_MILTER,
     "mail:521 5.7.1 no~",
     NOTE(LATER) | NOTE(REPEATED) | NOTE(NOT_CLOSED)},
    {"Sendmail's DATA", REJECT_550, {"no"}, PHASE_DATA, PHASE_DATA, SENDMAIL_MILTER, "data:550 5.7.1 no~", NOTE(TRANSACTION_OPEN)},
    {"socket map",
     OUTCOME_REJECT,
     550,
     {5, 7, 1},
     {"100% \"no\"", "caf\xc3\xa9"},
     PHASE_VRFY,
     PHASE_VRFY,
     DOOR_SOCKETMAP,
     MTA_SENDMAIL,
     "vrfy:550 5.7.1 100% 'no' caf?~",
     NOTE(LINES_JOINED) | NOTE(NOT_ASCII) | NOTE(MARKS) | NOTE(PERCENT)},
    {"socket map's 521",
     NEVER_521,
     {"bye"},
     PHASE_UNKNOWN,
     PHASE_UNKNOWN,
     DOOR_SOCKETMAP,
     MTA_SENDMAIL,
     "unknown!421 4.7.1 bye~",
     NOTE(CODE_CHANGED) | NOTE(ENHANCED_CHANGED)},
    {"socket map at VRFY",
     BYE_421,
     {"bye"},
     PHASE_CONNECT,
     PHASE_VRFY,
     DOOR_SOCKETMAP,
     MTA_SENDMAIL,
     "vrfy:421 4.7.0 bye~",
     NOTE(LATER) | NOTE(NOT_CLOSED)},
    {"EXPN is Sendmail's own", REJECT_550, {"no"}, PHASE_EXPN, PHASE_EXPN, SENDMAIL_MILTER, "", NOTE(NOT_ASKED)},
};

static const ReplyContext usual = {.server_name = "mx.example.org",
                                   .client_address = "192.0.2.1",
                                   .helo_name = "helo.example",
                                   .etrn_domain = "relay.example",
                                   .sender = "<a@example.org>",
                                   .recipient = "<\"b c\"@example.org>",
                                   .delay_reject = DELAY_REJECT_RCPT,
                                   .smtpd_delays = true};

static Verdict verdict_of(const Case *the, Slice lines[4]) {
  size_t count = 0;
  while (count < 4 && the->lines[count]) {
    lines[count] = slice_from(the->lines[count]);
    count++;
  }
  return (Verdict){.outcome = the->outcome,
                   .phase = the->rules,
                   .reply = {.code = the->code, .enhanced = the->enhanced, .lines = lines, .line_count = count}};
}

static char *seen_text(const CompiledReply *compiled) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; i < compiled->seen_count; i++) {
    const SeenReply *seen = &compiled->seen[i];
    g_string_append_printf(text, "%s%s%c%s", i > 0 ? "|" : "", phase_name(seen->phase), seen->closes ? '!' : ':', seen->bytes);
  }
  g_string_replace(text, "\r\n", "~", 0);
  return g_string_free(g_steal_pointer(&text), FALSE);
}

START_TEST(a_reply_is_seen) {
  const Case *the = &cases[_i];
  g_autoptr(Arena) arena = arena_new(0);
  Slice lines[4];
  Verdict verdict = verdict_of(the, lines);
  CompiledReply compiled = reply_compile(arena, &verdict, the->door, the->mta, the->asked, &usual);
  g_autofree char *seen = seen_text(&compiled);
  ck_assert_msg(strcmp(seen, the->seen) == 0, "%s: %s", the->name, seen);
  unsigned notes = 0;
  for (size_t i = 0; i < compiled.note_count; i++) {
    notes |= 1u << compiled.notes[i].kind;
    ck_assert_uint_gt(strlen(compiled.notes[i].sentence), 0);
  }
  ck_assert_msg(notes == the->notes, "%s: notes are %x, not %x", the->name, notes, the->notes);
}
END_TEST

static void assert_seen(const Verdict *verdict, Door door, Mta mta, const ReplyContext *context, const char *expected) {
  g_autoptr(Arena) arena = arena_new(0);
  CompiledReply compiled = reply_compile(arena, verdict, door, mta, verdict->phase, context);
  g_autofree char *seen = seen_text(&compiled);
  ck_assert_str_eq(seen, expected);
}

/* Our delay_reject and Postfix's smtpd_delay_reject, and the list that asks. */
START_TEST(settings_count) {
  Slice line = SLICE_LITERAL("no");
  Verdict connect = {.outcome = OUTCOME_REJECT, .phase = PHASE_CONNECT, .reply = {550, {5, 7, 1}, &line, 1}};
  Verdict later = {.outcome = OUTCOME_TEMPFAIL, .phase = PHASE_CONNECT, .reply = {450, {4, 7, 1}, &line, 1}};
  Verdict helo = connect;
  helo.phase = PHASE_HELO;
  ReplyContext context = usual;
  context.delay_reject = DELAY_REJECT_MAIL;
  assert_seen(&connect, SENDMAIL_MILTER, &context, "mail:550 5.7.1 <a@example.org>... no~");
  context.delay_reject = DELAY_REJECT_NO;
  assert_seen(&connect, POSTFIX_MILTER, &context, "connect:554 mx.example.org ESMTP not accepting connections~|mail:550 5.7.1 no~");
  assert_seen(&later, POSTFIX_MILTER, &context, "mail:450 4.7.1 no~");
  assert_seen(&later, SENDMAIL_MILTER, &context, "mail:451 4.3.2 Please try again later~");
  assert_seen(&helo, SENDMAIL_MILTER, &context, "mail:550 5.7.1 no~");
  context.list = POSTFIX_LIST_CLIENT;
  assert_seen(&helo, POSTFIX_POLICY, &context, "rcpt:550 5.7.1 <unknown[192.0.2.1]>: Client host rejected: no~");
  context.list = POSTFIX_LIST_OF_PHASE;
  context.smtpd_delays = false;
  assert_seen(&connect, POSTFIX_POLICY, &context, "connect:550 5.7.1 <unknown[192.0.2.1]>: Client host rejected: no~");
  assert_seen(&helo, POSTFIX_POLICY, &context, "helo:550 5.7.1 <helo.example>: Helo command rejected: no~");
}
END_TEST

START_TEST(long_texts_and_addresses) {
  g_autofree char *text = g_strnfill(2000, 'x'), *local = g_strnfill(300, 'y');
  Slice line = slice_from(text);
  Verdict verdict = {.outcome = OUTCOME_REJECT, .phase = PHASE_RCPT, .reply = {550, {5, 7, 1}, &line, 1}};
  g_autoptr(Arena) arena = arena_new(0);
  ReplyContext context = usual;
  CompiledReply compiled = reply_compile(arena, &verdict, POSTFIX_MILTER, PHASE_RCPT, &context);
  ck_assert_uint_eq(strlen(compiled.seen[0].bytes), strlen("550 5.7.1 \r\n") + LIMIT_REPLY_TEXT);
  ck_assert_int_eq(compiled.notes[0].kind, REPLY_NOTE_TEXT_CUT);
  compiled = reply_compile(arena, &verdict, POSTFIX_POLICY, PHASE_RCPT, &context);
  ck_assert_int_eq(compiled.notes[0].kind, REPLY_NOTE_TEXT_CUT);
  context.recipient = arena_printf(arena, "<%s>", local);
  compiled = reply_compile(arena, &verdict, SENDMAIL_MILTER, PHASE_RCPT, &context);
  ck_assert(strncmp(compiled.seen[0].bytes, "550 5.7.1 <yyy", 14) == 0);
  ck_assert_ptr_eq(strstr(compiled.seen[0].bytes, "y...y"), compiled.seen[0].bytes + 10 + 99); /* the middle is left out */
}
END_TEST

START_TEST(notes_have_names) {
  for (int kind = 0; kind < REPLY_NOTE_COUNT; kind++) {
    ck_assert_uint_gt(strlen(reply_note_name((ReplyNoteKind)kind)), 0);
    ck_assert_int_eq(reply_note_weight((ReplyNoteKind)kind) == REPLY_NOTE_DETAIL, reply_note_advice((ReplyNoteKind)kind)[0] == '\0');
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, a_reply_is_seen, 0, (int)G_N_ELEMENTS(cases));
  tcase_add_test(tests, settings_count);
  tcase_add_test(tests, long_texts_and_addresses);
  tcase_add_test(tests, notes_have_names);
}

UNIT_MAIN("reply_compiler", add_tests)
