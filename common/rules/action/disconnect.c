/*
 * disconnect.c: 421 or 521, said at once, then the connection is closed.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_CODE, true, false, "421|521"},
    {ARGUMENT_ENHANCED, true, false, "x.y.z"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_disconnect = {
    .name = "disconnect",
    .sentence = "answers with 421 or 521 at once and closes the connection",
    .phases = PHASES_ALL,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "disconnect 421 4.7.0 \"too many connections\"",
};
