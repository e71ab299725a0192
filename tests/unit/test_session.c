/*
 * test_session.c: facts as the MTA says them, read as typed values; scopes and resets.
 */
#include "common/smtp/session.h"

#include "common/base/limits.h"
#include "tests/unit/unit.h"

static const char *read_text(Session *session, Fact fact) {
  Arena *arena = session_arena(session);
  return slice_to_string(arena, value_format(arena, session_get(session, fact)));
}

START_TEST(nothing_is_set_at_first) {
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const Value *value = session_get(session, (Fact)fact);
    ck_assert_int_eq(value->state, VALUE_UNSET);
    ck_assert_int_eq(value->type, fact_info((Fact)fact)->type);
    ck_assert(slice_is_empty(session_raw(session, (Fact)fact)));
  }
  ck_assert_int_eq(session_door(session), DOOR_POLICY);
}
END_TEST

static const struct {
  Fact fact;
  const char *raw;
  const char *value; /* NULL: unset */
} readings[] = {
    {FACT_CLIENT_ADDRESS, "192.0.2.7", "192.0.2.7"},
    {FACT_CLIENT_ADDRESS, "::ffff:192.0.2.7", "192.0.2.7"},
    {FACT_CLIENT_ADDRESS, "unknown", NULL},
    {FACT_CLIENT_ADDRESS, "", NULL},
    {FACT_CLIENT_PORT, "0", NULL},
    {FACT_CLIENT_PORT, "4711", "4711"},
    {FACT_CLIENT_NAME, "unknown", NULL},
    {FACT_CLIENT_NAME, "UNKNOWN", NULL},
    {FACT_CLIENT_NAME, "[192.0.2.7]", NULL},
    {FACT_CLIENT_NAME, "MX.Example.ORG.", "mx.example.org"},
    {FACT_HELO_NAME, "[192.0.2.7]", "[192.0.2.7]"},
    {FACT_HELO_NAME, "unknown", "unknown"},
    {FACT_HELO_NAME, "mail.adelphia.net", "mail.adelphia.net"},
    {FACT_HELO_NAME, "no such name!", "no such name!"},
    {FACT_SENDER, "", "<>"},
    {FACT_SENDER, "<>", "<>"},
    {FACT_SENDER, "<a@B.Example>", "a@b.example"},
    {FACT_RECIPIENT, "", NULL},
    {FACT_RECIPIENT, "bob@example.org", "bob@example.org"},
    {FACT_SIZE, "0", NULL},
    {FACT_SIZE, "1000", "1000"},
    {FACT_PROTOCOL_NAME, "ESMTP", "esmtp"},
    {FACT_PROTOCOL_NAME, "LMTP", NULL},
    {FACT_STRESS, "yes", "true"},
    {FACT_STRESS, "", NULL},
    {FACT_RECIPIENT_COUNT, "0", NULL},
    {FACT_ENCRYPTION_KEYSIZE, "many", NULL},
    {FACT_SASL_USERNAME, "Bob", "Bob"},
};

static void check_reading(bool borrowed, int i) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  Slice raw = slice_from(readings[i].raw);
  ck_assert(borrowed ? session_borrow(session, readings[i].fact, raw) : session_set(session, readings[i].fact, raw));
  const Value *value = session_get(session, readings[i].fact);
  ck_assert_msg((value->state == VALUE_SET) == (readings[i].value != NULL), "%s", readings[i].raw);
  if (readings[i].value) {
    ck_assert_str_eq(read_text(session, readings[i].fact), readings[i].value);
    ck_assert(slice_equal(session_raw(session, readings[i].fact), raw));
  }
}

START_TEST(texts_become_values) {
  check_reading(false, _i);
  check_reading(true, _i);
}
END_TEST

