/*
 * slice.h: a piece of text as pointer and length.
 *
 * A slice borrows its bytes; whoever made it says how long they live. The bytes need not end in NUL and
 * may hold any value, NUL included. An empty slice may have a NULL pointer. Nothing here allocates but
 * the functions that take an arena.
 */
#ifndef COMMON_BASE_SLICE_H
#define COMMON_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/arena.h"

typedef struct Slice {
  const char *data;
  size_t length;
} Slice;

#define SLICE_EMPTY ((Slice){NULL, 0})
/* A slice over a string literal (not over a char pointer). */
#define SLICE_LITERAL(text) ((Slice){"" text, sizeof(text) - 1})
/* For printf's "%.*s". */
#define SLICE_ARGS(slice) (int)(slice).length, (slice).length ? (slice).data : ""

static inline Slice slice_make(const char *data, size_t length) {
  return (Slice){data, length};
}

/* Over a NUL-terminated string; NULL gives the empty slice. */
static inline Slice slice_from(const char *text) {
  return (Slice){text, text ? strlen(text) : 0};
}

static inline bool slice_is_empty(Slice slice) {
  return slice.length == 0;
}

static inline bool slice_equal(Slice a, Slice b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* ASCII letters compare without case; all other bytes exactly. */
bool slice_equal_fold(Slice a, Slice b);
/* Order of bytes, shorter first where one is a prefix: <0, 0 or >0. */
int slice_compare(Slice a, Slice b);
bool slice_starts_with(Slice slice, Slice prefix);
bool slice_ends_with_fold(Slice slice, Slice suffix);
/* Index of the first / last `byte`, or -1. */
ptrdiff_t slice_find(Slice slice, char byte);
ptrdiff_t slice_find_last(Slice slice, char byte);
/* Without leading and trailing blanks (space, tab, CR, LF). */
Slice slice_trim(Slice slice);
/* Bytes from `start` (clamped) on. */
Slice slice_from_offset(Slice slice, size_t start);
/* The part before `separator`; *rest gets what follows it (empty, and *found false, when there is none). */
Slice slice_split(Slice slice, char separator, Slice *rest, bool *found);
/* A whole decimal integer with optional '-', nothing else; false on empty, junk or overflow. */
bool slice_to_int(Slice slice, int64_t *value);
/*
 * SipHash-1-3 under a key of the process: strangers cannot choose colliding keys. The key is random from the start of the process;
 * slice_seed_hash fixes it (tests, before any other thread and any hash).
 */
uint64_t slice_hash(Slice slice);
uint64_t slice_hash_fold(Slice slice);
void slice_seed_hash(uint64_t seed);

/* Copies into the arena; the copy has a NUL behind its last byte. */
Slice slice_copy(Arena *arena, Slice slice);
/* A NUL-terminated copy. */
char *slice_to_string(Arena *arena, Slice slice);
/* ASCII lower case copy. */
Slice slice_lower(Arena *arena, Slice slice);
/* The same into `out`, which has room for slice.length bytes. */
void slice_lower_into(Slice slice, char *out);

/*
 * For logs and messages: a copy, in the arena, of at most `limit` bytes of `slice` in which backslash, double quote,
 * control characters and bytes from 0x7f on stand as \\ \" \n \r \t or \xHH, with "..." behind it when it was cut.
 */
Slice slice_quote(Arena *arena, Slice slice, size_t limit);
/* Its length, and the same into `out`, which has room for so many bytes. */
size_t slice_quoted_length(Slice slice, size_t limit);
void slice_quote_into(Slice slice, size_t limit, char *out);

#endif
