/*
 * parser_internal.h: what the parser's files share. Only parser*.c include it.
 *
 * A parse function that returns NULL or false has told why. Its caller goes back to the statement or declaration, which skips to the
 * next one.
 */
#ifndef COMMON_RULES_PARSER_INTERNAL_H
#define COMMON_RULES_PARSER_INTERNAL_H

#include "common/rules/action.h"
#include "common/rules/lexer.h"
#include "common/rules/tree.h"

/* The files that are being read, the innermost first: for cycles and depth. */
typedef struct OpenFile {
  const struct OpenFile *up;
  const char *real_path; /* NULL: a text in memory */
  const char *name;
  unsigned depth;
} OpenFile;

/* One call of rules_parse_*. */
typedef struct ParseRun {
  Arena *arena;
  Diagnostics *diagnostics;
  bool check_owners;
  unsigned file_count;
} ParseRun;

typedef struct Parser {
  ParseRun *run;
  Arena *arena;
  Diagnostics *diagnostics;
  const OpenFile *open_file;
  RulesFile *file; /* NULL inside templates */
  Lexer lexer;
  Token token;            /* the one to look at; ask parser_kind() for its kind */
  SourceSpan previous;    /* the token before it */
  bool line_begun;        /* `token` starts a line that has been begun on purpose */
  unsigned free_lines;    /* open parentheses and sets: lines break freely */
  unsigned open_sets;     /* braces of sets that are open */
  unsigned nesting;       /* of the parser's own recursion */
  bool nesting_told;      /* in this declaration */
  const char *told_token; /* where the last unexpected token was told */
} Parser;

/* parser.c */
TokenKind parser_kind(
    const Parser *parser);            /* of the token; TOKEN_LINE_END when it starts a new line that does not continue the one before */
Token parser_advance(Parser *parser); /* returns the token that was there */
bool parser_accept(Parser *parser, TokenKind kind);
bool parser_is_word(const Parser *parser, const char *word); /* on this line */
bool parser_accept_word(Parser *parser, const char *word);
/* The token was not expected; `format` says what was. Says nothing where the lexer has. */
Diagnostic *parser_unexpected(Parser *parser, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool parser_expect(Parser *parser, TokenKind kind, const char *expected);
bool parser_expect_word(Parser *parser, const char *word, const char *expected);
/* An error about a place, with what was expected (may be NULL). */
void parser_error(Parser *parser, SourceSpan span, const char *expected, const char *format, ...) G_GNUC_PRINTF(4, 5);
/* "; nearest: sender", or "". In the arena. */
const char *parser_nearest(Parser *parser, Slice word, const char *const *names);
/* One level deeper; false, and told, past LIMIT_NESTING. Each true needs a parser_leave. */
bool parser_enter(Parser *parser);
void parser_leave(Parser *parser);
/* At the end of a statement or declaration: true when nothing else stands on its line. */
bool parser_at_end_of_line(const Parser *parser);
/* At the start of one: its first token counts as begun. */
void parser_begin_line(Parser *parser);
/* A word that, at the start of a line, continues the line before. */
bool token_continues_line(const Token *token);
bool word_is_declaration(Slice word);
/* A name for something new: no dots, no reserved word. `what` it names: "a table". */
bool parser_new_name(Parser *parser, const char *what, Slice *name, SourceSpan *span);
/* The inside of a template, from `start` to `end` of the source. */
bool parse_template(Parser *outer, size_t start, size_t end, Node **node);

/* A part of the file is left out, after an error: names may have been declared there, and variables set. */
void parser_lose_part(Parser *parser);
/* Whether anything has been told since there were `errors` errors. */
bool parser_told_since(const Parser *parser, size_t errors);

/* parser_include.c: reads the files of an include. */
void parser_include(Parser *parser, Declaration *declaration);
RulesFile *parse_source(ParseRun *run, const SourceText *source, const char *path, const char *directory, const OpenFile *open_file);

/* parser_declaration.c */
/* NULL after an error that left no name; `complete` is false after any that the parser must skip behind. */
Declaration *parse_declaration(Parser *parser, bool *complete);
/* Skips to the next line that begins a declaration. */
void skip_declaration(Parser *parser);
/* "on error skip|tempfail|match", at `on`. */
bool parse_on_error(Parser *parser, ErrorBehaviour *behaviour, SourceSpan *span);

/* parser_statement.c */
/* `{ statements }`; `what` the block belongs to, for messages. False when there was no '{'. */
bool parse_block(Parser *parser, const char *what, StatementNode **first);
/* After an error in front of a block: goes to the '{' that ends the line, so that the block is read. Then as parse_block. */
void parse_block_after_error(Parser *parser, StatementNode **first);
/* The condition of `when`: a '{' here is the block already. */
Node *parse_when_condition(Parser *parser);
/* Whether a line that starts with this token is more likely a statement than the next entry of a set. */
bool token_begins_statement(const Token *token);
/* parser_action.c: the name of an action and what follows it, up to its modifiers. */
ActionNode *parse_action(Parser *parser);
/* True for the first word of an action's name. */
bool word_begins_action(Slice word);

/* parser_expression.c */
Node *parse_expression(Parser *parser);
/* An expression or a regex: what may stand behind '='. */
Node *parse_assigned(Parser *parser);
/* `{ ... }`, at its brace. */
Node *parse_set(Parser *parser);
/* NAME[KEY] and nothing else. */
Node *parse_index(Parser *parser);
/* [+|-] INT | DECIMAL */
Node *parse_number(Parser *parser);
Node *node_new(Parser *parser, NodeKind kind, SourceSpan span);
Node *node_literal(Parser *parser, NodeKind kind, const Token *token);

/* parser_text.c */
/* A quoted string with templates; the token is a STRING. */
Node *parse_string(Parser *parser);
/* A quoted string without templates: `what` it is, for messages. */
bool parse_plain_string(Parser *parser, const char *what, Slice *text, SourceSpan *span);

#endif
