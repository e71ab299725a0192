/*
 * run_model.h: random rulesets for the property test of the run model (test_run_order.c).
 *
 * A Model is a small ruleset in a tree of its own, with a script of what each look-up answers. It is made from a seed, printed as rules
 * text, built into a Program (run_program.c), and read by a deliberately simple evaluator that asks one look-up after the other
 * (run_reference.c).
 */
#ifndef TESTS_UNIT_RUN_MODEL_H
#define TESTS_UNIT_RUN_MODEL_H

#include "common/rules/evaluate.h"
#include "common/rules/variables.h"

enum {
  MODEL_TABLES = 7,
  MODEL_KEYS = 4,
  MODEL_VARIABLES = 4,
  MODEL_SCORES = 2,
  MODEL_PHASES = 3,
  MODEL_STEPS = 4,
  MODEL_FACTS = 2,
  MODEL_TEXTS = 2,
  MODEL_REGEXES = 3
};

typedef enum TermKind {
  TERM_LITERAL,   /* number */
  TERM_FACT,      /* which: client_port, server_port; may be unset */
  TERM_VARIABLE,  /* which */
  TERM_VALUE_OF,  /* table `which`, key left */
  TERM_DEFAULT,   /* left, right */
  TERM_CONDITION, /* left, a condition as a value (only in `set`) */
  COND_COMPARE,   /* left op right */
  COND_SCORE,     /* score `which` (MODEL_SCORES: the total) >= number */
  COND_IN,        /* left in table `which` */
  COND_IS_SET,    /* left */
  COND_MATCH,     /* text fact `which` ~ regex `number` */
  COND_CAPTURE,   /* "{1}" == the digit `number` */
  COND_ZONE,      /* {dnslist.zone} is set */
  COND_NOT,
  COND_AND,
  COND_OR,
} TermKind;

typedef struct Term Term;
struct Term {
  TermKind kind;
  int which;
  int number;
  CompareOperator compare;
  Term *left, *right;
};

typedef enum ModelAction {
  MODEL_PASS,
  MODEL_ACCEPT,
  MODEL_REJECT,
  MODEL_TEMPFAIL,
  MODEL_DISCONNECT,
  MODEL_LOG,
  MODEL_SET,
  MODEL_SCORE,
  MODEL_CHECK
} ModelAction;

typedef struct ModelStatement ModelStatement;

typedef struct ModelBranch {
  Term *condition; /* NULL: plain else */
  ModelStatement *body;
  size_t count;
  bool dropped;
  int line; /* the rule id of an unknown `when` */
} ModelBranch;

struct ModelStatement {
  bool dropped;
  /* a block: */
  ModelBranch *branches;
  size_t branch_count; /* 0: a rule */
  /* a rule: */
  int id;
  bool observe;
  ErrorBehaviour on_error;
  Term *condition; /* NULL: always */
  ModelAction action;
  int which;    /* variable, score */
  Scope scope;  /* of a score */
  int number;   /* what is added */
  Term *value;  /* of set, log, check */
  bool details; /* log: prints {1}, {dnslist.zone} and {dnslist.text} too */
};

typedef struct ModelAnswer {
  AnswerState state;
  int value;
} ModelAnswer;

typedef struct ModelTable {
  const char *name;
  LookupClass lookup_class;
  bool is_list; /* a dnslist: has a zone and a text */
  ErrorBehaviour on_error;
  ModelAnswer answers[MODEL_KEYS];
  ModelAnswer texts[MODEL_KEYS];
} ModelTable;

typedef struct Model {
  Arena *arena;
  GRand *random;
  ModelTable tables[MODEL_TABLES];
  int facts[MODEL_FACTS]; /* -1: unset */
  const char *texts[MODEL_TEXTS];
  struct {
    ModelStatement *statements;
    size_t count;
  } phases[MODEL_PHASES]; /* mail, rcpt, data */
  int ids;
} Model;

extern const Phase model_phase_of[MODEL_PHASES];
extern const int model_steps[MODEL_STEPS]; /* mail, rcpt, rcpt, data: index of the phase */
extern const Scope model_variable_scope[MODEL_VARIABLES];
extern const char *const model_regexes[MODEL_REGEXES];

Model *model_new(guint32 seed);
void model_free(Model *model);
/* The rules and the answers, as text. Transfer full. */
char *model_print(const Model *model);
/* Statements and branches, in order, for shrinking: the flag of the nth, NULL behind the last. */
bool *model_dropped_flag(Model *model, size_t nth);
/* The place of the nth condition, for shrinking; NULL behind the last. */
Term **model_condition(Model *model, size_t nth);

bool term_reads_details(const Term *term);
bool term_has_match(const Model *model, const Term *term);
bool statement_is_allow(const ModelStatement *statement);
bool body_holds_allow(const ModelStatement *body, size_t count);
bool body_has_rules(const ModelStatement *body, size_t count);

/*
 * run_reference.c: all steps, one look-up after the other: what came of it as text. `reached` gets, for each step, the look-ups of class
 * REACHED that were read (1 << (table * MODEL_KEYS + key)): no others may be asked.
 */
char *reference_run(const Model *model, guint32 reached[MODEL_STEPS]);

/* run_program.c */
typedef struct ModelProgram ModelProgram;
ModelProgram *model_program_new(const Model *model);
void model_program_free(ModelProgram *program);
Ruleset *model_program_ruleset(ModelProgram *program);
/* The scripted answer to a question of the program's look-ups. Transfer full. */
Answer *model_program_answer(const Question *question);

#endif
