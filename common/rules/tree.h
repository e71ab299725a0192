/*
 * tree.h: a rules file as it is written: what the parser makes, the checker reads and the printer prints.
 *
 * Nothing is resolved here: names are text, strings are untyped. All nodes live in the arena given to the parser, and know
 * their place. Lists are NULL-terminated chains by `next`, in file order.
 */
#ifndef COMMON_RULES_TREE_H
#define COMMON_RULES_TREE_H

#include "common/ask/resource.h"
#include "common/base/diagnostics.h"
#include "common/smtp/fact.h"
#include "common/smtp/phase.h"
#include "common/smtp/value.h"

typedef enum NodeKind {
  NODE_TEXT,      /* "..." ; text when it has no template, else items: NODE_LITERAL_TEXT and any expression, by next */
  NODE_LITERAL_TEXT, /* a run of text inside NODE_TEXT, escapes resolved */
  NODE_CAPTURE,   /* {1} inside NODE_TEXT */
  NODE_INT,       /* 42 */
  NODE_DECIMAL,   /* 3.25 */
  NODE_SIZE,      /* 10M: number is bytes */
  NODE_DURATION,  /* 5m: number is seconds */
  NODE_TIME,      /* 09:30: number is seconds of the day */
  NODE_DATE,      /* 2026-11-23: number is yyyymmdd */
  NODE_IP,
  NODE_NET,
  NODE_NULL_SENDER, /* <> */
  NODE_REGEX,     /* text is the pattern, flags in regex */
  NODE_SET,       /* { a, b -> c }: items by next; a map's item is NODE_MAP_ITEM */
  NODE_MAP_ITEM,  /* left -> right */
  NODE_TUPLE,     /* (a, b): items by next */
  NODE_RANGE,     /* left .. right */
  NODE_NAME,      /* fact, table, define, variable, enum name: dotted text as written: "sender.domain", "score.bulk", "session.x" */
  NODE_INDEX,     /* left[right]: left is a NODE_NAME */
  NODE_PROPERTY,  /* left.text, where left is not a plain name: T[key].domain, (E).domain */
  NODE_NOT,       /* not left */
  NODE_AND,
  NODE_OR,
  NODE_COMPARE,   /* left op right */
  NODE_IN,        /* left in right; negated: not in */
  NODE_MATCH,     /* left ~ right (NODE_REGEX); negated: !~ */
  NODE_UNDER,     /* left under right */
  NODE_IS_SET,    /* left is set; negated: is unset */
  NODE_QUANTIFIER, /* any|all|count left has (right); right NULL: count left */
  NODE_DEFAULT,   /* left default right */
} NodeKind;

typedef enum CompareOperator { COMPARE_EQUAL, COMPARE_NOT_EQUAL, COMPARE_LESS, COMPARE_LESS_EQUAL, COMPARE_GREATER, COMPARE_GREATER_EQUAL } CompareOperator;
typedef enum Quantifier { QUANTIFIER_ANY, QUANTIFIER_ALL, QUANTIFIER_COUNT } Quantifier;

typedef struct Node Node;
struct Node {
  NodeKind kind : 8;
  bool parenthesized : 1; /* was written in parentheses (mixed and/or) */
  uint16_t depth;         /* levels of nodes from here down; at most LIMIT_NESTING, so that walks may recurse */
  union {
    CompareOperator compare;
    Quantifier quantifier;
    bool negated;    /* IN, MATCH, IS_SET */
    bool exact_case; /* REGEX: /re/c */
  } as;
  SourceSpan span;
  Node *next; /* in a list */
  union {
    struct {
      Node *left, *right;
    };
    Node *items; /* of TEXT, SET, TUPLE */
  };
  Slice text;  /* NAME, LITERAL_TEXT, TEXT without items, REGEX pattern, PROPERTY name; numbers: as written */
  union {      /* a file has several nodes for each rule: they are kept small */
    int64_t number; /* INT, SIZE, DURATION, TIME, DATE, CAPTURE */
    double decimal; /* DECIMAL */
    IpNetwork net;  /* IP (prefix full) and NET */
  };
};

/* Its parts are in `items`; else, where it has any, in `left` and `right`. */
static inline bool node_has_items(const Node *node) {
  return node->kind == NODE_TEXT || node->kind == NODE_SET || node->kind == NODE_TUPLE;
}

