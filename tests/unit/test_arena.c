/* test_arena.c: objects are aligned, zeroed, distinct, and gone after a reset; release functions run backwards. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdalign.h>

#include "common/base/slice.h"

/* Not an assertion for each byte: Check writes each one down. */
static bool is_all(const char *bytes, size_t size, char value) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != value) {
      return false;
    }
  }
  return true;
}

static void check_objects(Arena *arena) {
  enum { COUNT = 500 };
  char *objects[COUNT];
  size_t used = 0;
  for (size_t i = 0; i < COUNT; i++) {
    size_t size = i * 37 % 3000;
    used += size ? size : 1;
    if (i % 3 == 0) {
      objects[i] = arena_alloc_text(arena, size);
    } else {
      objects[i] = arena_alloc(arena, size);
      ck_assert_uint_eq((uintptr_t)objects[i] % alignof(int64_t), 0);
      ck_assert(is_all(objects[i], size, 0));
    }
    memset(objects[i], (int)i, size);
  }
  ck_assert_uint_eq(arena_used(arena), used);
  for (size_t i = 0; i < COUNT; i++) { /* nobody wrote into another one */
    ck_assert(is_all(objects[i], i * 37 % 3000, (char)i));
  }
}

START_TEST(test_objects) {
  static const size_t first_chunks[] = {0, 1, 100, 1024, 100000};
  g_autoptr(Arena) arena = arena_new(first_chunks[_i]);
  for (int round = 0; round < 3; round++) {
    check_objects(arena);
    arena_reset(arena);
    ck_assert_uint_eq(arena_used(arena), 0);
  }
}
END_TEST

START_TEST(test_large) {
  g_autoptr(Arena) arena = arena_new(64);
  char *small = arena_alloc(arena, 8);
  char *large = arena_alloc(arena, 10 * 1024 * 1024);
  char *text = arena_alloc_text(arena, 3 * 1024 * 1024);
  char *after = arena_alloc(arena, 8);
  memset(large, 1, 10 * 1024 * 1024);
  memset(text, 2, 3 * 1024 * 1024);
  for (int i = 0; i < 8; i++) {
    ck_assert(small[i] == 0 && after[i] == 0);
  }
  ck_assert_ptr_ne(small, after);
}
END_TEST

static void note(void *object) {
  GString *log = *(GString **)object;
  g_string_append_c(log, ((char *)object)[sizeof(GString *)]);
}

START_TEST(test_release) {
  g_autoptr(GString) log = g_string_new("");
  Arena *arena = arena_new(0);
  for (int round = 0; round < 2; round++) {
    for (char name = 'a'; name <= 'e'; name++) {
      char *object = arena_alloc(arena, sizeof(GString *) + 1);
      memcpy(object, &log, sizeof log);
      object[sizeof(GString *)] = name;
      arena_on_reset(arena, note, object); /* reads the object, which must still be there */
    }
    if (round == 0) {
      arena_reset(arena);
      ck_assert_str_eq(log->str, "edcba");
      arena_reset(arena);
      ck_assert_str_eq(log->str, "edcba");
    }
  }
  arena_free(arena);
  ck_assert_str_eq(log->str, "edcbaedcba");
  arena_free(NULL);
}
END_TEST

START_TEST(test_printf) {
  g_autoptr(Arena) arena = arena_new(0);
  ck_assert_str_eq(arena_printf(arena, "%s-%d", "x", 7), "x-7");
  for (size_t length = 250; length < 262; length++) { /* around the size of the buffer inside */
    g_autofree char *text = g_strnfill(length, 'y');
    ck_assert_str_eq(arena_printf(arena, "%s", text), text);
  }
}
END_TEST

START_TEST(test_array) {
  g_autoptr(Arena) arena = arena_new(0);
  uint64_t *numbers = ARENA_NEW_ARRAY(arena, uint64_t, 1000);
  for (size_t i = 0; i < 1000; i++) {
    ck_assert_uint_eq(numbers[i], 0);
  }
  ck_assert_uint_eq(arena_used(arena), 8000);
  ck_assert_ptr_nonnull(ARENA_NEW_ARRAY(arena, uint64_t, 0));
}
END_TEST

START_TEST(test_array_overflow) {
  g_autoptr(Arena) arena = arena_new(0);
  (void)arena_alloc_array(arena, 16, SIZE_MAX / 8);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, test_objects, 0, 5);
  tcase_add_test(tests, test_large);
  tcase_add_test(tests, test_release);
  tcase_add_test(tests, test_printf);
  tcase_add_test(tests, test_array);
  tcase_add_test_raise_signal(tests, test_array_overflow, SIGTRAP);
}

UNIT_MAIN("arena", add_tests)
