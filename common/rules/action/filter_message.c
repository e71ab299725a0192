/*
 * filter_message.c: a content filter of Postfix.
 */
#include "common/rules/action_address.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "transport:destination"},
    {ARGUMENT_END, false, false, NULL},
};

static void perform(Run *run, const Rule *rule, const void *plan) {
  filter_action_perform(run, rule, plan);
}

const Action action_filter_message = {
    .name = "filter message",
    .sentence = "sends the message through a content filter of Postfix, as FILTER of access(5)",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_POLICY),
    .arguments = arguments,
    .example = "filter message \"smtp:[127.0.0.1]:10025\"",
    .compile = filter_action_compile,
    .perform = perform,
};
