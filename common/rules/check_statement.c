/*
 * check_statement.c: the statements of a phase: rules and blocks in one array, in file order, includes in place.
 */
#include "common/base/limits.h"
#include "common/rules/check_internal.h"
#include "common/rules/format.h"
#include "common/smtp/capability.h"

extern const Action action_pass, action_accept, action_tempfail, action_reject, action_disconnect, action_check, action_discard_message,
    action_quarantine_message, action_score, action_set, action_delay, action_prepend_header, action_append_header, action_replace_header,
    action_delete_header, action_add_recipient, action_remove_recipient, action_change_sender, action_redirect_message, action_bcc_message,
    action_filter_message, action_group_recipients;

typedef struct PhaseBuilder {
  Checker *checker;
  PhaseProgram *program;
  GArray *statements; /* Statement */
  GArray *spans;      /* SourceSpan, of each */
} PhaseBuilder;

static Statement *statement_at(PhaseBuilder *builder, uint32_t index) {
  return &g_array_index(builder->statements, Statement, index);
}

/* Labels and ids */

static unsigned line_of(Checker *checker, SourceSpan span) {
  if (span.source != checker->line_source || span.offset < checker->line_offset) {
    checker->line_file = span.source == checker->line_source ? checker->line_file : NULL;
    checker->line_source = span.source;
    checker->line_offset = 0;
    checker->line = 1;
  }
  for (; checker->line_offset < span.offset; checker->line_offset++)
    checker->line += span.source->text.data[checker->line_offset] == '\n';
  return checker->line;
}

static Slice place_id(Checker *checker, SourceSpan span) {
  const char *slash = strrchr(span.source->name, '/');
  return slice_from(arena_printf(checker->arena, "%s:%u", slash ? slash + 1 : span.source->name, line_of(checker, span)));
}

static const SourcePlace *place_of(Checker *checker, SourceSpan span) {
  SourcePlace *place = ARENA_NEW(checker->arena, SourcePlace);
  place->line = line_of(checker, span);
  if (checker->line_file == NULL)
    checker->line_file = slice_to_string(checker->arena, slice_from(span.source->name));
  place->file = checker->line_file;
  return place;
}

static void add_statement(PhaseBuilder *builder, Statement statement, SourceSpan span) {
  g_array_append_val(builder->statements, statement);
  g_array_append_val(builder->spans, span);
}

static void check_label(Checker *checker, const StatementNode *node, Rule *rule) {
  rule->labelled = !slice_is_empty(node->label);
  rule->id = rule->labelled ? slice_copy(checker->arena, node->label) : place_id(checker, node->span);
  if (!rule->labelled) {
    if (!node->observe)
      return;
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, node->span, "an observed rule needs a label: logs and counters know it by that");
    diagnostic_expected(checker->diagnostics, told, "write [label] observe ...");
    return;
  }
  const Rule *first = g_hash_table_lookup(checker->labels, &rule->id);
  if (!first) {
    g_hash_table_insert(checker->labels, &rule->id, rule);
    return;
  }
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->label_span, "the label \"%.*s\" is taken", SLICE_ARGS(rule->id));
  diagnostic_also(checker->diagnostics, told, rule_node(checker, first)->label_span, "first used here");
  diagnostic_expected(checker->diagnostics, told, "expected a label of its own: it is the rule's id in logs and counters");
}

static bool is_allow(const Action *action) {
  return action == &action_pass || action == &action_accept;
}

static Rule *rule_for(Checker *checker, const StatementNode *node) {
  Rule *rule = checker->is_repeated ? g_hash_table_lookup(checker->rule_of, node) : NULL;
  if (rule)
    return rule;
  rule = ARENA_NEW(checker->arena, Rule);
  rule->number = checker->rules->len;
  rule->action = node->action->action;
  rule->observe = node->observe;
  if (rule->observe)
    rule->action_text = slice_to_string(checker->arena, rules_format_action(checker->scratch, node->action));
  rule->is_allow = is_allow(rule->action) && !node->observe;
  rule->on_error = node->on_error;
  check_label(checker, node, rule);
  g_ptr_array_add(checker->rules, rule);
  g_ptr_array_add(checker->rule_nodes, (gpointer)node);
  if (checker->is_repeated)
    g_hash_table_insert(checker->rule_of, (gpointer)node, rule);
  return rule;
}

