/*
 * test_resting.c: what the look-up scheduler does when no good answer comes: stale answers, and resources that rest. Every transition, on the desk.
 */
#include "common/ask/breaker.h"
#include "common/base/limits.h"
#include "tests/unit/desk.h"

/* ---- Stale answers ---- */

/* "a" has been answered with this, and its minute is over; "b" never was. */
static void let_grow_stale(Desk *desk, AnswerBox *box, AnswerState state, LookupClass lookup_class) {
  ask(desk, "a", lookup_class, box);
  barrier(desk);
  reply(desk, 0, answer_new(state, NULL, 60));
  expect(box, "a", state, NULL, false);
  move_seconds(desk, 60);
}

START_TEST(a_stale_answer_stands_in_for_a_failure) {
  static const AnswerState states[] = {ANSWER_FOUND, ANSWER_NOT_FOUND};
  for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
    Desk desk;
    desk_open(&desk);
    g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
    let_grow_stale(&desk, box, states[i], LOOKUP_AHEAD);
    ask(&desk, "a", LOOKUP_AHEAD, box);
    barrier(&desk);
    expect_nothing(box);
    reply(&desk, 1, answer_new_failed("SERVFAIL"));
    expect_stale(box, "a", states[i], "SERVFAIL");
    /* For a few seconds it is not asked again, then it is. */
    move_seconds(&desk, LIMIT_FAILURE_SECONDS - 1);
    ask(&desk, "a", LOOKUP_AHEAD, box);
    expect_stale(box, "a", states[i], "SERVFAIL");
    ck_assert_uint_eq(scheduler_counts(desk.scheduler).stale, 2);
    move_seconds(&desk, 1);
    ask(&desk, "a", LOOKUP_AHEAD, box);
    barrier(&desk);
    ck_assert_uint_eq(desk.asked->len, 3);
    reply(&desk, 2, answer_new(ANSWER_NOT_FOUND, NULL, 60));
    expect(box, "a", ANSWER_NOT_FOUND, NULL, false);
    ask(&desk, "a", LOOKUP_AHEAD, box);
    expect(box, "a", ANSWER_NOT_FOUND, NULL, true);
    ck_assert_uint_eq(scheduler_counts(desk.scheduler).stale, 2);
    desk_close(&desk);
  }
}
END_TEST

START_TEST(a_stale_answer_is_not_kept_for_ever) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  let_grow_stale(&desk, box, ANSWER_FOUND, LOOKUP_AHEAD);
  move_seconds(&desk, LIMIT_STALE_SECONDS - 1);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 1, answer_new_failed("SERVFAIL"));
  expect_stale(box, "a", ANSWER_FOUND, "SERVFAIL");
  move_seconds(&desk, 1);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  expect(box, "a", ANSWER_FAILED, "SERVFAIL", true);
  move_seconds(&desk, LIMIT_FAILURE_SECONDS);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 2, answer_new_failed("SERVFAIL"));
  expect(box, "a", ANSWER_FAILED, "SERVFAIL", false);
  desk_close(&desk);
}
END_TEST

/* A resolver hands on the time that is left, and that may be none. */
START_TEST(the_same_answer_without_time_leaves_the_stale_one) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  let_grow_stale(&desk, box, ANSWER_FOUND, LOOKUP_AHEAD);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 1, answer_new(ANSWER_FOUND, NULL, 0));
  expect(box, "a", ANSWER_FOUND, NULL, false);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 2, answer_new_failed("SERVFAIL"));
  expect_stale(box, "a", ANSWER_FOUND, "SERVFAIL");
  desk_close(&desk);
}
END_TEST

/* A newer answer that may not be kept makes the older one void. */
START_TEST(an_answer_that_is_not_kept_ends_a_stale_one) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  let_grow_stale(&desk, box, ANSWER_FOUND, LOOKUP_AHEAD);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 1, answer_new(ANSWER_NOT_FOUND, NULL, 0));
  expect(box, "a", ANSWER_NOT_FOUND, NULL, false);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 2, answer_new_failed("SERVFAIL"));
  expect(box, "a", ANSWER_FAILED, "SERVFAIL", false);
  desk_close(&desk);
}
END_TEST

