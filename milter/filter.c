/*
 * filter.c: the list of conversations, and the door that is shut at the end.
 */
#include "milter/filter.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/service/decision_log.h"

struct Terms {
  gint references;
  Ruleset *ruleset; /* a reference: no other ruleset can come to its address */
  Arena *arena;
  MilterNeeds needs;
};

struct Filter {
  Daemon *daemon;
  unsigned process;          /* its id, the first part of a session's */
  pthread_mutex_t lock;      /* guards all below */
  pthread_cond_t changed;    /* something that stopping waits for; told only while we stop */
  pthread_cond_t waits;      /* a callback waits, or we stop */
  GHashTable *conversations; /* a set */
  unsigned sessions;         /* conversations with a session */
  unsigned in_message;
  Terms *terms;     /* of the newest ruleset that was asked for */
  unsigned inside;  /* callbacks */
  unsigned waiting; /* callbacks that hold a thread */
  uint64_t waits_begun;
  uint64_t number;
  bool stopping;
  bool shut;
};

Filter *filter_new(Daemon *daemon) {
  Filter *filter = g_new0(Filter, 1);
  filter->daemon = daemon;
  filter->process = (unsigned)getpid();
  filter->conversations = g_hash_table_new(NULL, NULL);
  (void)pthread_mutex_init(&filter->lock, NULL);
  (void)pthread_cond_init(&filter->changed, NULL);
  (void)pthread_cond_init(&filter->waits, NULL);
  return filter;
}

Daemon *filter_daemon(const Filter *filter) {
  return filter->daemon;
}

bool filter_enter(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  bool open = !filter->shut;
  filter->inside += open;
  (void)pthread_mutex_unlock(&filter->lock);
  return open;
}

