/*
 * check.h: tree -> program: names, types, phases, replies, reachability; what actions use to compile themselves.
 */
#ifndef COMMON_RULES_CHECK_H
#define COMMON_RULES_CHECK_H

#include "common/rules/action.h"
#include "common/rules/program.h"

typedef struct Checker Checker;

/* What a reply-giving action keeps. Missing parts are filled with the phase's defaults (LANGUAGE section 4). */
typedef struct ReplyPlan {
  uint16_t code;
  EnhancedCode enhanced;
  const Expression *const *lines; /* templates */
  size_t line_count;              /* 0: the default text */
} ReplyPlan;

Arena *checker_arena(Checker *checker); /* of the ruleset */
Diagnostics *checker_diagnostics(Checker *checker);
Phase checker_phase(const Checker *checker); /* the phase that is being compiled */
DoorSet checker_doors(const Checker *checker);
bool checker_pedantic(const Checker *checker);

/* The argument at `spec` of the action's list, the `nth` of repeated ones; NULL when it was left out. */
const ArgumentNode *action_argument(const ActionNode *node, size_t spec, size_t nth);
size_t action_argument_count(const ActionNode *node, size_t spec);

/* Compiles a value of any type, or (check_expression_as) one that meets `type`, reading quoted strings as it. NULL after an error. */
const Expression *check_expression(Checker *checker, const Node *node);
const Expression *check_expression_as(Checker *checker, const Node *node, ValueType type);
/* A quoted string as text with templates. */
const Expression *check_template(Checker *checker, const Node *node);
/* A text that stands in no rule; it must live as long as the ruleset. */
const Expression *check_literal(Checker *checker, Slice text);
/* A condition: bool. */
const Expression *check_condition(Checker *checker, const Node *node);
/* A map by name with its keys ("T[expr]"); NULL after an error. The value type must be `value`. */
const Expression *check_index(Checker *checker, const Node *node, ValueType value);
/* Code, enhanced code and texts of an action (any may be missing) against its outcome and phase: told and false when they contradict. */
bool check_reply(Checker *checker, const ActionNode *node, size_t code_spec, size_t enhanced_spec, size_t text_spec, Outcome outcome,
                 ReplyPlan *plan);
/* A variable and what is put into it: the first `set` in the file gives the type, literals are read as it. NULL after an error. */
const VariableInfo *check_assignment(Checker *checker, const ArgumentNode *variable, const Node *value, const Expression **expression);
/* The slot of a score, made at first use; the empty name is the plain score. */
uint32_t check_score_name(Checker *checker, Slice name);

/* A number of its own for a rule that groups recipients; false, and told, past LIMIT_GROUP_RULES. */
bool check_group(Checker *checker, const ActionNode *node, uint32_t *group);

/* Adds an expression that must be decided before the action is performed. */
void check_add_argument(Checker *checker, Rule *rule, const Expression *expression);
/* `compile` of an action whose only argument is a text: the plan is that Expression. */
bool check_text_action(Checker *checker, const ActionNode *node, Rule *rule, void **plan);

/* The defaults: code, enhanced code and text of an outcome at a phase. */
EnhancedCode reply_enhanced(uint16_t code); /* what goes with a code that stands alone */
void reply_default(Outcome outcome, Phase phase, uint16_t *code, EnhancedCode *enhanced, Slice *text);

#endif
