/*
 * test_scheduler.c: the look-up scheduler with a backend that answers when the test says so, on a clock that the test moves.
 *
 * scheduler_run_on_thread is the barrier: what was asked before is with the backend when it returns.
 */
#include "tests/unit/desk.h"

#include "common/ask/answer_cache.h"
#include "common/ask/scheduler.h"
#include "common/base/limits.h"

START_TEST(equal_questions_in_flight_are_one) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) first = answer_box_new(NULL, NULL);
  g_autoptr(AnswerBox) second = answer_box_new(NULL, NULL);
  ask(&desk, "a", LOOKUP_AHEAD, first);
  ask(&desk, "a", LOOKUP_AHEAD, second);
  ask(&desk, "b", LOOKUP_AHEAD, first);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, 2);
  clock_manual_advance(desk.clock, 7 * NANOSECONDS_PER_MILLISECOND);
  reply(&desk, 0, answer_new(ANSWER_NOT_FOUND, NULL, 0));
  g_autoptr(Question) question = NULL;
  g_autoptr(Answer) answer = NULL;
  ck_assert(answer_box_take(first, &question, &answer));
  ck_assert_uint_eq(answer->took_ms, 7);
  expect(second, "a", ANSWER_NOT_FOUND, NULL, false);
  expect_nothing(first);
  SchedulerCounts counts = scheduler_counts(desk.scheduler);
  ck_assert_uint_eq(counts.asked, 3);
  ck_assert_uint_eq(counts.joined, 1);
  ck_assert_uint_eq(counts.pending, 1);
  reply(&desk, 1, answer_new(ANSWER_FOUND, NULL, 0));
  expect(first, "b", ANSWER_FOUND, NULL, false);
  desk_close(&desk);
}
END_TEST

/* How long each kind of answer is kept. */
START_TEST(answers_are_kept_for_their_time) {
  static const struct {
    AnswerState state;
    unsigned ttl, kept;
  } cases[] = {
      {ANSWER_FOUND, 300, 300}, {ANSWER_NOT_FOUND, 60, 60}, {ANSWER_FAILED, 0, LIMIT_FAILURE_SECONDS},
      {ANSWER_FOUND, 0, 0},     {ANSWER_NOT_FOUND, 0, 0},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Desk desk;
    desk_open(&desk);
    g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
    ask(&desk, "a", LOOKUP_AHEAD, box);
    barrier(&desk);
    reply(&desk, 0, cases[i].state == ANSWER_FAILED ? answer_new_failed("SERVFAIL") : answer_new(cases[i].state, NULL, cases[i].ttl));
    expect(box, "a", cases[i].state, NULL, false);
    if (cases[i].kept > 0) {
      move_seconds(&desk, cases[i].kept - 1);
      ask(&desk, "a", LOOKUP_AHEAD, box);
      expect(box, "a", cases[i].state, cases[i].state == ANSWER_FAILED ? "SERVFAIL" : NULL, true);
      ck_assert_uint_eq(scheduler_counts(desk.scheduler).cached, 1);
      move_seconds(&desk, 1);
    }
    ask(&desk, "a", LOOKUP_AHEAD, box);
    barrier(&desk);
    ck_assert_uint_eq(desk.asked->len, 2);
    expect_nothing(box);
    desk_close(&desk);
  }
}
END_TEST

START_TEST(stateful_questions_are_each_asked) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  g_autoptr(Question) question = new_question(&desk, "event 1", LOOKUP_STATEFUL);
  scheduler_ask(desk.scheduler, question, box);
  scheduler_ask(desk.scheduler, question, box);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, 2);
  reply(&desk, 1, answer_new(ANSWER_FOUND, NULL, 300));
  expect(box, "event 1", ANSWER_FOUND, NULL, false);
  expect_nothing(box);
  scheduler_ask(desk.scheduler, question, box);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, 3);
  reply(&desk, 0, answer_new_failed("store is gone"));
  expect(box, "event 1", ANSWER_FAILED, "store is gone", false);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).entries, 0);
  desk_close(&desk);
}
END_TEST

START_TEST(too_many_pending_are_refused) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < LIMIT_PENDING_LOOKUPS; i++) {
    g_autofree char *key = g_strdup_printf("name %d", i);
    ask(&desk, key, LOOKUP_AHEAD, box);
  }
  expect_nothing(box);
  ask(&desk, "one more", LOOKUP_AHEAD, box);
  expect(box, "one more", ANSWER_FAILED, "too many look-ups are pending", false);
  ask(&desk, "name 0", LOOKUP_AHEAD, box); /* joining takes no slot */
  expect_nothing(box);
  barrier(&desk);
  reply(&desk, 5, answer_new(ANSWER_NOT_FOUND, NULL, 0));
  expect(box, "name 5", ANSWER_NOT_FOUND, NULL, false);
  ask(&desk, "one more", LOOKUP_AHEAD, box);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, LIMIT_PENDING_LOOKUPS + 1);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).refused, 1);
  desk_close(&desk);
}
END_TEST

