/*
 * test_variables.c: variables between phases: scopes, copies, another ruleset.
 */
#include "common/base/limits.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

static const char rules[] =
    "table names of string -> string from ahead \"names\" on error skip\n"
    "at helo { set session.helo = helo_name\n set session.port = client_port }\n"
    "at mail { set message.from = sender\n set session.helo = session.helo if sender == <> }\n"
    "at rcpt { set recipient.to = recipient\n set session.last = names[recipient.localpart] }\n";

static Fixture *begin(void) {
  Fixture *fixture = fixture_new(rules);
  fixture_facts(fixture, "helo_name=mx.example.net client_port=25 sender=a@example.org recipient=bob@example.com");
  (void)fixture_run(fixture, PHASE_HELO);
  (void)fixture_run(fixture, PHASE_MAIL);
  (void)fixture_run(fixture, PHASE_RCPT);
  return fixture;
}

START_TEST(live_as_long_as_their_scope) {
  Fixture *fixture = begin();
  ck_assert_str_eq(fixture_variable(fixture, "session.helo"), "mx.example.net");
  ck_assert_str_eq(fixture_variable(fixture, "session.port"), "25");
  ck_assert_str_eq(fixture_variable(fixture, "message.from"), "a@example.org");
  ck_assert_str_eq(fixture_variable(fixture, "recipient.to"), "bob@example.com");
  variables_end_recipient(fixture_variables(fixture), true);
  ck_assert_str_eq(fixture_variable(fixture, "recipient.to"), "");
  ck_assert_str_eq(fixture_variable(fixture, "message.from"), "a@example.org");
  variables_reset_message(fixture_variables(fixture));
  ck_assert_str_eq(fixture_variable(fixture, "message.from"), "");
  ck_assert_str_eq(fixture_variable(fixture, "session.helo"), "mx.example.net");
  variables_reset(fixture_variables(fixture));
  ck_assert_str_eq(fixture_variable(fixture, "session.helo"), "");
  ck_assert_str_eq(fixture_variable(fixture, "session.port"), "");
  fixture_free(fixture);
}
END_TEST

/* The texts are copies: the session's facts may go. */
START_TEST(keep_their_texts) {
  Fixture *fixture = begin();
  session_reset(fixture_session(fixture));
  ck_assert_str_eq(fixture_variable(fixture, "session.helo"), "mx.example.net");
  ck_assert_str_eq(fixture_variable(fixture, "message.from"), "a@example.org");
  fixture_free(fixture);
}
END_TEST

START_TEST(may_be_set_from_themselves) {
  Fixture *fixture = begin();
  fixture_facts(fixture, "sender=");
  for (int i = 0; i < 3; i++)
    (void)fixture_run(fixture, PHASE_MAIL);
  ck_assert_str_eq(fixture_variable(fixture, "session.helo"), "mx.example.net");
  fixture_free(fixture);
}
END_TEST

START_TEST(unknown_unset_and_set_again) {
  Fixture *fixture = begin();
  fixture_script(fixture, "names bob = failed");
  (void)fixture_run(fixture, PHASE_RCPT);
  const Ruleset *ruleset = fixture_ruleset(fixture);
  for (size_t i = 0; i < ruleset->variable_count; i++) {
    if (!slice_equal(ruleset->variables[i]->name, SLICE_LITERAL("last")))
      continue;
    Value value = variables_get(fixture_variables(fixture), ruleset->variables[i]);
    ck_assert_int_eq(value.state, VALUE_UNKNOWN);
    ck_assert(slice_equal(value.as.failures->lookup, SLICE_LITERAL("table names")));
    ck_assert(slice_equal(value.as.failures->reason, SLICE_LITERAL("scripted")));
    ck_assert_ptr_null(value.as.failures->next);
  }
  fixture_script(fixture, "names bob = Robert");
  (void)fixture_run(fixture, PHASE_RCPT);
  ck_assert_str_eq(fixture_variable(fixture, "session.last"), "Robert");
  fixture_script(fixture, "");
  (void)fixture_run(fixture, PHASE_RCPT);
  ck_assert_str_eq(fixture_variable(fixture, "session.last"), "");
  fixture_free(fixture);
}
END_TEST

/* What failed is told by the phase whose rule could not be decided, also when it was asked in an earlier one. */
START_TEST(unknown_tells_what_failed_earlier) {
  Fixture *fixture = fixture_new(
      "table names of string -> string from ahead \"names\" on error tempfail\n"
      "at helo { set session.x = names[\"k\"] }\n"
      "at mail { [a] reject 550 5.7.1 \"x\" if session.x == \"v\" }\n");
  fixture_facts(fixture, "helo_name=mx.example.net");
  fixture_script(fixture, "names k = failed");
  (void)fixture_run(fixture, PHASE_HELO);
  ck_assert_str_eq(fixture_run(fixture, PHASE_MAIL),
                   "tempfail 451 4.3.0 a \"temporary failure: try again later\" by failure; failed table names: scripted");
  ck_assert_str_eq(fixture_asked(fixture), "");
  fixture_free(fixture);
}
END_TEST

