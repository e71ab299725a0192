/*
 * run_reference.c: reads a Model the simple way: one statement after the other, one look-up after the other, each answered at once.
 *
 * It shares nothing with the evaluator but the model. A stateful look-up stays open while the rest of its condition is read; if the
 * condition is then still open, the leftmost one that it needs is asked, and the condition is read again.
 */
#include "tests/unit/run_model.h"

typedef enum State { R_FALSE, R_TRUE, R_UNSET, R_SET, R_UNKNOWN, R_OPEN } State;

/* A condition (FALSE, TRUE, UNKNOWN, OPEN) or a value (UNSET, SET, UNKNOWN, OPEN). */
typedef struct Result {
  State state;
  int value;
  bool is_truth;   /* value is of a condition (set x = (cond)) */
  unsigned failed; /* tables: bits */
  int need;        /* the stateful look-up that it is open for: table * MODEL_KEYS + key */
} Result;

typedef struct Added {
  int rule, name, number;
  Scope scope;
} Added;

typedef struct Reference {
  const Model *model;
  GString *out;
  Result variables[MODEL_VARIABLES];
  Added added[200];
  int added_count;
  bool any_accepted;
  int largest[MODEL_SCORES + 1];
  /* of a phase: */
  Phase phase;
  bool asked[MODEL_TABLES * MODEL_KEYS];
  GString *stateful;
  guint32 reached;
  bool ended, refused, doubt;
  char *verdict;
  /* of a statement: */
  bool strict;
  char capture;       /* 0: unset */
  int list, list_key; /* -1: none */
} Reference;

static Result truth(bool is_true) {
  return (Result){is_true ? R_TRUE : R_FALSE, 0, false, 0, 0};
}

static Result set_to(int value) {
  return (Result){R_SET, value, false, 0, 0};
}

static Result read_term(Reference *reference, const Term *term);

static Result look_up(Reference *reference, int table, const Result *key) {
  if (key->state != R_SET)
    return *key;
  int number = key->value % MODEL_KEYS;
  const ModelTable *from = &reference->model->tables[table];
  int event = table * MODEL_KEYS + number;
  if (from->lookup_class == LOOKUP_STATEFUL && !reference->asked[event])
    return (Result){R_OPEN, 0, false, 0, event};
  if (from->lookup_class == LOOKUP_REACHED)
    reference->reached |= 1u << event;
  const ModelAnswer *answer = &from->answers[number];
  if (answer->state == ANSWER_FAILED)
    return (Result){R_UNKNOWN, 0, false, 1u << table, 0};
  if (answer->state == ANSWER_NOT_FOUND)
    return (Result){R_UNSET, 0, false, 0, 0};
  if (from->is_list) {
    reference->list = table;
    reference->list_key = number;
  }
  return set_to(answer->value);
}

/* Neither is the winner. */
static Result join(Result left, Result right) {
  if (left.state == R_OPEN)
    return left;
  if (right.state == R_OPEN)
    return right;
  if (left.state == R_UNKNOWN && right.state == R_UNKNOWN)
    left.failed |= right.failed;
  return left.state == R_UNKNOWN ? left : right;
}

static Result read_both(Reference *reference, const Term *term, State winner) {
  Result left = read_term(reference, term->left);
  if (left.state == winner)
    return left;
  if (left.state == R_OPEN && reference->strict && term_has_match(reference->model, term))
    return left;
  Result right = read_term(reference, term->right);
  return right.state == winner ? right : join(left, right);
}

static bool compare(CompareOperator operator, int left, int right) {
  switch (operator) {
    case COMPARE_EQUAL:
    case COMPARE_NOT_EQUAL:
      return left == right;
    case COMPARE_LESS:
      return left < right;
    case COMPARE_LESS_EQUAL:
      return left <= right;
    case COMPARE_GREATER:
      return left > right;
    case COMPARE_GREATER_EQUAL:
      break;
  }
  return left >= right;
}

