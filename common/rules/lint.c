/*
 * lint.c: warnings about a ruleset that has no errors: rules that cannot fire or that others shadow, what a door will lose, what an included file hides.
 */
#include "common/rules/check_internal.h"
#include "common/rules/format.h"

extern const Action action_accept, action_quarantine_message, action_prepend_header, action_redirect_message, action_bcc_message,
    action_filter_message;

typedef enum LintKind { LINT_SHADOWED, LINT_CONSTANT, LINT_CLOSED, LINT_HIDES, LINT_SUBMISSION, LINT_CHANGES, LINT_LABEL } LintKind;

typedef struct Lint {
  Checker *checker;
  GHashTable *told;  /* place + LintKind: a rule of several phases is told of once */
  GHashTable *ended; /* set of ConditionKey*: those that have ended the phase */
  Arena *text;       /* of one condition at a time */
  Phase phase;
  const PhaseProgram *program;
  bool mentions_submission;
  bool submission_left;  /* an earlier accept or pass let submission go */
  bool session_accepted; /* for all later phases */
} Lint;

static SourceSpan span_of(const Lint *lint, const Statement *statement) {
  return program_span(lint->checker->program, lint->phase, statement);
}

static bool first_time(Lint *lint, const Statement *statement, LintKind kind) {
  SourceSpan span = span_of(lint, statement);
  const char *place = span.source->text.data + span.offset;
  return g_hash_table_add(lint->told, GSIZE_TO_POINTER((gsize)place * 8 + kind));
}

static const Statement *parent_of(const Lint *lint, const Statement *statement) {
  return statement->parent == NO_STATEMENT ? NULL : &lint->program->statements[statement->parent];
}

static void told_with(Lint *lint, Diagnostic *told, const char *expected) {
  diagnostic_expected(lint->checker->diagnostics, told, "%s", expected);
}

/* Conditions that mention the kind of traffic */

typedef bool (*Test)(const Expression *expression);

static bool some(const Expression *expression, Test test) {
  if (!expression)
    return false;
  if (test(expression) || some(expression->left, test) || some(expression->right, test))
    return true;
  if (expression->kind == EXPRESSION_IN_RESOURCE || expression->kind == EXPRESSION_VALUE_OF)
    for (size_t i = 0; i < expression->as.lookup->count; i++)
      if (some(expression->as.lookup->keys[i], test))
        return true;
  return false;
}

static bool is_traffic_fact(const Expression *expression) {
  if (!expression || expression->kind != EXPRESSION_FACT)
    return false;
  Fact fact = expression->as.fact;
  return fact == FACT_SERVICE || fact == FACT_POLICY_CONTEXT || fact == FACT_SERVER_PORT || fact == FACT_SASL_USERNAME ||
         fact == FACT_SASL_METHOD;
}

static bool is_submission(Slice text) {
  return (text.length && g_strstr_len(text.data, (gssize)text.length, "submission")) || slice_equal(text, SLICE_LITERAL("587")) ||
         slice_equal(text, SLICE_LITERAL("465"));
}

static void visit_entry(Slice entry, const Value *value, void *found) {
  (void)value;
  *(bool *)found |= is_submission(entry);
}

static bool is_submission_literal(const Expression *expression) {
  if (!expression || expression->kind != EXPRESSION_LITERAL)
    return false;
  const Value *value = &expression->as.literal;
  return value->type == TYPE_STRING ? is_submission(value->as.text)
                                    : value->type == TYPE_INT && (value->as.number == 587 || value->as.number == 465);
}

/* service == "submission", server_port in { 465, 587 } */
static bool names_submission(const Expression *expression) {
  bool found = false;
  if (!is_traffic_fact(expression->left) && !is_traffic_fact(expression->right))
    return false;
  if (expression->kind == EXPRESSION_IN_SET)
    keyset_each(expression->as.keyset, visit_entry, &found);
  return found || is_submission_literal(expression->left) || is_submission_literal(expression->right);
}

static bool asks_dnslist(const Expression *expression) {
  return expression->kind == EXPRESSION_IN_RESOURCE && use_is_dnslist(expression->as.lookup->use);
}

/* Whether the statement or a block around it looks at the kind of traffic. */
static bool is_guarded(const Lint *lint, const Statement *statement) {
  for (; statement; statement = parent_of(lint, statement))
    if (some(statement->condition, is_traffic_fact))
      return true;
  return false;
}

