/*
 * breaker.c: see breaker.h. A table of the resources that have failures behind them; a good answer takes its resource out.
 */
#include "common/ask/breaker.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

enum { FORGET_SECONDS = 3600 /* what rests and is asked by nobody any more: the list is gone from the rules */ };

/* A resource. No question is held for it: that would hold its backend. A resource that was opened anew at the same place under the same name is the same. */
typedef struct BreakerKey {
  const LookupBackend *backend;
  const void *backend_self;
  const char *resource;
} BreakerKey;

typedef struct Breaker {
  BreakerKey key;
  char *resource; /* what the key says */
  bool resting;
  Answer *rest;                     /* what is said while it does; NULL before */
  guint failed[LIMIT_ROW_FAILURES]; /* hashes of the different questions in the row */
  unsigned count;
  int64_t first_failure, last_failure;
  int64_t next_trial;
  int64_t last_asked;
} Breaker;

struct Breakers {
  GHashTable *by_resource; /* BreakerKey -> Breaker */
  size_t resting;
};

static guint hash_key(gconstpointer item) {
  const BreakerKey *key = item;
  return g_str_hash(key->resource) ^ g_direct_hash(key->backend_self);
}

static gboolean equal_keys(gconstpointer a, gconstpointer b) {
  const BreakerKey *first = a, *second = b;
  return first->backend == second->backend && first->backend_self == second->backend_self && strcmp(first->resource, second->resource) == 0;
}

static void breaker_free(void *item) {
  Breaker *breaker = item;
  g_free(breaker->resource);
  answer_unref(breaker->rest);
  g_free(breaker);
}

static BreakerKey key_of(const Question *question) {
  return (BreakerKey){question->backend, question->backend_self, question->resource};
}

static Breaker *find(const Breakers *breakers, const Question *question) {
  BreakerKey key = key_of(question);
  return g_hash_table_size(breakers->by_resource) > 0 ? g_hash_table_lookup(breakers->by_resource, &key) : NULL;
}

Breakers *breakers_new(void) {
  Breakers *breakers = g_new0(Breakers, 1);
  breakers->by_resource = g_hash_table_new_full(hash_key, equal_keys, NULL, breaker_free);
  return breakers;
}

void breakers_free(Breakers *breakers) {
  if (!breakers) {
    return;
  }
  g_hash_table_unref(breakers->by_resource);
  g_free(breakers);
}

static bool is_over(int64_t since, int64_t now, int64_t seconds) {
  return now - since >= seconds * NANOSECONDS_PER_SECOND;
}

BreakerState breakers_ask(Breakers *breakers, const Question *question, int64_t now) {
  Breaker *breaker = breakers->resting > 0 ? find(breakers, question) : NULL;
  if (!breaker || !breaker->resting) {
    return BREAKER_WELL;
  }
  breaker->last_asked = now;
  if (now < breaker->next_trial) {
    return BREAKER_RESTING;
  }
  breaker->next_trial = now + LIMIT_TRIAL_SECONDS * NANOSECONDS_PER_SECOND;
  return BREAKER_TRIAL;
}

Answer *breakers_answer(const Breakers *breakers, const Question *question) {
  const Breaker *breaker = breakers->resting > 0 ? find(breakers, question) : NULL;
  return breaker && breaker->resting ? answer_ref(breaker->rest) : NULL;
}

static BreakerChange note_good(Breakers *breakers, const Question *question) {
  const Breaker *breaker = find(breakers, question);
  if (!breaker) {
    return BREAKER_UNCHANGED;
  }
  bool rested = breaker->resting;
  breakers->resting -= rested;
  (void)g_hash_table_remove(breakers->by_resource, &breaker->key);
  return rested ? BREAKER_CLOSED : BREAKER_UNCHANGED;
}

/* Lists come and go with the rules: what nobody asks any more is not kept for ever. */
static void forget_old(Breakers *breakers, int64_t now) {
  GHashTableIter each;
  void *item;
  g_hash_table_iter_init(&each, breakers->by_resource);
  while (g_hash_table_iter_next(&each, NULL, &item)) {
    const Breaker *breaker = item;
    bool old =
        breaker->resting ? is_over(breaker->last_asked, now, FORGET_SECONDS) : is_over(breaker->last_failure, now, LIMIT_ROW_SECONDS);
    if (old) {
      breakers->resting -= breaker->resting;
      g_hash_table_iter_remove(&each);
    }
  }
}

static Breaker *breaker_new(Breakers *breakers, const Question *question, int64_t now) {
  forget_old(breakers, now);
  Breaker *breaker = g_new0(Breaker, 1);
  breaker->resource = g_strdup(question->resource);
  breaker->key = key_of(question);
  breaker->key.resource = breaker->resource;
  breaker->first_failure = now;
  g_hash_table_insert(breakers->by_resource, &breaker->key, breaker);
  return breaker;
}

static bool is_in_row(const Breaker *breaker, guint hash) {
  for (unsigned i = 0; i < breaker->count; i++) {
    if (breaker->failed[i] == hash) {
      return true;
    }
  }
  return false;
}

static void begin_rest(Breakers *breakers, Breaker *breaker, int64_t now) {
  g_autofree char *reason = g_strdup_printf("%s: resting after %d failures", breaker->resource, (int)LIMIT_ROW_FAILURES);
  breaker->rest = answer_new_failed(reason);
  breaker->resting = true;
  breaker->last_asked = now;
  breaker->next_trial = now + LIMIT_TRIAL_SECONDS * NANOSECONDS_PER_SECOND;
  breakers->resting++;
}

static BreakerChange note_failure(Breakers *breakers, const Question *question, int64_t now) {
  Breaker *breaker = find(breakers, question);
  if (!breaker) {
    breaker = breaker_new(breakers, question, now);
  }
  breaker->last_failure = now;
  if (breaker->resting) {
    return BREAKER_UNCHANGED;
  }
  if (is_over(breaker->first_failure, now, LIMIT_ROW_SECONDS)) {
    breaker->count = 0;
    breaker->first_failure = now;
  }
  if (!is_in_row(breaker, question->hash)) {
    breaker->failed[breaker->count++] = question->hash;
  }
  if (breaker->count < LIMIT_ROW_FAILURES) {
    return BREAKER_UNCHANGED;
  }
  begin_rest(breakers, breaker, now);
  return BREAKER_OPENED;
}

BreakerChange breakers_note(Breakers *breakers, const Question *question, bool good, int64_t now) {
  return good ? note_good(breakers, question) : note_failure(breakers, question, now);
}

size_t breakers_resting(const Breakers *breakers) {
  return breakers->resting;
}

size_t breakers_count(const Breakers *breakers) {
  return g_hash_table_size(breakers->by_resource);
}