void check_add_argument(Checker *checker, Rule *rule, const Expression *expression) {
  if (!expression || expression->kind == EXPRESSION_LITERAL)
    return;
  for (size_t i = 0; i < rule->argument_count; i++)
    if (rule->arguments[i] == expression)
      return;
  const Expression **arguments = ARENA_NEW_ARRAY(checker->arena, const Expression *, rule->argument_count + 1);
  if (rule->argument_count)
    memcpy(arguments, rule->arguments, rule->argument_count * sizeof *arguments);
  arguments[rule->argument_count++] = expression;
  rule->arguments = arguments;
  rule->uses_details |= expression->reads_details;
}

bool check_group(Checker *checker, const ActionNode *node, uint32_t *group) {
  *group = checker->program->group_count;
  if (*group < LIMIT_GROUP_RULES) {
    checker->program->group_count++;
    return true;
  }
  (void)diagnostics_error(checker->diagnostics, node->name_span, "at most %d rules of a ruleset can group recipients", LIMIT_GROUP_RULES);
  return false;
}

/* Where an action may stand, and which doors can do it */

typedef struct Deed {
  const Action *action;
  OutcomeSet outcomes;
  EffectSet effects;
} Deed;

static const Deed deeds[] = {
    {&action_tempfail, OUTCOME_BIT(OUTCOME_TEMPFAIL), 0},
    {&action_reject, OUTCOME_BIT(OUTCOME_REJECT), 0},
    {&action_disconnect, OUTCOME_BIT(OUTCOME_DISCONNECT), 0},
    {&action_discard_message, OUTCOME_BIT(OUTCOME_DISCARD), 0},
    {&action_quarantine_message, 0, EFFECT_BIT(EFFECT_QUARANTINE_MESSAGE)},
    {&action_prepend_header, 0, EFFECT_BIT(EFFECT_PREPEND_HEADER)},
    {&action_append_header, 0, EFFECT_BIT(EFFECT_APPEND_HEADER)},
    {&action_replace_header, 0, EFFECT_BIT(EFFECT_REPLACE_HEADER)},
    {&action_delete_header, 0, EFFECT_BIT(EFFECT_DELETE_HEADER)},
    {&action_add_recipient, 0, EFFECT_BIT(EFFECT_ADD_RECIPIENT)},
    {&action_remove_recipient, 0, EFFECT_BIT(EFFECT_REMOVE_RECIPIENT)},
    {&action_change_sender, 0, EFFECT_BIT(EFFECT_CHANGE_SENDER)},
    {&action_redirect_message, 0, EFFECT_BIT(EFFECT_REDIRECT_MESSAGE)},
    {&action_bcc_message, 0, EFFECT_BIT(EFFECT_BCC_MESSAGE)},
    {&action_filter_message, 0, EFFECT_BIT(EFFECT_FILTER_MESSAGE)},
    {&action_delay, 0, EFFECT_BIT(EFFECT_DELAY)},
};

static const Deed *deed_of(const Action *action) {
  for (size_t i = 0; i < G_N_ELEMENTS(deeds); i++)
    if (deeds[i].action == action)
      return &deeds[i];
  return NULL;
}

static bool door_does(Door door, Phase phase, const Action *action) {
  const Deed *deed = deed_of(action);
  const Capability *can = capability(door, phase);
  return (action->doors & DOOR_BIT(door)) &&
         (!deed || ((can->outcomes & deed->outcomes) == deed->outcomes && (can->effects & deed->effects) == deed->effects));
}

