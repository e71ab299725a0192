/*
 * test_lists.c: lists of the message and of its recipients as rules read them: any, all, count, header["Name"], elements within elements; facts that are unknown or open; .raw.
 */
#include "common/smtp/record.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

enum { ITEMS_MAX = 8 };

static Value text_or_unset(const char *text) {
  return text ? value_text(slice_from(text)) : VALUE_NONE;
}

/* Sets a list of records from rows of texts; the last field of an attachment is its size. */
static void set_records(Fixture *fixture, Fact fact, const char *const (*rows)[3], size_t count) {
  Value fields[ITEMS_MAX][3], items[ITEMS_MAX];
  ValueRecord records[ITEMS_MAX];
  for (size_t i = 0; i < count; i++) {
    for (size_t field = 0; field < 3; field++)
      fields[i][field] = text_or_unset(rows[i][field]);
    if (fact == FACT_ATTACHMENT)
      fields[i][ATTACHMENT_FIELD_SIZE] = (Value){VALUE_SET, TYPE_SIZE, {.number = g_ascii_strtoll(rows[i][2], NULL, 10)}};
    records[i] = (ValueRecord){fact_info(fact)->record, fields[i]};
    items[i] = (Value){VALUE_SET, TYPE_RECORD, {.record = &records[i]}};
  }
  ValueList list = {count, items};
  Value value = {VALUE_SET, TYPE_LIST, {.list = &list}};
  session_set_value(fixture_session(fixture), fact, &value);
}

static void set_addresses(Fixture *fixture, Fact fact, const char *text) {
  g_autoptr(Arena) arena = arena_new(0);
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  Value items[ITEMS_MAX];
  ValueList list = {0, items};
  for (; words[list.count]; list.count++) {
    const char *problem;
    Slice right_form;
    ck_assert(value_parse(arena, TYPE_ADDRESS, slice_from(words[list.count]), &items[list.count], &problem, &right_form));
  }
  Value value = {VALUE_SET, TYPE_LIST, {.list = &list}};
  session_set_value(fixture_session(fixture), fact, &value);
}

static const char *const headers[][3] = {{"Subject", "Caf\303\251", " =?utf-8?q?Caf=C3=A9?="},
                                         {"Received", "from a by b", " from a by b"},
                                         {"received", "from b by c", " from b by c"},
                                         {"X-Loop", "me", " me"}};
static const char *const attachments[][3] = {
    {"a.zip", "application/zip", "2000000"}, {NULL, "message/rfc822", "300"}, {"setup.exe", "application/x-msdownload", "1000"}};

typedef struct Case {
  const char *rules; /* of an eom block */
  const char *told;
} Case;

static const Case list_cases[] = {
    {"[a] pass if any attachment has (name ~ /\\.(exe|scr|js)$/)", "pass a"},
    {"[a] pass if any attachment has (name ~ /\\.exe$/ and size > 1M)", "pass"},
    {"[a] pass if any attachment has (name == \"a.zip\" and size > 1M)", "pass a"},
    {"[a] pass if any attachment has (name is unset and type == \"message/rfc822\")", "pass a"},
    {"[a] pass if all attachment has (name is set)", "pass"},
    {"[a] pass if all attachment has (size > 200)", "pass a"},
    {"[a] pass if count attachment == 3 and count attachment has (name is set) == 2", "pass a"},
    {"[a] log \"{1}\" if any attachment has (name ~ /(.*)\\.exe$/)", "pass; log a setup"},
    {"[a] pass if attachment is set and header is set", "pass a"},
    {"[a] log \"{attachment}\"", "pass; log a a.zip application/zip 2000000, message/rfc822 300, setup.exe application/x-msdownload 1000"},
    {"[a] pass if header[\"SUBJECT\"] == \"Caf\303\251\"", "pass a"},
    {"[a] pass if header[\"Subject\"].raw ~ /=\\?utf-8/", "pass a"},
    {"[a] pass if header[\"X-None\"] is set", "pass"},
    {"[a] pass if header[\"X-None\"] is unset and header[\"X-None\"] != \"x\"", "pass a"},
    {"[a] pass if count header[\"X-None\"] == 0 and not any header[\"X-None\"] has (value == \"\")", "pass a"},
    {"[a] log \"{header[\"Received\"]}\"", "pass; log a from a by b, from b by c"},
    {"[a] log \"{header[\"X-None\"] default \"none\"}\"", "pass; log a none"},
    {"[a] pass if count header[\"Received\"] > 1 and all header[\"Received\"] has (value ~ /^from/)", "pass a"},
    {"[a] pass if any header has (name == \"X-Loop\" and value == \"me\" and raw == \" me\")", "pass a"},
    {"[a] pass if any header has (name == \"x-loop\")", "pass"},
    {"[a] pass if \"b@example.org\" in recipients and recipients != \"c@example.org\"", "pass a"},
    {"[a] pass if all recipients has (recipient.domain == \"example.org\") and count recipients == 2", "pass a"},
    {"[a] pass if any recipients has (value.localpart == \"b\") and recipients.localpart == \"a\"", "pass a"},
    {"[a] pass if header.from.domain == \"example.net\" and header.from under \"net\"", "pass a"},
    {"[a] pass if header.cc is set or any header.cc has (value == \"x@example.org\") or all header.cc has (value != <>)", "pass"},
    {"[a] pass if sender in header.from", "pass"},
    {"[a] pass if any recipients has (any header.to has (value == recipient))", "pass a"},
    {"[a] pass if all recipients has (any header.to has (value == recipient))", "pass"},
    {"[a] pass if count recipients has (any attachment has (name ~ /exe/ and recipient.localpart == \"a\")) == 1", "pass a"},
    {"[a] pass if sender.raw == \"Ann@EXAMPLE.org\" and sender.domain == \"example.org\"", "pass a"},
    {"[a] pass if helo_name.raw == \"MX7.example.net\" and helo_name.raw != \"mx7.example.net\"", "pass a"},
    {"[a] pass if header[\"X-Loop\"].domain is set", "pass"},
};

