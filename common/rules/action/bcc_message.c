/*
 * bcc_message.c: a copy of the message.
 */
#include "common/rules/action_address.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "address"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  address_action_perform(run, rule, plan, EFFECT_BCC_MESSAGE);
}

const Action action_bcc_message = {
    .name = "bcc message",
    .sentence = "sends a copy of the message to this address",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "bcc message \"archive@example.org\"",
    .compile = address_action_compile,
    .perform = perform,
};
