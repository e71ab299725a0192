/*
 * scheduler.c: the look-up thread. Thread-safe.
 *
 * One lock guards the cache, the table of what is pending and the queues towards the thread; it is a leaf, and never held while a backend runs, a box is filled or
 * anything is waited for. Pending questions are added on any thread and leave on the look-up thread only, so that one may be looked at there
 * without the lock. The lock is libuv's (pthread), because the thread sanitizer does not understand GLib's.
 */
#include "common/ask/scheduler.h"

#include <signal.h>

#include "common/ask/answer_cache.h"
#include "common/base/limits.h"

enum { OVERDUE_CHECK_MS = 1000 };

typedef struct Waiter {
  Question *question; /* the asker's own, equal to the pending one */
  AnswerBox *box;
} Waiter;

/* A question that is with its backend, or about to be. */
typedef struct Pending {
  GList link; /* in Scheduler.by_age; data is this */
  Question *question;
  GArray *waiters; /* of Waiter */
} Pending;

typedef struct Job {
  void (*function)(void *data);
  void *data;
  bool done;
} Job;

struct Scheduler {
  Clock *clock;
  uv_loop_t loop;
  uv_async_t wake;
  uv_timer_t overdue_timer;
  uv_thread_t thread;
  uv_mutex_t lock; /* guards all below */
  uv_cond_t job_done;
  GHashTable *pending; /* Question -> Pending */
  GQueue by_age;       /* of Pending, oldest first */
  GQueue to_start;     /* of Question, with a reference */
  GQueue jobs;         /* of Job, on their callers' stacks */
  AnswerCache *cache;
  SchedulerCounts counts;
  bool stopping;
};

static guint hash_pending(gconstpointer question) {
  return ((const Question *)question)->hash;
}

/* A stateful question is equal to itself only: each must be asked. */
static gboolean same_pending(gconstpointer a, gconstpointer b) {
  const Question *first = a, *second = b;
  if (first->lookup_class == LOOKUP_STATEFUL || second->lookup_class == LOOKUP_STATEFUL) {
    return first == second;
  }
  return question_equal(first, second);
}

static void pending_free(Pending *pending) {
  for (guint i = 0; i < pending->waiters->len; i++) {
    Waiter *waiter = &g_array_index(pending->waiters, Waiter, i);
    question_unref(waiter->question);
    answer_box_unref(waiter->box);
  }
  g_array_unref(pending->waiters);
  question_unref(pending->question);
  g_free(pending);
}

static void add_waiter(Pending *pending, Question *question, AnswerBox *box) {
  Waiter waiter = {question_ref(question), answer_box_ref(box)};
  g_array_append_val(pending->waiters, waiter);
}

/* With the lock. */
static void take_out(Scheduler *scheduler, Pending *pending) {
  g_hash_table_remove(scheduler->pending, pending->question);
  g_queue_unlink(&scheduler->by_age, &pending->link);
}

/* Without the lock: fills the boxes. False when nobody listens any more. */
static bool deliver(Pending *pending, Answer *answer) {
  bool heard = false;
  for (guint i = 0; i < pending->waiters->len; i++) {
    Waiter *waiter = &g_array_index(pending->waiters, Waiter, i);
    heard = answer_box_is_open(waiter->box) || heard;
    answer_box_put(waiter->box, waiter->question, answer);
  }
  return heard;
}

static unsigned milliseconds_since(int64_t start, int64_t now) {
  return now > start ? (unsigned)MIN((now - start) / NANOSECONDS_PER_MILLISECOND, INT32_MAX) : 0;
}

