/*
 * run_model.c: makes and prints the random rulesets of run_model.h.
 */
#include "tests/unit/run_model.h"

const Phase model_phase_of[MODEL_PHASES] = {PHASE_MAIL, PHASE_RCPT, PHASE_DATA};
const int model_steps[MODEL_STEPS] = {0, 1, 1, 2};
const Scope model_variable_scope[MODEL_VARIABLES] = {SCOPE_SESSION, SCOPE_SESSION, SCOPE_MESSAGE, SCOPE_RECIPIENT};
const char *const model_regexes[MODEL_REGEXES] = {"^a(.)", "(.)[12]$", "^(x)?[ab]"};

static const char *const model_words[] = {"a1", "b2", "a3", "b3", NULL};
static const char *const fact_names_of_model[MODEL_FACTS] = {"client_port", "server_port"};
static const char *const text_names_of_model[MODEL_TEXTS] = {"sasl_method", "sasl_username"};

static int pick(Model *model, int count) {
  return g_rand_int_range(model->random, 0, count);
}

static bool chance(Model *model, int percent) {
  return pick(model, 100) < percent;
}

/* ---- making ---- */

static Term *term_new(Model *model, TermKind kind, int which) {
  Term *term = ARENA_NEW(model->arena, Term);
  term->kind = kind;
  term->which = which;
  return term;
}

static Term *make_term(Model *model, int depth) {
  int roll = pick(model, 100);
  if (depth <= 0 || roll < 35) {
    Term *term = term_new(model, TERM_LITERAL, 0);
    term->number = pick(model, MODEL_KEYS);
    return term;
  }
  if (roll < 50)
    return term_new(model, TERM_FACT, pick(model, MODEL_FACTS));
  if (roll < 70)
    return term_new(model, TERM_VARIABLE, pick(model, MODEL_VARIABLES));
  if (roll < 90) {
    Term *term = term_new(model, TERM_VALUE_OF, pick(model, MODEL_TABLES - 2)); /* the last two are lists */
    term->left = make_term(model, depth - 1);
    return term;
  }
  Term *term = term_new(model, TERM_DEFAULT, 0);
  term->left = make_term(model, depth - 1);
  term->right = make_term(model, depth - 1);
  return term;
}

static Term *make_condition(Model *model, int depth);

static Term *make_leaf(Model *model) {
  int roll = pick(model, 100);
  Term *term;
  if (roll < 45) {
    term = term_new(model, COND_IN, pick(model, MODEL_TABLES));
    term->left = make_term(model, 1);
  } else if (roll < 65) {
    static const CompareOperator operators[] = {COMPARE_EQUAL, COMPARE_NOT_EQUAL, COMPARE_LESS, COMPARE_GREATER_EQUAL};
    term = term_new(model, COND_COMPARE, 0);
    term->compare = operators[pick(model, 4)];
    term->left = make_term(model, 2);
    term->right = make_term(model, 1);
  } else if (roll < 72) {
    term = term_new(model, COND_IS_SET, 0);
    term->left = make_term(model, 2);
  } else if (roll < 80) {
    term = term_new(model, COND_SCORE, pick(model, MODEL_SCORES + 1));
    term->number = pick(model, 6) - 2;
  } else if (roll < 91) {
    term = term_new(model, COND_MATCH, pick(model, MODEL_TEXTS));
    term->number = pick(model, MODEL_REGEXES);
  } else if (roll < 97) {
    term = term_new(model, COND_CAPTURE, 0);
    term->number = 1 + pick(model, 3);
  } else {
    term = term_new(model, COND_ZONE, 0);
  }
  return term;
}

static Term *make_condition(Model *model, int depth) {
  int roll = pick(model, 100);
  if (depth <= 0 || roll < 40)
    return make_leaf(model);
  Term *term = term_new(model, roll < 52 ? COND_NOT : roll < 76 ? COND_AND : COND_OR, 0);
  term->left = make_condition(model, depth - 1);
  if (term->kind != COND_NOT)
    term->right = make_condition(model, depth - 1);
  return term;
}

static ErrorBehaviour make_behaviour(Model *model) {
  static const ErrorBehaviour behaviours[] = {ON_ERROR_SKIP, ON_ERROR_SKIP, ON_ERROR_TEMPFAIL, ON_ERROR_MATCH};
  return behaviours[pick(model, 4)];
}

