/*
 * program.h: a compiled ruleset: immutable, shared by reference count, everything in one arena.
 *
 * A program borrows nothing from the tree that it was made of: daemons drop the tree, and with it the texts, as soon as the program is there. The tool keeps it to show
 * where a part of the program was written (RulesetOptions.keep_tree, ProgramTree).
 *
 * Each phase has one array of statements in file order (includes in place). A block (`when`, `at ... when`) is an entry that knows its end; its condition is decided
 * once, where the block begins. Expressions are typed nodes, shared where a `define` is used twice, that know what they read. The evaluator reads the array through a cursor
 * ("the next statement at or after n"): walking is one, a phase's index (index.h) the other.
 */
#ifndef COMMON_RULES_PROGRAM_H
#define COMMON_RULES_PROGRAM_H

#include <glib.h>

#include "common/ask/keyset.h"
#include "common/ask/resource.h"
#include "common/base/diagnostics.h"
#include "common/rules/function.h"
#include "common/rules/regex.h"
#include "common/rules/tree.h"
#include "common/smtp/fact.h"
#include "common/smtp/verdict.h"

typedef struct Expression Expression;
typedef struct Rule Rule;

typedef enum ExpressionKind {
  EXPRESSION_LITERAL,  /* literal */
  EXPRESSION_FACT,     /* fact */
  EXPRESSION_RAW,      /* fact: its text as the MTA said it */
  EXPRESSION_HEADER,   /* header: the values of the message's fields of that name */
  EXPRESSION_VARIABLE, /* variable */
  EXPRESSION_SCORE,    /* score: index of its name */
  EXPRESSION_FUNCTION, /* function of left */
  EXPRESSION_TEMPLATE, /* parts, joined as text */
  EXPRESSION_CAPTURE,  /* capture: group of the last match in this rule */
  EXPRESSION_DNSLIST,  /* detail of the last dnslist that listed in this rule */
  EXPRESSION_ELEMENT,  /* element: what an enclosing quantifier is at, or a value of it */
  EXPRESSION_NOT,      /* bool */
  EXPRESSION_AND,
  EXPRESSION_OR,
  EXPRESSION_COMPARE,     /* left op right; types already made to meet */
  EXPRESSION_IN_SET,      /* left in keyset (inline) */
  EXPRESSION_IN_NETWORK,  /* left lies in network */
  EXPRESSION_IN_RANGE,    /* low <= left <= high: literals; a weekday range may wrap, a time range over midnight too */
  EXPRESSION_IN_RESOURCE, /* keys in table or dnslist */
  EXPRESSION_IN_LIST,     /* left in a list value (right) */
  EXPRESSION_MATCH,       /* left ~ regex */
  EXPRESSION_UNDER,       /* left under right, both domains */
  EXPRESSION_IS_SET,
  EXPRESSION_QUANTIFIER, /* quantifier left (a list) has (right); right NULL: count of all its elements */
  EXPRESSION_VALUE_OF,   /* resource[keys] */
  EXPRESSION_DEFAULT,    /* left default right */
} ExpressionKind;

typedef enum DnslistDetail { DNSLIST_ZONE, DNSLIST_CODE, DNSLIST_TEXT } DnslistDetail;

/* A named resource as this ruleset uses it. */
typedef struct ResourceUse {
  Slice name;           /* "banned" */
  Slice label;          /* "table banned", "dnslist zen": for logs */
  uint32_t index;       /* in program->resources */
  Resource *resource;   /* a reference, dropped with the program; NULL for inline tables */
  const Keyset *keyset; /* inline tables, else NULL */
  KeysetShape shape;
  ErrorBehaviour on_error; /* never DEFAULT */
  LookupClass lookup_class;
} ResourceUse;

typedef struct VariableInfo {
  Slice name; /* without the scope */
  Scope scope;
  ValueType type;
  uint32_t slot; /* within its scope */
} VariableInfo;

/* What is looked up, and by which keys. */
typedef struct ResourceLookup {
  const ResourceUse *use;
  size_t count;
  const Expression *keys[KEYSET_PARTS_MAX];
} ResourceLookup;

