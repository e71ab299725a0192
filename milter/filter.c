/*
 * filter.c: the list of conversations, and the door that is shut at the end.
 *
 * What each callback touches is counted by atomic operations (sequentially consistent, as GLib's are); the lock is for what begins, ends and waits.
 * Who counts down to nothing looks whether somebody waits for that, and who waits has said so before it reads the count: one of the two sees the other.
 *
 * The counts are spread over several, each in a cache line of its own, lest all threads write to one. None is more than nothing for long once it was
 * read as nothing by who waits: whoever comes then turns back. Their sum at a moment is not needed.
 */
#include "milter/filter.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/ask/scheduler.h"
#include "common/base/limits.h"
#include "common/service/decision_log.h"

enum { SPARE_CONVERSATIONS = 64 };                     /* more at once than most servers have; some 15 KB each */
enum { CACHE_LINE = 64, COUNT_BITS = 4, COUNTS = 16 }; /* COUNTS: 1 << COUNT_BITS */

typedef struct Count {
  alignas(CACHE_LINE) gint inside; /* atomic: callbacks, by thread */
  gint in_message;                 /* atomic: conversations, by number */
} Count;

struct Filter {
  Daemon *daemon;
  unsigned process;       /* its id, the first part of a session's */
  gint stopping;          /* atomic: bool, written with the lock */
  gint shut;              /* atomic: bool, written with the lock */
  Count counted[COUNTS];  /* between what all threads read and what they write */
  pthread_mutex_t lock;   /* guards all below */
  pthread_cond_t changed; /* something that stopping waits for; told only while we stop */
  pthread_cond_t waits;   /* a callback waits, or we stop */
  Conversation *conversations;
  Conversation *spare; /* ended ones, by next: with the plan below, and as new */
  unsigned spare_count;
  unsigned sessions; /* conversations with a session */
  MilterPlan *plan;  /* of the newest ruleset that was asked for */
  unsigned waiting;  /* callbacks that hold a thread */
  uint64_t waits_begun;
  uint64_t number; /* sessions, ever */
  uint64_t counts[FILTER_COUNTS];
};

Filter *filter_new(Daemon *daemon) {
  Filter *filter = aligned_alloc(CACHE_LINE, sizeof *filter);
  if (filter == NULL) {
    g_error("no memory for the filter");
  }
  memset(filter, 0, sizeof *filter);
  filter->daemon = daemon;
  filter->process = (unsigned)getpid();
  (void)pthread_mutex_init(&filter->lock, NULL);
  (void)pthread_cond_init(&filter->changed, NULL);
  (void)pthread_cond_init(&filter->waits, NULL);
  return filter;
}

Daemon *filter_daemon(const Filter *filter) {
  return filter->daemon;
}

void filter_count(Filter *filter, FilterCount what) {
  (void)pthread_mutex_lock(&filter->lock);
  filter->counts[what]++;
  (void)pthread_mutex_unlock(&filter->lock);
}

void filter_log_counts(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  guint64 sessions = filter->number, counts[FILTER_COUNTS];
  for (FilterCount i = 0; i < FILTER_COUNTS; i++) {
    counts[i] = filter->counts[i];
  }
  (void)pthread_mutex_unlock(&filter->lock);
  log_info("stopped: %" G_GUINT64_FORMAT " sessions, %" G_GUINT64_FORMAT " steps at their deadline, %" G_GUINT64_FORMAT
           " sessions refused, %" G_GUINT64_FORMAT " replies not taken, %" G_GUINT64_FORMAT " effects not taken",
           sessions, counts[FILTER_EXPIRED], counts[FILTER_REFUSED], counts[FILTER_REPLY_NOT_TAKEN], counts[FILTER_EFFECT_NOT_TAKEN]);
}

static void tell_changed(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  (void)pthread_cond_broadcast(&filter->changed);
  (void)pthread_mutex_unlock(&filter->lock);
}

/* The thread's; stacks lie megabytes apart, so the multiplication spreads what tells them apart. */
static Count *count_of_thread(Filter *filter) {
  uint64_t self = (uint64_t)(uintptr_t)pthread_self();
  return &filter->counted[(self >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COUNT_BITS)];
}