struct Action; /* action.h */

/* One argument of an action as written, by the action's argument list (action.h). */
typedef struct ArgumentNode ArgumentNode;
struct ArgumentNode {
  ArgumentNode *next;
  size_t spec;      /* index into action->arguments */
  SourceSpan span;
  Slice word;       /* WORD, NAME, CODE ("550"), ENHANCED ("5.7.1"), VARIABLE ("session.x") */
  Node *expression; /* EXPRESSION, TEXT, NUMBER, LOOKUP */
};

typedef struct ActionNode {
  const struct Action *action;
  SourceSpan span;      /* the whole action */
  SourceSpan name_span; /* its first word */
  ArgumentNode *arguments;
} ActionNode;

typedef enum StatementNodeKind { STATEMENT_NODE_RULE, STATEMENT_NODE_WHEN } StatementNodeKind;

typedef struct StatementNode StatementNode;
typedef struct BranchNode BranchNode;

/* when COND { } | else when COND { } | else { } */
struct BranchNode {
  BranchNode *next;
  SourceSpan span;
  Node *condition; /* NULL: plain else */
  bool is_broken;  /* its condition has a syntax error, which was told */
  StatementNode *body;
};

struct StatementNode {
  StatementNode *next;
  StatementNodeKind kind : 8;
  bool observe : 1;            /* RULE */
  bool unless : 1;             /* RULE: the condition is negated */
  ErrorBehaviour on_error; /* RULE */
  SourceSpan span;
  /* RULE */
  Slice label; /* empty: none */
  SourceSpan label_span;
  ActionNode *action;
  Node *condition; /* NULL: always */
  SourceSpan on_error_span;
  /* WHEN */
  BranchNode *branches;
};

typedef enum DeclarationKind { DECLARATION_TABLE, DECLARATION_DNSLIST, DECLARATION_DEFINE, DECLARATION_AT, DECLARATION_INCLUDE } DeclarationKind;

typedef struct Declaration Declaration;
struct Declaration {
  Declaration *next;
  DeclarationKind kind;
  bool is_broken; /* it has a syntax error, which was told: only its name counts; AT: its condition is not known */
  SourceSpan span;
  Slice name; /* TABLE, DNSLIST, DEFINE */
  SourceSpan name_span;
  /* TABLE and DNSLIST */
  SourceSpan type_span;
  Slice types[KEYSET_PARTS_MAX]; /* key type, or the parts of a tuple */
  SourceSpan type_spans[KEYSET_PARTS_MAX];
  size_t type_count;
  Slice value_type; /* of a map, else empty */
  SourceSpan value_type_span;
  Slice source;     /* "file"; empty: inline */
  SourceSpan source_span;
  Slice spec;       /* the quoted text */
  SourceSpan spec_span;
  Node *entries;    /* inline: NODE_SET */
  Slice codes;      /* dnslist */
  SourceSpan codes_span;
  bool keys_exact, optional;
  KeyOrder key_order;
  Slice key_tag; /* of Sendmail's order; empty: none */
  SourceSpan key_order_span;
  ErrorBehaviour on_error;
  /* DEFINE */
  Node *expression;
  /* AT */
  PhaseSet phases;
  Node *condition; /* at ... when; NULL: none */
  StatementNode *body;
  /* INCLUDE: the pattern, and the files that it brought, in order */
  Slice pattern;
  struct RulesFile *files;
};

typedef struct CommentNode CommentNode;

/* One file; an include holds further ones. The formatter prints one file, with its comments. */
typedef struct RulesFile RulesFile;
struct RulesFile {
  RulesFile *next;
  const SourceText *source;
  const char *path;      /* absolute or as given; NULL for a text in memory */
  const char *directory; /* relative paths start here */
  Declaration *declarations;
  CommentNode *comments; /* in order */
  bool included;
  /* What syntax errors left out, so that the checker does not miss it: declarations whose names are not known; statements. */
  bool lost_names, lost_statements;
};

/* `# ...` up to the end of the line; `own_line` when nothing but blanks stands before it. */
struct CommentNode {
  CommentNode *next;
  SourceSpan span;
  Slice text;
  bool own_line;
};

#endif
