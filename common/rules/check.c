/*
 * check.c: tree -> program. Collects the names, has the tables opened, the phases compiled and the rest looked at; tells every error, goes on after each.
 *
 * An error is told once, where it arises; what depends on it is left out in silence (a NULL expression, a symbol without use), so that one mistake makes one message.
 */
#include "common/rules/check_internal.h"

guint slice_key_hash(gconstpointer slice) {
  return (guint)slice_hash(*(const Slice *)slice);
}

gboolean slice_key_equal(gconstpointer a, gconstpointer b) {
  return slice_equal(*(const Slice *)a, *(const Slice *)b);
}

Arena *checker_arena(Checker *checker) {
  return checker->arena;
}

Diagnostics *checker_diagnostics(Checker *checker) {
  return checker->diagnostics;
}

Phase checker_phase(const Checker *checker) {
  return checker->phase;
}

DoorSet checker_doors(const Checker *checker) {
  return checker->options->enabled_doors;
}

bool checker_pedantic(const Checker *checker) {
  return checker->options->pedantic;
}

Symbol *checker_symbol(Checker *checker, Slice name) {
  return g_hash_table_lookup(checker->symbols, &name);
}

static void add_name(Checker *checker, GPtrArray *names, Slice name) {
  g_ptr_array_add(names, slice_to_string(checker->scratch, name));
}

const char *nearest_of(Checker *checker, Slice word, bool facts, bool tables, bool others) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, checker->symbols);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Symbol *symbol = value;
    if (symbol->kind == SYMBOL_DEFINE ? others : tables)
      add_name(checker, names, symbol->name);
  }
  if (others) {
    g_hash_table_iter_init(&iter, checker->variables);
    while (g_hash_table_iter_next(&iter, NULL, &value))
      add_name(checker, names, ((const VariableSymbol *)value)->text);
  }
  if (facts)
    for (const char *const *fact = fact_names(); *fact; fact++)
      g_ptr_array_add(names, (gpointer)*fact);
  add_element_names(checker, names);
  g_ptr_array_add(names, NULL);
  return nearest_name(word, (const char *const *)names->pdata);
}

Slice node_source(const Node *node) {
  Slice text = node->span.source->text;
  return slice_make(text.data + node->span.offset, node->span.length);
}

const Node *node_of(const Checker *checker, const Expression *expression) {
  return g_ptr_array_index(checker->nodes, expression->id);
}

const StatementNode *rule_node(const Checker *checker, const Rule *rule) {
  return g_ptr_array_index(checker->rule_nodes, rule->number);
}

Expression *expression_new(Checker *checker, ExpressionKind kind, ValueType type, const Node *node) {
  Expression *expression = ARENA_NEW(checker->arena, Expression);
  expression->kind = kind;
  expression->type = type;
  expression->element_type = TYPE_STRING;
  expression->id = checker->nodes->len;
  g_ptr_array_add(checker->nodes, (gpointer)node);
  return expression;
}

static void take_flags(Expression *expression, const Expression *part) {
  if (!part)
    return;
  expression->reads_variables |= part->reads_variables;
  expression->reads_details |= part->reads_details;
  expression->has_match |= part->has_match;
  expression->reads_message |= part->reads_message;
  expression->lookup_classes |= part->lookup_classes;
}

/* Whether the expression as a value may be unset, whatever its operands say of themselves. */
static bool may_be_unset(const Expression *expression) {
  switch (expression->kind) {
    case EXPRESSION_FACT:
    case EXPRESSION_RAW:
    case EXPRESSION_HEADER:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_FUNCTION:
    case EXPRESSION_CAPTURE:
    case EXPRESSION_DNSLIST:
    case EXPRESSION_VALUE_OF:
      return true;
    case EXPRESSION_DEFAULT:
      return expression->right->can_be_unset;
    case EXPRESSION_LITERAL:
    case EXPRESSION_SCORE:
    case EXPRESSION_TEMPLATE:
    case EXPRESSION_NOT:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_COMPARE:
    case EXPRESSION_IN_SET:
    case EXPRESSION_IN_NETWORK:
    case EXPRESSION_IN_RANGE:
    case EXPRESSION_IN_RESOURCE:
    case EXPRESSION_IN_LIST:
    case EXPRESSION_MATCH:
    case EXPRESSION_UNDER:
    case EXPRESSION_IS_SET:
      return false;
    case EXPRESSION_QUANTIFIER: /* a list that is not there has no elements */
      return false;
    case EXPRESSION_ELEMENT:
      return expression->as.element.field >= 0;
  }
  g_assert_not_reached();
}

