/*
 * regex_plain.h: whether a pattern is of the plain kind that each engine of regular expressions understands in the same way: characters, classes, groups,
 * alternatives, repeats and anchors; and whether it is small. What is not understood for sure is not plain. Pure; thread-safe.
 */
#ifndef COMMON_RULES_REGEX_PLAIN_H
#define COMMON_RULES_REGEX_PLAIN_H

#include "common/base/slice.h"

/* Characters and classes, a repeated one as often as it is repeated: what an engine's automaton grows with. */
enum { REGEX_PLAIN_SIZE_MAX = 256 };

/* NULL when the pattern, which compiles with PCRE2 in its default syntax, is plain; else why it is not (static text). */
const char *regex_plain_refusal(Slice pattern);

#endif