START_TEST(a_stateful_question_has_no_stale_answer) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  let_grow_stale(&desk, box, ANSWER_FOUND, LOOKUP_AHEAD);
  ask(&desk, "a", LOOKUP_STATEFUL, box);
  barrier(&desk);
  move_seconds(&desk, LIMIT_SILENT_SECONDS);
  scheduler_hurry(desk.scheduler, box);
  g_autoptr(Question) question = new_question(&desk, "a", LOOKUP_STATEFUL);
  ck_assert(!scheduler_ask_kept(desk.scheduler, question, box));
  expect_nothing(box);
  reply(&desk, 1, answer_new_failed("store is gone"));
  expect(box, "a", ANSWER_FAILED, "store is gone", false);
  desk_close(&desk);
}
END_TEST

START_TEST(a_stale_answer_stands_in_for_silence) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  let_grow_stale(&desk, box, ANSWER_FOUND, LOOKUP_AHEAD);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  ask(&desk, "b", LOOKUP_AHEAD, box);
  move_seconds(&desk, LIMIT_SILENT_SECONDS - 1);
  expect_nothing(box);
  move_seconds(&desk, 1);
  expect_stale(box, "a", ANSWER_FOUND, "no answer within 3 s");
  expect_stale(box, "a", ANSWER_FOUND, "no answer within 3 s");
  expect_nothing(box);
  /* Nobody else waits for it. */
  ask(&desk, "a", LOOKUP_AHEAD, box);
  expect_stale(box, "a", ANSWER_FOUND, "no answer so far");
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).stale, 3);
  /* The answer comes at last: it is kept, and the box hears nothing of it. */
  reply(&desk, 1, answer_new(ANSWER_NOT_FOUND, NULL, 60));
  expect_nothing(box);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  expect(box, "a", ANSWER_NOT_FOUND, NULL, true);
  desk_close(&desk);
}
END_TEST

START_TEST(at_the_deadline_what_is_kept_is_given) {
  Desk desk;
  desk_open(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  g_autoptr(AnswerBox) patient = answer_box_new(NULL, NULL);
  let_grow_stale(&desk, box, ANSWER_FOUND, LOOKUP_AHEAD);
  ask(&desk, "a", LOOKUP_AHEAD, box);
  ask(&desk, "b", LOOKUP_AHEAD, box);
  ask(&desk, "a", LOOKUP_AHEAD, patient);
  scheduler_hurry(desk.scheduler, box);
  expect_stale(box, "a", ANSWER_FOUND, "no answer before the deadline");
  expect_nothing(box);
  expect_nothing(patient);
  g_autoptr(Question) known = new_question(&desk, "a", LOOKUP_AHEAD), never = new_question(&desk, "c", LOOKUP_AHEAD);
  ck_assert(scheduler_ask_kept(desk.scheduler, known, box));
  expect_stale(box, "a", ANSWER_FOUND, "no answer before the deadline");
  ck_assert(!scheduler_ask_kept(desk.scheduler, never, box));
  expect_nothing(box);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, 3); /* a, a again, b */
  reply(&desk, 1, answer_new(ANSWER_NOT_FOUND, NULL, 60));
  expect(patient, "a", ANSWER_NOT_FOUND, NULL, false);
  expect_nothing(box);
  ck_assert(scheduler_ask_kept(desk.scheduler, known, box));
  expect(box, "a", ANSWER_NOT_FOUND, NULL, true);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).stale, 2);
  desk_close(&desk);
}
END_TEST

/* ---- Resting ---- */

typedef struct Told {
  gint rests, well, stale;
} Told;

static Told told; /* the scheduler's tell has no data of its own */

static void count_told(SchedulerEvent event, const char *text) {
  ck_assert_ptr_nonnull(strstr(text, ": "));
  g_atomic_int_inc(event == SCHEDULER_RESTS ? &told.rests : event == SCHEDULER_WELL_AGAIN ? &told.well : &told.stale);
}