void question_answer(Question *question, Answer *answer) {
  Scheduler *scheduler = question->scheduler;
  g_assert(scheduler != NULL && answer->references == 1);
  int64_t now = clock_monotonic(scheduler->clock);
  answer->took_ms = milliseconds_since(question->asked_at, now);
  uv_mutex_lock(&scheduler->lock);
  if (question->lookup_class != LOOKUP_STATEFUL) {
    unsigned seconds = answer->state == ANSWER_FAILED ? LIMIT_FAILURE_SECONDS : answer->ttl_seconds;
    answer_cache_put(scheduler->cache, question, answer, seconds, now);
  }
  scheduler->counts.failed += answer->state == ANSWER_FAILED;
  Pending *pending = g_hash_table_lookup(scheduler->pending, question);
  if (pending) {
    take_out(scheduler, pending);
  }
  uv_mutex_unlock(&scheduler->lock);
  bool heard = pending && deliver(pending, answer);
  if (!heard) {
    uv_mutex_lock(&scheduler->lock);
    scheduler->counts.late++;
    uv_mutex_unlock(&scheduler->lock);
  }
  if (pending) {
    pending_free(pending);
  }
  answer_unref(answer);
}

/* Takes out the oldest pending question, if it is older than allowed. */
static Pending *take_overdue(Scheduler *scheduler, int64_t now) {
  uv_mutex_lock(&scheduler->lock);
  Pending *oldest = scheduler->by_age.head ? scheduler->by_age.head->data : NULL;
  if (oldest && now - oldest->question->asked_at < LIMIT_LOOKUP_SECONDS * NANOSECONDS_PER_SECOND) {
    oldest = NULL;
  }
  if (oldest) {
    take_out(scheduler, oldest);
    scheduler->counts.failed++;
  }
  uv_mutex_unlock(&scheduler->lock);
  return oldest;
}

static void fail_overdue(Scheduler *scheduler) {
  int64_t now = clock_monotonic(scheduler->clock);
  for (Pending *pending; (pending = take_overdue(scheduler, now));) {
    char reason[64];
    (void)g_snprintf(reason, sizeof reason, "no answer within %d s", (int)LIMIT_LOOKUP_SECONDS);
    g_autoptr(Answer) answer = answer_new_failed(reason);
    answer->took_ms = milliseconds_since(pending->question->asked_at, now);
    if (pending->question->lookup_class != LOOKUP_STATEFUL) {
      uv_mutex_lock(&scheduler->lock);
      answer_cache_put(scheduler->cache, pending->question, answer, LIMIT_FAILURE_SECONDS, now);
      uv_mutex_unlock(&scheduler->lock);
    }
    (void)deliver(pending, answer);
    pending_free(pending);
  }
}

static void on_overdue_timer(uv_timer_t *timer) {
  Scheduler *scheduler = timer->data;
  fail_overdue(scheduler);
  uv_mutex_lock(&scheduler->lock);
  bool idle = scheduler->by_age.length == 0;
  uv_mutex_unlock(&scheduler->lock);
  if (idle) {
    (void)uv_timer_stop(timer);
  }
}

/* Hands new questions to their backends, without the lock: a backend may answer inside its start. */
static void start_questions(Scheduler *scheduler) {
  for (;;) {
    uv_mutex_lock(&scheduler->lock);
    Question *question = g_queue_pop_head(&scheduler->to_start);
    /* A late answer to an equal question may have been faster. */
    bool wanted = question && g_hash_table_contains(scheduler->pending, question);
    uv_mutex_unlock(&scheduler->lock);
    if (!question) {
      return;
    }
    if (wanted) {
      if (!uv_is_active((uv_handle_t *)&scheduler->overdue_timer)) {
        (void)uv_timer_start(&scheduler->overdue_timer, on_overdue_timer, OVERDUE_CHECK_MS, OVERDUE_CHECK_MS);
      }
      question->backend->start(question->backend_self, question);
    }
    question_unref(question);
  }
}

static void run_jobs(Scheduler *scheduler) {
  uv_mutex_lock(&scheduler->lock);
  for (Job *job; (job = g_queue_pop_head(&scheduler->jobs));) {
    uv_mutex_unlock(&scheduler->lock);
    job->function(job->data);
    uv_mutex_lock(&scheduler->lock);
    job->done = true;
    uv_cond_broadcast(&scheduler->job_done);
  }
  uv_mutex_unlock(&scheduler->lock);
}

