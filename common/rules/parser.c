/*
 * parser.c: the parser's hold on its tokens, and whole files. See parser.h.
 */
#include "common/rules/parser.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/rules/parser_internal.h"
#include "common/rules/source.h"

/* A line that begins with one of these continues the line before. */
static const char *const CONTINUATIONS[] = {"if", "unless", "and", "or", "on", "default"};

bool token_continues_line(const Token *token) {
  for (size_t i = 0; token->kind == TOKEN_WORD && token->reserved && i < G_N_ELEMENTS(CONTINUATIONS); i++) {
    if (slice_equal(token->text, slice_from(CONTINUATIONS[i]))) {
      return true;
    }
  }
  return false;
}

TokenKind parser_kind(const Parser *parser) {
  const Token *token = &parser->token;
  if (token->kind == TOKEN_END || !token->starts_line || parser->line_begun || parser->free_lines > 0 || token_continues_line(token)) {
    return token->kind;
  }
  return TOKEN_LINE_END;
}

Token parser_advance(Parser *parser) {
  Token token = parser->token;
  if (token.kind != TOKEN_END) {
    parser->previous = token.span;
    parser->token = lexer_next(&parser->lexer);
    parser->line_begun = false;
  }
  return token;
}

bool parser_accept(Parser *parser, TokenKind kind) {
  if (parser_kind(parser) != kind) {
    return false;
  }
  (void)parser_advance(parser);
  return true;
}

bool parser_is_word(const Parser *parser, const char *word) {
  return parser_kind(parser) == TOKEN_WORD && slice_equal(parser->token.text, slice_from(word));
}

bool parser_accept_word(Parser *parser, const char *word) {
  if (!parser_is_word(parser, word)) {
    return false;
  }
  (void)parser_advance(parser);
  return true;
}

void parser_begin_line(Parser *parser) {
  parser->line_begun = true;
}

bool parser_at_end_of_line(const Parser *parser) {
  TokenKind kind = parser_kind(parser);
  return kind == TOKEN_LINE_END || kind == TOKEN_END;
}

/* One token is told once: what is wrong with it for an expression is wrong with it for all around that. */
static Diagnostic *tell_unexpected(Parser *parser) {
  TokenKind kind = parser_kind(parser);
  if (parser->told_token == &parser->lexer.source->text.data[parser->token.span.offset]) {
    return NULL;
  }
  parser->told_token = &parser->lexer.source->text.data[parser->token.span.offset];
  SourceSpan span = parser->token.span;
  SourceSpan behind = source_span(parser->lexer.source, parser->previous.offset + parser->previous.length,
                                  parser->previous.offset + parser->previous.length);
  switch (kind) {
    case TOKEN_LINE_END:
      return diagnostics_error(parser->diagnostics, behind, "unexpected end of the line");
    case TOKEN_END:
      if (parser->file == NULL) {
        return diagnostics_error(parser->diagnostics, span, "unexpected end of the template");
      }
      return diagnostics_error(parser->diagnostics, behind, "unexpected end of the file");
    case TOKEN_STRING:
      return diagnostics_error(parser->diagnostics, span, "unexpected string");
    case TOKEN_REGEX:
      return diagnostics_error(parser->diagnostics, span, "unexpected regex");
    case TOKEN_BAD:
      return NULL; /* told by the lexer */
    case TOKEN_WORD:
    case TOKEN_INT:
    case TOKEN_DECIMAL:
    case TOKEN_ENHANCED:
    case TOKEN_SIZE:
    case TOKEN_DURATION:
    case TOKEN_TIME:
    case TOKEN_DATE:
    case TOKEN_IP:
    case TOKEN_NET:
    case TOKEN_NULL_SENDER:
    case TOKEN_EQUAL:
    case TOKEN_NOT_EQUAL:
    case TOKEN_LESS:
    case TOKEN_LESS_EQUAL:
    case TOKEN_GREATER:
    case TOKEN_GREATER_EQUAL:
    case TOKEN_MATCH:
    case TOKEN_NOT_MATCH:
    case TOKEN_ASSIGN:
    case TOKEN_ARROW:
    case TOKEN_RANGE:
    case TOKEN_DOT:
    case TOKEN_COMMA:
    case TOKEN_PLUS:
    case TOKEN_MINUS:
    case TOKEN_OPEN_BRACE:
    case TOKEN_CLOSE_BRACE:
    case TOKEN_OPEN_PAREN:
    case TOKEN_CLOSE_PAREN:
    case TOKEN_OPEN_BRACKET:
    case TOKEN_CLOSE_BRACKET:
      break;
  }
  Slice text = slice_quote(parser->arena, source_slice(span), LIMIT_QUOTE);
  return diagnostics_error(parser->diagnostics, span, "unexpected \"%.*s\"", SLICE_ARGS(text));
}

Diagnostic *parser_unexpected(Parser *parser, const char *format, ...) {
  Diagnostic *diagnostic = tell_unexpected(parser);
  if (diagnostic != NULL) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *expected = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    diagnostic_expected(parser->diagnostics, diagnostic, "expected %s", expected);
  }
  return diagnostic;
}

bool parser_expect(Parser *parser, TokenKind kind, const char *expected) {
  if (parser_accept(parser, kind)) {
    return true;
  }
  (void)parser_unexpected(parser, "%s", expected);
  return false;
}

bool parser_expect_word(Parser *parser, const char *word, const char *expected) {
  if (parser_accept_word(parser, word)) {
    return true;
  }
  (void)parser_unexpected(parser, "%s", expected);
  return false;
}

