/*
 * parser_statement.c: blocks, statements, and going on after an error in one.
 */
#include "common/base/limits.h"
#include "common/rules/parser_internal.h"
#include "common/rules/source.h"

static bool begins_declaration(const Token *token) {
  return token->kind == TOKEN_WORD && token->starts_line && word_is_declaration(token->text);
}

/* Whether a line that starts with this token is more likely a statement than the next entry of a set. */
bool token_begins_statement(const Token *token) {
  if (token->kind != TOKEN_WORD) {
    return token->kind == TOKEN_OPEN_BRACKET;
  }
  if (slice_equal(token->text, SLICE_LITERAL("when")) || slice_equal(token->text, SLICE_LITERAL("observe"))) {
    return true;
  }
  return word_begins_action(token->text);
}

/* A line that starts with anything else is the rest of what was wrong. */
static bool may_begin_statement(const Token *token) {
  return (token->kind == TOKEN_WORD && !token_continues_line(token)) || token->kind == TOKEN_OPEN_BRACKET;
}

/* Nothing is open any more: the parser is at the level of statements again. */
static unsigned leave_expression(Parser *parser) {
  unsigned braces = parser->open_sets;
  parser->open_sets = 0;
  parser->free_lines = 0;
  return braces;
}

/*
 * After an error: to the next line, or to the '}' of the block. Sets and blocks that are open, or that open on the way, are stepped
 * over, unless
 * a line looks like the next statement or declaration.
 */
static void skip_statement(Parser *parser) {
  unsigned braces = leave_expression(parser);
  parser->lexer.quiet = true;
  for (bool first = true; parser->token.kind != TOKEN_END; first = false) {
    const Token *token = &parser->token;
    bool new_line = token->starts_line && !(first && parser->line_begun);
    if (begins_declaration(token) || (new_line && (braces == 0 ? may_begin_statement(token) : token_begins_statement(token)))) {
      break;
    }
    if (token->kind == TOKEN_CLOSE_BRACE && braces-- == 0) {
      break;
    }
    braces += token->kind == TOKEN_OPEN_BRACE;
    (void)parser_advance(parser);
  }
  parser->lexer.quiet = false;
}

/* SYNTAX: label := "[" name "]" */
static bool parse_label(Parser *parser, StatementNode *statement) {
  SourceSpan open = parser_advance(parser).span;
  if (parser_kind(parser) != TOKEN_WORD) {
    (void)parser_unexpected(parser, "the name of the rule: letters, digits and \"_\"");
    return false;
  }
  Token name = parser_advance(parser);
  statement->label = name.text;
  statement->label_span = name.span;
  if (slice_find(name.text, '.') >= 0) {
    parser_error(parser, name.span, "letters, digits and \"_\"", "a label has no dots");
  }
  if (!parser_accept(parser, TOKEN_CLOSE_BRACKET)) {
    Diagnostic *diagnostic = parser_unexpected(parser, "\"]\"");
    if (diagnostic != NULL) {
      diagnostic_also(parser->diagnostics, diagnostic, open, "this \"[\" is not closed");
    }
    return false;
  }
  return true;
}

static bool parse_condition(Parser *parser, StatementNode *statement) {
  Token word = parser_advance(parser);
  if (statement->condition != NULL) {
    parser_error(parser, word.span, "one condition; join them by \"and\"", "a second \"%.*s\" in one statement", SLICE_ARGS(word.text));
    return false;
  }
  statement->unless = slice_equal(word.text, SLICE_LITERAL("unless"));
  statement->condition = parse_expression(parser);
  return statement->condition != NULL;
}

/*
 * SYNTAX: modifiers := [ ( "if" | "unless" ) expression ] [ "on" "error" ( "skip" | "tempfail" | "match" ) ]      in any order
 */
