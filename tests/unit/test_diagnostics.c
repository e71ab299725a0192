/* test_diagnostics.c: errors with their place: positions, order, limit, print, nearest names. */
#include "tests/unit/unit.h"

#include "common/base/diagnostics.h"
#include "common/base/limits.h"

static SourceText source_of(const char *name, const char *text) {
  return (SourceText){.name = name, .text = slice_from(text)};
}

static SourceSpan span_of(const SourceText *source, size_t offset, size_t length) {
  return (SourceSpan){source, (uint32_t)offset, (uint32_t)length};
}

static const struct {
  const char *text;
  size_t offset;
  unsigned line, column;
} positions[] = {
    {"", 0, 1, 1},       {"abc", 2, 1, 3},           {"abc", 99, 1, 4},  {"a\nb", 1, 1, 2},
    {"a\nb", 2, 2, 1},   {"a\r\nb", 3, 2, 1},        {"\t\tb", 2, 1, 3}, {"\xC3\xA4\xC3\xB6x", 4, 1, 3},
    {"\n\n\n", 3, 4, 1}, {"\xEF\xBB\xBFx", 3, 1, 1},
};

START_TEST(test_position) {
  SourceText source = source_of("x", positions[_i].text);
  unsigned line, column;
  source_position(span_of(&source, positions[_i].offset, 0), &line, &column);
  ck_assert_uint_eq(line, positions[_i].line);
  ck_assert_uint_eq(column, positions[_i].column);
}
END_TEST

START_TEST(test_join) {
  SourceText source = source_of("x", "0123456789");
  SourceSpan joined = source_span_join(span_of(&source, 6, 2), span_of(&source, 1, 3));
  ck_assert_uint_eq(joined.offset, 1);
  ck_assert_uint_eq(joined.length, 7);
}
END_TEST

static const struct {
  const char *text;
  size_t offset, length;
  const char *printed;
} prints[] = {
    {"at rcpt {\n    reject if sendr in banned\n}\n", 24, 5,
     "f:2:15: error: m\n    2 |     reject if sendr in banned\n      |               ^~~~~\n"},
    {"abc", 3, 0, "f:1:4: error: m\n    1 | abc\n      |    ^\n"},
    {"", 0, 0, "f:1:1: error: m\n    1 | \n      | ^\n"},
    {"a\n", 1, 0, "f:1:2: error: m\n    1 | a\n      |  ^\n"},
    {"a\n", 2, 0, "f:2:1: error: m\n    2 | \n      | ^\n"},
    {"ab\r\ncd", 1, 1, "f:1:2: error: m\n    1 | ab\n      |  ^\n"},
    {"\tab cd", 4, 2, "f:1:5: error: m\n    1 | \tab cd\n      | \t   ^~\n"},
    {"\xC3\xA4\xC3\xB6 x\xC3\xBC", 5, 3, "f:1:4: error: m\n    1 | \xC3\xA4\xC3\xB6 x\xC3\xBC\n      |    ^~\n"},
    {"one {\n two\n}", 4, 8, "f:1:5: error: m\n    1 | one {\n      |     ^\n"},
    {"a \x1b[31m b", 8, 1, "f:1:9: error: m\n    1 | a ?[31m b\n      |         ^\n"},
    {"a\xff\xc3 b", 4, 1, "f:1:5: error: m\n    1 | a?? b\n      |     ^\n"},
    {"\xEF\xBB\xBFx y", 5, 1, "f:1:3: error: m\n    1 | x y\n      |   ^\n"},
};

START_TEST(test_print) {
  SourceText source = source_of("f", prints[_i].text);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  (void)diagnostics_error(diagnostics, span_of(&source, prints[_i].offset, prints[_i].length), "m");
  g_autofree char *printed = diagnostics_print(diagnostics);
  ck_assert_str_eq(printed, prints[_i].printed);
}
END_TEST

