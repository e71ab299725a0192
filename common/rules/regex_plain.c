/*
 * regex_plain.c: reads a pattern by a grammar that is a part of PCRE2's, of the older PCRE's and of Hyperscan's (regex_plain.h). Whatever one of them reads in
 * another way, or only newer versions read so ({,3}, flags inside, classes with [ in them), is left out.
 */
#include "common/rules/regex_plain.h"

enum { NESTING_MAX = 20, LENGTH_MAX = 512, REPEATS_MAX = 256 };

typedef struct Reader {
  Slice pattern;
  size_t at;
  unsigned depth;
  const char *refusal; /* the first one */
} Reader;

static const char unusual[] = "it holds more than characters, classes, groups, alternatives, repeats and anchors";
static const char too_large[] = "it is too long or repeats too much";

static size_t read_alternatives(Reader *reader);

static char peek(const Reader *reader, size_t ahead) {
  return reader->at + ahead < reader->pattern.length ? reader->pattern.data[reader->at + ahead] : '\0';
}

static void refuse(Reader *reader, const char *refusal) {
  if (reader->refusal == NULL)
    reader->refusal = refusal;
  reader->at = reader->pattern.length;
}

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_alphanumeric(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_hexadecimal(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* A visible character or a blank of ASCII that means itself outside of classes. */
static bool is_literal(char byte) {
  return byte >= ' ' && byte <= '~' && strchr("\\^$.[]{}()|*+?", byte) == NULL;
}

/* ---- escapes ---- */

typedef enum Escape { ESCAPE_CHARACTER, ESCAPE_CLASS, ESCAPE_ANCHOR } Escape;

static Escape read_escape(Reader *reader) {
  char byte = peek(reader, 1);
  bool is_code = byte == 'x' && is_hexadecimal(peek(reader, 2)) && is_hexadecimal(peek(reader, 3));
  reader->at += is_code ? 4 : 2;
  if (is_code || (byte != '\0' && strchr("tnrf", byte) != NULL) || (byte > ' ' && byte <= '~' && !is_alphanumeric(byte)))
    return ESCAPE_CHARACTER;
  if (byte != '\0' && strchr("dDwWsS", byte) != NULL)
    return ESCAPE_CLASS;
  if (byte == '\0' || strchr("bBAzZ", byte) == NULL)
    refuse(reader, unusual);
  return ESCAPE_ANCHOR;
}

/* ---- classes ---- */

/* [:alpha:] inside of one. Those that know case are left out. */
static void read_posix_name(Reader *reader) {
  static const char *const names[] = {"[:alpha:]", "[:digit:]", "[:alnum:]", "[:space:]", "[:punct:]", "[:xdigit:]"};
  Slice rest = slice_from_offset(reader->pattern, reader->at);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    if (slice_starts_with(rest, slice_from(names[i]))) {
      reader->at += strlen(names[i]);
      return;
    }
  }
  refuse(reader, unusual);
}

/* One character, or what stands for several: true for the former. */
static bool read_class_item(Reader *reader) {
  char byte = peek(reader, 0);
  if (byte == '[') {
    read_posix_name(reader);
    return false;
  }
  if (byte == '\\') {
    Escape escape = read_escape(reader);
    if (escape == ESCAPE_ANCHOR)
      refuse(reader, unusual);
    return escape == ESCAPE_CHARACTER;
  }
  if (byte < ' ' || byte > '~')
    refuse(reader, unusual);
  reader->at++;
  return true;
}

static void read_class(Reader *reader) {
  reader->at += peek(reader, 1) == '^' ? 2 : 1;
  if (peek(reader, 0) == ']')
    refuse(reader, unusual);
  while (reader->at < reader->pattern.length && peek(reader, 0) != ']') {
    bool is_character = read_class_item(reader);
    if (peek(reader, 0) != '-' || peek(reader, 1) == ']')
      continue;
    /* A hyphen behind an item is a range's, or it is not plain what it is. */
    reader->at++;
    if (!is_character || !read_class_item(reader))
      refuse(reader, unusual);
  }
  reader->at++;
}

/* ---- atoms, repeats ---- */

static size_t read_group(Reader *reader) {
  if (++reader->depth > NESTING_MAX)
    refuse(reader, too_large);
  bool is_special = peek(reader, 1) == '?' || peek(reader, 1) == '*';
  if (is_special && (peek(reader, 1) == '*' || peek(reader, 2) != ':'))
    refuse(reader, unusual);
  reader->at += is_special ? 3 : 1;
  size_t size = read_alternatives(reader);
  if (reader->refusal == NULL && peek(reader, 0) != ')')
    refuse(reader, unusual);
  reader->at++;
  reader->depth--;
  return size;
}

/* *is_anchor: it matches no character, and is not repeated. */
static size_t read_atom(Reader *reader, bool *is_anchor) {
  char byte = peek(reader, 0);
  *is_anchor = byte == '^' || byte == '$';
  if (byte == '(')
    return read_group(reader);
  if (byte == '[') {
    read_class(reader);
  } else if (byte == '\\') {
    *is_anchor = read_escape(reader) == ESCAPE_ANCHOR;
  } else if (*is_anchor || byte == '.' || is_literal(byte)) {
    reader->at++;
  } else {
    refuse(reader, unusual);
  }
  return *is_anchor ? 0 : 1;
}

static size_t read_number(Reader *reader) {
  size_t number = 0;
  if (!is_digit(peek(reader, 0)))
    refuse(reader, unusual);
  for (; is_digit(peek(reader, 0)); reader->at++)
    number = number > REPEATS_MAX ? number : number * 10 + (size_t)(peek(reader, 0) - '0');
  return number;
}

/* {n}, {n,}, {n,m}: how often at most; without an end once more than at least. */
static size_t read_braces(Reader *reader) {
  reader->at++;
  size_t times = read_number(reader);
  if (peek(reader, 0) == ',') {
    reader->at++;
    times = peek(reader, 0) == '}' ? times + 1 : read_number(reader);
  }
  if (peek(reader, 0) != '}')
    refuse(reader, unusual);
  reader->at++;
  return times;
}

static size_t read_repeat(Reader *reader) {
  char byte = peek(reader, 0);
  size_t times = 1;
  if (byte == '\0' || strchr("*+?{", byte) == NULL)
    return times;
  if (byte == '{')
    times = read_braces(reader);
  else
    reader->at++;
  if (peek(reader, 0) == '?')
    reader->at++;
  byte = peek(reader, 0);
  if (byte != '\0' && strchr("*+?{", byte) != NULL)
    refuse(reader, unusual);
  return times;
}

static size_t read_sequence(Reader *reader) {
  size_t size = 0;
  while (reader->at < reader->pattern.length && peek(reader, 0) != '|' && peek(reader, 0) != ')') {
    bool is_anchor = false;
    size_t atom = read_atom(reader, &is_anchor);
    size_t start = reader->at, times = read_repeat(reader);
    if (is_anchor && reader->at != start)
      refuse(reader, unusual);
    if (times > REPEATS_MAX || (size += atom * times) > REGEX_PLAIN_SIZE_MAX)
      refuse(reader, too_large);
  }
  return size;
}

static size_t read_alternatives(Reader *reader) {
  size_t size = read_sequence(reader);
  while (reader->refusal == NULL && peek(reader, 0) == '|') {
    reader->at++;
    size += read_sequence(reader);
    if (size > REGEX_PLAIN_SIZE_MAX)
      refuse(reader, too_large);
  }
  return size;
}

const char *regex_plain_refusal(Slice pattern) {
  Reader reader = {.pattern = pattern};
  if (pattern.length > LENGTH_MAX)
    return too_large;
  if (slice_starts_with(pattern, SLICE_LITERAL("(?i)")))
    reader.at = 4;
  (void)read_alternatives(&reader);
  if (reader.at < pattern.length)
    refuse(&reader, unusual);
  return reader.refusal;
}
