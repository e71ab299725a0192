/*
 * action_address.c: addresses of effects. They may be made of what strangers said, so they are read as addresses once they are whole: what
 * is none does nothing.
 */
#include "common/rules/action_address.h"

#include "common/base/limits.h"
#include "common/base/mailaddress.h"

/* What the text of an effect has to be. */
typedef enum TargetKind { TARGET_ADDRESS, TARGET_SENDER, TARGET_FILTER } TargetKind;

static bool has_controls(Slice text) {
  for (size_t i = 0; i < text.length; i++)
    if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
      return true;
  return false;
}

/* A host name, or an address literal. */
static bool is_mail_domain(Slice domain) {
  return domain_is_valid(domain) || (domain.length > 2 && domain.data[0] == '[' && domain.data[domain.length - 1] == ']');
}

static bool read_address(Arena *arena, Slice text, Slice *target, const char **problem) {
  MailAddress address;
  if (!g_utf8_validate(text.data, (gssize)text.length, NULL) || !mail_address_parse(arena, text, &address)) {
    *problem = "is no address";
    return false;
  }
  if (address.localpart.length == 0 || !is_mail_domain(address.domain)) {
    *problem = "is not user@domain";
    return false;
  }
  *target = address.text;
  return true;
}

/* Postfix's FILTER: the name of a service of master.cf, a colon, maybe a next hop. */
static bool read_filter(Slice text, Slice *target, const char **problem) {
  ptrdiff_t colon = slice_find(text, ':');
  bool good = colon > 0 && text.length <= LIMIT_ADDRESS && !has_controls(text) && slice_find(text, ' ') < 0 &&
              g_utf8_validate(text.data, (gssize)text.length, NULL);
  for (ptrdiff_t i = 0; good && i < colon; i++)
    good = g_ascii_isalnum(text.data[i]) || strchr("-_.", text.data[i]) != NULL;
  *problem = "is not transport:destination";
  *target = text;
  return good;
}

static bool read_target(Arena *arena, TargetKind kind, Slice text, Slice *target, const char **problem) {
  switch (kind) {
    case TARGET_ADDRESS:
      return read_address(arena, text, target, problem);
    case TARGET_SENDER:
      /* Said on purpose: a template that came to nothing is no null sender. */
      *target = SLICE_EMPTY;
      return slice_equal(text, SLICE_LITERAL("<>")) || read_address(arena, text, target, problem);
    case TARGET_FILTER:
      return read_filter(text, target, problem);
  }
  g_assert_not_reached();
}

static const char *right_form(TargetKind kind) {
  switch (kind) {
    case TARGET_ADDRESS:
      return "expected an address with its domain: \"user@example.org\"";
    case TARGET_SENDER:
      return "expected an address with its domain, \"user@example.org\", or the null sender, <>";
    case TARGET_FILTER:
      return "expected a service of Postfix's master.cf and where it sends the message: \"smtp:[127.0.0.1]:10025\"";
  }
  g_assert_not_reached();
}

static const Expression *target_expression(Checker *checker, const Node *node) {
  return node->kind == NODE_NULL_SENDER ? check_expression_as(checker, node, TYPE_ADDRESS) : check_template(checker, node);
}

/* The plan is the Expression of the text. */
static bool compile_target(Checker *checker, const ActionNode *node, Rule *rule, TargetKind kind, void **plan) {
  const ArgumentNode *argument = action_argument(node, 0, 0);
  const Expression *text = target_expression(checker, argument->expression);
  if (!text)
    return false;
  Slice target;
  const char *problem;
  if (text->kind == EXPRESSION_LITERAL && text->type == TYPE_STRING &&
      !read_target(checker_arena(checker), kind, text->as.literal.as.text, &target, &problem)) {
    Diagnostic *told = diagnostics_error(checker_diagnostics(checker), argument->span, "this %s", problem);
    diagnostic_expected(checker_diagnostics(checker), told, "%s", right_form(kind));
    return false;
  }
  check_add_argument(checker, rule, text);
  *plan = (void *)text;
  return true;
}

bool address_action_compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  return compile_target(checker, node, rule, TARGET_ADDRESS, plan);
}

bool sender_action_compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  return compile_target(checker, node, rule, TARGET_SENDER, plan);
}

bool filter_action_compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  return compile_target(checker, node, rule, TARGET_FILTER, plan);
}

static void leave_out(Run *run, const Rule *rule, Slice text, const char *problem) {
  Effect undone = {.kind = EFFECT_UNDONE};
  undone.as.undone.action = slice_from(rule->action->name);
  undone.as.undone.text = text;
  undone.as.undone.problem = problem;
  run_effect(run, rule, &undone);
}

/* False when there is none, which was told. */
static bool take_target(Run *run, const Rule *rule, const Expression *expression, TargetKind kind, Slice *target) {
  Value value = run_value(run, expression);
  if (value.state == VALUE_UNKNOWN) {
    if (!run_unknown_ends(run, rule, &value))
      leave_out(run, rule, run_text(run, expression), "is unknown");
    return false;
  }
  Slice text = value.type == TYPE_ADDRESS ? SLICE_LITERAL("<>") : run_text(run, expression);
  const char *problem;
  if (read_target(run_arena(run), kind, text, target, &problem))
    return true;
  leave_out(run, rule, text, problem);
  return false;
}

void address_action_perform(Run *run, const Rule *rule, const void *plan, EffectKind kind) {
  Effect effect = {.kind = kind};
  if (take_target(run, rule, plan, kind == EFFECT_CHANGE_SENDER ? TARGET_SENDER : TARGET_ADDRESS, &effect.as.address))
    run_effect(run, rule, &effect);
}

void filter_action_perform(Run *run, const Rule *rule, const void *plan) {
  Effect effect = {.kind = EFFECT_FILTER_MESSAGE};
  if (take_target(run, rule, plan, TARGET_FILTER, &effect.as.filter))
    run_effect(run, rule, &effect);
}
