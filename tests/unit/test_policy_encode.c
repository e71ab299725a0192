/* test_policy_encode.c: verdicts as policy actions: nothing that Postfix would misread. */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/policy.h"
#include "tests/unit/unit.h"

static void assert_action(const Verdict *verdict, const Effect *effect, bool accept_is_ok, const char *expected) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice action = policy_encode(arena, verdict, effect, accept_is_ok);
  ck_assert_msg(slice_equal(action, slice_from(expected)), "\"%.*s\" is not \"%s\"", SLICE_ARGS(action), expected);
}

static Verdict refusal(Outcome outcome, uint16_t code, EnhancedCode enhanced, const Slice *lines, size_t count) {
  return (Verdict){
      .outcome = outcome, .phase = PHASE_RCPT, .reply = {.code = code, .enhanced = enhanced, .lines = lines, .line_count = count}};
}

START_TEST(test_pass_and_accept) {
  assert_action(&(Verdict){.outcome = OUTCOME_PASS}, NULL, false, "DUNNO");
  assert_action(&(Verdict){.outcome = OUTCOME_PASS}, NULL, true, "DUNNO");
  assert_action(&(Verdict){.outcome = OUTCOME_ACCEPT}, NULL, false, "DUNNO");
  assert_action(&(Verdict){.outcome = OUTCOME_ACCEPT}, NULL, true, "OK");
}
END_TEST

static const struct {
  Outcome outcome;
  uint16_t code;
  EnhancedCode enhanced;
  Slice text;
  const char *action;
} replies[] = {
    {OUTCOME_REJECT, 550, {5, 7, 1}, SLICE_LITERAL("no"), "550 5.7.1 no"},
    {OUTCOME_TEMPFAIL, 450, {4, 7, 1}, SLICE_LITERAL("later"), "450 4.7.1 later"},
    {OUTCOME_DISCONNECT, 421, {4, 7, 0}, SLICE_LITERAL("bye"), "421 4.7.0 bye"},
    {OUTCOME_DISCONNECT, 521, {5, 7, 0}, SLICE_LITERAL("bye"), "521 5.7.0 bye"},
    /* the class of the enhanced code fits */
    {OUTCOME_REJECT, 550, {4, 2, 0}, SLICE_LITERAL("x"), "550 5.2.0 x"},
    {OUTCOME_TEMPFAIL, 450, {5, 1, 1}, SLICE_LITERAL("x"), "450 4.1.1 x"},
    /* none: said as Postfix would, so that a text is never read as one */
    {OUTCOME_REJECT, 554, {0, 0, 0}, SLICE_LITERAL("4.4.4 is my version"), "554 5.7.1 4.4.4 is my version"},
    {OUTCOME_REJECT, 550, {5, 7, 1}, SLICE_LITERAL("123"), "550 5.7.1 123"},
    /* codes that no reply has */
    {OUTCOME_REJECT, 250, {2, 0, 0}, SLICE_LITERAL("ok"), "550 5.0.0 ok"},
    {OUTCOME_TEMPFAIL, 0, {0, 0, 0}, SLICE_LITERAL("x"), "450 4.7.1 x"},
    /* controls, bytes that are no text */
    {OUTCOME_REJECT,
     550,
     {5, 7, 1},
     SLICE_LITERAL("a\r\nb\tc\0d\x7f"
                   "e"),
     "550 5.7.1 a  b c d e"},
    {OUTCOME_REJECT, 550, {5, 7, 1}, SLICE_LITERAL("caf\xc3\xa9 \xff\xc3 \xc2\x85."), "550 5.7.1 caf\xc3\xa9 ??  ."},
    {OUTCOME_REJECT, 550, {5, 7, 1}, SLICE_LITERAL("  lead and trail  "), "550 5.7.1 lead and trail"},
    {OUTCOME_REJECT, 550, {5, 7, 1}, SLICE_LITERAL("100%"), "550 5.7.1 100%"},
};

