/*
 * lexer.c: see lexer.h. Numbers, times and addresses are in lexer_number.c.
 */
#include "common/rules/lexer.h"

#include "common/base/limits.h"
#include "common/rules/source.h"

#define NOT_CLOSED SIZE_MAX

static const char *const RESERVED[] = {
    "when",  "under", "check", "default", "has", "all", "any", "count", "policy", "use",    "group", "notify", "unlimited",
    "store", "is",    "set",   "unset",   "in",  "not", "and", "or",    "if",     "unless", "on",    "error",  NULL,
};

const char *const *reserved_words(void) {
  return RESERVED;
}

bool word_is_reserved(Slice word) {
  for (size_t i = 0; RESERVED[i] != NULL; i++) {
    if (slice_equal(word, slice_from(RESERVED[i]))) {
      return true;
    }
  }
  return false;
}

void lexer_init_part(Lexer *lexer, Arena *arena, const SourceText *source, size_t start, size_t end, Diagnostics *diagnostics) {
  *lexer = (Lexer){.arena = arena, .diagnostics = diagnostics, .source = source, .position = start, .end = end};
}

void lexer_init(Lexer *lexer, Arena *arena, const SourceText *source, Diagnostics *diagnostics) {
  lexer_init_part(lexer, arena, source, 0, source->text.length, diagnostics);
  lexer->at_line_start = true;
}

Diagnostic *lexer_error(Lexer *lexer, size_t start, size_t end, const char *format, ...) {
  if (lexer->quiet) {
    return NULL;
  }
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return diagnostics_error(lexer->diagnostics, source_span(lexer->source, start, end), "%s", message);
}

void lexer_expected(Lexer *lexer, Diagnostic *diagnostic, const char *format, ...) {
  if (diagnostic == NULL) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  diagnostic_expected(lexer->diagnostics, diagnostic, "expected %s", text);
}

/* The byte at an index, or NUL behind the end. */
static char byte_at(const Lexer *lexer, size_t index) {
  return index < lexer->end ? lexer->source->text.data[index] : '\0';
}

void lexer_finish(Lexer *lexer, Token *token, TokenKind kind, size_t end) {
  token->kind = kind;
  token->span = source_span(lexer->source, token->span.offset, end);
  token->text = source_slice(token->span);
  lexer->position = end;
}

/* The end of the line that `position` is on: its newline, or the end of the text. A CR before the newline is not part of the line. */
static size_t line_end(Lexer *lexer, size_t position) {
  if (position >= lexer->line_from && position < lexer->line_end) {
    return lexer->line_end;
  }
  size_t end = position;
  while (end < lexer->end && byte_at(lexer, end) != '\n') {
    end++;
  }
  lexer->line_from = position;
  lexer->line_end = end > 0 && byte_at(lexer, end) == '\n' && byte_at(lexer, end - 1) == '\r' ? end - 1 : end;
  return lexer->line_end;
}

static void add_comment(Lexer *lexer, size_t start) {
  size_t end = line_end(lexer, start);
  lexer->position = end;
  while (end > start && (byte_at(lexer, end - 1) == ' ' || byte_at(lexer, end - 1) == '\t')) {
    end--;
  }
  CommentNode *comment = ARENA_NEW(lexer->arena, CommentNode);
  comment->span = source_span(lexer->source, start, end);
  comment->text = source_slice(comment->span);
  comment->own_line = lexer->at_line_start;
  if (lexer->last_comment != NULL) {
    lexer->last_comment->next = comment;
  } else {
    lexer->first_comment = comment;
  }
  lexer->last_comment = comment;
}

static void skip_blanks(Lexer *lexer) {
  for (; lexer->position < lexer->end; lexer->position++) {
    char byte = byte_at(lexer, lexer->position);
    if (byte == '\n') {
      lexer->at_line_start = true;
    } else if (byte == '#') {
      add_comment(lexer, lexer->position);
      lexer->position--;
    } else if (byte != ' ' && byte != '\t' && byte != '\r') {
      return;
    }
  }
}

/*
 * Behind the quote that closes a string whose inside starts at `position`, or NOT_CLOSED. A template that is not closed leaves its
 * brace in *open_brace. `depth` bounds strings within
 * templates within strings.
 */
static size_t string_end(Slice text, size_t position, size_t end, unsigned depth, size_t *open_brace);

static size_t template_end(Slice text, size_t position, size_t end, unsigned depth, size_t *open_brace) {
  size_t braces = 1;
  while (position < end) {
    char byte = text.data[position];
    if (byte == '"') {
      position = depth < LIMIT_NESTING ? string_end(text, position + 1, end, depth + 1, open_brace) : NOT_CLOSED;
      if (position == NOT_CLOSED) {
        return NOT_CLOSED;
      }
      continue;
    }
    if (byte == '{') {
      braces++;
    } else if (byte == '}' && --braces == 0) {
      return position;
    }
    position++;
  }
  return NOT_CLOSED;
}

