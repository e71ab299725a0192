/*
 * policy_memory.c: what the policy door remembers per message: a bounded hash table whose entries also stand in order of last use.
 *
 * All entries are taken at once, and so is what rules about recipients need when the first message needs it: address space, which costs nothing before it is used. So
 * a busy daemon allocates nothing.
 */
#include "common/base/limits.h"
#include "common/door/passed_recipients.h"
#include "common/door/policy_internal.h"

enum { MEMORY_BUCKETS = 65536 };

/* What every request touches stands in front, in one cache line. */
typedef struct MemoryEntry MemoryEntry;
struct MemoryEntry {
  MemoryEntry *chain;         /* of its bucket, or the next free one */
  MemoryEntry *newer, *older; /* by last use */
  uint64_t hash;
  int64_t used_at;  /* monotonic nanoseconds */
  Ruleset *ruleset; /* a reference, or NULL */
  unsigned said_count;
  bool spared;
  bool has_groups; /* those of its place are its own */
  PassedRecipients recipients;
  uint32_t said[LIMIT_INSTANCE_EFFECTS];
};

struct PolicyMemory {
  Clock *clock;
  MemoryEntry *entries; /* LIMIT_INSTANCES; those from `fresh` on were never used */
  size_t fresh;
  MemoryEntry *free_entries;
  RecipientGroups *groups;    /* by entry; NULL: no message needed them yet */
  RecipientCells *recipients; /* NULL: no message needed them yet */
  MemoryEntry *newest, *oldest;
  size_t count;
  MemoryEntry *buckets[MEMORY_BUCKETS];
};

/* ---- Keys ---- */

bool memory_key(const PolicyRequest *request, MemoryKey *key, bool *is_message) {
  Slice instance = request->attributes[FACT_INSTANCE];
  *is_message = instance.length > 0;
  if (*is_message) {
    key->hash = slice_hash(instance);
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
  recipient_cells_forget(memory->recipients, &entry->recipients);
  entry->chain = memory->free_entries;
  memory->free_entries = entry;
  memory->count--;
}

static MemoryEntry *entry_take(PolicyMemory *memory) {
  MemoryEntry *entry = memory->free_entries;
  if (entry == NULL) {
    g_assert(memory->fresh < LIMIT_INSTANCES); /* forget_old was there before */
    return &memory->entries[memory->fresh++];
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
  if (entry != NULL && entry == memory->newest) {
    entry->used_at = now;
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
  memory->entries = g_new0(MemoryEntry, LIMIT_INSTANCES);
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
  g_free(memory->entries);
  g_free(memory);
}

size_t policy_memory_count(PolicyMemory *memory) {
  return memory->count;
}

Ruleset *policy_memory_pin(PolicyMemory *memory, const MemoryKey *key, Ruleset *offered) {
  MemoryEntry *entry = entry_find(memory, key, true);
  if (entry->ruleset == NULL) {
    entry->ruleset = ruleset_ref(offered);
  }
  return entry->ruleset;
}

static bool entry_say(MemoryEntry *entry, uint32_t effect) {
  for (unsigned i = 0; i < entry->said_count; i++) {
    if (entry->said[i] == effect) {
      return false;
    }
  }
  if (entry->said_count == LIMIT_INSTANCE_EFFECTS) {
    return false;
  }
  entry->said[entry->said_count++] = effect;
  return true;
}

bool policy_memory_say(PolicyMemory *memory, const MemoryKey *key, uint32_t effect) {
  return entry_say(entry_find(memory, key, true), effect);
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
  *groups = entry != NULL && entry->has_groups ? memory->groups[entry - memory->entries] : (RecipientGroups){.told_count = 0};
}

void policy_memory_store_groups(PolicyMemory *memory, const MemoryKey *key, const RecipientGroups *groups) {
  MemoryEntry *entry = entry_find(memory, key, true);
  if (memory->groups == NULL) {
    memory->groups = g_new(RecipientGroups, LIMIT_INSTANCES);
  }
  memory->groups[entry - memory->entries] = *groups;
  entry->has_groups = true;
}

void policy_memory_add_recipient(PolicyMemory *memory, const MemoryKey *key, Slice recipient) {
  MemoryEntry *entry = entry_find(memory, key, true);
  if (memory->recipients == NULL) {
    memory->recipients = recipient_cells_new();
  }
  recipient_cells_add(memory->recipients, &entry->recipients, recipient);
}

size_t policy_memory_recipients(PolicyMemory *memory, const MemoryKey *key, Arena *arena, const Slice **recipients) {
  const MemoryEntry *entry = entry_find(memory, key, false);
  return entry != NULL ? recipient_cells_copy(memory->recipients, &entry->recipients, arena, recipients) : 0;
}
