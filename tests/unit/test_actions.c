/*
 * test_actions.c: each action's example compiles where the action may stand, and each does what its sentence says.
 */
#include "common/lookup/kinds.h"
#include "common/rules/action.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

static const char tables[] = "table access of net -> action { 192.0.2.0/24 -> \"REJECT\" }\n";

/* `accept` has another word for each phase, so its example is good at one only. */
static bool compiles_at(const Action *action, Phase phase, ResourceSource *source) {
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = source};
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autofree char *rules = g_strdup_printf("%sat %s {\n%s\n}\n", tables, phase_name(phase), action->example);
  Ruleset *ruleset = ruleset_load_text("x.rules", slice_from(rules), NULL, &options, diagnostics);
  ruleset_unref(ruleset);
  return ruleset != NULL;
}

START_TEST(examples_compile) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  for (const Action *const *action = actions_all(); *action; action++) {
    size_t good = 0, stands = 0;
    for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
      bool may_stand = ((*action)->phases & PHASE_BIT(phase)) != 0;
      bool compiles = compiles_at(*action, phase, source);
      ck_assert_msg(may_stand || !compiles, "%s compiles at %s", (*action)->example, phase_name(phase));
      stands += may_stand;
      good += compiles;
    }
    bool has_scopes = strcmp((*action)->name, "accept") == 0;
    ck_assert_msg(has_scopes ? good == 3 : good == stands, "%s: good at %zu of %zu", (*action)->example, good, stands);
    ck_assert_str_ne((*action)->sentence, "");
  }
  resource_source_plain_free(source);
}
END_TEST

typedef struct Case {
  Phase phase;
  const char *rules; /* of a block of the phase */
  const char *told;
} Case;

static const char map[] =
    "table acts of string -> action { \"reject\" -> \"REJECT no thanks\", \"bare\" -> \"REJECT\", \"code\" -> \"552 5.2.3 too big\",\n"
    "  \"later\" -> \"450 later\", \"defer\" -> \"DEFER\", \"close\" -> \"421 bye\", \"ok\" -> \"OK\", \"dunno\" -> \"DUNNO\", \"drop\" -> "
    "\"DISCARD spam\",\n"
    "  \"hold\" -> \"HOLD watch\", \"alone\" -> \"504 what\" }\n";

