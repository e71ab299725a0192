/*
 * test_check.c: what the evaluator relies on in a compiled program: flags, sharing, blocks, defaults, slots. What the checker says of bad rules is in tests/lang.
 */
#include "common/lookup/kinds.h"
#include "common/rules/check.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

static Ruleset *load_options(const char *rules, RulesetOptions options) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  options.resources = source;
  Diagnostics *diagnostics = diagnostics_new();
  Ruleset *ruleset = ruleset_load_text("x.rules", slice_from(rules), NULL, &options, diagnostics);
  g_autofree char *text = diagnostics_print(diagnostics);
  ck_assert_msg(ruleset != NULL, "%s", text);
  diagnostics_free(diagnostics);
  resource_source_plain_free(source);
  return ruleset;
}

static Ruleset *load_with(const char *rules, bool open_resources, DoorSet doors) {
  return load_options(rules, (RulesetOptions){.enabled_doors = doors, .open_resources = open_resources});
}

static Ruleset *load(const char *rules) {
  return load_with(rules, false, DOORS_ALL);
}

/* Flags, as letters: v variables, d details, m match, u can be unset; then the classes of its look-ups. */
typedef struct FlagCase {
  const char *condition;
  const char *flags;
} FlagCase;

static const FlagCase flag_cases[] = {
    {"client_address in 10.0.0.0/8", ""},
    {"client_address in 10.0.0.0/8 and sender == <>", ""},
    {"helo_name ~ /x(y)/", "m"},
    {"not (helo_name ~ /x(y)/)", "m"},
    {"session.x", "vu"},
    {"session.x is set or sender == <>", "v"},
    {"score > 3", "v"},
    {"score.bulk > 3", "v"},
    {"stress", "u"},
    {"not stress", ""},
    {"sender in inline", "h"},
    {"sender in file", "h"},
    {"client_address in zen", "ma"},
    {"client_address in zen and sender in file", "mha"},
    {"client_address in zen and dnslist.code == \"127.0.0.2\"", "dma"},
    {"helo_name ~ /(x)/ and \"{1}\" == sender.localpart", "dm"},
    {"map[sender.localpart] == 3", "h"},
    {"(map[sender.localpart] default 3) == 3", "h"},
    {"map[names[\"x\"]] == 3", "h"},
};

static void describe(const Expression *expression, char *text) {
  static const char classes[] = "hars";
  if (expression->reads_variables)
    *text++ = 'v';
  if (expression->reads_details)
    *text++ = 'd';
  if (expression->has_match)
    *text++ = 'm';
  if (expression->can_be_unset)
    *text++ = 'u';
  for (int i = 0; i < 4; i++)
    if (expression->lookup_classes & (1u << i))
      *text++ = classes[i];
  *text = 0;
}

static const char declarations[] =
    "table inline of address { \"a@example.org\" }\n"
    "table file of address from file \"none\"\n"
    "table map of string -> int { \"a\" -> 3 }\n"
    "table names of string -> string { \"a\" -> \"b\" }\n"
    "dnslist zen of ip \"zen.example.org\"\n"
    "at mail {\n set session.x = sender == <>\n score bulk 1\n}\n";

START_TEST(conditions_know_what_they_read) {
  g_autofree char *rules = g_strdup_printf("%sat rcpt {\n[a] log \"x\" if %s\n}\n", declarations, flag_cases[_i].condition);
  g_autoptr(Ruleset) ruleset = load(rules);
  char flags[16];
  describe(ruleset->phases[PHASE_RCPT].statements[0].condition, flags);
  ck_assert_msg(strcmp(flags, flag_cases[_i].flags) == 0, "%s: %s", flag_cases[_i].condition, flags);
}
END_TEST

