/*
 * check_internal.h: what the files of the checker (check*.c, lint.c) share. Not for other rooms: they use check.h.
 *
 * One Checker lives for one load. Expressions are compiled once, without regard to phases, and kept by the node that they were written as; whether
 * their facts can be read is asked anew for each phase (check_facts.c). So a block of several phases, and a `define` that is used twice, share nodes.
 */
#ifndef COMMON_RULES_CHECK_INTERNAL_H
#define COMMON_RULES_CHECK_INTERNAL_H

#include "common/rules/check.h"

typedef enum SymbolKind { SYMBOL_TABLE, SYMBOL_DNSLIST, SYMBOL_DEFINE } SymbolKind;

/* What a name of the rules stands for. */
typedef struct Symbol {
  SymbolKind kind;
  Slice name;
  const Declaration *declaration;
  ResourceUse *use; /* TABLE, DNSLIST; NULL when its declaration has an error, which was told */
  bool compiling;   /* DEFINE: on the way; seen again it is a cycle */
  bool was_used;
} Symbol;

/* A variable: its first `set` in the file gives the type. */
typedef struct VariableSymbol {
  Slice text;                /* "session.x" */
  const ArgumentNode *first; /* the variable's argument of the first `set` */
  const Node *value;         /* what that one puts in */
  VariableInfo *info;        /* NULL until its type is known */
  ValueType element_type;
  bool compiling, broken;
} VariableSymbol;

typedef struct Conditions Conditions;

/* The conditions around a statement, innermost first. */
struct Conditions {
  const Conditions *outer;
  const Expression *condition; /* may be NULL */
};

/* The list whose elements a has (...) looks at. */
typedef struct Elements Elements;
struct Elements {
  const Elements *outer; /* of the has (...) around it */
  ValueType type;
  RecordKind record;   /* of TYPE_RECORD */
  bool are_recipients; /* each is called `recipient` too */
};

struct Checker {
  Arena *arena;   /* of the ruleset */
  Arena *scratch; /* until the end of the load */
  Diagnostics *diagnostics;
  const RulesetOptions *options;
  Program *program;
  Phase phase;
  bool is_repeated; /* the block stands at several phases: its rules are read again for each, and remembered from one to the next */

  GHashTable *symbols;     /* Slice* -> Symbol* */
  GHashTable *variables;   /* Slice* -> VariableSymbol*, by "session.x" */
  GHashTable *score_nodes; /* Slice* -> name set of scores that some rule adds to */
  GHashTable *labels;      /* Slice* -> Rule* */
  GHashTable *compiled;    /* CompiledKey* -> Expression*, or NULL after an error; only of what is repeated */
  GHashTable *rule_of;     /* StatementNode* -> Rule*; only of what is repeated */
  GHashTable *unless_of;   /* StatementNode* -> Expression* */
  GHashTable *told_spans;  /* set of places in a text: unreachable statements already told */
  GHashTable *told;        /* Node* set: facts already told to be out of reach */
  GPtrArray *uses, *rules, *variable_infos, *score_names;
  GPtrArray *nodes;                     /* Node* by the id of their expression */
  GPtrArray *rule_nodes;                /* StatementNode* by the number of their rule */
  GPtrArray *header_names[PHASE_COUNT]; /* of header["Name"], by phase, each once; NULL: none */
  GArray *define_uses;                  /* DefineUse */
  bool lost_names, lost_statements;     /* after syntax errors: unknown names, variables and scores may be known after all */
  uint32_t regexes;                     /* compiled so far */
  const SourceText *line_source;        /* where line_of has counted to */
  const char *line_file;                /* its name, in the ruleset's arena; NULL: not asked for */
  uint32_t line_offset;
  unsigned line;

  /* While a rule is being compiled: */
  const Conditions *conditions; /* its own and those around it */
  uint32_t captures;            /* most groups of a regex in its condition */
  bool has_regex, has_dnslist;
  const Node *define_use;   /* where the define was named whose literals are being read; NULL: none */
  unsigned depth;           /* of defines, sets and variables within one another */
  const Elements *elements; /* inside has (...): of the innermost one */
};

