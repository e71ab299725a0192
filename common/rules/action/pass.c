/*
 * pass.c: the phase has nothing more to say.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  (void)checker, (void)node, (void)rule, (void)plan;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  (void)plan;
  run_end(run, rule, &(Verdict){.outcome = OUTCOME_PASS});
}

const Action action_pass = {
    .name = "pass",
    .sentence = "nothing more to say in this phase",
    .phases = PHASES_ALL,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "pass",
    .compile = compile,
    .perform = perform,
};