static const Case cases[] = {
    {PHASE_RCPT, "[a] pass", "pass a"},
    {PHASE_RCPT, "[a] accept", "accept a"},
    {PHASE_CONNECT, "[a] accept session", "accept a"},
    {PHASE_EOM, "[a] accept message", "accept a"},
    {PHASE_RCPT, "[a] reject", "reject 550 5.7.1 a \"recipient address refused by local policy\""},
    {PHASE_DATA, "[a] reject", "reject 554 5.7.1 a \"message refused by local policy\""},
    {PHASE_EOM, "[a] reject \"{sender}\" \"two\"", "reject 554 5.7.1 a \"ann@example.org\" \"two\""},
    {PHASE_UNKNOWN, "[a] reject", "reject 502 5.5.1 a \"command not implemented\""},
    {PHASE_RCPT, "[a] reject 552", "reject 552 5.2.2 a \"recipient address refused by local policy\""},
    {PHASE_RCPT, "[a] reject 5.1.1 \"x\"", "reject 550 5.1.1 a \"x\""},
    {PHASE_RCPT, "[a] tempfail", "tempfail 450 4.7.1 a \"not accepted at this time, try again later\""},
    {PHASE_MAIL, "[a] tempfail", "tempfail 451 4.7.1 a \"not accepted at this time, try again later\""},
    {PHASE_RCPT, "[a] tempfail 452 \"x\"", "tempfail 452 4.3.1 a \"x\""},
    {PHASE_CONNECT, "[a] disconnect", "disconnect 421 4.7.0 a \"connection refused by local policy, closing it\""},
    {PHASE_CONNECT, "[a] disconnect 521 5.3.2 \"no\"", "disconnect 521 5.3.2 a \"no\""},
    {PHASE_RCPT, "[a] check acts[\"reject\"]", "reject 550 5.7.1 a \"no thanks\""},
    {PHASE_RCPT, "[a] check acts[\"bare\"]", "reject 550 5.7.1 a \"recipient address refused by local policy\""},
    {PHASE_RCPT, "[a] check acts[\"code\"]", "reject 552 5.2.3 a \"too big\""},
    {PHASE_RCPT, "[a] check acts[\"alone\"]", "reject 504 5.5.4 a \"what\""},
    {PHASE_RCPT, "[a] check acts[\"later\"]", "tempfail 450 4.7.1 a \"later\""},
    {PHASE_MAIL, "[a] check acts[\"defer\"]", "tempfail 451 4.7.1 a \"not accepted at this time, try again later\""},
    {PHASE_RCPT, "[a] check acts[\"close\"]", "disconnect 421 4.7.0 a \"bye\""},
    {PHASE_RCPT, "[a] check acts[\"ok\"]\n[b] reject", "pass a"},
    {PHASE_RCPT, "[a] check acts[\"dunno\"]\n[b] pass", "pass b"},
    {PHASE_RCPT, "[a] check acts[\"missing\"]\n[b] pass", "pass b"},
    {PHASE_CONNECT, "[a] check acts[\"drop\"]\n[b] check acts[\"hold\"]",
     "pass; log a DISCARD is left out: there is no message at connect; log b HOLD is left out: there is no message at connect"},
    {PHASE_CONNECT, "[a] delay 2s", "pass; delay a 2000"},
    {PHASE_CONNECT, "[a] log \"{client_address}\"", "pass; log a 192.0.2.1"},
    {PHASE_EOM, "[a] append header \"X-A\" \"{sender}\"", "pass; append_header a X-A: ann@example.org"},
    {PHASE_EOM, "[a] replace header \"Subject\" \"x\"", "pass; replace_header a Subject[0]: x"},
    {PHASE_RCPT, "[a] replace header \"Received\" 2 \"{recipient}\"", "pass; replace_header a Received[2]: bob@example.com"},
    {PHASE_MAIL, "[a] replace header \"Received\" last \"\"", "pass; replace_header a Received[-1]: "},
    {PHASE_EOM, "[a] delete header \"X-A\"\n[b] delete header \"X-A\" 1", "pass; delete_header a X-A[0]: ; delete_header b X-A[1]: "},
    {PHASE_EOM, "[a] add recipient \"{sender.localpart}@Archive.EXAMPLE\"", "pass; add_recipient a <ann@archive.example>"},
    {PHASE_RCPT, "[a] remove recipient \"{recipient}\"", "pass; remove_recipient a <bob@example.com>"},
    {PHASE_EOM, "[a] change sender <>\n[b] change sender \"<>\"", "pass; change_sender a <>; change_sender b <>"},
    {PHASE_EOM, "[a] change sender \"x@example.net\"", "pass; change_sender a <x@example.net>"},
    {PHASE_RCPT, "[a] redirect message \"\\\"a b\\\"@example.net\"", "pass; redirect_message a <\"a b\"@example.net>"},
    {PHASE_DATA, "[a] bcc message \"x@[192.0.2.1]\"", "pass; bcc_message a <x@[192.0.2.1]>"},
    {PHASE_DATA, "[a] filter message \"smtp:[{client_address}]:25\"", "pass; filter_message a smtp:[192.0.2.1]:25"},
    /* what the text comes to is no address */
    {PHASE_EOM, "[a] redirect message \"{helo_name}@example.net\"", "pass; undone a redirect message: is not user@domain \"@example.net\""},
    {PHASE_EOM, "[a] bcc message \"{sender.localpart}\"\n[b] pass", "pass b; undone a bcc message: is not user@domain \"ann\""},
    {PHASE_EOM, "[a] add recipient \"{sender} x\"", "pass; undone a add recipient: is not user@domain \"ann@example.org x\""},
    {PHASE_EOM, "[a] add recipient \"{sender}\\n@x.example\"", "pass; undone a add recipient: is no address \"ann@example.org\n@x.example\""},
    {PHASE_EOM, "[a] change sender \"{helo_name}\"", "pass; undone a change sender: is not user@domain \"\""},
    {PHASE_EOM, "[a] filter message \"{sender}:x\"", "pass; undone a filter message: is not transport:destination \"ann@example.org:x\""},
    {PHASE_EOM, "[a] observe bcc message \"{helo_name}\"", "pass; observed a pass 0 <bcc message \"{helo_name}\">"},
};

START_TEST(does_what_it_says) {
  const Case *row = &cases[_i];
  g_autofree char *rules = g_strdup_printf("%sat %s {\n%s\n}\n", map, phase_name(row->phase), row->rules);
  Fixture *fixture = fixture_new(rules);
  fixture_facts(fixture, "client_address=192.0.2.1 sender=ann@example.org recipient=bob@example.com");
  ck_assert_str_eq(fixture_run(fixture, row->phase), row->told);
  fixture_free(fixture);
}
END_TEST