START_TEST(set_copies_and_borrow_does_not) {
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  char text[] = "Bob";
  ck_assert(session_set(session, FACT_SASL_USERNAME, slice_from(text)));
  ck_assert(session_borrow(session, FACT_SASL_METHOD, slice_from(text)));
  text[0] = 'R';
  ck_assert_str_eq(read_text(session, FACT_SASL_USERNAME), "Bob");
  ck_assert_str_eq(read_text(session, FACT_SASL_METHOD), "Rob");
}
END_TEST

/* As texts that are borrowed, but looked at only when they are asked for; what is set or unset afterwards counts more. */
START_TEST(lent_texts_are_read_when_asked_for) {
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  for (size_t i = 0; i < G_N_ELEMENTS(readings); i++) {
    Slice texts[FACT_COUNT] = {0};
    texts[readings[i].fact] = slice_from(readings[i].raw);
    session_reset(session);
    session_lend(session, texts);
    Slice raw = session_raw(session, readings[i].fact);
    ck_assert(raw.length == 0 || slice_equal(raw, texts[readings[i].fact]));
    ck_assert_msg((session_get(session, readings[i].fact)->state == VALUE_SET) == (readings[i].value != NULL), "%s", readings[i].raw);
    if (readings[i].value) {
      ck_assert_str_eq(read_text(session, readings[i].fact), readings[i].value);
      ck_assert(slice_equal(session_raw(session, readings[i].fact), texts[readings[i].fact]));
    }
  }
}
END_TEST

START_TEST(lent_texts_give_way) {
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  g_autofree char *long_text = g_strnfill(LIMIT_ADDRESS + 1, 'a');
  Slice texts[FACT_COUNT] = {[FACT_SASL_USERNAME] = SLICE_LITERAL("bob"), [FACT_SASL_METHOD] = SLICE_LITERAL("PLAIN"),
                             [FACT_HELO_NAME] = SLICE_LITERAL("a.test"),  [FACT_RECIPIENT] = SLICE_LITERAL("c@d.test"),
                             [FACT_CLIENT_PORT] = SLICE_LITERAL("25"),    [FACT_SENDER] = slice_make(long_text, LIMIT_ADDRESS + 1)};
  session_lend(session, texts);
  ck_assert(session_borrow(session, FACT_SASL_USERNAME, SLICE_LITERAL("ann")));
  session_unset(session, FACT_SASL_METHOD);
  Value port = value_int(26);
  session_set_value(session, FACT_CLIENT_PORT, &port);
  ck_assert_str_eq(read_text(session, FACT_SASL_USERNAME), "ann");
  ck_assert_int_eq(session_get(session, FACT_SASL_METHOD)->state, VALUE_UNSET);
  ck_assert_uint_eq(session_raw(session, FACT_SASL_METHOD).length, 0);
  ck_assert_str_eq(read_text(session, FACT_CLIENT_PORT), "26");
  ck_assert_int_eq(session_get(session, FACT_SENDER)->state, VALUE_UNSET);
  ck_assert_uint_eq(session_raw(session, FACT_SENDER).length, 0);
  ck_assert_int_eq(session_get(session, FACT_RECIPIENT)->state, VALUE_SET);
  session_reset_message(session);
  ck_assert_int_eq(session_get(session, FACT_RECIPIENT)->state, VALUE_UNSET);
  ck_assert_uint_eq(session_raw(session, FACT_RECIPIENT).length, 0);
  ck_assert_str_eq(read_text(session, FACT_HELO_NAME), "a.test");
  session_reset(session);
  ck_assert_int_eq(session_get(session, FACT_HELO_NAME)->state, VALUE_UNSET);
}
END_TEST