/* Like ask; the desk answers for several resources. Number 0 is "n0". */
static void ask_of(Desk *desk, const char *resource, int number, AnswerBox *box) {
  g_autofree char *key = g_strdup_printf("n%d", number);
  g_autofree char *whole = g_strdup_printf("%s.%s", key, resource);
  g_autoptr(Question) question = question_new_for(&desk_backend, desk, LOOKUP_AHEAD, slice_from(whole), slice_from(resource));
  scheduler_ask(desk->scheduler, question, box);
}

static void drain(AnswerBox *box) {
  for (;;) {
    g_autoptr(Question) question = NULL;
    g_autoptr(Answer) answer = NULL;
    if (!answer_box_take(box, &question, &answer)) {
      return;
    }
  }
}

/* Different questions to the resource, numbered from `first`, each asked and failed. */
static void fail_some(Desk *desk, const char *resource, int first, int count) {
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < count; i++) {
    ask_of(desk, resource, first + i, box);
    barrier(desk);
    reply(desk, desk->asked->len - 1, answer_new_failed("SERVFAIL"));
  }
}

static void open_telling(Desk *desk) {
  told = (Told){0};
  desk_open(desk);
  scheduler_set_tell(desk->scheduler, count_told);
}

static const char resting[] = "x.test: resting after 10 failures";

START_TEST(what_fails_in_a_row_rests_until_a_trial_is_good) {
  Desk desk;
  open_telling(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  fail_some(&desk, "x.test", 0, LIMIT_ROW_FAILURES - 1);
  ask_of(&desk, "x.test", 50, box);
  ask_of(&desk, "y.test", 50, box);
  barrier(&desk);
  expect_nothing(box);
  ck_assert_int_eq(told.rests, 0);
  /* The last failure of the row: who waits for another answer of it is released, and the others are not. */
  fail_some(&desk, "x.test", 60, 1);
  expect(box, "n50.x.test", ANSWER_FAILED, resting, false);
  expect_nothing(box);
  ck_assert_int_eq(told.rests, 1);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).pending, 1);
  guint asked = desk.asked->len;
  move_seconds(&desk, LIMIT_TRIAL_SECONDS - 1);
  ask_of(&desk, "x.test", 70, box);
  expect(box, "n70.x.test", ANSWER_FAILED, resting, false);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, asked);
  /* One trial goes out; its asker does not wait for it. It fails: no further one until it is time again. */
  move_seconds(&desk, 1);
  for (int number = 71; number < 74; number++) {
    ask_of(&desk, "x.test", number, box);
  }
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, asked + 1);
  expect(box, "n71.x.test", ANSWER_FAILED, resting, false);
  expect(box, "n72.x.test", ANSWER_FAILED, resting, false);
  expect(box, "n73.x.test", ANSWER_FAILED, resting, false);
  reply(&desk, asked, answer_new_failed("SERVFAIL"));
  ask_of(&desk, "x.test", 75, box);
  expect(box, "n75.x.test", ANSWER_FAILED, resting, false);
  /* The next is good. */
  move_seconds(&desk, LIMIT_TRIAL_SECONDS);
  ask_of(&desk, "x.test", 76, box);
  expect(box, "n76.x.test", ANSWER_FAILED, resting, false);
  barrier(&desk);
  ck_assert_int_eq(told.well, 0);
  reply(&desk, asked + 1, answer_new(ANSWER_FOUND, NULL, 60));
  ck_assert_int_eq(told.well, 1);
  ask_of(&desk, "x.test", 76, box);
  expect(box, "n76.x.test", ANSWER_FOUND, NULL, true);
  ask_of(&desk, "x.test", 77, box);
  expect_nothing(box);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, asked + 3);
  ck_assert_int_eq(told.rests, 1);
  SchedulerCounts counts = scheduler_counts(desk.scheduler);
  ck_assert_uint_eq(counts.rests, 1);
  ck_assert_uint_eq(counts.resting, 7);
  desk_close(&desk);
}
END_TEST

START_TEST(one_name_that_fails_does_not_shut_its_zone) {
  Desk desk;
  open_telling(&desk);
  for (int i = 0; i < 3 * LIMIT_ROW_FAILURES; i++) {
    fail_some(&desk, "x.test", i % (LIMIT_ROW_FAILURES - 1), 1);
    if (i % (LIMIT_ROW_FAILURES - 1) == LIMIT_ROW_FAILURES - 2) {
      move_seconds(&desk, LIMIT_FAILURE_SECONDS);
    }
  }
  ck_assert_int_eq(told.rests, 0);
  desk_close(&desk);
}
END_TEST