/* Where a define was named, to point at the use instead of at the define. */
typedef struct DefineUse {
  const Expression *root;
  const Node *use;
} DefineUse;

/* What stands across: quoted strings and plain names are read as this. TYPE_COUNT: any value. */
typedef struct Wanted {
  ValueType type;
  const char *const *names; /* of an enum */
} Wanted;
#define WANTED_ANY ((Wanted){TYPE_COUNT, NULL})

/* An expression of a block of several phases is compiled once for each node and type that it is read as. */
typedef struct CompiledKey {
  const Node *node;
  Wanted wanted;
} CompiledKey;

guint slice_key_hash(gconstpointer slice);
gboolean slice_key_equal(gconstpointer a, gconstpointer b);

/* check.c */
Symbol *checker_symbol(Checker *checker, Slice name); /* NULL: no such name */
/* Names of the rules (tables, defines ...) and facts, for nearest_name; in the scratch arena. */
const char *nearest_of(Checker *checker, Slice word, bool facts, bool tables, bool others);
/* "sender.domain" as it stands in the file, for messages. */
Slice node_source(const Node *node);
/* Where the expression was written. */
const Node *node_of(const Checker *checker, const Expression *expression);
const StatementNode *rule_node(const Checker *checker, const Rule *rule);
Expression *expression_new(Checker *checker, ExpressionKind kind, ValueType type, const Node *node);
/* Fills the flags from the operands. */
Expression *expression_finish(Expression *expression);

/* check_table.c */
bool check_type_name(Checker *checker, Slice name, SourceSpan span, ValueType *type);
bool use_is_dnslist(const ResourceUse *use);
void check_table(Checker *checker, Symbol *symbol, const RulesFile *file);
/* The text of an entry of a set or table as it is written: "192.0.2.0/24", "<>"; until the end of the load. False when the node is no literal. */
bool literal_text(Checker *checker, const Node *node, Slice *text);

/* For an error about a literal in a define: where it was used. */
void tell_use(Checker *checker, Diagnostic *told);
/* What is wrong with an entry, in the keyset's words. */
Diagnostic *tell_problem(Checker *checker, const Node *node, const char *problem);

/* check_types.c */
bool is_literal(Checker *checker, const Node *node);        /* also a define of one */
const Node *literal_of(Checker *checker, const Node *node); /* the define's literal, or the node itself */
/* A plain name that a declaration with a syntax error has, or may have: it is not missed. */
bool is_lost(Checker *checker, const Node *node);
/* A plain name that nothing else has: it may be one of an enum's. */
bool is_bare_word(Checker *checker, const Node *node);
bool node_literal_type(const Node *node, ValueType *type);
Expression *compile_enum_name(Checker *checker, const Node *node, Wanted wanted);
Expression *compile_literal(Checker *checker, const Node *node, Wanted wanted);
/* The type of one value: an element's for a list. */
ValueType single_type(const Expression *expression);
Wanted wanted_like(const Expression *expression);
/* Makes the expression one of `type`, where that is possible without loss of sense; NULL (nothing is told) where it is not. */
const Expression *convert_to(Checker *checker, const Expression *expression, ValueType type);
/* Makes both meet in one type; false (nothing is told) when they cannot. */
bool make_meet(Checker *checker, const Expression **left, const Expression **right);
const char *type_article(ValueType type);                                   /* "an ip", "a string" */
Slice expression_type_text(Checker *checker, const Expression *expression); /* "an ip", "a list of string" */

/* check_expression.c: NULL after an error, which was told */
const Expression *compile_expression(Checker *checker, const Node *node, Wanted wanted);
const Expression *compile_condition(Checker *checker, const Node *node);
const Expression *compile_define(Checker *checker, Symbol *symbol, const Node *use, Wanted wanted);
const Expression *compile_text(Checker *checker, const Node *node);
/* The keys of a table or dnslist from a value or a tuple. */
bool compile_keys(Checker *checker, const Node *node, const ResourceUse *use, Expression *lookup);
/* Type and slot of a variable that is named in an expression or by `set`. */
VariableSymbol *checker_variable(Checker *checker, Slice text);
bool variable_resolve(Checker *checker, VariableSymbol *variable, SourceSpan span);

