/*
 * literal_matcher.h: finds which of many literals a text holds, without regard to the case of ASCII letters.
 *
 * Made once, then immutable: thread-safe.
 */
#ifndef COMMON_RULES_LITERAL_MATCHER_H
#define COMMON_RULES_LITERAL_MATCHER_H

#include "common/base/slice.h"

typedef struct LiteralMatcher LiteralMatcher;

typedef struct LiteralEntry {
  Slice literal;   /* in lower case, not empty; borrowed for the call */
  uint32_t target; /* what is told when it is found */
} LiteralEntry;

/* Of `count` entries, in the arena. NULL when they have more bytes together than there are states: 16 million. */
const LiteralMatcher *literal_matcher_new(Arena *arena, const LiteralEntry *entries, size_t count);

typedef void (*LiteralHit)(void *data, uint32_t target);
/* Tells the targets of the literals that are in the text; one may be told more than once. */
void literal_matcher_scan(const LiteralMatcher *matcher, Slice text, LiteralHit hit, void *data);

#endif
