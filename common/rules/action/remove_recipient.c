/*
 * remove_recipient.c: one recipient less.
 */
#include "common/rules/action_address.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "address"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  address_action_perform(run, rule, plan, EFFECT_REMOVE_RECIPIENT);
}

const Action action_remove_recipient = {
    .name = "remove recipient",
    .sentence = "sends the message to one recipient less, of those that were accepted",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "remove recipient \"former@example.org\"",
    .compile = address_action_compile,
    .perform = perform,
};
