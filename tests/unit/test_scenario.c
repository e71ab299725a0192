/*
 * test_scenario.c: the parser of scenarios: what it makes of good ones, and where it finds the fault in bad ones.
 */
#include "common/cli/scenario.h"
#include "common/rules/source.h"
#include "tests/unit/unit.h"

#define RULES "rules {\n  at rcpt { pass }\n}\n"
#define SESSION(steps) RULES "session \"s\" {\n  client 192.0.2.1\n" steps "}\n"

static Scenario *parse(Arena *arena, const char *text, Diagnostics *diagnostics) {
  return scenario_parse(arena, "test.scenario", source_from_text(arena, "test.scenario", slice_from(text)), diagnostics);
}

static Scenario *parse_good(Arena *arena, const char *text) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Scenario *scenario = parse(arena, text, diagnostics);
  g_autofree char *problems = diagnostics_print(diagnostics);
  ck_assert_msg(scenario != NULL, "%s", problems);
  ck_assert_str_eq(problems, "");
  return scenario;
}

START_TEST(test_sections) {
  g_autoptr(Arena) arena = arena_new(0);
  const Scenario *scenario = parse_good(arena,
                                        "server mail.example   # ours\nservice \"submission\"\nclock \"2026-01-02 03:04\"\n"
                                        "file \"d/f\" {\none\n # two\n}\n"
                                        "dns {\n  a.example A 127.0.0.2\n  a.example TXT \"say \\\"no\\\"\"\n  b.example fails SERVFAIL\n"
                                        "  c.example silent\n}\n" RULES
                                        "session \"first\" {\n client 192.0.2.1\n}\n"
                                        "rules from \"other.rules\"\nsession \"second\" through policy, mta {\n client ::1\n}\n");
  ck_assert_str_eq(scenario->server_name, "mail.example");
  ck_assert_str_eq(scenario->service, "submission");
  ck_assert_int_eq(scenario->clock, 1767323040);
  ck_assert_str_eq(scenario->files->name, "d/f");
  ck_assert(slice_equal(scenario->files->text, SLICE_LITERAL("one\n # two\n")));
  ck_assert_int_eq(scenario->dns->word, DNS_A);
  ck_assert_str_eq(scenario->dns->next->value, "say \"no\"");
  ck_assert_str_eq(scenario->dns->next->next->value, "SERVFAIL");
  ck_assert_int_eq(scenario->dns->next->next->next->word, DNS_SILENT);
  ck_assert_uint_eq(scenario->rules_count, 2);
  ck_assert_str_eq(scenario->rules[1].path, "other.rules");
  const ScenarioSession *second = scenario->sessions->next;
  ck_assert_uint_eq(scenario->sessions->rules, 0);
  ck_assert_uint_eq(second->rules, 1);
  ck_assert_uint_eq(scenario->sessions->doors, DOOR_BIT(DOOR_POLICY) | DOOR_BIT(DOOR_MILTER));
  ck_assert_uint_eq(second->doors, DOOR_BIT(DOOR_POLICY));
  ck_assert(second->through_mta && !scenario->sessions->through_mta);
}
END_TEST

START_TEST(test_rules_keep_their_lines) {
  g_autoptr(Arena) arena = arena_new(0);
  const Scenario *scenario = parse_good(arena, "\n# two lines before\n" SESSION(""));
  ck_assert_str_eq(scenario->rules[0].text, "\n\n\n  at rcpt { pass }\n");
}
END_TEST

static const ScenarioStep *only_step(Arena *arena, const char *step) {
  g_autofree char *text = g_strdup_printf(RULES "session \"s\" {\n client 192.0.2.1\n %s\n}\n", step);
  return parse_good(arena, text)->sessions->steps->next;
}

/* A step, how it is printed, and what is expected through each door; NULL: it is not asked. */
static const struct {
  const char *text, *printed, *policy, *milter;
} steps[] = {
    {"helo a.example", "helo a.example", NULL, "ok"},
    {"mail <a@b> size 10K", "mail <a@b> size 10240", "ok", "ok"},
    {"mail <\"a> b\"@c>   # comment", "mail <\"a> b\"@c>", "ok", "ok"},
    {"mail <>", "mail <>", "ok", "ok"},
    {"rcpt <a@b> through policy", "rcpt <a@b>", "ok", NULL},
    {"rcpt <a@b> -> reject 550 5.7.1 \"a\" \"b\" by x", "rcpt <a@b>", "reject 550 5.7.1 \"a\" \"b\" by x",
     "reject 550 5.7.1 \"a\" \"b\" by x"},
    {"rcpt <a@b> -> reject 5.7.1", "rcpt <a@b>", "reject 5.7.1", "reject 5.7.1"},
    {"rcpt <a@b> -> tempfail through milter", "rcpt <a@b>", NULL, "tempfail"},
    {"rcpt <a@b>\n -> ok through milter\n -> pass without effects through policy", "rcpt <a@b>", "pass without effects", "ok"},
    {"data -> ok with prepend header \"A\" \"b \\\"c\\\"\" with log \"d\"", "data",
     "ok with prepend header \"A\" \"b \\\"c\\\"\" with log \"d\"", "ok with prepend header \"A\" \"b \\\"c\\\"\" with log \"d\""},
    {"message -> discard with delay 2m with observed x with failed \"dnslist z\"", "message",
     "discard with delay 120s with observed x with failed \"dnslist z\"",
     "discard with delay 120s with observed x with failed \"dnslist z\""},
    {"vrfy a@b", "vrfy a@b", "ok", NULL},
    {"etrn b", "etrn b", "ok", NULL},
    {"unknown \"EXPN staff\"", "unknown \"EXPN staff\"", NULL, "ok"},
    {"set sasl_username \"x\"", "set sasl_username \"x\"", NULL, NULL},
    {"unset sasl_username", "unset sasl_username", NULL, NULL},
    {"clock +1h", "clock +1h", NULL, NULL},
    {"quit", "quit", NULL, NULL},
};

