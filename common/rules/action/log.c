/*
 * log.c: a line in the log.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "text"},
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
  run_effect(run, rule, &(Effect){.kind = EFFECT_LOG, .as.log_text = run_text(run, plan)});
}

const Action action_log = {
    .name = "log",
    .sentence = "writes a line to the log",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "log \"{client_address} comes without a name\"",
    .compile = compile,
    .perform = perform,
};
