/*
 * test_value.c: texts as values of each type, values as text, copies.
 */
#include "common/smtp/value.h"

#include "tests/unit/unit.h"

static const struct {
  ValueType type;
  const char *text;
  const char *printed; /* NULL: not a value of the type */
  const char *right_form;
} cases[] = {
    {TYPE_IP, "192.0.2.1", "192.0.2.1", ""},
    {TYPE_IP, "2001:DB8::1", "2001:db8::1", ""},
    {TYPE_IP, "192.0.2.0/24", NULL, ""},
    {TYPE_IP, "", NULL, ""},
    {TYPE_NET, "192.0.2.0/24", "192.0.2.0/24", ""},
    {TYPE_NET, "192.0.2.1/24", NULL, "192.0.2.0/24"},
    {TYPE_NET, "192.0.2.1/33", NULL, ""},
    {TYPE_NET, "mx.example", NULL, ""},
    {TYPE_STRING, "as it is ", "as it is ", ""},
    {TYPE_ADDRESS, "a@B.example", "a@b.example", ""},
    {TYPE_ADDRESS, "<>", "<>", ""},
    {TYPE_ADDRESS, "<a", NULL, ""},
    {TYPE_DOMAIN, "Example.ORG.", "example.org", ""},
    {TYPE_DOMAIN, "[192.0.2.1]", "[192.0.2.1]", ""},
    {TYPE_DOMAIN, "*.example.org", NULL, ".example.org"},
    {TYPE_DOMAIN, "@example.org", NULL, "example.org"},
    {TYPE_DOMAIN, "two words", NULL, ""},
    {TYPE_INT, "-42", "-42", ""},
    {TYPE_INT, "4.2", NULL, ""},
    {TYPE_DECIMAL, "3.25", "3.25", ""},
    {TYPE_DECIMAL, "-2", "-2", ""},
    {TYPE_DECIMAL, "1.", NULL, ""},
    {TYPE_DECIMAL, "1e5", NULL, ""},
    {TYPE_DECIMAL, "", NULL, ""},
    {TYPE_DECIMAL, "-", NULL, ""},
    {TYPE_DECIMAL, "1.2.3", NULL, ""},
    {TYPE_SIZE, "100", "100", ""},
    {TYPE_SIZE, "512K", "524288", ""},
    {TYPE_SIZE, "10M", "10485760", ""},
    {TYPE_SIZE, "1G", "1073741824", ""},
    {TYPE_SIZE, "1g", "1073741824", ""},
    {TYPE_SIZE, "1X", NULL, ""},
    {TYPE_SIZE, "10MB", NULL, ""},
    {TYPE_SIZE, "9999999T", NULL, ""},
    {TYPE_SIZE, "99999999999999999999", NULL, ""},
    {TYPE_SIZE, "M", NULL, ""},
    {TYPE_DURATION, "30s", "30s", ""},
    {TYPE_DURATION, "90m", "1h30m", ""},
    {TYPE_DURATION, "1h30m", "1h30m", ""},
    {TYPE_DURATION, "2d", "2d", ""},
    {TYPE_DURATION, "1w", "1w", ""},
    {TYPE_DURATION, "0s", "0s", ""},
    {TYPE_DURATION, "30", NULL, ""},
    {TYPE_DURATION, "30m1h", NULL, ""},
    {TYPE_DURATION, "1h1h", NULL, ""},
    {TYPE_DURATION, "9223372036854775w", NULL, ""},
    {TYPE_DURATION, "", NULL, ""},
    {TYPE_TIME, "08:05", "08:05", ""},
    {TYPE_TIME, "23:59:59", "23:59:59", ""},
    {TYPE_TIME, "24:00", NULL, ""},
    {TYPE_TIME, "8:05", NULL, ""},
    {TYPE_TIME, "08:05:", NULL, ""},
    {TYPE_DATE, "2028-02-29", "2028-02-29", ""},
    {TYPE_DATE, "2027-02-29", NULL, ""},
    {TYPE_DATE, "27-2-1", NULL, ""},
    {TYPE_BOOL, "yes", "true", ""},
    {TYPE_BOOL, "False", "false", ""},
    {TYPE_BOOL, "1", NULL, ""},
    {TYPE_ENUM, "Mon", "mon", ""},
    {TYPE_LIST, "a, b,c", "a, b, c", ""},
    {TYPE_LIST, "", "", ""},
    {TYPE_ACTION, "REJECT", "REJECT", ""},
    {TYPE_ACTION, "reject go away", "REJECT go away", ""},
    {TYPE_ACTION, "REJECT 5.7.25 no name", "REJECT 5.7.25 no name", ""},
    {TYPE_ACTION, "REJECT 4.7.1 no", NULL, ""},
    {TYPE_ACTION, "DEFER 4.2.0 later", "DEFER 4.2.0 later", ""},
    {TYPE_ACTION, "550 no such user", "550 no such user", ""},
    {TYPE_ACTION, "550 5.1.1 no such user", "550 5.1.1 no such user", ""},
    {TYPE_ACTION, "450 5.1.1 no such user", NULL, ""},
    {TYPE_ACTION, "571 no", NULL, ""},
    {TYPE_ACTION, "250 fine", NULL, ""},
    {TYPE_ACTION, "535 no", NULL, ""},
    {TYPE_ACTION, "55 no", NULL, ""},
    {TYPE_ACTION, "550", "OK", ""},
    {TYPE_ACTION, "1", "OK", ""},
    {TYPE_ACTION, "OK", "OK", ""},
    {TYPE_ACTION, "relay", "OK", ""},
    {TYPE_ACTION, "DUNNO", "DUNNO", ""},
    {TYPE_ACTION, "DISCARD spam", "DISCARD spam", ""},
    {TYPE_ACTION, "HOLD odd mail", "HOLD odd mail", ""},
    {TYPE_ACTION, "ERROR:5.7.1:550 no relay", "550 5.7.1 no relay", ""},
    {TYPE_ACTION, "ERROR:\"550 no relay\"", "550 no relay", ""},
    {TYPE_ACTION, "ERROR:5.7.1:550:no relay", "550 5.7.1 no relay", ""},
    {TYPE_ACTION, "ERROR:4.7.1:550 no relay", NULL, ""},
    {TYPE_ACTION, "ERROR:no relay", NULL, ""},
    {TYPE_ACTION, "QUARANTINE:odd", "HOLD odd", ""},
    {TYPE_ACTION, "skip", "DUNNO", ""},
    {TYPE_ACTION, "FILTER smtp:x", NULL, ""},
    {TYPE_ACTION, "defer_if_permit later", NULL, ""},
    {TYPE_ACTION, "SKIPPED", NULL, ""},
    {TYPE_ACTION, "", NULL, ""},
};

