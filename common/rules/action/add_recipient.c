/*
 * add_recipient.c: one recipient more.
 */
#include "common/rules/action_address.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "address"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  address_action_perform(run, rule, plan, EFFECT_ADD_RECIPIENT);
}

const Action action_add_recipient = {
    .name = "add recipient",
    .sentence = "sends the message to one recipient more",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "add recipient \"archive@example.org\"",
    .compile = address_action_compile,
    .perform = perform,
};
