/*
 * source.h: the texts that rules are written in: reading a file, and refusing bytes that no text has.
 *
 * Confined: everything lives in the arena given.
 */
#ifndef COMMON_RULES_SOURCE_H
#define COMMON_RULES_SOURCE_H

#include <glib.h>

#include "common/base/arena.h"
#include "common/base/diagnostics.h"

/*
 * Reads a regular file of at most LIMIT_RULES_FILE bytes; `name` stands in diagnostics. `check_owners`: it must be owned by root or
 * by us and must not be writable by anybody else. NULL and *error when it cannot be read or may not be used.
 */
const SourceText *source_read(Arena *arena, const char *path, const char *name, bool check_owners, GError **error);
/* A source over a copy of `text`. A byte order mark at its begin is left out. */
const SourceText *source_from_text(Arena *arena, const char *name, Slice text);
/* Tells of NUL bytes, other control characters and bytes that are not UTF-8, each with its place; true when there are none. */
bool source_check(const SourceText *source, Diagnostics *diagnostics);
/* The bytes from `start` to `end` as a span. */
SourceSpan source_span(const SourceText *source, size_t start, size_t end);
/* The bytes of a span. */
Slice source_slice(SourceSpan span);

#endif
