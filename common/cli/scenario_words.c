/*
 * scenario_words.c: cutting lines into words.
 */
#include "common/cli/scenario_words.h"

#include <string.h>

static SourceSpan span_at(const LineReader *reader, size_t start, size_t end) {
  return (SourceSpan){reader->source, (uint32_t)start, (uint32_t)(end - start)};
}

bool line_reader_raw(LineReader *reader, SourceSpan *line) {
  Slice text = reader->source->text;
  if (reader->offset >= text.length) {
    return false;
  }
  size_t start = reader->offset, end = start;
  while (end < text.length && text.data[end] != '\n') {
    end++;
  }
  reader->offset = end + 1;
  *line = span_at(reader, start, end);
  return true;
}

void line_error(LineReader *reader, WordLine *line, SourceSpan span, const char *expected, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  line->good = false;
  Diagnostic *diagnostic = diagnostics_error(reader->diagnostics, span, "%s", message);
  if (expected) {
    diagnostic_expected(reader->diagnostics, diagnostic, "expected %s", expected);
  }
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r';
}

/* A quoted word from `at`, its opening quote; returns the offset behind it. */
static size_t read_quoted(LineReader *reader, WordLine *line, size_t at, size_t end, Word *word) {
  const char *data = reader->source->text.data;
  GString *text = g_string_new(NULL);
  size_t place = at + 1;
  while (place < end && data[place] != '"') {
    if (data[place] == '\\' && place + 1 < end && (data[place + 1] == '"' || data[place + 1] == '\\')) {
      place++;
    }
    g_string_append_c(text, data[place++]);
  }
  word->text = slice_to_string(reader->arena, slice_make(text->str, text->len));
  (void)g_string_free(text, TRUE);
  word->quoted = true;
  if (place == end) {
    line_error(reader, line, span_at(reader, at, end), "'\"' at the end of the text, on the same line", "the text does not end");
    return end;
  }
  return place + 1;
}

/* An address in <>; quoted parts in it may hold '>'. */
static size_t read_bracketed(LineReader *reader, WordLine *line, size_t at, size_t end) {
  const char *data = reader->source->text.data;
  bool quoted = false;
  for (size_t place = at; place < end; place++) {
    if (data[place] == '\\' && quoted) {
      place++;
    } else if (data[place] == '"') {
      quoted = !quoted;
    } else if (data[place] == '>' && !quoted) {
      return place + 1;
    }
  }
  line_error(reader, line, span_at(reader, at, end), "'>' behind the address", "the address does not end");
  return end;
}

static size_t read_word(LineReader *reader, WordLine *line, size_t at, size_t end, Word *word) {
  const char *data = reader->source->text.data;
  size_t stop = at;
  if (data[at] == '"') {
    stop = read_quoted(reader, line, at, end, word);
  } else if (data[at] == '<') {
    stop = read_bracketed(reader, line, at, end);
  }
  if (stop == at || (stop < end && !is_blank(data[stop]) && !word->quoted)) {
    while (stop < end && !is_blank(data[stop])) {
      stop++;
    }
  }
  word->span = span_at(reader, at, stop);
  if (!word->quoted) {
    word->text = slice_to_string(reader->arena, slice_make(data + at, stop - at));
  }
  return stop;
}

bool line_reader_words(LineReader *reader, WordLine *line) {
  SourceSpan raw;
  while (line_reader_raw(reader, &raw)) {
    *line = (WordLine){.span = raw, .good = true};
    const char *data = reader->source->text.data;
    size_t at = raw.offset, end = at + raw.length;
    while (at < end) {
      if (is_blank(data[at])) {
        at++;
        continue;
      }
      if (data[at] == '#') {
        break;
      }
      if (line->count == LINE_WORDS_MAX) {
        line_error(reader, line, span_at(reader, at, end), NULL, "the line has more than %d words", (int)LINE_WORDS_MAX);
        break;
      }
      at = read_word(reader, line, at, end, &line->words[line->count++]);
    }
    if (line->count > 0) {
      line->span = source_span_join(line->words[0].span, line->words[line->count - 1].span);
      return true;
    }
  }
  return false;
}

const Word *line_peek(const WordLine *line) {
  return line->at < line->count ? &line->words[line->at] : NULL;
}

bool line_take(WordLine *line, const char *word) {
  const Word *next = line_peek(line);
  if (next == NULL || next->quoted || strcmp(next->text, word) != 0) {
    return false;
  }
  line->at++;
  return true;
}

SourceSpan line_place(const WordLine *line) {
  const Word *next = line_peek(line);
  if (next) {
    return next->span;
  }
  return (SourceSpan){line->span.source, line->span.offset + line->span.length, 0};
}

const Word *line_need(LineReader *reader, WordLine *line, const char *expected) {
  const Word *word = line_peek(line);
  if (word == NULL) {
    if (line->good) {
      line_error(reader, line, line_place(line), expected, "the line ends too early");
    }
    return NULL;
  }
  line->at++;
  return word;
}

const Word *line_need_quoted(LineReader *reader, WordLine *line, const char *expected) {
  const Word *word = line_need(reader, line, expected);
  if (word && !word->quoted) {
    line_error(reader, line, word->span, expected, "%s is not in quotes", word->text);
    return NULL;
  }
  return word;
}
