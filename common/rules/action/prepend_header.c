/*
 * prepend_header.c: a header in front of the message.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_TEXT, false, false, "name"},
    {ARGUMENT_TEXT, false, false, "value"},
    {ARGUMENT_END, false, false, NULL},
};

typedef struct HeaderPlan {
  Slice name;
  const Expression *value;
} HeaderPlan;

/* RFC 5322 3.6.8: printable ASCII but the colon. */
static bool is_field_name(Slice name) {
  for (size_t i = 0; i < name.length; i++)
    if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
      return false;
  return name.length > 0;
}

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  HeaderPlan *header = ARENA_NEW(checker_arena(checker), HeaderPlan);
  const ArgumentNode *argument = action_argument(node, 0, 0);
  const Expression *name = check_template(checker, argument->expression);
  header->value = check_template(checker, action_argument(node, 1, 0)->expression);
  if (!name || !header->value)
    return false;
  if (name->kind != EXPRESSION_LITERAL || !is_field_name(name->as.literal.as.text)) {
    Diagnostic *told = diagnostics_error(checker_diagnostics(checker), argument->span, "this cannot be the name of a header");
    diagnostic_expected(checker_diagnostics(checker), told, "expected printable ASCII without blanks, colon or templates: \"X-Policy\"");
    return false;
  }
  header->name = name->as.literal.as.text;
  check_add_argument(checker, rule, header->value);
  *plan = header;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  const HeaderPlan *header = plan;
  Effect effect = {.kind = EFFECT_PREPEND_HEADER};
  effect.as.header.name = header->name;
  effect.as.header.value = run_text(run, header->value);
  run_effect(run, rule, &effect);
}

const Action action_prepend_header = {
    .name = "prepend header",
    .sentence = "puts a header in front of the message, once a message",
    .phases = PHASES_MESSAGE,
    .ends_phase = false,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "prepend header \"X-Policy\" \"seen by {server_name}\"",
    .compile = compile,
    .perform = perform,
};