static Result invert(Result result) {
  if (result.state == R_FALSE || result.state == R_TRUE)
    return truth(result.state == R_FALSE);
  return result;
}

static Result read_compare(Reference *reference, const Term *term) {
  Result left = read_term(reference, term->left);
  Result right = read_term(reference, term->right);
  Result result;
  if (left.state == R_UNSET || right.state == R_UNSET) {
    result = truth(false);
  } else if (left.state == R_SET && right.state == R_SET) {
    result = truth(compare(term->compare, left.value, right.value));
  } else {
    result = join(left, right);
    if (result.state == R_SET)
      result = left;
  }
  return term->compare == COMPARE_NOT_EQUAL ? invert(result) : result;
}

static int sum(const Reference *reference, int name, Scope scope) {
  int total = 0;
  for (int i = 0; i < reference->added_count; i++) {
    const Added *added = &reference->added[i];
    if (added->scope == scope && (name == MODEL_SCORES || added->name == name))
      total += added->number;
  }
  return total;
}

static int score(const Reference *reference, int name) {
  int total = sum(reference, name, SCOPE_SESSION) + sum(reference, name, SCOPE_MESSAGE);
  if (reference->phase == PHASE_RCPT)
    return total + sum(reference, name, SCOPE_RECIPIENT);
  return total + (reference->any_accepted ? reference->largest[name] : 0);
}

static Result read_match(Reference *reference, const Term *term) {
  const char *text = reference->model->texts[term->which];
  if (text == NULL)
    return truth(false);
  bool first = term->number == 0, second = term->number == 1;
  bool matched = first ? text[0] == 'a' : second ? text[1] == '1' || text[1] == '2' : true;
  if (matched)
    reference->capture = first ? text[1] : second ? text[0] : 0;
  return truth(matched);
}

static Result read_condition(Reference *reference, const Term *term) {
  Result left;
  switch (term->kind) {
    case COND_COMPARE:
      return read_compare(reference, term);
    case COND_SCORE:
      return truth(score(reference, term->which) >= term->number);
    case COND_IN:
      left = read_term(reference, term->left);
      left = look_up(reference, term->which, &left);
      return left.state == R_SET ? truth(true) : left.state == R_UNSET ? truth(false) : left;
    case COND_IS_SET:
      left = read_term(reference, term->left);
      return left.state == R_SET ? truth(true) : left.state == R_UNSET ? truth(false) : left;
    case COND_MATCH:
      return read_match(reference, term);
    case COND_CAPTURE:
      return truth(reference->capture == '0' + term->number);
    case COND_ZONE:
      return truth(reference->list >= 0);
    case COND_NOT:
      return invert(read_term(reference, term->left));
    case COND_AND:
      return read_both(reference, term, R_FALSE);
    case COND_OR:
      return read_both(reference, term, R_TRUE);
    case TERM_LITERAL:
    case TERM_FACT:
    case TERM_VARIABLE:
    case TERM_VALUE_OF:
    case TERM_DEFAULT:
    case TERM_CONDITION:
      break;
  }
  g_assert_not_reached();
}

static Result read_term(Reference *reference, const Term *term) {
  Result left;
  if (term->kind >= COND_COMPARE)
    return read_condition(reference, term);
  switch ((int)term->kind) {
    case TERM_LITERAL:
      return set_to(term->number);
    case TERM_FACT:
      return reference->model->facts[term->which] < 0 ? (Result){R_UNSET, 0, false, 0, 0} : set_to(reference->model->facts[term->which]);
    case TERM_VARIABLE:
      return reference->variables[term->which];
    case TERM_VALUE_OF:
      left = read_term(reference, term->left);
      return look_up(reference, term->which, &left);
    case TERM_DEFAULT:
      left = read_term(reference, term->left);
      return left.state == R_UNSET ? read_term(reference, term->right) : left;
    case TERM_CONDITION:
      left = read_term(reference, term->left);
      return left.state == R_TRUE || left.state == R_FALSE ? set_to(left.state == R_TRUE) : left;
  }
  g_assert_not_reached();
}