static bool parse_modifiers(Parser *parser, StatementNode *statement) {
  for (;;) {
    if (parser_is_word(parser, "if") || parser_is_word(parser, "unless")) {
      if (!parse_condition(parser, statement)) {
        return false;
      }
    } else if (parser_is_word(parser, "on")) {
      if (statement->on_error != ON_ERROR_DEFAULT) {
        parser_error(parser, parser->token.span, NULL, "a second \"on error\" in one statement");
        return false;
      }
      if (!parse_on_error(parser, &statement->on_error, &statement->on_error_span)) {
        return false;
      }
    } else if (parser_at_end_of_line(parser) || parser_kind(parser) == TOKEN_CLOSE_BRACE) {
      return true;
    } else {
      (void)parser_unexpected(parser, "%s",
                              statement->condition == NULL ? "\"if\", \"unless\", \"on error\" or the end of the line"
                                                           : "an operator, \"on error\" or the end of the line");
      return false;
    }
  }
}

/*
 * SYNTAX: rule := [ label ] [ "observe" ] action modifiers
 */
static bool parse_rule(Parser *parser, StatementNode *statement) {
  if (parser_kind(parser) == TOKEN_OPEN_BRACKET && !parse_label(parser, statement)) {
    return false;
  }
  if (parser_is_word(parser, "when")) {
    (void)parser_unexpected(parser, "an action; a label names a rule, not a block");
    return false;
  }
  statement->observe = parser_accept_word(parser, "observe");
  statement->action = parse_action(parser);
  return statement->action != NULL && parse_modifiers(parser, statement);
}

Node *parse_when_condition(Parser *parser) {
  if (parser_kind(parser) == TOKEN_OPEN_BRACE) {
    (void)parser_unexpected(parser, "a condition");
    return NULL;
  }
  return parse_expression(parser);
}

/* Reads `when`'s condition and block. False when the block could not be found. */
static bool parse_branch(Parser *parser, BranchNode *branch, bool conditional) {
  SourceSpan start = parser->previous;
  if (conditional) {
    size_t errors = diagnostics_error_count(parser->diagnostics);
    branch->condition = parse_when_condition(parser);
    branch->is_broken = parser_told_since(parser, errors);
  }
  if (conditional && branch->condition == NULL) {
    parse_block_after_error(parser, &branch->body);
  } else if (!parse_block(parser, conditional ? "\"{\" and the statements, or an operator" : "\"{\" and the statements, or \"when\"",
                          &branch->body)) {
    return false;
  }
  branch->span = source_span_join(start, parser->previous);
  return true;
}

/* An `else` on a line of its own is told, and taken all the same. */
static bool at_else(Parser *parser) {
  if (parser->token.kind != TOKEN_WORD || !slice_equal(parser->token.text, SLICE_LITERAL("else"))) {
    return false;
  }
  if (parser_kind(parser) == TOKEN_LINE_END) {
    parser_error(parser, parser->token.span, "\"} else\" on one line", "\"else\" must stand on the line of the \"}\" before it");
    parser_begin_line(parser);
  }
  return true;
}

/*
 * SYNTAX: when := "when" expression block { "else" "when" expression block } [ "else" block ]
 */
static bool parse_when(Parser *parser, StatementNode *statement) {
  (void)parser_advance(parser);
  statement->kind = STATEMENT_NODE_WHEN;
  BranchNode **link = &statement->branches;
  bool conditional = true;
  do {
    BranchNode *branch = ARENA_NEW(parser->arena, BranchNode);
    *link = branch;
    link = &branch->next;
    if (!parse_branch(parser, branch, conditional)) {
      return false;
    }
    if (!conditional || !at_else(parser)) {
      break;
    }
    (void)parser_advance(parser);
    conditional = parser_accept_word(parser, "when");
  } while (true);
  if (parser_at_end_of_line(parser) || parser_kind(parser) == TOKEN_CLOSE_BRACE) {
    return true;
  }
  (void)parser_unexpected(parser, "%s", conditional ? "\"else\" or the end of the line" : "the end of the line");
  return false;
}

/* What begins a statement in other languages, or a line that continues nothing. */
static bool tell_bad_start(Parser *parser) {
  static const char *const continuing[] = {"if", "unless", "and", "or", "on", "default"};
  if (parser_is_word(parser, "else")) {
    (void)parser_unexpected(parser, "a statement; \"else\" follows the \"}\" of a \"when\"");
    return true;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(continuing); i++) {
    if (parser_is_word(parser, continuing[i])) {
      (void)parser_unexpected(parser, "%s", i < 2 ? "an action before it, or \"when CONDITION {\" for several" : "a statement before it");
      return true;
    }
  }
  return false;
}

