/*
 * discard_message.c: the message is taken and thrown away.
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
    .compile = compile,
    .perform = perform,
};
