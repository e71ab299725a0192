/*
 * replace_header.c: another text for a header.
 */
#include "common/rules/action_header.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "name"},  {ARGUMENT_NUMBER, true, false, "nth"}, {ARGUMENT_WORD, true, false, "last"},
    {ARGUMENT_TEXT, false, false, "value"}, {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  return header_action_compile(checker, node, rule, &(HeaderArguments){0, 1, 2, 3}, plan);
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  header_action_perform(run, rule, plan, EFFECT_REPLACE_HEADER);
}

const Action action_replace_header = {
    .name = "replace header",
    .sentence =
        "gives the nth header of a name, as the client sent them, another text, where there is one; without a number all of the name "
        "become one, and where there is none it is added",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "replace header \"Subject\" \"seen by {server_name}\"",
    .compile = compile,
    .perform = perform,
};