/* Each run starts with what there was when the phase began. */
START_TEST(runs_start_anew) {
  Fixture *fixture = fixture_new(
      "table names of string -> string from ahead \"names\"\n"
      "at helo { set session.x = \"\" }\n"
      "at mail { [a] set session.x = \"{session.x}+\"\n [b] log \"{session.x}\" if names[\"k\"] is unset }\n");
  ck_assert_str_eq(fixture_run(fixture, PHASE_MAIL), "pass; log b +");
  ck_assert_str_eq(fixture_variable(fixture, "session.x"), "+");
  ck_assert_str_eq(fixture_run(fixture, PHASE_MAIL), "pass; log b ++");
  fixture_free(fixture);
}
END_TEST

START_TEST(long_texts_are_cut) {
  Fixture *fixture = fixture_new("at mail { set session.x = \"{sasl_username}{sasl_username}\" }\n");
  char *text = g_strnfill(LIMIT_VARIABLE - 1, 'x');
  ck_assert(session_set(fixture_session(fixture), FACT_SASL_USERNAME, slice_from(text)));
  (void)fixture_run(fixture, PHASE_MAIL);
  ck_assert_uint_eq(strlen(fixture_variable(fixture, "session.x")), LIMIT_VARIABLE);
  /* Not inside a character: this one would end behind the limit. */
  g_autofree char *wide = g_strconcat(text, "\xc3\xa9", NULL);
  Arena *arena = arena_new(0);
  Value value = value_text(slice_from(wide));
  value = variables_copy_value(arena, &value);
  ck_assert_uint_eq(value.as.text.length, LIMIT_VARIABLE - 1);
  arena_free(arena);
  g_free(text);
  fixture_free(fixture);
}
END_TEST

START_TEST(session_goes_on_by_name) {
  Fixture *fixture = begin();
  Variables *variables = fixture_variables(fixture);
  Ruleset *other = fixture_load(fixture,
                                "at helo { set session.other = client_port\n set session.helo = helo_name\n set session.port = helo_name\n"
                                "[s] score good 1 }\nat rcpt { set recipient.to = recipient }\n");
  variables_rebind(variables, other);
  ck_assert_ptr_eq(variables_ruleset(variables), other);
  ck_assert_str_eq(fixture_variable(fixture, "session.helo"), "mx.example.net");
  ck_assert_str_eq(fixture_variable(fixture, "session.port"), ""); /* another type */
  ck_assert_str_eq(fixture_variable(fixture, "session.other"), "");
  ck_assert_str_eq(fixture_variable(fixture, "recipient.to"), "");
  ruleset_unref(other);
  fixture_free(fixture);
}
END_TEST

START_TEST(scores_go_on_by_name) {
  Fixture *fixture = fixture_new("at helo { [a] score good 1\n [b] score gone 2 }\n");
  fixture_facts(fixture, "helo_name=mx.example.net");
  (void)fixture_run(fixture, PHASE_HELO);
  Variables *variables = fixture_variables(fixture);
  Ruleset *other = fixture_load(fixture, "at helo { [x] score new 8\n [a] score good 1 }\n");
  variables_rebind(variables, other);
  ck_assert_double_eq(variables_score(variables, SCORE_TOTAL), 1);
  /* [a] has scored in this session; [x] has not. */
  g_autoptr(Arena) arena = arena_new(0);
  Evaluation *evaluation = evaluation_new(arena, other, PHASE_HELO, fixture_session(fixture), variables, NULL);
  ck_assert_int_eq(evaluation_run(evaluation), EVALUATION_DECIDED);
  evaluation_commit(evaluation);
  ck_assert_double_eq(variables_score(variables, SCORE_TOTAL), 9);
  ruleset_unref(other);
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, live_as_long_as_their_scope);
  tcase_add_test(tests, keep_their_texts);
  tcase_add_test(tests, may_be_set_from_themselves);
  tcase_add_test(tests, unknown_unset_and_set_again);
  tcase_add_test(tests, unknown_tells_what_failed_earlier);
  tcase_add_test(tests, runs_start_anew);
  tcase_add_test(tests, long_texts_are_cut);
  tcase_add_test(tests, session_goes_on_by_name);
  tcase_add_test(tests, scores_go_on_by_name);
}

UNIT_MAIN("variables", add_tests)