Expression *expression_finish(Expression *expression) {
  take_flags(expression, expression->left);
  take_flags(expression, expression->right);
  if (expression->kind == EXPRESSION_TEMPLATE)
    for (size_t i = 0; i < expression->as.parts.count; i++)
      take_flags(expression, expression->as.parts.items[i]);
  if (expression->kind == EXPRESSION_IN_RESOURCE || expression->kind == EXPRESSION_VALUE_OF) {
    const ResourceUse *use = expression->as.lookup->use;
    for (size_t i = 0; i < expression->as.lookup->count; i++)
      take_flags(expression, expression->as.lookup->keys[i]);
    expression->lookup_classes |= (uint8_t)(1u << use->lookup_class);
    expression->has_match |= use_is_dnslist(use);
  }
  expression->reads_variables |= expression->kind == EXPRESSION_VARIABLE || expression->kind == EXPRESSION_SCORE;
  expression->reads_details |= expression->kind == EXPRESSION_CAPTURE || expression->kind == EXPRESSION_DNSLIST;
  expression->has_match |= expression->kind == EXPRESSION_MATCH;
  Fact fact;
  expression->reads_message |= expression_fact(expression, &fact) && fact_info(fact)->phases == PHASE_BIT(PHASE_EOM);
  expression->can_be_unset = may_be_unset(expression);
  return expression;
}

/* Names */

static void tell_taken(Checker *checker, const Declaration *declaration, const Symbol *first) {
  Diagnostic *told =
      diagnostics_error(checker->diagnostics, declaration->name_span, "\"%.*s\" has been declared before", SLICE_ARGS(declaration->name));
  diagnostic_also(checker->diagnostics, told, first->declaration->name_span, "first declared here");
}

static void declare(Checker *checker, const Declaration *declaration, SymbolKind kind) {
  Fact fact;
  Symbol *first = checker_symbol(checker, declaration->name);
  if (first) {
    tell_taken(checker, declaration, first);
    return;
  }
  if (fact_from_name(declaration->name, &fact)) {
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, declaration->name_span, "\"%.*s\" is the name of a fact", SLICE_ARGS(declaration->name));
    diagnostic_expected(checker->diagnostics, told, "expected a name that is not taken; `mailreeve facts` lists those that are");
    return;
  }
  Symbol *symbol = ARENA_NEW(checker->scratch, Symbol);
  *symbol = (Symbol){.kind = kind, .name = declaration->name, .declaration = declaration};
  g_hash_table_insert(checker->symbols, &symbol->name, symbol);
}

static void note_set(Checker *checker, const ActionNode *node) {
  const ArgumentNode *variable = action_argument(node, 0, 0), *value = action_argument(node, 2, 0);
  if (!variable || !value || !value->expression || g_hash_table_contains(checker->variables, &variable->word))
    return;
  VariableSymbol *symbol = ARENA_NEW(checker->scratch, VariableSymbol);
  *symbol = (VariableSymbol){.text = variable->word, .first = variable, .value = value->expression};
  g_hash_table_insert(checker->variables, &symbol->text, symbol);
}

static void note_score(Checker *checker, const ActionNode *node) {
  const ArgumentNode *name = action_argument(node, 1, 0);
  if (name)
    g_hash_table_add(checker->score_nodes, (gpointer)&name->word);
}

extern const Action action_set, action_score;