/* A `when` that is too deep: past its last '}'. */
static void skip_when(Parser *parser) {
  unsigned braces = 0;
  parser->lexer.quiet = true;
  while (parser->token.kind != TOKEN_END && !begins_declaration(&parser->token)) {
    Token token = parser_advance(parser);
    braces += token.kind == TOKEN_OPEN_BRACE;
    braces -= token.kind == TOKEN_CLOSE_BRACE && braces > 0;
    if (braces == 0 && token.kind == TOKEN_CLOSE_BRACE && !parser_is_word(parser, "else")) {
      break;
    }
  }
  parser->lexer.quiet = false;
}

static StatementNode *parse_nested_when(Parser *parser, StatementNode *statement) {
  if (!parser_enter(parser)) {
    skip_when(parser);
    return NULL;
  }
  bool good = parse_when(parser, statement);
  parser_leave(parser);
  if (!good) {
    skip_statement(parser);
    return NULL;
  }
  return statement;
}

/*
 * SYNTAX: statement := rule | when
 */
static StatementNode *parse_statement(Parser *parser) {
  SourceSpan start = parser->token.span;
  StatementNode *statement = ARENA_NEW(parser->arena, StatementNode);
  if (parser_is_word(parser, "when")) {
    statement = parse_nested_when(parser, statement);
  } else if (tell_bad_start(parser)) {
    (void)parser_advance(parser);
    skip_statement(parser);
    return NULL;
  } else if (!parse_rule(parser, statement)) {
    skip_statement(parser);
    return NULL;
  }
  if (statement != NULL) {
    statement->span = source_span_join(start, parser->previous);
  }
  return statement;
}

/* As parse_statement; what has an error, other than in a block inside of it, is left out. */
static StatementNode *parse_good_statement(Parser *parser) {
  size_t errors = diagnostics_error_count(parser->diagnostics);
  StatementNode *statement = parse_statement(parser);
  if (statement != NULL && statement->kind == STATEMENT_NODE_RULE && parser_told_since(parser, errors)) {
    statement = NULL;
  }
  if (statement == NULL) {
    parser->file->lost_statements = true;
  }
  return statement;
}

/* The statements behind '{', up to and with the '}'. */
static void parse_statements(Parser *parser, SourceSpan open, StatementNode **first) {
  StatementNode **link = first;
  for (;;) {
    if (parser->token.kind == TOKEN_CLOSE_BRACE) {
      parser_begin_line(parser);
      (void)parser_advance(parser);
      return;
    }
    if (parser->token.kind == TOKEN_END || begins_declaration(&parser->token)) {
      parser_begin_line(parser);
      Diagnostic *diagnostic = parser_unexpected(parser, "\"}\"");
      if (diagnostic != NULL) {
        diagnostic_also(parser->diagnostics, diagnostic, open, "the block that starts here is not closed");
      }
      return;
    }
    parser_begin_line(parser);
    StatementNode *statement = parse_good_statement(parser);
    if (statement != NULL) {
      *link = statement;
      link = &statement->next;
    }
  }
}

/*
 * SYNTAX: block := "{" { statement } "}"
 */
bool parse_block(Parser *parser, const char *expected, StatementNode **first) {
  SourceSpan open = parser->token.span;
  if (!parser_expect(parser, TOKEN_OPEN_BRACE, expected)) {
    return false;
  }
  parse_statements(parser, open, first);
  return true;
}

void parse_block_after_error(Parser *parser, StatementNode **first) {
  unsigned braces = leave_expression(parser);
  parser->lexer.quiet = true;
  while (parser->token.kind != TOKEN_END) {
    const Token *token = &parser->token;
    if (begins_declaration(token) || (parser_at_end_of_line(parser) && (braces == 0 || token_begins_statement(token)))) {
      break;
    }
    Token passed = parser_advance(parser);
    if (passed.kind == TOKEN_OPEN_BRACE && braces == 0 && parser->token.starts_line) {
      parser->lexer.quiet = false;
      parse_statements(parser, passed.span, first);
      return;
    }
    braces += passed.kind == TOKEN_OPEN_BRACE;
    braces -= passed.kind == TOKEN_CLOSE_BRACE && braces > 0;
  }
  parser->lexer.quiet = false;
}
