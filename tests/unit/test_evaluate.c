/*
 * test_evaluate.c: rules text, facts and scripted answers give this verdict, and ask this.
 */
#include "common/rules/trace.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

typedef struct Case {
  const char *rules; /* of a rcpt block, behind the tables below */
  const char *script;
  const char *told;
  const char *asked;
} Case;

static const char tables[] =
    "table here of string -> int from here \"here\"\n"
    "table bad of address from ahead \"bad\"\n"
    "table names of string -> string from ahead \"names\"\n"
    "table dear of address from reached \"dear\"\n"
    "table tally of address from stateful \"tally\"\n"
    "table grey of address from stateful \"grey\"\n"
    "table lists of string -> action from ahead \"lists\"\n"
    "dnslist zen of ip \"zen\"\n"
    "dnslist bl of ip \"bl\"\n";

static const char facts[] =
    "client_address=192.0.2.1 client_name=mail.example.net helo_name=mx7.example.net sender=ann@example.org recipient=bob@example.com "
    "sasl_username= server_name=mx.example.com client_port=2525";

static Fixture *load(const char *rules) {
  g_autofree char *text = g_strdup_printf("%sat rcpt {\n%s\n}\n", tables, rules);
  Fixture *fixture = fixture_new(text);
  fixture_facts(fixture, facts);
  return fixture;
}

static void check_case(const Case *row) {
  Fixture *fixture = load(row->rules);
  fixture_script(fixture, row->script);
  ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), row->told);
  if (row->asked != NULL)
    ck_assert_str_eq(fixture_asked(fixture), row->asked);
  fixture_free(fixture);
}

#define ZEN "zen 192.0.2.1"
#define FROM "ann@example.org"

static const Case verdict_cases[] = {
    {"", "", "pass", ""},
    {"[a] pass", "", "pass a", ""},
    {"[a] accept recipient", "", "accept a", ""},
    {"[a] reject 550 5.7.1 \"no {sender}\"", "", "reject 550 5.7.1 a \"no ann@example.org\"", ""},
    {"[a] tempfail 450 4.7.1 \"one\" \"two {sasl_username}.\"", "", "tempfail 450 4.7.1 a \"one\" \"two .\"", ""},
    {"[a] disconnect 421 4.7.0 \"bye\"", "", "disconnect 421 4.7.0 a \"bye\"", ""},
    {"[a] reject 550 5.7.1 \"x\" if client_port == 25\n[b] pass if client_port > 2000", "", "pass b", ""},
    {"[a] log \"one\"\n[b] log \"two {client_port}\"\n[c] pass", "", "pass c; log a one; log b two 2525", ""},
    {"[a] observe reject 550 5.7.1 \"x\"\n[b] pass", "", "pass b; observed a reject 550 <reject 550 5.7.1 \"x\">", ""},
    {"[a] observe log \"x\"", "", "pass; observed a pass 0 <log \"x\">", ""},
    {"[a] reject 550 5.7.1 \"{1} {2}\" if helo_name ~ /^([a-z]+)(\\d)\\./", "", "reject 550 5.7.1 a \"mx 7\"", ""},
    {"[a] reject 550 5.7.1 \"{1}\" if helo_name ~ /^(no)|mx/", "", "reject 550 5.7.1 a \"\"", ""},
    {"[a] log \"{1}\" if helo_name ~ /(mx)/\n[b] log \"{1}\" if not (helo_name ~ /(xx)/)", "", "pass; log a mx; log b ", ""},
    {"[a] pass unless sasl_username == \"x\"", "", "pass a", ""},
    {"[a] pass if sasl_username != \"x\"", "", "pass a", ""},
    {"[a] pass if sasl_username is set", "", "pass", ""},
    {"[a] pass if sasl_username is unset", "", "pass a", ""},
    {"[a] pass if here[\"k\"] == 3", "here k = 3", "pass a", ""},
    {"[a] pass if here[\"k\"] is set", "", "pass", ""},
    {"[a] pass if (here[\"k\"] default 7) == 7", "", "pass a", ""},
    {"[a] pass if client_port in 2500..2600", "", "pass a", ""},
    {"[a] pass if client_address in { 192.0.2.0/24, 2001:db8::/32 }", "", "pass a", ""},
    {"[a] pass if sender in { \"@example.org\" }", "", "pass a", ""},
    {"[a] pass if client_name under \"example.net\"", "", "pass a", ""},
    {"[a] pass if client_name under helo_name", "", "pass", ""},
    {"[a] pass if sender.domain == \"EXAMPLE.org\"", "", "pass a", ""},
};

