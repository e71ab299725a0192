/*
 * discard_message.c: the message is taken and thrown away.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "why"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_end(run, rule, &(Verdict){.outcome = OUTCOME_DISCARD, .discard_why = run_text(run, plan)});
}

const Action action_discard_message = {
    .name = "discard message",
    .sentence = "takes the message and throws it away, for every recipient",
    .phases = PHASES_MESSAGE,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "discard message \"backscatter\"",
    .compile = check_text_action,
    .perform = perform,
};