START_TEST(the_latest_text_counts) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  ck_assert(session_set(session, FACT_HELO_NAME, SLICE_LITERAL("one.example")));
  ck_assert_str_eq(read_text(session, FACT_HELO_NAME), "one.example");
  ck_assert(session_set(session, FACT_HELO_NAME, SLICE_LITERAL("a.much.longer.name.than.the.one.that.was.there.before.example")));
  ck_assert_str_eq(read_text(session, FACT_HELO_NAME), "a.much.longer.name.than.the.one.that.was.there.before.example");
  ck_assert(session_set(session, FACT_HELO_NAME, SLICE_LITERAL("two.example")));
  ck_assert_str_eq(read_text(session, FACT_HELO_NAME), "two.example");
  ck_assert(session_set(session, FACT_HELO_NAME, SLICE_EMPTY));
  ck_assert_int_eq(session_get(session, FACT_HELO_NAME)->state, VALUE_UNSET);
}
END_TEST

START_TEST(too_long_is_unset) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autofree char *text = g_strnfill(LIMIT_FACT + 1, 'a');
  ck_assert(!session_set(session, FACT_HELO_NAME, slice_make(text, LIMIT_FACT + 1)));
  ck_assert_int_eq(session_get(session, FACT_HELO_NAME)->state, VALUE_UNSET);
  ck_assert(session_set(session, FACT_HELO_NAME, slice_make(text, LIMIT_FACT)));
  ck_assert_int_eq(session_get(session, FACT_HELO_NAME)->state, VALUE_SET);
  ck_assert(session_set(session, FACT_SENDER, SLICE_LITERAL("a@b.example")));
  ck_assert(!session_borrow(session, FACT_SENDER, slice_make(text, LIMIT_ADDRESS + 1)));
  ck_assert_int_eq(session_get(session, FACT_SENDER)->state, VALUE_UNSET);
}
END_TEST

/* The same command for ever must not make the session grow. */
START_TEST(repeated_texts_share_their_memory) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  ck_assert(session_set(session, FACT_COMMAND, SLICE_LITERAL("FOOBAR with some words behind it")));
  size_t used = arena_used(session_arena(session));
  for (int i = 0; i < 1000; i++) {
    ck_assert(session_set(session, FACT_COMMAND, SLICE_LITERAL("FOOBAR with other words behind")));
  }
  ck_assert_uint_eq(arena_used(session_arena(session)), used);
}
END_TEST

static void fill(Session *session) {
  ck_assert(session_set(session, FACT_CLIENT_ADDRESS, SLICE_LITERAL("192.0.2.7")));
  ck_assert(session_set(session, FACT_SENDER, SLICE_LITERAL("a@b.example")));
  ck_assert(session_set(session, FACT_RECIPIENT, SLICE_LITERAL("c@d.example")));
}

START_TEST(resets_follow_the_scopes) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  fill(session);
  session_reset_recipient(session);
  ck_assert_int_eq(session_get(session, FACT_RECIPIENT)->state, VALUE_UNSET);
  ck_assert_str_eq(read_text(session, FACT_SENDER), "a@b.example");
  fill(session);
  session_reset_message(session);
  ck_assert_int_eq(session_get(session, FACT_RECIPIENT)->state, VALUE_UNSET);
  ck_assert_int_eq(session_get(session, FACT_SENDER)->state, VALUE_UNSET);
  ck_assert_str_eq(read_text(session, FACT_CLIENT_ADDRESS), "192.0.2.7");
  fill(session);
  ck_assert_str_eq(read_text(session, FACT_SENDER), "a@b.example");
  session_reset(session);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    ck_assert_int_eq(session_get(session, (Fact)fact)->state, VALUE_UNSET);
  }
  ck_assert_uint_eq(arena_used(session_arena(session)), 0);
  ck_assert_uint_eq(arena_used(session_message_arena(session)), 0);
  fill(session);
  ck_assert_str_eq(read_text(session, FACT_RECIPIENT), "c@d.example");
}
END_TEST