typedef struct ValueRange {
  Value low, high;
} ValueRange;

/* A ruleset has several for each rule, so that what is large and rare stands apart. */
struct Expression {
  ExpressionKind kind : 8;
  ValueType type : 6;         /* of the result; TYPE_BOOL for conditions */
  ValueType element_type : 5; /* when type is TYPE_LIST */
  RecordKind record : 4;      /* of a list whose elements are records */
  /* What it depends on, itself and all below: */
  bool reads_variables : 1;    /* variables or scores */
  bool reads_details : 1;      /* captures or dnslist details */
  bool has_match : 1;          /* holds a regex match or a dnslist: something that captures and details come from */
  bool can_be_unset : 1;       /* as a value */
  bool reads_message : 1;      /* facts that come with the message's content: before its end they may be open */
  unsigned lookup_classes : 4; /* bits 1 << LookupClass of the look-ups inside; 0 or HERE only: decided at once */
  uint32_t id;                 /* unique in the program: its node in the tree */
  const Expression *left, *right;
  union {
    Value literal;
    Fact fact; /* FACT, RAW */
    struct {
      const char *name; /* as it is written in the rules; compares without case */
      bool raw;
    } header;
    struct {
      uint32_t level; /* 0: of the innermost quantifier, 1: of the one around it ... */
      int field;      /* the place of a record's value; -1: the element itself */
    } element;
    const VariableInfo *variable;
    uint32_t score; /* index in program->score_names, or SCORE_TOTAL */
    const Function *function;
    struct {
      const Expression *const *items;
      size_t count;
    } parts; /* TEMPLATE */
    uint32_t capture;
    DnslistDetail detail;
    CompareOperator compare;
    const Keyset *keyset; /* IN_SET */
    IpNetwork network;
    const ValueRange *range;
    const ResourceLookup *lookup; /* IN_RESOURCE, VALUE_OF */
    const Regex *regex;
    Quantifier quantifier;
  } as;
};
_Static_assert(TYPE_COUNT < 32 && LOOKUP_STATEFUL < 4, "an expression has room for them");
enum { SCORE_TOTAL = UINT32_MAX };

struct Rule {
  Slice id;                /* its label, or "file:line" */
  const char *action_text; /* of an observed rule what it would do, as the log says it: `reject 550 5.7.1 "no"`; else NULL */
  const struct Action *action;
  const Expression *const *arguments; /* decided before perform is called; also what templates hold */
  uint32_t argument_count;
  uint32_t number; /* index in program->rules: counters, "a rule scores once a scope" */
  bool labelled : 1;
  bool observe : 1;
  bool is_allow : 1;           /* pass or accept: unknown, it turns a later 5xx of the phase into 451 */
  bool uses_details : 1;       /* an argument reads captures or dnslist details: its condition is decided strictly left to right */
  ErrorBehaviour on_error : 8; /* DEFAULT: what the failed look-ups say */
};

typedef enum StatementKind { STATEMENT_RULE, STATEMENT_BLOCK } StatementKind;

enum { NO_STATEMENT = UINT32_MAX };

typedef struct SourcePlace {
  const char *file;
  unsigned line;
} SourcePlace;

typedef struct Statement {
  const Expression *condition; /* NULL: always; `unless` is already a NOT */
  const Rule *rule;            /* RULE, with its plan for this phase; of a BLOCK NULL */
  union {
    const void *plan;         /* RULE */
    const SourcePlace *place; /* BLOCK: where it was written, for logs */
  };
  uint32_t parent; /* enclosing block, or NO_STATEMENT */
  uint32_t end;    /* BLOCK: index of the first statement behind it; RULE: own index + 1 */
  uint32_t
      previous_branch; /* BLOCK of an else: the branch before it, or NO_STATEMENT. It is considered only when that one, and all before, were false */
  StatementKind kind : 8;
  bool holds_allow; /* BLOCK: a pass or accept stands inside (unknown `when`) */
  bool is_plain;    /* its condition asks nobody and nobody reads captures or dnslist details: it can be decided without more ado */
} Statement;

