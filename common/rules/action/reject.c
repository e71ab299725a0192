/*
 * reject.c: a 5xx reply.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_CODE, true, false, "5NN"},
    {ARGUMENT_ENHANCED, true, false, "5.x.y"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_reject = {
    .name = "reject",
    .sentence = "answers with a 5xx reply: the client gives up",
    .phases = PHASES_ALL,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "reject 550 5.7.1 \"{client_address} is not welcome here\"",
};