START_TEST(values_know_whether_they_can_be_unset) {
  static const struct {
    const char *value;
    bool can_be_unset;
  } cases[] = {{"sender", true},
               {"sender.domain", true},
               {"\"{sender}\"", false},
               {"5", false},
               {"map[\"x\"]", true},
               {"map[\"x\"] default 3", false},
               {"map[\"x\"] default map[\"y\"]", true},
               {"score", false},
               {"session.x", true},
               {"sender == <>", false}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *rules = g_strdup_printf("%sat rcpt {\nset message.y = %s\n}\n", declarations, cases[i].value);
    g_autoptr(Ruleset) ruleset = load(rules);
    const Rule *rule = ruleset->phases[PHASE_RCPT].statements[0].rule;
    bool literal = strcmp(cases[i].value, "5") == 0; /* nothing to decide before */
    ck_assert_uint_eq(rule->argument_count, literal ? 0 : 1);
    if (!literal)
      ck_assert_msg(rule->arguments[0]->can_be_unset == cases[i].can_be_unset, "%s", cases[i].value);
  }
}
END_TEST

START_TEST(defines_and_phases_share_nodes) {
  g_autoptr(Ruleset) ruleset = load(
      "define outside = client_address not in 10.0.0.0/8\n"
      "at connect, rcpt {\n"
      "  [a] reject 550 \"{client_address}\" if outside\n"
      "  [b] reject if outside\n"
      "  [c] log \"x\" unless outside\n"
      "}\n");
  const PhaseProgram *connect = &ruleset->phases[PHASE_CONNECT], *rcpt = &ruleset->phases[PHASE_RCPT];
  ck_assert_uint_eq(ruleset->rule_count, 3);
  ck_assert_ptr_eq(connect->statements[0].condition, connect->statements[1].condition);
  ck_assert_int_eq(connect->statements[2].condition->kind, EXPRESSION_NOT);
  ck_assert_ptr_eq(connect->statements[2].condition->left, connect->statements[1].condition);
  for (size_t i = 0; i < 3; i++) {
    ck_assert_ptr_eq(connect->statements[i].rule, rcpt->statements[i].rule);
    ck_assert_ptr_eq(connect->statements[i].condition, rcpt->statements[i].condition);
  }
  ck_assert_uint_eq(connect->statements[0].rule->argument_count, 1);
}
END_TEST

START_TEST(negations_are_not_over_the_positive_form) {
  static const char *const conditions[] = {"sender != <>", "sender not in { \"a@example.org\" }", "sender !~ /x/", "sender is unset"};
  static const ExpressionKind kinds[] = {EXPRESSION_COMPARE, EXPRESSION_IN_SET, EXPRESSION_MATCH, EXPRESSION_IS_SET};
  for (size_t i = 0; i < G_N_ELEMENTS(conditions); i++) {
    g_autofree char *rules = g_strdup_printf("at rcpt {\n[a] reject if %s\n}\n", conditions[i]);
    g_autoptr(Ruleset) ruleset = load_options(rules, (RulesetOptions){.enabled_doors = DOORS_ALL, .keep_tree = true});
    const Expression *condition = ruleset->phases[PHASE_RCPT].statements[0].condition;
    ck_assert_int_eq(condition->kind, EXPRESSION_NOT);
    ck_assert_int_eq(condition->left->kind, kinds[i]);
    if (kinds[i] == EXPRESSION_COMPARE)
      ck_assert_int_eq(condition->left->as.compare, COMPARE_EQUAL);
    else
      ck_assert(!program_node(ruleset, condition->left)->as.negated);
  }
}
END_TEST