static void assert_expected(Arena *arena, const Expectation *expected, const char *text) {
  ck_assert_pstr_eq(expected ? expectation_text(arena, expected) : NULL, text);
}

START_TEST(test_steps) {
  g_autoptr(Arena) arena = arena_new(0);
  const ScenarioStep *step = only_step(arena, steps[_i].text);
  ck_assert_str_eq(step_text(arena, step), steps[_i].printed);
  assert_expected(arena, step->expected[DOOR_POLICY], steps[_i].policy);
  assert_expected(arena, step->expected[DOOR_MILTER], steps[_i].milter);
  ck_assert_ptr_null(step->next);
}
END_TEST

/* What is wrong, and where: line:column. */
static const struct {
  const char *text, *place, *message;
} faults[] = {
    {"", "1:1", "there is no session"},
    {"session \"s\" {\n client 192.0.2.1\n}\n", "1:1", "the session has no rules"},
    {"rules {\n at rcpt { pass }\n", "1:1", "the block does not end"},
    {"rules\n", "1:6", "which rules?"},
    {"file \"a/../b\" {\n}\n", "1:6", "this is no file of the scenario's folder"},
    {RULES "session {\n client 192.0.2.1\n}\n", "4:9", "{ is not in quotes"},
    {"dns {\n a A 1.2.3.4 5\n}\n", "2:14", "5 is too much"},
    {"dns {\n", "1:1", "the block does not end"},
    {"sesion \"s\" {\n", "1:1", "sesion begins nothing"},
    {SESSION("  client 192.0.2.1 port 0\n"), "6:25", "0 is no such number"},
    {SESSION("  helo\n"), "6:7", "the line ends too early"},
    {SESSION("  rcpt <>\n"), "6:8", "<> is no address"},
    {SESSION("  rcpt <a@b> reject\n"), "6:14", "reject is too much"},
    {SESSION("  rcpt <a@b> -> reject 250\n"), "6:24", "250 is too much"},
    {SESSION("  rcpt <a@b> -> ok 550\n"), "6:20", "550 is too much"},
    {SESSION("  helo a -> reject through policy\n"), "6:10", "this door is not asked at helo"},
    {SESSION("  etrn a through milter\n"), "6:3", "no door that the step goes through is asked at etrn"},
    {SESSION("  rset -> ok\n"), "6:8", "nobody is asked at rset"},
    {SESSION("  set time \"x\"\n"), "6:7", "time cannot be set"},
    {SESSION("  clock +x\n"), "6:9", "+x is no time"},
    {SESSION("  -> ok\n  -> ok\n"), "7:3", "what is expected through milter was said before"},
    {RULES "session \"s\" {\n  helo a\n}\n", "5:3", "nobody has connected"},
    {RULES "session \"s\" {\n  client 192.0.2.1\n", "4:1", "the session does not end"},
    {"server a\x01\n", "1:9", NULL},
};

START_TEST(test_faults) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  ck_assert_ptr_null(parse(arena, faults[_i].text, diagnostics));
  ck_assert_uint_ge(diagnostics_error_count(diagnostics), 1);
  const Diagnostic *first = diagnostics_get(diagnostics, 0);
  unsigned line, column;
  source_position(first->span, &line, &column);
  g_autofree char *place = g_strdup_printf("%u:%u", line, column);
  if (faults[_i].message) {
    ck_assert_str_eq(first->message, faults[_i].message);
  }
  ck_assert_str_eq(place, faults[_i].place);
}
END_TEST

START_TEST(test_dns_alone) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  ScenarioDns *answers;
  const SourceText *good = source_from_text(arena, "dns", SLICE_LITERAL("# none\n\na.example AAAA 2001:db8::1\nb.example silent\n"));
  ck_assert(scenario_parse_dns(arena, good, diagnostics, &answers));
  ck_assert_str_eq(answers->value, "2001:db8::1");
  ck_assert_str_eq(answers->next->name, "b.example");
  ck_assert_ptr_null(answers->next->next);
  ck_assert(scenario_parse_dns(arena, source_from_text(arena, "dns", SLICE_LITERAL("\n")), diagnostics, &answers));
  ck_assert_ptr_null(answers);
  ck_assert(!scenario_parse_dns(arena, source_from_text(arena, "dns", SLICE_LITERAL("a.example A\n")), diagnostics, &answers));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, test_sections);
  tcase_add_test(tests, test_rules_keep_their_lines);
  tcase_add_loop_test(tests, test_steps, 0, G_N_ELEMENTS(steps));
  tcase_add_loop_test(tests, test_faults, 0, G_N_ELEMENTS(faults));
  tcase_add_test(tests, test_dns_alone);
}

UNIT_MAIN("scenario", add_tests)
