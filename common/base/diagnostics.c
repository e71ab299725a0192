/*
 * diagnostics.c: collects errors and warnings about texts and prints them with the line that each is about.
 */
#include "common/base/diagnostics.h"

#include <stdarg.h>

#include "common/base/limits.h"

/* Of a line longer than this only the part around the place is shown. */
enum { LINE_SHOWN = 160, LINE_BEFORE = 60 };

typedef struct Entry {
  Diagnostic diagnostic; /* first: what users hold is a pointer to it */
  size_t source_order;   /* the number of its source, in order of first mention */
  size_t order;
} Entry;

struct Diagnostics {
  Arena *arena;
  GPtrArray *entries; /* of Entry */
  GPtrArray *sources; /* of const SourceText, in order of first mention */
  size_t added;
  size_t errors; /* told, also those that were left out */
  bool sorted;
  Entry *too_many; /* set once something was left out; stands behind the others */
};

Diagnostics *diagnostics_new(void) {
  Diagnostics *diagnostics = g_new0(Diagnostics, 1);
  diagnostics->arena = arena_new(0);
  diagnostics->entries = g_ptr_array_new();
  diagnostics->sources = g_ptr_array_new();
  return diagnostics;
}

void diagnostics_free(Diagnostics *diagnostics) {
  if (diagnostics) {
    g_ptr_array_free(diagnostics->entries, TRUE);
    g_ptr_array_free(diagnostics->sources, TRUE);
    arena_free(diagnostics->arena);
    g_free(diagnostics);
  }
}

void diagnostics_keep(Diagnostics *diagnostics, ArenaRelease release, void *object) {
  arena_on_reset(diagnostics->arena, release, object);
}

static const Slice byte_order_mark = SLICE_LITERAL("\xEF\xBB\xBF");

static size_t span_start(SourceSpan span) {
  return span.source ? MIN((size_t)span.offset, span.source->text.length) : 0;
}

static Slice source_before(SourceSpan span) {
  return span.source ? slice_make(span.source->text.data, span_start(span)) : SLICE_EMPTY;
}

static bool is_continuation(char byte) {
  return ((unsigned char)byte & 0xC0) == 0x80;
}

static size_t count_characters(Slice text) {
  size_t count = 0;
  for (size_t i = 0; i < text.length; i++) {
    count += !is_continuation(text.data[i]);
  }
  return count;
}

void source_position(SourceSpan span, unsigned *line, unsigned *column) {
  Slice before = source_before(span);
  *line = 1 + (span.source ? span.source->lines_before : 0);
  for (size_t i = 0; i < before.length; i++) {
    *line += before.data[i] == '\n';
  }
  Slice in_line = slice_from_offset(before, (size_t)(slice_find_last(before, '\n') + 1));
  if (*line == 1 && slice_starts_with(in_line, byte_order_mark)) {
    in_line = slice_from_offset(in_line, byte_order_mark.length);
  }
  *column = (unsigned)count_characters(in_line) + 1;
}

SourceSpan source_span_join(SourceSpan first, SourceSpan last) {
  uint32_t start = MIN(first.offset, last.offset);
  uint32_t end = MAX(first.offset + first.length, last.offset + last.length);
  return (SourceSpan){first.source, start, end - start};
}

static size_t source_number(Diagnostics *diagnostics, const SourceText *source) {
  for (size_t i = 0; i < diagnostics->sources->len; i++) {
    if (diagnostics->sources->pdata[i] == (gpointer)source) {
      return i;
    }
  }
  g_ptr_array_add(diagnostics->sources, (gpointer)source);
  return diagnostics->sources->len - 1;
}

static char *format_into(Arena *arena, const char *format, va_list arguments) G_GNUC_PRINTF(2, 0);
static char *format_into(Arena *arena, const char *format, va_list arguments) {
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  return slice_to_string(arena, slice_from(text));
}

static Entry *entry_new(Diagnostics *diagnostics, DiagnosticLevel level, SourceSpan span, const char *message) {
  Entry *entry = ARENA_NEW(diagnostics->arena, Entry);
  entry->diagnostic = (Diagnostic){.level = level, .span = span, .message = message};
  entry->source_order = source_number(diagnostics, span.source);
  entry->order = diagnostics->added++;
  return entry;
}

/* The entry that makes room for one of `level`: the warning added last, else (the first time) the last of all; -1: none. */
static ptrdiff_t find_victim(const Diagnostics *diagnostics, DiagnosticLevel level) {
  ptrdiff_t victim = -1;
  for (size_t i = 0; i < diagnostics->entries->len; i++) {
    const Entry *entry = diagnostics->entries->pdata[i];
    const Entry *best = victim < 0 ? NULL : diagnostics->entries->pdata[victim];
    if (entry->diagnostic.level == DIAGNOSTIC_WARNING && level == DIAGNOSTIC_ERROR && (!best || entry->order > best->order)) {
      victim = (ptrdiff_t)i;
    }
  }
  return victim;
}