START_TEST(a_good_answer_or_time_begins_a_new_row) {
  for (int with_time = 0; with_time < 2; with_time++) {
    Desk desk;
    open_telling(&desk);
    g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
    fail_some(&desk, "x.test", 0, LIMIT_ROW_FAILURES - 1);
    if (with_time) {
      move_seconds(&desk, LIMIT_ROW_SECONDS);
    } else {
      ask_of(&desk, "x.test", 99, box);
      barrier(&desk);
      reply(&desk, desk.asked->len - 1, answer_new(ANSWER_NOT_FOUND, NULL, 60));
    }
    fail_some(&desk, "x.test", 20, LIMIT_ROW_FAILURES - 1);
    ck_assert_int_eq(told.rests, 0);
    fail_some(&desk, "x.test", 40, 1);
    ck_assert_int_eq(told.rests, 1);
    desk_close(&desk);
  }
}
END_TEST

START_TEST(silence_is_a_failure_and_holds_no_slots) {
  Desk desk;
  open_telling(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < 100; i++) {
    ask_of(&desk, "x.test", i, box);
  }
  ask_of(&desk, "y.test", 0, box);
  move_seconds(&desk, LIMIT_SILENT_SECONDS - 1);
  expect_nothing(box);
  move_seconds(&desk, 1);
  for (int i = 0; i < 100; i++) {
    g_autofree char *key = g_strdup_printf("n%d.x.test", i);
    expect(box, key, ANSWER_FAILED, resting, false);
  }
  expect_nothing(box);
  ck_assert_int_eq(told.rests, 1);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).pending, 1);
  /* An answer that comes late after all makes it well. */
  ask_of(&desk, "x.test", 200, box);
  expect(box, "n200.x.test", ANSWER_FAILED, resting, false);
  reply(&desk, 5, answer_new(ANSWER_FOUND, NULL, 60));
  ck_assert_int_eq(told.well, 1);
  ask_of(&desk, "x.test", 200, box);
  expect_nothing(box);
  desk_close(&desk);
}
END_TEST

