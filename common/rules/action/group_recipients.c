/*
 * group_recipients.c: the recipients of a message are of one group; those of others are sent away for a message of their own.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_WORD, false, false, "by"},
    {ARGUMENT_EXPRESSION, false, false, "value"},
    {ARGUMENT_TEXT, true, true, "text"},
    {ARGUMENT_END, false, false, NULL},
};

typedef struct GroupPlan {
  uint32_t group;
  const Expression *value;
  ReplyPlan reply;
} GroupPlan;

/* A client that is told 452 keeps the recipient for another transaction (RFC 5321 4.5.3.1.10). */
enum { GROUP_CODE = 452 };

static bool is_group_type(ValueType type) {
  return type != TYPE_LIST && type != TYPE_ACTION && type != TYPE_RECORD;
}

static bool compile_value(Checker *checker, const ArgumentNode *argument, GroupPlan *plan) {
  plan->value = check_expression(checker, argument->expression);
  if (!plan->value)
    return false;
  if (is_group_type(plan->value->type))
    return true;
  Diagnostic *told =
      diagnostics_error(checker_diagnostics(checker), argument->span, "recipients are not grouped by a value of several parts");
  diagnostic_expected(checker_diagnostics(checker), told, "expected one value of each recipient: recipient.domain, T[recipient]");
  return false;
}

static bool compile_reply(Checker *checker, const ActionNode *node, Rule *rule, ReplyPlan *reply) {
  enum { NO_ARGUMENT = 3, TEXT = 2 };
  if (!check_reply(checker, node, NO_ARGUMENT, NO_ARGUMENT, TEXT, OUTCOME_TEMPFAIL, reply))
    return false;
  reply->code = GROUP_CODE;
  reply->enhanced = (EnhancedCode){4, 5, 3};
  if (reply->line_count == 0) {
    const Expression **line = ARENA_NEW(checker_arena(checker), const Expression *);
    *line = check_literal(checker, SLICE_LITERAL("one group of recipients a message: send this one in a message of its own"));
    reply->lines = line;
    reply->line_count = 1;
  }
  for (size_t i = 0; i < reply->line_count; i++)
    check_add_argument(checker, rule, reply->lines[i]);
  return true;
}

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  if (!(node->action->phases & PHASE_BIT(checker_phase(checker))))
    return false; /* told */
  GroupPlan *group = ARENA_NEW(checker_arena(checker), GroupPlan);
  bool good = compile_value(checker, action_argument(node, 1, 0), group);
  good &= compile_reply(checker, node, rule, &group->reply);
  good &= check_group(checker, node, &group->group);
  check_add_argument(checker, rule, group->value);
  *plan = group;
  return good;
}

static void let_through(Run *run, const Rule *rule) {
  run_effect(run, rule,
             &(Effect){.kind = EFFECT_LOG,
                       .as.log_text = SLICE_LITERAL("the recipient came again in the message that it was sent away from: let through")});
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  const GroupPlan *group = plan;
  Value value = run_value(run, group->value);
  if (value.state == VALUE_UNKNOWN) {
    (void)run_unknown_ends(run, rule, &value);
    return;
  }
  switch (run_group(run, group->group, &value)) {
    case GROUP_SAME:
      return;
    case GROUP_CAME_AGAIN:
      let_through(run, rule);
      return;
    case GROUP_DIFFERS:
      run_end_group(run, rule, &(Verdict){.outcome = OUTCOME_TEMPFAIL, .reply = run_reply(run, &group->reply, OUTCOME_TEMPFAIL)});
      return;
  }
  g_assert_not_reached();
}

const Action action_group_recipients = {
    .name = "group recipients",
    .sentence =
        "answers 452 4.5.3 to a recipient whose value is not that of the message's first accepted one, so that the client sends it a "
        "message of its own; one that comes again in the same message is let through",
    .phases = PHASE_BIT(PHASE_RCPT),
    .ends_phase = false,
    .doors = DOOR_BIT(DOOR_POLICY) | DOOR_BIT(DOOR_MILTER),
    .arguments = arguments,
    .example = "group recipients by recipient.domain",
    .compile = compile,
    .perform = perform,
};