static void make_rule(Model *model, ModelStatement *rule, Phase phase) {
  static const ModelAction actions[] = {MODEL_PASS,       MODEL_ACCEPT, MODEL_REJECT, MODEL_REJECT, MODEL_TEMPFAIL,
                                        MODEL_DISCONNECT, MODEL_LOG,    MODEL_LOG,    MODEL_SET,    MODEL_SET,
                                        MODEL_SET,        MODEL_SCORE,  MODEL_SCORE,  MODEL_CHECK};
  rule->id = ++model->ids;
  rule->observe = chance(model, 10);
  rule->on_error = chance(model, 25) ? make_behaviour(model) : ON_ERROR_DEFAULT;
  rule->action = actions[pick(model, (int)G_N_ELEMENTS(actions))];
  bool verdict = rule->action <= MODEL_DISCONNECT;
  if (chance(model, verdict ? 98 : 80))
    rule->condition = make_condition(model, 3);
  rule->number = pick(model, 6) - 2;
  if (rule->action == MODEL_SET) {
    rule->which = pick(model, phase == PHASE_RCPT ? MODEL_VARIABLES : MODEL_VARIABLES - 1);
    rule->value = make_term(model, 3);
    if (chance(model, 25)) {
      rule->value = term_new(model, TERM_CONDITION, 0);
      rule->value->left = make_condition(model, 3);
    }
  } else if (rule->action == MODEL_SCORE) {
    rule->which = pick(model, MODEL_SCORES);
    rule->scope = (Scope)pick(model, phase == PHASE_RCPT ? 3 : 2);
  } else if (rule->action == MODEL_LOG) {
    rule->value = make_term(model, 2);
    rule->details = chance(model, 60);
  } else if (rule->action == MODEL_CHECK) {
    rule->value = term_new(model, TERM_VALUE_OF, pick(model, MODEL_TABLES - 2));
    rule->value->left = make_term(model, 1);
  }
}

static ModelStatement *make_body(Model *model, Phase phase, int depth, size_t *count) {
  *count = (size_t)(depth == 2 ? 2 + pick(model, 6) : 1 + pick(model, 3));
  ModelStatement *body = ARENA_NEW_ARRAY(model->arena, ModelStatement, *count);
  for (size_t i = 0; i < *count; i++) {
    if (depth == 0 || !chance(model, 25)) {
      make_rule(model, &body[i], phase);
      continue;
    }
    body[i].branch_count = (size_t)(1 + pick(model, 3));
    body[i].branches = ARENA_NEW_ARRAY(model->arena, ModelBranch, body[i].branch_count);
    for (size_t b = 0; b < body[i].branch_count; b++) {
      ModelBranch *branch = &body[i].branches[b];
      branch->line = ++model->ids;
      bool plain = b > 0 && b + 1 == body[i].branch_count && chance(model, 50);
      if (!plain)
        branch->condition = make_condition(model, 2);
      branch->body = make_body(model, phase, depth - 1, &branch->count);
    }
  }
  return body;
}

static ModelAnswer make_answer(Model *model) {
  int roll = pick(model, 100);
  if (roll < 18)
    return (ModelAnswer){ANSWER_FAILED, 0};
  if (roll < 55)
    return (ModelAnswer){ANSWER_NOT_FOUND, 0};
  return (ModelAnswer){ANSWER_FOUND, pick(model, MODEL_KEYS)};
}

static void make_tables(Model *model) {
  static const struct {
    const char *name;
    LookupClass lookup_class;
    bool is_list;
  } tables[MODEL_TABLES] = {
      {"here", LOOKUP_HERE, false},     {"ahead", LOOKUP_AHEAD, false}, {"reach", LOOKUP_REACHED, false}, {"count", LOOKUP_STATEFUL, false},
      {"grey", LOOKUP_STATEFUL, false}, {"zen", LOOKUP_AHEAD, true},    {"bl", LOOKUP_AHEAD, true},
  };
  for (int t = 0; t < MODEL_TABLES; t++) {
    ModelTable *table = &model->tables[t];
    table->name = tables[t].name;
    table->lookup_class = tables[t].lookup_class;
    table->is_list = tables[t].is_list;
    table->on_error = make_behaviour(model);
    for (int key = 0; key < MODEL_KEYS; key++) {
      table->answers[key] = make_answer(model);
      table->texts[key] = make_answer(model);
    }
  }
}

Model *model_new(guint32 seed) {
  Model *model = g_new0(Model, 1);
  model->arena = arena_new(16384);
  model->random = g_rand_new_with_seed(seed);
  make_tables(model);
  for (int i = 0; i < MODEL_FACTS; i++)
    model->facts[i] = chance(model, 20) ? -1 : 1 + pick(model, MODEL_KEYS - 1);
  for (int i = 0; i < MODEL_TEXTS; i++)
    model->texts[i] = model_words[pick(model, 5)];
  for (int p = 0; p < MODEL_PHASES; p++)
    model->phases[p].statements = make_body(model, model_phase_of[p], 2, &model->phases[p].count);
  return model;
}

void model_free(Model *model) {
  arena_free(model->arena);
  g_rand_free(model->random);
  g_free(model);
}

/* ---- properties ---- */

