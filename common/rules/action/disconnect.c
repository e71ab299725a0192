/*
 * disconnect.c: 421 or 521, said at once, then the connection is closed.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_CODE, true, false, "421|521"},
    {ARGUMENT_ENHANCED, true, false, "x.y.z"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  ReplyPlan *reply = ARENA_NEW(checker_arena(checker), ReplyPlan);
  if (!check_reply(checker, node, 0, 1, 2, OUTCOME_DISCONNECT, reply))
    return false;
  for (size_t i = 0; i < reply->line_count; i++)
    check_add_argument(checker, rule, reply->lines[i]);
  *plan = reply;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_end(run, rule, &(Verdict){.outcome = OUTCOME_DISCONNECT, .reply = run_reply(run, plan, OUTCOME_DISCONNECT)});
}

const Action action_disconnect = {
    .name = "disconnect",
    .sentence = "answers with 421 or 521 at once and closes the connection",
    .phases = PHASES_ALL,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "disconnect 421 4.7.0 \"too many connections\"",
    .compile = compile,
    .perform = perform,
};