START_TEST(gives_the_verdict) {
  check_case(&verdict_cases[_i]);
}
END_TEST

static const Case branch_cases[] = {
    {"when client_port == 1 { [a] pass } else when client_port == 2525 { [b] pass } else { [c] pass }", "", "pass b", ""},
    {"when client_port == 1 { [a] pass } else when client_port == 2 { [b] pass } else { [c] pass }", "", "pass c", ""},
    {"when client_port == 2525 { [a] log \"a\" } else { [c] pass }\n[d] accept recipient", "", "accept d; log a a", ""},
    /* An unknown `when` takes neither branch; what its table says decides. */
    {"when sender in grey { [a] pass } else { [b] log \"b\" }\n[c] tempfail 450 4.7.1 \"x\"", "grey " FROM " = failed",
     "tempfail 450 4.7.1 c \"x\"; failed table grey: scripted", "grey " FROM},
    {"when sender in bad { [a] log \"a\" } else { [b] log \"b\" }", "bad " FROM " = failed",
     "tempfail 451 4.3.0 test:11 \"temporary failure: try again later\" by failure; failed table bad: scripted", "bad " FROM},
    {"when sender in grey { [a] accept recipient }\n[c] reject 550 5.7.1 \"x\"", "grey " FROM " = failed",
     "tempfail 451 4.3.0 c \"temporary failure: try again later\" by failure; failed table grey: scripted", NULL},
    {"when sender in grey { [a] log \"x\" } else { [b] accept recipient }\n[c] reject 550 5.7.1 \"x\"", "grey " FROM " = failed",
     "tempfail 451 4.3.0 c \"temporary failure: try again later\" by failure; failed table grey: scripted", NULL},
    /* The block of an unknown `when` behind a true branch does not matter. */
    {"when client_port == 2525 { [a] log \"a\" } else when sender in bad { [b] pass }\n[c] pass", "bad " FROM " = failed",
     "pass c; log a a", ""},
};

START_TEST(takes_the_branch) {
  check_case(&branch_cases[_i]);
}
END_TEST

