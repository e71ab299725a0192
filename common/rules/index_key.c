/*
 * index_key.c: hashes of keys, and an open hash table whose slots are half of the hash and the place of the key's groups.
 */
#include "common/rules/index_key.h"

#include <stdlib.h>

enum { FREE = UINT32_MAX };
#define LAST_GROUP (UINT32_C(1) << 31)
#define BYTES(byte) (UINT64_C(0x0101010101010101) * (byte))

typedef struct Slot {
  uint32_t tag;
  uint32_t start; /* in `groups`; FREE: none */
} Slot;

struct KeyTable {
  Slot *slots;
  uint64_t mask;
  uint32_t *groups; /* of each key in a row; the last with LAST_GROUP */
};

/* Eight bytes with 'A'..'Z' in lower case. */
static inline uint64_t lower_word(uint64_t word) {
  uint64_t low = word & BYTES(0x7f);
  uint64_t from_a = low + BYTES(0x80 - 'A'), past_z = low + BYTES(0x7f - 'Z');
  uint64_t letters = (from_a ^ past_z) & ~word & BYTES(0x80);
  return word | letters >> 2;
}

static inline uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 29;
}

static inline uint64_t finish(uint64_t hash) {
  hash *= UINT64_C(0xd6e8feb86659fd93);
  return hash ^ hash >> 32;
}

/* Up to seven bytes, each at least once: the length is in the hash. */
static inline uint64_t rest_of(const char *text, size_t length) {
  uint32_t front, back;
  if (length >= 4) {
    memcpy(&front, text, sizeof front);
    memcpy(&back, text + length - sizeof back, sizeof back);
    return (uint64_t)front << 32 | back;
  }
  if (length == 0)
    return 0;
  return (uint64_t)(uint8_t)text[0] << 16 | (uint64_t)(uint8_t)text[length / 2] << 8 | (uint8_t)text[length - 1];
}

uint64_t index_hash_text(KeyKind kind, Slice text) {
  uint64_t hash = mix((uint64_t)kind + 1, text.length);
  size_t at = 0;
  for (; at + 8 <= text.length; at += 8) {
    uint64_t word;
    memcpy(&word, text.data + at, sizeof word);
    hash = mix(hash, lower_word(word));
  }
  return finish(mix(hash, lower_word(rest_of(text.data + at, text.length - at))));
}

uint64_t index_hash_number(double number) {
  double plain = number == 0 ? 0 : number; /* -0 is 0 */
  uint64_t word;
  memcpy(&word, &plain, sizeof word);
  return finish(mix((uint64_t)KEY_NUMBER + 1, word));
}

uint64_t index_hash_pair(uint64_t localpart, uint64_t domain) {
  return finish(mix(mix((uint64_t)KEY_ADDRESS + 1, localpart), domain));
}

uint64_t index_hash_address(Slice localpart, Slice domain) {
  return index_hash_pair(index_hash_text(KEY_USER, localpart), index_hash_text(KEY_DOMAIN, domain));
}

static int compare_entries(const void *a, const void *b) {
  const KeyEntry *one = a, *two = b;
  if (one->hash != two->hash)
    return one->hash < two->hash ? -1 : 1;
  return one->group < two->group ? -1 : one->group > two->group;
}

const KeyTable *key_table_new(Arena *arena, KeyEntry *entries, size_t count) {
  KeyTable *table = ARENA_NEW(arena, KeyTable);
  qsort(entries, count, sizeof *entries, compare_entries);
  size_t slots = 4;
  while (slots < count * 2)
    slots *= 2;
  table->mask = slots - 1;
  table->slots = ARENA_NEW_ARRAY(arena, Slot, slots);
  memset(table->slots, 0xff, slots * sizeof *table->slots);
  table->groups = ARENA_NEW_ARRAY(arena, uint32_t, count + 1);
  for (size_t i = 0; i < count; i++) {
    bool last = i + 1 == count || entries[i + 1].hash != entries[i].hash;
    table->groups[i] = entries[i].group | (last ? LAST_GROUP : 0);
    if (i > 0 && entries[i - 1].hash == entries[i].hash)
      continue;
    uint64_t at = entries[i].hash & table->mask;
    while (table->slots[at].start != FREE)
      at = (at + 1) & table->mask;
    table->slots[at] = (Slot){(uint32_t)(entries[i].hash >> 32), (uint32_t)i};
  }
  return table;
}

void key_table_prefetch(const KeyTable *table, uint64_t hash) {
  __builtin_prefetch(&table->slots[hash & table->mask]);
}

void key_table_find(const KeyTable *table, uint64_t hash, KeyHit hit, void *data) {
  uint32_t tag = (uint32_t)(hash >> 32);
  for (uint64_t at = hash & table->mask; table->slots[at].start != FREE; at = (at + 1) & table->mask) {
    if (table->slots[at].tag != tag)
      continue;
    const uint32_t *group = &table->groups[table->slots[at].start];
    while ((*group & LAST_GROUP) == 0)
      hit(data, *group++);
    hit(data, *group & ~LAST_GROUP);
  }
}
