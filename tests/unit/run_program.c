/*
 * run_program.c: builds a Model into a Program, with actions and look-ups of its own, without the parser and the checker.
 */
#include <stdio.h>

#include "common/rules/action.h"
#include "common/rules/run.h"
#include "tests/unit/run_model.h"

/* ---- look-ups ---- */

typedef struct ModelResource {
  Resource base;
  const ModelTable *table;
} ModelResource;

typedef struct ModelVersion {
  ResourceVersion base;
  const ModelTable *table;
} ModelVersion;

static void start_nothing(void *self, Question *question) {
  (void)self;
  (void)question;
}

static const LookupBackend model_backend = {.name = "model", .start = start_nothing};

static void fill_answer(const ModelTable *table, AnswerState state, int value, ResourceAnswer *answer) {
  answer->state = state;
  if (state == ANSWER_FAILED)
    answer->reason = "scripted";
  if (state != ANSWER_FOUND)
    return;
  answer->value = value_int(value);
  if (table->is_list) {
    answer->zone = slice_from(table->name);
    answer->code = SLICE_LITERAL("127.0.0.2");
  }
}

static void model_find(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer) {
  (void)arena;
  const ModelTable *table = ((const ModelVersion *)version)->table;
  const ModelAnswer *scripted = &table->answers[keys[0].as.number % MODEL_KEYS];
  fill_answer(table, scripted->state, scripted->value, answer);
}

/* Questions for a key are of the arena, those for a text of the heap. */
static Question *model_ask(Resource *resource, const Value *keys, Arena *arena) {
  const ModelTable *table = ((ModelResource *)resource)->table;
  char *key = arena_printf(arena, "key %d", (int)(keys[0].as.number % MODEL_KEYS));
  return question_new_in(arena, &model_backend, (void *)table, table->lookup_class, slice_from(key), slice_from(table->name));
}

static Question *model_ask_text(Resource *resource, const Value *keys, Arena *arena) {
  const ModelTable *table = ((ModelResource *)resource)->table;
  char *key = arena_printf(arena, "text %d", (int)(keys[0].as.number % MODEL_KEYS));
  return question_new(&model_backend, (void *)table, table->lookup_class, slice_from(key));
}

static int payload_value(const Answer *raw) {
  gsize size;
  const int *value = g_bytes_get_data(raw->payload, &size);
  g_assert(size == sizeof(*value));
  return *value;
}

static void model_read(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  (void)keys;
  (void)arena;
  fill_answer(((ModelResource *)resource)->table, raw->state, raw->state == ANSWER_FOUND ? payload_value(raw) : 0, answer);
}

static Slice model_read_text(Resource *resource, const Answer *raw, Arena *arena) {
  (void)resource;
  return slice_from(arena_printf(arena, "text %d", payload_value(raw)));
}

static void model_close(Resource *resource) {
  g_free(resource);
}

static const ResourceKind table_kind = {
    .name = "model",
    .is_table = false,
    .close = model_close,
    .find = model_find,
    .ask = model_ask,
    .read = model_read,
};

static const ResourceKind list_kind = {
    .name = "model list",
    .is_table = false,
    .close = model_close,
    .ask = model_ask,
    .read = model_read,
    .ask_text = model_ask_text,
    .read_text = model_read_text,
};

Answer *model_program_answer(const Question *question) {
  const ModelTable *table = question->backend_self;
  int key = question->key[question->key_length - 1] - '0';
  const ModelAnswer *scripted = question->key[0] == 't' ? &table->texts[key] : &table->answers[key];
  if (scripted->state == ANSWER_FAILED)
    return answer_new_failed("scripted");
  g_autoptr(GBytes) payload = g_bytes_new(&scripted->value, sizeof(scripted->value));
  return answer_new(scripted->state, scripted->state == ANSWER_FOUND ? payload : NULL, 0);
}

static void version_free(ResourceVersion *version) {
  g_free(version);
}

static Resource *make_resource(const ModelTable *table) {
  ModelResource *resource = g_new0(ModelResource, 1);
  ResourceSpec spec = {.kind = table->is_list ? &list_kind : &table_kind,
                       .name = table->name,
                       .text = table->name,
                       .shape = {.part_count = 1, .parts = {TYPE_INT}}};
  resource_init(&resource->base, &spec);
  resource->table = table;
  ModelVersion *version = g_new0(ModelVersion, 1);
  version->base.references = 1;
  version->base.free = version_free;
  version->table = table;
  resource_publish(&resource->base, &version->base);
  return &resource->base;
}