START_TEST(while_it_rests_stale_answers_are_given) {
  Desk desk;
  open_telling(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  ask_of(&desk, "x.test", 500, box);
  barrier(&desk);
  reply(&desk, 0, answer_new(ANSWER_FOUND, NULL, 60));
  drain(box);
  move_seconds(&desk, 60);
  fail_some(&desk, "x.test", 0, LIMIT_ROW_FAILURES);
  ck_assert_int_eq(told.rests, 1);
  ask_of(&desk, "x.test", 500, box);
  expect_stale(box, "n500.x.test", ANSWER_FOUND, resting);
  ck_assert_int_eq(told.stale, 1);
  SchedulerCounts counts = scheduler_counts(desk.scheduler);
  ck_assert_uint_eq(counts.stale, 1);
  ck_assert_uint_eq(counts.resting, 0);
  desk_close(&desk);
}
END_TEST

/* The trial of a stateful question is the question itself: its asker must know what came of it. */
START_TEST(a_stateful_trial_is_waited_for) {
  Desk desk;
  open_telling(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < LIMIT_ROW_FAILURES; i++) {
    g_autofree char *key = g_strdup_printf("event %d", i);
    ask(&desk, key, LOOKUP_STATEFUL, box);
    barrier(&desk);
    reply(&desk, (guint)i, answer_new_failed("store is gone"));
  }
  drain(box);
  ck_assert_int_eq(told.rests, 1);
  ask(&desk, "event 20", LOOKUP_STATEFUL, box);
  expect(box, "event 20", ANSWER_FAILED, "desk: resting after 10 failures", false);
  move_seconds(&desk, LIMIT_TRIAL_SECONDS);
  ask(&desk, "event 21", LOOKUP_STATEFUL, box);
  barrier(&desk);
  expect_nothing(box);
  reply(&desk, desk.asked->len - 1, answer_new(ANSWER_FOUND, NULL, 0));
  expect(box, "event 21", ANSWER_FOUND, NULL, false);
  ck_assert_int_eq(told.well, 1);
  desk_close(&desk);
}
END_TEST

START_TEST(what_nobody_asks_any_more_is_forgotten) {
  g_autoptr(Breakers) breakers = breakers_new();
  int64_t now = NANOSECONDS_PER_SECOND;
  for (int i = 0; i < LIMIT_ROW_FAILURES; i++) {
    g_autofree char *key = g_strdup_printf("n%d", i);
    g_autoptr(Question) question = question_new_for(&desk_backend, NULL, LOOKUP_AHEAD, slice_from(key), SLICE_LITERAL("gone.test"));
    BreakerChange change = breakers_note(breakers, question, false, now);
    ck_assert_int_eq(change, i == LIMIT_ROW_FAILURES - 1 ? BREAKER_OPENED : BREAKER_UNCHANGED);
  }
  g_autoptr(Question) once = question_new_for(&desk_backend, NULL, LOOKUP_AHEAD, SLICE_LITERAL("n"), SLICE_LITERAL("once.test"));
  (void)breakers_note(breakers, once, false, now);
  ck_assert_uint_eq(breakers_count(breakers), 2);
  now += 3600 * NANOSECONDS_PER_SECOND;
  g_autoptr(Question) other = question_new_for(&desk_backend, NULL, LOOKUP_AHEAD, SLICE_LITERAL("n"), SLICE_LITERAL("other.test"));
  (void)breakers_note(breakers, other, false, now);
  ck_assert_uint_eq(breakers_count(breakers), 1);
  ck_assert_uint_eq(breakers_resting(breakers), 0);
}
END_TEST

/* ---- At once ---- */

/* What the scheduler has for this key without asking; the same object is given each time. */
static void expect_at_once(Desk *desk, const char *key, AnswerState state, const char *reason) {
  g_autoptr(Arena) arena = arena_new(0);
  SchedulerCounts before = scheduler_counts(desk->scheduler);
  g_autoptr(Question) question =
      question_new_in(arena, &desk_backend, desk, LOOKUP_AHEAD, slice_from(key), slice_from(strchr(key, '.') ? "x.test" : "desk"));
  AnswerSource source = scheduler_answers(desk->scheduler);
  g_autoptr(Answer) first = source.find(source.self, question);
  g_autoptr(Answer) second = scheduler_answer_at_once(desk->scheduler, question);
  ck_assert_msg(first != NULL && first == second, "%s is answered by %p and %p", key, (void *)first, (void *)second);
  ck_assert_int_eq(first->state, state);
  if (reason) {
    ck_assert_str_eq(first->reason, reason);
  }
  ck_assert_uint_eq(scheduler_counts(desk->scheduler).asked, before.asked + 2);
}

START_TEST(what_is_there_is_given_at_once) {
  Desk desk;
  open_telling(&desk);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  g_autoptr(Question) known = new_question(&desk, "a", LOOKUP_AHEAD);
  g_autoptr(Question) stateful = new_question(&desk, "a", LOOKUP_STATEFUL);
  ck_assert_ptr_null(scheduler_answer_at_once(desk.scheduler, known));
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  ck_assert_ptr_null(scheduler_answer_at_once(desk.scheduler, known)); /* it is out, and not joined */
  reply(&desk, 0, answer_new(ANSWER_NOT_FOUND, NULL, 60));
  expect(box, "a", ANSWER_NOT_FOUND, NULL, false);
  expect_nothing(box);
  expect_at_once(&desk, "a", ANSWER_NOT_FOUND, NULL);
  ck_assert_ptr_null(scheduler_answer_at_once(desk.scheduler, stateful));
  move_seconds(&desk, 60);
  ck_assert_ptr_null(scheduler_answer_at_once(desk.scheduler, known));
  ask(&desk, "a", LOOKUP_AHEAD, box);
  barrier(&desk);
  reply(&desk, 1, answer_new_failed("SERVFAIL"));
  expect_stale(box, "a", ANSWER_NOT_FOUND, "SERVFAIL");
  expect_at_once(&desk, "a", ANSWER_NOT_FOUND, "SERVFAIL");
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).stale, 3);
  ck_assert_int_eq(told.stale, 3);
  ck_assert_uint_eq(desk.asked->len, 2);
  desk_close(&desk);
}
END_TEST