START_TEST(both_sides_meet_in_one_type) {
  static const struct {
    const char *condition;
    ValueType type;
  } cases[] = {{"sasl_username == sender", TYPE_ADDRESS},
               {"sender.localpart == helo_name", TYPE_DOMAIN},
               {"score > client_port", TYPE_DECIMAL},
               {"size > client_port", TYPE_SIZE},
               {"size > 10", TYPE_SIZE},
               {"client_port > 2.5", TYPE_DECIMAL},
               {"client_address == \"::1\"", TYPE_IP},
               {"weekday == sat", TYPE_ENUM},
               {"weekday == service", TYPE_STRING},
               {"time > \"09:30\"", TYPE_TIME},
               {"sender == \"A@Example.org\"", TYPE_ADDRESS},
               {"date > 2026-01-01", TYPE_DATE}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *rules = g_strdup_printf("at rcpt {\n[a] reject if %s\n}\n", cases[i].condition);
    g_autoptr(Ruleset) ruleset = load(rules);
    const Expression *condition = ruleset->phases[PHASE_RCPT].statements[0].condition;
    ck_assert_msg(condition->left->type == cases[i].type && condition->right->type == cases[i].type, "%s", cases[i].condition);
  }
}
END_TEST

START_TEST(blocks_know_their_ends_and_branches) {
  g_autoptr(Ruleset) ruleset = load(
      "at rcpt when helo_name is set {\n"
      "  when sender == <> {\n    [a] log \"a\"\n    [b] pass if helo_name == \"x.example\"\n  } else when client_port > 5 {\n    [c] log "
      "\"c\"\n  } else {\n  }\n"
      "  [d] reject\n"
      "}\n");
  const PhaseProgram *rcpt = &ruleset->phases[PHASE_RCPT];
  static const struct {
    StatementKind kind;
    uint32_t parent, end, previous;
    bool allow;
  } expected[] = {
      {STATEMENT_BLOCK, NO_STATEMENT, 8, NO_STATEMENT, true},
      {STATEMENT_BLOCK, 0, 4, NO_STATEMENT, true},
      {STATEMENT_RULE, 1, 3, NO_STATEMENT, false},
      {STATEMENT_RULE, 1, 4, NO_STATEMENT, false},
      {STATEMENT_BLOCK, 0, 6, 1, false},
      {STATEMENT_RULE, 4, 6, NO_STATEMENT, false},
      {STATEMENT_BLOCK, 0, 7, 4, false},
      {STATEMENT_RULE, 0, 8, NO_STATEMENT, false},
  };
  ck_assert_uint_eq(rcpt->count, G_N_ELEMENTS(expected));
  for (size_t i = 0; i < rcpt->count; i++) {
    const Statement *statement = &rcpt->statements[i];
    ck_assert_int_eq(statement->kind, expected[i].kind);
    ck_assert_uint_eq(statement->parent, expected[i].parent);
    ck_assert_uint_eq(statement->end, expected[i].end);
    ck_assert_uint_eq(statement->previous_branch, expected[i].previous);
    ck_assert_int_eq(statement->holds_allow, expected[i].allow);
  }
  ck_assert_ptr_null(rcpt->statements[6].condition);
}
END_TEST

START_TEST(rules_have_ids_and_kinds) {
  g_autoptr(Ruleset) ruleset = load(
      "at rcpt {\n  [one] pass if sender == <>\n\n  accept recipient if helo_name is unset\n  [three] observe accept if helo_name is unset "
      "on error match\n"
      "  [four] reject \"{1}\" if sender ~ /(x)/\n  [five] reject \"{sender}\"\n}\n");
  const Rule *const *rules = ruleset->rules;
  ck_assert(slice_equal(rules[0]->id, SLICE_LITERAL("one")) && rules[0]->labelled && rules[0]->is_allow);
  ck_assert(slice_equal(rules[1]->id, SLICE_LITERAL("x.rules:4")) && !rules[1]->labelled && rules[1]->is_allow);
  ck_assert(rules[2]->observe && !rules[2]->is_allow && rules[2]->on_error == ON_ERROR_MATCH);
  ck_assert_str_eq(rules[2]->action_text, "accept");
  ck_assert_ptr_null(rules[0]->action_text);
  ck_assert(rules[3]->uses_details && !rules[4]->uses_details);
  for (uint32_t i = 0; i < ruleset->rule_count; i++)
    ck_assert_uint_eq(rules[i]->number, i);
}
END_TEST