/* What is pending fails, and nothing new is taken in (`stopping` is set). */
static void fail_all(Scheduler *scheduler) {
  for (;;) {
    uv_mutex_lock(&scheduler->lock);
    Pending *pending = scheduler->by_age.head ? scheduler->by_age.head->data : NULL;
    if (pending) {
      take_out(scheduler, pending);
    }
    uv_mutex_unlock(&scheduler->lock);
    if (!pending) {
      return;
    }
    g_autoptr(Answer) answer = answer_new_failed("stopping");
    (void)deliver(pending, answer);
    pending_free(pending);
  }
}

static void on_wake(uv_async_t *wake) {
  Scheduler *scheduler = wake->data;
  uv_mutex_lock(&scheduler->lock);
  bool stopping = scheduler->stopping;
  uv_mutex_unlock(&scheduler->lock);
  if (stopping) {
    fail_all(scheduler);
    uv_close((uv_handle_t *)&scheduler->wake, NULL);
    uv_close((uv_handle_t *)&scheduler->overdue_timer, NULL);
    uv_stop(&scheduler->loop);
    return;
  }
  fail_overdue(scheduler);
  start_questions(scheduler);
  run_jobs(scheduler);
}

static void look_up_thread(void *data) {
  Scheduler *scheduler = data;
  (void)uv_run(&scheduler->loop, UV_RUN_DEFAULT);
  /* Closing ends in the loop, here and for the handles that backends closed before. */
  for (unsigned turn = 0; turn < 100 && uv_loop_alive(&scheduler->loop); turn++) {
    (void)uv_run(&scheduler->loop, UV_RUN_NOWAIT);
  }
  /* A handle that is still open belongs to a backend that outlived its scheduler. */
  int failure = uv_loop_close(&scheduler->loop);
  g_assert(failure == 0);
}

static int start_thread(Scheduler *scheduler) {
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = uv_thread_create(&scheduler->thread, look_up_thread, scheduler);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failure;
}

static int open_loop(Scheduler *scheduler) {
  int failure = uv_loop_init(&scheduler->loop);
  if (failure) {
    return failure;
  }
  (void)uv_timer_init(&scheduler->loop, &scheduler->overdue_timer);
  scheduler->overdue_timer.data = scheduler;
  scheduler->wake.data = scheduler;
  failure = uv_async_init(&scheduler->loop, &scheduler->wake, on_wake);
  if (!failure) {
    failure = start_thread(scheduler);
    if (failure) {
      uv_close((uv_handle_t *)&scheduler->wake, NULL);
    }
  }
  if (failure) {
    uv_close((uv_handle_t *)&scheduler->overdue_timer, NULL);
    (void)uv_run(&scheduler->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&scheduler->loop);
  }
  return failure;
}

static void release(Scheduler *scheduler) {
  g_queue_clear_full(&scheduler->to_start, (GDestroyNotify)question_unref);
  g_hash_table_unref(scheduler->pending);
  answer_cache_free(scheduler->cache);
  uv_cond_destroy(&scheduler->job_done);
  uv_mutex_destroy(&scheduler->lock);
  g_free(scheduler);
}

Scheduler *scheduler_new_with_clock(Clock *clock, GError **error) {
  Scheduler *scheduler = g_new0(Scheduler, 1);
  scheduler->clock = clock;
  if (uv_mutex_init(&scheduler->lock) != 0 || uv_cond_init(&scheduler->job_done) != 0) {
    g_error("cannot make a lock");
  }
  scheduler->pending = g_hash_table_new(hash_pending, same_pending);
  g_queue_init(&scheduler->by_age);
  g_queue_init(&scheduler->to_start);
  g_queue_init(&scheduler->jobs);
  scheduler->cache = answer_cache_new(LIMIT_CACHE_ENTRIES, LIMIT_CACHE_BYTES);
  int failure = open_loop(scheduler);
  if (failure) {
    g_set_error(error, g_quark_from_static_string("mailreeve-scheduler"), failure, "cannot start the look-up thread: %s",
                uv_strerror(failure));
    release(scheduler);
    return NULL;
  }
  return scheduler;
}