static void note_actions(Checker *checker, const StatementNode *statement) {
  for (; statement; statement = statement->next) {
    if (statement->kind == STATEMENT_NODE_WHEN) {
      for (const BranchNode *branch = statement->branches; branch; branch = branch->next)
        note_actions(checker, branch->body);
    } else if (statement->action && statement->action->action == &action_set) {
      note_set(checker, statement->action);
    } else if (statement->action && statement->action->action == &action_score) {
      note_score(checker, statement->action);
    }
  }
}

/* First pass: every name of every file, so that rules may come before what they name. */
static void collect(Checker *checker, const RulesFile *file) {
  checker->lost_names |= file->lost_names;
  checker->lost_statements |= file->lost_statements;
  for (const Declaration *declaration = file->declarations; declaration; declaration = declaration->next) {
    switch (declaration->kind) {
      case DECLARATION_TABLE:
        declare(checker, declaration, SYMBOL_TABLE);
        break;
      case DECLARATION_DNSLIST:
        declare(checker, declaration, SYMBOL_DNSLIST);
        break;
      case DECLARATION_DEFINE:
        declare(checker, declaration, SYMBOL_DEFINE);
        break;
      case DECLARATION_AT:
        note_actions(checker, declaration->body);
        break;
      case DECLARATION_INCLUDE:
        for (const RulesFile *included = declaration->files; included; included = included->next)
          collect(checker, included);
        break;
    }
  }
}

static void check_tables(Checker *checker, const RulesFile *file) {
  for (const Declaration *declaration = file->declarations; declaration; declaration = declaration->next) {
    Symbol *symbol = declaration->kind == DECLARATION_TABLE || declaration->kind == DECLARATION_DNSLIST
                         ? checker_symbol(checker, declaration->name)
                         : NULL;
    if (symbol && symbol->declaration == declaration && !declaration->is_broken)
      check_table(checker, symbol, file);
    for (const RulesFile *included = declaration->files; included; included = included->next)
      check_tables(checker, included);
  }
}

/* A set or range has no type, a regex no subject, until it is used. */
static bool stands_alone(const Node *node) {
  return node->kind != NODE_SET && node->kind != NODE_RANGE && node->kind != NODE_REGEX;
}

/* Defines that nothing uses are compiled too, for their errors. */
static void check_unused_defines(Checker *checker, const RulesFile *file) {
  for (const Declaration *declaration = file->declarations; declaration; declaration = declaration->next) {
    Symbol *symbol = declaration->kind == DECLARATION_DEFINE ? checker_symbol(checker, declaration->name) : NULL;
    const Node *node = declaration->expression;
    if (symbol && symbol->declaration == declaration && !symbol->was_used && node && stands_alone(node))
      (void)compile_define(checker, symbol, NULL, WANTED_ANY);
    for (const RulesFile *included = declaration->files; included; included = included->next)
      check_unused_defines(checker, included);
  }
}

static void *array_of(Arena *arena, GPtrArray *items) {
  void **copy = ARENA_NEW_ARRAY(arena, void *, items->len + 1);
  for (guint i = 0; i < items->len; i++)
    copy[i] = items->pdata[i];
  return copy;
}

static void release_array(void *array) {
  g_ptr_array_unref(array);
}

static void finish_program(Checker *checker) {
  Program *program = checker->program;
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    program->phases[phase].reads_all_headers = program->phases[phase].facts[FACT_HEADER];
    program->phases[phase].header_names = checker->header_names[phase] ? array_of(checker->arena, checker->header_names[phase]) : NULL;
  }
  program->rules = array_of(checker->arena, checker->rules);
  program->rule_count = checker->rules->len;
  program->resources = array_of(checker->arena, checker->uses);
  program->resource_count = checker->uses->len;
  program->variables = array_of(checker->arena, checker->variable_infos);
  program->variable_count = checker->variable_infos->len;
  Slice *names = ARENA_NEW_ARRAY(checker->arena, Slice, checker->score_names->len + 1);
  for (guint i = 0; i < checker->score_names->len; i++)
    names[i] = *(const Slice *)checker->score_names->pdata[i];
  program->score_names = names;
  program->score_count = checker->score_names->len;
  program->expression_count = checker->nodes->len;
  program->tree->nodes = (const Node *const *)checker->nodes->pdata;
  arena_on_reset(program->tree->arena, release_array, g_ptr_array_ref(checker->nodes));
  program->tree->rules = (const StatementNode *const *)checker->rule_nodes->pdata;
  arena_on_reset(program->tree->arena, release_array, g_ptr_array_ref(checker->rule_nodes));
}