static size_t string_end(Slice text, size_t position, size_t end, unsigned depth, size_t *open_brace) {
  while (position < end) {
    char byte = text.data[position];
    bool doubled = position + 1 < end && text.data[position + 1] == byte;
    if (byte == '"') {
      return position + 1;
    }
    if (byte == '\\' || (byte == '{' && doubled)) {
      position += 2;
    } else if (byte == '{') {
      size_t close = template_end(text, position + 1, end, depth, open_brace);
      if (close == NOT_CLOSED) {
        *open_brace = position; /* the outermost one stays */
        return NOT_CLOSED;
      }
      position = close + 1;
    } else {
      position++;
    }
  }
  return NOT_CLOSED;
}

size_t lexer_template_end(Slice text, size_t position, size_t end) {
  size_t open_brace = 0;
  size_t close = template_end(text, position, end, 0, &open_brace);
  return close == NOT_CLOSED ? end : close;
}

/* Where a string ends when its templates are not looked at: to go on behind one whose template is not closed. */
static size_t plain_string_end(const Lexer *lexer, size_t position, size_t end) {
  for (; position < end; position++) {
    if (byte_at(lexer, position) == '\\') {
      position++;
    } else if (byte_at(lexer, position) == '"') {
      return position + 1;
    }
  }
  return end;
}

static void lex_string(Lexer *lexer, Token *token) {
  size_t start = token->span.offset;
  size_t limit = line_end(lexer, start);
  size_t open_brace = NOT_CLOSED;
  size_t end = string_end(lexer->source->text, start + 1, limit, 0, &open_brace);
  if (end != NOT_CLOSED) {
    lexer_finish(lexer, token, TOKEN_STRING, end);
    token->text = slice_make(lexer->source->text.data + start + 1, end - start - 2);
  } else if (open_brace != NOT_CLOSED) {
    Diagnostic *diagnostic = lexer_error(lexer, open_brace, open_brace + 1, "the template that starts here is not closed");
    lexer_expected(lexer, diagnostic, "\"}\" in the same string; a brace that is meant as such is written \"{{\"");
    lexer_finish(lexer, token, TOKEN_BAD, plain_string_end(lexer, start + 1, limit));
  } else {
    Diagnostic *diagnostic = lexer_error(lexer, start, start + 1, "the string that starts here is not closed");
    lexer_expected(lexer, diagnostic, "'\"' on the same line; a quote inside is written \\\", a line break \\n");
    lexer_finish(lexer, token, TOKEN_BAD, limit);
  }
}

/* The index of the '/' that closes a regex, or NOT_CLOSED. */
static size_t regex_end(const Lexer *lexer, size_t position, size_t end) {
  for (; position < end; position++) {
    if (byte_at(lexer, position) == '\\') {
      position++;
    } else if (byte_at(lexer, position) == '/') {
      return position;
    }
  }
  return NOT_CLOSED;
}

/* '/' has no other meaning outside of a network, so that a regex in a wrong place can be named as such by the parser. */
static void lex_regex(Lexer *lexer, Token *token) {
  size_t start = token->span.offset;
  size_t limit = line_end(lexer, start);
  size_t close = regex_end(lexer, start + 1, limit);
  if (close == NOT_CLOSED) {
    Diagnostic *diagnostic = lexer_error(lexer, start, start + 1, "the regex that starts here is not closed");
    lexer_expected(lexer, diagnostic, "\"/\" on the same line; a slash inside is written \\/");
    lexer_finish(lexer, token, TOKEN_BAD, limit);
    return;
  }
  size_t end = close + 1;
  bool exact = false, fold = false, good = true;
  for (; end < limit && g_ascii_isalnum(byte_at(lexer, end)); end++) {
    exact = exact || byte_at(lexer, end) == 'c';
    fold = fold || byte_at(lexer, end) == 'i';
    good = good && (byte_at(lexer, end) == 'c' || byte_at(lexer, end) == 'i');
  }
  if (!good || (exact && fold)) {
    Diagnostic *diagnostic = lexer_error(lexer, close + 1, end, "unknown flags \"%.*s\" of a regex", (int)(end - close - 1),
                                         lexer->source->text.data + close + 1);
    lexer_expected(lexer, diagnostic, "nothing or \"i\" (compares without case), or \"c\" (case counts)");
  }
  lexer_finish(lexer, token, TOKEN_REGEX, end);
  token->text = slice_make(lexer->source->text.data + start + 1, close - start - 1);
  token->exact_case = exact;
}

static bool is_word_start(char byte) {
  return g_ascii_isalpha(byte) || byte == '_';
}

static bool is_word_byte(char byte) {
  return g_ascii_isalnum(byte) || byte == '_';
}

/* A name, dotted or not: sender.domain. "a..b" is a range. A hyphen inside is told and taken along, so that it is told once. */
static void lex_word(Lexer *lexer, Token *token) {
  size_t end = token->span.offset;
  bool hyphen = false;
  while (is_word_byte(byte_at(lexer, end)) || (byte_at(lexer, end) == '.' && is_word_start(byte_at(lexer, end + 1))) ||
         (byte_at(lexer, end) == '-' && is_word_byte(byte_at(lexer, end + 1)))) {
    hyphen = hyphen || byte_at(lexer, end) == '-';
    end++;
  }
  lexer_finish(lexer, token, TOKEN_WORD, end);
  if (hyphen) {
    g_autofree char *right = g_strdelimit(g_strndup(token->text.data, token->text.length), "-", '_');
    Diagnostic *diagnostic = lexer_error(lexer, token->span.offset, end, "a name has no \"-\"");
    lexer_expected(lexer, diagnostic, "letters, digits and \"_\": %s", right);
  }
  token->reserved = word_is_reserved(token->text);
}

