/*
 * check_set.c: what stands behind `in` as it is: sets, ranges, networks.
 */
#include "common/rules/check_internal.h"

/* Whether a literal of this kind may be an entry where values of `type` are looked up. */
static bool item_fits(ValueType found, ValueType type) {
  if (found == type || found == TYPE_STRING)
    return true; /* a quoted string is read as the type */
  if (found == TYPE_NET)
    return type == TYPE_IP || type == TYPE_NET;
  if (found == TYPE_IP)
    return type == TYPE_NET;
  if (found == TYPE_INT)
    return type == TYPE_DECIMAL || type == TYPE_SIZE;
  return false;
}

static void tell_item(Checker *checker, const Node *item, ValueType found, const Expression *left) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, item->span, "%.*s is %s, but %.*s is %.*s", SLICE_ARGS(node_source(item)),
                                       type_article(found), SLICE_ARGS(node_source(node_of(checker, left))),
                                       SLICE_ARGS(expression_type_text(checker, left)));
  tell_use(checker, told);
  diagnostic_expected(checker->diagnostics, told, "expected %s, as all of a set are of one type", type_article(single_type(left)));
}

/* An enum's name stands plain or in quotes. */
static bool enum_item(Checker *checker, const Node *item, const Expression *left, Slice *text) {
  const Expression *name = compile_expression(checker, item, wanted_like(left));
  if (!name || name->type != TYPE_ENUM || name->kind != EXPRESSION_LITERAL)
    return false;
  *text = name->as.literal.as.text;
  return true;
}

/* Puts a literal into the set; false after an error. */
static bool add_literal(Checker *checker, KeysetBuilder *builder, const Expression *left, const Node *item) {
  ValueType found, type = single_type(left);
  Slice text, right_form = SLICE_EMPTY;
  const char *problem = NULL;
  const Node *literal = literal_of(checker, item);
  if (type == TYPE_ENUM) {
    if (!enum_item(checker, literal, left, &text))
      return false;
  } else {
    if (!node_literal_type(literal, &found) || !item_fits(found, type)) {
      tell_item(checker, item, found, left);
      return false;
    }
    if (check_sentinel(checker, left, literal, item))
      return false;
    if (!literal_text(checker, literal, &text))
      return false;
  }
  if (keyset_builder_add(builder, &text, SLICE_EMPTY, &problem, &right_form))
    return true;
  Diagnostic *told = tell_problem(checker, item, problem);
  if (!slice_is_empty(right_form))
    diagnostic_expected(checker->diagnostics, told, "write %.*s", SLICE_ARGS(right_form));
  return false;
}

static bool key_type(ValueType type, ValueType *part) {
  *part = type == TYPE_IP ? TYPE_NET : type;
  return type != TYPE_LIST && type != TYPE_ACTION && type != TYPE_BOOL && type != TYPE_NET;
}

static const Expression *compile_equal(Checker *checker, const Expression *left, const Node *item, const Node *node) {
  const Expression *right = compile_expression(checker, item, WANTED_ANY);
  if (!right)
    return NULL;
  if (!make_meet(checker, &left, &right)) {
    tell_item(checker, item, right->type, left);
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_COMPARE, TYPE_BOOL, node);
  expression->left = left;
  expression->right = right;
  expression->as.compare = COMPARE_EQUAL;
  return expression_finish(expression);
}

static bool is_enum_word(Checker *checker, const Node *item, ValueType type) {
  return type == TYPE_ENUM && is_bare_word(checker, item);
}

/* What is no literal: a range, a set by its define, a fact. */
static const Expression *compile_item(Checker *checker, const Expression *left, const Node *item, const Node *node) {
  const Node *inner = literal_of(checker, item);
  if (inner->kind == NODE_RANGE)
    return compile_in_range(checker, left, inner, node);
  return inner->kind == NODE_SET ? compile_in_set(checker, left, inner, node) : compile_equal(checker, left, item, node);
}

/* Literals go to the builder, the others to `parts`; false after an error. */
static bool compile_items(Checker *checker, const Expression *left, const Node *set, const Node *node, KeysetBuilder *builder,
                          GPtrArray *parts) {
  bool good = true, has_literals = false;
  for (const Node *item = set->items; item; item = item->next) {
    const Node *inner = literal_of(checker, item);
    ValueType type;
    if (node_literal_type(inner, &type) || is_enum_word(checker, inner, single_type(left))) {
      good &= add_literal(checker, builder, left, item);
      has_literals = true;
      continue;
    }
    const Expression *other = compile_item(checker, left, item, node);
    good &= other != NULL;
    g_ptr_array_add(parts, (gpointer)other);
  }
  if (parts->len == 0 || has_literals) /* an empty set too: nothing is in it */
    g_ptr_array_insert(parts, 0, NULL);
  return good;
}

static const Expression *in_keyset(Checker *checker, const Expression *left, KeysetBuilder *builder, const Node *node) {
  Keyset *keyset = keyset_builder_end(builder);
  arena_on_reset(checker->arena, (ArenaRelease)keyset_free, keyset);
  Expression *expression = expression_new(checker, EXPRESSION_IN_SET, TYPE_BOOL, node);
  expression->left = left;
  expression->as.keyset = keyset;
  return expression_finish(expression);
}

/*
 * left in { a, b, 1..5, fact }: literals make a keyset, which is asked first; ranges and other expressions are each a condition of their own, joined by `or`.
 */