bool filter_enter(Filter *filter) {
  g_atomic_int_inc(&count_of_thread(filter)->inside);
  if (g_atomic_int_get(&filter->shut)) {
    filter_leave(filter);
    return false;
  }
  return true;
}

void filter_leave(Filter *filter) {
  if (g_atomic_int_dec_and_test(&count_of_thread(filter)->inside) && g_atomic_int_get(&filter->shut)) {
    tell_changed(filter);
  }
}

static Count *count_of_conversation(const Conversation *conversation) {
  return &conversation->filter->counted[conversation->number % COUNTS];
}

static void leave_message(Filter *filter, Count *count) {
  if (g_atomic_int_dec_and_test(&count->in_message) && g_atomic_int_get(&filter->stopping)) {
    tell_changed(filter);
  }
}

/* Conversations */

static DelayReject delay_reject(const Config *config) {
  static const char *const names[] = {[DELAY_REJECT_NO] = "no", [DELAY_REJECT_MAIL] = "mail", [DELAY_REJECT_RCPT] = "rcpt"};
  for (DelayReject value = DELAY_REJECT_NO; value <= DELAY_REJECT_RCPT; value++) {
    if (strcmp(names[value], config->delay_reject) == 0) {
      return value;
    }
  }
  return DELAY_REJECT_RCPT;
}

/* Strings of a configuration live until the daemon stops, reloaded or not. */
static MilterOptions session_options(const Filter *filter) {
  const Config *config = daemon_config(filter->daemon);
  size_t count;
  Listener *const *listeners = daemon_listeners(filter->daemon, &count);
  return (MilterOptions){
      .delay_reject = delay_reject(config),
      .server_name = config->server_name,
      .service = count > 0 ? listener_service(listeners[0]) : config->service,
      .owned = config_owned_phases(config, DOOR_MILTER),
      .clock = daemon_clock(filter->daemon),
      .answers = scheduler_answers(daemon_scheduler(filter->daemon)),
      .message = {.memory = config->message_memory, .body_text = config->body_limit},
  };
}

static void box_close(AnswerBox *box) {
  if (box) {
    answer_box_close(box);
    answer_box_unref(box);
  }
}

/* All of it but its place in the list. */
static void conversation_clear(Conversation *conversation) {
  milter_session_free(conversation->session);
  milter_plan_unref(conversation->negotiated);
  box_close(conversation->box);
  g_free(conversation);
}

/* A reload changes settings and ruleset together, so the ruleset tells plans apart. */
static bool is_current(const Filter *filter, const MilterPlan *plan) {
  return daemon_ruleset_is(filter->daemon, milter_plan_ruleset(plan));
}

/* With the lock: all that ended conversations have left, to be freed without it. */
static Conversation *take_spares(Filter *filter) {
  filter->spare_count = 0;
  return g_steal_pointer(&filter->spare);
}

static void spares_free(Conversation *spare) {
  while (spare != NULL) {
    Conversation *next = spare->next;
    conversation_clear(spare);
    spare = next;
  }
}

/* With a reference; makes a plan when there is none for the ruleset in force. */
static MilterPlan *current_plan(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  MilterPlan *plan = filter->plan != NULL && is_current(filter, filter->plan) ? milter_plan_ref(filter->plan) : NULL;
  (void)pthread_mutex_unlock(&filter->lock);
  if (plan != NULL) {
    return plan;
  }
  MilterOptions options = session_options(filter);
  Ruleset *ruleset = daemon_ruleset(filter->daemon);
  plan = milter_plan_new(ruleset, &options);
  daemon_drop_ruleset(filter->daemon, ruleset);
  (void)pthread_mutex_lock(&filter->lock);
  MilterPlan *before = filter->plan;
  filter->plan = milter_plan_ref(plan);
  Conversation *spares = take_spares(filter);
  (void)pthread_mutex_unlock(&filter->lock);
  milter_plan_unref(before);
  spares_free(spares);
  return plan;
}

