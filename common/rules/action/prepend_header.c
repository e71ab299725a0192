/*
 * prepend_header.c: a header in front of the message.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "name"},
    {ARGUMENT_TEXT, false, false, "value"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_prepend_header = {
    .name = "prepend header",
    .sentence = "puts a header in front of the message, once a message",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "prepend header \"X-Policy\" \"seen by {server_name}\"",
};