/* check_condition.c */
const Expression *compile_compare(Checker *checker, const Node *node);
const Expression *compile_in(Checker *checker, const Node *node);
const Expression *compile_match(Checker *checker, const Node *node);
const Expression *compile_under(Checker *checker, const Node *node);
const Expression *compile_is_set(Checker *checker, const Node *node);
const Expression *expression_not(Checker *checker, const Expression *operand, const Node *node);
const Expression *expression_join(Checker *checker, ExpressionKind kind, const Expression *left, const Expression *right, const Node *node);
/* Joins them, from left to right, in a tree of small depth. `count` is at least 1. */
const Expression *expression_join_all(Checker *checker, ExpressionKind kind, const Expression *const *parts, size_t count,
                                      const Node *node);
/* True (and told) when a fact is compared with what its row turns into unset. */
bool check_sentinel(Checker *checker, const Expression *fact_side, const Node *literal, const Node *whole);

/* One define, set or variable deeper; false, and told, past LIMIT_NESTING. Each true needs a leave_nested. */
bool enter_nested(Checker *checker, SourceSpan span);
void leave_nested(Checker *checker);

/* check_list.c: lists, their elements, header["Name"], .raw */
const Expression *compile_quantifier(Checker *checker, const Node *node);
/* header["Name"], `node` being the index. */
const Expression *compile_header(Checker *checker, const Node *node);
/* A name of the element that a has (...) is at; false when it is none. */
bool compile_element(Checker *checker, const Node *node, Slice name, const Expression **expression);
/* The elements' own names, for nearest_name; and as words: "name, type or size of the attachment, or ". */
void add_element_names(Checker *checker, GPtrArray *names);
const char *element_words(Checker *checker);
/* The text before it was decoded; NULL (nothing is told) where there is none. */
const Expression *compile_raw(Checker *checker, const Expression *of, const Node *node);
/* True, and told, when the expression is a list of records: such a one is not compared as a whole. */
bool check_record(Checker *checker, const Expression *expression);
/* A function of a value, or of each element of a list. */
const Expression *expression_function(Checker *checker, const Function *function, const Expression *of, const Node *node);
/* The fact that the expression itself reads; false when it reads none. */
bool expression_fact(const Expression *expression, Fact *fact);

/* check_set.c */
const Expression *compile_in_set(Checker *checker, const Expression *left, const Node *set, const Node *node);
const Expression *compile_in_range(Checker *checker, const Expression *left, const Node *range, const Node *node);
const Expression *compile_in_net(Checker *checker, const Expression *left, const Node *net, const Node *node);

/* check_facts.c: facts and variables of an expression at the checker's phase; false after an error. */
bool check_facts(Checker *checker, const Expression *expression, const Node *top);
/* Which captures and dnslist details a condition leaves for the rule: also from one that was compiled before. */
void note_matches(Checker *checker, const Expression *expression);
bool door_asks(Door door, Phase phase);

/* check_statement.c */
void check_phase(Checker *checker, Phase phase, const RulesFile *file);
/* True, false, or neither: what a condition is whatever the facts are. */
typedef enum ConstantTruth { CONSTANT_NOT, CONSTANT_TRUE, CONSTANT_FALSE } ConstantTruth;
ConstantTruth constant_truth(const Expression *expression);

/* lint.c: warnings about a program that has no errors. */
bool policy_answers(const Checker *checker, Phase phase); /* the policy door's verdict counts there */
void lint_program(Checker *checker);
void lint_commands(Checker *checker); /* part of lint_program */
void lint_memory(Checker *checker);   /* as well */

/*
 * check.c: the whole tree into checker->program; false when there are errors. A tree that is not `complete` has lost parts to syntax errors: what is
 * there is checked, nothing that may depend on those parts is told, and nothing is warned of.
 */
bool check_rules(Program *program, const RulesFile *file, bool complete, const RulesetOptions *options, Diagnostics *diagnostics);

#endif
