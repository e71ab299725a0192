/*
 * check_condition.c: comparisons and the other operators that make a condition.
 *
 * `!=`, `not in`, `!~` and `is unset` become NOT over the positive form, which is what they mean (LANGUAGE section 3).
 */
#include "common/base/limits.h"
#include "common/rules/check_internal.h"

enum { REGEXES_AT_ONCE = 200 }; /* get their machine code when they are read, the others when they prove hot */

const Expression *expression_not(Checker *checker, const Expression *operand, const Node *node) {
  Expression *expression = expression_new(checker, EXPRESSION_NOT, TYPE_BOOL, node);
  expression->left = operand;
  return expression_finish(expression);
}

const Expression *expression_join(Checker *checker, ExpressionKind kind, const Expression *left, const Expression *right,
                                  const Node *node) {
  Expression *expression = expression_new(checker, kind, TYPE_BOOL, node);
  expression->left = left;
  expression->right = right;
  return expression_finish(expression);
}

const Expression *expression_join_all(Checker *checker, ExpressionKind kind, const Expression *const *parts, size_t count,
                                      const Node *node) {
  if (count == 1)
    return parts[0];
  size_t half = count / 2;
  const Expression *left = expression_join_all(checker, kind, parts, half, node);
  return expression_join(checker, kind, left, expression_join_all(checker, kind, parts + half, count - half, node), node);
}

bool enter_nested(Checker *checker, SourceSpan span) {
  if (++checker->depth <= LIMIT_NESTING)
    return true;
  checker->depth--;
  Diagnostic *told = diagnostics_error(checker->diagnostics, span, "defines, sets or variables are nested too deeply here, or without end");
  diagnostic_expected(checker->diagnostics, told, "expected at most %d within one another", LIMIT_NESTING);
  return false;
}

void leave_nested(Checker *checker) {
  checker->depth--;
}

/* The node of the positive form, for explain: a copy with the operator turned. */
static const Node *positive(Checker *checker, const Node *node) {
  Node *copy = ARENA_NEW(checker->arena, Node);
  *copy = *node;
  copy->next = NULL;
  if (node->kind == NODE_COMPARE)
    copy->as.compare = COMPARE_EQUAL;
  else
    copy->as.negated = false;
  return copy;
}

/* Sentinels */

static const char *sentinel_text(Checker *checker, const Node *literal, bool *is_zero) {
  Slice text = SLICE_EMPTY;
  *is_zero = (literal->kind == NODE_INT || literal->kind == NODE_SIZE) && literal->number == 0;
  if (literal->kind != NODE_TEXT || !literal_text(checker, literal, &text))
    return NULL;
  return slice_to_string(checker->scratch, text);
}

static bool tell_sentinel(Checker *checker, const Expression *side, const Node *whole, const char *form, const char *why) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, whole->span, "%.*s %s", SLICE_ARGS(node_source(node_of(checker, side))), why);
  diagnostic_expected(checker->diagnostics, told, "write `%.*s %s`", SLICE_ARGS(node_source(node_of(checker, side))), form);
  return true;
}

bool check_sentinel(Checker *checker, const Expression *side, const Node *literal, const Node *whole) {
  bool is_zero, is_fact = side->kind == EXPRESSION_FACT;
  if (!is_fact && side->kind != EXPRESSION_FUNCTION)
    return false;
  bool negated = whole->kind == NODE_COMPARE && whole->as.compare == COMPARE_NOT_EQUAL;
  const char *text = sentinel_text(checker, literal, &is_zero), *form = negated ? "is set" : "is unset";
  FactSentinel empty = is_fact ? fact_info(side->as.fact)->empty : SENTINEL_EMPTY;
  if (text && !*text && is_fact && side->type == TYPE_ADDRESS && empty == SENTINEL_NEVER)
    return tell_sentinel(checker, side, whole, negated ? "!= <>" : "== <>", "is never an empty text: the null sender is <>");
  if (text && !*text && empty != SENTINEL_NEVER)
    return tell_sentinel(checker, side, whole, form, "is never an empty text: then it is unset");
  if (text && empty == SENTINEL_UNKNOWN_NAME && g_ascii_strcasecmp(text, "unknown") == 0)
    return tell_sentinel(checker, side, whole, form, "is never \"unknown\": then it is unset");
  if (text && empty == SENTINEL_UNKNOWN_NAME && *text == '[')
    return tell_sentinel(checker, side, whole, form, "is never an address in brackets: then it is unset");
  if (is_zero && empty == SENTINEL_ZERO)
    return tell_sentinel(checker, side, whole, form, "is never 0: then it is unset");
  return false;
}

