/*
 * regex_set.h: which of many regexes may match in a text, found in one pass: for those that have no literal (literals.h), by libhs where the program is built with
 * it. Which file implements this is chosen when the program is configured: regex_set_hyperscan.c or regex_set_none.c, with which no regex is taken.
 *
 * A set never says no to a regex that regex_match does not say no to: PCRE2 decides, a set only spares it. So it takes regexes whose search cannot meet a
 * limit in texts up to a certain length (regex_plain.h), and in longer texts each may match. Compiling one takes about a millisecond a
 * regex; that is done on a thread of its own once texts have been scanned often enough to be worth it. Until then, and where it comes to nothing, each regex may match.
 *
 * A set lives in an arena, which waits for that thread when it goes. Scanning is thread-safe.
 */
#ifndef COMMON_RULES_REGEX_SET_H
#define COMMON_RULES_REGEX_SET_H

#include "common/rules/regex.h"

/* Fewer than MIN are matched as fast one by one; MAX, of the sum of weights, bounds the time that compiling takes and the memory. */
enum { REGEX_SET_MIN = 8, REGEX_SET_MAX = 1000 };

/* Reasons that are the same with libhs and without. */
#define REGEX_SET_NO_TEXT "the regex has no text of two characters or more that must be there"
#define REGEX_SET_NOT_PLAIN REGEX_SET_NO_TEXT ", and it is too large or of a kind that libhs is not asked for"

typedef struct RegexSet RegexSet;

typedef struct RegexSetEntry {
  const Regex *regex; /* outlives the set */
  uint32_t target;    /* what is told when it may match */
} RegexSetEntry;

/* The version of libhs; NULL: not built with it, or this processor lacks what it needs. */
const char *regex_set_engine(void);
/* NULL when sets take this regex, which has no literals, else why not (static text). `sure`: as libhs itself says, which takes some microseconds. */
const char *regex_set_refusal(const Regex *regex, bool sure);

/* Of one that is not refused, by the size of its automaton; at least 1. */
size_t regex_set_weight(const Regex *regex);

/* Of `count` regexes that are not refused, with weights of at most MAX together. Copies the entries. */
RegexSet *regex_set_new(Arena *arena, const RegexSetEntry *entries, size_t count);

typedef void (*RegexSetHit)(void *data, uint32_t target);
/* Tells the targets of all regexes that may match in the text. */
void regex_set_scan(RegexSet *set, Slice text, RegexSetHit hit, void *data);

/* Compiles it, however small it is, if that has not begun, and waits for the end. False: it comes to nothing. One thread at a time. */
bool regex_set_prepare(RegexSet *set);

#endif
