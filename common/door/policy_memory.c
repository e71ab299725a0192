/*
 * policy_memory.c: what the policy door remembers per message: a bounded hash table whose entries also stand in order of last use.
 *
 * All entries are taken at once, and so is what rules about recipients need when the first message needs it: address space, which costs nothing before it is used. So
 * a busy daemon allocates nothing.
 */
#include "common/base/limits.h"
#include "common/door/passed_recipients.h"
#include "common/door/policy_internal.h"

enum { MEMORY_BUCKETS = 65536, CACHE_LINE = 64 };

/* A message that was used less than this ago keeps its place among the others: most are used several times in a row. */
static const int64_t same_use = NANOSECONDS_PER_SECOND;

/* What every request touches: one cache line. */
typedef struct MemoryEntry MemoryEntry;
struct MemoryEntry {
  MemoryEntry *chain; /* of its bucket, or the next free one */
  uint64_t hash;
  int64_t used_at;            /* monotonic nanoseconds; of the first of several uses in a row */
  Ruleset *ruleset;           /* a reference, or NULL */
  MemoryEntry *newer, *older; /* by last use */
  bool spared;
  bool has_groups; /* those of its place are its own */
  unsigned said_count;
};
G_STATIC_ASSERT(sizeof(MemoryEntry) <= CACHE_LINE);

typedef union MemoryPlace {
  MemoryEntry entry;
  char line[CACHE_LINE];
} MemoryPlace;

/* The rest, by entry. */
typedef struct MemoryMore {
  PassedRecipients recipients;
  uint32_t said[LIMIT_INSTANCE_EFFECTS];
} MemoryMore;

struct PolicyMemory {
  Clock *clock;
  MemoryPlace *places; /* LIMIT_INSTANCES; those from `fresh` on were never used */
  void *places_block;  /* what they were taken from */
  MemoryMore *more;
  size_t fresh;
  MemoryEntry *free_entries;
  uint64_t hash_key;
  RecipientGroups *groups;    /* by entry; NULL: no message needed them yet */
  RecipientCells *recipients; /* NULL: no message needed them yet */
  MemoryEntry *newest, *oldest;
  size_t count;
  MemoryEntry *buckets[MEMORY_BUCKETS];
};

/* ---- Keys ---- */

/*
 * Postfix makes the names of messages and no stranger has a say in them: a hash that is quick and keyed is enough. Each step is one to one for a word, so names of one length
 * that differ in one word never meet.
 */
static uint64_t instance_hash(uint64_t key, Slice instance) {
  const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t hash = key ^ instance.length * odd, word;
  size_t at = 0;
  for (; at + 8 <= instance.length; at += 8) {
    memcpy(&word, instance.data + at, 8);
    hash = (hash ^ word) * odd;
    hash ^= hash >> 32;
  }
  word = 0;
  if (at < instance.length && instance.length >= 8) {
    memcpy(&word, instance.data + instance.length - 8, 8);
  } else {
    for (; at < instance.length; at++) {
      word = word << 8 | (unsigned char)instance.data[at];
    }
  }
  hash = (hash ^ word) * odd;
  hash = (hash ^ hash >> 32) * odd;
  return hash ^ hash >> 29;
}

/* The bucket is sent for: it is far away, and wanted a little later. */
bool policy_memory_key(PolicyMemory *memory, const PolicyRequest *request, MemoryKey *key, bool *is_message) {
  Slice instance = request->attributes[FACT_INSTANCE];
  *is_message = instance.length > 0;
  if (*is_message) {
    key->hash = instance_hash(memory->hash_key, instance);
    __builtin_prefetch(&memory->buckets[key->hash % MEMORY_BUCKETS]);
    return true;
  }
  static const Fact ends[] = {FACT_CLIENT_ADDRESS, FACT_CLIENT_PORT, FACT_SERVER_ADDRESS, FACT_SERVER_PORT};
  Slice port = request->attributes[FACT_CLIENT_PORT];
  if (port.length == 0 || slice_equal(port, SLICE_LITERAL("0"))) {
    return false; /* without the port all connections of a client would be one */
  }
  uint64_t parts[G_N_ELEMENTS(ends)];
  for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
    parts[i] = slice_hash(request->attributes[ends[i]]);
  }
  key->hash = slice_hash(slice_make((const char *)parts, sizeof parts));
  return true;
}