START_TEST(phases_know_what_they_need) {
  g_autoptr(Ruleset) ruleset = load(
      "table access of net -> action { 192.0.2.0/24 -> \"421 bye\" }\n"
      "dnslist zen of ip \"zen.example.org\"\n"
      "define far = client_name under \"example.org\"\n"
      "at connect {\n  check access[client_address]\n}\n"
      "at helo {\n  [o] observe disconnect if far\n  set session.x = server_port\n}\n"
      "at rcpt when service == \"mx\" {\n  reject \"{queue_id}\" if client_address in zen\n}\n");
  const PhaseProgram *phases = ruleset->phases;
  ck_assert(phases[PHASE_CONNECT].has_disconnect && phases[PHASE_CONNECT].has_rules && !phases[PHASE_CONNECT].sets_variables);
  ck_assert(!phases[PHASE_HELO].has_disconnect && phases[PHASE_HELO].sets_variables);
  ck_assert(phases[PHASE_HELO].facts[FACT_CLIENT_NAME] && phases[PHASE_HELO].facts[FACT_SERVER_PORT] &&
            !phases[PHASE_HELO].facts[FACT_SERVICE]);
  ck_assert(phases[PHASE_RCPT].facts[FACT_SERVICE] && phases[PHASE_RCPT].facts[FACT_QUEUE_ID] &&
            phases[PHASE_RCPT].facts[FACT_CLIENT_ADDRESS]);
  ck_assert_uint_eq(phases[PHASE_RCPT].lookup_classes, 1u << LOOKUP_AHEAD);
  ck_assert_uint_eq(phases[PHASE_CONNECT].lookup_classes, 1u << LOOKUP_HERE);
  ck_assert(!phases[PHASE_EOM].has_rules && phases[PHASE_EOM].count == 0);
}
END_TEST

START_TEST(resources_have_a_behaviour) {
  g_autoptr(Ruleset) ruleset = load(
      "table inline of string { \"x\" }\n"
      "table file of string from file \"none\" on error match\n"
      "table plain of (string, net) from file \"none\"\n"
      "dnslist zen of ip \"zen.example.org\"\n"
      "dnslist strict of domain \"dbl.example.org\" on error tempfail\n");
  static const ErrorBehaviour expected[] = {ON_ERROR_SKIP, ON_ERROR_MATCH, ON_ERROR_TEMPFAIL, ON_ERROR_SKIP, ON_ERROR_TEMPFAIL};
  ck_assert_uint_eq(ruleset->resource_count, G_N_ELEMENTS(expected));
  for (uint32_t i = 0; i < ruleset->resource_count; i++) {
    const ResourceUse *use = ruleset->resources[i];
    ck_assert_uint_eq(use->index, i);
    ck_assert_msg(use->on_error == expected[i], "%.*s: %s", SLICE_ARGS(use->label), error_behaviour_name(use->on_error));
    ck_assert_int_eq(use->keyset != NULL, i == 0);
    ck_assert_ptr_null(use->resource); /* not opened */
  }
  ck_assert_uint_eq(ruleset->resources[2]->shape.part_count, 2);
  ck_assert(slice_equal(ruleset->resources[3]->label, SLICE_LITERAL("dnslist zen")));
}
END_TEST