START_TEST(a_late_answer_fills_the_cache) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) gone = answer_box_new(NULL, NULL);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  ask(&desk, "a", LOOKUP_AHEAD, gone);
  barrier(&desk);
  answer_box_close(gone);
  reply(&desk, 0, answer_new(ANSWER_FOUND, NULL, 300));
  expect_nothing(gone);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).late, 1);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  expect(box, "a", ANSWER_FOUND, NULL, true);
  desk_close(&desk);
}
END_TEST

START_TEST(a_backend_that_never_answers_holds_no_slot) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  move_seconds(&desk, 10);
  ask(&desk, "b", LOOKUP_AHEAD, box);
  move_seconds(&desk, LIMIT_LOOKUP_SECONDS - 11);
  expect_nothing(box);
  move_seconds(&desk, 1);
  expect(box, "a", ANSWER_FAILED, "no answer within 30 s", false);
  expect_nothing(box);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).pending, 1);
  /* Its failure is kept for a while; then it is asked again. */
  ask(&desk, "a", LOOKUP_AHEAD, box);
  expect(box, "a", ANSWER_FAILED, "no answer within 30 s", true);
  move_seconds(&desk, LIMIT_FAILURE_SECONDS);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, 3);
  expect_nothing(box);
  /* The first answer comes at last: it serves who waits now, and is kept; a failure behind it changes nothing. */
  reply(&desk, 0, answer_new(ANSWER_FOUND, NULL, 300));
  expect(box, "a", ANSWER_FOUND, NULL, false);
  reply(&desk, 2, answer_new_failed("SERVFAIL"));
  expect_nothing(box);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  expect(box, "a", ANSWER_FOUND, NULL, true);
  desk_close(&desk);
}
END_TEST

START_TEST(stopping_answers_what_is_pending) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  ask(&desk, "b", LOOKUP_STATEFUL, box);
  desk_close(&desk);
  expect(box, "a", ANSWER_FAILED, "stopping", false);
  expect(box, "a", ANSWER_FAILED, "stopping", false);
  expect(box, "b", ANSWER_FAILED, "stopping", false);
  expect_nothing(box);
}
END_TEST

static void count_call(void *data) {
  g_atomic_int_inc((gint *)data);
}

START_TEST(a_box_tells_when_it_is_no_longer_empty) {
  gint calls = 0;
  g_autoptr(AnswerBox) box = answer_box_new(count_call, &calls);
  g_autoptr(Question) question = question_new(&desk_backend, NULL, LOOKUP_AHEAD, SLICE_LITERAL("a"));
  g_autoptr(Answer) answer = answer_new(ANSWER_FOUND, NULL, 0);
  answer_box_put(box, question, answer);
  answer_box_put(box, question, answer);
  ck_assert_int_eq(calls, 1);
  expect(box, "a", ANSWER_FOUND, NULL, false);
  answer_box_put(box, question, answer);
  ck_assert_int_eq(calls, 1);
  expect(box, "a", ANSWER_FOUND, NULL, false);
  expect(box, "a", ANSWER_FOUND, NULL, false);
  answer_box_put(box, question, answer);
  ck_assert_int_eq(calls, 2);
  ck_assert(answer_box_is_open(box));
  answer_box_close(box);
  ck_assert(!answer_box_is_open(box));
  expect_nothing(box);
  answer_box_put(box, question, answer);
  expect_nothing(box);
  ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(waiting_ends_at_the_time_or_when_woken) {
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  ck_assert(!answer_box_wait(box, g_get_monotonic_time()));
  answer_box_wake(box);
  ck_assert(!answer_box_wait(box, G_MAXINT64)); /* would wait for ever if it had not been woken */
  g_autoptr(Question) question = question_new(&desk_backend, NULL, LOOKUP_AHEAD, SLICE_LITERAL("a"));
  g_autoptr(Answer) answer = answer_new(ANSWER_FOUND, NULL, 0);
  answer_box_put(box, question, answer);
  ck_assert(answer_box_wait(box, 0));
  answer_box_close(box);
  ck_assert(!answer_box_wait(box, G_MAXINT64));
}
END_TEST

enum { ASKERS = 8, ROUNDS = 200, NAMES = 10 };

typedef struct Asker {
  Desk *desk;
  unsigned number, answers, wrong;
} Asker;

static void ask_many(void *data) {
  Asker *asker = data;
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (unsigned i = 0; i < ROUNDS; i++) {
    char key[32];
    (void)g_snprintf(key, sizeof key, "name %u", (i + asker->number) % NAMES);
    ask(asker->desk, key, i % 5 == 4 ? LOOKUP_STATEFUL : LOOKUP_AHEAD, box);
    (void)answer_box_wait(box, G_MAXINT64);
    g_autoptr(Question) question = NULL;
    g_autoptr(Answer) answer = NULL;
    if (!answer_box_take(box, &question, &answer) || strcmp(question->key, key) != 0 || answer->state != ANSWER_FOUND) {
      asker->wrong++;
      return;
    }
    asker->answers++;
  }
}

START_TEST(eight_threads_ask) {
  Desk desk;
  desk_open(&desk);
  desk.at_once = true;
  Asker askers[ASKERS];
  uv_thread_t threads[ASKERS];
  for (unsigned i = 0; i < ASKERS; i++) {
    askers[i] = (Asker){&desk, i, 0, 0};
    ck_assert_int_eq(uv_thread_create(&threads[i], ask_many, &askers[i]), 0);
  }
  for (unsigned i = 0; i < ASKERS; i++) {
    (void)uv_thread_join(&threads[i]);
    ck_assert_uint_eq(askers[i].wrong, 0);
    ck_assert_uint_eq(askers[i].answers, ROUNDS);
  }
  SchedulerCounts counts = scheduler_counts(desk.scheduler);
  ck_assert_uint_eq(counts.asked, ASKERS * ROUNDS);
  ck_assert_uint_eq(counts.pending, 0);
  ck_assert_uint_eq(counts.entries, NAMES);
  /* Only NAMES pure questions went out; joined or cached are all others. */
  ck_assert_uint_eq(counts.cached + counts.joined, ASKERS * ROUNDS * 4 / 5 - NAMES);
  desk_close(&desk);
}
END_TEST

/* Boxes that are closed while their questions are out: no answer is heard, each is kept. */
START_TEST(boxes_closed_in_between) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < 100; i++) {
    g_autofree char *key = g_strdup_printf("name %d", i);
    ask(&desk, key, LOOKUP_AHEAD, box);
    if (i % 10 == 9) {
      answer_box_close(box);
      answer_box_unref(box);
      box = answer_box_new(NULL, NULL);
    }
  }
  barrier(&desk);
  for (guint i = 0; i < 100; i++) {
    reply(&desk, i, answer_new(ANSWER_NOT_FOUND, NULL, 60));
  }
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).late, 100);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).entries, 100);
  desk_close(&desk);
}
END_TEST

