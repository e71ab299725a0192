/*
 * score.c: adds to a score.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_WORD, true, false, "message"},
    {ARGUMENT_NAME, true, false, "name"},
    {ARGUMENT_NUMBER, false, false, "number"},
    {ARGUMENT_END, false, false, NULL},
};

const Action action_score = {
    .name = "score",
    .sentence = "adds to a score, once a scope for each rule; tested as score and score.NAME",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "score bulk 2.5",
};