static bool is_asked(const Checker *checker, Door door, Phase phase) {
  return (checker->options->enabled_doors & DOOR_BIT(door)) && door_asks(door, phase);
}

/* Of two doors that are asked at a phase one has its rules' verdicts. */
static bool door_answers(const Checker *checker, Door door, Phase phase) {
  if (!is_asked(checker, door, phase))
    return false;
  switch (door) {
    case DOOR_POLICY:
      return policy_answers(checker, phase);
    case DOOR_MILTER:
      return !policy_answers(checker, phase);
    case DOOR_SOCKETMAP:
      return true;
    case DOOR_COUNT:
      break;
  }
  g_assert_not_reached();
}

/* Where else: the doors that can do it here, else the phases where a door in use can. */
static void tell_who_can(Checker *checker, Diagnostic *told, const Action *action) {
  g_autoptr(GString) doors = g_string_new(NULL);
  PhaseSet phases = 0;
  for (Door door = 0; door < DOOR_COUNT; door++) {
    if (door_asks(door, checker->phase) && door_does(door, checker->phase, action))
      g_string_append_printf(doors, "%s%s", doors->len ? ", " : "", door_name(door));
    for (Phase phase = 0; phase < PHASE_COUNT; phase++)
      if (is_asked(checker, door, phase) && door_does(door, phase, action))
        phases |= PHASE_BIT(phase);
  }
  phases &= action->phases;
  if (phases)
    diagnostic_expected(checker->diagnostics, told, "expected the rule at: %.*s", SLICE_ARGS(phase_set_names(checker->scratch, phases)));
  else if (doors->len)
    diagnostic_expected(checker->diagnostics, told, "doors that can at %s: %s", phase_name(checker->phase), doors->str);
}

/* One door that answers here cannot, another can. */
static void warn_of_door(Checker *checker, const ActionNode *node, Door door) {
  Diagnostic *told = diagnostics_warning(checker->diagnostics, node->name_span, "the %s door cannot do \"%s\" at %s", door_name(door),
                                         node->action->name, phase_name(checker->phase));
  g_autoptr(GString) doors = g_string_new(NULL);
  for (Door other = 0; other < DOOR_COUNT; other++)
    if (is_asked(checker, other, checker->phase) && door_does(other, checker->phase, node->action))
      g_string_append_printf(doors, "%s%s", doors->len ? ", " : "", door_name(other));
  diagnostic_expected(checker->diagnostics, told, "doors that can: %s", doors->str);
}

static bool check_doors_of(Checker *checker, const ActionNode *node) {
  bool asked = false, can = false;
  for (Door door = 0; door < DOOR_COUNT; door++) {
    if (!is_asked(checker, door, checker->phase))
      continue;
    asked = true;
    can |= door_does(door, checker->phase, node->action);
  }
  if (asked && !can) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->name_span, "no door in use can do \"%s\" at %s", node->action->name,
                                         phase_name(checker->phase));
    tell_who_can(checker, told, node->action);
    return false;
  }
  const Deed *deed = deed_of(node->action);
  bool changes = deed && (deed->effects & (EffectSet)~EFFECT_BIT(EFFECT_DELAY));
  for (Door door = 0; door < DOOR_COUNT && changes; door++)
    if (door_answers(checker, door, checker->phase) && !door_does(door, checker->phase, node->action))
      warn_of_door(checker, node, door);
  return true;
}

static bool check_place(Checker *checker, const ActionNode *node) {
  if (node->action->phases & PHASE_BIT(checker->phase))
    return check_doors_of(checker, node);
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->name_span, "\"%s\" may not stand at %s", node->action->name,
                                       phase_name(checker->phase));
  diagnostic_expected(checker->diagnostics, told, "it may stand at: %.*s",
                      SLICE_ARGS(phase_set_names(checker->scratch, node->action->phases)));
  return false;
}

/* Constant conditions */