static const Verdict *verdict_of(Fixture **fixture, Phase phase, const char *rules) {
  g_autofree char *text = g_strdup_printf("%sat %s {\n%s\n}\n", map, phase_name(phase), rules);
  *fixture = fixture_new(text);
  fixture_facts(*fixture, "client_address=192.0.2.1 sender=ann@example.org recipient=bob@example.com");
  (void)fixture_run(*fixture, phase);
  return fixture_verdict(*fixture);
}

static const struct {
  Phase phase;
  const char *rules;
  Scope scope;
} accepts[] = {
    {PHASE_RCPT, "accept", SCOPE_RECIPIENT},       {PHASE_RCPT, "accept recipient", SCOPE_RECIPIENT},
    {PHASE_MAIL, "accept message", SCOPE_MESSAGE}, {PHASE_DATA, "accept message", SCOPE_MESSAGE},
    {PHASE_MAIL, "accept session", SCOPE_SESSION}, {PHASE_HELO, "accept session", SCOPE_SESSION},
};

START_TEST(accept_has_a_scope) {
  Fixture *fixture;
  const Verdict *verdict = verdict_of(&fixture, accepts[_i].phase, accepts[_i].rules);
  ck_assert_int_eq(verdict->outcome, OUTCOME_ACCEPT);
  ck_assert_int_eq(verdict->accept_scope, accepts[_i].scope);
  fixture_free(fixture);
}
END_TEST

START_TEST(whole_messages_are_discarded_and_held) {
  static const char *const discards[] = {"[a] discard message \"spam\"", "[a] check acts[\"drop\"]"};
  static const char *const holds[] = {"[a] quarantine message \"watch\"", "[a] check acts[\"hold\"]"};
  for (size_t i = 0; i < G_N_ELEMENTS(discards); i++) {
    Fixture *fixture;
    const Verdict *verdict = verdict_of(&fixture, PHASE_RCPT, discards[i]);
    ck_assert_int_eq(verdict->outcome, OUTCOME_DISCARD);
    ck_assert(slice_equal(verdict->discard_why, SLICE_LITERAL("spam")));
    fixture_free(fixture);
    verdict = verdict_of(&fixture, PHASE_RCPT, holds[i]);
    ck_assert_int_eq(verdict->outcome, OUTCOME_PASS);
    ck_assert_uint_eq(verdict->effect_count, 1);
    ck_assert_int_eq(verdict->effects[0].kind, EFFECT_QUARANTINE_MESSAGE);
    ck_assert(slice_equal(verdict->effects[0].as.why, SLICE_LITERAL("watch")));
    ck_assert(slice_equal(verdict->effects[0].rule, SLICE_LITERAL("a")));
    fixture_free(fixture);
  }
}
END_TEST

START_TEST(prepends_a_header) {
  Fixture *fixture;
  const Verdict *verdict = verdict_of(&fixture, PHASE_EOM, "[a] prepend header \"X-From\" \"by {sender}\"");
  ck_assert_uint_eq(verdict->effect_count, 1);
  ck_assert_int_eq(verdict->effects[0].kind, EFFECT_PREPEND_HEADER);
  ck_assert(slice_equal(verdict->effects[0].as.header.name, SLICE_LITERAL("X-From")));
  ck_assert(slice_equal(verdict->effects[0].as.header.value, SLICE_LITERAL("by ann@example.org")));
  fixture_free(fixture);
}
END_TEST

START_TEST(sets_and_scores) {
  Fixture *fixture;
  const Verdict *verdict = verdict_of(
      &fixture, PHASE_RCPT,
      "set session.from = sender.domain\n"
      "set recipient.big = size > 10M\n"
      "score 1.5\nscore bulk 2\nscore message bulk -1\n"
      "[a] reject \"{session.from} {score} {score.bulk}\" if session.from == \"EXAMPLE.org\" and score in 2..3 and not recipient.big");
  ck_assert_int_eq(verdict->outcome, OUTCOME_REJECT);
  ck_assert_msg(slice_equal(verdict->reply.lines[0], SLICE_LITERAL("example.org 2.5 1")), "%.*s", SLICE_ARGS(verdict->reply.lines[0]));
  ck_assert_str_eq(fixture_variable(fixture, "session.from"), "example.org");
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, examples_compile);
  tcase_add_loop_test(tests, does_what_it_says, 0, G_N_ELEMENTS(cases));
  tcase_add_loop_test(tests, accept_has_a_scope, 0, G_N_ELEMENTS(accepts));
  tcase_add_test(tests, whole_messages_are_discarded_and_held);
  tcase_add_test(tests, prepends_a_header);
  tcase_add_test(tests, sets_and_scores);
}

UNIT_MAIN("actions", add_tests)
