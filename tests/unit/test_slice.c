/* test_slice.c: pieces of text. */
#include "tests/unit/unit.h"

#include "common/base/slice.h"

START_TEST(test_to_int) {
  static const struct {
    const char *text;
    bool good;
    int64_t value;
  } cases[] = {
      {"0", true, 0},
      {"42", true, 42},
      {"-7", true, -7},
      {"007", true, 7},
      {"9223372036854775807", true, INT64_MAX},
      {"-9223372036854775808", true, INT64_MIN},
      {"9223372036854775808", false, 0},
      {"-9223372036854775809", false, 0},
      {"99999999999999999999999", false, 0},
      {"", false, 0},
      {"-", false, 0},
      {"+1", false, 0},
      {" 1", false, 0},
      {"1 ", false, 0},
      {"1x", false, 0},
      {"0x10", false, 0},
  };
  int64_t value = 99;
  ck_assert_msg(slice_to_int(slice_from(cases[_i].text), &value) == cases[_i].good, "%s", cases[_i].text);
  ck_assert_int_eq(value, cases[_i].good ? cases[_i].value : 99);
}
END_TEST

START_TEST(test_compare) {
  ck_assert(slice_equal(SLICE_EMPTY, SLICE_LITERAL("")));
  ck_assert(!slice_equal(SLICE_LITERAL("a"), SLICE_LITERAL("A")));
  ck_assert(slice_equal_fold(SLICE_LITERAL("aZ[\xC3\x84"), SLICE_LITERAL("Az[\xC3\x84")));
  ck_assert(!slice_equal_fold(SLICE_LITERAL("["), SLICE_LITERAL("{"))); /* differ by the bit of case, but are no letters */
  ck_assert(!slice_equal_fold(SLICE_LITERAL("\xC3\x84"), SLICE_LITERAL("\xC3\xA4")));
  ck_assert_int_lt(slice_compare(SLICE_LITERAL("ab"), SLICE_LITERAL("abc")), 0);
  ck_assert_int_gt(slice_compare(SLICE_LITERAL("b"), SLICE_LITERAL("abc")), 0);
  ck_assert_int_eq(slice_compare(SLICE_EMPTY, SLICE_LITERAL("")), 0);
  ck_assert_int_gt(slice_compare(SLICE_LITERAL("\xff"), SLICE_LITERAL("a")), 0);
  ck_assert(slice_starts_with(SLICE_LITERAL("abc"), SLICE_LITERAL("ab")));
  ck_assert(slice_starts_with(SLICE_EMPTY, SLICE_EMPTY));
  ck_assert(!slice_starts_with(SLICE_LITERAL("a"), SLICE_LITERAL("ab")));
  ck_assert(slice_ends_with_fold(SLICE_LITERAL("mail.EXAMPLE"), SLICE_LITERAL(".example")));
  ck_assert(!slice_ends_with_fold(SLICE_LITERAL("e"), SLICE_LITERAL("le")));
}
END_TEST

START_TEST(test_find_and_cut) {
  Slice text = SLICE_LITERAL("a=b=c");
  ck_assert_int_eq(slice_find(text, '='), 1);
  ck_assert_int_eq(slice_find_last(text, '='), 3);
  ck_assert_int_eq(slice_find(text, 'x'), -1);
  ck_assert_int_eq(slice_find(SLICE_EMPTY, 'x'), -1);
  ck_assert_int_eq(slice_find_last(SLICE_EMPTY, 'x'), -1);
  Slice rest;
  bool found;
  Slice name = slice_split(text, '=', &rest, &found);
  ck_assert(found && slice_equal(name, SLICE_LITERAL("a")) && slice_equal(rest, SLICE_LITERAL("b=c")));
  name = slice_split(SLICE_LITERAL("abc"), '=', &rest, &found);
  ck_assert(!found && slice_equal(name, SLICE_LITERAL("abc")) && slice_is_empty(rest));
  name = slice_split(SLICE_LITERAL("abc="), '=', &rest, &found);
  ck_assert(found && slice_equal(name, SLICE_LITERAL("abc")) && slice_is_empty(rest));
  ck_assert(slice_equal(slice_trim(SLICE_LITERAL(" \t a b\r\n")), SLICE_LITERAL("a b")));
  ck_assert(slice_is_empty(slice_trim(SLICE_LITERAL(" \t\r\n"))));
  ck_assert(slice_equal(slice_from_offset(text, 4), SLICE_LITERAL("c")));
  ck_assert(slice_is_empty(slice_from_offset(text, 99)));
  ck_assert(slice_is_empty(slice_from_offset(SLICE_EMPTY, 1)));
}
END_TEST

