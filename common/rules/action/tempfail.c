/*
 * tempfail.c: a 4xx reply.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_CODE, true, false, "4NN"},
    {ARGUMENT_ENHANCED, true, false, "4.x.y"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_tempfail = {
    .name = "tempfail",
    .sentence = "answers with a 4xx reply: the client tries again later",
    .phases = PHASES_ALL & (PhaseSet)~PHASE_BIT(PHASE_VRFY),
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "tempfail 451 4.7.1 \"try again later\"",
};
