/*
 * append_header.c: a header behind the others.
 */
#include "common/rules/action_header.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "name"},
    {ARGUMENT_TEXT, false, false, "value"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  return header_action_compile(checker, node, rule, &(HeaderArguments){0, -1, -1, 1}, plan);
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  header_action_perform(run, rule, plan, EFFECT_APPEND_HEADER);
}

const Action action_append_header = {
    .name = "append header",
    .sentence = "puts a header behind all others of the message, once a message",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "append header \"X-Policy\" \"seen by {server_name}\"",
    .compile = compile,
    .perform = perform,
};