ConstantTruth constant_truth(const Expression *expression) {
  ConstantTruth left = CONSTANT_NOT, right = CONSTANT_NOT;
  if (!expression)
    return CONSTANT_TRUE;
  if (expression->kind == EXPRESSION_LITERAL && expression->type == TYPE_BOOL)
    return expression->as.literal.as.truth ? CONSTANT_TRUE : CONSTANT_FALSE;
  if (expression->kind == EXPRESSION_IN_SET && keyset_size(expression->as.keyset) == 0)
    return CONSTANT_FALSE;
  if (expression->kind != EXPRESSION_NOT && expression->kind != EXPRESSION_AND && expression->kind != EXPRESSION_OR)
    return CONSTANT_NOT;
  left = constant_truth(expression->left);
  if (expression->kind == EXPRESSION_NOT)
    return left == CONSTANT_NOT ? left : left == CONSTANT_TRUE ? CONSTANT_FALSE : CONSTANT_TRUE;
  right = constant_truth(expression->right);
  ConstantTruth decides = expression->kind == EXPRESSION_AND ? CONSTANT_FALSE : CONSTANT_TRUE;
  if (left == decides || right == decides)
    return decides;
  return left == right ? left : CONSTANT_NOT;
}

/* Rules */

static const Expression *rule_condition(Checker *checker, const StatementNode *node, bool *good) {
  checker->captures = 0;
  checker->has_regex = checker->has_dnslist = false;
  if (!node->condition)
    return NULL;
  const Expression *condition = check_condition(checker, node->condition);
  *good &= condition != NULL;
  if (!condition) { /* what its regexes and dnslists would have left is not missed too */
    checker->captures = UINT32_MAX;
    checker->has_regex = checker->has_dnslist = true;
    return NULL;
  }
  checker->captures = 0;
  checker->has_regex = checker->has_dnslist = false;
  note_matches(checker, condition);
  return condition;
}

/* An `unless` is a NOT over the condition: one for the rule, whatever the number of its phases. */
static const Expression *unless(Checker *checker, const StatementNode *node, const Expression *condition) {
  const Expression *negated = g_hash_table_lookup(checker->unless_of, node);
  if (!negated) {
    negated = expression_not(checker, condition, node->condition);
    g_hash_table_insert(checker->unless_of, (gpointer)node, (gpointer)negated);
  }
  return negated;
}

static void note_phase(PhaseBuilder *builder, const Rule *rule, const Expression *condition) {
  PhaseProgram *program = builder->program;
  program->has_rules = true;
  program->has_disconnect |= !rule->observe && (rule->action == &action_disconnect || rule->action == &action_check);
  program->sets_variables |= rule->action == &action_set || rule->action == &action_score;
  program->facts[FACT_RECIPIENT] |= rule->action == &action_group_recipients; /* whom it sent away, it knows again */
  const Deed *deed = deed_of(rule->action);
  if (deed && !rule->observe)
    program->effects |= deed->effects;
  if (rule->action == &action_check && !rule->observe)
    program->effects |= EFFECT_BIT(EFFECT_QUARANTINE_MESSAGE); /* HOLD */
  if (condition)
    program->lookup_classes |= condition->lookup_classes;
  for (size_t i = 0; i < rule->argument_count; i++)
    program->lookup_classes |= rule->arguments[i]->lookup_classes;
}

static bool is_plain(const Expression *condition, const Rule *rule) {
  return condition && (condition->lookup_classes & ~(1u << LOOKUP_HERE)) == 0 && !condition->reads_details && !(rule && rule->uses_details);
}