static void leave_out(Diagnostics *diagnostics, Entry *entry) {
  if (!diagnostics->too_many) {
    diagnostics->too_many =
        entry_new(diagnostics, entry->diagnostic.level, entry->diagnostic.span, "too many errors, the rest is not told");
  }
  if (entry->diagnostic.level == DIAGNOSTIC_ERROR) {
    diagnostics->too_many->diagnostic.level = DIAGNOSTIC_ERROR;
  }
}

/* A rule of two phases is checked twice, and may be wrong in the same words both times. */
static Diagnostic *find_told(const Diagnostics *diagnostics, DiagnosticLevel level, SourceSpan span, const char *message) {
  for (size_t i = 0; i < diagnostics->entries->len; i++) {
    Diagnostic *told = &((Entry *)diagnostics->entries->pdata[i])->diagnostic;
    if (told->level == level && told->span.source == span.source && told->span.offset == span.offset && told->span.length == span.length &&
        strcmp(told->message, message) == 0) {
      return told;
    }
  }
  return NULL;
}

static Diagnostic *add(Diagnostics *diagnostics, DiagnosticLevel level, SourceSpan span, const char *message) {
  Diagnostic *told = find_told(diagnostics, level, span, message);
  if (told) {
    return told;
  }
  diagnostics->errors += level == DIAGNOSTIC_ERROR;
  Entry *entry = entry_new(diagnostics, level, span, message);
  size_t room = diagnostics->too_many ? LIMIT_DIAGNOSTICS - 1 : LIMIT_DIAGNOSTICS;
  diagnostics->sorted = false;
  if (diagnostics->entries->len < room) {
    g_ptr_array_add(diagnostics->entries, entry);
    return &entry->diagnostic;
  }
  if (!diagnostics->too_many) { /* one of those that are there gives its place to the remark */
    ptrdiff_t victim = find_victim(diagnostics, DIAGNOSTIC_ERROR);
    leave_out(diagnostics, g_ptr_array_remove_index(diagnostics->entries, victim < 0 ? LIMIT_DIAGNOSTICS - 1 : (guint)victim));
  }
  ptrdiff_t victim = find_victim(diagnostics, level);
  if (victim < 0) {
    leave_out(diagnostics, entry);
  } else {
    leave_out(diagnostics, g_ptr_array_remove_index(diagnostics->entries, (guint)victim));
    g_ptr_array_add(diagnostics->entries, entry);
  }
  return &entry->diagnostic;
}

Diagnostic *diagnostics_error(Diagnostics *diagnostics, SourceSpan span, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = format_into(diagnostics->arena, format, arguments);
  va_end(arguments);
  return add(diagnostics, DIAGNOSTIC_ERROR, span, message);
}

Diagnostic *diagnostics_warning(Diagnostics *diagnostics, SourceSpan span, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = format_into(diagnostics->arena, format, arguments);
  va_end(arguments);
  return add(diagnostics, DIAGNOSTIC_WARNING, span, message);
}

void diagnostic_expected(Diagnostics *diagnostics, Diagnostic *diagnostic, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  diagnostic->expected = format_into(diagnostics->arena, format, arguments);
  va_end(arguments);
}

void diagnostic_also(Diagnostics *diagnostics, Diagnostic *diagnostic, SourceSpan span, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  diagnostic->also_message = format_into(diagnostics->arena, format, arguments);
  va_end(arguments);
  diagnostic->also = span;
}

static gint compare_entries(gconstpointer a, gconstpointer b) {
  const Entry *first = *(const Entry *const *)a;
  const Entry *second = *(const Entry *const *)b;
  if (first->source_order != second->source_order) {
    return first->source_order < second->source_order ? -1 : 1;
  }
  if (first->diagnostic.span.offset != second->diagnostic.span.offset) {
    return first->diagnostic.span.offset < second->diagnostic.span.offset ? -1 : 1;
  }
  return first->order < second->order ? -1 : 1;
}

/* Sorts where they are kept: what users see is always in order, when they ask. */
static void sort(const Diagnostics *diagnostics) {
  if (!diagnostics->sorted) {
    g_ptr_array_sort(diagnostics->entries, compare_entries);
    ((Diagnostics *)diagnostics)->sorted = true;
  }
}

size_t diagnostics_count(const Diagnostics *diagnostics) {
  return diagnostics->entries->len + (diagnostics->too_many ? 1 : 0);
}

const Diagnostic *diagnostics_get(const Diagnostics *diagnostics, size_t index) {
  g_assert(index < diagnostics_count(diagnostics));
  sort(diagnostics);
  const Entry *entry = index < diagnostics->entries->len ? diagnostics->entries->pdata[index] : diagnostics->too_many;
  return &entry->diagnostic;
}

size_t diagnostics_error_count(const Diagnostics *diagnostics) {
  return diagnostics->errors;
}

/* The next character of a line of `text` as it is shown: control characters and broken UTF-8 become '?', so that nothing steers the terminal. */
static size_t show_character(Slice text, size_t at, GString *out) {
  gunichar character = g_utf8_get_char_validated(text.data + at, (gssize)(text.length - at));
  if (character == (gunichar)-1 || character == (gunichar)-2) {
    g_string_append_c(out, '?');
    return 1;
  }
  if (character == '\t') {
    g_string_append_c(out, '\t');
  } else if (!g_unichar_isprint(character)) {
    g_string_append_c(out, '?');
  } else {
    g_string_append_unichar(out, character);
  }
  return (size_t)g_unichar_to_utf8(character, NULL);
}

