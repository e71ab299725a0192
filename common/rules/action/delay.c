/*
 * delay.c: answers later.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_DURATION, false, false, "time"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_delay = {
    .name = "delay",
    .sentence = "answers later; the deadline of the answer includes it",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "delay 2s",
};