/* True when it always ends the phase. */
static bool compile_rule(PhaseBuilder *builder, const StatementNode *node, uint32_t parent) {
  Checker *checker = builder->checker;
  if (!node->action || !node->action->action)
    return false;
  Rule *rule = rule_for(checker, node);
  bool good = check_place(checker, node->action);
  const Expression *condition = rule_condition(checker, node, &good);
  Conditions own = {checker->conditions, condition};
  checker->conditions = &own;
  void *plan = NULL;
  good &= rule->action->compile(checker, node->action, rule, &plan);
  checker->conditions = own.outer;
  if (condition && node->unless)
    condition = unless(checker, node, condition);
  Statement statement = {.kind = STATEMENT_RULE,
                         .condition = condition,
                         .parent = parent,
                         .end = builder->statements->len + 1,
                         .previous_branch = NO_STATEMENT,
                         .is_plain = is_plain(condition, rule),
                         .rule = rule,
                         .plan = plan};
  add_statement(builder, statement, node->span);
  note_phase(builder, rule, condition);
  bool always = !node->condition || constant_truth(condition) == CONSTANT_TRUE;
  return good && always && rule->action->ends_phase && !rule->observe;
}

static bool compile_body(PhaseBuilder *builder, const StatementNode *node, uint32_t parent);

/* The allows inside, told to all blocks around. */
static bool holds_allow(PhaseBuilder *builder, uint32_t block) {
  for (uint32_t i = block + 1; i < builder->statements->len; i++) {
    const Statement *statement = statement_at(builder, i);
    if (statement->kind == STATEMENT_RULE && statement->rule->is_allow)
      return true;
  }
  return false;
}

/* One block with its body; `body` may be empty. */
static bool compile_block(PhaseBuilder *builder, const Expression *condition, SourceSpan span, const StatementNode *body, uint32_t parent,
                          uint32_t previous) {
  Checker *checker = builder->checker;
  uint32_t index = builder->statements->len;
  Statement statement = {.kind = STATEMENT_BLOCK,
                         .condition = condition,
                         .parent = parent,
                         .end = index + 1,
                         .previous_branch = previous,
                         .is_plain = is_plain(condition, NULL),
                         .place = place_of(checker, span)};
  add_statement(builder, statement, span);
  if (condition)
    builder->program->lookup_classes |= condition->lookup_classes;
  Conditions own = {checker->conditions, condition};
  checker->conditions = &own;
  bool ends = compile_body(builder, body, index);
  checker->conditions = own.outer;
  statement_at(builder, index)->end = builder->statements->len;
  statement_at(builder, index)->holds_allow = holds_allow(builder, index);
  return ends;
}

static void tell_unreachable(Checker *checker, SourceSpan span, SourceSpan because, const char *why) {
  if (!g_hash_table_add(checker->told_spans, (gpointer)(span.source->text.data + span.offset)))
    return;
  Diagnostic *told = diagnostics_error(checker->diagnostics, span, "this is never reached");
  diagnostic_also(checker->diagnostics, told, because, "%s", why);
}

/* A look-up may fail, a regex exceed its limit, a variable hold either: an unknown `when` takes no branch at all. */
static bool can_be_unknown(const Expression *condition) {
  uint8_t may_fail = (uint8_t) ~(1u << LOOKUP_HERE);
  return condition && ((condition->lookup_classes & may_fail) || condition->reads_variables || condition->has_match);
}

/* when ... else when ... else; true when every branch ends the phase and one is always taken. */
static bool compile_when(PhaseBuilder *builder, const StatementNode *node, uint32_t parent) {
  Checker *checker = builder->checker;
  uint32_t previous = NO_STATEMENT;
  bool all_end = true, complete = false;
  const BranchNode *always = NULL;
  for (const BranchNode *branch = node->branches; branch; branch = branch->next) {
    bool good = true;
    if (always)
      tell_unreachable(checker, branch->span, always->span, "this branch is always taken");
    if (branch->is_broken) { /* what its rules may read and do hangs on its condition */
      all_end = false;
      continue;
    }
    const Expression *condition = NULL;
    if (branch->condition) {
      condition = check_condition(checker, branch->condition);
      good = condition != NULL;
    }
    if (good && constant_truth(condition) == CONSTANT_TRUE && !always) {
      always = branch;
      complete = true;
    }
    uint32_t index = builder->statements->len;
    all_end &= !can_be_unknown(condition);
    all_end &= compile_block(builder, condition, branch->span, branch->body, parent, previous);
    previous = index;
  }
  return all_end && complete;
}

