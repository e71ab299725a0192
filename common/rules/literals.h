/*
 * literals.h: what a text must hold if a regular expression is to match in it.
 *
 * Any text in which the pattern matches holds at least one of the literals, without regard to the case of ASCII letters. Found conservatively: where a
 * construct is not understood for sure there are none. Pure; thread-safe.
 */
#ifndef COMMON_RULES_LITERALS_H
#define COMMON_RULES_LITERALS_H

#include "common/base/slice.h"

enum {
  LITERALS_MAX = 32,      /* of one pattern: /a|b|c/ */
  LITERAL_LENGTH_MIN = 2, /* shorter ones are in nearly every text */
  LITERAL_LENGTH_MAX = 32 /* of longer ones the start: it must be there too */
};

typedef struct Literals {
  size_t count;
  const Slice *items; /* in lower case */
} Literals;

/* NULL: none are known. `pattern` compiles with PCRE2, in its default syntax. */
const Literals *literals_of_pattern(Arena *arena, Slice pattern);
/* True when the text holds one of them. */
bool literals_found(const Literals *literals, Slice text);

#endif
