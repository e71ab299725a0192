/*
 * map_key.h: what is looked up for a key in maps that others have built (Postfix's lmdb and cdb): texts, in the order of LANGUAGE section 5.
 *
 *   net      192.0.2.1, 192.0.2, 192.0, 192 as in access(5); 2001:db8::1, 2001:db8:, 2001:db8, 2001
 *   ip       the address
 *   domain   a.b.c, .b.c, .c
 *   address  user+extension@domain, user@domain, @domain, domain, .parent (nearest first), user@; "<>" is the null sender; `keys exact` only the first
 *   string   as it is, then in lower case
 *   int      in decimal
 *
 * postmap folds keys to lower case: addresses and domains are looked up so.
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

/* Reads the value that was found, copied to the arena: one that is not of the shape's type makes the answer a failure. `answer` is found, with its entry. */
void map_value_read(const KeysetShape *shape, Slice value, Arena *arena, ResourceAnswer *answer);

#endif