static bool compile_body(PhaseBuilder *builder, const StatementNode *node, uint32_t parent) {
  const StatementNode *ended_by = NULL;
  bool told = false;
  for (; node; node = node->next) {
    if (ended_by && !told) {
      tell_unreachable(builder->checker, node->span, ended_by->span, "this always ends the phase");
      told = true;
    }
    bool ends = node->kind == STATEMENT_NODE_RULE ? compile_rule(builder, node, parent) : compile_when(builder, node, parent);
    if (ends && !ended_by)
      ended_by = node;
  }
  return ended_by != NULL;
}

/* Blocks of the phase */

static void check_asked(Checker *checker, const Declaration *declaration) {
  if (checker->phase == PHASE_CONNECT && (checker->options->enabled_doors & DOOR_BIT(DOOR_SOCKETMAP)))
    return; /* read at each question of a socket map */
  for (Door door = 0; door < DOOR_COUNT; door++)
    if ((checker->options->enabled_doors & DOOR_BIT(door)) && door_asks(door, checker->phase))
      return;
  Diagnostic *told = diagnostics_warning(
      checker->diagnostics,
      declaration->span.source ? (SourceSpan){declaration->span.source, declaration->span.offset, 2} : declaration->span,
      "no door in use asks at %s: these rules cannot fire", phase_name(checker->phase));
  g_autoptr(GString) doors = g_string_new(NULL);
  for (Door door = 0; door < DOOR_COUNT; door++)
    if (door_asks(door, checker->phase))
      g_string_append_printf(doors, "%s%s", doors->len ? ", " : "", door_name(door));
  diagnostic_expected(checker->diagnostics, told, "doors that ask at %s: %s", phase_name(checker->phase), doors->str);
}

static void compile_at(PhaseBuilder *builder, const Declaration *declaration) {
  Checker *checker = builder->checker;
  check_asked(checker, declaration);
  checker->is_repeated = (declaration->phases & (declaration->phases - 1)) != 0;
  if (!declaration->condition) {
    (void)compile_body(builder, declaration->body, NO_STATEMENT);
    return;
  }
  const Expression *condition = check_condition(checker, declaration->condition);
  (void)compile_block(builder, condition, declaration->span, declaration->body, NO_STATEMENT, NO_STATEMENT);
}

static void compile_file(PhaseBuilder *builder, const RulesFile *file) {
  for (const Declaration *declaration = file->declarations; declaration; declaration = declaration->next) {
    if (declaration->kind == DECLARATION_AT && !declaration->is_broken && (declaration->phases & PHASE_BIT(builder->checker->phase)))
      compile_at(builder, declaration);
    for (const RulesFile *included = declaration->files; included; included = included->next)
      compile_file(builder, included);
  }
}

/* Its items, from now on the arena's; not copied, so that a long list is not there twice. */
static void *array_take(Arena *arena, GArray *items, size_t size) {
  size_t bytes = items->len * size;
  void *taken = g_realloc(g_array_free(items, FALSE), bytes);
  if (taken)
    arena_on_reset(arena, g_free, taken);
  return taken;
}

void check_phase(Checker *checker, Phase phase, const RulesFile *file) {
  PhaseBuilder builder = {checker, &checker->program->phases[phase], g_array_new(FALSE, TRUE, sizeof(Statement)),
                          g_array_new(FALSE, FALSE, sizeof(SourceSpan))};
  checker->phase = phase;
  compile_file(&builder, file);
  ProgramTree *tree = checker->program->tree;
  builder.program->count = builder.statements->len;
  builder.program->statements = array_take(checker->arena, builder.statements, sizeof(Statement));
  tree->statements[phase] = array_take(tree->arena, builder.spans, sizeof(SourceSpan));
}
