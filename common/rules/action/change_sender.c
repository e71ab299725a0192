/*
 * change_sender.c: another envelope sender.
 */
#include "common/rules/action_address.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_ADDRESS, false, false, "address"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  address_action_perform(run, rule, plan, EFFECT_CHANGE_SENDER);
}

const Action action_change_sender = {
    .name = "change sender",
    .sentence = "gives the message another envelope sender; <> is the null sender",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "change sender \"bounces@example.org\"",
    .compile = sender_action_compile,
    .perform = perform,
};