/* ---- actions ---- */

typedef struct ModelPlan {
  const ModelStatement *statement;
  const Expression *value;
  const VariableInfo *variable;
} ModelPlan;

static void perform_verdict(Run *run, const Rule *rule, const void *plan) {
  static const struct {
    Outcome outcome;
    uint16_t code;
  } verdicts[] = {{OUTCOME_PASS, 0}, {OUTCOME_ACCEPT, 0}, {OUTCOME_REJECT, 550}, {OUTCOME_TEMPFAIL, 450}, {OUTCOME_DISCONNECT, 521}};
  const ModelPlan *mine = plan;
  Verdict verdict = {.outcome = verdicts[mine->statement->action].outcome, .reply = {.code = verdicts[mine->statement->action].code}};
  run_end(run, rule, &verdict);
}

static void perform_log(Run *run, const Rule *rule, const void *plan) {
  const ModelPlan *mine = plan;
  Effect effect = {.kind = EFFECT_LOG, .as.log_text = run_text(run, mine->value)};
  run_effect(run, rule, &effect);
}

static void perform_set(Run *run, const Rule *rule, const void *plan) {
  const ModelPlan *mine = plan;
  Value value = run_value(run, mine->value);
  if (value.state == VALUE_SET && value.type == TYPE_BOOL)
    value = value_int(value.as.truth);
  run_set(run, rule, mine->variable, value);
}

static void perform_score(Run *run, const Rule *rule, const void *plan) {
  const ModelStatement *statement = ((const ModelPlan *)plan)->statement;
  run_score(run, rule, statement->scope, (uint32_t)statement->which, statement->number);
}

static void perform_check(Run *run, const Rule *rule, const void *plan) {
  Value value = run_value(run, ((const ModelPlan *)plan)->value);
  Verdict refuse = {.outcome = OUTCOME_REJECT, .reply = {.code = 554}};
  Verdict pass = {.outcome = OUTCOME_PASS};
  if (value.state == VALUE_UNKNOWN) {
    run_unknown(run, rule, &value);
  } else if (value.state == VALUE_SET && value.as.number == 1) {
    run_end(run, rule, &refuse);
  } else if (value.state == VALUE_SET && value.as.number == 2) {
    run_end(run, rule, &pass);
  }
}

static const Action model_verdict = {.name = "verdict", .ends_phase = true, .perform = perform_verdict};
static const Action model_log = {.name = "log", .perform = perform_log};
static const Action model_set = {.name = "set", .perform = perform_set};
static const Action model_score = {.name = "score", .perform = perform_score};
static const Action model_check = {.name = "check", .perform = perform_check};

static const Action *action_of(ModelAction action) {
  switch (action) {
    case MODEL_PASS:
    case MODEL_ACCEPT:
    case MODEL_REJECT:
    case MODEL_TEMPFAIL:
    case MODEL_DISCONNECT:
      return &model_verdict;
    case MODEL_LOG:
      return &model_log;
    case MODEL_SET:
      return &model_set;
    case MODEL_SCORE:
      return &model_score;
    case MODEL_CHECK:
      break;
  }
  return &model_check;
}

/* ---- expressions ---- */

struct ModelProgram {
  Program program;
  const Model *model;
  Arena *arena;
  ResourceUse uses[MODEL_TABLES];
  const ResourceUse *use_list[MODEL_TABLES];
  VariableInfo variables[MODEL_VARIABLES];
  const VariableInfo *variable_list[MODEL_VARIABLES];
  Slice score_names[MODEL_SCORES];
  const Regex *regexes[MODEL_REGEXES];
  GArray *statements; /* of the phase that is being built */
  GPtrArray *rules;
};

static Expression *expression_new(ModelProgram *program, ExpressionKind kind, ValueType type) {
  Expression *expression = ARENA_NEW(program->arena, Expression);
  expression->kind = kind;
  expression->type = type;
  return expression;
}

static void inherit(Expression *expression, const Expression *part) {
  if (part == NULL)
    return;
  expression->reads_variables |= part->reads_variables;
  expression->reads_details |= part->reads_details;
  expression->has_match |= part->has_match;
  expression->lookup_classes |= part->lookup_classes;
}

