/*
 * lexer.h: text -> tokens, one at a time.
 *
 * Newlines are no tokens: a token knows whether it is the first of its line, and the parser decides what that means. Comments are put
 * aside for the printer. The lexer tells of what cannot be a token (an unterminated string, a net with host bits) itself; TOKEN_BAD
 * has been told.
 * A string is one token, its templates included: the parser reads the inside with a lexer of its own (lexer_init_part). Confined.
 */
#ifndef COMMON_RULES_LEXER_H
#define COMMON_RULES_LEXER_H

#include "common/base/arena.h"
#include "common/rules/tree.h"

typedef enum TokenKind {
  TOKEN_END,      /* of the text */
  TOKEN_LINE_END, /* never made by the lexer: what the parser takes the first token of a new line for */
  TOKEN_BAD,      /* told already */
  TOKEN_WORD,     /* a name or keyword; may be dotted */
  TOKEN_STRING,   /* "..." with its quotes; text is the inside, as written */
  TOKEN_REGEX,    /* /.../ ; text is the pattern */
  TOKEN_INT,
  TOKEN_DECIMAL,
  TOKEN_ENHANCED, /* 5.7.1 */
  TOKEN_SIZE,     /* 10M */
  TOKEN_DURATION, /* 5m */
  TOKEN_TIME,     /* 09:30 */
  TOKEN_DATE,     /* 2026-11-23 */
  TOKEN_IP,
  TOKEN_NET,
  TOKEN_NULL_SENDER, /* <> */
  TOKEN_EQUAL,       /* == */
  TOKEN_NOT_EQUAL,   /* != */
  TOKEN_LESS,
  TOKEN_LESS_EQUAL,
  TOKEN_GREATER,
  TOKEN_GREATER_EQUAL,
  TOKEN_MATCH,     /* ~ */
  TOKEN_NOT_MATCH, /* !~ */
  TOKEN_ASSIGN,    /* = */
  TOKEN_ARROW,     /* -> */
  TOKEN_RANGE,     /* .. */
  TOKEN_DOT,
  TOKEN_COMMA,
  TOKEN_PLUS,
  TOKEN_MINUS,
  TOKEN_OPEN_BRACE,
  TOKEN_CLOSE_BRACE,
  TOKEN_OPEN_PAREN,
  TOKEN_CLOSE_PAREN,
  TOKEN_OPEN_BRACKET,
  TOKEN_CLOSE_BRACKET,
} TokenKind;

typedef struct Token {
  TokenKind kind;
  SourceSpan span;
  bool starts_line; /* nothing but blanks stands before it */
  bool reserved;    /* WORD: one of the language's own words (LANGUAGE section 2) */
  bool exact_case;  /* REGEX: /re/c */
  Slice text;       /* WORD, numbers: as written; STRING, REGEX: the inside */
  int64_t number;   /* INT, SIZE, DURATION, TIME, DATE */
  double decimal;   /* DECIMAL */
  IpNetwork net;    /* IP, NET */
} Token;

typedef struct Lexer {
  Arena *arena;
  Diagnostics *diagnostics;
  const SourceText *source;
  size_t position, end;
  size_t line_from, line_end; /* the last answer of line_end(): a long line is searched once */
  bool at_line_start;
  bool quiet;                 /* while the parser skips: nothing is told */
  CommentNode *first_comment; /* in order */
  CommentNode *last_comment;
} Lexer;

void lexer_init(Lexer *lexer, Arena *arena, const SourceText *source, Diagnostics *diagnostics);
/* Over the bytes from `start` to `end` only: the inside of a template. */
void lexer_init_part(Lexer *lexer, Arena *arena, const SourceText *source, size_t start, size_t end, Diagnostics *diagnostics);
Token lexer_next(Lexer *lexer);

/* True for the language's own words. */
bool word_is_reserved(Slice word);
/* NULL-terminated, in the order of LANGUAGE section 2. */
const char *const *reserved_words(void);

/*
 * For strings: `position` is behind a '{' that opens a template; the index of the '}' that closes it, or `end` when none does on this line.
 * Strings within are stepped over.
 */
size_t lexer_template_end(Slice text, size_t position, size_t end);

/* lexer_number.c: tokens that start with a digit, and IPv6 addresses. `token` has its start; the lexer stands there. */
bool lexer_looks_like_ipv6(const Lexer *lexer);
void lexer_number(Lexer *lexer, Token *token);
void lexer_ipv6(Lexer *lexer, Token *token);
/* Ends a token at `end`; its text is what it covers. */
void lexer_finish(Lexer *lexer, Token *token, TokenKind kind, size_t end);
/* NULL while the lexer is quiet. */
Diagnostic *lexer_error(Lexer *lexer, size_t start, size_t end, const char *format, ...) G_GNUC_PRINTF(4, 5);
void lexer_expected(Lexer *lexer, Diagnostic *diagnostic, const char *format, ...) G_GNUC_PRINTF(3, 4);

#endif
