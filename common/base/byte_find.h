/*
 * byte_find.h: short texts: where a byte stands, and how far two are equal, without a call of the C library's. Pure; thread-safe.
 */
#ifndef COMMON_BASE_BYTE_FIND_H
#define COMMON_BASE_BYTE_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <glib.h>

#ifdef __SSE2__

#include <emmintrin.h>

/* The first `byte` from `at` on, before `limit`; NULL when there is none. Either may be NULL when both are. */
static inline const char *bytes_find(const char *at, const char *limit, char byte) {
  const __m128i wanted = _mm_set1_epi8(byte);
  for (; limit - at >= 16; at += 16) {
    unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), wanted));
    if (found != 0) {
      return at + __builtin_ctz(found);
    }
  }
  return at < limit ? (const char *)memchr(at, byte, (size_t)(limit - at)) : NULL;
}

static inline __m128i bytes_equal_16(const char *a, const char *b) {
  return _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)a), _mm_loadu_si128((const __m128i *)(const void *)b));
}

/* The first of sixteen bytes that differ; 16 when none does. */
static inline size_t bytes_common_16(const char *a, const char *b) {
  return (size_t)__builtin_ctz(~(unsigned)_mm_movemask_epi8(bytes_equal_16(a, b)));
}

/* How many bytes from the start on are equal, of `length`. */
static inline size_t bytes_common(const char *a, const char *b, size_t length) {
  size_t at = 0;
  for (; at + 32 <= length; at += 32) {
    __m128i first = bytes_equal_16(a + at, b + at), second = bytes_equal_16(a + at + 16, b + at + 16);
    unsigned other = ~((unsigned)_mm_movemask_epi8(second) << 16 | (unsigned)_mm_movemask_epi8(first));
    if (other != 0) {
      return at + (size_t)__builtin_ctz(other);
    }
  }
  if (at + 16 <= length) {
    size_t equal = bytes_common_16(a + at, b + at);
    if (equal < 16) {
      return at + equal;
    }
    at += 16;
  }
  if (at > 0 && at < length) { /* the last sixteen: the first of them are equal */
    return length - 16 + bytes_common_16(a + length - 16, b + length - 16);
  }
  while (at < length && a[at] == b[at]) {
    at++;
  }
  return at;
}

#else

static inline const char *bytes_find(const char *at, const char *limit, char byte) {
  if (at == limit || *at == byte) {
    return at == limit ? NULL : at;
  }
  return (const char *)memchr(at, byte, (size_t)(limit - at));
}

static inline size_t bytes_common(const char *a, const char *b, size_t length) {
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t first, second;
    memcpy(&first, a + at, 8);
    memcpy(&second, b + at, 8);
    if (first != second) {
      break;
    }
  }
  while (at < length && a[at] == b[at]) {
    at++;
  }
  return at;
}

#endif

#endif