static size_t to_character_start(Slice text, size_t at) {
  while (at > 0 && at < text.length && is_continuation(text.data[at])) {
    at--;
  }
  return at;
}

/* The line of the span, and under it the carets. */
static void print_line(GString *out, SourceSpan span, unsigned line_number) {
  Slice text = span.source->text;
  size_t start = span_start(span);
  size_t line_start = (size_t)(slice_find_last(source_before(span), '\n') + 1);
  ptrdiff_t newline = slice_find(slice_from_offset(text, start), '\n');
  size_t line_end = newline < 0 ? text.length : start + (size_t)newline;
  if (line_end > line_start && line_end > start && text.data[line_end - 1] == '\r') {
    line_end--;
  }
  if (line_start == 0 && slice_starts_with(text, byte_order_mark) && start >= byte_order_mark.length) {
    line_start = byte_order_mark.length;
  }
  size_t from =
      line_end - line_start > LINE_SHOWN && start - line_start > LINE_BEFORE ? to_character_start(text, start - LINE_BEFORE) : line_start;
  size_t to = line_end - from > LINE_SHOWN ? to_character_start(text, from + LINE_SHOWN) : line_end;
  size_t end = MIN((size_t)span.offset + span.length, to);
  g_autoptr(GString) shown = g_string_new(from > line_start ? "..." : "");
  g_autoptr(GString) carets = g_string_new(from > line_start ? "   " : "");
  for (size_t at = from; at < to;) {
    bool tab = text.data[at] == '\t';
    if (at < start) {
      g_string_append_c(carets, tab ? '\t' : ' ');
    } else if (at < end && at > start) {
      g_string_append_c(carets, '~');
    }
    if (at == start) {
      g_string_append_c(carets, '^');
    }
    at += show_character(slice_make(text.data, to), at, shown);
  }
  if (start >= to) {
    g_string_append_c(carets, '^');
  }
  g_string_append_printf(out, "%5u | %s%s\n      | %s\n", line_number, shown->str, to < line_end ? "..." : "", carets->str);
}

static void print_place(GString *out, SourceSpan span, const char *kind, const char *message) {
  unsigned line, column;
  source_position(span, &line, &column);
  if (!span.source) {
    g_string_append_printf(out, "%s: %s\n", kind, message);
    return;
  }
  if (!span.source->text.data) {
    g_string_append_printf(out, "%s: %s: %s\n", span.source->name, kind, message);
    return;
  }
  g_string_append_printf(out, "%s:%u:%u: %s: %s\n", span.source->name, line, column, kind, message);
  print_line(out, span, line);
}

char *diagnostics_print(const Diagnostics *diagnostics) {
  GString *out = g_string_new("");
  for (size_t i = 0; i < diagnostics_count(diagnostics); i++) {
    const Diagnostic *diagnostic = diagnostics_get(diagnostics, i);
    print_place(out, diagnostic->span, diagnostic->level == DIAGNOSTIC_ERROR ? "error" : "warning", diagnostic->message);
    if (diagnostic->expected) {
      g_string_append_printf(out, "      = %s\n", diagnostic->expected);
    }
    if (diagnostic->also_message) {
      print_place(out, diagnostic->also, "note", diagnostic->also_message);
    }
  }
  return g_string_free(out, FALSE);
}

enum { NAME_MAX_LENGTH = 64 };

/* Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment), without case. */
static size_t edit_distance(Slice a, Slice b) {
  size_t rows[3][NAME_MAX_LENGTH + 1];
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= b.length; j++) {
    above[j] = j;
  }
  for (size_t i = 1; i <= a.length; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b.length; j++) {
      char x = g_ascii_tolower(a.data[i - 1]), y = g_ascii_tolower(b.data[j - 1]);
      size_t best = MIN(above[j], row[j - 1]) + 1;
      best = MIN(best, above[j - 1] + (x != y));
      if (i > 1 && j > 1 && x == g_ascii_tolower(b.data[j - 2]) && y == g_ascii_tolower(a.data[i - 2])) {
        best = MIN(best, before[j - 2] + 1);
      }
      row[j] = best;
    }
    size_t *oldest = before;
    before = above;
    above = row;
    row = oldest;
  }
  return above[b.length];
}

const char *nearest_name(Slice word, const char *const *names) {
  size_t limit = MAX(word.length / 3, (size_t)1);
  const char *nearest = NULL;
  if (word.length == 0 || word.length > NAME_MAX_LENGTH) {
    return NULL;
  }
  for (; *names; names++) {
    Slice name = slice_from(*names);
    if (name.length > NAME_MAX_LENGTH || name.length > word.length + limit || word.length > name.length + limit) {
      continue;
    }
    size_t distance = edit_distance(word, name);
    if (distance <= limit) {
      nearest = *names;
      if (distance == 0) {
        break;
      }
      limit = distance - 1; /* of equals the first stays */
    }
  }
  return nearest;
}
