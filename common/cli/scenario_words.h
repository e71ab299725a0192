/*
 * scenario_words.h: a scenario's lines, cut into words; for the parser of scenarios only.
 *
 * A word ends at a blank. "quoted text" is one word (with \" and \\ inside), so is <an address> up to its '>'. '#' where a word could begin starts a comment.
 */
#ifndef COMMON_CLI_SCENARIO_WORDS_H
#define COMMON_CLI_SCENARIO_WORDS_H

#include "common/base/diagnostics.h"

enum { LINE_WORDS_MAX = 64 };

typedef struct Word {
  char *text; /* without quotes and escapes */
  SourceSpan span;
  bool quoted;
} Word;

typedef struct WordLine {
  Word words[LINE_WORDS_MAX];
  size_t count;
  size_t at; /* the next word to read */
  SourceSpan span;
  bool good; /* false: an error in it was told */
} WordLine;

typedef struct LineReader {
  Arena *arena;
  Diagnostics *diagnostics;
  const SourceText *source;
  size_t offset; /* of the next line */
} LineReader;

/* The next line as it stands, without its end; false at the end of the text. */
bool line_reader_raw(LineReader *reader, SourceSpan *line);
/* The next line that has words. */
bool line_reader_words(LineReader *reader, WordLine *line);

/* NULL at the end of the line. */
const Word *line_peek(const WordLine *line);
/* Takes the next word if it is this one, unquoted. */
bool line_take(WordLine *line, const char *word);
/* Where an error about the next word points: that word, or the end of the line. */
SourceSpan line_place(const WordLine *line);
/* The next word, whatever it is; NULL and an error that names what was expected when there is none. */
const Word *line_need(LineReader *reader, WordLine *line, const char *expected);
/* As line_need, but it must be quoted. */
const Word *line_need_quoted(LineReader *reader, WordLine *line, const char *expected);
/* An error in the line: what was found by `format`, what was expected (NULL: not said) behind "expected". Marks the line bad. */
void line_error(LineReader *reader, WordLine *line, SourceSpan span, const char *expected, const char *format, ...) G_GNUC_PRINTF(5, 6);

#endif