START_TEST(typed_values_are_copied) {
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  char text[] = "mx.example";
  Value value = {VALUE_SET, TYPE_DOMAIN, {.text = slice_from(text)}};
  session_set_value(session, FACT_CLIENT_NAME, &value);
  text[0] = 'x';
  ck_assert_str_eq(read_text(session, FACT_CLIENT_NAME), "mx.example");
  ck_assert(slice_equal(session_raw(session, FACT_CLIENT_NAME), SLICE_LITERAL("mx.example")));
  session_unset(session, FACT_CLIENT_NAME);
  ck_assert_int_eq(session_get(session, FACT_CLIENT_NAME)->state, VALUE_UNSET);
  value.state = VALUE_UNSET;
  fill(session);
  session_set_value(session, FACT_CLIENT_ADDRESS, &value);
  ck_assert_int_eq(session_get(session, FACT_CLIENT_ADDRESS)->state, VALUE_UNSET);
}
END_TEST

START_TEST(values_may_be_unknown) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  char reason[] = "too many";
  Failure failure = {NULL, SLICE_LITERAL("message"), slice_from(reason), ON_ERROR_TEMPFAIL};
  Value value = {VALUE_UNKNOWN, TYPE_LIST, {.failures = &failure}};
  session_set_value(session, FACT_ATTACHMENT, &value);
  reason[0] = 'x';
  const Value *read = session_get(session, FACT_ATTACHMENT);
  ck_assert_int_eq(read->state, VALUE_UNKNOWN);
  ck_assert_int_eq(read->type, TYPE_LIST);
  ck_assert(slice_equal(read->as.failures->reason, SLICE_LITERAL("too many")));
  ck_assert(slice_is_empty(session_raw(session, FACT_ATTACHMENT)));
  session_borrow_value(session, FACT_ATTACHMENT, &value);
  ck_assert_ptr_eq(session_get(session, FACT_ATTACHMENT)->as.failures, &failure);
  value = (Value){VALUE_OPEN, TYPE_STRING, {.number = 0}};
  session_borrow_value(session, FACT_BODY, &value);
  ck_assert_int_eq(session_get(session, FACT_BODY)->state, VALUE_OPEN);
  value = value_text(SLICE_LITERAL("hello"));
  session_borrow_value(session, FACT_BODY, &value);
  ck_assert_str_eq(read_text(session, FACT_BODY), "hello");
  ck_assert(slice_is_empty(session_raw(session, FACT_BODY)));
  session_reset_message(session);
  ck_assert_int_eq(session_get(session, FACT_BODY)->state, VALUE_UNSET);
  ck_assert_int_eq(session_get(session, FACT_ATTACHMENT)->state, VALUE_UNSET);
}
END_TEST

START_TEST(the_time_is_what_the_clock_said) {
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  ClockMoment moment = {.year = 2026, .month = 3, .day = 9, .second_of_day = 8 * 3600 + 15 * 60, .weekday = 1};
  session_set_time(session, &moment);
  ck_assert_str_eq(read_text(session, FACT_TIME), "08:15");
  ck_assert_str_eq(read_text(session, FACT_DATE), "2026-03-09");
  ck_assert_str_eq(read_text(session, FACT_WEEKDAY), "mon");
  moment.weekday = 7;
  session_set_time(session, &moment);
  ck_assert_str_eq(read_text(session, FACT_WEEKDAY), "sun");
  session_reset_message(session);
  ck_assert_str_eq(read_text(session, FACT_TIME), "08:15");
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, nothing_is_set_at_first);
  tcase_add_loop_test(tests, texts_become_values, 0, G_N_ELEMENTS(readings));
  tcase_add_test(tests, set_copies_and_borrow_does_not);
  tcase_add_test(tests, lent_texts_are_read_when_asked_for);
  tcase_add_test(tests, lent_texts_give_way);
  tcase_add_test(tests, the_latest_text_counts);
  tcase_add_test(tests, too_long_is_unset);
  tcase_add_test(tests, repeated_texts_share_their_memory);
  tcase_add_test(tests, resets_follow_the_scopes);
  tcase_add_test(tests, typed_values_are_copied);
  tcase_add_test(tests, values_may_be_unknown);
  tcase_add_test(tests, the_time_is_what_the_clock_said);
}

UNIT_MAIN("session", add_tests)
