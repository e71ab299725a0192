/*
 * regex.h: a regular expression of the rules: compiled once, matched by many threads.
 *
 * PCRE2's machine code takes ten times as long to make as the rest and some kilobytes of memory, so only the first regexes of a ruleset get it at once;
 * of the others those that prove hot, on the thread that matches.
 */
#ifndef COMMON_RULES_REGEX_H
#define COMMON_RULES_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/rules/literals.h"

typedef struct Regex {
  pcre2_code *code;
  Slice pattern; /* as written */
  uint32_t captures;
  const Literals *literals; /* NULL: none are known */
  const char *unusual;      /* of one without literals: why it is not plain (regex_plain.h); NULL: it is */
  size_t longest;           /* of a plain one: in texts of up to so many bytes the search meets no limit */
  size_t size;              /* of a plain one: of its automaton */
  bool exact_case;
  bool runs_directly; /* as machine code, and nothing of the subject has to be checked before */
  bool is_utf;        /* "(*UTF)" in the pattern: the subject must be valid */
  gint matches;       /* of one without machine code; atomic */
  gpointer hot;       /* pcre2_code * with machine code, made later; atomic */
} Regex;

/*
 * Compiles a pattern into the arena, which frees it; `at_once`: with machine code. NULL: *message (128 bytes) says why and *offset where.
 */
Regex *regex_new(Arena *arena, Slice pattern, bool exact_case, bool at_once, char message[128], size_t *offset);

/* What pcre2_match says, the fastest way there is now. A text that lacks what must be there does not match, whatever limit the search for it meets. */
int regex_match(const Regex *regex, Slice text, pcre2_match_data *data, pcre2_match_context *context);

#endif
