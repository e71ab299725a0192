/*
 * score.c: adds to a score.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_WORD, true, false, "message"},
    {ARGUMENT_NAME, true, false, "name"},
    {ARGUMENT_NUMBER, false, false, "number"},
    {ARGUMENT_END, false, false, NULL},
};

typedef struct ScorePlan {
  Scope scope;
  uint32_t name;
  double amount;
} ScorePlan;

static Scope scope_at(Phase phase, bool of_message) {
  if (phase == PHASE_RCPT && !of_message)
    return SCOPE_RECIPIENT;
  return (PHASES_MESSAGE & PHASE_BIT(phase)) != 0 ? SCOPE_MESSAGE : SCOPE_SESSION;
}

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  const ArgumentNode *message = action_argument(node, 0, 0), *name = action_argument(node, 1, 0);
  const Node *number = action_argument(node, 2, 0)->expression;
  Phase phase = checker_phase(checker);
  (void)rule;
  if (message && (PHASES_MESSAGE & PHASE_BIT(phase)) == 0) {
    Diagnostic *told = diagnostics_error(checker_diagnostics(checker), message->span, "there is no message at %s", phase_name(phase));
    diagnostic_expected(checker_diagnostics(checker), told, "expected `score` without \"message\": it is the session's here");
    return false;
  }
  ScorePlan *score = ARENA_NEW(checker_arena(checker), ScorePlan);
  score->scope = scope_at(phase, message != NULL);
  score->name = check_score_name(checker, name ? name->word : SLICE_EMPTY);
  score->amount = number->kind == NODE_DECIMAL ? number->decimal : (double)number->number;
  *plan = score;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  const ScorePlan *score = plan;
  run_score(run, rule, score->scope, score->name, score->amount);
}

const Action action_score = {
    .name = "score",
    .sentence = "adds to a score, once a scope for each rule; tested as score and score.NAME",
    .phases = PHASES_ALL,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "score bulk 2.5",
    .compile = compile,
    .perform = perform,
};