static const Case asking_cases[] = {
    /* Ahead: side by side, also behind the first open rule. */
    {"[a] pass if client_address in zen or client_address in bl\n[b] pass if sender in bad", "", "pass", ZEN ", bl 192.0.2.1, bad " FROM},
    /* As far as the first rule that is surely true. */
    {"[a] pass if client_address in zen\n[b] reject 550 5.7.1 \"x\"", "", "reject 550 5.7.1 b \"x\"", ZEN},
    {"[a] pass if client_address in zen\n[b] pass if client_port == 2525\n[c] pass if sender in bad", "", "pass b", ZEN},
    {"[a] pass if client_address in zen\n[b] observe pass if client_port == 2525\n[c] pass if sender in bad", "",
     "pass; observed b pass 0 <pass>", ZEN ", bad " FROM},
    /* Into blocks that are open, and a verdict in there is not sure. */
    {"when client_address in zen { [b] pass if client_address in bl\n[s] pass }\n[c] log \"c\" if sender in bad", "", "pass",
     ZEN ", bl 192.0.2.1, bad " FROM},
    {"when client_address in zen { [b] log \"x\" } else { [c] log \"c\" if sender in bad }", "", "pass", ZEN ", bad " FROM},
    /* What a variable decides is not asked ahead once something before may set it. */
    {"[a] set session.x = 1 if client_address in zen\n[b] pass if session.x == 1 and sender in bad", "", "pass", ZEN ", bad " FROM},
    {"[a] set session.x = \"k\" if client_address in zen\n[b] pass if names[session.x] == \"v\"", ZEN " = 127.0.0.2\nnames k = v", "pass b",
     ZEN " | names k"},
    /* One question for equal ones. */
    {"[a] log \"a\" if client_address in zen\n[b] pass if client_address in zen", ZEN " = 127.0.0.2", "pass b; log a a", ZEN},
    /* Reached: everything before and to the left decided. */
    {"[a] log \"a\" if client_address in zen\n[b] pass if sender in dear", "", "pass", ZEN " | dear " FROM},
    {"[a] pass if client_address in zen and sender in dear", "", "pass", ZEN},
    {"[a] pass if client_address in zen and sender in dear", ZEN " = 127.0.0.2", "pass", ZEN " | dear " FROM},
    {"[a] pass if sender in dear and client_address in zen", "", "pass", "dear " FROM ", " ZEN},
    /* Stateful: behind every other look-up of the condition, and only when it still matters, one at a time, left to right. */
    {"[a] pass if sender in tally and client_address in zen", "", "pass", ZEN},
    {"[a] pass if sender in tally and client_address in zen", ZEN " = 127.0.0.2", "pass", ZEN " | tally " FROM},
    {"[a] pass if sender in tally or sender in grey", "", "pass", "tally " FROM " | grey " FROM},
    {"[a] pass if sender in tally or sender in grey", "tally " FROM " = found", "pass a", "tally " FROM},
    {"[a] pass if sender in tally and sender in dear", "dear " FROM " = found", "pass", "dear " FROM " | tally " FROM},
    {"[a] pass if (sender in tally and client_address in zen) or sender in grey", "", "pass", ZEN " | grey " FROM},
    {"[a] log \"a\" if client_address in zen\n[b] pass if sender in tally", "", "pass", ZEN " | tally " FROM},
    /* Once an event, however often it is asked. */
    {"[a] log \"a\" if sender in tally\n[b] pass if sender in tally", "tally " FROM " = found", "pass b; log a a", "tally " FROM},
    /* A list's text only for a rule that matched. */
    {"[a] reject 550 5.7.1 \"{dnslist.zone} {dnslist.code} {dnslist.text}\" if client_address in zen",
     ZEN " = 127.0.0.4\ntext " ZEN " = see here", "reject 550 5.7.1 a \"zen 127.0.0.4 see here\"", ZEN " | text " ZEN},
    {"[a] reject 550 5.7.1 \"{dnslist.text}\" if client_address in zen", ZEN " = 127.0.0.4\ntext " ZEN " = failed",
     "reject 550 5.7.1 a \"?\"; failed dnslist zen: scripted", ZEN " | text " ZEN},
    {"[a] reject 550 5.7.1 \"{dnslist.zone}\" if client_address in zen or client_address in bl", "bl 192.0.2.1 = 127.0.0.2",
     "reject 550 5.7.1 a \"bl\"", ZEN ", bl 192.0.2.1"},
    /* Somebody reads its details, and it is not asked all the same where what stands right makes the condition false; but where an `or` stands above. */
    {"[a] reject 550 5.7.1 \"{dnslist.zone}\" if client_address in zen and sender == \"x@example.net\"", ZEN " = 127.0.0.4", "pass", ""},
    {"[a] reject 550 5.7.1 \"{dnslist.zone}\" if (client_address in zen and client_address in bl) and sender == \"x@example.net\"",
     ZEN " = 127.0.0.4", "pass", ""},
    {"[a] reject 550 5.7.1 \"{dnslist.zone}\" if (client_address in zen and sender == \"x@example.net\") or client_address == 192.0.2.1",
     ZEN " = 127.0.0.4", "reject 550 5.7.1 a \"zen\"", ZEN},
    /* What fails beside what is false is not told; beside what is unknown it is, once. */
    {"[a] log \"a\" if client_address in zen\n[b] reject if client_address in zen and sender == \"x@example.net\"", ZEN " = failed",
     "pass; failed dnslist zen: scripted", ZEN},
    {"[a] log \"a\" if client_address in zen and client_address in bl", ZEN " = failed", "pass", ZEN ", bl 192.0.2.1"},
    {"[a] log \"a\" if client_address in zen or client_address in bl", ZEN " = failed\nbl 192.0.2.1 = 127.0.0.2", "pass; log a a",
     ZEN ", bl 192.0.2.1"},
    /* Arguments: all of them side by side, once the rule has matched. */
    {"[a] log \"{names[\"k\"]} {names[\"l\"]}\" if client_address in zen", ZEN " = 127.0.0.2\nnames k = v\nnames l = failed",
     "pass; failed table names: scripted; log a v ?", ZEN " | names k, names l"},
    {"[a] check lists[\"k\"]\n[b] pass", "lists k = REJECT go away", "reject 550 5.7.1 a \"go away\"", "lists k"},
    {"[a] check lists[\"k\"]\n[b] pass", "lists k = failed",
     "tempfail 451 4.3.0 a \"temporary failure: try again later\" by failure; failed table lists: scripted", NULL},
};

START_TEST(asks_what_it_may) {
  check_case(&asking_cases[_i]);
}
END_TEST