static Expression *literal(ModelProgram *program, Value value) {
  Expression *expression = expression_new(program, EXPRESSION_LITERAL, value.type);
  expression->as.literal = value;
  return expression;
}

static Expression *detail(ModelProgram *program, DnslistDetail which) {
  Expression *expression = expression_new(program, EXPRESSION_DNSLIST, TYPE_STRING);
  expression->as.detail = which;
  expression->reads_details = true;
  return expression;
}

static Expression *capture(ModelProgram *program) {
  Expression *expression = expression_new(program, EXPRESSION_CAPTURE, TYPE_STRING);
  expression->as.capture = 1;
  expression->reads_details = true;
  return expression;
}

static Expression *build_term(ModelProgram *program, const Term *term);

static Expression *build_lookup(ModelProgram *program, const Term *term, ExpressionKind kind, ValueType type) {
  Expression *expression = expression_new(program, kind, type);
  const Expression *key = build_term(program, term->left);
  ResourceLookup *lookup = ARENA_NEW(program->arena, ResourceLookup);
  *lookup = (ResourceLookup){.use = &program->uses[term->which], .count = 1, .keys = {key}};
  expression->as.lookup = lookup;
  inherit(expression, key);
  expression->lookup_classes |= (uint8_t)(1u << program->uses[term->which].lookup_class);
  expression->has_match |= program->model->tables[term->which].is_list;
  return expression;
}

static Expression *build_match(ModelProgram *program, const Term *term) {
  static const Fact facts[MODEL_TEXTS] = {FACT_SASL_METHOD, FACT_SASL_USERNAME};
  Expression *expression = expression_new(program, EXPRESSION_MATCH, TYPE_BOOL);
  Expression *fact = expression_new(program, EXPRESSION_FACT, TYPE_STRING);
  fact->as.fact = facts[term->which];
  expression->left = fact;
  expression->as.regex = program->regexes[term->number];
  expression->has_match = true;
  return expression;
}

static Expression *build_two(ModelProgram *program, ExpressionKind kind, ValueType type, const Expression *left, const Expression *right) {
  Expression *expression = expression_new(program, kind, type);
  expression->left = left;
  expression->right = right;
  inherit(expression, left);
  inherit(expression, right);
  return expression;
}

static Expression *build_capture(ModelProgram *program, int digit) {
  const char *text = arena_printf(program->arena, "%d", digit);
  return build_two(program, EXPRESSION_COMPARE, TYPE_BOOL, capture(program), literal(program, value_text(slice_from(text))));
}

static Expression *build_score(ModelProgram *program, const Term *term) {
  Expression *score = expression_new(program, EXPRESSION_SCORE, TYPE_DECIMAL);
  score->as.score = term->which == MODEL_SCORES ? SCORE_TOTAL : (uint32_t)term->which;
  score->reads_variables = true;
  Expression *expression = build_two(program, EXPRESSION_COMPARE, TYPE_BOOL, score, literal(program, value_int(term->number)));
  expression->as.compare = COMPARE_GREATER_EQUAL;
  return expression;
}

static Expression *build_term(ModelProgram *program, const Term *term) {
  static const Fact facts[MODEL_FACTS] = {FACT_CLIENT_PORT, FACT_SERVER_PORT};
  Expression *expression;
  switch (term->kind) {
    case TERM_LITERAL:
      return literal(program, value_int(term->number));
    case TERM_FACT:
      expression = expression_new(program, EXPRESSION_FACT, TYPE_INT);
      expression->as.fact = facts[term->which];
      return expression;
    case TERM_VARIABLE:
      expression = expression_new(program, EXPRESSION_VARIABLE, TYPE_INT);
      expression->as.variable = &program->variables[term->which];
      expression->reads_variables = true;
      return expression;
    case TERM_VALUE_OF:
      return build_lookup(program, term, EXPRESSION_VALUE_OF, TYPE_INT);
    case TERM_DEFAULT:
      return build_two(program, EXPRESSION_DEFAULT, TYPE_INT, build_term(program, term->left), build_term(program, term->right));
    case TERM_CONDITION:
      return build_term(program, term->left);
    case COND_COMPARE:
      expression = build_two(program, EXPRESSION_COMPARE, TYPE_BOOL, build_term(program, term->left), build_term(program, term->right));
      expression->as.compare = term->compare;
      return expression;
    case COND_SCORE:
      return build_score(program, term);
    case COND_IN:
      return build_lookup(program, term, EXPRESSION_IN_RESOURCE, TYPE_BOOL);
    case COND_IS_SET:
      return build_two(program, EXPRESSION_IS_SET, TYPE_BOOL, build_term(program, term->left), NULL);
    case COND_MATCH:
      return build_match(program, term);
    case COND_CAPTURE:
      return build_capture(program, term->number);
    case COND_ZONE:
      return build_two(program, EXPRESSION_IS_SET, TYPE_BOOL, detail(program, DNSLIST_ZONE), NULL);
    case COND_NOT:
      return build_two(program, EXPRESSION_NOT, TYPE_BOOL, build_term(program, term->left), NULL);
    case COND_AND:
      return build_two(program, EXPRESSION_AND, TYPE_BOOL, build_term(program, term->left), build_term(program, term->right));
    case COND_OR:
      return build_two(program, EXPRESSION_OR, TYPE_BOOL, build_term(program, term->left), build_term(program, term->right));
  }
  g_assert_not_reached();
}

