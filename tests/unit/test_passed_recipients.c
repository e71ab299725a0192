/* test_passed_recipients.c: the recipients of many messages in one piece of memory: order, limits, and that what is given back is used again. */
#include <stdio.h>

#include "common/base/limits.h"
#include "common/door/passed_recipients.h"
#include "tests/unit/unit.h"

static RecipientCells *cells;
static Arena *arena;

static void setup(void) {
  cells = recipient_cells_new();
  arena = arena_new(0);
}

static void teardown(void) {
  recipient_cells_free(cells);
  arena_free(arena);
}

/* Of every length, so that texts end at every place of a cell. */
static Slice text_of(char *room, size_t size, unsigned message, unsigned number) {
  int length = snprintf(room, size, "%u.%u", message, number);
  size_t padded = (size_t)length + (message * 7 + number * 13) % 130;
  memset(room + length, 'x', padded - (size_t)length);
  return slice_make(room, padded);
}

static void expect(const PassedRecipients *recipients, unsigned message, unsigned count) {
  const Slice *copies = NULL;
  ck_assert_uint_eq(recipient_cells_copy(cells, recipients, arena, &copies), count);
  for (unsigned i = 0; i < count; i++) {
    char room[300];
    ck_assert(slice_equal(copies[i], text_of(room, sizeof room, message, i)));
  }
  arena_reset(arena);
}

START_TEST(test_messages_side_by_side) {
  enum { MESSAGES = 20, RECIPIENTS = 150 };
  PassedRecipients recipients[MESSAGES] = {{.first = 0}};
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned i = 0; i < RECIPIENTS; i++) {
      for (unsigned message = 0; message < MESSAGES; message++) {
        char room[300];
        recipient_cells_add(cells, &recipients[message], text_of(room, sizeof room, message, i));
      }
    }
    for (unsigned message = 0; message < MESSAGES; message++) {
      expect(&recipients[message], message, RECIPIENTS);
    }
    for (unsigned message = round; message < MESSAGES; message++) {
      recipient_cells_forget(cells, &recipients[message]);
      expect(&recipients[message], message, 0);
    }
    for (unsigned message = 0; message < round; message++) {
      expect(&recipients[message], message, RECIPIENTS);
      recipient_cells_forget(cells, &recipients[message]);
    }
  }
}
END_TEST

START_TEST(test_limits_of_a_message) {
  PassedRecipients recipients = {.first = 0};
  for (unsigned i = 0; i < LIMIT_INSTANCE_RECIPIENTS; i++) {
    recipient_cells_add(cells, &recipients, SLICE_LITERAL("a@b.test"));
    ck_assert(!recipients.lost);
  }
  recipient_cells_add(cells, &recipients, SLICE_LITERAL("a@b.test"));
  ck_assert(recipients.lost);
  expect(&recipients, 0, 0);
  recipient_cells_forget(cells, &recipients);
  ck_assert(!recipients.lost);
  static const char text[LIMIT_ADDRESS + 1] = "";
  recipient_cells_add(cells, &recipients, slice_make(text, sizeof text));
  ck_assert(recipients.lost);
  recipient_cells_forget(cells, &recipients);
}
END_TEST

/* Until there is no room; then all of it can be had again. */
START_TEST(test_memory_is_bounded) {
  enum { MESSAGES = 100 };
  char text[LIMIT_ADDRESS];
  memset(text, 'x', sizeof text);
  size_t first_time = 0;
  for (unsigned round = 0; round < 2; round++) {
    PassedRecipients recipients[MESSAGES] = {{.first = 0}};
    size_t kept = 0;
    for (unsigned message = 0; message < MESSAGES; message++) {
      for (unsigned i = 0; i < LIMIT_INSTANCE_RECIPIENTS; i++) {
        recipient_cells_add(cells, &recipients[message], slice_make(text, sizeof text));
      }
      kept += recipients[message].bytes;
    }
    ck_assert(!recipients[0].lost && recipients[MESSAGES - 1].lost);
    ck_assert_uint_le(kept, LIMIT_RECIPIENT_MEMORY);
    ck_assert_uint_gt(kept, LIMIT_RECIPIENT_MEMORY / 10 * 9);
    for (unsigned message = 0; message < MESSAGES; message++) {
      recipient_cells_forget(cells, &recipients[message]);
    }
    ck_assert(round == 0 || kept == first_time);
    first_time = kept;
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, test_messages_side_by_side);
  tcase_add_test(tests, test_limits_of_a_message);
  tcase_add_test(tests, test_memory_is_bounded);
}

UNIT_MAIN("passed_recipients", add_tests)
