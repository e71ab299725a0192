/*
 * check.c: the value of an action map decides.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_INDEX, false, false, "T[key]"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_check = {
    .name = "check",
    .sentence = "does what the value of a map of actions says",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "check access[client_address]",
};