void parser_error(Parser *parser, SourceSpan span, const char *expected, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  Diagnostic *diagnostic = diagnostics_error(parser->diagnostics, span, "%s", message);
  if (expected != NULL) {
    diagnostic_expected(parser->diagnostics, diagnostic, "expected %s", expected);
  }
}

const char *parser_nearest(Parser *parser, Slice word, const char *const *names) {
  const char *name = nearest_name(word, names);
  return name != NULL ? arena_printf(parser->arena, "; nearest: %s", name) : "";
}

bool parser_enter(Parser *parser) {
  if (parser->nesting >= LIMIT_NESTING && parser->nesting_told) {
    return false;
  }
  if (parser->nesting >= LIMIT_NESTING) {
    parser->nesting_told = true;
    parser_error(parser, parser->token.span, "fewer levels: a set, a table, or a define for the inner part", "nested more than %d deep",
                 LIMIT_NESTING);
    return false;
  }
  parser->nesting++;
  return true;
}

void parser_leave(Parser *parser) {
  parser->nesting--;
}

void parser_lose_part(Parser *parser) {
  parser->file->lost_names = true;
  parser->file->lost_statements = true;
}

bool parser_told_since(const Parser *parser, size_t errors) {
  return diagnostics_error_count(parser->diagnostics) > errors;
}

bool parser_new_name(Parser *parser, const char *what, Slice *name, SourceSpan *span) {
  if (parser_kind(parser) != TOKEN_WORD) {
    (void)parser_unexpected(parser, "the name of %s: letters, digits and \"_\"", what);
    return false;
  }
  Token token = parser_advance(parser);
  if (token.reserved) {
    parser_error(parser, token.span, "another name", "\"%.*s\" is a word of the language and cannot be the name of %s",
                 SLICE_ARGS(token.text), what);
  } else if (slice_find(token.text, '.') >= 0) {
    parser_error(parser, token.span, "letters, digits and \"_\"", "the name of %s has no dots", what);
  }
  /* Told, but the rest can be read. */
  *name = token.text;
  *span = token.span;
  return true;
}

/* SYNTAX: template := "{" ( NUMBER | expression ) "}" */
bool parse_template(Parser *outer, size_t start, size_t end, Node **node) {
  Parser parser = {.run = outer->run, .arena = outer->arena, .diagnostics = outer->diagnostics, .free_lines = 1, .nesting = outer->nesting};
  const SourceText *source = outer->lexer.source;
  lexer_init_part(&parser.lexer, outer->arena, source, start, end, outer->diagnostics);
  parser.token = lexer_next(&parser.lexer);
  parser.previous = source_span(source, start, start);
  if (parser.token.kind == TOKEN_INT) {
    Token number = parser_advance(&parser);
    *node = node_literal(&parser, NODE_CAPTURE, &number);
  } else {
    *node = parse_expression(&parser);
  }
  if (*node == NULL) {
    return false;
  }
  return parser_expect(&parser, TOKEN_END, "\"}\"");
}

/*
 * SYNTAX: file := { declaration }
 */
static void parse_declarations(Parser *parser) {
  Declaration **link = &parser->file->declarations;
  while (parser->token.kind != TOKEN_END) {
    parser_begin_line(parser);
    parser->nesting_told = false;
    bool complete;
    Declaration *declaration = parse_declaration(parser, &complete);
    if (declaration != NULL) {
      *link = declaration;
      link = &declaration->next;
    }
    if (complete && !parser_at_end_of_line(parser)) {
      (void)parser_unexpected(parser, "the end of the line");
      parser_lose_part(parser);
      complete = false;
    }
    if (!complete) {
      skip_declaration(parser);
    }
  }
}

RulesFile *parse_source(ParseRun *run, const SourceText *source, const char *path, const char *directory, const OpenFile *open_file) {
  RulesFile *file = ARENA_NEW(run->arena, RulesFile);
  file->source = source;
  file->path = path;
  file->directory = directory;
  file->included = open_file->up != NULL;
  if (!source_check(source, run->diagnostics)) {
    file->lost_names = file->lost_statements = true;
    return file;
  }
  Parser parser = {.run = run, .arena = run->arena, .diagnostics = run->diagnostics, .open_file = open_file, .file = file};
  lexer_init(&parser.lexer, run->arena, source, run->diagnostics);
  parser.previous = source_span(source, 0, 0);
  parser.token = lexer_next(&parser.lexer);
  parse_declarations(&parser);
  file->comments = parser.lexer.first_comment;
  return file;
}

RulesFile *rules_parse_text(Arena *arena, const char *name, Slice text, const char *directory, Diagnostics *diagnostics) {
  ParseRun run = {.arena = arena, .diagnostics = diagnostics, .file_count = 1};
  const SourceText *source = source_from_text(arena, name, text);
  OpenFile open_file = {.name = source->name, .depth = 1};
  return parse_source(&run, source, NULL, slice_to_string(arena, slice_from(directory != NULL ? directory : ".")), &open_file);
}

RulesFile *rules_parse_file(Arena *arena, const char *path, bool check_owners, Diagnostics *diagnostics, GError **error) {
  ParseRun run = {.arena = arena, .diagnostics = diagnostics, .check_owners = check_owners, .file_count = 1};
  const SourceText *source = source_read(arena, path, path, check_owners, error);
  if (source == NULL) {
    return NULL;
  }
  char *real = realpath(path, NULL);
  g_autofree char *directory = g_path_get_dirname(path);
  OpenFile open_file = {.real_path = slice_to_string(arena, slice_from(real)), .name = source->name, .depth = 1};
  free(real);
  return parse_source(&run, source, slice_to_string(arena, slice_from(path)), slice_to_string(arena, slice_from(directory)), &open_file);
}
