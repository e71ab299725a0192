/*
 * test_unknown.c: false, true, unknown, unset: the truth tables of the language, drawn; and what an unknown condition does.
 */
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

static const char tables[] =
    "table t of string from ahead \"t\"\n"
    "table skip of string from ahead \"skip\" on error skip\n"
    "table match of string from ahead \"match\" on error match\n"
    "table temp of string from ahead \"temp\" on error tempfail\n"
    "table map of string -> string from ahead \"map\" on error skip\n";

static const char script[] =
    "t yes = found\nt down = failed\nskip down = failed\nmatch down = failed\ntemp down = failed\nmap down = failed\nmap k = v\n";

static Fixture *load(const char *format, ...) G_GNUC_PRINTF(1, 2);

static Fixture *load(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *body = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *text = g_strdup_printf("%sat mail {\n%s\n}\n", tables, body);
  Fixture *fixture = fixture_new(text);
  fixture_facts(fixture, "client_port=2525 helo_name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa sender=a@example.org");
  fixture_script(fixture, script);
  return fixture;
}

/* One of T F ?: what a condition comes to. */
static char truth_of(const char *condition) {
  Fixture *fixture = load("[y] set session.y = (%s)", condition);
  (void)fixture_run(fixture, PHASE_MAIL);
  const char *value = fixture_variable(fixture, "session.y");
  char truth = strcmp(value, "true") == 0 ? 'T' : strcmp(value, "false") == 0 ? 'F' : strcmp(value, "?") == 0 ? '?' : 'x';
  fixture_free(fixture);
  return truth;
}

static const char *operand(char letter) {
  switch (letter) {
    case 'T':
      return "\"yes\" in t";
    case 'F':
      return "\"no\" in t";
    default:
      return "\"down\" in t";
  }
}

/* left, right, and, or */
static const char logic_table[][5] = {"TTTT", "TFFT", "T??T", "FTFT", "FFFF", "F?F?", "?T?T", "?FF?", "????"};

START_TEST(logic_is_drawn) {
  const char *row = logic_table[_i];
  g_autofree char *both = g_strdup_printf("(%s) and (%s)", operand(row[0]), operand(row[1]));
  g_autofree char *either = g_strdup_printf("(%s) or (%s)", operand(row[0]), operand(row[1]));
  g_autofree char *neither = g_strdup_printf("not (%s)", operand(row[0]));
  ck_assert_int_eq(truth_of(both), row[2]);
  ck_assert_int_eq(truth_of(either), row[3]);
  ck_assert_int_eq(truth_of(neither), row[0] == 'T' ? 'F' : row[0] == 'F' ? 'T' : '?');
}
END_TEST

static const struct {
  const char *condition;
  char truth;
} value_rows[] = {
    /* Unset: positive comparisons are false, their negations true. */
    {"sasl_username == \"x\"", 'F'},
    {"sasl_username != \"x\"", 'T'},
    {"sasl_username ~ /x/", 'F'},
    {"sasl_username !~ /x/", 'T'},
    {"sasl_username in { \"x\" }", 'F'},
    {"sasl_username not in { \"x\" }", 'T'},
    {"sasl_username in t", 'F'},
    {"sasl_username not in t", 'T'},
    {"sasl_username is set", 'F'},
    {"sasl_username is unset", 'T'},
    {"client_name under \"example.org\"", 'F'},
    {"map[\"none\"] == \"v\"", 'F'},
    {"map[\"none\"] is unset", 'T'},
    {"map[sasl_username] is set", 'F'},
    {"map[\"k\"] == \"v\"", 'T'},
    {"(sasl_username default \"d\") == \"d\"", 'T'},
    {"(map[\"none\"] default \"d\") == \"d\"", 'T'},
    {"(map[\"k\"] default \"d\") == \"v\"", 'T'},
    /* Unknown stays unknown. */
    {"map[\"down\"] == \"v\"", '?'},
    {"map[\"down\"] != \"v\"", '?'},
    {"map[\"down\"] is set", '?'},
    {"(map[\"down\"] default \"d\") == \"d\"", '?'},
    {"map[map[\"down\"]] == \"v\"", '?'},
    {"\"{map[\"down\"]}\" in t", '?'},
    /* Unset beside unknown: a comparison with unset is false whatever the other side is. */
    {"map[\"down\"] == sasl_username", 'F'},
    {"sasl_username == map[\"down\"]", 'F'},
    /* A regular expression past its limits. */
    {"helo_name ~ /^(a+)+[bc]$/", '?'},
};

START_TEST(values_are_drawn) {
  ck_assert_int_eq(truth_of(value_rows[_i].condition), value_rows[_i].truth);
}
END_TEST

#define LATER " \"temporary failure: try again later\" by failure"

