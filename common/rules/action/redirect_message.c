/*
 * redirect_message.c: another recipient in place of all.
 */
#include "common/rules/action_address.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "address"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  address_action_perform(run, rule, plan, EFFECT_REDIRECT_MESSAGE);
}

const Action action_redirect_message = {
    .name = "redirect message",
    .sentence = "sends the message to this address in place of all its recipients",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "redirect message \"postmaster@example.org\"",
    .compile = address_action_compile,
    .perform = perform,
};