static guint compiled_key_hash(gconstpointer key) {
  const CompiledKey *compiled = key;
  return g_direct_hash(compiled->node) * 31u + (guint)compiled->wanted.type;
}

static gboolean compiled_key_equal(gconstpointer a, gconstpointer b) {
  const CompiledKey *first = a, *second = b;
  return first->node == second->node && first->wanted.type == second->wanted.type && first->wanted.names == second->wanted.names;
}

static void checker_init(Checker *checker) {
  checker->scratch = arena_new(0);
  checker->symbols = g_hash_table_new(slice_key_hash, slice_key_equal);
  checker->variables = g_hash_table_new(slice_key_hash, slice_key_equal);
  checker->score_nodes = g_hash_table_new(slice_key_hash, slice_key_equal);
  checker->labels = g_hash_table_new(slice_key_hash, slice_key_equal);
  checker->compiled = g_hash_table_new(compiled_key_hash, compiled_key_equal);
  checker->rule_of = g_hash_table_new(NULL, NULL);
  checker->unless_of = g_hash_table_new(NULL, NULL);
  checker->told_spans = g_hash_table_new(NULL, NULL);
  checker->told = g_hash_table_new(NULL, NULL);
  checker->uses = g_ptr_array_new();
  checker->rules = g_ptr_array_new();
  checker->nodes = g_ptr_array_new();
  checker->rule_nodes = g_ptr_array_new();
  checker->variable_infos = g_ptr_array_new();
  checker->score_names = g_ptr_array_new();
  checker->define_uses = g_array_new(FALSE, FALSE, sizeof(DefineUse));
}

/* What only compiling needs: of many rules, warnings need as much again. */
static void checker_forget(Checker *checker) {
  g_hash_table_unref(checker->labels);
  g_hash_table_unref(checker->compiled);
  g_hash_table_unref(checker->rule_of);
  g_hash_table_unref(checker->unless_of);
  g_hash_table_unref(checker->told_spans);
  g_hash_table_unref(checker->told);
}

static void checker_clear(Checker *checker) {
  for (Phase phase = 0; phase < PHASE_COUNT; phase++)
    if (checker->header_names[phase])
      g_ptr_array_unref(checker->header_names[phase]);
  g_hash_table_unref(checker->symbols);
  g_hash_table_unref(checker->variables);
  g_hash_table_unref(checker->score_nodes);
  g_ptr_array_unref(checker->uses);
  g_ptr_array_unref(checker->rules);
  g_ptr_array_unref(checker->nodes);
  g_ptr_array_unref(checker->rule_nodes);
  g_ptr_array_unref(checker->variable_infos);
  g_ptr_array_unref(checker->score_names);
  g_array_unref(checker->define_uses);
  arena_free(checker->scratch);
}

bool check_rules(Program *program, const RulesFile *file, bool complete, const RulesetOptions *options, Diagnostics *diagnostics) {
  Checker checker = {.arena = program->arena, .diagnostics = diagnostics, .options = options, .program = program};
  size_t errors_before = diagnostics_error_count(diagnostics);
  checker_init(&checker);
  collect(&checker, file);
  check_tables(&checker, file);
  for (Phase phase = 0; phase < PHASE_COUNT; phase++)
    check_phase(&checker, phase, file);
  check_unused_defines(&checker, file);
  finish_program(&checker);
  bool good = diagnostics_error_count(diagnostics) == errors_before;
  checker_forget(&checker);
  if (good && complete)
    lint_program(&checker);
  checker_clear(&checker);
  return good;
}