/* Reads until it is not open, asking what it needs; each time with the captures that there were before. */
static Result decide(Reference *reference, const Term *term) {
  char capture = reference->capture;
  int list = reference->list, list_key = reference->list_key;
  for (;;) {
    reference->capture = capture;
    reference->list = list;
    reference->list_key = list_key;
    Result result = read_term(reference, term);
    if (result.state != R_OPEN)
      return result;
    reference->asked[result.need] = true;
    g_string_append_printf(reference->stateful, " %s:%d", reference->model->tables[result.need / MODEL_KEYS].name,
                           result.need % MODEL_KEYS);
  }
}

static ErrorBehaviour behaviour_of(const Reference *reference, ErrorBehaviour own, unsigned failed) {
  if (own != ON_ERROR_DEFAULT)
    return own;
  ErrorBehaviour strongest = ON_ERROR_SKIP;
  for (int table = 0; table < MODEL_TABLES; table++) {
    if ((failed & (1u << table)) == 0)
      continue;
    ErrorBehaviour one = reference->model->tables[table].on_error;
    if (one == ON_ERROR_TEMPFAIL)
      return one;
    if (one == ON_ERROR_MATCH)
      strongest = one;
  }
  return strongest;
}

static void note(Reference *reference, const ModelStatement *rule, const char *outcome, int code) {
  g_string_append_printf(reference->out, "  r%d: observed %s %d\n", rule->id, outcome, code);
}

static void end(Reference *reference, const char *outcome, int code, const char *rule, bool failure) {
  reference->ended = true;
  reference->refused = code >= 400;
  g_free(reference->verdict);
  reference->verdict = g_strdup_printf("%s %d %s%s", outcome, code, rule, failure ? " by failure" : "");
}

static void fail(Reference *reference, const ModelStatement *rule) {
  char id[16];
  g_snprintf(id, sizeof(id), "r%d", rule->id);
  if (rule->observe) {
    note(reference, rule, "tempfail", 451);
  } else {
    end(reference, "tempfail", 451, id, true);
  }
}

static void say(Reference *reference, const ModelStatement *rule, const char *outcome, int code) {
  char id[16];
  g_snprintf(id, sizeof(id), "r%d", rule->id);
  if (rule->observe) {
    note(reference, rule, outcome, code);
  } else if (reference->doubt && code >= 500) {
    end(reference, "tempfail", 451, id, true);
  } else {
    end(reference, outcome, code, id, false);
  }
}

static void append_value(GString *text, const Model *model, const Result *value) {
  if (value->state == R_SET)
    g_string_append_printf(text, "%d", value->value);
  if (value->state != R_UNKNOWN)
    return;
  g_string_append(text, "?");
  for (int table = 0; table < MODEL_TABLES; table++) {
    if (value->failed & (1u << table))
      g_string_append_printf(text, ",%s", model->tables[table].name);
  }
}

static void perform_log(Reference *reference, const ModelStatement *rule, Result value) {
  const Model *model = reference->model;
  if (rule->observe) {
    note(reference, rule, "pass", 0);
    return;
  }
  g_string_append_printf(reference->out, "  r%d: log ", rule->id);
  if (value.state == R_UNKNOWN)
    g_string_append(reference->out, "?");
  if (value.state == R_SET)
    g_string_append_printf(reference->out, "%d", value.value);
  if (rule->details) {
    g_string_append(reference->out, " ");
    if (reference->capture != 0)
      g_string_append_c(reference->out, reference->capture);
    g_string_append(reference->out, " ");
    if (reference->list >= 0) {
      const ModelTable *list = &model->tables[reference->list];
      const ModelAnswer *text = &list->texts[reference->list_key];
      g_string_append_printf(reference->out, "%s ", list->name);
      if (text->state == ANSWER_FAILED)
        g_string_append(reference->out, "?");
      if (text->state == ANSWER_FOUND)
        g_string_append_printf(reference->out, "text %d", text->value);
    } else {
      g_string_append(reference->out, " ");
    }
  }
  g_string_append(reference->out, "\n");
}