static void lint_submission(Lint *lint, const Statement *statement) {
  Diagnostics *diagnostics = lint->checker->diagnostics;
  bool is_allow = statement->kind == STATEMENT_RULE && statement->rule->is_allow;
  if (is_allow && is_guarded(lint, statement)) {
    lint->submission_left = true;
    lint->session_accepted |= statement->rule->action == &action_accept && lint->phase <= PHASE_MAIL;
  }
  if (!lint->mentions_submission || lint->submission_left || lint->session_accepted)
    return;
  if (!some(statement->condition, asks_dnslist) || is_allow || is_guarded(lint, statement) || !first_time(lint, statement, LINT_SUBMISSION))
    return;
  Diagnostic *told = diagnostics_warning(diagnostics, node_of(lint->checker, statement->condition)->span,
                                         "this dnslist meets submission too: customers at home are often listed");
  told_with(lint, told, "expected a condition on service or sasl_username around it");
}

/* Rules that cannot fire */

/* A condition where it stands, by how it is printed; the text itself, of each rule, would take more than the rule. */
typedef struct ConditionKey {
  const StatementNode *node;
  uint32_t parent; /* the block that it is looked for in */
  guint hash;      /* of its text */
} ConditionKey;

static guint condition_hash(gconstpointer key) {
  const ConditionKey *condition = key;
  return condition->hash * 31u + condition->parent;
}

static gboolean condition_equal(gconstpointer a, gconstpointer b) {
  const ConditionKey *first = a, *second = b;
  if (first->hash != second->hash || first->parent != second->parent || first->node->unless != second->node->unless)
    return false;
  g_autoptr(Arena) scratch = arena_new(0);
  return slice_equal(rules_format_expression(scratch, first->node->condition), rules_format_expression(scratch, second->node->condition));
}

static ConditionKey condition_key(Lint *lint, const Statement *statement) {
  const StatementNode *node = rule_node(lint->checker, statement->rule);
  Slice text = rules_format_expression(lint->text, node->condition);
  ConditionKey key = {node, statement->parent, slice_key_hash(&text)};
  arena_reset(lint->text);
  return key;
}

static void lint_shadowed(Lint *lint, const Statement *statement) {
  if (!rule_node(lint->checker, statement->rule)->condition)
    return;
  ConditionKey key = condition_key(lint, statement);
  for (bool more = true; more; more = key.parent != NO_STATEMENT, key.parent = more ? lint->program->statements[key.parent].parent : 0) {
    const ConditionKey *earlier = g_hash_table_lookup(lint->ended, &key);
    if (!earlier)
      continue;
    if (!first_time(lint, statement, LINT_SHADOWED))
      return;
    Diagnostic *told = diagnostics_warning(lint->checker->diagnostics, rule_node(lint->checker, statement->rule)->condition->span,
                                           "this rule cannot fire: its condition has ended the phase before");
    diagnostic_also(lint->checker->diagnostics, told, earlier->node->span, "the same condition here");
    return;
  }
  if (!statement->rule->action->ends_phase || statement->rule->observe)
    return;
  ConditionKey *kept = ARENA_NEW(lint->checker->scratch, ConditionKey);
  *kept = key;
  kept->parent = statement->parent;
  g_hash_table_add(lint->ended, kept);
}

static void lint_constant(Lint *lint, const Statement *statement) {
  if (constant_truth(statement->condition) != CONSTANT_FALSE || !first_time(lint, statement, LINT_CONSTANT))
    return;
  const char *what = statement->kind == STATEMENT_RULE ? "this rule cannot fire" : "this block is never entered";
  diagnostics_warning(lint->checker->diagnostics, node_of(lint->checker, statement->condition)->span, "%s: its condition is always false",
                      what);
}

/* A verdict without condition at the top of an earlier block; in the same block it is an error. */
static void lint_closed(Lint *lint) {
  const Statement *closing = NULL;
  for (size_t i = 0; i < lint->program->count; i++) {
    const Statement *statement = &lint->program->statements[i];
    if (statement->parent != NO_STATEMENT)
      continue;
    if (closing) {
      if (!first_time(lint, statement, LINT_CLOSED))
        return;
      Diagnostic *told = diagnostics_warning(lint->checker->diagnostics, span_of(lint, statement), "nothing from here on is reached at %s",
                                             phase_name(lint->phase));
      diagnostic_also(lint->checker->diagnostics, told, span_of(lint, closing), "this always ends the phase");
      return;
    }
    bool is_rule = statement->kind == STATEMENT_RULE;
    if (is_rule && !statement->condition && statement->rule->action->ends_phase && !statement->rule->observe)
      closing = statement;
  }
}

/* pass and accept in an included file */

static const Statement *last_from_elsewhere(const Lint *lint, const SourceText *source) {
  for (size_t i = lint->program->count; i > 0; i--) {
    const Statement *statement = &lint->program->statements[i - 1];
    if (statement->kind == STATEMENT_RULE && span_of(lint, statement).source != source)
      return statement;
  }
  return NULL;
}

