/* test_format.c: the printed text parses to an equal tree and prints the same again; one-line texts for logs. */
#include "common/rules/action.h"
#include "common/rules/format.h"
#include "common/rules/parser.h"
#include "tests/lang/tree_equal.h"
#include "tests/unit/unit.h"

static void assert_stable(const char *text) {
  g_autoptr(Arena) arena = arena_new(0);
  Diagnostics *diagnostics = diagnostics_new();
  const RulesFile *file = rules_parse_text(arena, "t", slice_from(text), NULL, diagnostics);
  g_autofree char *told = diagnostics_print(diagnostics);
  ck_assert_str_eq(told, "");
  g_autofree char *once = rules_format(file);
  const RulesFile *again = rules_parse_text(arena, "t", slice_from(once), NULL, diagnostics);
  g_autofree char *told_again = diagnostics_print(diagnostics);
  ck_assert_str_eq(told_again, "");
  ck_assert_msg(rules_file_equal(file, again), "%s", once);
  g_autofree char *twice = rules_format(again);
  ck_assert_str_eq(once, twice);
  diagnostics_free(diagnostics);
}

static const char *const TEXTS[] = {
    "",
    "# only a comment",
    "\n\n\n# a\n\n\n\n# b\n\n\n",
    "include \"none/*.rules\" # c\n",
    "table a of net from file \"x y\" on error match optional keys exact\n",
    "table a of (string, ip) -> action { (\"a\", 192.0.2.1) -> \"OK\" }",
    "table a of string keys exact { \"a\", # one\n\n\n # two\n \"b\" # three\n # four\n }",
    "table a of string { # first\n}",
    "table a of int { 1, 2..3, -5, +6, 1.5 }",
    "dnslist d of domain \"x.example\" codes \"127.0.0.[2;3]\" on error match # c",
    "define a = \"{{x}} {a default \"{b}\"} {1} {(1)} { {1}..{2} } \\\\ \\\" \\n\"",
    "define a = ((b and c)) or ((d))",
    "define a = not (b == c)",
    "define a = (not b) == c",
    "define a = (b, (c, d)) in e[(f, g)]",
    "define a = (2001:db8::1).domain == (5).x and (1.5).y == \"z\".w and (b default c).v == u",
    "define a = any b has (c ~ /d\\/e/i and f !~ /g/c) # x",
    "define a = (b # one\n and # two\n c) # three",
    "define a = b in { 1, # one\n { 2, # two\n 3 } }",
    "define a = ::ffff:192.0.2.1 == 2001:DB8:0::1 and b in 2001:db8::/32",
    "at rcpt, connect when (a # x\n) { # y\n # z\n}",
    "at rcpt { reject } # end",
    "at rcpt { when a { pass } else when (b # c\n) { pass } else { pass } # d\n}",
    "at rcpt { [a] observe reject 550 5.7.1 \"x\" # why\n if a # because\n on error skip # or not\n\n # last\n }",
    "at rcpt {\n\n\n pass if a\n\n\n pass if b\n # c\n\n}\n\n\n\nat data { }",
};

START_TEST(stable) {
  assert_stable(TEXTS[_i]);
}
END_TEST

START_TEST(sets_break_at_100_columns) {
  for (int more = 0; more < 2; more++) {
    GString *text = g_string_new("table a of string { \"");
    size_t line = 100 + (size_t)more;
    while (text->len < line - strlen("\" }")) {
      g_string_append_c(text, 'x');
    }
    g_string_append(text, "\" }\n");
    g_autoptr(Arena) arena = arena_new(0);
    Diagnostics *diagnostics = diagnostics_new();
    g_autofree char *printed = rules_format(rules_parse_text(arena, "t", slice_make(text->str, text->len), NULL, diagnostics));
    ck_assert_uint_eq(diagnostics_count(diagnostics), 0);
    ck_assert_int_eq(strcmp(printed, text->str) == 0, more == 0);
    ck_assert_int_eq(strstr(printed, "{\n    \"") != NULL, more == 1);
    diagnostics_free(diagnostics);
    g_string_free(text, TRUE);
  }
}
END_TEST

START_TEST(texts_for_logs) {
  g_autoptr(Arena) arena = arena_new(0);
  Diagnostics *diagnostics = diagnostics_new();
  const char *text =
      "at rcpt {\n  reject   550 5.7.1  \"no\" \"way\" if a  in { \"b\", # c\n 5 }\n  score bulk  -2.5\n  set session.x = a default 5\n}";
  const RulesFile *file = rules_parse_text(arena, "t", slice_from(text), NULL, diagnostics);
  ck_assert_uint_eq(diagnostics_count(diagnostics), 0);
  const StatementNode *rule = file->declarations->body;
  ck_assert_str_eq(slice_to_string(arena, rules_format_action(arena, rule->action)), "reject 550 5.7.1 \"no\" \"way\"");
  ck_assert_str_eq(slice_to_string(arena, rules_format_expression(arena, rule->condition)), "a in { \"b\", 5 }");
  ck_assert_str_eq(slice_to_string(arena, rules_format_action(arena, rule->next->action)), "score bulk -2.5");
  ck_assert_str_eq(slice_to_string(arena, rules_format_action(arena, rule->next->next->action)), "set session.x = a default 5");
  diagnostics_free(diagnostics);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, stable, 0, G_N_ELEMENTS(TEXTS));
  tcase_add_test(tests, sets_break_at_100_columns);
  tcase_add_test(tests, texts_for_logs);
}

UNIT_MAIN("format", add_tests)