void filter_leave(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  filter->inside--;
  if (filter->inside == 0 && filter->shut) {
    (void)pthread_cond_broadcast(&filter->changed);
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

/* With the lock held. */
static void tell_stopping(Filter *filter) {
  if (filter->stopping && filter->in_message == 0) {
    (void)pthread_cond_broadcast(&filter->changed);
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
  const PhaseSet policys = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_HELO) | PHASE_BIT(PHASE_MAIL) | PHASE_BIT(PHASE_RCPT) |
                           PHASE_BIT(PHASE_VRFY) | PHASE_BIT(PHASE_ETRN);
  const Config *config = daemon_config(filter->daemon);
  size_t count;
  Listener *const *listeners = daemon_listeners(filter->daemon, &count);
  return (MilterOptions){
      .delay_reject = delay_reject(config),
      .server_name = config->server_name,
      .service = count > 0 ? listener_service(listeners[0]) : config->service,
      .owned = config->policy_enabled ? PHASES_ALL & (PhaseSet)~policys : PHASES_ALL,
      .clock = daemon_clock(filter->daemon),
  };
}

static void terms_unref(Filter *filter, Terms *terms) {
  if (terms != NULL && g_atomic_int_dec_and_test(&terms->references)) {
    daemon_drop_ruleset(filter->daemon, terms->ruleset);
    arena_free(terms->arena);
    g_free(terms);
  }
}

/* With two references. */
static Terms *terms_new(const MilterOptions *options, Ruleset *ruleset) {
  Terms *terms = g_new0(Terms, 1);
  terms->references = 2;
  terms->ruleset = ruleset_ref(ruleset);
  terms->arena = arena_new(0);
  terms->needs = milter_needs(terms->arena, ruleset, options);
  return terms;
}

/* With a reference. A reload changes settings and ruleset together, so the ruleset tells terms apart. */
static Terms *terms_for(Filter *filter, const MilterOptions *options, Ruleset *ruleset) {
  (void)pthread_mutex_lock(&filter->lock);
  Terms *terms = filter->terms != NULL && filter->terms->ruleset == ruleset ? filter->terms : NULL;
  if (terms != NULL) {
    g_atomic_int_inc(&terms->references);
  }
  (void)pthread_mutex_unlock(&filter->lock);
  if (terms != NULL) {
    return terms;
  }
  terms = terms_new(options, ruleset);
  (void)pthread_mutex_lock(&filter->lock);
  Terms *before = filter->terms;
  filter->terms = terms;
  (void)pthread_mutex_unlock(&filter->lock);
  terms_unref(filter, before);
  return terms;
}

/* False: there are as many as there may be. */
static bool add_conversation(Filter *filter, Conversation *conversation) {
  unsigned limit = daemon_config(filter->daemon)->max_connections;
  (void)pthread_mutex_lock(&filter->lock);
  bool room = filter->sessions < limit;
  filter->sessions += room;
  uint64_t number = ++filter->number;
  (void)g_hash_table_add(filter->conversations, conversation);
  (void)pthread_mutex_unlock(&filter->lock);
  g_snprintf(conversation->id, sizeof conversation->id, "%x.%" G_GINT64_MODIFIER "x", filter->process, number);
  return room;
}

Conversation *conversation_new(Filter *filter) {
  Conversation *conversation = g_new0(Conversation, 1);
  conversation->filter = filter;
  if (!add_conversation(filter, conversation)) {
    log_limited("too many sessions", "there are %u sessions: a further one is answered with a temporary failure",
                daemon_config(filter->daemon)->max_connections);
    return conversation;
  }
  MilterOptions options = session_options(filter);
  conversation->ruleset = daemon_ruleset(filter->daemon);
  conversation->session = milter_session_new(conversation->ruleset, &options);
  conversation->terms = terms_for(filter, &options, conversation->ruleset);
  conversation->needs = conversation->terms->needs;
  conversation->box = answer_box_new(NULL, NULL);
  return conversation;
}

/* Everything of it but its place in the list. */
static void conversation_clear(Conversation *conversation) {
  Daemon *daemon = conversation->filter->daemon;
  milter_session_free(conversation->session);
  if (conversation->ruleset) {
    daemon_drop_ruleset(daemon, conversation->ruleset);
  }
  if (conversation->offered) {
    daemon_drop_ruleset(daemon, conversation->offered);
  }
  if (conversation->box) {
    answer_box_close(conversation->box);
    answer_box_unref(conversation->box);
  }
  terms_unref(conversation->filter, conversation->terms);
  g_free(conversation);
}

void conversation_free(Conversation *conversation) {
  Filter *filter = conversation->filter;
  (void)pthread_mutex_lock(&filter->lock);
  (void)g_hash_table_remove(filter->conversations, conversation);
  filter->sessions -= conversation->session != NULL;
  filter->in_message -= conversation->in_message;
  tell_stopping(filter);
  (void)pthread_mutex_unlock(&filter->lock);
  conversation_clear(conversation);
}

void conversation_offer_ruleset(Conversation *conversation) {
  Filter *filter = conversation->filter;
  Ruleset *current = daemon_ruleset(filter->daemon);
  if (current == conversation->ruleset || current == conversation->offered) {
    daemon_drop_ruleset(filter->daemon, current);
    return;
  }
  MilterOptions options = session_options(filter);
  Terms *terms = terms_for(filter, &options, current);
  bool covered = milter_needs_cover(&conversation->needs, &terms->needs);
  terms_unref(filter, terms);
  if (!covered) {
    daemon_drop_ruleset(filter->daemon, current); /* half of the new rules would be worse than all of the old ones */
    return;
  }
  milter_session_offer_ruleset(conversation->session, current);
  if (conversation->offered) {
    daemon_drop_ruleset(filter->daemon, conversation->offered);
  }
  conversation->offered = current;
}

void conversation_settle(Conversation *conversation) {
  if (conversation->offered && milter_session_ruleset(conversation->session) == conversation->offered) {
    daemon_drop_ruleset(conversation->filter->daemon, conversation->ruleset);
    conversation->ruleset = g_steal_pointer(&conversation->offered);
  }
}

void conversation_set_in_message(Conversation *conversation, bool in_message) {
  if (conversation->in_message == in_message) {
    return;
  }
  Filter *filter = conversation->filter;
  (void)pthread_mutex_lock(&filter->lock);
  conversation->in_message = in_message;
  if (in_message) {
    filter->in_message++;
  } else {
    filter->in_message--;
    tell_stopping(filter);
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

/* Waiting */

bool filter_begin_waiting(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  bool room = filter->waiting < LIMIT_WAITING_CALLBACKS && !filter->stopping;
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
    while (filter->waiting == 0 && !filter->stopping) {
      (void)pthread_cond_wait(&filter->waits, &filter->lock);
    }
    (void)pthread_mutex_unlock(&filter->lock);
    g_usleep((gulong)milliseconds * 1000);
    (void)pthread_mutex_lock(&filter->lock);
  } while (filter->waiting == 0 && !filter->stopping);
  bool waits = !filter->stopping;
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
  (void)pthread_mutex_lock(&filter->lock);
  bool stopping = filter->stopping;
  (void)pthread_mutex_unlock(&filter->lock);
  return stopping;
}

void filter_stop_waiting(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  filter->stopping = true;
  (void)pthread_cond_signal(&filter->waits);
  GHashTableIter iterator;
  gpointer key;
  g_hash_table_iter_init(&iterator, filter->conversations);
  while (g_hash_table_iter_next(&iterator, &key, NULL)) {
    Conversation *conversation = key;
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
  while (filter->in_message > 0 && pthread_cond_timedwait(&filter->changed, &filter->lock, &until) == 0) {
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

void filter_shut(Filter *filter) {
  (void)pthread_mutex_lock(&filter->lock);
  filter->shut = true;
  while (filter->inside > 0) {
    (void)pthread_cond_wait(&filter->changed, &filter->lock);
  }
  (void)pthread_mutex_unlock(&filter->lock);
}

void filter_free(Filter *filter) {
  GHashTableIter iterator;
  gpointer key;
  g_hash_table_iter_init(&iterator, filter->conversations);
  while (g_hash_table_iter_next(&iterator, &key, NULL)) {
    g_hash_table_iter_remove(&iterator);
    conversation_clear(key);
  }
  g_hash_table_destroy(filter->conversations);
  terms_unref(filter, filter->terms);
  filter->terms = NULL;
  /* The lock and the filter itself stay: a thread of libmilter's may still come to filter_enter. */
}