static void lint_hides(Lint *lint) {
  const SourceText *source = NULL;
  const Statement *last = NULL;
  for (size_t i = 0; i < lint->program->count; i++) {
    const Statement *statement = &lint->program->statements[i];
    if (statement->kind != STATEMENT_RULE || !statement->rule->is_allow ||
        span_of(lint, statement).source == lint->checker->program->tree->file->source)
      continue;
    if (span_of(lint, statement).source != source)
      last = last_from_elsewhere(lint, source = span_of(lint, statement).source);
    if (!last || last < statement || !first_time(lint, statement, LINT_HIDES))
      continue;
    Diagnostic *told = diagnostics_warning(lint->checker->diagnostics, rule_node(lint->checker, statement->rule)->action->span,
                                           "\"%s\" in an included file hides the rules of later files at %s too",
                                           statement->rule->action->name, phase_name(lint->phase));
    diagnostic_also(lint->checker->diagnostics, told, span_of(lint, last), "such as this one");
  }
}

/* What a door loses */

bool policy_answers(const Checker *checker, Phase phase) {
  if (!(checker->options->enabled_doors & DOOR_BIT(DOOR_POLICY)) || !door_asks(DOOR_POLICY, phase))
    return false;
  bool milter_owns = (checker->options->enabled_doors & DOOR_BIT(DOOR_MILTER)) && (PHASES_SINCE_DATA & PHASE_BIT(phase));
  return !milter_owns;
}

static void lint_doors(Lint *lint) {
  const Statement *first = NULL;
  for (size_t i = 0; i < lint->program->count; i++) {
    const Statement *statement = &lint->program->statements[i];
    if (statement->kind != STATEMENT_RULE || statement->rule->observe)
      continue;
    const Action *action = statement->rule->action;
    SourceSpan span = rule_node(lint->checker, statement->rule)->action->span;
    bool changes = action == &action_prepend_header || action == &action_quarantine_message || action == &action_redirect_message ||
                   action == &action_bcc_message || action == &action_filter_message;
    if (!changes || !policy_answers(lint->checker, lint->phase))
      continue;
    if (first && first_time(lint, statement, LINT_CHANGES)) {
      Diagnostic *told =
          diagnostics_warning(lint->checker->diagnostics, span,
                              "the policy door says one change of the message in an answer: of two at once the second is lost");
      diagnostic_also(lint->checker->diagnostics, told, rule_node(lint->checker, first->rule)->action->span, "the first one");
    }
    if (!first)
      first = statement;
  }
}

static void lint_labels(Lint *lint) {
  if (!lint->checker->options->pedantic)
    return;
  for (size_t i = 0; i < lint->program->count; i++) {
    const Statement *statement = &lint->program->statements[i];
    if (statement->kind != STATEMENT_RULE || statement->rule->labelled || !first_time(lint, statement, LINT_LABEL))
      continue;
    Diagnostic *told =
        diagnostics_warning(lint->checker->diagnostics, rule_node(lint->checker, statement->rule)->action->span,
                            "this rule has no label: its id %.*s changes when lines are added", SLICE_ARGS(statement->rule->id));
    told_with(lint, told, "write [label] before the action");
  }
}

static void lint_phase(Lint *lint, Phase phase) {
  lint->phase = phase;
  lint->program = &lint->checker->program->phases[phase];
  lint->submission_left = false;
  lint->ended = g_hash_table_new(condition_hash, condition_equal);
  for (size_t i = 0; i < lint->program->count; i++) {
    const Statement *statement = &lint->program->statements[i];
    lint_submission(lint, statement);
    lint_constant(lint, statement);
    if (statement->kind == STATEMENT_RULE)
      lint_shadowed(lint, statement);
  }
  lint_closed(lint);
  lint_hides(lint);
  lint_doors(lint);
  lint_labels(lint);
  g_hash_table_unref(lint->ended);
}

static bool program_mentions_submission(const Program *program) {
  for (Phase phase = 0; phase < PHASE_COUNT; phase++)
    for (size_t i = 0; i < program->phases[phase].count; i++)
      if (some(program->phases[phase].statements[i].condition, names_submission))
        return true;
  return false;
}

void lint_program(Checker *checker) {
  Lint lint = {.checker = checker,
               .text = arena_new(0),
               .told = g_hash_table_new(NULL, NULL),
               .mentions_submission = program_mentions_submission(checker->program)};
  for (Phase phase = 0; phase < PHASE_COUNT; phase++)
    lint_phase(&lint, phase);
  g_hash_table_unref(lint.told);
  arena_free(lint.text);
  lint_commands(checker);
  lint_memory(checker);
}
