/*
 * map_key.h: what is looked up for a key in tables of texts that others keep (Postfix's lmdb and cdb, texts for postmap and makemap, databases, servers): texts, in the order of the rules
 * language, of Postfix's access(5) or of Sendmail's access_db.
 *
 *   net      192.0.2.1, 192.0.2, 192.0, 192 as in access(5); 2001:db8::1, 2001:db8:, 2001:db8, 2001
 *   ip       the address
 *   domain   a.b.c, .b.c, .c
 *   address  user+extension@domain, user@domain, @domain, domain, .parent (nearest first), user@; "<>" is the null sender; `keys exact` only the first
 *   string   as it is, then in lower case
 *   int      in decimal
 *
 * KEY_ORDER_POSTFIX, as Postfix is without settings (parent_domain_matches_subdomains): no @domain, and parents without their dots.
 *
 * KEY_ORDER_SENDMAIL, as cf/README has it: each text with the tag and then without
 *   net      192.0.2.1, 192.0.2, 192.0, 192; ipv6:2001:db8:0:0:0:0:0:1, ipv6:2001:db8::1, ipv6:2001:db8:0:0:0:0:0, ... ipv6
 *   domain   a.b.c, b.c, c
 *   address  user+detail@domain, user+*@domain, user@domain, the same without domain ("user@"), domain, its parents; the null sender never
 *
 * postmap and makemap fold keys to lower case: addresses and domains are looked up so.
 */
#ifndef COMMON_LOOKUP_MAP_KEY_H
#define COMMON_LOOKUP_MAP_KEY_H

#include "common/ask/resource.h"

/* True: that was it, no further text is tried. */
typedef bool (*MapKeyVisit)(void *self, Slice text);

/* NULL, or why maps of texts cannot have keys of this shape (a static text). */
const char *map_key_problem(const KeysetShape *shape);
/* True when `visit` said so. `key` is VALUE_SET and of the shape's type (ip for net); texts live in the arena. */
bool map_key_each(const KeysetShape *shape, const Value *key, Arena *arena, MapKeyVisit visit, void *self);

/* ResourceKind's `tries`: of maps; of tables that are asked for strings letter by letter, and for keys of several values; of those, where the longest network is found at once. */
Slice map_key_tries(const KeysetShape *shape, const Value *keys, Arena *arena);
Slice map_key_tries_in_memory(const KeysetShape *shape, const Value *keys, Arena *arena);
Slice map_key_tries_exact(const KeysetShape *shape, const Value *keys, Arena *arena);

/* Reads the value that was found, copied to the arena: one that is not of the shape's type makes the answer a failure. `answer` is found, with its entry. */
void map_value_read(const KeysetShape *shape, Slice value, Arena *arena, ResourceAnswer *answer);

#endif