/* With the lock. */
static void list_add(Filter *filter, Conversation *conversation) {
  conversation->previous = NULL;
  conversation->next = filter->conversations;
  if (conversation->next != NULL) {
    conversation->next->previous = conversation;
  }
  filter->conversations = conversation;
}

/* With the lock. */
static void list_remove(Filter *filter, Conversation *conversation) {
  if (conversation->next != NULL) {
    conversation->next->previous = conversation->previous;
  }
  if (conversation->previous != NULL) {
    conversation->previous->next = conversation->next;
  } else {
    filter->conversations = conversation->next;
  }
}

/* One that has ended, with the ruleset in force, in the list again; NULL: there is none, or there are too many sessions. */
static Conversation *take_spare(Filter *filter, unsigned limit) {
  (void)pthread_mutex_lock(&filter->lock);
  Conversation *conversation = filter->sessions < limit && filter->spare != NULL && is_current(filter, filter->plan) ? filter->spare : NULL;
  if (conversation != NULL) {
    filter->spare = conversation->next;
    filter->spare_count--;
    filter->sessions++;
    conversation->number = ++filter->number;
    list_add(filter, conversation);
  }
  (void)pthread_mutex_unlock(&filter->lock);
  return conversation;
}

/* False: there are as many as there may be. */
static bool add_conversation(Filter *filter, Conversation *conversation, unsigned limit) {
  (void)pthread_mutex_lock(&filter->lock);
  bool room = filter->sessions < limit;
  filter->sessions += room;
  conversation->number = ++filter->number;
  list_add(filter, conversation);
  (void)pthread_mutex_unlock(&filter->lock);
  return room;
}

Conversation *conversation_new(Filter *filter) {
  unsigned limit = daemon_config(filter->daemon)->max_connections;
  Conversation *conversation = take_spare(filter, limit);
  if (conversation != NULL) {
    return conversation;
  }
  conversation = g_new0(Conversation, 1);
  conversation->filter = filter;
  if (!add_conversation(filter, conversation, limit)) {
    filter_count(filter, FILTER_REFUSED);
    log_limited("too many sessions", "there are %u sessions: a further one is answered with a temporary failure", limit);
    return conversation;
  }
  conversation->negotiated = current_plan(filter);
  conversation->session = milter_session_new(conversation->negotiated);
  return conversation;
}

/* With the lock; false: it is not worth keeping, or cannot be kept. */
static bool keep_spare(Filter *filter, Conversation *conversation) {
  if (filter->spare_count == SPARE_CONVERSATIONS || conversation->negotiated != filter->plan) {
    return false;
  }
  conversation->next = filter->spare;
  filter->spare = conversation;
  filter->spare_count++;
  return true;
}

void conversation_free(Conversation *conversation) {
  Filter *filter = conversation->filter;
  bool has_session = conversation->session != NULL;
  bool reusable = has_session && milter_session_plan(conversation->session) == conversation->negotiated;
  conversation_set_in_message(conversation, false);
  if (reusable) {
    milter_session_restart(conversation->session);
    conversation->id[0] = '\0';
    conversation->no_reply = 0;
  }
  (void)pthread_mutex_lock(&filter->lock);
  list_remove(filter, conversation);
  filter->sessions -= has_session;
  AnswerBox *box = g_steal_pointer(&conversation->box); /* answers that come late are not for the next session */
  bool kept = reusable && keep_spare(filter, conversation);
  (void)pthread_mutex_unlock(&filter->lock);
  box_close(box);
  if (!kept) {
    conversation_clear(conversation);
  }
}

const char *conversation_id(Conversation *conversation) {
  if (conversation->id[0] == '\0') {
    g_snprintf(conversation->id, sizeof conversation->id, "%x.%" G_GINT64_MODIFIER "x", conversation->filter->process,
               conversation->number);
  }
  return conversation->id;
}

const MilterNeeds *conversation_needs(const Conversation *conversation) {
  /* Too many: the answer is at connect, and at whatever the MTA shows none the less. */
  static const MilterNeeds no_room = {.steps = {[MILTER_CONNECT] = {true, true, ""}, [MILTER_EOM] = {true, true, ""}}};
  return conversation->negotiated != NULL ? milter_plan_needs(conversation->negotiated) : &no_room;
}