START_TEST(texts_are_read) {
  g_autoptr(Arena) arena = arena_new(0);
  Value value = VALUE_NONE;
  const char *problem = NULL;
  Slice right_form;
  bool good = value_parse(arena, cases[_i].type, slice_from(cases[_i].text), &value, &problem, &right_form);
  ck_assert_msg(good == (cases[_i].printed != NULL), "%s: %s", cases[_i].text, problem ? problem : "read");
  if (!good) {
    ck_assert_ptr_nonnull(problem);
    ck_assert_str_eq(slice_to_string(arena, right_form), cases[_i].right_form);
    ck_assert_int_eq(value.state, VALUE_UNSET);
    return;
  }
  ck_assert_int_eq(value.state, VALUE_SET);
  ck_assert_int_eq(value.type, cases[_i].type);
  ck_assert_str_eq(slice_to_string(arena, value_format(arena, &value)), cases[_i].printed);
  g_autoptr(Arena) other = arena_new(0);
  Value copy = value_copy(other, &value);
  arena_reset(arena);
  ck_assert_str_eq(slice_to_string(other, value_format(other, &copy)), cases[_i].printed);
}
END_TEST

START_TEST(what_is_no_value_prints_so) {
  g_autoptr(Arena) arena = arena_new(0);
  Failure second = {NULL, SLICE_LITERAL("dnslist b"), SLICE_LITERAL("SERVFAIL"), 1};
  Failure first = {&second, SLICE_LITERAL("dnslist a"), SLICE_LITERAL("timed out"), 2};
  Value unset = VALUE_NONE;
  Value unknown = {VALUE_UNKNOWN, TYPE_STRING, {.failures = &first}};
  Value open = {VALUE_OPEN, TYPE_STRING, {.number = 0}};
  ck_assert(slice_is_empty(value_format(arena, &unset)));
  ck_assert(slice_equal(value_format(arena, &unknown), SLICE_LITERAL("?")));
  ck_assert(slice_equal(value_format(arena, &open), SLICE_LITERAL("?")));
  Value copy = value_copy(arena, &unknown);
  ck_assert_int_eq(copy.state, VALUE_UNKNOWN);
  ck_assert_ptr_ne(copy.as.failures, &first);
  ck_assert(slice_equal(copy.as.failures->reason, SLICE_LITERAL("timed out")));
  ck_assert(slice_equal(copy.as.failures->next->lookup, SLICE_LITERAL("dnslist b")));
  ck_assert_int_eq(copy.as.failures->next->on_error, 1);
  ck_assert_ptr_null(copy.as.failures->next->next);
}
END_TEST

START_TEST(actions_keep_their_parts) {
  g_autoptr(Arena) arena = arena_new(0);
  Value value;
  const char *problem;
  Slice right_form;
  ck_assert(value_parse(arena, TYPE_ACTION, SLICE_LITERAL("450 4.2.0  come back"), &value, &problem, &right_form));
  ck_assert_int_eq(value.as.action->word, ACTION_WORD_TEMPFAIL);
  ck_assert_uint_eq(value.as.action->code, 450);
  ck_assert_uint_eq(value.as.action->enhanced.subject, 2);
  ck_assert(slice_equal(value.as.action->text, SLICE_LITERAL("come back")));
  ck_assert(value_parse(arena, TYPE_ACTION, SLICE_LITERAL("REJECT"), &value, &problem, &right_form));
  ck_assert_uint_eq(value.as.action->code, 0);
  ck_assert_uint_eq(value.as.action->enhanced.class_digit, 0);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, texts_are_read, 0, G_N_ELEMENTS(cases));
  tcase_add_test(tests, what_is_no_value_prints_so);
  tcase_add_test(tests, actions_keep_their_parts);
}

UNIT_MAIN("value", add_tests)