/* At most LIMIT_ASKED_AHEAD at once; the rest are asked when answers have made room. */
START_TEST(bounds_what_is_out) {
  GString *rules = g_string_new(NULL);
  for (int i = 0; i < 40; i++)
    g_string_append_printf(rules, "[r%d] pass if names[\"%d\"] is set\n", i, i);
  Fixture *fixture = load(rules->str);
  ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), "pass");
  const char *bar = strstr(fixture_asked(fixture), " | ");
  ck_assert_ptr_nonnull(bar);
  ck_assert(g_str_has_prefix(bar, " | names 32, names 33"));
  fixture_free(fixture);
  g_string_free(rules, TRUE);
}
END_TEST

START_TEST(deadline_makes_unknown) {
  Fixture *fixture =
      load("[a] log \"a\" if client_address in zen\n[b] log \"b\" if sender in tally\n[c] reject 550 5.7.1 \"x\" if sender in bad");
  fixture_silence(fixture, "zen tally bad");
  ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT),
                   "tempfail 451 4.3.0 c \"temporary failure: try again later\" by failure; failed dnslist zen: no answer within 8 s; "
                   "failed table tally: no answer within 8 s; failed table bad: no answer within 8 s");
  ck_assert_str_eq(fixture_asked(fixture), ZEN ", bad " FROM);
  fixture_free(fixture);
}
END_TEST

START_TEST(late_answer_is_ignored) {
  Fixture *fixture = load("[a] pass if client_address in zen");
  g_autoptr(Arena) arena = arena_new(0);
  Evaluation *evaluation =
      evaluation_new(arena, fixture_ruleset(fixture), PHASE_RCPT, fixture_session(fixture), fixture_variables(fixture), NULL);
  ck_assert_int_eq(evaluation_run(evaluation), EVALUATION_WAITS);
  size_t count;
  Question *const *wanted = evaluation_wanted(evaluation, &count);
  ck_assert_uint_eq(count, 1);
  ck_assert(evaluation_is_waiting(evaluation));
  g_autoptr(Answer) answer = answer_new_failed("late");
  evaluation_expire(evaluation, "no answer within 8 s");
  ck_assert(!evaluation_is_waiting(evaluation));
  evaluation_answer(evaluation, wanted[0], answer);
  ck_assert_int_eq(evaluation_run(evaluation), EVALUATION_DECIDED);
  ck_assert(slice_equal(evaluation_verdict(evaluation)->failures->reason, SLICE_LITERAL("no answer within 8 s")));
  fixture_free(fixture);
}
END_TEST

START_TEST(here_only_stops) {
  EvaluationOptions options = {.here_only = true};
  Fixture *fixture = load("[a] accept recipient if recipient.localpart == \"bob\"\n[b] reject 550 5.7.1 \"x\" if client_address in zen");
  ck_assert_str_eq(fixture_run_with(fixture, PHASE_RCPT, &options), "accept a");
  fixture_free(fixture);
  fixture = load("[b] reject 550 5.7.1 \"x\" if client_address in zen\n[a] accept recipient");
  ck_assert_str_eq(fixture_run_with(fixture, PHASE_RCPT, &options), "pass");
  ck_assert_str_eq(fixture_asked(fixture), "");
  fixture_free(fixture);
}
END_TEST

START_TEST(observe_all_keeps_variables) {
  EvaluationOptions options = {.observe_all = true};
  Fixture *fixture = load("[a] set session.x = client_port\n[b] log \"b\"\n[c] reject 550 5.7.1 \"x\"");
  ck_assert_str_eq(fixture_run_with(fixture, PHASE_RCPT, &options), "pass");
  ck_assert_str_eq(fixture_variable(fixture, "session.x"), "2525");
  fixture_free(fixture);
  fixture = load("[c] reject 550 5.7.1 \"x\" if client_address in zen");
  ck_assert_str_eq(fixture_run_with(fixture, PHASE_RCPT, &options), "pass");
  ck_assert_str_eq(fixture_asked(fixture), "");
  fixture_free(fixture);
}
END_TEST

/* Many runs of one evaluation must not let its arena grow with each. */
START_TEST(runs_share_their_memory) {
  Fixture *fixture = load("[a] pass if client_address in zen and \"{client_name}{helo_name}{sender}\" == \"x\"");
  g_autoptr(Arena) arena = arena_new(0);
  Evaluation *evaluation =
      evaluation_new(arena, fixture_ruleset(fixture), PHASE_RCPT, fixture_session(fixture), fixture_variables(fixture), NULL);
  (void)evaluation_run(evaluation);
  (void)evaluation_run(evaluation);
  size_t used = arena_used(arena);
  for (int i = 0; i < 100; i++)
    (void)evaluation_run(evaluation);
  ck_assert_uint_eq(arena_used(arena), used);
  fixture_free(fixture);
}
END_TEST

