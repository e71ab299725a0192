/*
 * test_milter_encode.c: replies that neither libmilter nor an MTA spoils.
 */
#include "common/base/limits.h"
#include "common/door/milter_session.h"
#include "tests/unit/unit.h"

typedef struct Case {
  const char *name;
  Outcome outcome;
  uint16_t code;
  EnhancedCode enhanced;
  const char *line; /* NULL: no lines */
  Phase phase;
  MilterAction action;
  const char *code_text, *enhanced_text, *first;
} Case;

static const Case cases[] = {
    {"plain", OUTCOME_REJECT, 550, {5, 7, 1}, "no", PHASE_RCPT, MILTER_REJECT, "550", "5.7.1", "no"},
    {"percent", OUTCOME_REJECT, 550, {5, 7, 1}, "100% sure%", PHASE_RCPT, MILTER_REJECT, "550", "5.7.1", "100%% sure%%"},
    {"controls", OUTCOME_REJECT, 550, {5, 7, 1}, "a\r\n250 ok\tb\x7f", PHASE_RCPT, MILTER_REJECT, "550", "5.7.1", "a??250 ok?b?"},
    {"eight bits", OUTCOME_TEMPFAIL, 450, {4, 7, 1}, "caf\xc3\xa9", PHASE_RCPT, MILTER_TEMPFAIL, "450", "4.7.1", "caf??"},
    {"no enhanced code", OUTCOME_REJECT, 554, {0, 0, 0}, "no", PHASE_EOM, MILTER_REJECT, "554", "", "no"},
    {"another class", OUTCOME_TEMPFAIL, 450, {5, 7, 1}, "later", PHASE_RCPT, MILTER_TEMPFAIL, "450", "4.7.1", "later"},
    {"large numbers", OUTCOME_REJECT, 556, {5, 999, 999}, "x", PHASE_RCPT, MILTER_REJECT, "556", "5.999.999", "x"},
    {"a code of the other class", OUTCOME_REJECT, 450, {4, 7, 1}, "x", PHASE_RCPT, MILTER_REJECT, "550", "5.7.1", "x"},
    {"no code", OUTCOME_TEMPFAIL, 0, {0, 0, 0}, "x", PHASE_RCPT, MILTER_TEMPFAIL, "450", "4.7.1", "x"},
    {"disconnect 421", OUTCOME_DISCONNECT, 421, {4, 3, 2}, "bye", PHASE_CONNECT, MILTER_TEMPFAIL, "421", "4.3.2", "bye"},
    {"disconnect 521", OUTCOME_DISCONNECT, 521, {5, 7, 1}, "bye", PHASE_HELO, MILTER_REJECT, "521", "5.7.1", "bye"},
};

static Verdict verdict_of(const Case *the, Slice *line) {
  *line = slice_from(the->line);
  return (Verdict){.outcome = the->outcome,
                   .phase = the->phase,
                   .reply = {.code = the->code, .enhanced = the->enhanced, .lines = line, .line_count = the->line ? 1 : 0}};
}

START_TEST(a_reply_is_cleaned) {
  const Case *the = &cases[_i];
  g_autoptr(Arena) arena = arena_new(0);
  Slice line;
  Verdict verdict = verdict_of(the, &line);
  MilterResult result = milter_encode(arena, &verdict, the->phase);
  ck_assert_msg(result.has_reply && result.action == the->action, "%s", the->name);
  ck_assert_str_eq(result.code, the->code_text);
  ck_assert_str_eq(result.enhanced, the->enhanced_text);
  ck_assert_str_eq(result.lines[0], the->first);
  ck_assert_ptr_null(result.lines[1]);
}
END_TEST

START_TEST(an_empty_text_becomes_the_default) {
  static const char *const empty[] = {NULL, "", "  "};
  for (size_t i = 0; i < G_N_ELEMENTS(empty); i++) {
    g_autoptr(Arena) arena = arena_new(0);
    Slice line;
    Case the = {"empty", OUTCOME_REJECT, 550, {5, 7, 1}, empty[i], PHASE_RCPT, MILTER_REJECT, NULL, NULL, NULL};
    Verdict verdict = verdict_of(&the, &line);
    MilterResult result = milter_encode(arena, &verdict, PHASE_RCPT);
    ck_assert_str_eq(result.code, "550");
    ck_assert_uint_gt(strlen(result.lines[0]), 2);
    ck_assert_ptr_null(result.lines[1]);
  }
}
END_TEST

START_TEST(long_lines_are_cut) {
  static const char bytes[] = {'x', '%'};
  for (size_t k = 0; k < 2; k++) {
    g_autoptr(Arena) arena = arena_new(0);
    g_autofree char *text = g_malloc(4000);
    memset(text, bytes[k], 4000);
    text[0] = 'a';
    Slice line = slice_make(text, 4000);
    Verdict verdict = {.outcome = OUTCOME_REJECT, .phase = PHASE_RCPT, .reply = {550, {5, 7, 1}, &line, 1}};
    MilterResult result = milter_encode(arena, &verdict, PHASE_RCPT);
    size_t length = strlen(result.lines[0]);
    ck_assert_uint_le(length, LIMIT_REPLY_TEXT);
    ck_assert_uint_ge(length, LIMIT_REPLY_TEXT - 1);
    ck_assert_uint_eq(k == 1 ? (length - 1) % 2 : 0, 0); /* a pair of '%' is never cut */
  }
}
END_TEST

