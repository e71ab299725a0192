/*
 * reject.c: a 5xx reply.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_CODE, true, false, "5NN"},
    {ARGUMENT_ENHANCED, true, false, "5.x.y"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  ReplyPlan *reply = ARENA_NEW(checker_arena(checker), ReplyPlan);
  if (!check_reply(checker, node, 0, 1, 2, OUTCOME_REJECT, reply))
    return false;
  for (size_t i = 0; i < reply->line_count; i++)
    check_add_argument(checker, rule, reply->lines[i]);
  *plan = reply;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_end(run, rule, &(Verdict){.outcome = OUTCOME_REJECT, .reply = run_reply(run, plan, OUTCOME_REJECT)});
}

const Action action_reject = {
    .name = "reject",
    .sentence = "answers with a 5xx reply: the client gives up",
    .phases = PHASES_ALL,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "reject 550 5.7.1 \"{client_address} is not welcome here\"",
    .compile = compile,
    .perform = perform,
};