typedef struct PhaseIndex PhaseIndex; /* index.h */

typedef struct PhaseProgram {
  const Statement *statements;
  size_t count;
  const PhaseIndex *index; /* NULL: statements are walked */
  bool has_disconnect;     /* the milter must be able to reply at once */
  bool has_rules;
  bool sets_variables;
  EffectSet effects; /* that rules which are not observed may have on a message */
  uint8_t lookup_classes;
  /*
   * Read by this phase's rules (macros to ask for). facts[FACT_HEADER] is true where rules read `header` itself, the list of all fields: header["Name"] alone does
   * not set it, header_names says those.
   */
  bool facts[FACT_COUNT];
  bool reads_all_headers;          /* as facts[FACT_HEADER]: every field of the message is wanted */
  const char *const *header_names; /* of header["Name"]: NULL-terminated, each once without regard to case; NULL when there are none */
} PhaseProgram;

/* The tree that a program was made of, and which part of it each part of the program was. Lives in an arena of its own, with the texts. */
typedef struct ProgramTree {
  gint references; /* of the program and of the diagnostics that point into the texts */
  Arena *arena;
  const RulesFile *file;
  const Node *const *nodes;                  /* by expression->id; NULL where nothing was written */
  const StatementNode *const *rules;         /* by rule->number */
  const SourceSpan *statements[PHASE_COUNT]; /* by place in the phase */
} ProgramTree;

typedef struct Program {
  gint references;
  Arena *arena;
  PhaseProgram phases[PHASE_COUNT];
  const Rule *const *rules;
  size_t rule_count;
  const ResourceUse *const *resources;
  size_t resource_count;
  const VariableInfo *const *variables;
  size_t variable_count;
  size_t scope_slots[SCOPE_RECIPIENT + 1]; /* variables by scope */
  const Slice *score_names;                /* "" for the plain score */
  size_t score_count;
  uint32_t group_count; /* rules that group recipients */
  size_t expression_count;
  ProgramTree *tree; /* NULL once it is dropped: where keep_tree was not asked for, when the program is loaded */
} Program;

/* Where it was written: NULL, and a span without source, when the tree is gone or nothing was written. */
const Node *program_node(const Program *program, const Expression *expression);
const StatementNode *program_rule_node(const Program *program, const Rule *rule);
SourceSpan program_span(const Program *program, Phase phase, const Statement *statement);

/* A ruleset for the outside: `Ruleset` is a Program. */
typedef Program Ruleset;

typedef struct RulesetOptions RulesetOptions;
struct RulesetOptions {
  DoorSet enabled_doors; /* a fact or action that none of them has is an error */
  bool pedantic;         /* pairs that RFC 5248 does not list */
  bool check_owners;
  ResourceSource *resources; /* never NULL */
  bool strict_tables;        /* lines that a table leaves out are errors, else warnings */
  bool keep_tree;            /* for the tool: the program says where its parts were written. A tree is larger than its program */
  bool open_resources;       /* false: only check (mailreeve check without tables' files is still told when a plain file is missing) */
  /* Warns about a good ruleset with what the language does not know: the doors (reply_lint). NULL: nothing */
  void (*lint)(const Program *program, const RulesetOptions *options, Diagnostics *diagnostics);
};

/*
 * Reads, checks and compiles. NULL when there are errors: they are in `diagnostics` (also an unreadable file, with a span of length 0).
 * Warnings may come with a good ruleset. Slow; for start, helper threads and the tool. Transfer full.
 */
Ruleset *ruleset_load_file(const char *path, const RulesetOptions *options, Diagnostics *diagnostics);
Ruleset *ruleset_load_text(const char *name, Slice text, const char *directory, const RulesetOptions *options, Diagnostics *diagnostics);
Ruleset *ruleset_ref(Ruleset *ruleset); /* thread-safe */
void ruleset_unref(Ruleset *ruleset);   /* takes NULL; the last one frees: keep it off the hot threads */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ruleset, ruleset_unref)

#endif