static Question *cache_question(int number) {
  g_autofree char *key = g_strdup_printf("name %d", number);
  return question_new(&desk_backend, NULL, LOOKUP_AHEAD, slice_from(key));
}

static bool is_kept(AnswerCache *cache, int number) {
  g_autoptr(Question) question = cache_question(number);
  g_autoptr(Answer) answer = answer_cache_find(cache, question, 0);
  return answer != NULL;
}

START_TEST(the_cache_is_bounded) {
  g_autoptr(AnswerCache) cache = answer_cache_new(3, 1024 * 1024);
  g_autoptr(Answer) answer = answer_new(ANSWER_FOUND, NULL, 10);
  for (int i = 0; i < 3; i++) {
    g_autoptr(Question) question = cache_question(i);
    answer_cache_put(cache, question, answer, 10, 0);
  }
  ck_assert(is_kept(cache, 0)); /* used: the next to go is 1 */
  g_autoptr(Question) fourth = cache_question(3);
  answer_cache_put(cache, fourth, answer, 10, 0);
  ck_assert_uint_eq(answer_cache_entries(cache), 3);
  ck_assert(is_kept(cache, 0) && !is_kept(cache, 1) && is_kept(cache, 2) && is_kept(cache, 3));
  answer_cache_put(cache, fourth, answer, 10, 0); /* again: still one */
  ck_assert_uint_eq(answer_cache_entries(cache), 3);
}
END_TEST

START_TEST(the_cache_is_bounded_by_bytes) {
  static const char block[1000];
  g_autoptr(AnswerCache) cache = answer_cache_new(1000, 10000);
  g_autoptr(GBytes) payload = g_bytes_new_static(block, sizeof block);
  g_autoptr(Answer) answer = answer_new(ANSWER_FOUND, payload, 10);
  for (int i = 0; i < 50; i++) {
    g_autoptr(Question) question = cache_question(i);
    answer_cache_put(cache, question, answer, 10, 0);
    ck_assert_uint_le(answer_cache_bytes(cache), 10000);
  }
  ck_assert(is_kept(cache, 49) && !is_kept(cache, 0));
  ck_assert_uint_ge(answer_cache_entries(cache), 5);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, equal_questions_in_flight_are_one);
  tcase_add_test(tests, answers_are_kept_for_their_time);
  tcase_add_test(tests, stateful_questions_are_each_asked);
  tcase_add_test(tests, too_many_pending_are_refused);
  tcase_add_test(tests, a_late_answer_fills_the_cache);
  tcase_add_test(tests, a_backend_that_never_answers_holds_no_slot);
  tcase_add_test(tests, stopping_answers_what_is_pending);
  tcase_add_test(tests, a_box_tells_when_it_is_no_longer_empty);
  tcase_add_test(tests, waiting_ends_at_the_time_or_when_woken);
  tcase_add_test(tests, eight_threads_ask);
  tcase_add_test(tests, boxes_closed_in_between);
  tcase_add_test(tests, the_cache_is_bounded);
  tcase_add_test(tests, the_cache_is_bounded_by_bytes);
}

UNIT_MAIN("scheduler", add_tests)
