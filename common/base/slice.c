/*
 * slice.c: pieces of text.
 *
 * The hash key is the only file-scope variable; it is set before main and by tests.
 */
#include "config.h"

#include "common/base/slice.h"

#include <sys/random.h>

static uint64_t hash_key[2];

static inline char byte_lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

bool slice_equal_fold(Slice a, Slice b) {
  if (a.length != b.length) {
    return false;
  }
  for (size_t i = 0; i < a.length; i++) {
    if (a.data[i] != b.data[i] && byte_lower(a.data[i]) != byte_lower(b.data[i])) {
      return false;
    }
  }
  return true;
}

int slice_compare(Slice a, Slice b) {
  size_t common = MIN(a.length, b.length);
  int order = common ? memcmp(a.data, b.data, common) : 0;
  return order ? order : (a.length > b.length) - (a.length < b.length);
}

bool slice_starts_with(Slice slice, Slice prefix) {
  return slice.length >= prefix.length && slice_equal(slice_make(slice.data, prefix.length), prefix);
}

bool slice_ends_with_fold(Slice slice, Slice suffix) {
  return slice.length >= suffix.length && slice_equal_fold(slice_from_offset(slice, slice.length - suffix.length), suffix);
}

ptrdiff_t slice_find(Slice slice, char byte) {
  const char *found = slice.length ? memchr(slice.data, byte, slice.length) : NULL;
  return found ? found - slice.data : -1;
}

ptrdiff_t slice_find_last(Slice slice, char byte) {
  const char *found = slice.length ? memrchr(slice.data, byte, slice.length) : NULL;
  return found ? found - slice.data : -1;
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

Slice slice_trim(Slice slice) {
  while (slice.length && is_blank(slice.data[0])) {
    slice.data++;
    slice.length--;
  }
  while (slice.length && is_blank(slice.data[slice.length - 1])) {
    slice.length--;
  }
  return slice;
}

Slice slice_from_offset(Slice slice, size_t start) {
  start = MIN(start, slice.length);
  return slice_make(slice.data ? slice.data + start : NULL, slice.length - start);
}

Slice slice_split(Slice slice, char separator, Slice *rest, bool *found) {
  ptrdiff_t at = slice_find(slice, separator);
  *found = at >= 0;
  if (at < 0) {
    *rest = SLICE_EMPTY;
    return slice;
  }
  *rest = slice_from_offset(slice, (size_t)at + 1);
  return slice_make(slice.data, (size_t)at);
}

bool slice_to_int(Slice slice, int64_t *value) {
  bool negative = slice.length && slice.data[0] == '-';
  size_t start = negative ? 1 : 0;
  if (start == slice.length) {
    return false;
  }
  int64_t number = 0; /* counted downwards: the negative range is the larger one */
  for (size_t i = start; i < slice.length; i++) {
    if (!g_ascii_isdigit(slice.data[i]) || __builtin_mul_overflow(number, 10, &number) ||
        __builtin_sub_overflow(number, slice.data[i] - '0', &number)) {
      return false;
    }
  }
  if (!negative && __builtin_sub_overflow(0, number, &number)) {
    return false;
  }
  *value = number;
  return true;
}

/* SipHash (Aumasson, Bernstein 2012) with one compression round and three at the end. */

static inline uint64_t rotate(uint64_t word, int bits) {
  return word << bits | word >> (64 - bits);
}

static inline void sip_round(uint64_t v[4]) {
  v[0] += v[1];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[0] = rotate(v[0], 32);
  v[2] += v[3];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[2] = rotate(v[2], 32);
}

/* ASCII upper case letters of eight bytes to lower case; bytes from 0x80 on stay. */
static inline uint64_t fold_word(uint64_t word) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t low = word & (ones * 0x7f);
  uint64_t from_a = low + ones * (0x80 - 'A');
  uint64_t beyond_z = low + ones * (0x80 - 'Z' - 1);
  uint64_t upper = from_a & ~beyond_z & ~word & (ones * 0x80);
  return word | upper >> 2;
}

/* The `left` bytes (fewer than eight) at the end of a slice, zeros behind them. */
static inline uint64_t last_word(Slice slice, const char *at, size_t left) {
  uint64_t word = 0;
  if (left > 0 && slice.length >= 8) {
    memcpy(&word, at + left - 8, 8);
    return GUINT64_FROM_LE(word) >> (64 - left * 8);
  }
  for (size_t i = left; i > 0; i--) {
    word = word << 8 | (unsigned char)at[i - 1];
  }
  return word;
}