START_TEST(test_long_line) {
  g_autofree char *text = g_strnfill(1000000, 'x');
  SourceText source = source_of("f", text);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  (void)diagnostics_error(diagnostics, span_of(&source, 500000, 500000), "m");
  g_autofree char *printed = diagnostics_print(diagnostics);
  ck_assert_uint_lt(strlen(printed), 500);
  ck_assert_ptr_nonnull(strstr(printed, "f:1:500001: error: m\n    1 | ...xxx"));
  ck_assert_ptr_nonnull(strstr(printed, "xxx...\n"));
  ck_assert_ptr_nonnull(strstr(printed, " ^~~~"));
}
END_TEST

START_TEST(test_expected_and_also) {
  SourceText source = source_of("mx.rules", "[a] pass\n[a] pass\n");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Diagnostic *one = diagnostics_error(diagnostics, span_of(&source, 9, 3), "the label %s is there twice", "a");
  diagnostic_expected(diagnostics, one, "labels are %s", "unique");
  diagnostic_also(diagnostics, one, span_of(&source, 0, 3), "first defined here");
  g_autofree char *printed = diagnostics_print(diagnostics);
  ck_assert_str_eq(printed,
                   "mx.rules:2:1: error: the label a is there twice\n"
                   "    2 | [a] pass\n"
                   "      | ^~~\n"
                   "      = labels are unique\n"
                   "mx.rules:1:1: note: first defined here\n"
                   "    1 | [a] pass\n"
                   "      | ^~~\n");
}
END_TEST

START_TEST(test_without_source) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  (void)diagnostics_warning(diagnostics, (SourceSpan){NULL, 0, 0}, "no file");
  g_autofree char *printed = diagnostics_print(diagnostics);
  ck_assert_str_eq(printed, "warning: no file\n");
}
END_TEST

START_TEST(test_order) {
  SourceText first = source_of("first", "0123456789"), second = source_of("second", "0123456789");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  (void)diagnostics_error(diagnostics, span_of(&first, 5, 1), "b");
  (void)diagnostics_warning(diagnostics, span_of(&second, 1, 1), "d");
  (void)diagnostics_error(diagnostics, span_of(&first, 5, 1), "c");
  (void)diagnostics_error(diagnostics, span_of(&first, 2, 1), "a");
  ck_assert_uint_eq(diagnostics_count(diagnostics), 4);
  ck_assert_uint_eq(diagnostics_error_count(diagnostics), 3);
  for (size_t i = 0; i < 4; i++) {
    const char expected[] = {(char)('a' + i), '\0'};
    ck_assert_str_eq(diagnostics_get(diagnostics, i)->message, expected);
  }
}
END_TEST

START_TEST(test_limit) {
  SourceText source = source_of("f", "0123456789");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  for (int i = 0; i < LIMIT_DIAGNOSTICS * 2; i++) {
    Diagnostic *warning = diagnostics_warning(diagnostics, span_of(&source, 1, 1), "warning %d", i);
    diagnostic_expected(diagnostics, warning, "can be set beyond the limit, too");
  }
  ck_assert_uint_eq(diagnostics_count(diagnostics), LIMIT_DIAGNOSTICS);
  ck_assert_uint_eq(diagnostics_error_count(diagnostics), 0);
  (void)diagnostics_error(diagnostics, span_of(&source, 9, 1), "an error is never lost");
  ck_assert_uint_eq(diagnostics_count(diagnostics), LIMIT_DIAGNOSTICS);
  ck_assert_uint_eq(diagnostics_error_count(diagnostics), 1);
  g_autofree char *printed = diagnostics_print(diagnostics);
  ck_assert_ptr_nonnull(strstr(printed, "an error is never lost"));
  ck_assert_str_eq(diagnostics_get(diagnostics, LIMIT_DIAGNOSTICS - 1)->message, "too many errors, the rest is not told");
  for (int i = 0; i < LIMIT_DIAGNOSTICS * 2; i++) {
    (void)diagnostics_error(diagnostics, span_of(&source, 2, 1), "error %d", i);
  }
  ck_assert_uint_eq(diagnostics_count(diagnostics), LIMIT_DIAGNOSTICS);
  ck_assert_uint_eq(diagnostics_error_count(diagnostics), LIMIT_DIAGNOSTICS * 2 + 1);
}
END_TEST