bool term_reads_details(const Term *term) {
  if (term == NULL)
    return false;
  if (term->kind == COND_CAPTURE || term->kind == COND_ZONE)
    return true;
  return term_reads_details(term->left) || term_reads_details(term->right);
}

bool term_has_match(const Model *model, const Term *term) {
  if (term == NULL)
    return false;
  if (term->kind == COND_MATCH || (term->kind == COND_IN && model->tables[term->which].is_list))
    return true;
  return term_has_match(model, term->left) || term_has_match(model, term->right);
}

bool statement_is_allow(const ModelStatement *statement) {
  return statement->action == MODEL_PASS || statement->action == MODEL_ACCEPT;
}

bool body_has_rules(const ModelStatement *body, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!body[i].dropped)
      return true;
  }
  return false;
}

bool body_holds_allow(const ModelStatement *body, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (body[i].dropped)
      continue;
    if (body[i].branch_count == 0 && statement_is_allow(&body[i]))
      return true;
    for (size_t b = 0; b < body[i].branch_count; b++) {
      const ModelBranch *branch = &body[i].branches[b];
      if (!branch->dropped && body_holds_allow(branch->body, branch->count))
        return true;
    }
  }
  return false;
}

/* ---- shrinking ---- */

typedef struct Visit {
  size_t left;
  bool *flag;
  Term **condition;
  bool conditions;
} Visit;

static bool visit_flag(Visit *visit, bool *flag) {
  if (visit->conditions)
    return false;
  if (visit->left-- == 0)
    visit->flag = flag;
  return visit->flag != NULL;
}

static bool visit_condition(Visit *visit, Term **term) {
  if (*term == NULL || (*term)->kind < COND_COMPARE || !visit->conditions)
    return false;
  if (visit->left-- == 0) {
    visit->condition = term;
    return true;
  }
  bool below = (*term)->kind == COND_NOT || (*term)->kind == COND_AND || (*term)->kind == COND_OR;
  return below && (visit_condition(visit, &(*term)->left) || visit_condition(visit, &(*term)->right));
}

static bool visit_body(Visit *visit, ModelStatement *body, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (visit_flag(visit, &body[i].dropped))
      return true;
    if (body[i].dropped)
      continue;
    if (visit_condition(visit, &body[i].condition))
      return true;
    for (size_t b = 0; b < body[i].branch_count; b++) {
      ModelBranch *branch = &body[i].branches[b];
      if (visit_flag(visit, &branch->dropped))
        return true;
      if (branch->dropped)
        continue;
      if (visit_condition(visit, &branch->condition))
        return true;
      if (visit_body(visit, branch->body, branch->count))
        return true;
    }
  }
  return false;
}

static Visit visit_model(Model *model, size_t nth, bool conditions) {
  Visit visit = {nth, NULL, NULL, conditions};
  for (int p = 0; p < MODEL_PHASES; p++) {
    if (visit_body(&visit, model->phases[p].statements, model->phases[p].count))
      break;
  }
  return visit;
}

bool *model_dropped_flag(Model *model, size_t nth) {
  return visit_model(model, nth, false).flag;
}

Term **model_condition(Model *model, size_t nth) {
  return visit_model(model, nth, true).condition;
}

/* ---- printing ---- */

static void print_term(GString *text, const Model *model, const Term *term) {
  static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">="};
  static const char *const scopes[] = {"session", "message", "recipient"};
  switch (term->kind) {
    case TERM_LITERAL:
      g_string_append_printf(text, "%d", term->number);
      return;
    case TERM_FACT:
      g_string_append(text, fact_names_of_model[term->which]);
      return;
    case TERM_VARIABLE:
      g_string_append_printf(text, "%s.v%d", scopes[model_variable_scope[term->which]], term->which);
      return;
    case TERM_VALUE_OF:
      g_string_append_printf(text, "%s[", model->tables[term->which].name);
      print_term(text, model, term->left);
      g_string_append(text, "]");
      return;
    case TERM_CONDITION:
    case COND_NOT:
      g_string_append(text, term->kind == COND_NOT ? "not (" : "(");
      print_term(text, model, term->left);
      g_string_append(text, ")");
      return;
    case COND_SCORE:
      g_string_append(text, "score");
      if (term->which < MODEL_SCORES)
        g_string_append_printf(text, ".s%d", term->which);
      g_string_append_printf(text, " >= %d", term->number);
      return;
    case COND_IN:
      print_term(text, model, term->left);
      g_string_append_printf(text, " in %s", model->tables[term->which].name);
      return;
    case COND_IS_SET:
      g_string_append(text, "(");
      print_term(text, model, term->left);
      g_string_append(text, ") is set");
      return;
    case COND_MATCH:
      g_string_append_printf(text, "%s ~ /%s/", text_names_of_model[term->which], model_regexes[term->number]);
      return;
    case COND_CAPTURE:
      g_string_append_printf(text, "\"{1}\" == \"%d\"", term->number);
      return;
    case COND_ZONE:
      g_string_append(text, "dnslist.zone is set");
      return;
    case TERM_DEFAULT:
    case COND_COMPARE:
    case COND_AND:
    case COND_OR:
      break;
  }
  const char *between = term->kind == TERM_DEFAULT ? "default"
                        : term->kind == COND_AND   ? "and"
                        : term->kind == COND_OR    ? "or"
                                                   : operators[term->compare];
  g_string_append(text, "(");
  print_term(text, model, term->left);
  g_string_append_printf(text, " %s ", between);
  print_term(text, model, term->right);
  g_string_append(text, ")");
}