/* == != < <= > >= */

static bool is_ordered(ValueType type) {
  switch (type) {
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
      return true;
    case TYPE_IP:
    case TYPE_NET:
    case TYPE_STRING:
    case TYPE_ADDRESS:
    case TYPE_DOMAIN:
    case TYPE_BOOL:
    case TYPE_ENUM:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      return false;
  }
  g_assert_not_reached();
}

/* Read only by position: it has no type of its own. */
static bool waits_for_type(Checker *checker, const Node *node) {
  return is_literal(checker, node) || is_bare_word(checker, literal_of(checker, node));
}

/* Compiles both sides, the one that has a type of its own first. */
static bool compile_sides(Checker *checker, const Node *node, const Expression **left, const Expression **right) {
  bool left_waits = waits_for_type(checker, node->left);
  const Node *first_node = left_waits ? node->right : node->left, *second_node = left_waits ? node->left : node->right;
  bool second_waits = waits_for_type(checker, second_node);
  const Expression *first = compile_expression(checker, first_node, WANTED_ANY);
  if (!first) {
    if (!second_waits)
      (void)compile_expression(checker, second_node, WANTED_ANY);
    return false;
  }
  if (check_record(checker, first))
    return false;
  const Node *literal = literal_of(checker, second_node);
  bool is_equality = node->as.compare == COMPARE_EQUAL || node->as.compare == COMPARE_NOT_EQUAL;
  if (is_equality && check_sentinel(checker, first, literal, node))
    return false;
  bool is_net = literal->kind == NODE_NET && single_type(first) == TYPE_IP;
  const Expression *second = compile_expression(checker, second_node, second_waits && !is_net ? wanted_like(first) : WANTED_ANY);
  if (!second || check_record(checker, second))
    return false;
  *left = left_waits ? second : first;
  *right = left_waits ? first : second;
  return true;
}

static const Expression *tell_cannot_meet(Checker *checker, const Node *node, const Expression *left, const Expression *right) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s cannot be compared with %.*s",
                                       SLICE_ARGS(expression_type_text(checker, left)), SLICE_ARGS(expression_type_text(checker, right)));
  ValueType a = single_type(left), b = single_type(right);
  if ((a == TYPE_IP && b == TYPE_NET) || (a == TYPE_NET && b == TYPE_IP))
    diagnostic_expected(checker->diagnostics, told, "write `%.*s in %.*s`",
                        SLICE_ARGS(node_source(node_of(checker, a == TYPE_IP ? left : right))),
                        SLICE_ARGS(node_source(node_of(checker, a == TYPE_IP ? right : left))));
  else if ((a == TYPE_ADDRESS && b == TYPE_DOMAIN) || (a == TYPE_DOMAIN && b == TYPE_ADDRESS))
    diagnostic_expected(checker->diagnostics, told, "write %.*s.domain",
                        SLICE_ARGS(node_source(node_of(checker, a == TYPE_ADDRESS ? left : right))));
  else if (left->type == TYPE_LIST && right->type == TYPE_LIST)
    diagnostic_expected(checker->diagnostics, told, "write `any %.*s has (value in %.*s)`", SLICE_ARGS(node_source(node_of(checker, left))),
                        SLICE_ARGS(node_source(node_of(checker, right))));
  else
    diagnostic_expected(checker->diagnostics, told, "expected two values of one type");
  return NULL;
}

const Expression *compile_compare(Checker *checker, const Node *node) {
  const Expression *left, *right;
  if (!compile_sides(checker, node, &left, &right))
    return NULL;
  CompareOperator relation = node->as.compare;
  bool is_equality = relation == COMPARE_EQUAL || relation == COMPARE_NOT_EQUAL;
  if (!make_meet(checker, &left, &right))
    return tell_cannot_meet(checker, node, left, right);
  if (!is_equality && !is_ordered(single_type(left))) {
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, node->span, "values of type %s have no order", value_type_name(single_type(left)));
    diagnostic_expected(checker->diagnostics, told, "expected == or !=");
    return NULL;
  }
  if (is_equality && single_type(left) == TYPE_ACTION) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "actions cannot be compared");
    diagnostic_expected(checker->diagnostics, told, "expected the action `check T[key]`, or `T[key] is set`");
    return NULL;
  }
  bool negated = relation == COMPARE_NOT_EQUAL;
  Expression *expression = expression_new(checker, EXPRESSION_COMPARE, TYPE_BOOL, negated ? positive(checker, node) : node);
  expression->left = left;
  expression->right = right;
  expression->as.compare = negated ? COMPARE_EQUAL : relation;
  (void)expression_finish(expression);
  return negated ? expression_not(checker, expression, node) : expression;
}