static void perform_score(Reference *reference, const ModelStatement *rule) {
  if (rule->observe) {
    note(reference, rule, "pass", 0);
    return;
  }
  for (int i = 0; i < reference->added_count; i++) {
    const Added *added = &reference->added[i];
    if (added->rule == rule->id && added->scope == rule->scope)
      return;
  }
  g_assert(reference->added_count < (int)G_N_ELEMENTS(reference->added));
  reference->added[reference->added_count++] = (Added){rule->id, rule->which, rule->number, rule->scope};
}

static void perform_check(Reference *reference, const ModelStatement *rule, Result value) {
  if (value.state == R_UNKNOWN) {
    if (behaviour_of(reference, rule->on_error, value.failed) == ON_ERROR_TEMPFAIL) {
      fail(reference, rule);
    } else if (!rule->observe) {
      reference->doubt = true;
    }
  } else if (value.state == R_SET && value.value == 1) {
    say(reference, rule, "reject", 554);
  } else if (value.state == R_SET && value.value == 2) {
    say(reference, rule, "pass", 0);
  }
}

static void perform(Reference *reference, const ModelStatement *rule) {
  Result value = rule->value != NULL ? decide(reference, rule->value) : truth(true);
  switch (rule->action) {
    case MODEL_PASS:
      say(reference, rule, "pass", 0);
      return;
    case MODEL_ACCEPT:
      say(reference, rule, "accept", 0);
      return;
    case MODEL_REJECT:
      say(reference, rule, "reject", 550);
      return;
    case MODEL_TEMPFAIL:
      say(reference, rule, "tempfail", 450);
      return;
    case MODEL_DISCONNECT:
      say(reference, rule, "disconnect", 521);
      return;
    case MODEL_LOG:
      perform_log(reference, rule, value);
      return;
    case MODEL_SET:
      if (rule->observe) {
        note(reference, rule, "pass", 0);
      } else {
        reference->variables[rule->which] = value;
      }
      return;
    case MODEL_SCORE:
      perform_score(reference, rule);
      return;
    case MODEL_CHECK:
      break;
  }
  perform_check(reference, rule, value);
}

static void walk_rule(Reference *reference, const ModelStatement *rule) {
  reference->strict =
      (rule->action == MODEL_LOG && rule->details) || term_reads_details(rule->value) || term_reads_details(rule->condition);
  reference->capture = 0;
  reference->list = -1;
  Result result = rule->condition != NULL ? decide(reference, rule->condition) : truth(true);
  if (result.state == R_FALSE)
    return;
  if (result.state == R_UNKNOWN) {
    ErrorBehaviour behaviour = behaviour_of(reference, rule->on_error, result.failed);
    if (behaviour == ON_ERROR_TEMPFAIL)
      fail(reference, rule);
    if (behaviour == ON_ERROR_SKIP && statement_is_allow(rule) && !rule->observe)
      reference->doubt = true;
    if (behaviour != ON_ERROR_MATCH)
      return;
  }
  perform(reference, rule);
}

static void walk_body(Reference *reference, const ModelStatement *body, size_t count);

static void unknown_branch(Reference *reference, const ModelStatement *block, size_t from, unsigned failed) {
  if (behaviour_of(reference, ON_ERROR_DEFAULT, failed) == ON_ERROR_TEMPFAIL) {
    char id[32];
    g_snprintf(id, sizeof(id), "model:%d", block->branches[from].line);
    end(reference, "tempfail", 451, id, true);
    return;
  }
  for (size_t b = from; b < block->branch_count; b++) {
    const ModelBranch *branch = &block->branches[b];
    if (!branch->dropped && body_holds_allow(branch->body, branch->count))
      reference->doubt = true;
  }
}