Scheduler *scheduler_new(GError **error) {
  return scheduler_new_with_clock(clock_system(), error);
}

void scheduler_free(Scheduler *scheduler) {
  if (!scheduler) {
    return;
  }
  uv_mutex_lock(&scheduler->lock);
  scheduler->stopping = true;
  (void)uv_async_send(&scheduler->wake);
  uv_mutex_unlock(&scheduler->lock);
  (void)uv_thread_join(&scheduler->thread);
  release(scheduler);
}

uv_loop_t *scheduler_loop(Scheduler *scheduler) {
  return &scheduler->loop;
}

void scheduler_run_on_thread(Scheduler *scheduler, void (*function)(void *data), void *data) {
  uv_thread_t self = uv_thread_self();
  if (uv_thread_equal(&self, &scheduler->thread)) {
    function(data);
    return;
  }
  Job job = {function, data, false};
  uv_mutex_lock(&scheduler->lock);
  g_assert(!scheduler->stopping);
  g_queue_push_tail(&scheduler->jobs, &job);
  (void)uv_async_send(&scheduler->wake);
  while (!job.done) {
    uv_cond_wait(&scheduler->job_done, &scheduler->lock);
  }
  uv_mutex_unlock(&scheduler->lock);
}

/* With the lock: a new pending question, on its way to the backend. */
static void add_pending(Scheduler *scheduler, Question *question, AnswerBox *box, int64_t now) {
  Pending *pending = g_new0(Pending, 1);
  pending->link.data = pending;
  /* The backend sees a question of its own: the asker may ask the same object again, when this one is overdue or stateful. */
  pending->question =
      question_new(question->backend, question->backend_self, question->lookup_class, slice_make(question->key, question->key_length));
  pending->question->asked_at = now;
  pending->question->scheduler = scheduler;
  pending->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
  add_waiter(pending, question, box);
  g_hash_table_insert(scheduler->pending, pending->question, pending);
  g_queue_push_tail_link(&scheduler->by_age, &pending->link);
  g_queue_push_tail(&scheduler->to_start, question_ref(pending->question));
  (void)uv_async_send(&scheduler->wake);
}

/* With the lock: an answer that can be given at once (transfer full), or NULL when the box will get it later. */
static Answer *answer_or_enqueue(Scheduler *scheduler, Question *question, AnswerBox *box, int64_t now) {
  scheduler->counts.asked++;
  if (scheduler->stopping) {
    return answer_new_failed("stopping");
  }
  if (question->lookup_class != LOOKUP_STATEFUL) {
    Answer *kept = answer_cache_find(scheduler->cache, question, now);
    if (kept) {
      scheduler->counts.cached++;
      return kept;
    }
    Pending *equal = g_hash_table_lookup(scheduler->pending, question);
    if (equal) {
      scheduler->counts.joined++;
      add_waiter(equal, question, box);
      return NULL;
    }
  }
  if (scheduler->by_age.length >= LIMIT_PENDING_LOOKUPS) {
    scheduler->counts.refused++;
    return answer_new_failed("too many look-ups are pending");
  }
  add_pending(scheduler, question, box, now);
  return NULL;
}

void scheduler_ask(Scheduler *scheduler, Question *question, AnswerBox *box) {
  uv_mutex_lock(&scheduler->lock);
  g_autoptr(Answer) answer = answer_or_enqueue(scheduler, question, box, clock_monotonic(scheduler->clock));
  uv_mutex_unlock(&scheduler->lock);
  if (answer) {
    answer_box_put(box, question, answer);
  }
}

SchedulerCounts scheduler_counts(Scheduler *scheduler) {
  uv_mutex_lock(&scheduler->lock);
  SchedulerCounts counts = scheduler->counts;
  counts.pending = scheduler->by_age.length;
  counts.entries = answer_cache_entries(scheduler->cache);
  uv_mutex_unlock(&scheduler->lock);
  return counts;
}