/* in, not in */

static const Expression *compile_in_resource(Checker *checker, const Node *node, const Symbol *symbol) {
  if (!symbol->use)
    return NULL; /* told at its declaration */
  Expression *expression = expression_new(checker, EXPRESSION_IN_RESOURCE, TYPE_BOOL, node);
  if (!compile_keys(checker, node->left, symbol->use, expression))
    return NULL;
  checker->has_dnslist |= symbol->kind == SYMBOL_DNSLIST;
  return expression_finish(expression);
}

static const Expression *compile_in_list(Checker *checker, const Expression *left, const Node *right, const Node *node) {
  const Expression *list = compile_expression(checker, right, WANTED_ANY);
  if (!list || check_record(checker, list))
    return NULL;
  if (list->type == TYPE_LIST && is_literal(checker, node->left)) {
    left = compile_expression(checker, node->left, wanted_like(list));
    if (!left)
      return NULL;
  }
  const Expression *converted = list->type == TYPE_LIST && left->type != TYPE_LIST ? convert_to(checker, left, list->element_type) : NULL;
  if (list->type == TYPE_NET && single_type(left) == TYPE_IP)
    converted = left; /* a network that a table has */
  if (!converted) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, right->span, "%.*s is %.*s", SLICE_ARGS(node_source(right)),
                                         SLICE_ARGS(expression_type_text(checker, list)));
    diagnostic_expected(
        checker->diagnostics, told,
        list->type == TYPE_LIST ? "expected a list of %s" : "expected a set { a, b }, a range, a net, a table, a dnslist or a list%.0s",
        value_type_name(single_type(left)));
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_IN_LIST, TYPE_BOOL, node);
  expression->left = converted;
  expression->right = list;
  return expression_finish(expression);
}

static const Expression *tell_unknown_container(Checker *checker, const Node *right) {
  if (checker->lost_names)
    return NULL;
  const char *nearest = nearest_of(checker, right->text, false, true, true);
  Diagnostic *told = diagnostics_error(checker->diagnostics, right->span, "unknown table \"%.*s\"", SLICE_ARGS(right->text));
  diagnostic_expected(checker->diagnostics, told, "expected the name of a table, dnslist or define, a set { a, b }, a range or a net%s%s",
                      nearest ? "; nearest: " : "", nearest ? nearest : "");
  return NULL;
}

static const Expression *compile_in_positive(Checker *checker, const Node *node, const Node *right) {
  Symbol *symbol = right->kind == NODE_NAME ? checker_symbol(checker, right->text) : NULL;
  if (symbol && symbol->kind != SYMBOL_DEFINE)
    return compile_in_resource(checker, node, symbol);
  if (is_lost(checker, right))
    return NULL;
  if (node->left->kind == NODE_TUPLE) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->left->span, "a tuple is looked up in a table");
    diagnostic_expected(checker->diagnostics, told, "expected `in` with the name of a table whose keys are tuples");
    return NULL;
  }
  const Expression *left = compile_expression(checker, node->left, WANTED_ANY);
  if (is_bare_word(checker, right))
    return tell_unknown_container(checker, right);
  if (!left || check_record(checker, left))
    return NULL;
  switch (right->kind) {
    case NODE_SET:
      return compile_in_set(checker, left, right, node);
    case NODE_RANGE:
      return compile_in_range(checker, left, right, node);
    case NODE_IP:
    case NODE_NET:
      return compile_in_net(checker, left, right, node);
    case NODE_TEXT: /* "10.0.0.0/8" in quotes across an ip */
      if (single_type(left) == TYPE_IP && is_literal(checker, right))
        return compile_in_net(checker, left, right, node);
      return compile_in_list(checker, left, right, node);
    case NODE_LITERAL_TEXT:
    case NODE_CAPTURE:
    case NODE_INT:
    case NODE_DECIMAL:
    case NODE_SIZE:
    case NODE_DURATION:
    case NODE_TIME:
    case NODE_DATE:
    case NODE_NULL_SENDER:
    case NODE_REGEX:
    case NODE_MAP_ITEM:
    case NODE_TUPLE:
    case NODE_NAME:
    case NODE_INDEX:
    case NODE_PROPERTY:
    case NODE_NOT:
    case NODE_AND:
    case NODE_OR:
    case NODE_COMPARE:
    case NODE_IN:
    case NODE_MATCH:
    case NODE_UNDER:
    case NODE_IS_SET:
    case NODE_QUANTIFIER:
    case NODE_DEFAULT:
      return compile_in_list(checker, left, right, node);
  }
  g_assert_not_reached();
}

