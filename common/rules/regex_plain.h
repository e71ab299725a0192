/*
 * regex_plain.h: whether a pattern is of the plain kind that each engine of regular expressions understands in the same way: characters, classes, groups,
 * alternatives, repeats and anchors; and whether it is small; and how
 * far the search for a match can go at worst. What is not understood for sure is not plain. Pure; thread-safe.
 */
#ifndef COMMON_RULES_REGEX_PLAIN_H
#define COMMON_RULES_REGEX_PLAIN_H

#include "common/base/slice.h"

/* Characters and classes, a repeated one as often as it is repeated: what an engine's automaton grows with. */
enum { REGEX_PLAIN_SIZE_MAX = 256 };

/* Longer texts are not for automatons. */
enum { REGEX_PLAIN_TEXT_MAX = 255 };

typedef struct RegexPlain {
  const char *refusal; /* why it is not plain (static text); NULL: it is */
  uint64_t steps;      /* of PCRE2's search in a text: no more than these (pcre2_set_match_limit) */
  uint64_t frames;     /* ways back that the search keeps at the same time: no more */
  size_t size;
} RegexPlain;

/* Of a pattern, which compiles with PCRE2 in its default syntax, in texts of up to `length` bytes. */
RegexPlain regex_plain_read(Slice pattern, size_t length);
/* Refuses also those whose search may meet a limit (limits.h). *longest: texts up to this length are searched for sure; 0: it is refused. */
RegexPlain regex_plain(Slice pattern, size_t *longest);

#endif
