/*
 * tempfail.c: a 4xx reply.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_CODE, true, false, "4NN"},
    {ARGUMENT_ENHANCED, true, false, "4.x.y"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  ReplyPlan *reply = ARENA_NEW(checker_arena(checker), ReplyPlan);
  if (!check_reply(checker, node, 0, 1, 2, OUTCOME_TEMPFAIL, reply))
    return false;
  for (size_t i = 0; i < reply->line_count; i++)
    check_add_argument(checker, rule, reply->lines[i]);
  *plan = reply;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_end(run, rule, &(Verdict){.outcome = OUTCOME_TEMPFAIL, .reply = run_reply(run, plan, OUTCOME_TEMPFAIL)});
}

const Action action_tempfail = {
    .name = "tempfail",
    .sentence = "answers with a 4xx reply: the client tries again later",
    .phases = PHASES_ALL & (PhaseSet)~PHASE_BIT(PHASE_VRFY),
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "tempfail 451 4.7.1 \"try again later\"",
    .compile = compile,
    .perform = perform,
};