/* An argument is read before perform and by it: what it matches itself must not show in its own captures. */
START_TEST(arguments_read_what_the_condition_captured) {
  Fixture *fixture = load("[a] set session.x = (\"{1}\" == \"m\" and helo_name ~ /^m(x)/) if client_name ~ /^(m)/");
  (void)fixture_run(fixture, PHASE_RCPT);
  ck_assert_str_eq(fixture_variable(fixture, "session.x"), "true");
  fixture_free(fixture);
}
END_TEST

static const Regex *first_regex(const Ruleset *ruleset) {
  return ruleset->phases[PHASE_RCPT].statements[0].condition->as.regex;
}

/* Machine code has limits of another kind (its stack is 32 KB): within them it says the same, past them it is unknown too. */
START_TEST(compiled_regex_says_the_same) {
  static const struct {
    int length;
    const char *told;
  } rows[] = {
      {100, "pass a"},
      {3000,
       "tempfail 451 4.3.0 a \"temporary failure: try again later\" by failure; failed regex /^(?:[a-z]|\\d)+x$/: match limit exceeded"}};
  Fixture *fixture = load("[a] pass if sasl_username ~ /^(?:[a-z]|\\d)+x$/");
  for (int compiled = 0; compiled < 2; compiled++) {
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
      g_autofree char *text = g_strnfill((gsize)rows[i].length, 'x');
      ck_assert(session_set(fixture_session(fixture), FACT_SASL_USERNAME, slice_from(text)));
      ck_assert_str_eq(fixture_run(fixture, PHASE_RCPT), rows[i].told);
    }
    const Regex *regex = first_regex(fixture_ruleset(fixture));
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* where there is no JIT, the interpreter is asked twice */
  }
  fixture_free(fixture);
}
END_TEST

/* The text of a message is longer than any fact: the limits grow with it, and are the old ones for the next fact. */
START_TEST(long_text_is_matched) {
  Fixture *fixture = load("[a] pass if sasl_username ~ /[a-z]+[0-9]$/");
  Ruleset *ruleset = fixture_ruleset(fixture);
  MatchSpace *space = match_space_new();
  const EvaluationOptions options = {.match_space = space};
  Session *session = fixture_session(fixture);
  static const int lengths[] = {100, 200000, 100};
  for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
    g_autofree char *text = g_strnfill((gsize)lengths[i], ' ');
    memcpy(text + lengths[i] - 6, "word 7", 6);
    text[lengths[i] - 2] = 'x';
    Value value = value_text(slice_from(text));
    session_set_value(session, FACT_SASL_USERNAME, &value);
    g_autoptr(Arena) arena = arena_new(4096);
    g_autoptr(Variables) variables = variables_new(ruleset);
    Evaluation *evaluation = evaluation_new(arena, ruleset, PHASE_RCPT, session, variables, &options);
    ck_assert_int_eq(evaluation_run(evaluation), EVALUATION_DECIDED);
    ck_assert(slice_equal(evaluation_verdict(evaluation)->rule, SLICE_LITERAL("a")));
  }
  match_space_free(space);
  fixture_free(fixture);
}
END_TEST

/* ---- what a trace is told ---- */

typedef struct Recorder {
  Trace trace; /* first */
  GString *told;
} Recorder;

static void record_begin(Trace *trace, Phase phase) {
  g_string_printf(((Recorder *)trace)->told, "begin %s", phase_name(phase));
}

static void record_statement(Trace *trace, const Statement *statement, const Value *condition, bool decided) {
  static const char *const states[] = {"unset", "set", "unknown", "open"};
  const char *state = condition->state == VALUE_SET ? (condition->as.truth ? "true" : "false") : states[condition->state];
  Slice id = statement->kind == STATEMENT_RULE ? statement->rule->id : SLICE_LITERAL("when");
  g_string_append_printf(((Recorder *)trace)->told, "; %.*s %s%s", SLICE_ARGS(id), state, decided ? "" : " (not decided)");
}