START_TEST(variables_and_scores_have_slots) {
  g_autoptr(Ruleset) ruleset = load(
      "at rcpt {\n  reject if message.b is set\n  set session.a = 5\n  set message.b = sender\n  set session.c = 1.5\n  set session.c = 2\n"
      "  score x 1\n  score 2\n  score message x 3\n}\n");
  ck_assert_uint_eq(ruleset->variable_count, 3);
  ck_assert_uint_eq(ruleset->scope_slots[SCOPE_SESSION], 2);
  ck_assert_uint_eq(ruleset->scope_slots[SCOPE_MESSAGE], 1);
  ck_assert_uint_eq(ruleset->scope_slots[SCOPE_RECIPIENT], 0);
  ck_assert(slice_equal(ruleset->variables[0]->name, SLICE_LITERAL("b")) && ruleset->variables[0]->type == TYPE_ADDRESS);
  ck_assert(slice_equal(ruleset->variables[2]->name, SLICE_LITERAL("c")) && ruleset->variables[2]->type == TYPE_DECIMAL &&
            ruleset->variables[2]->slot == 1);
  ck_assert_uint_eq(ruleset->score_count, 2);
  ck_assert(slice_equal(ruleset->score_names[0], SLICE_LITERAL("x")) && slice_is_empty(ruleset->score_names[1]));
}
END_TEST

/* Conditions that hold for the facts below. */
static const char *const true_conditions[] = {
    "sasl_username == sender",
    "sasl_username == \"Ann@Example.org\" or sasl_username == sender",
    "sender.localpart == session.name",
    "session.host == client_name",
    "session.host under \"example.NET\"",
    "sender under \"example.org\"",
    "not (sender under \"xample.org\")",
    "sasl_username.domain == sender.domain",
    "(protocol_name, sender) in pair",
    "sender in plain",
    "sender in { \"@example.org\" }",
    "client_port < 2525.5",
    "size > client_port",
    "size == 10K",

    "client_port in { 1..5, 2000..3000 }",
    "client_port in 2524.5..2526",
    "client_port in { 25, server_port }",
    "weekday in { sat, sun }",
    "weekday in fri..mon and time in 22:00..06:00 and time > 23:29 and date == 2026-11-22",
    "client_address in 192.0.2.1..192.0.2.9",
    "client_address in { 192.0.2.0/24 }",
    "client_address in \"192.0.2.0/24\"",
    "map[\"ann\"] == 3",
    "(map[\"bob\"] default 7) == 7",
    "any lists[\"ann\"] has (value == \"b\")",
    "(count lists[\"ann\"] has (value ~ /^[ab]$/)) == 2",
    "all lists[\"ann\"] has (value ~ /^[abc]$/)",
    "\"b\" in lists[\"ann\"]",
    "lists[\"ann\"] in { \"c\" }",
    "protocol_name == \"ESMTP\"",
    "protocol_name == session.protocol",
    "sender.domain != helo_name",
    "client_name in hosts",
    "helo_name.literal == 192.0.2.1",
    "\"{sender.localpart}-{client_port}\" == \"ann-2525\"",
};

START_TEST(conditions_hold) {
  g_autofree char *rules = g_strdup_printf(
      "table pair of (string, address) { (\"esmtp\", \"ann@example.org\") }\ntable plain of string { \"ann@example.org\" }\n"
      "table map of string -> int { \"ann\" -> 3 }\ntable lists of string -> list { \"ann\" -> \"a, b, c\" }\n"
      "table hosts of domain { \".example.net\" }\n"
      "at rcpt {\n set session.name = sasl_method\n set session.host = sasl_sender\n set session.protocol = \"esmtp\"\n"
      " [yes] reject if %s\n}\n",
      true_conditions[_i]);
  Fixture *fixture = fixture_new(rules);
  fixture_facts(fixture,
                "client_address=192.0.2.1 client_port=2525 server_port=2525 client_name=Mail.Example.net sender=ann@example.org "
                "sasl_username=ANN@EXAMPLE.ORG "
                "sasl_method=ann sasl_sender=MAIL.example.net. size=10240 protocol_name=ESMTP helo_name=[192.0.2.1]");
  ClockMoment sunday = {.year = 2026, .month = 11, .day = 22, .second_of_day = 23 * 3600 + 30 * 60, .weekday = 7};
  session_set_time(fixture_session(fixture), &sunday);
  (void)fixture_run(fixture, PHASE_RCPT);
  ck_assert_msg(fixture_verdict(fixture)->outcome == OUTCOME_REJECT, "%s", true_conditions[_i]);
  fixture_free(fixture);
}
END_TEST

