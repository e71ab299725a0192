/*
 * delay.c: answers later.
 */
#include "common/rules/run.h"
#include "common/base/limits.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_DURATION, false, false, "time"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  const ArgumentNode *argument = action_argument(node, 0, 0);
  int64_t seconds = argument->expression->number;
  (void)rule;
  if (seconds > LIMIT_DEADLINE_MS / 1000) {
    Diagnostic *told = diagnostics_error(checker_diagnostics(checker), argument->span, "the MTA does not wait that long for an answer");
    diagnostic_expected(checker_diagnostics(checker), told, "expected at most %ds, the deadline of an answer", LIMIT_DEADLINE_MS / 1000);
    return false;
  }
  int64_t *delay_ms = ARENA_NEW(checker_arena(checker), int64_t);
  *delay_ms = seconds * 1000;
  *plan = delay_ms;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_effect(run, rule, &(Effect){.kind = EFFECT_DELAY, .as.delay_ms = *(const int64_t *)plan});
}

const Action action_delay = {
    .name = "delay",
    .sentence = "answers later; the deadline of the answer includes it",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "delay 2s",
    .compile = compile,
    .perform = perform,
};