static void walk_block(Reference *reference, const ModelStatement *block) {
  for (size_t b = 0; b < block->branch_count; b++) {
    const ModelBranch *branch = &block->branches[b];
    if (branch->dropped)
      continue;
    reference->strict = term_reads_details(branch->condition);
    reference->capture = 0;
    reference->list = -1;
    Result result = branch->condition != NULL ? decide(reference, branch->condition) : truth(true);
    if (result.state == R_FALSE)
      continue;
    if (result.state == R_UNKNOWN) {
      unknown_branch(reference, block, b, result.failed);
    } else {
      walk_body(reference, branch->body, branch->count);
    }
    return;
  }
}

static void walk_body(Reference *reference, const ModelStatement *body, size_t count) {
  for (size_t i = 0; i < count && !reference->ended; i++) {
    if (body[i].dropped)
      continue;
    if (body[i].branch_count > 0) {
      walk_block(reference, &body[i]);
    } else {
      walk_rule(reference, &body[i]);
    }
  }
}

static void end_recipient(Reference *reference) {
  for (int name = 0; !reference->refused && name <= MODEL_SCORES; name++) {
    int mine = sum(reference, name, SCOPE_RECIPIENT);
    reference->largest[name] = reference->any_accepted ? MAX(reference->largest[name], mine) : mine;
  }
  reference->any_accepted = reference->any_accepted || !reference->refused;
  int kept = 0;
  for (int i = 0; i < reference->added_count; i++) {
    if (reference->added[i].scope != SCOPE_RECIPIENT)
      reference->added[kept++] = reference->added[i];
  }
  reference->added_count = kept;
  for (int i = 0; i < MODEL_VARIABLES; i++) {
    if (model_variable_scope[i] == SCOPE_RECIPIENT)
      reference->variables[i] = (Result){R_UNSET, 0, false, 0, 0};
  }
}

static void run_step(Reference *reference, int phase) {
  const Model *model = reference->model;
  reference->phase = model_phase_of[phase];
  memset(reference->asked, 0, sizeof(reference->asked));
  g_string_truncate(reference->stateful, 0);
  reference->ended = reference->refused = reference->doubt = false;
  g_string_append_printf(reference->out, "%s\n", phase_name(reference->phase));
  walk_body(reference, model->phases[phase].statements, model->phases[phase].count);
  g_string_append_printf(reference->out, "  %s\n  stateful%s\n", reference->ended ? reference->verdict : "pass 0 ",
                         reference->stateful->str);
  for (int i = 0; i < MODEL_VARIABLES; i++) {
    g_string_append_printf(reference->out, "  v%d=", i);
    append_value(reference->out, model, &reference->variables[i]);
  }
  for (int name = 0; name <= MODEL_SCORES; name++)
    g_string_append_printf(reference->out, "  s%d=%d", name, score(reference, name));
  g_string_append(reference->out, "\n");
  if (reference->phase == PHASE_RCPT)
    end_recipient(reference);
}

char *reference_run(const Model *model, guint32 reached[MODEL_STEPS]) {
  Reference reference = {.model = model, .out = g_string_new(NULL), .stateful = g_string_new(NULL)};
  for (int i = 0; i < MODEL_VARIABLES; i++)
    reference.variables[i] = (Result){R_UNSET, 0, false, 0, 0};
  for (int step = 0; step < MODEL_STEPS; step++) {
    reference.reached = 0;
    run_step(&reference, model_steps[step]);
    reached[step] = reference.reached;
  }
  g_string_free(reference.stateful, TRUE);
  g_free(reference.verdict);
  return g_string_free(reference.out, FALSE);
}
