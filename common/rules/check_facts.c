/*
 * check_facts.c: whether what an expression reads is there at a phase, and can come through an enabled door.
 *
 * Runs for each phase over the compiled expression. The plain walk only finds out whether anything is wrong; who is to blame, and where to point
 * (at the use of a define, not into it), is looked for afterwards.
 */
#include "common/rules/check_internal.h"
#include "common/smtp/capability.h"

bool door_asks(Door door, Phase phase) {
  return capability(door, phase)->seen;
}

static bool is_at_phase(Fact fact, Phase phase) {
  return (fact_info(fact)->phases & PHASE_BIT(phase)) != 0;
}

/* True too where no enabled door asks at the phase at all: that is told once for the block, not for each fact. */
static bool is_in_doors(const Checker *checker, Fact fact) {
  bool asked = false;
  for (Door door = 0; door < DOOR_COUNT; door++) {
    if (!(checker->options->enabled_doors & DOOR_BIT(door)) || !door_asks(door, checker->phase))
      continue;
    asked = true;
    if (fact_in_door(fact, door, checker->phase))
      return true;
  }
  return !asked;
}

static bool is_variable_there(const Checker *checker, Scope scope) {
  switch (scope) {
    case SCOPE_SESSION:
      return true;
    case SCOPE_MESSAGE:
      return (PHASES_MESSAGE & PHASE_BIT(checker->phase)) != 0;
    case SCOPE_RECIPIENT:
      return checker->phase == PHASE_RCPT;
  }
  g_assert_not_reached();
}

/* Calls `visit` for each operand. */
static void each_operand(const Expression *expression, void (*visit)(const Expression *operand, void *data), void *data) {
  if (expression->left)
    visit(expression->left, data);
  if (expression->right)
    visit(expression->right, data);
  if (expression->kind == EXPRESSION_TEMPLATE)
    for (size_t i = 0; i < expression->as.parts.count; i++)
      visit(expression->as.parts.items[i], data);
  if (expression->kind == EXPRESSION_IN_RESOURCE || expression->kind == EXPRESSION_VALUE_OF)
    for (size_t i = 0; i < expression->as.lookup->count; i++)
      visit(expression->as.lookup->keys[i], data);
}

typedef struct Walk {
  Checker *checker;
  bool good;
  const Node *top;
  const Node *where;           /* the use of the define that the walk is in */
  const Expression *condition; /* the whole, for `is set` */
} Walk;

/* That rules of the phase read header["name"]. */
static void note_header(Checker *checker, const char *name) {
  GPtrArray **names = &checker->header_names[checker->phase];
  if (*names == NULL)
    *names = g_ptr_array_new();
  for (guint i = 0; i < (*names)->len; i++)
    if (g_ascii_strcasecmp((*names)->pdata[i], name) == 0)
      return;
  g_ptr_array_add(*names, (gpointer)name);
}

static void walk_plain(const Expression *expression, void *data) {
  Walk *walk = data;
  Checker *checker = walk->checker;
  Fact fact;
  if (expression_fact(expression, &fact)) {
    if (expression->kind == EXPRESSION_HEADER)
      note_header(checker, expression->as.header.name);
    else
      checker->program->phases[checker->phase].facts[fact] = true;
    walk->good &= is_at_phase(fact, checker->phase) && is_in_doors(checker, fact);
  }
  if (expression->kind == EXPRESSION_VARIABLE)
    walk->good &= is_variable_there(checker, expression->as.variable->scope);
  each_operand(expression, walk_plain, walk);
}

/* Whether `is set` asks for the fact somewhere in the expression. */
typedef struct SetSearch {
  Fact fact;
  bool found;
} SetSearch;

static void search_is_set(const Expression *expression, void *data) {
  SetSearch *search = data;
  if (expression->kind == EXPRESSION_IS_SET) {
    const Expression *of = expression->left;
    while (of->kind == EXPRESSION_FUNCTION)
      of = of->left;
    Fact fact;
    search->found |= expression_fact(of, &fact) && fact == search->fact;
  }
  each_operand(expression, search_is_set, search);
}

static bool is_asked_for(const Walk *walk, Fact fact) {
  SetSearch search = {fact, false};
  search_is_set(walk->condition, &search);
  for (const Conditions *around = walk->checker->conditions; around; around = around->outer)
    if (around->condition)
      search_is_set(around->condition, &search);
  return search.found;
}

/* As it is read: client_name, header["Subject"]. */
static const char *fact_words(Checker *checker, const Expression *expression, Fact fact) {
  if (expression->kind != EXPRESSION_HEADER)
    return fact_info(fact)->name;
  return arena_printf(checker->scratch, "header[\"%s\"]", expression->as.header.name);
}

