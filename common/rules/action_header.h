/*
 * action_header.h: what the actions on header fields share. For common/rules/action/.
 */
#ifndef COMMON_RULES_ACTION_HEADER_H
#define COMMON_RULES_ACTION_HEADER_H

#include "common/rules/run.h"

/* Actions whose plan is a HeaderPlan, for doors that have to know which headers rules may change. */
extern const Action action_replace_header, action_delete_header;

typedef struct HeaderPlan {
  Slice name;
  int nth;                 /* from 1; HEADER_ALL, HEADER_LAST */
  const Expression *value; /* NULL: none */
} HeaderPlan;

/* Where an action of this kind has its arguments; -1: it has none of them. */
typedef struct HeaderArguments {
  int name, number, last, value;
} HeaderArguments;

/* `compile`: the plan is a HeaderPlan. */
bool header_action_compile(Checker *checker, const ActionNode *node, Rule *rule, const HeaderArguments *at, void **plan);
void header_action_perform(Run *run, const Rule *rule, const void *plan, EffectKind kind);

#endif
