/*
 * lint_memory.c: warnings about scores and variables that the policy door no longer has where they are read.
 *
 * It evaluates each question from what the mail server says in it: at data and eom connect, helo and mail anew, but not rcpt. What rules at rcpt add to a score
 * or set is known there only to a door that has the whole session, the milter.
 */
#include "common/rules/check_internal.h"

extern const Action action_set, action_score;

typedef struct MemoryLint {
  Checker *checker;
  Phase phase;
} MemoryLint;

/* Whether the rule's action is what the variable or score comes from. */
static bool gives(const MemoryLint *lint, const Rule *rule, const Expression *read) {
  const Program *program = lint->checker->program;
  if (read->kind == EXPRESSION_VARIABLE) {
    if (rule->action != &action_set)
      return false;
    g_autofree char *name = g_strdup_printf("%s.%.*s", scope_name(read->as.variable->scope), SLICE_ARGS(read->as.variable->name));
    return slice_equal(action_argument(rule_node(lint->checker, rule)->action, 0, 0)->word, slice_from(name));
  }
  if (rule->action != &action_score)
    return false;
  const ArgumentNode *name = action_argument(rule_node(lint->checker, rule)->action, 1, 0);
  return read->as.score == SCORE_TOTAL || slice_equal(name ? name->word : SLICE_EMPTY, program->score_names[read->as.score]);
}

/* The first rule of a phase that is not evaluated anew for a question of lint->phase, and gives what is read. */
static const Rule *giver(const MemoryLint *lint, const Expression *read) {
  for (Phase phase = PHASE_RCPT; phase < lint->phase; phase++) {
    const PhaseProgram *program = &lint->checker->program->phases[phase];
    for (size_t i = 0; i < program->count; i++) {
      const Statement *statement = &program->statements[i];
      if (statement->kind == STATEMENT_RULE && !statement->rule->observe && gives(lint, statement->rule, read))
        return statement->rule;
    }
  }
  return NULL;
}

static void tell(const MemoryLint *lint, const Expression *read, const Rule *rule) {
  Diagnostic *told = diagnostics_warning(lint->checker->diagnostics, node_of(lint->checker, read)->span,
                                         "the policy door does not know at %s what a rule at rcpt or data gave to %.*s",
                                         phase_name(lint->phase), SLICE_ARGS(node_source(node_of(lint->checker, read))));
  diagnostic_also(lint->checker->diagnostics, told, rule_node(lint->checker, rule)->action->span, "this one");
  diagnostic_expected(lint->checker->diagnostics, told, "expected it at connect, helo or mail, or the milter at %s",
                      phase_name(lint->phase));
}

static bool lint_reads(const MemoryLint *lint, const Expression *expression) {
  if (!expression || !expression->reads_variables)
    return false;
  if (expression->kind == EXPRESSION_VARIABLE || expression->kind == EXPRESSION_SCORE) {
    const Rule *rule = giver(lint, expression);
    if (rule)
      tell(lint, expression, rule);
    return rule;
  }
  bool told = false;
  if (expression->kind == EXPRESSION_TEMPLATE)
    for (size_t i = 0; i < expression->as.parts.count && !told; i++)
      told = lint_reads(lint, expression->as.parts.items[i]);
  if (expression->kind == EXPRESSION_IN_RESOURCE || expression->kind == EXPRESSION_VALUE_OF)
    for (size_t i = 0; i < expression->as.lookup->count && !told; i++)
      told = lint_reads(lint, expression->as.lookup->keys[i]);
  return told || lint_reads(lint, expression->left) || lint_reads(lint, expression->right);
}

/* One warning a statement. */
static void lint_statement(const MemoryLint *lint, const Statement *statement) {
  bool told = lint_reads(lint, statement->condition);
  if (statement->kind == STATEMENT_RULE)
    for (size_t i = 0; i < statement->rule->argument_count && !told; i++)
      told = lint_reads(lint, statement->rule->arguments[i]);
}

void lint_memory(Checker *checker) {
  for (Phase phase = PHASE_DATA; phase <= PHASE_EOM; phase++) {
    if (!policy_answers(checker, phase))
      continue;
    MemoryLint lint = {checker, phase};
    for (size_t i = 0; i < checker->program->phases[phase].count; i++)
      lint_statement(&lint, &checker->program->phases[phase].statements[i]);
  }
}