START_TEST(many_lines) {
  Slice lines[40];
  for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
    lines[i] = i == 1 ? SLICE_EMPTY : SLICE_LITERAL("line");
  }
  g_autoptr(Arena) arena = arena_new(0);
  Verdict verdict = {.outcome = OUTCOME_REJECT, .phase = PHASE_RCPT, .reply = {550, {5, 7, 1}, lines, G_N_ELEMENTS(lines)}};
  MilterResult result = milter_encode(arena, &verdict, PHASE_RCPT);
  size_t count = 0;
  while (result.lines[count]) {
    ck_assert_uint_ge(strlen(result.lines[count]), 1);
    count++;
  }
  ck_assert_uint_eq(count, LIMIT_REPLY_LINES);
  verdict.outcome = OUTCOME_DISCONNECT;
  verdict.reply.code = 421;
  result = milter_encode(arena, &verdict, PHASE_CONNECT);
  ck_assert_str_eq(result.lines[0], "line");
  ck_assert_ptr_null(result.lines[1]); /* Sendmail: several lines are no 421 there */
  result = milter_encode(arena, &verdict, PHASE_RCPT);
  ck_assert_ptr_nonnull(result.lines[LIMIT_REPLY_LINES - 1]);
}
END_TEST

/* Sendmail's process hangs on a longer one. */
START_TEST(many_long_lines) {
  g_autofree char *text = g_strnfill(LIMIT_REPLY_TEXT, 'x');
  Slice lines[LIMIT_REPLY_LINES];
  for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
    lines[i] = slice_from(text);
  }
  g_autoptr(Arena) arena = arena_new(0);
  Verdict verdict = {.outcome = OUTCOME_REJECT, .phase = PHASE_RCPT, .reply = {550, {5, 7, 1}, lines, G_N_ELEMENTS(lines)}};
  MilterResult result = milter_encode(arena, &verdict, PHASE_RCPT);
  size_t total = 0, count = 0;
  for (; result.lines[count]; count++) {
    total += strlen("550-5.7.1 \r\n") + strlen(result.lines[count]);
  }
  ck_assert_uint_le(total, LIMIT_REPLY_BYTES);
  ck_assert_uint_ge(total, LIMIT_REPLY_BYTES - LIMIT_REPLY_TEXT - 20);
  ck_assert_uint_gt(count, 2);
}
END_TEST

START_TEST(accept_and_discard_know_their_place) {
  static const struct {
    Outcome outcome;
    Scope scope;
    Phase phase;
    MilterAction action;
  } places[] = {
      {OUTCOME_PASS, SCOPE_SESSION, PHASE_RCPT, MILTER_CONTINUE},       {OUTCOME_ACCEPT, SCOPE_SESSION, PHASE_CONNECT, MILTER_ACCEPT},
      {OUTCOME_ACCEPT, SCOPE_SESSION, PHASE_HELO, MILTER_ACCEPT},       {OUTCOME_ACCEPT, SCOPE_MESSAGE, PHASE_MAIL, MILTER_ACCEPT},
      {OUTCOME_ACCEPT, SCOPE_RECIPIENT, PHASE_RCPT, MILTER_CONTINUE},   {OUTCOME_ACCEPT, SCOPE_MESSAGE, PHASE_EOM, MILTER_ACCEPT},
      {OUTCOME_ACCEPT, SCOPE_SESSION, PHASE_UNKNOWN, MILTER_CONTINUE},  {OUTCOME_ACCEPT, SCOPE_SESSION, PHASE_EXPN, MILTER_CONTINUE},
      {OUTCOME_DISCARD, SCOPE_MESSAGE, PHASE_EOM, MILTER_DISCARD},      {OUTCOME_DISCARD, SCOPE_MESSAGE, PHASE_UNKNOWN, MILTER_CONTINUE},
      {OUTCOME_DISCARD, SCOPE_MESSAGE, PHASE_CONNECT, MILTER_CONTINUE},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
    g_autoptr(Arena) arena = arena_new(0);
    Verdict verdict = {.outcome = places[i].outcome, .accept_scope = places[i].scope, .phase = places[i].phase};
    MilterResult result = milter_encode(arena, &verdict, places[i].phase);
    ck_assert_msg(result.action == places[i].action, "case %zu", i);
    ck_assert(!result.has_reply);
  }
}
END_TEST

START_TEST(texts_of_effects) {
  g_autoptr(Arena) arena = arena_new(0);
  ck_assert_str_eq(milter_effect_text(arena, SLICE_LITERAL("a\r\nBcc: x\xc3\xa9")), "a??Bcc: x??");
  ck_assert_str_eq(milter_effect_text(arena, SLICE_EMPTY), " ");
  g_autofree char *text = g_malloc(10000);
  memset(text, 'x', 10000);
  ck_assert_uint_eq(strlen(milter_effect_text(arena, slice_make(text, 10000))), LIMIT_HEADER_VALUE);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, a_reply_is_cleaned, 0, (int)G_N_ELEMENTS(cases));
  tcase_add_test(tests, an_empty_text_becomes_the_default);
  tcase_add_test(tests, long_lines_are_cut);
  tcase_add_test(tests, many_lines);
  tcase_add_test(tests, many_long_lines);
  tcase_add_test(tests, accept_and_discard_know_their_place);
  tcase_add_test(tests, texts_of_effects);
}

UNIT_MAIN("milter_encode", add_tests)