const Expression *compile_in_set(Checker *checker, const Expression *left, const Node *set, const Node *node) {
  ValueType part;
  if (!key_type(single_type(left), &part)) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->left->span, "%.*s cannot be looked up in a set",
                                         SLICE_ARGS(expression_type_text(checker, left)));
    diagnostic_expected(checker->diagnostics, told, "expected a single value");
    return NULL;
  }
  if (!enter_nested(checker, set->span))
    return NULL;
  KeysetShape shape = {.part_count = 1, .parts = {part}};
  g_autoptr(KeysetBuilder) builder = keyset_builder_new(&shape);
  g_autoptr(GPtrArray) parts = g_ptr_array_new();
  bool good = compile_items(checker, left, set, node, builder, parts);
  leave_nested(checker);
  if (!good)
    return NULL;
  if (!parts->pdata[0])
    parts->pdata[0] = (gpointer)in_keyset(checker, left, g_steal_pointer(&builder), node);
  return expression_join_all(checker, EXPRESSION_OR, (const Expression *const *)parts->pdata, parts->len, node);
}

/* Ranges */

static bool range_end(Checker *checker, const Expression *left, const Node *node, Value *value) {
  const Node *literal = literal_of(checker, node);
  bool is_name = is_enum_word(checker, literal, single_type(left));
  if (!is_name && !is_literal(checker, node)) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "the ends of a range are literals");
    diagnostic_expected(checker->diagnostics, told, "expected a literal; compare with <= and >= where an end is not fixed");
    return false;
  }
  const Expression *end = compile_expression(checker, node, wanted_like(left));
  if (!end)
    return false;
  *value = end->as.literal;
  return true;
}

static bool is_reversed(ValueType type, const Value *low, const Value *high) {
  switch (type) {
    case TYPE_IP:
      return low->as.ip.family != high->as.ip.family || ip_compare(&low->as.ip, &high->as.ip) > 0;
    case TYPE_DECIMAL:
      return low->as.decimal > high->as.decimal;
    case TYPE_INT:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_DATE:
      return low->as.number > high->as.number;
    case TYPE_TIME: /* wraps over midnight */
    case TYPE_ENUM: /* a weekday, wraps over the week */
    case TYPE_NET:
    case TYPE_STRING:
    case TYPE_ADDRESS:
    case TYPE_DOMAIN:
    case TYPE_BOOL:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      return false;
  }
  g_assert_not_reached();
}

static bool has_ranges(const Expression *left) {
  switch (single_type(left)) {
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
    case TYPE_IP:
      return true;
    case TYPE_ENUM:
      return left->kind == EXPRESSION_FACT && left->as.fact == FACT_WEEKDAY;
    case TYPE_NET:
    case TYPE_STRING:
    case TYPE_ADDRESS:
    case TYPE_DOMAIN:
    case TYPE_BOOL:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      return false;
  }
  g_assert_not_reached();
}

const Expression *compile_in_range(Checker *checker, const Expression *left, const Node *range, const Node *node) {
  if (!has_ranges(left)) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, range->span, "%.*s has no order, so no ranges",
                                         SLICE_ARGS(expression_type_text(checker, left)));
    diagnostic_expected(checker->diagnostics, told, "expected a set { a, b }");
    return NULL;
  }
  Value low, high;
  bool has_low = range_end(checker, left, range->left, &low), has_high = range_end(checker, left, range->right, &high);
  if (!has_low || !has_high)
    return NULL;
  if (low.type != high.type) { /* 1..2.5 across an int */
    const Value *whole = low.type == TYPE_INT ? &low : &high;
    Value decimal = {VALUE_SET, TYPE_DECIMAL, {.decimal = (double)whole->as.number}};
    if (whole == &low)
      low = decimal;
    else
      high = decimal;
  }
  if (is_reversed(low.type, &low, &high)) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, range->span, "the range begins above its end");
    tell_use(checker, told);
    diagnostic_expected(checker->diagnostics, told, "write %.*s..%.*s", SLICE_ARGS(node_source(range->right)),
                        SLICE_ARGS(node_source(range->left)));
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_IN_RANGE, TYPE_BOOL, node);
  ValueRange *ends = ARENA_NEW(checker->arena, ValueRange);
  const Expression *converted = convert_to(checker, left, low.type); /* 1.5 across an int */
  expression->left = converted ? converted : left;
  *ends = (ValueRange){low, high};
  expression->as.range = ends;
  return expression_finish(expression);
}

/* client_address in 192.0.2.0/24, also in quotes */
const Expression *compile_in_net(Checker *checker, const Expression *left, const Node *net, const Node *node) {
  Slice text, right_form = SLICE_EMPTY;
  const char *problem = NULL;
  Value value;
  if (single_type(left) != TYPE_IP) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s: only an ip lies in a net",
                                         SLICE_ARGS(node_source(node_of(checker, left))), SLICE_ARGS(expression_type_text(checker, left)));
    diagnostic_expected(checker->diagnostics, told, "expected an ip before `in`");
    return NULL;
  }
  (void)literal_text(checker, net, &text);
  if (!value_parse(checker->scratch, TYPE_NET, text, &value, &problem, &right_form)) {
    Diagnostic *told = tell_problem(checker, net, problem);
    if (!slice_is_empty(right_form))
      diagnostic_expected(checker->diagnostics, told, "write %.*s", SLICE_ARGS(right_form));
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_IN_NETWORK, TYPE_BOOL, node);
  expression->left = left;
  expression->as.network = value.as.net;
  return expression_finish(expression);
}
