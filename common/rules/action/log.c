/*
 * log.c: a line in the log.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "text"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_log = {
    .name = "log",
    .sentence = "writes a line to the log",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "log \"{client_address} comes without a name\"",
};
