/*
 * answer_cache.c: see answer_cache.h. A hash table for finding, a queue in order of last use for letting go.
 */
#include "common/ask/answer_cache.h"

#include "common/base/clock.h"

typedef struct Entry {
  GList link; /* in AnswerCache.by_use; data is the entry */
  Question *question;
  Answer *answer;
  int64_t good_until;
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

/* The entry of a question if it is still good; one that is not is dropped. */
static Entry *fresh_entry(AnswerCache *cache, const Question *question, int64_t now) {
  Entry *entry = g_hash_table_lookup(cache->entries, question);
  if (entry && now >= entry->good_until) {
    drop_entry(cache, entry);
    return NULL;
  }
  return entry;
}

Answer *answer_cache_find(AnswerCache *cache, const Question *question, int64_t now) {
  Entry *entry = fresh_entry(cache, question, now);
  if (!entry) {
    return NULL;
  }
  g_queue_unlink(&cache->by_use, &entry->link);
  g_queue_push_head_link(&cache->by_use, &entry->link);
  return answer_ref(entry->answer);
}

static Answer *copy_for_keeping(const Answer *answer) {
  Answer *copy = answer->state == ANSWER_FAILED ? answer_new_failed(answer->reason) : answer_new(answer->state, answer->payload, 0);
  copy->ttl_seconds = answer->ttl_seconds;
  copy->from_cache = true;
  return copy;
}

void answer_cache_put(AnswerCache *cache, Question *question, const Answer *answer, unsigned seconds, int64_t now) {
  Entry *old = fresh_entry(cache, question, now);
  if (seconds == 0 || (old && answer->state == ANSWER_FAILED && old->answer->state != ANSWER_FAILED)) {
    return;
  }
  if (old) {
    drop_entry(cache, old);
  }
  Entry *entry = g_new0(Entry, 1);
  entry->link.data = entry;
  entry->question = question_ref(question);
  entry->answer = copy_for_keeping(answer);
  entry->good_until = now + (int64_t)seconds * NANOSECONDS_PER_SECOND;
  entry->cost =
      sizeof(Entry) + sizeof(Question) + sizeof(Answer) + question->key_length + (answer->payload ? g_bytes_get_size(answer->payload) : 0);
  g_hash_table_insert(cache->entries, entry->question, entry);
  g_queue_push_head_link(&cache->by_use, &entry->link);
  cache->bytes += entry->cost;
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
