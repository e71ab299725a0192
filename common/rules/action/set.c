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

const Action action_set = {
    .name = "set",
    .sentence = "gives a variable of the session, the message or the recipient a value",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "set session.inside = client_address in 10.0.0.0/8",
};
