/*
 * scheduler.h: takes questions from any thread and brings their answers back as messages.
 *
 * One scheduler a process, with one look-up thread and its own libuv loop, on which all backends run. It joins equal questions
 * in flight, keeps answers for their time to live (positive and negative; failures for a few seconds so that a dead server is not asked for each mail),
 * and bounds what is pending (LIMIT_PENDING_LOOKUPS: a further question fails at once with "too many look-ups are pending").
 * What fails again and again rests (breaker.h): its questions fail at once with "zen.example.org: resting after 10 failures", but for a trial each LIMIT_TRIAL_SECONDS, which goes
 * out while its asker gets that answer too; a stateful trial is waited for. A good answer whose time is over is kept for LIMIT_STALE_SECONDS
 * more and given, as stale, where the question would fail: by its backend, by rest, by the cap, or by silence for LIMIT_SILENT_SECONDS.
 * The deadline is the asker's: it takes what is kept (scheduler_hurry, scheduler_ask_kept), then closes or stops listening to its box; the answer then still
 * fills the cache. A stateful question is never joined, cached or answered with a kept answer.
 * Behind the askers' deadlines stands one of its own (LIMIT_LOOKUP_SECONDS): a backend that has not answered by then holds no pending slot any longer, those who still wait get
 * ANSWER_FAILED "no answer within 30 s"; if it answers later, that still fills the cache.
 *
 * Answers come to an AnswerBox: reference counted, thread-safe; the scheduler puts, the owner takes.
 */
#ifndef COMMON_ASK_SCHEDULER_H
#define COMMON_ASK_SCHEDULER_H

#include <uv.h>

#include "common/ask/lookup.h"
#include "common/base/clock.h"

typedef struct AnswerBox AnswerBox;

/* Called on the look-up thread or one of a backend's own (or, for a cached answer, inside scheduler_ask) when an answer was put into an empty box. Must not block. */
typedef void (*AnswerBoxNotify)(void *data);

/* `notify` may be NULL: the owner then uses answer_box_wait. Transfer full. */
AnswerBox *answer_box_new(AnswerBoxNotify notify, void *data);
AnswerBox *answer_box_ref(AnswerBox *box);
void answer_box_unref(AnswerBox *box);
/* After this returns, notify is not called any more and answers are thrown away. Waits for a notify that is under way: never call it from notify. */
void answer_box_close(AnswerBox *box);
bool answer_box_is_open(AnswerBox *box);
/* The next answer, or false when there is none. *question and *answer are transferred full. */
bool answer_box_take(AnswerBox *box, Question **question, Answer **answer);
/* Waits until there is an answer, answer_box_wake was called, or monotonic time (g_get_monotonic_time, us) reaches `until`; true when there is an answer. */
bool answer_box_wait(AnswerBox *box, gint64 until);
void answer_box_wake(AnswerBox *box);
/* For the scheduler, fakes and tests: takes references of its own; the caller holds one to the box until this returns. */
void answer_box_put(AnswerBox *box, Question *question, Answer *answer);

typedef struct Scheduler Scheduler;

typedef struct SchedulerCounts {
  uint64_t asked;    /* calls of scheduler_ask, and those of the others that gave an answer; each is cached, joined, stale, resting, refused or goes to its backend (a trial: resting or stale, too) */
  uint64_t cached;   /* answered from the cache */
  uint64_t stale;    /* answers given whose time was over */
  uint64_t joined;   /* joined to an equal question in flight */
  uint64_t failed;   /* answers of backends that were failures, and those that never came in time */
  uint64_t late;     /* answers that came when nobody was listening any more */
  uint64_t refused;  /* too many were pending */
  uint64_t resting;  /* failed because what they ask rests */
  uint64_t rests;    /* times that something began to rest */
  uint64_t pending;  /* at the backends now */
  uint64_t entries;  /* in the cache now */
} SchedulerCounts;

typedef enum SchedulerEvent {
  SCHEDULER_RESTS,      /* told once when it begins */
  SCHEDULER_WELL_AGAIN, /* and once when it ends */
  SCHEDULER_STALE,      /* told for each stale answer */
} SchedulerEvent;

/* For the log; any thread. `text` is the whole sentence. Must not block or call the scheduler. */
typedef void (*SchedulerTell)(SchedulerEvent event, const char *text);

/* Starts the look-up thread (all signals blocked in it) on the system's clock. */
Scheduler *scheduler_new(GError **error);
/*
 * On another clock, borrowed: what is kept and what is overdue is measured by its monotonic time. A clock that was moved is looked at when the thread wakes next
 * (scheduler_run_on_thread wakes it).
 */
Scheduler *scheduler_new_with_clock(Clock *clock, GError **error);
/* Stops the thread, drops what is pending (boxes get ANSWER_FAILED "stopping"). Backends must be gone from the loop, or attached. Takes NULL. */
void scheduler_free(Scheduler *scheduler);
/* NULL, as at first: nobody is told. */
void scheduler_set_tell(Scheduler *scheduler, SchedulerTell tell);
/* The loop of the look-up thread; only for backends, from scheduler_run_on_thread or their start(). */
uv_loop_t *scheduler_loop(Scheduler *scheduler);
/*
 * Runs `function(data)` on the look-up thread and waits for its end (setting up and taking down backends). Questions asked before are with their
 * backends by then. On the look-up thread itself it is a plain call.
 */
void scheduler_run_on_thread(Scheduler *scheduler, void (*function)(void *data), void *data);
/*
 * Look-up thread: what a backend has on the loop that nobody takes down before the scheduler ends: `leave(self)` is called there when it stops, in front of the closing of the loop.
 * scheduler_detach takes that back (look-up thread; not from `leave`).
 */
void scheduler_attach(Scheduler *scheduler, void (*leave)(void *self), void *self);
void scheduler_detach(Scheduler *scheduler, void *self);
/* Any thread. The answer comes to the box, perhaps before this returns. */
void scheduler_ask(Scheduler *scheduler, Question *question, AnswerBox *box);
/*
 * What scheduler_ask would answer at once: a kept answer, or that what is asked rests; shared (transfer full), and without taking anything from the heap, but for the trials of what
 * rests. NULL: scheduler_ask it. Any thread; never for stateful questions.
 */
Answer *scheduler_answer_at_once(Scheduler *scheduler, Question *question);
/* The same for an evaluation. */
AnswerSource scheduler_answers(Scheduler *scheduler);
/*
 * The asker's deadline has struck. Of the questions that this box waits for, those with a kept answer get it now, as stale. It may let the asker go on to further questions, which
 * scheduler_ask_kept answers from what is kept, fresh or stale, at once, or not at all (false).
 */
void scheduler_hurry(Scheduler *scheduler, AnswerBox *box);
bool scheduler_ask_kept(Scheduler *scheduler, Question *question, AnswerBox *box);
/*
 * Look-up thread, or a thread of a backend's own while the scheduler is there: backends end each question with this, once. Takes over `answer`, whose only reference it must be. The question is borrowed: a backend that answers after
 * its start() has returned holds a reference of its own.
 */
void question_answer(Question *question, Answer *answer);
SchedulerCounts scheduler_counts(Scheduler *scheduler);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scheduler, scheduler_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AnswerBox, answer_box_unref)

#endif
