/*
 * evaluation.h: what the files of the evaluator share; nobody else includes it.
 *
 *   evaluate.c    an evaluation's life, the walk over the statements, deciding and collecting
 *   expression.c  conditions and values
 *   operators.c   comparing two values, ranges, regular expressions
 *   questions.c   look-ups: what was asked, what was answered, what may be asked now
 *   run.c         what actions may do
 *   variables.c   what is kept between phases
 *
 * A Run is the state of one walk; it starts empty each time and takes its memory from an arena that is emptied before each walk but the
 * first.
 */
#ifndef COMMON_RULES_EVALUATION_H
#define COMMON_RULES_EVALUATION_H

#include "common/rules/action.h"
#include "common/rules/evaluate.h"
#include "common/rules/run.h"
#include "common/rules/trace.h"

/* A condition's state. */
typedef enum Truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN, TRUTH_OPEN } Truth;

typedef struct Logic {
  Truth truth;
  const Failure *failures; /* of TRUTH_UNKNOWN */
} Logic;

#define LOGIC_FALSE ((Logic){TRUTH_FALSE, NULL})
#define LOGIC_TRUE ((Logic){TRUTH_TRUE, NULL})
#define LOGIC_OPEN ((Logic){TRUTH_OPEN, NULL})

static inline Logic logic_of(bool truth) {
  return (Logic){truth ? TRUTH_TRUE : TRUTH_FALSE, NULL};
}

typedef enum AskedState {
  ASKED_KNOWN,  /* a condition read it, but nobody is asked */
  ASKED_WANTED, /* this run wants it */
  ASKED_OUT,    /* somebody was asked */
  ASKED_DONE,   /* answered, or given up at the deadline (answer NULL) */
} AskedState;

/* One question of this evaluation; equal questions are one. Lives as long as the evaluation. */
typedef struct Asked {
  struct Asked *next; /* in its bucket */
  Question *question; /* a reference */
  Answer *answer;     /* a reference; NULL until it came */
  AskedState state;
  bool looked; /* the source of answers had none */
} Asked;

enum { ASKED_BUCKETS = 64 };

/* All that needs releasing, made when first needed: a phase without look-ups and regexes never has one. */
typedef struct Holdings {
  Asked *buckets[ASKED_BUCKETS];
  struct {
    bool done;
    ResourceVersion *version;
  } * pins; /* by index of the resource */
  size_t pin_count;
  Arena *scratch; /* of every run but the first */
} Holdings;

/* What `{1}` and `{dnslist.zone}` read, within one rule. */
typedef struct Details {
  Slice subject;             /* of the last match */
  const PCRE2_SIZE *offsets; /* pairs; NULL: nothing matched */
  uint32_t groups;
  const ResourceUse *list; /* that listed last; NULL: none */
  const Value *keys;
  ResourceAnswer listed;
} Details;

/* Where the quantifiers around a condition stand. */
typedef struct ElementFrame {
  const struct ElementFrame *outer;
  const Value *value;
} ElementFrame;

/* What a run's `group recipients` rules leave for evaluation_commit. */
typedef struct GroupNote {
  bool proposes[LIMIT_GROUP_RULES];
  uint64_t values[LIMIT_GROUP_RULES];
  uint64_t recipient;
  bool tells; /* the verdict sends the recipient away */
} GroupNote;

struct Run {
  Evaluation *evaluation;
  Arena *arena;
  Trace *trace;

  /* of the statement at hand */
  bool collecting;     /* look-ups that may be asked ahead, nothing else */
  bool variables_open; /* a statement that is not decided may set them */
  bool strict;         /* what has matches is decided left to right: captures must not depend on the order of arrival */
  bool details_open;   /* to the right of what is open in a strict condition */
  bool pure_open;      /* a look-up of the condition that is not stateful has no answer yet */
  Asked *stateful;     /* the first stateful look-up that the condition still needs */
  const Expression *condition; /* the statement's, where strict; may be NULL */
  Details details;
  const ElementFrame *element; /* of the innermost quantifier */