static void record_expression(Trace *trace, const Expression *expression, const Value *value) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice text = value_format(arena, value);
  if (expression->kind == EXPRESSION_FACT)
    g_string_append_printf(((Recorder *)trace)->told, "; fact %.*s", SLICE_ARGS(text));
}

static void record_lookup(Trace *trace, const ResourceUse *use, const Value *keys, const Question *question, const Answer *answer,
                          const ResourceAnswer *result) {
  (void)keys;
  g_string_append_printf(((Recorder *)trace)->told, "; %.*s %s %s %d", SLICE_ARGS(use->label), question != NULL ? question->key : "-",
                         answer != NULL ? "answered" : "-", result->state);
}

static void record_performed(Trace *trace, const Rule *rule) {
  g_string_append_printf(((Recorder *)trace)->told, "; did %.*s", SLICE_ARGS(rule->id));
}

#define MANY_LETTERS \
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* One space for many evaluations: compiled and interpreted matches, more groups than at first, one that reaches its limit, and texts that are no UTF-8. */
START_TEST(match_space_serves_many) {
  static const struct {
    const char *rules, *facts, *told;
  } rows[] = {
      {"[a] log \"{1}\" if helo_name ~ /^(m)/", "", "pass; log a m"},
      {"[a] log \"{1}\" if helo_name ~ /(*NO_JIT)^(m)/", "", "pass; log a m"},
      {"[a] log \"{20}{19}\" if helo_name ~ /()()()()()()()()()()()()()()()()()()(m)(x)/", "", "pass; log a xm"},
      {"[a] pass on error match if helo_name ~ /(*NO_JIT)^(([a-z])+.)+[A-Z]([a-z])+$/", "helo_name=" MANY_LETTERS, "pass a"},
      {"[a] pass on error match if sasl_username ~ /(*UTF)x/", "sasl_username=\xff", "pass a"},
      {"[a] pass if sasl_username ~ /(*UTF)^.$/", "sasl_username=\xc3\xa9", "pass a"},
      {"[a] pass if sasl_username ~ /^..$/", "sasl_username=\xc3\xa9", "pass a"},
      {"[a] log \"{1}\" if helo_name ~ /(7)/", "", "pass; log a 7"},
  };
  EvaluationOptions options = {.match_space = match_space_new()};
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Fixture *fixture = load(rows[i].rules);
    fixture_facts(fixture, rows[i].facts);
    const char *told = fixture_run_with(fixture, PHASE_RCPT, &options);
    ck_assert_msg(g_str_has_prefix(told, rows[i].told), "%s: %s", rows[i].rules, told);
    fixture_free(fixture);
  }
  match_space_free(options.match_space);
}
END_TEST

START_TEST(tells_the_trace) {
  Recorder recorder = {{record_begin, record_statement, record_expression, record_lookup, record_performed}, g_string_new(NULL)};
  EvaluationOptions options = {.trace = &recorder.trace};
  Fixture *fixture = load("when client_port == 2525 { [a] log \"a\" if client_address in zen\n[b] pass if sender in bad }");
  fixture_script(fixture, "zen 192.0.2.1 = 127.0.0.2");
  (void)fixture_run_with(fixture, PHASE_RCPT, &options);
  ck_assert_str_eq(recorder.told->str,
                   "begin rcpt; fact 2525; when true; fact 192.0.2.1; dnslist zen zen 192.0.2.1 answered 0; a true; did a; "
                   "fact ann@example.org; table bad bad ann@example.org answered 1; b false");
  g_string_free(recorder.told, TRUE);
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, gives_the_verdict, 0, G_N_ELEMENTS(verdict_cases));
  tcase_add_loop_test(tests, takes_the_branch, 0, G_N_ELEMENTS(branch_cases));
  tcase_add_loop_test(tests, asks_what_it_may, 0, G_N_ELEMENTS(asking_cases));
  tcase_add_test(tests, bounds_what_is_out);
  tcase_add_test(tests, deadline_makes_unknown);
  tcase_add_test(tests, late_answer_is_ignored);
  tcase_add_test(tests, here_only_stops);
  tcase_add_test(tests, observe_all_keeps_variables);
  tcase_add_test(tests, runs_share_their_memory);
  tcase_add_test(tests, arguments_read_what_the_condition_captured);
  tcase_add_test(tests, compiled_regex_says_the_same);
  tcase_add_test(tests, long_text_is_matched);
  tcase_add_test(tests, match_space_serves_many);
  tcase_add_test(tests, tells_the_trace);
}

UNIT_MAIN("evaluate", add_tests)