START_TEST(test_same_words_once) {
  SourceText source = source_of("f", "0123456789");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Diagnostic *first = diagnostics_error(diagnostics, span_of(&source, 2, 1), "wrong");
  ck_assert_ptr_eq(diagnostics_error(diagnostics, span_of(&source, 2, 1), "wrong"), first);
  ck_assert_uint_eq(diagnostics_count(diagnostics), 1);
  ck_assert_uint_eq(diagnostics_error_count(diagnostics), 1);
  (void)diagnostics_error(diagnostics, span_of(&source, 2, 2), "wrong");
  (void)diagnostics_error(diagnostics, span_of(&source, 3, 1), "wrong");
  (void)diagnostics_error(diagnostics, span_of(&source, 2, 1), "other");
  (void)diagnostics_warning(diagnostics, span_of(&source, 2, 1), "wrong");
  ck_assert_uint_eq(diagnostics_count(diagnostics), 5);
  ck_assert_uint_eq(diagnostics_error_count(diagnostics), 4);
}
END_TEST

START_TEST(test_file_without_text) {
  SourceText source = {.name = "mx.rules"};
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  (void)diagnostics_error(diagnostics, (SourceSpan){.source = &source}, "cannot be read");
  g_autofree char *printed = diagnostics_print(diagnostics);
  ck_assert_str_eq(printed, "mx.rules: error: cannot be read\n");
}
END_TEST

START_TEST(test_exactly_the_limit) {
  SourceText source = source_of("f", "0123456789");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  for (int i = 0; i < LIMIT_DIAGNOSTICS; i++) {
    (void)diagnostics_error(diagnostics, span_of(&source, 1, 1), "error %d", i);
  }
  ck_assert_str_eq(diagnostics_get(diagnostics, LIMIT_DIAGNOSTICS - 1)->message, "error 49");
  (void)diagnostics_error(diagnostics, span_of(&source, 1, 1), "one more");
  ck_assert_uint_eq(diagnostics_count(diagnostics), LIMIT_DIAGNOSTICS);
  ck_assert_str_eq(diagnostics_get(diagnostics, LIMIT_DIAGNOSTICS - 1)->message, "too many errors, the rest is not told");
}
END_TEST

static const struct {
  const char *word, *nearest;
} words[] = {
    {"sendr", "sender"}, {"sedner", "sender"}, {"SENDER", "sender"}, {"recipent", "recipient"},     {"client_adress", "client_address"},
    {"helo", NULL},      {"x", NULL},          {"", NULL},           {"quite_another_thing", NULL}, {"recixxxnt", "recipient"},
    {"recxxxxnt", NULL},
};

START_TEST(test_nearest) {
  static const char *const names[] = {"sender", "recipient", "client_address", "sasl_username", NULL};
  const char *found = nearest_name(slice_from(words[_i].word), names);
  ck_assert_msg(g_strcmp0(found, words[_i].nearest) == 0, "%s: %s", words[_i].word, found ? found : "nothing");
}
END_TEST

START_TEST(test_nearest_long) {
  static const char *const names[] = {"a", NULL};
  g_autofree char *word = g_strnfill(100000, 'a');
  ck_assert_ptr_null(nearest_name(slice_from(word), names));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, test_position, 0, G_N_ELEMENTS(positions));
  tcase_add_test(tests, test_join);
  tcase_add_loop_test(tests, test_print, 0, G_N_ELEMENTS(prints));
  tcase_add_test(tests, test_long_line);
  tcase_add_test(tests, test_expected_and_also);
  tcase_add_test(tests, test_without_source);
  tcase_add_test(tests, test_order);
  tcase_add_test(tests, test_limit);
  tcase_add_test(tests, test_same_words_once);
  tcase_add_test(tests, test_file_without_text);
  tcase_add_test(tests, test_exactly_the_limit);
  tcase_add_loop_test(tests, test_nearest, 0, G_N_ELEMENTS(words));
  tcase_add_test(tests, test_nearest_long);
}

UNIT_MAIN("diagnostics", add_tests)
