/*
 * desk.h: a scheduler on a clock that the test moves, with a backend, the desk, that answers when the test says so.
 *
 * scheduler_run_on_thread is the barrier: what was asked before is with the backend when it returns.
 */
#ifndef TESTS_UNIT_DESK_H
#define TESTS_UNIT_DESK_H

#include "common/ask/scheduler.h"
#include "tests/unit/unit.h"

/* Keeps what it is asked; look-up thread only, but for `asked`, which the test reads after a barrier. */
typedef struct Desk {
  Scheduler *scheduler;
  Clock *clock;
  GPtrArray *asked; /* of Question, each with a reference, in order */
  bool at_once;     /* answers inside start() */
} Desk;

static inline void desk_start(void *self, Question *question) {
  Desk *desk = self;
  if (desk->at_once) {
    question_answer(question, answer_new(ANSWER_FOUND, NULL, 100));
    return;
  }
  g_ptr_array_add(desk->asked, question_ref(question));
}

static const LookupBackend desk_backend = {.name = "desk", .start = desk_start};

static inline void nothing(void *data) {
  (void)data;
}

static inline void barrier(Desk *desk) {
  scheduler_run_on_thread(desk->scheduler, nothing, NULL);
}

static inline void desk_open(Desk *desk) {
  *desk = (Desk){.clock = clock_manual_new(1000000)};
  desk->asked = g_ptr_array_new_with_free_func((GDestroyNotify)question_unref);
  desk->scheduler = scheduler_new_with_clock(desk->clock, NULL);
  ck_assert_ptr_nonnull(desk->scheduler);
}

static inline void desk_close(Desk *desk) {
  scheduler_free(desk->scheduler);
  g_ptr_array_unref(desk->asked);
  clock_free(desk->clock);
}

static inline Question *new_question(Desk *desk, const char *key, LookupClass lookup_class) {
  return question_new(&desk_backend, desk, lookup_class, slice_from(key));
}

static inline void ask(Desk *desk, const char *key, LookupClass lookup_class, AnswerBox *box) {
  g_autoptr(Question) question = new_question(desk, key, lookup_class);
  scheduler_ask(desk->scheduler, question, box);
}

typedef struct Reply {
  Desk *desk;
  guint index;
  Answer *answer;
} Reply;

static inline void reply_on_thread(void *data) {
  Reply *reply = data;
  question_answer(g_ptr_array_index(reply->desk->asked, reply->index), reply->answer);
}

/* Ends the index-th question that the backend was asked. */
static inline void reply(Desk *desk, guint index, Answer *answer) {
  Reply job = {desk, index, answer};
  ck_assert_uint_lt(index, desk->asked->len);
  scheduler_run_on_thread(desk->scheduler, reply_on_thread, &job);
}

/* The next answer of the box must be this one. */
static inline void expect(AnswerBox *box, const char *key, AnswerState state, const char *reason, bool from_cache) {
  g_autoptr(Question) question = NULL;
  g_autoptr(Answer) answer = NULL;
  ck_assert_msg(answer_box_take(box, &question, &answer), "no answer to %s", key);
  ck_assert_str_eq(question->key, key);
  ck_assert_int_eq(answer->state, state);
  if (reason) {
    ck_assert_str_eq(answer->reason, reason);
  }
  ck_assert_int_eq(answer->from_cache, from_cache);
}

static inline void expect_nothing(AnswerBox *box) {
  Question *question;
  Answer *answer;
  ck_assert(!answer_box_take(box, &question, &answer));
}

typedef struct Move {
  Clock *clock;
  int64_t seconds;
} Move;

static inline void move_on_thread(void *data) {
  const Move *move = data;
  clock_manual_advance(move->clock, move->seconds * NANOSECONDS_PER_SECOND);
}

/* On the look-up thread, which may be looking at the clock. */
static inline void move_seconds(Desk *desk, int64_t seconds) {
  Move move = {desk->clock, seconds};
  scheduler_run_on_thread(desk->scheduler, move_on_thread, &move);
  barrier(desk);
}

/* The next answer of the box must be a stale one. */
static inline void expect_stale(AnswerBox *box, const char *key, AnswerState state, const char *reason) {
  g_autoptr(Question) question = NULL;
  g_autoptr(Answer) answer = NULL;
  ck_assert_msg(answer_box_take(box, &question, &answer), "no answer to %s", key);
  ck_assert_str_eq(question->key, key);
  ck_assert(answer->stale && answer->from_cache);
  ck_assert_int_eq(answer->state, state);
  ck_assert_str_eq(answer->reason, reason);
}

#endif
