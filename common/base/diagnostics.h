/*
 * diagnostics.h: errors and warnings about a text, each with the place that it is about.
 *
 * A Diagnostics collects what the lexer, the parser and the checker say in one run, up to LIMIT_DIAGNOSTICS. It prints as
 *
 *     mx.rules:12:14: error: unknown fact "sendr"
 *        12 |     reject if sendr in banned
 *           |               ^~~~~
 *           = expected the name of a fact, table or define; nearest: sender
 *
 * Confined to a thread.
 */
#ifndef COMMON_BASE_DIAGNOSTICS_H
#define COMMON_BASE_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"

/* A text that diagnostics point into. The name is as the user wrote or would recognise it. Without data (a file that cannot be read) no line is shown. */
typedef struct SourceText {
  const char *name;
  Slice text;
  unsigned lines_before; /* of the file, when the text is a part of it */
} SourceText;

/* A run of bytes of one source. `length` may be 0 (the end of a file). */
typedef struct SourceSpan {
  const SourceText *source;
  uint32_t offset;
  uint32_t length;
} SourceSpan;

typedef enum DiagnosticLevel { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING } DiagnosticLevel;

typedef struct Diagnostic {
  DiagnosticLevel level;
  SourceSpan span;
  const char *message;  /* what was found and why that is wrong */
  const char *expected; /* what was expected, the nearest name, the right form, as a whole sentence; may be NULL */
  SourceSpan also;      /* a second place ("first defined here"); source NULL when there is none */
  const char *also_message;
} Diagnostic;

typedef struct Diagnostics Diagnostics;

Diagnostics *diagnostics_new(void);
void diagnostics_free(Diagnostics *diagnostics);

/* Line and column, from 1; columns count characters (UTF-8 sequences), a tab is one. */
void source_position(SourceSpan span, unsigned *line, unsigned *column);
/* The smallest span that covers both (same source). */
SourceSpan source_span_join(SourceSpan first, SourceSpan last);

/*
 * Adds one; returns it (never NULL) so that expected/also can be set by the functions below. The same words about the same place are told once. Beyond LIMIT_DIAGNOSTICS the last entry says
 * "too many errors"; errors push out warnings.
 */
Diagnostic *diagnostics_error(Diagnostics *diagnostics, SourceSpan span, const char *format, ...) G_GNUC_PRINTF(3, 4);
Diagnostic *diagnostics_warning(Diagnostics *diagnostics, SourceSpan span, const char *format, ...) G_GNUC_PRINTF(3, 4);
void diagnostic_expected(Diagnostics *diagnostics, Diagnostic *diagnostic, const char *format, ...) G_GNUC_PRINTF(3, 4);
void diagnostic_also(Diagnostics *diagnostics, Diagnostic *diagnostic, SourceSpan span, const char *format, ...) G_GNUC_PRINTF(4, 5);

/* In order of file and place (stable). */
size_t diagnostics_count(const Diagnostics *diagnostics);
const Diagnostic *diagnostics_get(const Diagnostics *diagnostics, size_t index);
/* How many errors were told, also those beyond LIMIT_DIAGNOSTICS. */
size_t diagnostics_error_count(const Diagnostics *diagnostics);
/* All of it as text, as above. */
char *diagnostics_print(const Diagnostics *diagnostics) G_GNUC_WARN_UNUSED_RESULT;

/* Runs `release(object)` with diagnostics_free: keeps alive the texts that spans point into. */
void diagnostics_keep(Diagnostics *diagnostics, ArenaRelease release, void *object);

/* The name of `names` (NULL-terminated) nearest to `word` by edit distance (at most a third of its length, at least 1), or NULL. */
const char *nearest_name(Slice word, const char *const *names);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Diagnostics, diagnostics_free)

#endif