static Fixture *load(const char *rules) {
  g_autofree char *text = g_strdup_printf("at eom {\n%s\n}\n", rules);
  Fixture *fixture = fixture_new(text);
  fixture_facts(fixture, "sender=<Ann@EXAMPLE.org> helo_name=MX7.example.net");
  set_records(fixture, FACT_HEADER, headers, G_N_ELEMENTS(headers));
  set_records(fixture, FACT_ATTACHMENT, attachments, G_N_ELEMENTS(attachments));
  set_addresses(fixture, FACT_RECIPIENTS, "a@example.org b@example.org");
  set_addresses(fixture, FACT_HEADER_FROM, "list@example.net ann@example.com");
  set_addresses(fixture, FACT_HEADER_TO, "b@example.org c@example.org");
  return fixture;
}

START_TEST(lists_are_read) {
  Fixture *fixture = load(list_cases[_i].rules);
  ck_assert_str_eq(fixture_run(fixture, PHASE_EOM), list_cases[_i].told);
  fixture_free(fixture);
}
END_TEST

/* Facts of the message that could not be found out. */
static const Case unknown_cases[] = {
    {"[a] reject 550 5.7.1 \"x\" if any attachment has (name ~ /exe/)",
     "tempfail 451 4.3.0 a \"temporary failure: try again later\" by failure; failed message: over 64 MB"},
    {"[a] reject 550 5.7.1 \"x\" if any attachment has (name ~ /exe/) on error skip\n[b] pass", "pass b; failed message: over 64 MB"},
    {"[a] reject 550 5.7.1 \"x\" if count attachment > 3 on error match", "reject 550 5.7.1 a \"x\"; failed message: over 64 MB"},
    {"[a] reject 550 5.7.1 \"x\" if attachment is set on error skip", "pass; failed message: over 64 MB"},
    {"[a] reject 550 5.7.1 \"x\" if header[\"Subject\"] == \"x\" on error match", "reject 550 5.7.1 a \"x\"; failed message: over 64 MB"},
    {"[a] pass if sender != <> or any attachment has (name ~ /exe/)", "pass a"},
    {"[a] log \"{attachment}: {header[\"Subject\"]}\"", "pass; failed message: over 64 MB; log a ?: ?"},
};

START_TEST(unknown_facts_are_failures) {
  static const Failure failure = {NULL, {"message", 7}, {"over 64 MB", 10}, ON_ERROR_TEMPFAIL};
  static const Value unknown = {VALUE_UNKNOWN, TYPE_LIST, {.failures = &failure}};
  Fixture *fixture = load(unknown_cases[_i].rules);
  session_set_value(fixture_session(fixture), FACT_ATTACHMENT, &unknown);
  session_set_value(fixture_session(fixture), FACT_HEADER, &unknown);
  ck_assert_str_eq(fixture_run(fixture, PHASE_EOM), unknown_cases[_i].told);
  fixture_free(fixture);
}
END_TEST