static void tell_phase(Checker *checker, const Node *where, const Expression *expression, Fact fact) {
  const FactInfo *info = fact_info(fact);
  const char *name = fact_words(checker, expression, fact);
  bool later = checker->phase <= PHASE_EOM && info->phases >> checker->phase != 0 && (info->phases & (PHASE_BIT(checker->phase) - 1)) == 0;
  Phase first = 0;
  while (first < PHASE_COUNT && !(info->phases & PHASE_BIT(first)))
    first++;
  Slice names = phase_set_names(checker->scratch, info->phases);
  Diagnostic *told;
  if (later && first <= PHASE_EOM) {
    told = diagnostics_error(checker->diagnostics, where->span, "%s is not known yet at %s", name, phase_name(checker->phase));
    diagnostic_expected(checker->diagnostics, told, "it is known from %s on: at %.*s", phase_name(first), SLICE_ARGS(names));
  } else {
    told = diagnostics_error(checker->diagnostics, where->span, "%s does not exist at %s", name, phase_name(checker->phase));
    diagnostic_expected(checker->diagnostics, told, "it can be read at: %.*s", SLICE_ARGS(names));
  }
}

static void tell_doors(Checker *checker, const Node *where, const Expression *expression, Fact fact) {
  const char *name = fact_words(checker, expression, fact);
  g_autoptr(GString) doors = g_string_new(NULL);
  for (Door door = 0; door < DOOR_COUNT; door++)
    if (checker->options->enabled_doors & DOOR_BIT(door))
      g_string_append_printf(doors, "%s%s", doors->len ? ", " : "", door_name(door));
  Diagnostic *told = diagnostics_error(checker->diagnostics, where->span, "%s never comes through the door in use (%s) at %s", name,
                                       doors->str, phase_name(checker->phase));
  diagnostic_expected(checker->diagnostics, told, "ask `%s is set` in the same condition where it may be missing", name);
}

static void tell_variable(Checker *checker, const Node *where, const VariableInfo *variable) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, where->span, "%s.%.*s does not exist at %s", scope_name(variable->scope),
                                       SLICE_ARGS(variable->name), phase_name(checker->phase));
  diagnostic_expected(checker->diagnostics, told, "%s",
                      variable->scope == SCOPE_RECIPIENT ? "variables of the recipient can be read at rcpt"
                                                         : "variables of the message can be read at mail, rcpt, data and eom");
}

static bool lies_in(const Node *node, const Node *top) {
  return node->span.source == top->span.source && node->span.offset >= top->span.offset &&
         node->span.offset + node->span.length <= top->span.offset + top->span.length;
}

static const Node *use_of_define(const Walk *walk, const Expression *expression) {
  const GArray *uses = walk->checker->define_uses;
  for (guint i = 0; i < uses->len; i++) {
    const DefineUse *use = &g_array_index(uses, DefineUse, i);
    if (use->root == expression && lies_in(use->use, walk->top))
      return use->use;
  }
  return NULL;
}

static void walk_telling(const Expression *expression, void *data) {
  Walk *walk = data;
  Checker *checker = walk->checker;
  const Node *outer = walk->where;
  if (!walk->where)
    walk->where = use_of_define(walk, expression);
  const Node *where = walk->where ? walk->where : node_of(checker, expression);
  Fact fact = 0;
  bool is_fact = expression_fact(expression, &fact);
  bool at_phase = !is_fact || is_at_phase(fact, checker->phase);
  bool in_doors = !is_fact || !at_phase || is_in_doors(checker, fact) || is_asked_for(walk, fact);
  bool there = expression->kind != EXPRESSION_VARIABLE || is_variable_there(checker, expression->as.variable->scope);
  if (!at_phase || !in_doors || !there) {
    walk->good = false;
    if (g_hash_table_add(checker->told, (gpointer)where)) {
      if (!at_phase)
        tell_phase(checker, where, expression, fact);
      else if (!in_doors)
        tell_doors(checker, where, expression, fact);
      else
        tell_variable(checker, where, expression->as.variable);
    }
  }
  each_operand(expression, walk_telling, walk);
  walk->where = outer;
}

bool check_facts(Checker *checker, const Expression *expression, const Node *top) {
  Walk walk = {.checker = checker, .good = true, .top = top, .condition = expression};
  walk_plain(expression, &walk);
  if (walk.good)
    return true;
  walk.good = true;
  walk_telling(expression, &walk);
  return walk.good;
}

static void note_match(const Expression *expression, void *data) {
  Checker *checker = data;
  if (!expression->has_match)
    return;
  if (expression->kind == EXPRESSION_MATCH) {
    checker->has_regex = true;
    checker->captures = MAX(checker->captures, expression->as.regex->captures);
  }
  if (expression->kind == EXPRESSION_IN_RESOURCE)
    checker->has_dnslist |= use_is_dnslist(expression->as.lookup->use);
  each_operand(expression, note_match, checker);
}

void note_matches(Checker *checker, const Expression *expression) {
  note_match(expression, checker);
}
