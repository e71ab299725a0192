/*
 * code_filter.c: see code_filter.h. Recursive descent over the grammar of Postfix's ip_match(3):
 *
 *   filter = octet "." octet "." octet "." octet
 *   octet  = number | "[" member { ";" member } "]"
 *   member = number | number ".." number
 */
#include "common/lookup/code_filter.h"

typedef struct Cursor {
  Slice text;
  size_t at;
  const char *problem;
} Cursor;

static bool fail(Cursor *cursor, const char *problem) {
  cursor->problem = problem;
  return false;
}

static bool take(Cursor *cursor, char byte) {
  if (cursor->at < cursor->text.length && cursor->text.data[cursor->at] == byte) {
    cursor->at++;
    return true;
  }
  return false;
}

/* number = digit { digit }, at most 255 */
static bool parse_number(Cursor *cursor, unsigned *number) {
  size_t start = cursor->at;
  unsigned value = 0;
  while (cursor->at < cursor->text.length && cursor->text.data[cursor->at] >= '0' && cursor->text.data[cursor->at] <= '9') {
    value = value * 10 + (unsigned)(cursor->text.data[cursor->at++] - '0');
    if (value > 255) {
      cursor->at = start;
      return fail(cursor, "a number is over 255");
    }
  }
  *number = value;
  return cursor->at > start || fail(cursor, "a number from 0 to 255 is expected");
}

/* member = number | number ".." number */
static bool parse_member(Cursor *cursor, uint8_t bits[32]) {
  size_t start = cursor->at;
  unsigned first, last;
  if (!parse_number(cursor, &first)) {
    return false;
  }
  last = first;
  if (take(cursor, '.') &&
      (!(take(cursor, '.') || fail(cursor, "\"..\" is expected between the ends of a range")) || !parse_number(cursor, &last))) {
    return false;
  }
  if (last < first) {
    cursor->at = start;
    return fail(cursor, "a range ends before it begins");
  }
  for (unsigned number = first; number <= last; number++) {
    bits[number / 8] |= (uint8_t)(1U << number % 8);
  }
  return true;
}

/* octet = number | "[" member { ";" member } "]" */
static bool parse_octet(Cursor *cursor, uint8_t bits[32]) {
  if (!take(cursor, '[')) {
    unsigned number;
    if (!parse_number(cursor, &number)) {
      return false;
    }
    bits[number / 8] |= (uint8_t)(1U << number % 8);
    return true;
  }
  do {
    if (!parse_member(cursor, bits)) {
      return false;
    }
  } while (take(cursor, ';'));
  return take(cursor, ']') || fail(cursor, "\";\" or \"]\" is expected");
}

bool code_filter_parse(Slice text, CodeFilter *filter, const char **problem, size_t *position) {
  Cursor cursor = {text, 0, NULL};
  CodeFilter parsed = {0};
  bool good = true;
  for (unsigned i = 0; good && i < 4; i++) {
    good = (i == 0 || take(&cursor, '.') || fail(&cursor, "\".\" and another number are expected: a filter has four")) &&
           parse_octet(&cursor, parsed.octets[i]);
  }
  if (good && cursor.at < text.length) {
    good = fail(&cursor, "a filter ends after its fourth number");
  }
  if (!good) {
    *problem = cursor.problem;
    *position = cursor.at;
    return false;
  }
  *filter = parsed;
  return true;
}

void code_filter_any(CodeFilter *filter) {
  memset(filter, 0xff, sizeof *filter);
  memset(filter->octets[0], 0, sizeof filter->octets[0]);
  filter->octets[0][127 / 8] = 1U << 127 % 8;
}

bool code_is_refusal(const IpAddress *address) {
  return address->family == 4 && address->bytes[0] == 127 && address->bytes[1] == 255 && address->bytes[2] == 255;
}

bool code_filter_matches(const CodeFilter *filter, const IpAddress *address) {
  if (address->family != 4 || address->bytes[0] != 127 || code_is_refusal(address)) {
    return false;
  }
  for (unsigned i = 0; i < 4; i++) {
    if (!(filter->octets[i][address->bytes[i] / 8] >> address->bytes[i] % 8 & 1)) {
      return false;
    }
  }
  return true;
}