static const struct {
  const char *rules;
  const char *told;
} behaviour_rows[] = {
    /* What failed decides. */
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in skip", "pass; failed table skip: scripted"},
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in match", "reject 550 5.7.1 a \"x\"; failed table match: scripted"},
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in temp", "tempfail 451 4.3.0 a" LATER "; failed table temp: scripted"},
    {"[a] log \"x\" if \"down\" in temp", "tempfail 451 4.3.0 a" LATER "; failed table temp: scripted"},
    /* Several: tempfail wins over match, match over skip. */
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in skip or \"down\" in match",
     "reject 550 5.7.1 a \"x\"; failed table skip: scripted; failed table match: scripted"},
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in match or \"down\" in temp",
     "tempfail 451 4.3.0 a" LATER "; failed table match: scripted; failed table temp: scripted"},
    /* The rule's own word wins. */
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in temp on error skip", "pass; failed table temp: scripted"},
    {"[a] reject 550 5.7.1 \"x\" if \"down\" in skip on error match", "reject 550 5.7.1 a \"x\"; failed table skip: scripted"},
    {"[a] log \"x\" if \"down\" in skip on error tempfail", "tempfail 451 4.3.0 a" LATER "; failed table skip: scripted"},
    /* An observed rule never answers. */
    {"[a] observe reject 550 5.7.1 \"x\" if \"down\" in temp\n[b] pass",
     "pass b; failed table temp: scripted; observed a tempfail 451 <reject 550 5.7.1 \"x\">"},
    /* An unknown pass or accept: a later 5xx becomes 451, a 4xx stays. */
    {"[a] pass if \"down\" in skip\n[b] reject 550 5.7.1 \"x\"", "tempfail 451 4.3.0 b" LATER "; failed table skip: scripted"},
    {"[a] pass if \"down\" in skip\n[b] disconnect 521 5.7.0 \"x\"", "tempfail 451 4.3.0 b" LATER "; failed table skip: scripted"},
    {"[a] pass if \"down\" in skip\n[b] disconnect 421 4.7.0 \"x\"", "disconnect 421 4.7.0 b \"x\"; failed table skip: scripted"},
    {"[a] pass if \"down\" in skip\n[b] tempfail 450 4.7.1 \"x\"", "tempfail 450 4.7.1 b \"x\"; failed table skip: scripted"},
    /* A message that would be thrown away is kept, too. */
    {"[a] pass if \"down\" in skip\n[b] discard message \"x\"", "tempfail 451 4.3.0 b" LATER "; failed table skip: scripted"},
    {"[a] pass if \"down\" in skip\n[b] pass", "pass b; failed table skip: scripted"},
    {"[a] observe pass if \"down\" in skip\n[b] reject 550 5.7.1 \"x\"", "reject 550 5.7.1 b \"x\"; failed table skip: scripted"},
    {"[a] accept session if \"down\" in temp on error skip\n[b] reject 550 5.7.1 \"x\"",
     "tempfail 451 4.3.0 b" LATER "; failed table temp: scripted"},
    {"[a] log \"x\" if \"down\" in skip\n[b] reject 550 5.7.1 \"x\"", "reject 550 5.7.1 b \"x\"; failed table skip: scripted"},
    /* A variable that was set from unknown takes along what failed. */
    {"[a] set session.x = map[\"down\"]\n[b] reject 550 5.7.1 \"x\" if session.x == \"v\"", "pass; failed table map: scripted"},
    {"[a] set session.x = \"down\" in temp\n[b] reject 550 5.7.1 \"x\" if session.x == true",
     "tempfail 451 4.3.0 b" LATER "; failed table temp: scripted"},
    {"[a] set session.x = map[\"down\"]\n[b] reject 550 5.7.1 \"{session.x}\"", "reject 550 5.7.1 b \"?\"; failed table map: scripted"},
    /* A regular expression past its limits is as a table that failed. */
    {"[a] reject 550 5.7.1 \"x\" if helo_name ~ /^(a+)+[bc]$/", "tempfail 451 4.3.0 a" LATER "; failed regex /^(a+)+[bc]$/: match limit exceeded"},
};

START_TEST(unknown_does_what_was_said) {
  Fixture *fixture = load("%s", behaviour_rows[_i].rules);
  ck_assert_str_eq(fixture_run(fixture, PHASE_MAIL), behaviour_rows[_i].told);
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, logic_is_drawn, 0, G_N_ELEMENTS(logic_table));
  tcase_add_loop_test(tests, values_are_drawn, 0, G_N_ELEMENTS(value_rows));
  tcase_add_loop_test(tests, unknown_does_what_was_said, 0, G_N_ELEMENTS(behaviour_rows));
}

UNIT_MAIN("unknown", add_tests)
