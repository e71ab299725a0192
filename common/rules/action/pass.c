/*
 * pass.c: the phase has nothing more to say.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_END, false, false, NULL},
};

const Action action_pass = {
    .name = "pass",
    .sentence = "nothing more to say in this phase",
    .phases = PHASES_ALL,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "pass",
};