/* ---- Entries ---- */

static void list_remove(PolicyMemory *memory, MemoryEntry *entry) {
  *(entry->older ? &entry->older->newer : &memory->oldest) = entry->newer;
  *(entry->newer ? &entry->newer->older : &memory->newest) = entry->older;
}

static void list_add(PolicyMemory *memory, MemoryEntry *entry) {
  entry->newer = NULL;
  entry->older = memory->newest;
  *(memory->newest ? &memory->newest->newer : &memory->oldest) = entry;
  memory->newest = entry;
}

static MemoryEntry **bucket_of(PolicyMemory *memory, uint64_t hash) {
  return &memory->buckets[hash % MEMORY_BUCKETS];
}

static size_t index_of(const PolicyMemory *memory, const MemoryEntry *entry) {
  return (size_t)((const MemoryPlace *)(const void *)entry - memory->places);
}

static MemoryMore *more_of(PolicyMemory *memory, const MemoryEntry *entry) {
  return &memory->more[index_of(memory, entry)];
}

/* Takes an entry out; its ruleset is dropped: never the last reference, since the daemon keeps those that it replaced. */
static void entry_forget(PolicyMemory *memory, MemoryEntry *entry) {
  MemoryEntry **link = bucket_of(memory, entry->hash);
  while (*link != entry) {
    link = &(*link)->chain;
  }
  *link = entry->chain;
  list_remove(memory, entry);
  ruleset_unref(entry->ruleset);
  entry->has_groups = false;
  if (memory->recipients != NULL) {
    recipient_cells_forget(memory->recipients, &more_of(memory, entry)->recipients);
  }
  entry->chain = memory->free_entries;
  memory->free_entries = entry;
  memory->count--;
}

static MemoryEntry *entry_take(PolicyMemory *memory) {
  MemoryEntry *entry = memory->free_entries;
  if (entry == NULL) {
    g_assert(memory->fresh < LIMIT_INSTANCES); /* forget_old was there before */
    return &memory->places[memory->fresh++].entry;
  }
  memory->free_entries = entry->chain;
  return entry;
}

static void forget_old(PolicyMemory *memory, int64_t now) {
  while (memory->oldest != NULL &&
         (memory->count >= LIMIT_INSTANCES || now - memory->oldest->used_at > LIMIT_INSTANCE_SECONDS * NANOSECONDS_PER_SECOND)) {
    entry_forget(memory, memory->oldest);
  }
}

/* The entry of a key; NULL when it is not there and not to be made. */
static MemoryEntry *entry_find(PolicyMemory *memory, const MemoryKey *key, bool make) {
  int64_t now = clock_monotonic_about(memory->clock);
  MemoryEntry **bucket = bucket_of(memory, key->hash);
  MemoryEntry *entry = *bucket;
  while (entry != NULL && entry->hash != key->hash) {
    entry = entry->chain;
  }
  if (entry != NULL && now - entry->used_at > LIMIT_INSTANCE_SECONDS * NANOSECONDS_PER_SECOND) {
    entry_forget(memory, entry);
    entry = NULL;
  }
  if (entry != NULL && now - entry->used_at < same_use) {
    return entry;
  }
  if (entry != NULL) {
    list_remove(memory, entry);
  } else if (!make) {
    return NULL;
  } else {
    forget_old(memory, now);
    entry = entry_take(memory);
    entry->chain = *bucket;
    entry->hash = key->hash;
    entry->ruleset = NULL;
    entry->said_count = 0; /* nothing of `said` counts */
    entry->spared = false;
    *bucket = entry;
    memory->count++;
  }
  entry->used_at = now;
  list_add(memory, entry);
  return entry;
}

