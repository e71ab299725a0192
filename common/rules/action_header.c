/*
 * action_header.c: a header field's name, which of several is meant, and its text.
 */
#include "common/rules/action_header.h"

#include "common/base/limits.h"

/* RFC 5322 3.6.8: printable ASCII but the colon. */
static bool is_field_name(Slice name) {
  for (size_t i = 0; i < name.length; i++)
    if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
      return false;
  return name.length > 0;
}

static bool read_name(Checker *checker, const ArgumentNode *argument, HeaderPlan *plan) {
  const Expression *name = check_template(checker, argument->expression);
  if (!name)
    return false;
  if (name->kind == EXPRESSION_LITERAL && is_field_name(name->as.literal.as.text)) {
    plan->name = name->as.literal.as.text;
    return true;
  }
  Diagnostic *told = diagnostics_error(checker_diagnostics(checker), argument->span, "this cannot be the name of a header");
  diagnostic_expected(checker_diagnostics(checker), told, "expected printable ASCII without blanks, colon or templates: \"X-Policy\"");
  return false;
}

/* A number from 1 on, or `last`; without either all of the name are meant. */
static bool read_which(Checker *checker, const ArgumentNode *number, const ArgumentNode *last, HeaderPlan *plan) {
  Diagnostics *diagnostics = checker_diagnostics(checker);
  plan->nth = last ? HEADER_LAST : HEADER_ALL;
  if (number && last) {
    Diagnostic *told = diagnostics_error(diagnostics, last->span, "the number says already which one is meant");
    diagnostic_expected(diagnostics, told, "expected a number or \"last\"");
    return false;
  }
  if (!number)
    return true;
  const Node *node = number->expression;
  if (node->kind == NODE_INT && node->number >= 1 && node->number <= LIMIT_HEADER_NTH) {
    plan->nth = (int)node->number;
    return true;
  }
  Diagnostic *told = diagnostics_error(diagnostics, number->span, "this is not which of the headers of a name");
  diagnostic_expected(diagnostics, told, "expected 1 for the first, 2 for the second ... %d, or \"last\"", LIMIT_HEADER_NTH);
  return false;
}

static const ArgumentNode *argument_at(const ActionNode *node, int spec) {
  return spec < 0 ? NULL : action_argument(node, (size_t)spec, 0);
}

bool header_action_compile(Checker *checker, const ActionNode *node, Rule *rule, const HeaderArguments *at, void **plan) {
  HeaderPlan *header = ARENA_NEW(checker_arena(checker), HeaderPlan);
  bool good = read_name(checker, argument_at(node, at->name), header);
  good &= read_which(checker, argument_at(node, at->number), argument_at(node, at->last), header);
  const ArgumentNode *value = argument_at(node, at->value);
  if (value) {
    header->value = check_template(checker, value->expression);
    good &= header->value != NULL;
    check_add_argument(checker, rule, header->value);
  }
  *plan = header;
  return good;
}

void header_action_perform(Run *run, const Rule *rule, const void *plan, EffectKind kind) {
  const HeaderPlan *header = plan;
  Effect effect = {.kind = kind};
  effect.as.header.name = header->name;
  effect.as.header.nth = header->nth;
  effect.as.header.value = header->value ? run_text(run, header->value) : SLICE_EMPTY;
  run_effect(run, rule, &effect);
}
