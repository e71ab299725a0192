/*
 * delete_header.c: a header less.
 */
#include "common/rules/action_header.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "name"},
    {ARGUMENT_NUMBER, true, false, "nth"},
    {ARGUMENT_WORD, true, false, "last"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  return header_action_compile(checker, node, rule, &(HeaderArguments){0, 1, 2, -1}, plan);
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  header_action_perform(run, rule, plan, EFFECT_DELETE_HEADER);
}

const Action action_delete_header = {
    .name = "delete header",
    .sentence = "takes the nth header of a name, as the client sent them, out of the message; without a number all of the name",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "delete header \"X-Spam-Status\"",
    .compile = compile,
    .perform = perform,
};