/* ---- The memory ---- */

PolicyMemory *policy_memory_new(Clock *clock) {
  PolicyMemory *memory = g_new0(PolicyMemory, 1);
  memory->clock = clock;
  memory->hash_key = slice_hash(SLICE_LITERAL("instance"));
  memory->places_block = g_malloc0(sizeof(MemoryPlace) * (LIMIT_INSTANCES + 1));
  memory->places = (MemoryPlace *)(((uintptr_t)memory->places_block + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
  memory->more = g_new0(MemoryMore, LIMIT_INSTANCES);
  return memory;
}

void policy_memory_free(PolicyMemory *memory) {
  if (memory == NULL) {
    return;
  }
  while (memory->oldest != NULL) {
    entry_forget(memory, memory->oldest);
  }
  recipient_cells_free(memory->recipients);
  g_free(memory->groups);
  g_free(memory->more);
  g_free(memory->places_block);
  g_free(memory);
}

size_t policy_memory_count(PolicyMemory *memory) {
  return memory->count;
}

void policy_memory_approach(PolicyMemory *memory, const MemoryKey *key) {
  __builtin_prefetch(*bucket_of(memory, key->hash));
}

Ruleset *policy_memory_pin(PolicyMemory *memory, const MemoryKey *key, Ruleset *offered) {
  MemoryEntry *entry = entry_find(memory, key, true);
  if (entry->ruleset == NULL) {
    entry->ruleset = ruleset_ref(offered);
  }
  return entry->ruleset;
}

static bool entry_say(MemoryEntry *entry, uint32_t *said, uint32_t effect) {
  for (unsigned i = 0; i < entry->said_count; i++) {
    if (said[i] == effect) {
      return false;
    }
  }
  if (entry->said_count == LIMIT_INSTANCE_EFFECTS) {
    return false;
  }
  said[entry->said_count++] = effect;
  return true;
}

bool policy_memory_say(PolicyMemory *memory, const MemoryKey *key, uint32_t effect) {
  MemoryEntry *entry = entry_find(memory, key, true);
  return entry_say(entry, more_of(memory, entry)->said, effect);
}

void policy_memory_spare(PolicyMemory *memory, const MemoryKey *key) {
  entry_find(memory, key, true)->spared = true;
}

bool policy_memory_is_spared(PolicyMemory *memory, const MemoryKey *key) {
  const MemoryEntry *entry = entry_find(memory, key, false);
  return entry != NULL && entry->spared;
}

void policy_memory_load_groups(PolicyMemory *memory, const MemoryKey *key, RecipientGroups *groups) {
  const MemoryEntry *entry = entry_find(memory, key, false);
  *groups = entry != NULL && entry->has_groups ? memory->groups[index_of(memory, entry)] : (RecipientGroups){.told_count = 0};
}

void policy_memory_store_groups(PolicyMemory *memory, const MemoryKey *key, const RecipientGroups *groups) {
  MemoryEntry *entry = entry_find(memory, key, true);
  if (memory->groups == NULL) {
    memory->groups = g_new(RecipientGroups, LIMIT_INSTANCES);
  }
  memory->groups[index_of(memory, entry)] = *groups;
  entry->has_groups = true;
}

void policy_memory_add_recipient(PolicyMemory *memory, const MemoryKey *key, Slice recipient) {
  MemoryEntry *entry = entry_find(memory, key, true);
  if (memory->recipients == NULL) {
    memory->recipients = recipient_cells_new();
  }
  recipient_cells_add(memory->recipients, &more_of(memory, entry)->recipients, recipient);
}

size_t policy_memory_recipients(PolicyMemory *memory, const MemoryKey *key, Arena *arena, const Slice **recipients) {
  const MemoryEntry *entry = entry_find(memory, key, false);
  return entry != NULL ? recipient_cells_copy(memory->recipients, &more_of(memory, entry)->recipients, arena, recipients) : 0;
}