/* "{value} {1} {dnslist.zone} {dnslist.text}", or the value alone. */
static Expression *build_log(ModelProgram *program, const ModelStatement *rule) {
  const Expression *value = build_term(program, rule->value);
  const Expression *blank = literal(program, value_text(SLICE_LITERAL(" ")));
  const Expression *all[] = {value, blank, capture(program), blank, detail(program, DNSLIST_ZONE), blank, detail(program, DNSLIST_TEXT)};
  size_t count = rule->details ? G_N_ELEMENTS(all) : 1;
  const Expression **items = ARENA_NEW_ARRAY(program->arena, const Expression *, count);
  Expression *expression = expression_new(program, EXPRESSION_TEMPLATE, TYPE_STRING);
  for (size_t i = 0; i < count; i++) {
    items[i] = all[i];
    inherit(expression, all[i]);
  }
  expression->as.parts.items = items;
  expression->as.parts.count = count;
  return expression;
}

/* ---- statements ---- */

static Statement *statement_add(ModelProgram *program, Statement statement) {
  g_array_append_val(program->statements, statement);
  return &g_array_index(program->statements, Statement, program->statements->len - 1);
}

static void note_classes(PhaseProgram *phase, const Expression *expression) {
  if (expression != NULL)
    phase->lookup_classes |= expression->lookup_classes;
  /* The text of a list is asked ahead, like the list. */
  if (expression != NULL && expression->reads_details)
    phase->lookup_classes |= 1u << LOOKUP_AHEAD;
}

static void build_rule(ModelProgram *program, PhaseProgram *phase, const ModelStatement *from) {
  Rule *rule = ARENA_NEW(program->arena, Rule);
  ModelPlan *plan = ARENA_NEW(program->arena, ModelPlan);
  rule->id = slice_from(arena_printf(program->arena, "r%d", from->id));
  rule->labelled = true;
  rule->number = program->rules->len;
  rule->action = action_of(from->action);
  rule->action_text = rule->id.data;
  rule->observe = from->observe;
  rule->is_allow = statement_is_allow(from);
  rule->on_error = from->on_error;
  plan->statement = from;
  if (from->value != NULL) {
    const Expression **arguments = ARENA_NEW_ARRAY(program->arena, const Expression *, 1);
    plan->value = from->action == MODEL_LOG ? build_log(program, from) : build_term(program, from->value);
    arguments[0] = plan->value;
    rule->arguments = arguments;
    rule->argument_count = 1;
    rule->uses_details = plan->value->reads_details;
    note_classes(phase, plan->value);
  }
  if (from->action == MODEL_SET)
    plan->variable = &program->variables[from->which];
  phase->sets_variables |= from->action == MODEL_SET || from->action == MODEL_SCORE;
  g_ptr_array_add(program->rules, rule);
  Statement *statement =
      statement_add(program, (Statement){.kind = STATEMENT_RULE, .previous_branch = NO_STATEMENT, .rule = rule, .plan = plan});
  statement->end = program->statements->len;
  statement->condition = from->condition != NULL ? build_term(program, from->condition) : NULL;
  note_classes(phase, statement->condition);
}

/* The place of a `when` is its number in the model. */
static const SourcePlace *block_place(ModelProgram *program, const ModelBranch *branch) {
  SourcePlace *place = ARENA_NEW(program->arena, SourcePlace);
  *place = (SourcePlace){"model", (unsigned)branch->line};
  return place;
}

