/*
 * keyset.h: an immutable set, or map, of values in memory: what inline sets, inline tables and file tables are made of.
 *
 * Matching follows the key type (LANGUAGE section 5):
 *   ip, net   the key is an ip; entries are networks (an ip entry is /32 or /128); the longest prefix wins
 *   domain    entry "example.org" is itself; ".example.org" any depth below and never itself; the key's own entry wins, then the nearest parent
 *   address   tried in this order: user+extension@domain, user@domain, @domain, domain, .parent (nearest first), user@;
 *             entries are written in just these forms; "<>" is the null sender; "user@" is the address without domain, too;
 *             "keys exact" tries the whole address only (and takes no other entries)
 *   string    exact; int, size, duration, enum ...: equal
 *   tuple     every part equal, in order (parts by the rules of their own type, but exact: no prefixes or parents)
 * Built once with a builder, then immutable: thread-safe to probe.
 */
#ifndef COMMON_ASK_KEYSET_H
#define COMMON_ASK_KEYSET_H

#include "common/base/arena.h"
#include "common/smtp/value.h"

enum { KEYSET_PARTS_MAX = 4 };

/* Whose order the texts that are tried for a key have, in tables of texts (common/lookup/map_key.h). A keyset has that of the rules. */
typedef enum KeyOrder { KEY_ORDER_RULES, KEY_ORDER_POSTFIX, KEY_ORDER_SENDMAIL } KeyOrder;

typedef struct KeysetShape {
  size_t part_count; /* 1, or 2..KEYSET_PARTS_MAX for a tuple */
  ValueType parts[KEYSET_PARTS_MAX];
  bool exact;      /* `keys exact` */
  bool has_value;  /* a map */
  KeyOrder order : 8;
  ValueType value;
  const char *tag; /* Sendmail's, in lower case: "from"; NULL: none. Interned */
} KeysetShape;

typedef struct KeysetBuilder KeysetBuilder;
typedef struct Keyset Keyset;

KeysetBuilder *keyset_builder_new(const KeysetShape *shape);
void keyset_builder_free(KeysetBuilder *builder);
/*
 * Adds an entry as it is written ("192.0.2.0/24", ".example.org", "user@"; one text a part), with its value's text for a map. The first of equal keys stays.
 * False: *problem says what is wrong with it and *right_form (arena of the builder, may be empty) how to write it ("*.example.org": ".example.org").
 */
bool keyset_builder_add(KeysetBuilder *builder, const Slice *parts, Slice value_text, const char **problem, Slice *right_form);
/* Takes over the builder. Never NULL. */
Keyset *keyset_builder_end(KeysetBuilder *builder);

void keyset_free(Keyset *keyset);
size_t keyset_size(const Keyset *keyset);
const KeysetShape *keyset_shape(const Keyset *keyset);
/* Checks an entry without building anything (the checker). */
bool keyset_entry_is_valid(Arena *arena, const KeysetShape *shape, const Slice *parts, const char **problem, Slice *right_form);
/*
 * `keys` are part_count values, all VALUE_SET and of the shape's types (ip for net). True when found; *value (may be NULL) gets the entry's
 * value, borrowed from the keyset.
 */
bool keyset_find(const Keyset *keyset, const Value *keys, Value *value);
/* The same; *entry (may be NULL) gets the entry that matched, as it was given (a tuple's parts with ", " between). */
bool keyset_find_entry(const Keyset *keyset, const Value *keys, Value *value, Slice *entry);

/* Entries in the order given, for the printer: the text as given (a tuple's parts with ", " between); value NULL for a set. */
void keyset_each(const Keyset *keyset, void (*visit)(Slice entry, const Value *value, void *data), void *data);
/*
 * Keys in their normal form, as keyset_entry.h has them (a network as family, prefix and 16 bytes, a number as its bytes, all else as text), in the order given. A key
 * lives as long as the keyset, that of a network for the call.
 */
void keyset_each_key(const Keyset *keyset, void (*visit)(Slice key, void *data), void *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeysetBuilder, keyset_builder_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keyset, keyset_free)

#endif