static void print_rule(GString *text, const Model *model, const ModelStatement *rule) {
  static const char *const actions[] = {"pass", "accept message", "reject", "tempfail", "disconnect 521", "log", "set", "score", "check"};
  static const char *const scopes[] = {"session", "message", "recipient"};
  g_string_append_printf(text, "[r%d] %s%s", rule->id, rule->observe ? "observe " : "", actions[rule->action]);
  if (rule->action == MODEL_SET)
    g_string_append_printf(text, " %s.v%d = ", scopes[model_variable_scope[rule->which]], rule->which);
  if (rule->action == MODEL_LOG)
    g_string_append(text, " \"{");
  if (rule->action == MODEL_CHECK)
    g_string_append(text, " ");
  if (rule->value != NULL)
    print_term(text, model, rule->value);
  if (rule->action == MODEL_LOG)
    g_string_append(text, rule->details ? "} {1} {dnslist.zone} {dnslist.text}\"" : "}\"");
  if (rule->action == MODEL_SCORE)
    g_string_append_printf(text, " %s s%d %d", scopes[rule->scope], rule->which, rule->number);
  if (rule->condition != NULL) {
    g_string_append(text, " if ");
    print_term(text, model, rule->condition);
  }
  if (rule->on_error != ON_ERROR_DEFAULT)
    g_string_append_printf(text, " on error %s", error_behaviour_name(rule->on_error));
  g_string_append(text, "\n");
}

static void print_body(GString *text, const Model *model, const ModelStatement *body, size_t count, int indent) {
  for (size_t i = 0; i < count; i++) {
    if (body[i].dropped)
      continue;
    if (body[i].branch_count == 0) {
      g_string_append_printf(text, "%*s", indent, "");
      print_rule(text, model, &body[i]);
    }
    const char *lead = "when";
    for (size_t b = 0; b < body[i].branch_count; b++) {
      const ModelBranch *branch = &body[i].branches[b];
      if (branch->dropped)
        continue;
      g_string_append_printf(text, "%*s%s ", indent, "", branch->condition != NULL ? lead : "else");
      if (branch->condition != NULL)
        print_term(text, model, branch->condition);
      g_string_append_printf(text, " {  # %d\n", branch->line);
      print_body(text, model, branch->body, branch->count, indent + 4);
      g_string_append_printf(text, "%*s}\n", indent, "");
      lead = "else when";
    }
  }
}

static void print_answers(GString *text, const ModelTable *table) {
  static const char *const classes[] = {"here", "ahead", "reached", "stateful"};
  g_string_append_printf(text, "%s (%s, on error %s):", table->name, classes[table->lookup_class], error_behaviour_name(table->on_error));
  for (int key = 0; key < MODEL_KEYS; key++) {
    const ModelAnswer *answer = &table->answers[key];
    g_string_append_printf(text, " %d: ", key);
    if (answer->state == ANSWER_FOUND) {
      g_string_append_printf(text, "%d", answer->value);
    } else {
      g_string_append(text, answer->state == ANSWER_FAILED ? "failed" : "not found");
    }
  }
  g_string_append(text, "\n");
}

char *model_print(const Model *model) {
  GString *text = g_string_new(NULL);
  for (int t = 0; t < MODEL_TABLES; t++)
    print_answers(text, &model->tables[t]);
  for (int i = 0; i < MODEL_FACTS; i++)
    g_string_append_printf(text, "%s = %d\n", fact_names_of_model[i], model->facts[i]);
  for (int i = 0; i < MODEL_TEXTS; i++)
    g_string_append_printf(text, "%s = %s\n", text_names_of_model[i], model->texts[i] ? model->texts[i] : "unset");
  for (int p = 0; p < MODEL_PHASES; p++) {
    g_string_append_printf(text, "at %s {\n", phase_name(model_phase_of[p]));
    print_body(text, model, model->phases[p].statements, model->phases[p].count, 4);
    g_string_append(text, "}\n");
  }
  return g_string_free(text, FALSE);
}
