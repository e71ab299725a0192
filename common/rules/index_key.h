/*
 * index_key.h: the hash table of an index: from 64 bits that stand for a key to the groups of statements that want it. Keys themselves are not kept: two
 * that have the same 64 bits only cost a needless look at a statement.
 */
#ifndef COMMON_RULES_INDEX_KEY_H
#define COMMON_RULES_INDEX_KEY_H

#include "common/base/slice.h"

/* What a key is compared with: part of its hash. */
typedef enum KeyKind {
  KEY_TEXT,    /* a text, a domain, a name, without case */
  KEY_SUFFIX,  /* domains below this one */
  KEY_ADDRESS, /* localpart and domain */
  KEY_USER,    /* the localpart of any domain */
  KEY_DOMAIN,  /* the domain of an address */
  KEY_NUMBER,
} KeyKind;

typedef struct KeyEntry {
  uint64_t hash;
  uint32_t group; /* below 2^31 */
} KeyEntry;

typedef struct KeyTable KeyTable;

/* Of a text without the case of ASCII letters. Not for keys that strangers put into a table. */
uint64_t index_hash_text(KeyKind kind, Slice text);
uint64_t index_hash_number(double number);
/* Of the hashes of an address's two parts. */
uint64_t index_hash_pair(uint64_t localpart, uint64_t domain);
uint64_t index_hash_address(Slice localpart, Slice domain);

/* Sorts `entries`; the table lives in the arena. */
const KeyTable *key_table_new(Arena *arena, KeyEntry *entries, size_t count);

/* Fetches the memory that key_table_find will read first. */
void key_table_prefetch(const KeyTable *table, uint64_t hash);

typedef void (*KeyHit)(void *data, uint32_t group);
void key_table_find(const KeyTable *table, uint64_t hash, KeyHit hit, void *data);

#endif
