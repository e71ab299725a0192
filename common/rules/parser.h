/*
 * parser.h: text -> tree. Recursive descent; each function in parser*.c carries its SYNTAX.
 *
 * Goes on after an error at the next statement, so that one run tells several. Pure but for reading included files.
 */
#ifndef COMMON_RULES_PARSER_H
#define COMMON_RULES_PARSER_H

#include "common/base/arena.h"
#include "common/rules/tree.h"

/*
 * Reads and parses a file and what it includes. NULL when the file itself cannot be read (*error); syntax errors go to
 * `diagnostics` and the tree holds what could be understood. `check_owners`: files must be owned by root or us and not writable by others.
 */
RulesFile *rules_parse_file(Arena *arena, const char *path, bool check_owners, Diagnostics *diagnostics, GError **error);
/* Parses a text; `name` stands in diagnostics, `directory` is where includes and files start (may be NULL: "."). */
RulesFile *rules_parse_text(Arena *arena, const char *name, Slice text, const char *directory, Diagnostics *diagnostics);

#endif
