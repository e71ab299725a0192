/*
 * regex_set_none.c: regex_set.h of a program that is built without libhs: no regex is taken, so there are no sets.
 */
#include "common/rules/regex_set.h"

const char *regex_set_engine(void) {
  return NULL;
}

const char *regex_set_refusal(const Regex *regex, bool sure) {
  (void)sure;
  if (regex->is_utf || regex->unusual != NULL)
    return REGEX_SET_NOT_PLAIN;
  return REGEX_SET_NO_TEXT ", and the program is built without libhs";
}

size_t regex_set_weight(const Regex *regex) {
  return 1 + regex->size / 16;
}

RegexSet *regex_set_new(Arena *arena, const RegexSetEntry *entries, size_t count) {
  (void)arena;
  (void)entries;
  (void)count;
  return NULL;
}

void regex_set_scan(RegexSet *set, Slice text, RegexSetHit hit, void *data) {
  (void)set;
  (void)text;
  (void)hit;
  (void)data;
}

bool regex_set_prepare(RegexSet *set) {
  (void)set;
  return false;
}
