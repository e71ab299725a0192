/*
 * scenario_message.c: the content of a message in a story: read from a block or from a file of the scenario, and cut into what an MTA hands over.
 */
#include <string.h>

#include "common/cli/scenario_internal.h"
#include "common/rules/source.h"

static size_t leading_blanks(Slice line) {
  size_t count = 0;
  while (count < line.length && (line.data[count] == ' ' || line.data[count] == '\t')) {
    count++;
  }
  return count;
}

/* Where in its line a place stands. */
static size_t column_of(SourceSpan span) {
  Slice text = span.source->text;
  size_t start = span.offset;
  while (start > 0 && text.data[start - 1] != '\n') {
    start--;
  }
  return span.offset - start;
}

static Slice without_cr(Slice line) {
  return line.length > 0 && line.data[line.length - 1] == '\r' ? slice_make(line.data, line.length - 1) : line;
}

static void append_line(GString *content, Slice line) {
  g_string_append_len(content, line.data, (gssize)line.length);
  g_string_append(content, "\r\n");
}

/* Each line without the blanks that the first one that is not empty begins with. */
static void append_indented(GString *content, Slice line, size_t *indent) {
  size_t blanks = leading_blanks(line);
  if (*indent == SIZE_MAX && blanks < line.length) {
    *indent = blanks;
  }
  append_line(content, slice_from_offset(line, MIN(blanks, *indent)));
}

static bool read_block(Parser *parser, const WordLine *opened, ScenarioStep *step) {
  SourceSpan span;
  size_t column = column_of(opened->span), indent = SIZE_MAX;
  g_autoptr(GString) content = g_string_new(NULL);
  while (line_reader_raw(&parser->reader, &span)) {
    Slice line = without_cr(source_slice(span));
    if (leading_blanks(line) == column && slice_equal(slice_trim(line), SLICE_LITERAL("}"))) {
      step->content = slice_copy(parser->reader.arena, slice_make(content->str, content->len));
      step->has_content = true;
      return true;
    }
    append_indented(content, line, &indent);
  }
  Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, opened->span, "the message does not end");
  diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected a line that is only '}', indented as this one");
  return false;
}

bool read_message(Parser *parser, WordLine *line, ScenarioStep *step) {
  if (line_take(line, "{")) {
    return line_need_end(parser, line) == NULL && read_block(parser, line, step);
  }
  if (!line_take(line, "from")) {
    return true;
  }
  static const char expected[] = "from file \"NAME\"";
  if (!line_take(line, "file")) {
    line_error(&parser->reader, line, line_place(line), expected, "where does the message come from?");
    return false;
  }
  const Word *name = line_need_quoted(&parser->reader, line, expected);
  if (name == NULL) {
    return false;
  }
  step->name = name->text;
  step->content_span = name->span;
  return true;
}

Slice message_content_lines(Arena *arena, Slice text) {
  g_autoptr(GString) content = g_string_new(NULL);
  bool more = text.length > 0;
  while (more) {
    Slice line = slice_split(text, '\n', &text, &more);
    append_line(content, without_cr(line));
    more = more && text.length > 0;
  }
  return slice_copy(arena, slice_make(content->str, content->len));
}

static void find_content(Parser *parser, ScenarioStep *step) {
  for (const ScenarioFile *file = parser->scenario->files; file; file = file->next) {
    if (strcmp(file->name, step->name) == 0) {
      step->content = message_content_lines(parser->reader.arena, file->text);
      step->has_content = true;
      return;
    }
  }
  Diagnostic *diagnostic = diagnostics_error(parser->reader.diagnostics, step->content_span, "there is no file of this name");
  diagnostic_expected(parser->reader.diagnostics, diagnostic, "expected the name of a `file` of this scenario");
}

void find_contents(Parser *parser) {
  for (const ScenarioSession *session = parser->scenario->sessions; session; session = session->next) {
    for (ScenarioStep *step = session->steps; step; step = step->next) {
      if (step->kind == STEP_MESSAGE && step->name) {
        find_content(parser, step);
      }
    }
  }
}

/* ---- as an MTA hands it over ---- */

static bool is_field_line(Slice line) {
  ptrdiff_t colon = slice_find(line, ':');
  for (ptrdiff_t i = 0; i < colon; i++) {
    if (line.data[i] <= ' ' || line.data[i] > '~') {
      return false;
    }
  }
  return colon > 0;
}

bool message_take_field(Arena *arena, Slice *rest, const char **name, const char **value) {
  Slice after, text;
  bool more;
  Slice line = slice_split(*rest, '\n', &after, &more);
  if (!is_field_line(line)) {
    return false;
  }
  size_t colon = (size_t)slice_find(line, ':');
  *name = slice_to_string(arena, slice_make(line.data, colon));
  g_autoptr(GString) folded = g_string_new(NULL);
  text = slice_from_offset(without_cr(line), colon + 1);
  text = slice_from_offset(text, text.length > 0 && text.data[0] == ' ' ? 1 : 0);
  g_string_append_len(folded, text.data, (gssize)text.length);
  while (after.length > 0 && (after.data[0] == ' ' || after.data[0] == '\t')) {
    line = without_cr(slice_split(after, '\n', &after, &more));
    g_string_append_c(folded, '\n');
    g_string_append_len(folded, line.data, (gssize)line.length);
  }
  *value = slice_to_string(arena, slice_make(folded->str, folded->len));
  *rest = after;
  return true;
}

Slice message_take_body(Slice rest) {
  return slice_starts_with(rest, SLICE_LITERAL("\r\n")) ? slice_from_offset(rest, 2) : rest;
}

int64_t message_size(const ScenarioStep *step) {
  return step->number > 0 ? step->number : (int64_t)step->content.length;
}