const Expression *compile_in(Checker *checker, const Node *node) {
  bool negated = node->as.negated;
  const Node *right = literal_of(checker, node->right), *outer = checker->define_use;
  if (right != node->right && !outer)
    checker->define_use = node->right;
  const Expression *expression = compile_in_positive(checker, negated ? positive(checker, node) : node, right);
  checker->define_use = outer;
  return expression && negated ? expression_not(checker, expression, node) : expression;
}

/* ~ and !~ */

static bool is_text(ValueType type) {
  return type == TYPE_STRING || type == TYPE_DOMAIN || type == TYPE_ADDRESS || type == TYPE_ENUM;
}

/* Byte `offset` of a pattern in the file, for the caret. */
static SourceSpan pattern_span(const Node *node, size_t offset) {
  SourceSpan span = node->span;
  const char *start = span.source->text.data + span.offset;
  size_t begin = node->text.data >= start && node->text.data <= start + span.length ? (size_t)(node->text.data - start) : 1;
  size_t at = MIN(begin + offset, (size_t)span.length);
  return (SourceSpan){span.source, span.offset + (uint32_t)at, at < span.length ? 1 : 0};
}

static Regex *compile_regex(Checker *checker, const Node *node) {
  char message[128];
  size_t offset;
  bool at_once = checker->regexes++ < REGEXES_AT_ONCE;
  Regex *regex = regex_new(checker->arena, node->text, node->as.exact_case, at_once, message, &offset);
  if (!regex)
    diagnostics_error(checker->diagnostics, pattern_span(node, offset), "the regex cannot be compiled: %s", message);
  return regex;
}

/* sender ~ /^$/ and client_name ~ /^unknown$/: the sentinels of other filters. */
static bool check_regex_sentinel(Checker *checker, const Expression *side, const Node *regex, const Node *node) {
  Slice pattern = regex->text;
  if (side->kind != EXPRESSION_FACT)
    return false;
  FactSentinel empty = fact_info(side->as.fact)->empty;
  bool is_empty = slice_equal(pattern, SLICE_LITERAL("^$")), is_unknown = slice_equal(pattern, SLICE_LITERAL("^unknown$"));
  if (is_empty && empty == SENTINEL_NEVER && side->type == TYPE_ADDRESS)
    return tell_sentinel(checker, side, node, node->as.negated ? "!= <>" : "== <>", "is never an empty text: the null sender is <>");
  if (is_empty && empty != SENTINEL_NEVER)
    return tell_sentinel(checker, side, node, node->as.negated ? "is set" : "is unset", "is never an empty text: then it is unset");
  if (is_unknown && empty == SENTINEL_UNKNOWN_NAME)
    return tell_sentinel(checker, side, node, node->as.negated ? "is set" : "is unset", "is never \"unknown\": then it is unset");
  return false;
}

const Expression *compile_match(Checker *checker, const Node *node) {
  const Expression *left = compile_expression(checker, node->left, WANTED_ANY);
  const Node *pattern = literal_of(checker, node->right);
  if (pattern->kind != NODE_REGEX && is_lost(checker, pattern))
    return NULL;
  if (pattern->kind != NODE_REGEX) {
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, node->right->span, "%.*s is not a regex", SLICE_ARGS(node_source(node->right)));
    const char *nearest = nearest_of(checker, node_source(node->right), false, false, true);
    diagnostic_expected(checker->diagnostics, told, "expected /.../, or the name of a define of one%s%s", nearest ? "; nearest: " : "",
                        nearest ? nearest : "");
    return NULL;
  }
  Regex *regex = compile_regex(checker, pattern);
  if (regex) {
    checker->has_regex = true;
    checker->captures = MAX(checker->captures, regex->captures);
  }
  if (!left || !regex || check_record(checker, left))
    return NULL;
  if (!is_text(single_type(left))) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->left->span, "%.*s is %.*s, which a regex cannot match",
                                         SLICE_ARGS(node_source(node->left)), SLICE_ARGS(expression_type_text(checker, left)));
    diagnostic_expected(checker->diagnostics, told,
                        single_type(left) == TYPE_IP ? "expected a text; an ip is tested by `in 192.0.2.0/24`"
                                                     : "expected a string, domain, address or enum");
    return NULL;
  }
  if (check_regex_sentinel(checker, left, pattern, node))
    return NULL;
  Expression *expression = expression_new(checker, EXPRESSION_MATCH, TYPE_BOOL, node->as.negated ? positive(checker, node) : node);
  expression->left = left;
  expression->as.regex = regex;
  (void)expression_finish(expression);
  return node->as.negated ? expression_not(checker, expression, node) : expression;
}

