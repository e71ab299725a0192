/*
 * log.c: a line in the log.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "text"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_effect(run, rule, &(Effect){.kind = EFFECT_LOG, .as.log_text = run_text(run, plan)});
}

const Action action_log = {
    .name = "log",
    .sentence = "writes a line to the log",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "log \"{client_address} comes without a name\"",
    .compile = check_text_action,
    .perform = perform,
};
