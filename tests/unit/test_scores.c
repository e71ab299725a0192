/*
 * test_scores.c: scores of the session, the message and the recipient; a rule scores once a scope.
 */
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

static const char rules[] =
    "at helo { [h] score 1 }\n"
    "at mail { [m] score 2\n [n] score bulk 4 if sender.domain == \"bulk.example\" }\n"
    "at rcpt { [r] score 10 if recipient.localpart == \"ten\"\n"
    "  [s] score bulk 3 if recipient.localpart == \"three\"\n"
    "  [t] score message 100 if recipient.localpart == \"message\"\n"
    "  [u] observe score 1000\n"
    "  [v] reject 550 5.7.1 \"{score}\" if score > 50 }\n"
    "at data { [d] log \"{score} {score.bulk}\" }\n";

static void set_fact(Fixture *fixture, Fact fact, const char *text) {
  ck_assert(session_set(fixture_session(fixture), fact, slice_from(text)));
}

static void begin(Fixture *fixture, const char *sender) {
  variables_reset_message(fixture_variables(fixture));
  set_fact(fixture, FACT_SENDER, sender);
  (void)fixture_run(fixture, PHASE_MAIL);
}

static const char *recipient(Fixture *fixture, const char *address) {
  set_fact(fixture, FACT_RECIPIENT, address);
  const char *told = fixture_run(fixture, PHASE_RCPT);
  variables_end_recipient(fixture_variables(fixture), !verdict_refuses(fixture_verdict(fixture)));
  return told;
}

static void check_data(Fixture *fixture, const char *expected) {
  (void)fixture_run(fixture, PHASE_DATA);
  ck_assert_uint_eq(fixture_verdict(fixture)->effect_count, 1);
  Slice text = fixture_verdict(fixture)->effects[0].as.log_text;
  ck_assert_msg(slice_equal(text, slice_from(expected)), "found \"%.*s\", expected \"%s\"", SLICE_ARGS(text), expected);
}

static Fixture *begin_session(void) {
  Fixture *fixture = fixture_new(rules);
  fixture_facts(fixture, "helo_name=mx.example.net");
  (void)fixture_run(fixture, PHASE_HELO);
  return fixture;
}

START_TEST(largest_of_the_accepted) {
  Fixture *fixture = begin_session();
  begin(fixture, "a@example.org");
  (void)recipient(fixture, "ten@example.com");
  (void)recipient(fixture, "three@example.com");
  (void)recipient(fixture, "none@example.com");
  check_data(fixture, "13 3"); /* session 1, message 2, the recipients' largest 10; bulk: the largest is 3 */
  begin(fixture, "a@bulk.example");
  (void)recipient(fixture, "three@example.com");
  check_data(fixture, "10 7");
  fixture_free(fixture);
}
END_TEST

START_TEST(refused_recipients_do_not_count) {
  Fixture *fixture = begin_session();
  begin(fixture, "a@example.org");
  (void)recipient(fixture, "none@example.com");
  /* A message's score comes from whichever recipient, and stays when that one is refused. */
  ck_assert_str_eq(recipient(fixture, "message@example.com"), "reject 550 5.7.1 v \"103\"; observed u pass 0 <score 1000>");
  ck_assert_str_eq(recipient(fixture, "ten@example.com"), "reject 550 5.7.1 v \"113\"; observed u pass 0 <score 1000>");
  check_data(fixture, "103 0");
  fixture_free(fixture);
}
END_TEST

START_TEST(a_rule_scores_once_a_scope) {
  Fixture *fixture = begin_session();
  (void)fixture_run(fixture, PHASE_HELO);
  begin(fixture, "a@example.org");
  (void)fixture_run(fixture, PHASE_MAIL);
  (void)recipient(fixture, "message@example.com");
  (void)recipient(fixture, "message@example.com");
  check_data(fixture, "103 0");
  fixture_free(fixture);
}
END_TEST

START_TEST(second_helo_scores_anew) {
  Fixture *fixture = begin_session();
  variables_forget_phase(fixture_variables(fixture), PHASE_HELO);
  ck_assert_double_eq(variables_score(fixture_variables(fixture), SCORE_TOTAL), 0);
  (void)fixture_run(fixture, PHASE_HELO);
  ck_assert_double_eq(variables_score(fixture_variables(fixture), SCORE_TOTAL), 1);
  variables_forget_phase(fixture_variables(fixture), PHASE_MAIL);
  ck_assert_double_eq(variables_score(fixture_variables(fixture), SCORE_TOTAL), 1);
  variables_reset(fixture_variables(fixture));
  ck_assert_double_eq(variables_score(fixture_variables(fixture), SCORE_TOTAL), 0);
  fixture_free(fixture);
}
END_TEST

START_TEST(recipient_reads_its_own) {
  Fixture *fixture = fixture_new("at rcpt { [r] score 10 if recipient.localpart == \"ten\"\n [l] log \"{score}\" }\n");
  (void)recipient(fixture, "ten@example.com");
  ck_assert_str_eq(recipient(fixture, "none@example.com"), "pass; log l 0");
  fixture_free(fixture);
}
END_TEST

/* With only negative scores the largest is negative, not the zero of nobody. */
START_TEST(largest_may_be_negative) {
  Fixture *fixture = fixture_new("at rcpt { [r] score -10 }\nat data { [d] log \"{score}\" }\n");
  check_data(fixture, "0");
  (void)recipient(fixture, "a@example.com");
  check_data(fixture, "-10");
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, largest_of_the_accepted);
  tcase_add_test(tests, refused_recipients_do_not_count);
  tcase_add_test(tests, a_rule_scores_once_a_scope);
  tcase_add_test(tests, second_helo_scores_anew);
  tcase_add_test(tests, recipient_reads_its_own);
  tcase_add_test(tests, largest_may_be_negative);
}

UNIT_MAIN("scores", add_tests)
