/*
 * action_address.h: what the actions on the envelope share: an address, or the next hop of a filter, that is read after its templates are
 * filled in. For common/rules/action/.
 */
#ifndef COMMON_RULES_ACTION_ADDRESS_H
#define COMMON_RULES_ACTION_ADDRESS_H

#include "common/rules/run.h"

/* `compile` of an action whose only argument is an address: what is no address whatever the facts are is told. */
bool address_action_compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan);
/* The same where the null sender is good too. */
bool sender_action_compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan);
/*
 * The effect with its address. Where the text came to no address the effect is left out, and EFFECT_UNDONE says so; a part that is unknown
 * does what the failed look-up says (on error).
 */
void address_action_perform(Run *run, const Rule *rule, const void *plan, EffectKind kind);

/* transport:destination, the same way. */
bool filter_action_compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan);
void filter_action_perform(Run *run, const Rule *rule, const void *plan);

#endif
