/*
 * set.c: gives a variable a value.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_VARIABLE, false, false, "session.x|message.x|recipient.x"},
    {ARGUMENT_EQUALS, false, false, "="},
    {ARGUMENT_EXPRESSION, false, false, "value"},
    {ARGUMENT_END, false, false, NULL},
};

typedef struct SetPlan {
  const VariableInfo *variable;
  const Expression *value;
} SetPlan;

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  SetPlan *set = ARENA_NEW(checker_arena(checker), SetPlan);
  set->variable = check_assignment(checker, action_argument(node, 0, 0), action_argument(node, 2, 0)->expression, &set->value);
  if (!set->variable)
    return false;
  check_add_argument(checker, rule, set->value);
  *plan = set;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  const SetPlan *set = plan;
  run_set(run, rule, set->variable, run_value(run, set->value));
}

const Action action_set = {
    .name = "set",
    .sentence = "gives a variable of the session, the message or the recipient a value",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "set session.inside = client_address in 10.0.0.0/8",
    .compile = compile,
    .perform = perform,
};