typedef struct Sign {
  char text[3];
  TokenKind kind;
  const char *right_form; /* for what other languages have: TOKEN_BAD */
} Sign;

/* Longer ones first. */
static const Sign SIGNS[] = {
    {"==", TOKEN_EQUAL, NULL},
    {"!=", TOKEN_NOT_EQUAL, NULL},
    {"<>", TOKEN_NULL_SENDER, NULL},
    {"<=", TOKEN_LESS_EQUAL, NULL},
    {">=", TOKEN_GREATER_EQUAL, NULL},
    {"!~", TOKEN_NOT_MATCH, NULL},
    {"=~", TOKEN_BAD, "\"~\""},
    {"->", TOKEN_ARROW, NULL},
    {"=>", TOKEN_BAD, "\">=\" or \"->\""},
    {"..", TOKEN_RANGE, NULL},
    {"&&", TOKEN_BAD, "\"and\""},
    {"||", TOKEN_BAD, "\"or\""},
    {"<", TOKEN_LESS, NULL},
    {">", TOKEN_GREATER, NULL},
    {"~", TOKEN_MATCH, NULL},
    {"=", TOKEN_ASSIGN, NULL},
    {"!", TOKEN_BAD, "\"not\""},
    {".", TOKEN_DOT, NULL},
    {",", TOKEN_COMMA, NULL},
    {"+", TOKEN_PLUS, NULL},
    {"-", TOKEN_MINUS, NULL},
    {"{", TOKEN_OPEN_BRACE, NULL},
    {"}", TOKEN_CLOSE_BRACE, NULL},
    {"(", TOKEN_OPEN_PAREN, NULL},
    {")", TOKEN_CLOSE_PAREN, NULL},
    {"[", TOKEN_OPEN_BRACKET, NULL},
    {"]", TOKEN_CLOSE_BRACKET, NULL},
    {";", TOKEN_BAD, "the next statement on a line of its own"},
    {"@", TOKEN_BAD, "addresses in double quotes: \"user@example.org\""},
    {"'", TOKEN_BAD, "text in double quotes"},
    {"$", TOKEN_BAD, "the plain name; inside of a string {name}"},
};

/* One whole character that nothing starts with. */
static void lex_stray(Lexer *lexer, Token *token) {
  size_t start = token->span.offset;
  size_t end = start + 1;
  while (end < lexer->end && ((unsigned char)byte_at(lexer, end) & 0xc0) == 0x80) {
    end++;
  }
  lexer_finish(lexer, token, TOKEN_BAD, end);
  Diagnostic *diagnostic = lexer_error(lexer, start, end, "unexpected character \"%.*s\"", (int)(end - start), token->text.data);
  gunichar character = g_utf8_get_char_validated(token->text.data, (gssize)token->text.length);
  if (character == 0x201c || character == 0x201d || character == 0x201e) {
    lexer_expected(lexer, diagnostic, "plain double quotes");
  }
}

static void lex_sign(Lexer *lexer, Token *token) {
  size_t start = token->span.offset;
  Slice rest = slice_make(lexer->source->text.data + start, lexer->end - start);
  for (size_t i = 0; i < G_N_ELEMENTS(SIGNS); i++) {
    Slice sign = slice_from(SIGNS[i].text);
    if (slice_starts_with(rest, sign)) {
      lexer_finish(lexer, token, SIGNS[i].kind, start + sign.length);
      if (SIGNS[i].right_form != NULL) {
        lexer_expected(lexer, lexer_error(lexer, start, start + sign.length, "unexpected \"%s\"", SIGNS[i].text), "%s",
                       SIGNS[i].right_form);
      }
      return;
    }
  }
  lex_stray(lexer, token);
}

Token lexer_next(Lexer *lexer) {
  skip_blanks(lexer);
  Token token = {.kind = TOKEN_END, .starts_line = lexer->at_line_start};
  token.span = source_span(lexer->source, lexer->position, lexer->position);
  lexer->at_line_start = false;
  char byte = byte_at(lexer, lexer->position);
  if (lexer->position >= lexer->end) {
    token.starts_line = true;
  } else if (lexer_looks_like_ipv6(lexer)) {
    lexer_ipv6(lexer, &token);
  } else if (g_ascii_isdigit(byte)) {
    lexer_number(lexer, &token);
  } else if (is_word_start(byte)) {
    lex_word(lexer, &token);
  } else if (byte == '"') {
    lex_string(lexer, &token);
  } else if (byte == '/') {
    lex_regex(lexer, &token);
  } else {
    lex_sign(lexer, &token);
  }
  return token;
}