START_TEST(default_replies_fit_their_phase) {
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    static const Outcome outcomes[] = {OUTCOME_TEMPFAIL, OUTCOME_REJECT, OUTCOME_DISCONNECT};
    for (size_t i = 0; i < G_N_ELEMENTS(outcomes); i++) {
      uint16_t code;
      EnhancedCode enhanced;
      Slice text;
      reply_default(outcomes[i], phase, &code, &enhanced, &text);
      ck_assert_uint_eq(enhanced.class_digit, code / 100);
      ck_assert_int_eq(reply_info(code)->sender, REPLY_BY_POLICY);
      ck_assert(!slice_is_empty(text));
      ck_assert_uint_eq(code / 100, outcomes[i] == OUTCOME_REJECT ? 5 : 4);
    }
  }
  for (size_t i = 0; i < reply_info_count(); i++) {
    uint16_t code = reply_info_at(i)->code;
    ck_assert(code < 400 || reply_enhanced(code).class_digit == code / 100);
  }
}
END_TEST

START_TEST(diagnostics_outlive_a_ruleset_that_came_to_nothing) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = source, .open_resources = true};
  Diagnostics *diagnostics = diagnostics_new();
  ck_assert_ptr_null(ruleset_load_file("/nonexistent/mailreeve.rules", &options, diagnostics));
  ck_assert_ptr_null(ruleset_load_text("x.rules", SLICE_LITERAL("at rcpt { reject if sendr == <> }\n"), NULL, &options, diagnostics));
  Ruleset *warned = ruleset_load_text("y.rules", SLICE_LITERAL("at data { log \"x\" if false }\n"), NULL, &options, diagnostics);
  ck_assert_ptr_nonnull(warned); /* the errors of those before are not its own */
  ruleset_unref(warned);
  g_autofree char *text = diagnostics_print(diagnostics);
  ck_assert_ptr_nonnull(strstr(text, "/nonexistent/mailreeve.rules"));
  ck_assert_ptr_nonnull(strstr(text, "nearest: sender"));
  ck_assert_ptr_nonnull(strstr(text, "y.rules:1:22: warning"));
  diagnostics_free(diagnostics);
  resource_source_plain_free(source);
}
END_TEST

START_TEST(references_are_counted) {
  Ruleset *ruleset = load("at rcpt { reject }\n");
  Ruleset *again = ruleset_ref(ruleset);
  ck_assert_ptr_eq(ruleset, again);
  ruleset_unref(ruleset);
  ck_assert_uint_eq(again->rule_count, 1);
  ruleset_unref(again);
  ruleset_unref(NULL);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, conditions_know_what_they_read, 0, G_N_ELEMENTS(flag_cases));
  tcase_add_test(tests, values_know_whether_they_can_be_unset);
  tcase_add_test(tests, defines_and_phases_share_nodes);
  tcase_add_test(tests, negations_are_not_over_the_positive_form);
  tcase_add_test(tests, both_sides_meet_in_one_type);
  tcase_add_test(tests, blocks_know_their_ends_and_branches);
  tcase_add_test(tests, rules_have_ids_and_kinds);
  tcase_add_test(tests, phases_know_what_they_need);
  tcase_add_test(tests, resources_have_a_behaviour);
  tcase_add_test(tests, variables_and_scores_have_slots);
  tcase_add_loop_test(tests, conditions_hold, 0, G_N_ELEMENTS(true_conditions));
  tcase_add_test(tests, default_replies_fit_their_phase);
  tcase_add_test(tests, diagnostics_outlive_a_ruleset_that_came_to_nothing);
  tcase_add_test(tests, references_are_counted);
}

UNIT_MAIN("check", add_tests)
