/*
 * evaluate.h: program + facts -> verdict, without blocking and without performing anything.
 *
 * One Evaluation answers one phase of one session. A run takes the facts and answers there are and returns a verdict, or the
 * look-ups that it wants; when answers are in, run again:
 *
 *     while (evaluation_run(e) == EVALUATION_WAITS) {
 *       ask evaluation_wanted(e), wait for answers, give each to evaluation_answer(e, ...)   (or evaluation_expire)
 *     }
 *     evaluation_verdict(e); evaluation_commit(e);
 *
 * Each run starts with the variables as they were when the phase began and with no effects; only the last run's count. Answers, the
 * clock and pinned table versions stay fixed for the phase. In front of the first open rule, rules decide; behind it a run only collects
 * look-ups of class AHEAD, as far as the first rule that is surely true and ends the phase, at most LIMIT_ASKED_AHEAD out at once.
 * Any order of arrival gives the verdict, the effects and the stateful look-ups of asking one after the other.
 *
 * A fact may be open (VALUE_OPEN: the message has not come so far): what reads it waits as for an answer. A run that waits for facts alone wants no look-up;
 * when more facts are in, run again. Facts that were set once must stay as they are.
 *
 * Confined to a thread; everything lives in the arena given to evaluation_new, and goes with it.
 */
#ifndef COMMON_RULES_EVALUATE_H
#define COMMON_RULES_EVALUATE_H

#include "common/rules/program.h"
#include "common/rules/variables.h"
#include "common/smtp/session.h"
#include "common/smtp/verdict.h"

typedef struct Evaluation Evaluation;
typedef struct Trace Trace; /* trace.h */

/*
 * What regular expressions need while they match. A caller that evaluates all the time makes one and gives it to one evaluation after the other; without
 * it an evaluation makes its own in its arena. Confined.
 */
typedef struct MatchSpace MatchSpace;
MatchSpace *match_space_new(void);
void match_space_free(MatchSpace *space); /* takes NULL */

typedef enum EvaluationState { EVALUATION_DECIDED, EVALUATION_WAITS } EvaluationState;

typedef struct EvaluationOptions {
  bool here_only;   /* look-ups of class HERE only; a rule that needs another stops the run with OUTCOME_PASS (held refusals) */
  bool observe_all; /* every rule as if observed (doors that do not own the phase): variables only */
  bool walk;        /* all statements are read, though there is an index; a trace does the same: it tells of each */
  Trace *trace;     /* NULL: nothing is recorded */
  MatchSpace *match_space; /* borrowed; may be NULL */
  AnswerSource answers; /* what is there already is taken inside the run, and never wanted */
} EvaluationOptions;

/* `variables` must be for `ruleset`. Release functions on the arena drop pins and questions. */
Evaluation *evaluation_new(Arena *arena, Ruleset *ruleset, Phase phase, Session *session, Variables *variables,
                           const EvaluationOptions *options);
EvaluationState evaluation_run(Evaluation *evaluation);
/* What the last run wants and nobody was asked yet. Borrowed; ask all of them. After this they count as out. */
Question *const *evaluation_wanted(Evaluation *evaluation, size_t *count);
/* Gives an answer; takes a reference. Answers to questions that are not out are ignored. */
void evaluation_answer(Evaluation *evaluation, const Question *question, Answer *answer);
/* The deadline: every look-up without an answer, now and later, has failed with this reason (static text). Then run again: it will be decided. */
void evaluation_expire(Evaluation *evaluation, const char *reason);
/* True when the last run waits for facts that are open: answers alone, and the deadline, do not decide it. */
bool evaluation_misses_facts(const Evaluation *evaluation);
/* True when questions are out. */
bool evaluation_is_waiting(const Evaluation *evaluation);
/* After EVALUATION_DECIDED. Lives in the arena. */
const Verdict *evaluation_verdict(const Evaluation *evaluation);
/* Writes the last run's variables and scores back. */
void evaluation_commit(Evaluation *evaluation);

#endif