static inline uint64_t sip_hash(Slice slice, bool fold) {
  uint64_t v[4] = {hash_key[0] ^ UINT64_C(0x736f6d6570736575), hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
                   hash_key[0] ^ UINT64_C(0x6c7967656e657261), hash_key[1] ^ UINT64_C(0x7465646279746573)};
  size_t left = slice.length;
  const char *at = slice.data;
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    word = GUINT64_FROM_LE(word);
    word = fold ? fold_word(word) : word;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  uint64_t last = last_word(slice, at, left);
  last = (fold ? fold_word(last) : last) ^ (uint64_t)slice.length << 56;
  v[3] ^= last;
  sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xff;
  sip_round(v);
  sip_round(v);
  sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t slice_hash(Slice slice) {
  return sip_hash(slice, false);
}

uint64_t slice_hash_fold(Slice slice) {
  return sip_hash(slice, true);
}

void slice_seed_hash(uint64_t seed) {
  hash_key[0] = seed;
  hash_key[1] = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* This object is linked wherever a slice is hashed, so the constructor cannot get lost in the archive. */
__attribute__((constructor)) static void seed_at_start(void) {
  if (getrandom(hash_key, sizeof hash_key, 0) != (ssize_t)sizeof hash_key) {
    slice_seed_hash((uint64_t)g_get_real_time() ^ (uint64_t)(uintptr_t)&hash_key);
  }
}

Slice slice_copy(Arena *arena, Slice slice) {
  return slice_make(slice_to_string(arena, slice), slice.length);
}

char *slice_to_string(Arena *arena, Slice slice) {
  char *copy = arena_alloc_text(arena, slice.length + 1);
  if (slice.length) {
    memcpy(copy, slice.data, slice.length);
  }
  copy[slice.length] = '\0';
  return copy;
}

void slice_lower_into(Slice slice, char *out) {
  size_t at = 0;
  for (; slice.length - at >= 8; at += 8) {
    uint64_t word;
    memcpy(&word, slice.data + at, 8);
    word = fold_word(word);
    memcpy(out + at, &word, 8);
  }
  for (; at < slice.length; at++) {
    out[at] = byte_lower(slice.data[at]);
  }
}

Slice slice_lower(Arena *arena, Slice slice) {
  char *copy = arena_alloc_text(arena, slice.length + 1);
  slice_lower_into(slice, copy);
  copy[slice.length] = '\0';
  return slice_make(copy, slice.length);
}

/* How many bytes of a quoted text show one. */
static const uint8_t quoted_sizes[256] = {
    [0 ... '\t' - 1] = 4, ['\t'] = 2,        ['\n'] = 2,          [0x0b ... 0x0c] = 4, ['\r'] = 2,
    [0x0e ... 0x1f] = 4,  [' '] = 1,         ['!'] = 1,           ['"'] = 2,           ['#' ... '['] = 1,
    ['\\'] = 2,           [']' ... '~'] = 1, [0x7f ... 0xff] = 4,
};

/* Writes one byte that is not shown as it is. */
static void quote_byte(unsigned char byte, char *out) {
  static const char letters[] = "n\nr\rt\t\\\\\"\"";
  out[0] = '\\';
  for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
    if (byte == (unsigned char)letters[i + 1]) {
      out[1] = letters[i];
      return;
    }
  }
  out[1] = 'x';
  out[2] = "0123456789ABCDEF"[byte >> 4];
  out[3] = "0123456789ABCDEF"[byte & 15];
}

size_t slice_quoted_length(Slice slice, size_t limit) {
  size_t taken = MIN(slice.length, limit);
  size_t length = taken < slice.length ? 3 : 0;
  for (size_t i = 0; i < taken; i++) {
    length += quoted_sizes[(unsigned char)slice.data[i]];
  }
  return length;
}

void slice_quote_into(Slice slice, size_t limit, char *out) {
  size_t taken = MIN(slice.length, limit);
  for (size_t i = 0; i < taken; i++) {
    unsigned char byte = (unsigned char)slice.data[i];
    if (quoted_sizes[byte] == 1) {
      *out++ = (char)byte;
    } else {
      quote_byte(byte, out);
      out += quoted_sizes[byte];
    }
  }
  if (taken < slice.length) {
    memcpy(out, "...", 3);
  }
}

Slice slice_quote(Arena *arena, Slice slice, size_t limit) {
  size_t length = slice_quoted_length(slice, limit);
  char *text = arena_alloc_text(arena, length + 1);
  slice_quote_into(slice, limit, text);
  text[length] = '\0';
  return slice_make(text, length);
}