/* Before the end of the message: what is certain is decided, what is not waits for the facts and asks nothing that has a price. */
static const struct {
  const char *rules;
  bool decided, asks;
  const char *asked; /* at the end; NULL: nothing */
} open_cases[] = {
    {"[a] reject if header_count > 3", true, false, NULL},
    {"[a] reject if body ~ /x/", false, false, NULL},
    {"[a] reject if header_count > 3 or body ~ /x/", true, false, NULL},
    {"[a] log \"{body}\"\n[b] reject", false, false, NULL},
    {"[a] log \"x\" if body ~ /x/\n[b] reject if header_count > 3", false, false, NULL},
    {"[a] reject if body is set", false, false, NULL},
    {"[a] reject if count attachment > 0", false, false, NULL},
    {"[a] reject if body ~ /x/ or sender in ahead", false, true, "ahead ann@example.org"},
    {"[a] reject if body ~ /x/ or sender in tally", false, false, "tally ann@example.org"},
    {"[a] reject if sender in tally or body ~ /x/", false, false, "tally ann@example.org"},
};

START_TEST(open_facts_are_waited_for) {
  g_autofree char *text =
      g_strdup_printf("table ahead of address from ahead \"ahead\"\ntable tally of address from stateful \"tally\"\nat eom {\n%s\n}\n",
                      open_cases[_i].rules);
  static const Value open = {VALUE_OPEN, TYPE_STRING, {.number = 0}}, count = {VALUE_SET, TYPE_INT, {.number = 7}};
  Fixture *fixture = fixture_new(text);
  Session *session = fixture_session(fixture);
  fixture_facts(fixture, "sender=ann@example.org");
  session_set_value(session, FACT_HEADER_COUNT, &count);
  session_set_value(session, FACT_BODY, &open);
  session_set_value(session, FACT_ATTACHMENT, &open);
  g_autoptr(Arena) arena = arena_new(0);
  Evaluation *evaluation = evaluation_new(arena, fixture_ruleset(fixture), PHASE_EOM, session, fixture_variables(fixture), NULL);
  ck_assert_int_eq(evaluation_run(evaluation), open_cases[_i].decided ? EVALUATION_DECIDED : EVALUATION_WAITS);
  ck_assert_int_eq(evaluation_misses_facts(evaluation), !open_cases[_i].decided);
  size_t wanted;
  (void)evaluation_wanted(evaluation, &wanted);
  ck_assert_int_eq(wanted > 0, open_cases[_i].asks);
  session_unset(session, FACT_BODY);
  session_unset(session, FACT_ATTACHMENT);
  if (!open_cases[_i].asks) {
    EvaluationState state = evaluation_run(evaluation);
    Question *const *questions = evaluation_wanted(evaluation, &wanted);
    ck_assert_int_eq(state, open_cases[_i].asked ? EVALUATION_WAITS : EVALUATION_DECIDED);
    ck_assert_int_eq(wanted, open_cases[_i].asked ? 1 : 0);
    ck_assert(wanted == 0 || g_str_has_suffix(questions[0]->key, "ann@example.org"));
    ck_assert(!evaluation_misses_facts(evaluation));
  }
  fixture_free(fixture);
}
END_TEST

/* What the milter is to collect. */
START_TEST(the_program_says_what_is_read) {
  Fixture *fixture = fixture_new(
      "define tagged = header[\"X-Tag\"] is set\n"
      "at data { [a] log \"x\" if count recipients > 3 }\n"
      "at eom {\n"
      "  [b] log \"{header[\"Subject\"].raw}\" if header[\"SUBJECT\"] ~ /x/ or header[\"X-Loop\"] == \"y\"\n"
      "  [c] log \"y\" if tagged or count header.from > 1\n"
      "}\n");
  const PhaseProgram *eom = &fixture_ruleset(fixture)->phases[PHASE_EOM], *data = &fixture_ruleset(fixture)->phases[PHASE_DATA];
  ck_assert_ptr_null(data->header_names);
  ck_assert(data->facts[FACT_RECIPIENTS]);
  g_autofree char *names = g_strjoinv(" ", (char **)(uintptr_t)eom->header_names);
  ck_assert_str_eq(names, "SUBJECT X-Loop X-Tag");
  ck_assert(!eom->reads_all_headers && !eom->facts[FACT_HEADER] && eom->facts[FACT_HEADER_FROM]);
  fixture_free(fixture);
  fixture = fixture_new("at eom { [a] log \"x\" if any header has (name == \"X-Loop\") }\n");
  eom = &fixture_ruleset(fixture)->phases[PHASE_EOM];
  ck_assert(eom->reads_all_headers && eom->facts[FACT_HEADER] && eom->header_names == NULL);
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, lists_are_read, 0, G_N_ELEMENTS(list_cases));
  tcase_add_loop_test(tests, unknown_facts_are_failures, 0, G_N_ELEMENTS(unknown_cases));
  tcase_add_loop_test(tests, open_facts_are_waited_for, 0, G_N_ELEMENTS(open_cases));
  tcase_add_test(tests, the_program_says_what_is_read);
}

UNIT_MAIN("lists", add_tests)
