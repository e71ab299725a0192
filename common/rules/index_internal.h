/*
 * index_internal.h: what an index consists of: index.c makes it, index_cursor.c reads it, nobody else includes it.
 */
#ifndef COMMON_RULES_INDEX_INTERNAL_H
#define COMMON_RULES_INDEX_INTERNAL_H

#include "common/rules/index.h"
#include "common/rules/index_key.h"
#include "common/rules/literal_matcher.h"
#include "common/rules/network_tree.h"
#include "common/rules/regex_set.h"

/* One fact, or what a function makes of one, with all that is asked of it. */
typedef struct IndexField {
  const Expression *expression;
  const KeyTable *keys; /* each NULL where there is none */
  const NetworkTree *networks;
  const LiteralMatcher *literals;
  RegexSet *regexes;
  unsigned kinds;         /* of keys: bits 1 << KeyKind */
  size_t longest_suffix;  /* bytes */
  const uint32_t *groups; /* all: candidates when the value is open or unknown */
  size_t group_count;
} IndexField;

struct PhaseIndex {
  const Statement *statements;
  uint32_t count;
  const IndexField *fields;
  size_t field_count;
  const uint32_t *group_start; /* of group g: members[group_start[g]] to below members[group_start[g + 1]] */
  const uint32_t *members;     /* statements */
  const uint32_t *always;      /* sorted */
  size_t always_count;
  const uint8_t *walked; /* by block: small, and has tests */
};

#endif