START_TEST(test_replies) {
  Verdict verdict = refusal(replies[_i].outcome, replies[_i].code, replies[_i].enhanced, &replies[_i].text, 1);
  assert_action(&verdict, NULL, false, replies[_i].action);
}
END_TEST

START_TEST(test_several_lines_are_one) {
  static const Slice lines[] = {SLICE_LITERAL("first"), SLICE_LITERAL("second"), SLICE_LITERAL("third")};
  Verdict verdict = refusal(OUTCOME_REJECT, 550, (EnhancedCode){5, 7, 1}, lines, 3);
  assert_action(&verdict, NULL, false, "550 5.7.1 first second third");
}
END_TEST

/* A code without a text would be OK, so there is always one. */
START_TEST(test_never_without_text) {
  static const Slice texts[] = {{NULL, 0}, SLICE_LITERAL(" "), SLICE_LITERAL("\r\n"), SLICE_LITERAL("\t \x01")};
  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    for (int outcome = OUTCOME_TEMPFAIL; outcome <= OUTCOME_DISCONNECT; outcome++) {
      g_autoptr(Arena) arena = arena_new(0);
      Verdict verdict = refusal((Outcome)outcome, 0, (EnhancedCode){0, 0, 0}, &texts[i], 1);
      Slice action = policy_encode(arena, &verdict, NULL, false);
      ck_assert_msg(action.length > strlen("450 4.7.1 "), "%.*s", SLICE_ARGS(action));
      verdict.reply.line_count = 0;
      ck_assert_uint_gt(policy_encode(arena, &verdict, NULL, false).length, strlen("450 4.7.1 "));
    }
  }
}
END_TEST

START_TEST(test_cut_between_characters) {
  g_autoptr(GString) text = g_string_new("x");
  for (int i = 0; i < LIMIT_POLICY_TEXT; i++) {
    g_string_append(text, "\xc3\xa9");
  }
  Slice line = slice_make(text->str, text->len);
  g_autoptr(Arena) arena = arena_new(0);
  Verdict verdict = refusal(OUTCOME_REJECT, 550, (EnhancedCode){5, 7, 1}, &line, 1);
  Slice action = policy_encode(arena, &verdict, NULL, false);
  ck_assert_uint_eq(action.length, strlen("550 5.7.1 ") + LIMIT_POLICY_TEXT - 1); /* one byte, and characters of two */
  ck_assert(g_utf8_validate(action.data, (gssize)action.length, NULL));
}
END_TEST

static Effect header(Slice name, Slice value) {
  return (Effect){.kind = EFFECT_PREPEND_HEADER, .as.header = {.name = name, .value = value}};
}

START_TEST(test_effects) {
  Verdict pass = {.outcome = OUTCOME_PASS}, accept = {.outcome = OUTCOME_ACCEPT};
  Effect plain = header(SLICE_LITERAL("X-Policy"), SLICE_LITERAL("seen by mx"));
  assert_action(&pass, &plain, false, "PREPEND X-Policy: seen by mx");
  assert_action(&accept, &plain, true, "PREPEND X-Policy: seen by mx");
  Effect forged = header(SLICE_LITERAL("X-A:\r\nB c"), SLICE_LITERAL("one\r\nX-Evil: two\n\n"));
  assert_action(&pass, &forged, false, "PREPEND X-ABc: one  X-Evil: two");
  Effect nameless = header(SLICE_LITERAL(" :\r\n"), SLICE_LITERAL("x"));
  assert_action(&pass, &nameless, false, "DUNNO");
  Effect hold = {.kind = EFFECT_QUARANTINE_MESSAGE, .as.why = SLICE_LITERAL("looks\nodd")};
  assert_action(&pass, &hold, false, "HOLD looks odd");
  hold.as.why = SLICE_EMPTY;
  assert_action(&pass, &hold, false, "HOLD");
  Effect bcc = {.kind = EFFECT_BCC_MESSAGE, .as.address = SLICE_LITERAL("a@b.test")};
  assert_action(&pass, &bcc, false, "BCC a@b.test");
  Effect redirect = {.kind = EFFECT_REDIRECT_MESSAGE, .as.address = SLICE_LITERAL("\"a b\"@b.test")};
  assert_action(&accept, &redirect, true, "REDIRECT \"a b\"@b.test");
  Effect filter = {.kind = EFFECT_FILTER_MESSAGE, .as.filter = SLICE_LITERAL("smtp:[127.0.0.1]:25")};
  assert_action(&pass, &filter, false, "FILTER smtp:[127.0.0.1]:25");
  /* a refusal says nothing else */
  static const Slice no = SLICE_LITERAL("no");
  Verdict reject = refusal(OUTCOME_REJECT, 550, (EnhancedCode){5, 7, 1}, &no, 1);
  assert_action(&reject, &plain, false, "550 5.7.1 no");
}
END_TEST