/* under */

static const Expression *as_domain(Checker *checker, const Node *node, const Expression *expression) {
  if (!expression || single_type(expression) == TYPE_DOMAIN)
    return expression;
  if (check_record(checker, expression))
    return NULL;
  if (single_type(expression) == TYPE_ADDRESS)
    return expression_function(checker, function_find(SLICE_LITERAL("domain"), TYPE_ADDRESS), expression, node);
  const Expression *converted = convert_to(checker, expression, TYPE_DOMAIN);
  if (converted)
    return converted;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s, `under` is about domains",
                                       SLICE_ARGS(node_source(node)), SLICE_ARGS(expression_type_text(checker, expression)));
  diagnostic_expected(
      checker->diagnostics, told,
      single_type(expression) == TYPE_IP ? "expected a domain or an address; an ip lies `in` a net" : "expected a domain or an address");
  return NULL;
}

static const Expression *compile_domain(Checker *checker, const Node *node) {
  const Node *literal = literal_of(checker, node);
  Symbol *symbol = literal->kind == NODE_NAME ? checker_symbol(checker, literal->text) : NULL;
  if (symbol && symbol->kind == SYMBOL_TABLE) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "`under` takes a domain, not a table");
    diagnostic_expected(checker->diagnostics, told,
                        "write `in %.*s`, with entries example.org for itself and .example.org for what is below",
                        SLICE_ARGS(symbol->name));
    return NULL;
  }
  return as_domain(checker, node, compile_expression(checker, node, is_literal(checker, node) ? (Wanted){TYPE_DOMAIN, NULL} : WANTED_ANY));
}

static const Expression *under_one(Checker *checker, const Expression *left, const Node *right_node, const Node *node) {
  const Expression *right = compile_domain(checker, right_node);
  if (!left || !right)
    return NULL;
  Expression *expression = expression_new(checker, EXPRESSION_UNDER, TYPE_BOOL, node);
  expression->left = left;
  expression->right = right;
  return expression_finish(expression);
}

const Expression *compile_under(Checker *checker, const Node *node) {
  const Expression *left = compile_domain(checker, node->left);
  const Node *right = literal_of(checker, node->right);
  if (right->kind != NODE_SET)
    return under_one(checker, left, node->right, node);
  g_autoptr(GPtrArray) parts = g_ptr_array_new();
  bool good = true;
  for (const Node *item = right->items; item; item = item->next) {
    const Expression *one = under_one(checker, left, item, node);
    good &= one != NULL;
    g_ptr_array_add(parts, (gpointer)one);
  }
  if (!right->items) {
    diagnostics_error(checker->diagnostics, right->span, "this set is empty");
    return NULL;
  }
  return good ? expression_join_all(checker, EXPRESSION_OR, (const Expression *const *)parts->pdata, parts->len, node) : NULL;
}

/* is set, is unset */

const Expression *compile_is_set(Checker *checker, const Node *node) {
  const Expression *left = compile_expression(checker, node->left, WANTED_ANY);
  if (!left)
    return NULL;
  if (left->type == TYPE_BOOL && left->kind != EXPRESSION_FACT && left->kind != EXPRESSION_VARIABLE && left->kind != EXPRESSION_VALUE_OF) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->left->span, "a condition is always set");
    diagnostic_expected(checker->diagnostics, told, "expected a fact, a variable or T[key]");
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_IS_SET, TYPE_BOOL, node->as.negated ? positive(checker, node) : node);
  expression->left = left;
  (void)expression_finish(expression);
  return node->as.negated ? expression_not(checker, expression, node) : expression;
}
