/*
 * test_index.c: which statements have access tests, and why others have none; that an index reads few statements of many.
 */
#include "common/rules/index.h"
#include "common/rules/regex_set.h"
#include "common/rules/trace.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

static const struct {
  const char *condition, *reason; /* NULL: it has tests */
} cases[] = {
    {"client_address == 192.0.2.1", NULL},
    {"client_address in { 192.0.2.0/24, 2001:db8::1 }", NULL},
    {"sender.domain under \"example.org\"", NULL},
    {"sender in banned", NULL},
    {"helo_name ~ /dsl-[0-9]/", NULL},
    {"size == 10", NULL},
    {"not (not (sender == <>))", NULL},
    {"sender == <> or helo_name == \"x.example\"", NULL},
    {"sender.domain == \"x.example\" and client_address in zen", NULL},
    {"size > 10 and sender == <>", NULL},
    {"size > 10", "order (<, <=, >, >=) has no index"},
    {"size in 1..5", "ranges have no index"},
    {"sender != <>", "it says what is not so (not, unless, !=, !~)"},
    {"sender == <> or size > 10", "order (<, <=, >, >=) has no index"},
    {"helo_name ~ /^([0-9])\\1+$/", "the regex has no text of two characters or more that must be there"},
    {"client_address in zen", "it asks a table or list"},
    {"session.v == \"x\"", "what is compared is a variable or a score"},
    {"sasl_username is set", "`is set` has no index"},
    {"helo_name == server_name", "two facts are compared with each other"},
    {"client_address in zen and sender == <>", NULL},
    {"client_address in zen and not (helo_name ~ /a/) and sender under \"evil.test\"", NULL},
    {"client_address in zen and size > 5", "order (<, <=, >, >=) has no index"},
};

static void take_reason(const Statement *statement, bool inside, const char *reason, void *data) {
  (void)statement, (void)inside;
  *(const char **)data = reason;
}

START_TEST(conditions_have_tests_or_a_reason) {
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *rules = g_strdup_printf(
        "table banned of address { \"@evil.test\" }\ndnslist zen of ip \"zen\"\nat vrfy {\n  set session.v = \"\" if client_port == 1\n}\n"
        "at rcpt {\n  [x] reject if %s\n}\n",
        cases[i].condition);
    Fixture *fixture = fixture_new(rules);
    const char *reason = NULL;
    IndexCost cost = index_cost(fixture_ruleset(fixture), PHASE_RCPT, &(IndexVisitor){take_reason, NULL, &reason});
    /* Of a regex, where the program is built with libhs, more is told than where it is not. */
    bool is_told = reason == cases[i].reason || (reason != NULL && cases[i].reason != NULL && g_str_has_prefix(reason, cases[i].reason));
    ck_assert_msg(is_told, "%s: %s", cases[i].condition, reason != NULL ? reason : "(has tests)");
    ck_assert_uint_eq(cost.statements, 1);
    ck_assert_uint_eq(cost.always, reason != NULL);
    fixture_free(fixture);
  }
}
END_TEST

/* Where there is libhs, before and after it has compiled them. */
START_TEST(regexes_without_a_literal_decide) {
  enum { RULES = 1100 };
  g_autoptr(GString) rules = g_string_new("at rcpt {\n");
  for (unsigned i = 0; i < RULES; i++)
    g_string_append_printf(rules, "  [r%u] reject if helo_name ~ /^[a-c]{%u}%c?%c?$/\n", i, i % 5 + 1, 'd' + i / 5 % 10, 'd' + i / 50);
  g_string_append(rules, "}\n");
  Fixture *fixture = fixture_new(rules->str);
  IndexCost cost = index_cost(fixture_ruleset(fixture), PHASE_RCPT, NULL);
  ck_assert_uint_eq(cost.regexes, regex_set_engine() != NULL ? REGEX_SET_MAX : 0);
  ck_assert_uint_eq(cost.always + cost.regexes, RULES);
  for (int round = 0; round < 2; round++) {
    fixture_facts(fixture, "helo_name=abc sender=u3@example.org recipient=a@example.org");
    ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "reject 550 5.7.1 r2 \"recipient address refused by local policy\"");
    fixture_facts(fixture, "helo_name=abdx");
    ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "reject 550 5.7.1 r1001 \"recipient address refused by local policy\"");
    fixture_facts(fixture, "helo_name=abc1");
    ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "pass");
    ck_assert_uint_eq(program_index_prepare(fixture_ruleset(fixture)), regex_set_engine() != NULL);
  }
  fixture_free(fixture);
}
END_TEST

START_TEST(small_phases_are_walked) {
  for (unsigned count = INDEX_STATEMENTS_MIN - 1; count <= INDEX_STATEMENTS_MIN; count++) {
    g_autoptr(GString) rules = g_string_new("at rcpt {\n");
    for (unsigned i = 0; i < count; i++)
      g_string_append_printf(rules, "  [r%u] reject if sender == \"u%u@example.org\"\n", i, i);
    g_string_append(rules, "}\n");
    Fixture *fixture = fixture_new(rules->str);
    ck_assert((fixture_ruleset(fixture)->phases[PHASE_RCPT].index != NULL) == (count >= INDEX_STATEMENTS_MIN));
    fixture_facts(fixture, "sender=u1@example.org recipient=a@example.org");
    ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "reject 550 5.7.1 r1 \"recipient address refused by local policy\"");
    fixture_facts(fixture, "sender=u99@example.org");
    ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "pass");
    fixture_free(fixture);
  }
}
END_TEST

typedef struct CountingTrace {
  Trace base;
  unsigned statements;
} CountingTrace;

static void count_statement(Trace *trace, const Statement *statement, const Value *condition, bool decided) {
  ((CountingTrace *)trace)->statements++;
  (void)statement;
  (void)condition;
  (void)decided;
}

/* What explain prints is each step of the walk. */
START_TEST(a_trace_walks) {
  g_autoptr(GString) rules = g_string_new("at rcpt {\n");
  for (unsigned i = 0; i < 40; i++)
    g_string_append_printf(rules, "  [r%u] log \"x\" if sender == \"u%u@example.org\"\n", i, i);
  g_string_append(rules, "}\n");
  Fixture *fixture = fixture_new(rules->str);
  CountingTrace trace = {.base = {.statement = count_statement}};
  EvaluationOptions options = {.trace = &trace.base};
  fixture_facts(fixture, "sender=u39@example.org recipient=a@example.org");
  ck_assert_str_eq(fixture_run_with(fixture, PHASE_RCPT, &options), "pass; log r39 x");
  ck_assert_uint_eq(trace.statements, 40);
  ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "pass; log r39 x");
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, conditions_have_tests_or_a_reason);
  tcase_add_test(tests, regexes_without_a_literal_decide);
  tcase_add_test(tests, small_phases_are_walked);
  tcase_add_test(tests, a_trace_walks);
}

UNIT_MAIN("index", add_tests)
