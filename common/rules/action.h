/*
 * action.h: what a statement may do. One descriptor an action, at the end of its file in common/rules/action/; the list is
 * action/actions.def.
 *
 * The parser, the printer and the manual know an action's grammar from its list of arguments; the checker calls `compile`, the evaluator `perform`.
 */
#ifndef COMMON_RULES_ACTION_H
#define COMMON_RULES_ACTION_H

#include "common/rules/program.h"
#include "common/rules/tree.h"

typedef enum ArgumentKind {
  ARGUMENT_END,        /* ends the list */
  ARGUMENT_WORD,       /* one of `words` (blank-separated), as it stands: "recipient message session" */
  ARGUMENT_NAME,       /* an identifier that is none of the words before it: a score's name, a table's */
  ARGUMENT_VARIABLE,   /* session.x | message.x | recipient.x */
  ARGUMENT_EQUALS,     /* '=' */
  ARGUMENT_CODE,       /* three digits */
  ARGUMENT_ENHANCED,   /* 5.7.1 */
  ARGUMENT_TEXT,       /* a quoted string, a template */
  ARGUMENT_ADDRESS,    /* a text, or <> */
  ARGUMENT_NUMBER,     /* integer or decimal with optional sign */
  ARGUMENT_DURATION,   /* 2s */
  ARGUMENT_EXPRESSION, /* any value */
  ARGUMENT_INDEX,      /* T[expr] */
} ArgumentKind;

typedef struct ActionArgument {
  ArgumentKind kind;
  bool optional;
  bool repeated;     /* one or more (zero or more when optional) */
  const char *words; /* of WORD; for the others what the manual calls it: "text", "seconds" */
} ActionArgument;

struct Checker;
struct Run;

typedef struct Action Action;
struct Action {
  const char *name;     /* may be two words: "prepend header", "discard message" */
  const char *sentence; /* for the manual */
  PhaseSet phases;      /* where it may stand */
  bool ends_phase;      /* always ends the phase when it is performed (unreachable statements) */
  DoorSet doors;        /* doors that can do it at all */
  const ActionArgument *arguments;
  const char *example;  /* one line, compiled by the tests */
  /*
   * Checks the arguments and makes the plan, in the ruleset's arena, shared by all phases of its block. NULL plan is allowed (no arguments). False when
   * something is wrong; it has then been told to the diagnostics. Called once for each phase of the block with the phase in the checker; the last plan of equal ones is used.
   */
  bool (*compile)(struct Checker *checker, const ActionNode *node, Rule *rule, void **plan);
  /* Performs on a run (run.h); all expressions of rule->arguments are decided (not open) when it is called. */
  void (*perform)(struct Run *run, const Rule *rule, const void *plan);
};

/* In order of the .def. NULL-terminated. */
const Action *const *actions_all(void);
/* The action whose name starts at these words: first word and, for two-word actions, the second (may be empty). NULL: none. */
const Action *action_find(Slice first, Slice second);
/* The usage line, made from the argument list: "reject [5NN] [5.x.y] [\"text\" ...]". */
Slice action_synopsis(Arena *arena, const Action *action);

#endif