START_TEST(test_hash) {
  slice_seed_hash(1);
  uint64_t one = slice_hash(SLICE_LITERAL("example.org"));
  ck_assert(one == slice_hash(SLICE_LITERAL("example.org")));
  slice_seed_hash(2);
  ck_assert(one != slice_hash(SLICE_LITERAL("example.org")));
  /* Folding touches the letters and nothing else, at every place of a word. */
  char plain[32], other[32];
  for (int byte = 0; byte < 256; byte++) {
    for (size_t length = 1; length < sizeof plain; length++) {
      memset(plain, byte, length);
      for (size_t i = 0; i < length; i++) {
        other[i] = g_ascii_tolower(plain[i]);
      }
      ck_assert(slice_hash_fold(slice_make(plain, length)) == slice_hash(slice_make(other, length)));
    }
  }
  ck_assert(slice_hash(SLICE_LITERAL("a")) != slice_hash(SLICE_LITERAL("a\0")));
  ck_assert(slice_hash(SLICE_EMPTY) == slice_hash(SLICE_LITERAL("")));
}
END_TEST

START_TEST(test_copies) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice copy = slice_copy(arena, SLICE_LITERAL("a\0b"));
  ck_assert(slice_equal(copy, SLICE_LITERAL("a\0b")) && copy.data[3] == '\0');
  ck_assert_str_eq(slice_to_string(arena, SLICE_EMPTY), "");
  ck_assert(slice_equal(slice_lower(arena, SLICE_LITERAL("ABC\xC3\x84")), SLICE_LITERAL("abc\xC3\x84")));
}
END_TEST

START_TEST(test_quote) {
  static const struct {
    Slice text;
    size_t limit;
    const char *quoted;
  } cases[] = {
      {SLICE_LITERAL("plain"), 100, "plain"},
      {SLICE_LITERAL(""), 100, ""},
      {SLICE_LITERAL("a\"b\\c"), 100, "a\\\"b\\\\c"},
      {SLICE_LITERAL("a\r\n\tb"), 100, "a\\r\\n\\tb"},
      {SLICE_LITERAL("\0\x1b\x7f\x80\xff"), 100, "\\x00\\x1B\\x7F\\x80\\xFF"},
      {SLICE_LITERAL("abcdef"), 6, "abcdef"},
      {SLICE_LITERAL("abcdef"), 5, "abcde..."},
      {SLICE_LITERAL("\n\n\n"), 2, "\\n\\n..."},
      {SLICE_LITERAL("x"), 0, "..."},
  };
  g_autoptr(Arena) arena = arena_new(0);
  Slice quoted = slice_quote(arena, cases[_i].text, cases[_i].limit);
  ck_assert_str_eq(quoted.data, cases[_i].quoted);
  ck_assert_uint_eq(quoted.length, strlen(cases[_i].quoted));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, test_to_int, 0, 16);
  tcase_add_test(tests, test_compare);
  tcase_add_test(tests, test_find_and_cut);
  tcase_add_test(tests, test_hash);
  tcase_add_test(tests, test_copies);
  tcase_add_loop_test(tests, test_quote, 0, 9);
}

UNIT_MAIN("slice", add_tests)