  /* of the whole run */
  const Failure *failures; /* all that failed, in order, newest last */
  const Failure **failures_tail;
  bool ended;
  bool fact_open;    /* a fact was open */
  bool doubt;        /* an accept or pass was unknown: a later 5xx or discard becomes 451 */
  const Rule *noted; /* the observed rule that left its note last */
  Verdict verdict;
  Effect *effects;
  size_t effect_count, effect_room;
  Value *values[SCOPE_RECIPIENT + 1]; /* copies of a scope's variables; NULL: none was set */
  bool *written[SCOPE_RECIPIENT + 1];
  Contribution *scores;
  size_t score_count, score_room;
  GroupNote *group_note; /* NULL: no such rule was performed */
};

struct Evaluation {
  Arena *arena;
  Ruleset *ruleset;
  const PhaseProgram *program;
  Session *session;
  Variables *variables;
  Phase phase;
  EvaluationOptions options;
  const char *expired; /* the reason; NULL: the deadline is ahead */
  Holdings *holdings;
  unsigned runs;
  size_t out;
  Asked **wanted;
  Question **questions; /* what was wanted last, for the caller */
  size_t wanted_count, wanted_room, question_room;
  MatchSpace *match_space; /* the caller's, or made when first needed */
  Run run;
};

/* ---- expression.c ---- */

Logic condition_decide(Run *run, const Expression *expression);
/* The same where nothing is traced. */
Logic condition_decide_plain(Run *run, const Expression *expression);
/* Never NULL: a literal, a fact, a variable, or *scratch. */
const Value *expression_value(Run *run, const Expression *expression, Value *scratch);
/* Reads it only for the look-ups that may be asked ahead. */
void expression_collect(Run *run, const Expression *expression);
/* A template's text, or any value's; unknown parts as "?". */
Slice expression_text(Run *run, const Expression *expression);

/* ---- operators.c ---- */

/* Both set and of types that meet; lists are the caller's. */
bool values_compare(CompareOperator operator, const Value * left, const Value *right);
bool value_in_range(const Value *value, const Value *low, const Value *high);
bool value_is_under(const Value *value, const Value *parent);
/* UNKNOWN when a limit was exceeded. Leaves captures in the run's details where the rule wants them. */
Logic value_matches(Run *run, const Value *value, const Regex *regex);

/* ---- questions.c ---- */

/* Where the wanted look-ups stood, to go back to when what they were for turns out to be decided. */
typedef struct AskMark {
  size_t wanted;
  bool pure_open;
  Asked *stateful;
} AskMark;

static inline AskMark ask_mark(const Run *run) {
  return (AskMark){run->evaluation->wanted_count, run->pure_open, run->stateful};
}
void ask_back(Run *run, const AskMark *mark);

typedef enum LookupState { LOOKUP_ANSWERED, LOOKUP_UNKNOWN, LOOKUP_OPEN } LookupState;

/* `keys` are set values of the shape's types. ANSWERED: *result; UNKNOWN: *failures. */
LookupState lookup_find(Run *run, const ResourceUse *use, const Value *keys, ResourceAnswer *result, const Failure **failures);
/* The list's own text of what listed last in this rule. */
LookupState lookup_text(Run *run, Slice *text, const Failure **failures);
/* The end of a condition or of a rule's arguments that came out open: asks its stateful look-up when that is due. */
void ask_stateful(Run *run);
/* Both lists, without doubles. */
const Failure *failures_union(Arena *arena, const Failure *first, const Failure *second);
/* A failure. It is told in the verdict when a condition, a value or a text is unknown for it (run_tell_failures), and not where another part decides. */
const Failure *run_failure(Run *run, Slice lookup, Slice reason, ErrorBehaviour on_error);
/* What made a condition, a value or a text unknown; it may come with a variable from an earlier phase. */
void run_tell_failures(Run *run, const Failure *failures);
void questions_begin_run(Evaluation *evaluation);
/* The holdings, made when first needed. */
Holdings *evaluation_holdings(Evaluation *evaluation);
Asked *asked_find(const Evaluation *evaluation, const Question *question);

/* ---- run.c ---- */

const Value *run_variable(Run *run, const VariableInfo *info);
double run_total(Run *run, uint32_t score);
/* 451 4.3.0 because a look-up failed. */
void run_fail(Run *run, Slice rule);
/* What an unknown condition does: the rule's own word, else that of what failed. Never DEFAULT. */
ErrorBehaviour unknown_behaviour(ErrorBehaviour own, const Failure *failures);
/* The rule's condition is unknown; true when it counts as true. */
bool run_unknown_condition(Run *run, const Rule *rule, const Failure *failures);

#endif
