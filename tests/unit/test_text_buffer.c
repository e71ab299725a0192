/* test_text_buffer.c: a text in room on the stack, and past that on the heap. */
#include "common/base/text_buffer.h"
#include "tests/unit/unit.h"

START_TEST(test_it_stays_in_its_room) {
  char room[8];
  g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
  ck_assert_str_eq(text.text, "");
  text_buffer_add(&text, SLICE_LITERAL("abc"));
  text_buffer_add(&text, SLICE_EMPTY);
  text_buffer_add_byte(&text, 'd');
  text_buffer_add_format(&text, "%d", 123);
  ck_assert_str_eq(text.text, "abcd123");
  ck_assert_uint_eq(text.length, 7);
  ck_assert_ptr_eq(text.text, room);
  ck_assert_ptr_null(text.heap);
  text_buffer_truncate(&text, 2);
  ck_assert_str_eq(text.text, "ab");
  text_buffer_add(&text, SLICE_LITERAL("c"));
  ck_assert(slice_equal(text_buffer_slice(&text), SLICE_LITERAL("abc")));
}
END_TEST

/* Each way to add something, at every place where the room may end. */
START_TEST(test_it_grows) {
  for (size_t size = 1; size <= 40; size++) {
    char room[40];
    g_auto(TextBuffer) text = text_buffer_in(room, size);
    text_buffer_add(&text, SLICE_LITERAL("one "));
    text_buffer_add_format(&text, "%s=%d ", "two", 2);
    text_buffer_add_byte(&text, '3');
    text_buffer_add_quoted(&text, SLICE_LITERAL("a\nb\"\x7f"), 100);
    text_buffer_add_quoted(&text, SLICE_LITERAL("too long"), 3);
    ck_assert_str_eq(text.text, "one two=2 3a\\nb\\\"\\x7Ftoo...");
    ck_assert_uint_eq(text.length, strlen(text.text));
    ck_assert(text.length < text.capacity);
    ck_assert((text.heap != NULL) == (size <= text.length));
  }
}
END_TEST

START_TEST(test_numbers) {
  char room[4];
  g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
  text_buffer_add_number(&text, 0);
  text_buffer_add_byte(&text, ' ');
  text_buffer_add_number(&text, 550);
  text_buffer_add_byte(&text, ' ');
  text_buffer_add_number(&text, 4294967295u);
  ck_assert_str_eq(text.text, "0 550 4294967295");
}
END_TEST

START_TEST(test_bytes) {
  char room[4];
  g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
  text_buffer_add(&text, SLICE_LITERAL("a\0b"));
  text_buffer_add_byte(&text, '\0');
  ck_assert(slice_equal(text_buffer_slice(&text), SLICE_LITERAL("a\0b\0")));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, test_it_stays_in_its_room);
  tcase_add_test(tests, test_it_grows);
  tcase_add_test(tests, test_numbers);
  tcase_add_test(tests, test_bytes);
}

UNIT_MAIN("text_buffer", add_tests)
