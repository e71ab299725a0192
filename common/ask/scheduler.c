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
#include "common/ask/breaker.h"
#include "common/base/limits.h"
#include "common/base/text_buffer.h"

enum { OVERDUE_CHECK_MS = 1000, TOLD_LENGTH = 1024 };

static const char deadline_reason[] = "no answer before the deadline";

typedef struct Waiter {
  Question *question; /* the asker's own, equal to the pending one */
  AnswerBox *box;
} Waiter;

/* A question that is with its backend, or about to be. */
typedef struct Pending {
  GList link; /* in Scheduler.by_age; data is this */
  Question *question;
  GArray *waiters; /* of Waiter; none: a trial, or all have got a stale answer */
  bool silent;     /* for LIMIT_SILENT_SECONDS */
} Pending;

/* What is handed out when the lock is free again. */
typedef struct Delivery {
  GArray *waiters; /* of Waiter */
  Answer *answer;
  Question *question; /* NULL, or the pending one: its backend may go with it, which must not be under the lock */
} Delivery;

/* A backend that is on the loop. */
typedef struct Attached {
  void (*leave)(void *self);
  void *self;
} Attached;

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
  GArray *attached; /* of Attached; the look-up thread's */
  uv_mutex_t lock;  /* guards all below */
  uv_cond_t job_done;
  GHashTable *pending; /* Question -> Pending */
  GQueue by_age;       /* of Pending, oldest first */
  GQueue to_start;     /* of Question, with a reference */
  GQueue jobs;         /* of Job, on their callers' stacks */
  AnswerCache *cache;
  Breakers *breakers;
  SchedulerTell tell; /* may be NULL */
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

static void clear_waiter(void *item) {
  Waiter *waiter = item;
  question_unref(waiter->question);
  answer_box_unref(waiter->box);
}

static GArray *waiters_new(void) {
  GArray *waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
  g_array_set_clear_func(waiters, clear_waiter);
  return waiters;
}

static void pending_free(Pending *pending) {
  g_array_unref(pending->waiters);
  question_unref(pending->question);
  g_free(pending);
}

static void add_waiter(GArray *waiters, Question *question, AnswerBox *box) {
  Waiter waiter = {question_ref(question), answer_box_ref(box)};
  g_array_append_val(waiters, waiter);
}

/* With the lock. */
static void take_out(Scheduler *scheduler, Pending *pending) {
  g_hash_table_remove(scheduler->pending, pending->question);
  g_queue_unlink(&scheduler->by_age, &pending->link);
}

static unsigned milliseconds_since(int64_t start, int64_t now) {
  return now > start ? (unsigned)MIN((now - start) / NANOSECONDS_PER_MILLISECOND, INT32_MAX) : 0;
}

/* ---- Telling and handing out: without the lock ---- */