/* What goes where is said whole or not at all; what the protocol has no word for is left out. */
START_TEST(test_effects_that_are_not_said) {
  Verdict pass = {.outcome = OUTCOME_PASS};
  Effect forged = {.kind = EFFECT_REDIRECT_MESSAGE, .as.address = SLICE_LITERAL("a@b.test\n\naction=OK")};
  assert_action(&pass, &forged, false, "DUNNO");
  Effect garbled = {.kind = EFFECT_BCC_MESSAGE, .as.address = SLICE_LITERAL("\377@b.test")};
  assert_action(&pass, &garbled, false, "DUNNO");
  Effect empty = {.kind = EFFECT_FILTER_MESSAGE, .as.filter = SLICE_EMPTY};
  assert_action(&pass, &empty, false, "DUNNO");
  static const EffectKind wordless[] = {EFFECT_APPEND_HEADER,    EFFECT_REPLACE_HEADER, EFFECT_DELETE_HEADER, EFFECT_ADD_RECIPIENT,
                                        EFFECT_REMOVE_RECIPIENT, EFFECT_CHANGE_SENDER,  EFFECT_UNDONE};
  for (size_t i = 0; i < G_N_ELEMENTS(wordless); i++) {
    Effect effect = {.kind = wordless[i]};
    assert_action(&pass, &effect, false, "DUNNO");
  }
}
END_TEST

START_TEST(test_header_value_is_cut) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (int i = 0; i < 2 * LIMIT_HEADER_VALUE; i++) {
    g_string_append_c(text, 'v');
  }
  g_autoptr(Arena) arena = arena_new(0);
  Effect effect = header(SLICE_LITERAL("X"), slice_make(text->str, text->len));
  Slice action = policy_encode(arena, &(Verdict){.outcome = OUTCOME_PASS}, &effect, false);
  ck_assert_uint_eq(action.length, strlen("PREPEND X: ") + LIMIT_HEADER_VALUE);
}
END_TEST

START_TEST(test_discard) {
  assert_action(&(Verdict){.outcome = OUTCOME_DISCARD, .discard_why = SLICE_LITERAL("spam\r\nx")}, NULL, false, "DISCARD spam  x");
  assert_action(&(Verdict){.outcome = OUTCOME_DISCARD}, NULL, false, "DISCARD");
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, test_pass_and_accept);
  tcase_add_loop_test(tests, test_replies, 0, G_N_ELEMENTS(replies));
  tcase_add_test(tests, test_several_lines_are_one);
  tcase_add_test(tests, test_never_without_text);
  tcase_add_test(tests, test_cut_between_characters);
  tcase_add_test(tests, test_effects);
  tcase_add_test(tests, test_effects_that_are_not_said);
  tcase_add_test(tests, test_header_value_is_cut);
  tcase_add_test(tests, test_discard);
}

UNIT_MAIN("policy_encode", add_tests)
