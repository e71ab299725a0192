/*
 * run.h: what an action may do to the run that performs it. For common/rules/action/.
 */
#ifndef COMMON_RULES_RUN_H
#define COMMON_RULES_RUN_H

#include "common/rules/check.h"
#include "common/rules/evaluate.h"

typedef struct Run Run;

Arena *run_arena(Run *run);
Phase run_phase(const Run *run);
/* Values of the rule's arguments: never open here. Borrowed until the run ends. */
Value run_value(Run *run, const Expression *expression);
/* A template's text: unset prints as nothing, unknown as "?". */
Slice run_text(Run *run, const Expression *expression);
/* Makes the reply of a plan: texts expanded. */
Reply run_reply(Run *run, const ReplyPlan *plan, Outcome outcome);

/* The phase ends with this verdict (outcome, accept_scope, reply, discard_why are read). An observed rule only leaves a note. */
void run_end(Run *run, const Rule *rule, const Verdict *verdict);
void run_effect(Run *run, const Rule *rule, const Effect *effect);
/*
 * For an action that cannot do without an argument's value (`check`): the value is unknown. Does what an unknown condition of the rule
 * does: ends the phase by failure, or nothing; with `on error match` nothing too, since there is nothing to match.
 */
void run_unknown(Run *run, const Rule *rule, const Value *value);
/* The same for an action that only has an effect: true when the phase has ended by failure (or, observed, would have). */
bool run_unknown_ends(Run *run, const Rule *rule, const Value *value);
/*
 * group recipients: does the recipient at hand have the value of its message's group? It is the group's first value where there is none yet
 * and the recipient is accepted. One that differs is sent away once a message.
 */
typedef enum GroupAnswer { GROUP_SAME, GROUP_DIFFERS, GROUP_CAME_AGAIN } GroupAnswer;
GroupAnswer run_group(Run *run, uint32_t group, const Value *value);
/* run_end for a recipient that is sent away. */
void run_end_group(Run *run, const Rule *rule, const Verdict *verdict);
void run_set(Run *run, const Rule *rule, const VariableInfo *variable, Value value);
void run_score(Run *run, const Rule *rule, Scope scope, uint32_t name, double amount);

#endif