static void tell(Scheduler *scheduler, SchedulerEvent event, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void tell(Scheduler *scheduler, SchedulerEvent event, const char *format, ...) {
  uv_mutex_lock(&scheduler->lock);
  SchedulerTell function = scheduler->tell;
  uv_mutex_unlock(&scheduler->lock);
  if (function) {
    char room[TOLD_LENGTH];
    g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
    va_list arguments;
    va_start(arguments, format);
    text_buffer_add_format_list(&text, format, arguments);
    va_end(arguments);
    function(event, text.text);
  }
}

static void tell_stale(Scheduler *scheduler, const Question *question, const Answer *answer) {
  if (answer->stale) {
    tell(scheduler, SCHEDULER_STALE, "%s: \"%s\" is answered with what was known before: %s", question->resource, question->key,
         answer->reason);
  }
}

/* Fills the boxes. False when nobody listens any more. */
static bool deliver(Scheduler *scheduler, const GArray *waiters, Answer *answer) {
  bool heard = false;
  for (guint i = 0; i < waiters->len; i++) {
    Waiter *waiter = &g_array_index(waiters, Waiter, i);
    heard = answer_box_is_open(waiter->box) || heard;
    answer_box_put(waiter->box, waiter->question, answer);
  }
  if (heard) {
    tell_stale(scheduler, g_array_index(waiters, Waiter, 0).question, answer);
  }
  return heard;
}

static void clear_delivery(void *item) {
  Delivery *delivery = item;
  g_array_unref(delivery->waiters);
  answer_unref(delivery->answer);
  question_unref(delivery->question);
}

static GArray *deliveries_new(void) {
  GArray *deliveries = g_array_new(FALSE, FALSE, sizeof(Delivery));
  g_array_set_clear_func(deliveries, clear_delivery);
  return deliveries;
}

/* Takes over the list. */
static void deliver_all(Scheduler *scheduler, GArray *deliveries) {
  for (guint i = 0; i < deliveries->len; i++) {
    const Delivery *delivery = &g_array_index(deliveries, Delivery, i);
    (void)deliver(scheduler, delivery->waiters, delivery->answer);
  }
  g_array_unref(deliveries);
}

/* ---- Failing: with the lock ---- */

/* How long a question has been out; one that is not has no scheduler. */
static unsigned waited_ms(const Question *question, int64_t now) {
  return question->scheduler ? milliseconds_since(question->asked_at, now) : 0;
}

/* The same as one that was waited for: what is shared stays as it is. Takes over the answer, a stale one or a failure. */
static Answer *after_waiting(Answer *shared, unsigned took_ms) {
  if (took_ms == 0) {
    return shared;
  }
  Answer *answer = shared->stale ? answer_new_stale(shared, shared->reason) : answer_new_failed(shared->reason);
  answer->took_ms = took_ms;
  answer_unref(shared);
  return answer;
}

/* The kept answer to a question that would fail for this reason; NULL when there is none. Transfer full. */
static Answer *stale_answer(Scheduler *scheduler, const Question *question, const char *reason, size_t askers, int64_t now) {
  if (question->lookup_class == LOOKUP_STATEFUL) {
    return NULL;
  }
  Answer *answer = answer_cache_find_stale(scheduler->cache, question, reason, now);
  if (!answer) {
    return NULL;
  }
  scheduler->counts.stale += askers;
  return after_waiting(answer, waited_ms(question, now));
}

/* What a question gets that fails for this reason. Transfer full. */
static Answer *failed_or_stale(Scheduler *scheduler, const Question *question, const char *reason, size_t askers, int64_t now) {
  Answer *answer = stale_answer(scheduler, question, reason, askers, now);
  if (!answer) {
    answer = answer_new_failed(reason);
    answer->took_ms = waited_ms(question, now);
  }
  return answer;
}

static Answer *resting_answer(Scheduler *scheduler, const Question *question, size_t askers, int64_t now) {
  g_autoptr(Answer) rest = breakers_answer(scheduler->breakers, question);
  Answer *stale = stale_answer(scheduler, question, rest->reason, askers, now);
  if (stale) {
    return stale;
  }
  scheduler->counts.resting += askers;
  return after_waiting(g_steal_pointer(&rest), waited_ms(question, now));
}

/* What waits for a resource that rests waits no longer: it holds no slots, and costs nobody's deadline. */
static void release_resting(Scheduler *scheduler, const Question *question, GArray *deliveries, int64_t now) {
  for (GList *link = scheduler->by_age.head, *next; link; link = next) {
    next = link->next;
    Pending *pending = link->data;
    if (pending->question->lookup_class == LOOKUP_STATEFUL || !question_same_resource(pending->question, question)) {
      continue;
    }
    take_out(scheduler, pending);
    Answer *answer = resting_answer(scheduler, pending->question, pending->waiters->len, now);
    Delivery delivery = {g_array_ref(pending->waiters), answer, question_ref(pending->question)};
    g_array_append_val(deliveries, delivery);
    pending_free(pending);
  }
}

/* True when the resource begins to rest now: then those who wait for it are released to `deliveries`. */
static bool note_failure(Scheduler *scheduler, const Question *question, GArray *deliveries, int64_t now) {
  if (breakers_note(scheduler->breakers, question, false, now) != BREAKER_OPENED) {
    return false;
  }
  scheduler->counts.rests++;
  release_resting(scheduler, question, deliveries, now);
  return true;
}

static void tell_rests(Scheduler *scheduler, const Question *question, const char *reason) {
  tell(scheduler, SCHEDULER_RESTS, "%s: %d look-ups in a row have failed, the last with \"%s\": it rests, with a trial every %d s",
       question->resource, (int)LIMIT_ROW_FAILURES, reason, (int)LIMIT_TRIAL_SECONDS);
}

/* ---- Answers ---- */

/* With the lock. What the waiters get in place of a failure, after it was kept: a good answer from before, stale or (an equal question was faster) fresh. Transfer full. */
static Answer *better_than_failure(Scheduler *scheduler, const Question *question, Answer *failure, size_t askers, int64_t now) {
  g_autoptr(Answer) kept = question->lookup_class == LOOKUP_STATEFUL ? NULL : answer_cache_find(scheduler->cache, question, now);
  if (!kept || kept->state == ANSWER_FAILED) {
    return answer_ref(failure);
  }
  if (!kept->stale) {
    return g_steal_pointer(&kept);
  }
  scheduler->counts.stale += askers;
  return after_waiting(g_steal_pointer(&kept), failure->took_ms);
}

void question_answer(Question *question, Answer *answer) {
  Scheduler *scheduler = question->scheduler;
  g_assert(scheduler != NULL && answer->references == 1);
  int64_t now = clock_monotonic(scheduler->clock);
  bool good = answer->state != ANSWER_FAILED, rests = false, well_again = false;
  answer->took_ms = milliseconds_since(question->asked_at, now);
  GArray *released = deliveries_new();
  uv_mutex_lock(&scheduler->lock);
  if (question->lookup_class != LOOKUP_STATEFUL) {
    answer_cache_put(scheduler->cache, question, answer, good ? answer->ttl_seconds : LIMIT_FAILURE_SECONDS, now);
  }
  scheduler->counts.failed += !good;
  Pending *pending = g_hash_table_lookup(scheduler->pending, question);
  if (pending) {
    take_out(scheduler, pending);
  }
  size_t askers = pending ? pending->waiters->len : 0;
  g_autoptr(Answer) given = good ? answer_ref(answer) : better_than_failure(scheduler, question, answer, askers, now);
  if (good) {
    well_again = breakers_note(scheduler->breakers, question, true, now) == BREAKER_CLOSED;
  } else {
    rests = note_failure(scheduler, question, released, now);
  }
  uv_mutex_unlock(&scheduler->lock);
  if (!pending || !deliver(scheduler, pending->waiters, given)) {
    uv_mutex_lock(&scheduler->lock);
    scheduler->counts.late++;
    uv_mutex_unlock(&scheduler->lock);
  }
  deliver_all(scheduler, released);
  if (rests) {
    tell_rests(scheduler, question, answer->reason);
  } else if (well_again) {
    tell(scheduler, SCHEDULER_WELL_AGAIN, "%s: answers again", question->resource);
  }
  if (pending) {
    pending_free(pending);
  }
  answer_unref(answer);
}

/* With the lock: the waiters of a question that is silent get the stale answer, if there is one; nobody waits for it then. */
static void answer_silent(Scheduler *scheduler, Pending *pending, GArray *deliveries, const char *reason, int64_t now) {
  Answer *answer = pending->waiters->len > 0 ? stale_answer(scheduler, pending->question, reason, pending->waiters->len, now) : NULL;
  if (answer) {
    Delivery delivery = {pending->waiters, answer, NULL};
    g_array_append_val(deliveries, delivery);
    pending->waiters = waiters_new();
  }
}

/* Silence is a failure of what is asked: the questions that are silent from now on. The resources that rest now are added to `rest`, each with a reference. */
static GArray *note_silent(Scheduler *scheduler, const char *reason, GPtrArray *rest, int64_t now) {
  GArray *deliveries = deliveries_new();
  uv_mutex_lock(&scheduler->lock);
  for (GList *link = scheduler->by_age.head; link;) {
    Pending *pending = link->data;
    if (now - pending->question->asked_at < LIMIT_SILENT_SECONDS * NANOSECONDS_PER_SECOND) {
      break;
    }
    link = link->next;
    if (pending->silent) {
      continue;
    }
    pending->silent = true;
    answer_silent(scheduler, pending, deliveries, reason, now);
    g_autoptr(Question) question = question_ref(pending->question);
    if (note_failure(scheduler, question, deliveries, now)) {
      g_ptr_array_add(rest, g_steal_pointer(&question));
      link = scheduler->by_age.head; /* some are gone */
    }
  }
  uv_mutex_unlock(&scheduler->lock);
  return deliveries;
}

static void answer_for_silent(Scheduler *scheduler) {
  char reason[64];
  (void)g_snprintf(reason, sizeof reason, "no answer within %d s", (int)LIMIT_SILENT_SECONDS);
  g_autoptr(GPtrArray) rest = g_ptr_array_new_with_free_func((GDestroyNotify)question_unref);
  deliver_all(scheduler, note_silent(scheduler, reason, rest, clock_monotonic(scheduler->clock)));
  for (guint i = 0; i < rest->len; i++) {
    tell_rests(scheduler, rest->pdata[i], reason);
  }
}

/* Takes out the oldest pending question, if it is older than allowed, and keeps its failure. */
static Pending *take_overdue(Scheduler *scheduler, Answer *failure, Answer **given, int64_t now) {
  uv_mutex_lock(&scheduler->lock);
  Pending *oldest = scheduler->by_age.head ? scheduler->by_age.head->data : NULL;
  if (oldest && now - oldest->question->asked_at < LIMIT_LOOKUP_SECONDS * NANOSECONDS_PER_SECOND) {
    oldest = NULL;
  }
  if (oldest) {
    take_out(scheduler, oldest);
    scheduler->counts.failed++;
    failure->took_ms = milliseconds_since(oldest->question->asked_at, now);
    if (oldest->question->lookup_class != LOOKUP_STATEFUL) {
      answer_cache_put(scheduler->cache, oldest->question, failure, LIMIT_FAILURE_SECONDS, now);
    }
    *given = better_than_failure(scheduler, oldest->question, failure, oldest->waiters->len, now);
  }
  uv_mutex_unlock(&scheduler->lock);
  return oldest;
}

static void fail_overdue(Scheduler *scheduler) {
  int64_t now = clock_monotonic(scheduler->clock);
  char reason[64];
  (void)g_snprintf(reason, sizeof reason, "no answer within %d s", (int)LIMIT_LOOKUP_SECONDS);
  for (;;) {
    g_autoptr(Answer) failure = answer_new_failed(reason);
    g_autoptr(Answer) given = NULL;
    Pending *pending = take_overdue(scheduler, failure, &given, now);
    if (!pending) {
      return;
    }
    (void)deliver(scheduler, pending->waiters, given);
    pending_free(pending);
  }
}

static void on_overdue_timer(uv_timer_t *timer) {
  Scheduler *scheduler = timer->data;
  answer_for_silent(scheduler);
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

void scheduler_attach(Scheduler *scheduler, void (*leave)(void *self), void *self) {
  Attached attached = {leave, self};
  g_array_append_val(scheduler->attached, attached);
}

void scheduler_detach(Scheduler *scheduler, void *self) {
  for (guint i = scheduler->attached->len; i > 0; i--) {
    if (g_array_index(scheduler->attached, Attached, i - 1).self == self) {
      (void)g_array_remove_index_fast(scheduler->attached, i - 1);
    }
  }
}

static void leave_all(Scheduler *scheduler) {
  for (guint i = 0; i < scheduler->attached->len; i++) {
    const Attached *attached = &g_array_index(scheduler->attached, Attached, i);
    attached->leave(attached->self);
  }
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
    (void)deliver(scheduler, pending->waiters, answer);
    pending_free(pending);
  }
}

static void on_wake(uv_async_t *wake) {
  Scheduler *scheduler = wake->data;
  uv_mutex_lock(&scheduler->lock);
  bool stopping = scheduler->stopping;
  uv_mutex_unlock(&scheduler->lock);
  if (stopping) {
    leave_all(scheduler);
    fail_all(scheduler);
    uv_close((uv_handle_t *)&scheduler->wake, NULL);
    uv_close((uv_handle_t *)&scheduler->overdue_timer, NULL);
    uv_stop(&scheduler->loop);
    return;
  }
  answer_for_silent(scheduler);
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
  g_array_unref(scheduler->attached);
  answer_cache_free(scheduler->cache);
  breakers_free(scheduler->breakers);
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
  scheduler->attached = g_array_new(FALSE, FALSE, sizeof(Attached));
  g_queue_init(&scheduler->by_age);
  g_queue_init(&scheduler->to_start);
  g_queue_init(&scheduler->jobs);
  scheduler->cache = answer_cache_new(LIMIT_CACHE_ENTRIES, LIMIT_CACHE_BYTES);
  scheduler->breakers = breakers_new();
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

void scheduler_set_tell(Scheduler *scheduler, SchedulerTell function) {
  uv_mutex_lock(&scheduler->lock);
  scheduler->tell = function;
  uv_mutex_unlock(&scheduler->lock);
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

/* ---- Asking ---- */

/* With the lock: a new pending question, on its way to the backend. No box: nobody waits for it. */
static void add_pending(Scheduler *scheduler, Question *question, AnswerBox *box, int64_t now) {
  Pending *pending = g_new0(Pending, 1);
  pending->link.data = pending;
  /* The backend sees a question of its own: the asker may ask the same object again, when this one is overdue or stateful. */
  pending->question = question_new_for(question->backend, question->backend_self, question->lookup_class,
                                       slice_make(question->key, question->key_length), slice_from(question->resource));
  pending->question->asked_at = now;
  pending->question->scheduler = scheduler;
  pending->waiters = waiters_new();
  if (box) {
    add_waiter(pending->waiters, question, box);
  }
  g_hash_table_insert(scheduler->pending, pending->question, pending);
  g_queue_push_tail_link(&scheduler->by_age, &pending->link);
  g_queue_push_tail(&scheduler->to_start, question_ref(pending->question));
  (void)uv_async_send(&scheduler->wake);
}

/* With the lock: what rests answers at once, and a trial goes out behind it. NULL: ask. */
static Answer *answer_of_resting(Scheduler *scheduler, Question *question, const Pending *equal, int64_t now) {
  BreakerState state = breakers_ask(scheduler->breakers, question, now);
  if (state == BREAKER_WELL || (state == BREAKER_TRIAL && question->lookup_class == LOOKUP_STATEFUL)) {
    return NULL;
  }
  if (state == BREAKER_TRIAL && !equal) {
    add_pending(scheduler, question, NULL, now);
  }
  return resting_answer(scheduler, question, 1, now);
}

/* With the lock: a kept answer; transfer full, or NULL. */
static Answer *kept_answer(Scheduler *scheduler, const Question *question, int64_t now) {
  Answer *kept = answer_cache_find(scheduler->cache, question, now);
  if (kept && kept->stale) {
    scheduler->counts.stale++;
  } else if (kept) {
    scheduler->counts.cached++;
  }
  return kept;
}

/* With the lock: an answer that is there (transfer full), or NULL; *equal is then the pending question that is equal, if there is one. */
static Answer *answer_at_once(Scheduler *scheduler, Question *question, Pending **equal, int64_t now) {
  bool pure = question->lookup_class != LOOKUP_STATEFUL;
  *equal = NULL;
  Answer *answer = pure ? kept_answer(scheduler, question, now) : NULL;
  if (answer) {
    return answer;
  }
  *equal = pure ? g_hash_table_lookup(scheduler->pending, question) : NULL;
  answer = answer_of_resting(scheduler, question, *equal, now);
  if (!answer && *equal && (*equal)->silent) {
    answer = stale_answer(scheduler, question, "no answer so far", 1, now);
  }
  return answer;
}

/* With the lock: an answer that can be given at once (transfer full), or NULL when the box will get it later. */
static Answer *answer_or_enqueue(Scheduler *scheduler, Question *question, AnswerBox *box, int64_t now) {
  scheduler->counts.asked++;
  if (scheduler->stopping) {
    return answer_new_failed("stopping");
  }
  Pending *equal;
  Answer *answer = answer_at_once(scheduler, question, &equal, now);
  if (answer) {
    return answer;
  }
  if (equal) {
    scheduler->counts.joined++;
    add_waiter(equal->waiters, question, box);
    return NULL;
  }
  if (scheduler->by_age.length >= LIMIT_PENDING_LOOKUPS) {
    scheduler->counts.refused++;
    return failed_or_stale(scheduler, question, "too many look-ups are pending", 1, now);
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
    tell_stale(scheduler, question, answer);
  }
}

Answer *scheduler_answer_at_once(Scheduler *scheduler, Question *question) {
  if (question->lookup_class == LOOKUP_STATEFUL) {
    return NULL;
  }
  uv_mutex_lock(&scheduler->lock);
  Pending *equal;
  Answer *answer = scheduler->stopping ? NULL : answer_at_once(scheduler, question, &equal, clock_monotonic(scheduler->clock));
  scheduler->counts.asked += answer != NULL;
  uv_mutex_unlock(&scheduler->lock);
  if (answer) {
    tell_stale(scheduler, question, answer);
  }
  return answer;
}

static Answer *find_at_once(void *self, Question *question) {
  return scheduler_answer_at_once(self, question);
}

AnswerSource scheduler_answers(Scheduler *scheduler) {
  return (AnswerSource){find_at_once, scheduler};
}

/* With the lock: those of the waiters that fill this box get the stale answer, if there is one. */
static void hurry_waiters(Scheduler *scheduler, Pending *pending, const AnswerBox *box, GArray *deliveries, int64_t now) {
  for (guint i = pending->waiters->len; i > 0; i--) {
    const Waiter *waiter = &g_array_index(pending->waiters, Waiter, i - 1);
    Answer *answer = waiter->box == box ? stale_answer(scheduler, pending->question, deadline_reason, 1, now) : NULL;
    if (answer) {
      Delivery delivery = {waiters_new(), answer, NULL};
      add_waiter(delivery.waiters, waiter->question, waiter->box);
      g_array_append_val(deliveries, delivery);
      (void)g_array_remove_index_fast(pending->waiters, i - 1);
    }
  }
}

void scheduler_hurry(Scheduler *scheduler, AnswerBox *box) {
  GArray *deliveries = deliveries_new();
  uv_mutex_lock(&scheduler->lock);
  int64_t now = clock_monotonic(scheduler->clock);
  for (GList *link = scheduler->by_age.head; link; link = link->next) {
    hurry_waiters(scheduler, link->data, box, deliveries, now);
  }
  uv_mutex_unlock(&scheduler->lock);
  deliver_all(scheduler, deliveries);
}

bool scheduler_ask_kept(Scheduler *scheduler, Question *question, AnswerBox *box) {
  if (question->lookup_class == LOOKUP_STATEFUL) {
    return false;
  }
  uv_mutex_lock(&scheduler->lock);
  int64_t now = clock_monotonic(scheduler->clock);
  g_autoptr(Answer) answer = kept_answer(scheduler, question, now);
  if (!answer) {
    answer = stale_answer(scheduler, question, deadline_reason, 1, now);
  }
  scheduler->counts.asked += answer != NULL;
  uv_mutex_unlock(&scheduler->lock);
  if (answer) {
    answer_box_put(box, question, answer);
    tell_stale(scheduler, question, answer);
  }
  return answer != NULL;
}

SchedulerCounts scheduler_counts(Scheduler *scheduler) {
  uv_mutex_lock(&scheduler->lock);
  SchedulerCounts counts = scheduler->counts;
  counts.pending = scheduler->by_age.length;
  counts.entries = answer_cache_entries(scheduler->cache);
  uv_mutex_unlock(&scheduler->lock);
  return counts;
}