static void build_body(ModelProgram *program, PhaseProgram *phase, const ModelStatement *body, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (body[i].dropped)
      continue;
    if (body[i].branch_count == 0)
      build_rule(program, phase, &body[i]);
    uint32_t previous = NO_STATEMENT;
    for (size_t b = 0; b < body[i].branch_count; b++) {
      const ModelBranch *branch = &body[i].branches[b];
      if (branch->dropped)
        continue;
      uint32_t index = program->statements->len;
      const Expression *condition = branch->condition != NULL ? build_term(program, branch->condition) : NULL;
      note_classes(phase, condition);
      statement_add(program, (Statement){.kind = STATEMENT_BLOCK,
                                         .condition = condition,
                                         .previous_branch = previous,
                                         .holds_allow = body_holds_allow(branch->body, branch->count),
                                         .place = block_place(program, branch)});
      build_body(program, phase, branch->body, branch->count);
      g_array_index(program->statements, Statement, index).end = program->statements->len;
      previous = index;
    }
  }
}

static void build_phase(ModelProgram *program, int which) {
  PhaseProgram *phase = &program->program.phases[model_phase_of[which]];
  program->statements = g_array_new(FALSE, TRUE, sizeof(Statement));
  build_body(program, phase, program->model->phases[which].statements, program->model->phases[which].count);
  phase->count = program->statements->len;
  phase->has_rules = phase->count > 0;
  phase->statements = (Statement *)(void *)g_array_free(program->statements, phase->count == 0);
}

static void build_names(ModelProgram *program) {
  uint32_t slots[SCOPE_RECIPIENT + 1] = {0};
  for (int i = 0; i < MODEL_VARIABLES; i++) {
    Scope scope = model_variable_scope[i];
    program->variables[i] = (VariableInfo){slice_from(arena_printf(program->arena, "v%d", i)), scope, TYPE_INT, slots[scope]++};
    program->variable_list[i] = &program->variables[i];
  }
  for (int i = 0; i < MODEL_SCORES; i++)
    program->score_names[i] = slice_from(arena_printf(program->arena, "s%d", i));
  program->program.variables = program->variable_list;
  program->program.variable_count = MODEL_VARIABLES;
  program->program.score_names = program->score_names;
  program->program.score_count = MODEL_SCORES;
  for (Scope scope = SCOPE_SESSION; scope <= SCOPE_RECIPIENT; scope++)
    program->program.scope_slots[scope] = slots[scope];
}

static void build_resources(ModelProgram *program) {
  for (int t = 0; t < MODEL_TABLES; t++) {
    const ModelTable *table = &program->model->tables[t];
    program->uses[t] = (ResourceUse){.name = slice_from(table->name),
                                     .label = slice_from(table->name),
                                     .index = (uint32_t)t,
                                     .resource = make_resource(table),
                                     .shape = {.part_count = 1, .parts = {TYPE_INT}},
                                     .on_error = table->on_error,
                                     .lookup_class = table->lookup_class};
    program->use_list[t] = &program->uses[t];
  }
  program->program.resources = program->use_list;
  program->program.resource_count = MODEL_TABLES;
  for (int i = 0; i < MODEL_REGEXES; i++) {
    char message[128];
    size_t offset;
    program->regexes[i] = regex_new(program->arena, slice_from(model_regexes[i]), true, false, message, &offset);
    g_assert(program->regexes[i] != NULL);
  }
}

ModelProgram *model_program_new(const Model *model) {
  ModelProgram *program = g_new0(ModelProgram, 1);
  program->model = model;
  program->arena = arena_new(16384);
  program->program.references = 1;
  program->rules = g_ptr_array_new();
  build_names(program);
  build_resources(program);
  for (int p = 0; p < MODEL_PHASES; p++)
    build_phase(program, p);
  program->program.rules = (const Rule *const *)program->rules->pdata;
  program->program.rule_count = program->rules->len;
  return program;
}

void model_program_free(ModelProgram *program) {
  g_assert(program->program.references == 1);
  for (int t = 0; t < MODEL_TABLES; t++)
    resource_unref(program->uses[t].resource);
  for (int p = 0; p < MODEL_PHASES; p++)
    g_free((void *)program->program.phases[model_phase_of[p]].statements);
  g_ptr_array_free(program->rules, TRUE);
  arena_free(program->arena);
  g_free(program);
}

Ruleset *model_program_ruleset(ModelProgram *program) {
  return &program->program;
}
