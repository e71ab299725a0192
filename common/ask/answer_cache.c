/*
 * answer_cache.c: see answer_cache.h. A hash table for finding, a queue in order of last use for letting go.
 */
#include "common/ask/answer_cache.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

typedef struct Entry {
  GList link; /* in AnswerCache.by_use; data is the entry */
  Question *question;
  Answer *answer; /* the last good one; NULL: none */
  int64_t good_until;
  int64_t kept_until; /* from good_until on it is stale */
  Answer *stale;      /* `answer` as it was given last when its time was over; NULL: not yet */
  Answer *failure;    /* the last look-up failed; NULL: it did not */
  int64_t failed_until;
  size_t cost;
} Entry;

struct AnswerCache {
  GHashTable *entries; /* Question -> Entry */
  GQueue by_use;       /* newest use first */
  size_t entries_max;
  size_t bytes_max;
  size_t bytes;
};

static guint hash_question(gconstpointer question) {
  return ((const Question *)question)->hash;
}

static gboolean equal_questions(gconstpointer a, gconstpointer b) {
  return question_equal(a, b);
}

AnswerCache *answer_cache_new(size_t entries_max, size_t bytes_max) {
  g_assert(entries_max > 0);
  AnswerCache *cache = g_new0(AnswerCache, 1);
  cache->entries = g_hash_table_new(hash_question, equal_questions);
  g_queue_init(&cache->by_use);
  cache->entries_max = entries_max;
  cache->bytes_max = bytes_max;
  return cache;
}

static void drop_entry(AnswerCache *cache, Entry *entry) {
  g_hash_table_remove(cache->entries, entry->question);
  g_queue_unlink(&cache->by_use, &entry->link);
  cache->bytes -= entry->cost;
  question_unref(entry->question);
  answer_unref(entry->answer);
  answer_unref(entry->stale);
  answer_unref(entry->failure);
  g_free(entry);
}

void answer_cache_free(AnswerCache *cache) {
  if (!cache) {
    return;
  }
  while (cache->by_use.head) {
    drop_entry(cache, cache->by_use.head->data);
  }
  g_hash_table_unref(cache->entries);
  g_free(cache);
}

/* The entry of a question, without what is too old in it; one that is empty then is dropped. */
static Entry *entry_of(AnswerCache *cache, const Question *question, int64_t now) {
  Entry *entry = g_hash_table_lookup(cache->entries, question);
  if (!entry) {
    return NULL;
  }
  if (now >= entry->kept_until) {
    g_clear_pointer(&entry->answer, answer_unref);
    g_clear_pointer(&entry->stale, answer_unref);
  }
  if (now >= entry->failed_until) {
    g_clear_pointer(&entry->failure, answer_unref);
  }
  if (!entry->answer && !entry->failure) {
    drop_entry(cache, entry);
    return NULL;
  }
  return entry;
}

static void used_now(AnswerCache *cache, Entry *entry) {
  g_queue_unlink(&cache->by_use, &entry->link);
  g_queue_push_head_link(&cache->by_use, &entry->link);
}

static size_t cost_of(const Entry *entry) {
  size_t payload = entry->answer && entry->answer->payload ? g_bytes_get_size(entry->answer->payload) : 0;
  size_t stale = entry->stale ? sizeof(Answer) + strlen(entry->stale->reason) + 1 : 0;
  size_t reason = entry->failure ? sizeof(Answer) + strlen(entry->failure->reason) + 1 : 0;
  return sizeof(Entry) + sizeof(Question) + sizeof(Answer) + entry->question->key_length + strlen(entry->question->resource) + payload +
         stale + reason;
}

static void weigh(AnswerCache *cache, Entry *entry) {
  cache->bytes -= entry->cost;
  entry->cost = cost_of(entry);
  cache->bytes += entry->cost;
}

/* Each request of a client that is known gets one while a list is away, most often for the same reason. */
static Answer *stale_of(AnswerCache *cache, Entry *entry, const char *reason) {
  if (!entry->stale || strcmp(entry->stale->reason, reason) != 0) {
    answer_unref(entry->stale);
    entry->stale = answer_new_stale(entry->answer, reason);
    weigh(cache, entry);
  }
  return answer_ref(entry->stale);
}

Answer *answer_cache_find(AnswerCache *cache, const Question *question, int64_t now) {
  Entry *entry = entry_of(cache, question, now);
  if (!entry) {
    return NULL;
  }
  used_now(cache, entry);
  if (entry->answer && now < entry->good_until) {
    return answer_ref(entry->answer);
  }
  if (!entry->failure) {
    return NULL;
  }
  return entry->answer ? stale_of(cache, entry, entry->failure->reason) : answer_ref(entry->failure);
}

Answer *answer_cache_find_stale(AnswerCache *cache, const Question *question, const char *reason, int64_t now) {
  Entry *entry = entry_of(cache, question, now);
  if (!entry || !entry->answer) {
    return NULL;
  }
  used_now(cache, entry);
  return stale_of(cache, entry, reason);
}

static Answer *copy_for_keeping(const Answer *answer) {
  Answer *copy = answer->state == ANSWER_FAILED ? answer_new_failed(answer->reason) : answer_new(answer->state, answer->payload, 0);
  copy->ttl_seconds = answer->ttl_seconds;
  copy->from_cache = true;
  return copy;
}

static bool says_the_same(const Answer *a, const Answer *b) {
  return a->state == b->state && (a->payload && b->payload ? g_bytes_equal(a->payload, b->payload) : a->payload == b->payload);
}

static Entry *new_entry(AnswerCache *cache, Question *question) {
  Entry *entry = g_new0(Entry, 1);
  entry->link.data = entry;
  entry->question = question_ref(question);
  g_hash_table_insert(cache->entries, entry->question, entry);
  g_queue_push_head_link(&cache->by_use, &entry->link);
  return entry;
}

void answer_cache_put(AnswerCache *cache, Question *question, const Answer *answer, unsigned seconds, int64_t now) {
  Entry *entry = entry_of(cache, question, now);
  bool failed = answer->state == ANSWER_FAILED;
  int64_t until = now + (int64_t)seconds * NANOSECONDS_PER_SECOND;
  if (failed && (seconds == 0 || (entry && entry->answer && now < entry->good_until))) {
    return;
  }
  if (seconds == 0) {
    if (entry && !(entry->answer && says_the_same(entry->answer, answer))) {
      drop_entry(cache, entry); /* what it says is older than this answer */
    }
    return;
  }
  entry = entry ? entry : new_entry(cache, question);
  g_clear_pointer(&entry->failure, answer_unref);
  if (failed) {
    entry->failure = copy_for_keeping(answer);
    entry->failed_until = until;
  } else {
    answer_unref(entry->answer);
    g_clear_pointer(&entry->stale, answer_unref);
    entry->answer = copy_for_keeping(answer);
    entry->good_until = until;
    entry->kept_until = until + LIMIT_STALE_SECONDS * NANOSECONDS_PER_SECOND;
  }
  used_now(cache, entry);
  weigh(cache, entry);
  while (cache->by_use.length > cache->entries_max || (cache->bytes > cache->bytes_max && cache->by_use.length > 0)) {
    drop_entry(cache, cache->by_use.tail->data);
  }
}

size_t answer_cache_entries(const AnswerCache *cache) {
  return cache->by_use.length;
}

size_t answer_cache_bytes(const AnswerCache *cache) {
  return cache->bytes;
}