AnswerBox *conversation_box(Conversation *conversation) {
  if (conversation->box == NULL) {
    AnswerBox *box = answer_box_new(NULL, NULL);
    (void)pthread_mutex_lock(&conversation->filter->lock); /* filter_stop_waiting looks at it */
    conversation->box = box;
    (void)pthread_mutex_unlock(&conversation->filter->lock);
  }
  return conversation->box;
}

void conversation_offer_ruleset(Conversation *conversation) {
  if (is_current(conversation->filter, milter_session_plan(conversation->session))) {
    return;
  }
  g_autoptr(MilterPlan) plan = current_plan(conversation->filter);
  if (milter_needs_cover(milter_plan_needs(conversation->negotiated), milter_plan_needs(plan))) {
    milter_session_offer_plan(conversation->session, plan);
  } /* else: half of the new rules would be worse than all of the old ones */
}

void conversation_set_in_message(Conversation *conversation, bool in_message) {
  if (conversation->in_message == in_message) {
    return;
  }
  conversation->in_message = in_message;
  if (in_message) {
    g_atomic_int_inc(&count_of_conversation(conversation)->in_message);
  } else {
    leave_message(conversation->filter, count_of_conversation(conversation));
  }
}

/* Waiting */

bool filter_begin_waiting(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  bool room = filter->waiting < LIMIT_WAITING_CALLBACKS && !filter_is_stopping(filter);
  filter->waiting += room;
  filter->waits_begun++;
  if (filter->waiting == 1) {
    (void)pthread_cond_signal(&filter->waits);
  }
  (void)pthread_mutex_unlock(&filter->lock);
  return room;
}

bool filter_still_waits(Filter *filter, unsigned milliseconds, uint64_t *begun) {
  (void)pthread_mutex_lock(&filter->lock);
  do {
    while (filter->waiting == 0 && !filter_is_stopping(filter)) {
      (void)pthread_cond_wait(&filter->waits, &filter->lock);
    }
    (void)pthread_mutex_unlock(&filter->lock);
    g_usleep((gulong)milliseconds * 1000);
    (void)pthread_mutex_lock(&filter->lock);
  } while (filter->waiting == 0 && !filter_is_stopping(filter));
  bool waits = !filter_is_stopping(filter);
  *begun = filter->waits_begun;
  (void)pthread_mutex_unlock(&filter->lock);
  return waits;
}

void filter_end_waiting(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  filter->waiting--;
  (void)pthread_mutex_unlock(&filter->lock);
}

/* Stopping */

bool filter_is_stopping(Filter *filter) {
  return g_atomic_int_get(&filter->stopping);
}

void filter_stop_waiting(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  g_atomic_int_set(&filter->stopping, true);
  (void)pthread_cond_signal(&filter->waits);
  for (Conversation *conversation = filter->conversations; conversation != NULL; conversation = conversation->next) {
    if (conversation->box) {
      answer_box_wake(conversation->box);
    }
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

void filter_drain(Filter *filter, unsigned seconds) {
  struct timespec until;
  (void)clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += seconds;
  (void)pthread_mutex_lock(&filter->lock);
  bool in_time = true;
  for (size_t i = 0; i < COUNTS && in_time; i++) {
    while (g_atomic_int_get(&filter->counted[i].in_message) > 0 && in_time) {
      in_time = pthread_cond_timedwait(&filter->changed, &filter->lock, &until) == 0;
    }
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

void filter_shut(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  g_atomic_int_set(&filter->shut, true);
  for (size_t i = 0; i < COUNTS; i++) {
    while (g_atomic_int_get(&filter->counted[i].inside) > 0) {
      (void)pthread_cond_wait(&filter->changed, &filter->lock);
    }
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

void filter_free(Filter *filter) {
  while (filter->conversations != NULL) {
    Conversation *conversation = filter->conversations;
    filter->conversations = conversation->next;
    conversation_clear(conversation);
  }
  spares_free(take_spares(filter));
  g_clear_pointer(&filter->plan, milter_plan_unref);
  /* The lock and the filter itself stay: a thread of libmilter's may still come to filter_enter. */
}
