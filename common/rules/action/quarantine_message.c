/*
 * quarantine_message.c: the message is held in the queue of the MTA.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "why"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  const Expression *text = check_template(checker, action_argument(node, 0, 0)->expression);
  if (!text)
    return false;
  check_add_argument(checker, rule, text);
  *plan = (void *)text;
  return true;
}

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
    .compile = compile,
    .perform = perform,
};
