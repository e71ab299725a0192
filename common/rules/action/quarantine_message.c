/*
 * quarantine_message.c: the message is held in the queue of the MTA.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "why"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_effect(run, rule, &(Effect){.kind = EFFECT_QUARANTINE_MESSAGE, .as.why = run_text(run, plan)});
}

const Action action_quarantine_message = {
    .name = "quarantine message",
    .sentence = "holds the message in the MTA's queue, for every recipient",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "quarantine message \"sender on watch\"",
    .compile = check_text_action,
    .perform = perform,
};
