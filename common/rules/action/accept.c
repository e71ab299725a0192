/*
 * accept.c: no more rules for a recipient, a message or a connection.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_WORD, true, false, "recipient message session"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_accept = {
    .name = "accept",
    .sentence = "no more rules for this recipient, this message or this connection",
    .phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_HELO) | PHASES_MESSAGE,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "accept session",
};