START_TEST(that_a_list_rests_is_said_at_once) {
  Desk desk;
  open_telling(&desk);
  fail_some(&desk, "x.test", 0, LIMIT_ROW_FAILURES);
  move_seconds(&desk, LIMIT_FAILURE_SECONDS);
  expect_at_once(&desk, "n77.x.test", ANSWER_FAILED, resting);
  ck_assert_uint_eq(scheduler_counts(desk.scheduler).resting, 2);
  guint asked = desk.asked->len;
  move_seconds(&desk, LIMIT_TRIAL_SECONDS - LIMIT_FAILURE_SECONDS);
  expect_at_once(&desk, "n77.x.test", ANSWER_FAILED, resting);
  barrier(&desk);
  ck_assert_uint_eq(desk.asked->len, asked + 1); /* the trial */
  reply(&desk, asked, answer_new(ANSWER_FOUND, NULL, 60));
  expect_at_once(&desk, "n77.x.test", ANSWER_FOUND, NULL);
  ck_assert_int_eq(told.well, 1);
  desk_close(&desk);
}
END_TEST

/* Who keeps a question of an arena gets a copy; each holds its backend. */
static void count_hold(void *self) {
  ++*(int *)self;
}

static void count_drop(void *self) {
  --*(int *)self;
}

START_TEST(a_question_of_an_arena_is_copied_to_be_kept) {
  const LookupBackend backend = {.name = "held", .start = desk_start, .hold = count_hold, .drop = count_drop};
  int holds = 0;
  Arena *arena = arena_new(0);
  Question *question = question_new_in(arena, &backend, &holds, LOOKUP_REACHED, SLICE_LITERAL("key\0tail"), SLICE_LITERAL("zone.test"));
  g_autoptr(Question) copy = question_ref(question);
  ck_assert(copy != question && !copy->in_arena && question_equal(copy, question) && question_same_resource(copy, question));
  ck_assert_int_eq(copy->lookup_class, LOOKUP_REACHED);
  ck_assert_uint_eq(copy->key_length, 8);
  ck_assert_int_eq(holds, 2);
  question_unref(question);
  arena_free(arena);
  ck_assert_int_eq(holds, 1);
  ck_assert_str_eq(copy->key, "key");
  ck_assert_str_eq(copy->resource, "zone.test");
  g_clear_pointer(&copy, question_unref);
  ck_assert_int_eq(holds, 0);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, what_is_there_is_given_at_once);
  tcase_add_test(tests, that_a_list_rests_is_said_at_once);
  tcase_add_test(tests, a_question_of_an_arena_is_copied_to_be_kept);
  tcase_add_test(tests, a_stale_answer_stands_in_for_a_failure);
  tcase_add_test(tests, a_stale_answer_is_not_kept_for_ever);
  tcase_add_test(tests, the_same_answer_without_time_leaves_the_stale_one);
  tcase_add_test(tests, an_answer_that_is_not_kept_ends_a_stale_one);
  tcase_add_test(tests, a_stateful_question_has_no_stale_answer);
  tcase_add_test(tests, a_stale_answer_stands_in_for_silence);
  tcase_add_test(tests, at_the_deadline_what_is_kept_is_given);
  tcase_add_test(tests, what_fails_in_a_row_rests_until_a_trial_is_good);
  tcase_add_test(tests, one_name_that_fails_does_not_shut_its_zone);
  tcase_add_test(tests, a_good_answer_or_time_begins_a_new_row);
  tcase_add_test(tests, silence_is_a_failure_and_holds_no_slots);
  tcase_add_test(tests, while_it_rests_stale_answers_are_given);
  tcase_add_test(tests, a_stateful_trial_is_waited_for);
  tcase_add_test(tests, what_nobody_asks_any_more_is_forgotten);
}

UNIT_MAIN("resting", add_tests)
