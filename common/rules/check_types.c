/*
 * check_types.c: literals, and how types meet.
 *
 * What meets what (for mailreeve.rules(5)): a quoted string is read as the type that stands across. Beyond that a string meets an address or a domain by being
 * read as one (unset when it cannot be), an enum, an address or a domain meets a string-keyed table as its text, whole numbers meet decimals and sizes. Nothing else
 * is converted: an address is not a domain (say `.domain`), an ip is not a net (say `in`).
 */
#include "common/base/limits.h"
#include "common/rules/check_internal.h"

ValueType single_type(const Expression *expression) {
  return expression->type == TYPE_LIST ? expression->element_type : expression->type;
}

static const char *const *enum_names_of(const Expression *expression) {
  return expression->kind == EXPRESSION_FACT ? fact_info(expression->as.fact)->enum_names : NULL;
}

Wanted wanted_like(const Expression *expression) {
  return (Wanted){single_type(expression), enum_names_of(expression)};
}

const char *type_article(ValueType type) {
  switch (type) {
    case TYPE_IP:
      return "an ip";
    case TYPE_NET:
      return "a net";
    case TYPE_STRING:
      return "a string";
    case TYPE_ADDRESS:
      return "an address";
    case TYPE_DOMAIN:
      return "a domain";
    case TYPE_INT:
      return "an int";
    case TYPE_DECIMAL:
      return "a decimal";
    case TYPE_SIZE:
      return "a size";
    case TYPE_DURATION:
      return "a duration";
    case TYPE_TIME:
      return "a time";
    case TYPE_DATE:
      return "a date";
    case TYPE_BOOL:
      return "a condition";
    case TYPE_ENUM:
      return "an enum";
    case TYPE_LIST:
      return "a list";
    case TYPE_ACTION:
      return "an action";
    case TYPE_RECORD:
      return "an element with several values";
    case TYPE_COUNT:
      return "a value";
  }
  g_assert_not_reached();
}

Slice expression_type_text(Checker *checker, const Expression *expression) {
  if (expression->type != TYPE_LIST)
    return slice_from(type_article(expression->type));
  if (expression->element_type == TYPE_RECORD)
    return SLICE_LITERAL("a list of elements with several values");
  return slice_from(arena_printf(checker->scratch, "a list of %s", value_type_name(expression->element_type)));
}

bool node_literal_type(const Node *node, ValueType *type) {
  switch (node->kind) {
    case NODE_TEXT:
      for (const Node *part = node->items; part; part = part->next)
        if (part->kind != NODE_LITERAL_TEXT)
          return false;
      *type = TYPE_STRING;
      return true;
    case NODE_LITERAL_TEXT:
      *type = TYPE_STRING;
      return true;
    case NODE_INT:
      *type = TYPE_INT;
      return true;
    case NODE_DECIMAL:
      *type = TYPE_DECIMAL;
      return true;
    case NODE_SIZE:
      *type = TYPE_SIZE;
      return true;
    case NODE_DURATION:
      *type = TYPE_DURATION;
      return true;
    case NODE_TIME:
      *type = TYPE_TIME;
      return true;
    case NODE_DATE:
      *type = TYPE_DATE;
      return true;
    case NODE_IP:
      *type = TYPE_IP;
      return true;
    case NODE_NET:
      *type = TYPE_NET;
      return true;
    case NODE_NULL_SENDER:
      *type = TYPE_ADDRESS;
      return true;
    case NODE_NAME:
    case NODE_CAPTURE:
    case NODE_REGEX:
    case NODE_SET:
    case NODE_MAP_ITEM:
    case NODE_TUPLE:
    case NODE_RANGE:
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
      return false;
  }
  g_assert_not_reached();
}

bool is_bare_word(Checker *checker, const Node *node) {
  Fact fact;
  return node->kind == NODE_NAME && slice_find(node->text, '.') < 0 && !checker_symbol(checker, node->text) &&
         !fact_from_name(node->text, &fact) && !slice_equal(node->text, SLICE_LITERAL("score"));
}

bool is_lost(Checker *checker, const Node *node) {
  Symbol *symbol = node->kind == NODE_NAME ? checker_symbol(checker, node->text) : NULL;
  return symbol ? symbol->declaration->is_broken : checker->lost_names && is_bare_word(checker, node);
}

/* Follows defines to a literal, set, range or plain word; the node itself when there is none at the end. */
static const Node *follow_defines(Checker *checker, const Node *node, unsigned depth) {
  Symbol *symbol = node->kind == NODE_NAME && depth < LIMIT_NESTING ? checker_symbol(checker, node->text) : NULL;
  const Node *inner = symbol && symbol->kind == SYMBOL_DEFINE ? symbol->declaration->expression : NULL;
  ValueType type;
  if (!inner)
    return node;
  const Node *found = inner;
  if (!node_literal_type(inner, &type) && inner->kind != NODE_SET && inner->kind != NODE_RANGE && inner->kind != NODE_REGEX) {
    found = follow_defines(checker, inner, depth + 1);
    if (found == inner && !is_bare_word(checker, inner))
      return node;
  }
  symbol->was_used = true;
  return found;
}

const Node *literal_of(Checker *checker, const Node *node) {
  return follow_defines(checker, node, 0);
}

bool is_literal(Checker *checker, const Node *node) {
  ValueType type;
  return node_literal_type(literal_of(checker, node), &type);
}

static Expression *literal_new(Checker *checker, const Node *node, Value value) {
  Expression *expression = expression_new(checker, EXPRESSION_LITERAL, value.type, node);
  expression->as.literal = value;
  return expression_finish(expression);
}

void tell_use(Checker *checker, Diagnostic *told) {
  if (checker->define_use)
    diagnostic_also(checker->diagnostics, told, checker->define_use->span, "used here");
}

static Slice names_joined(Checker *checker, const char *const *names) {
  g_autofree char *joined = g_strjoinv(" ", (char **)names);
  return slice_copy(checker->scratch, slice_from(joined));
}

static Expression *compile_enum_text(Checker *checker, const Node *node, Slice text, const char *const *names) {
  for (size_t i = 0; names && names[i]; i++)
    if (slice_equal_fold(slice_from(names[i]), text))
      return literal_new(checker, node, (Value){VALUE_SET, TYPE_ENUM, {.text = slice_from(names[i])}});
  if (!names)
    return literal_new(checker, node, (Value){VALUE_SET, TYPE_ENUM, {.text = slice_copy(checker->arena, text)}});
  const char *nearest = nearest_name(text, names);
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "unknown name \"%.*s\"", SLICE_ARGS(text));
  tell_use(checker, told);
  diagnostic_expected(checker->diagnostics, told, "expected one of: %.*s%s%s", SLICE_ARGS(names_joined(checker, names)),
                      nearest ? "; nearest: " : "", nearest ? nearest : "");
  return NULL;
}

Expression *compile_enum_name(Checker *checker, const Node *node, Wanted wanted) {
  if (wanted.names && is_lost(checker, node) && !g_strv_contains(wanted.names, slice_to_string(checker->scratch, node->text)))
    return NULL;
  return compile_enum_text(checker, node, node->text, wanted.names);
}

/* A domain as people write it in other tables: "*.example.org", "@example.org". */
static bool tell_domain_form(Checker *checker, const Node *node, Slice text) {
  size_t skip = slice_starts_with(text, SLICE_LITERAL("*.")) ? 2 : slice_starts_with(text, SLICE_LITERAL("@")) ? 1 : 0;
  bool is_dotted = slice_starts_with(text, SLICE_LITERAL("."));
  if (skip == 0 && !is_dotted)
    return false;
  Slice name = slice_from_offset(text, is_dotted ? 1 : skip);
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "\"%.*s\" is not a domain", SLICE_ARGS(text));
  diagnostic_expected(checker->diagnostics, told,
                      "write `under \"%.*s\"` for it and what is below, `in { \".%.*s\" }` for what is below only", SLICE_ARGS(name),
                      SLICE_ARGS(name));
  return true;
}

/* "@example.org" is an entry of a set or table; no sender and no recipient is ever equal to it. */
static void tell_address_form(Checker *checker, const Node *node, Slice text) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "\"%.*s\" is not an address", SLICE_ARGS(text));
  tell_use(checker, told);
  diagnostic_expected(checker->diagnostics, told, "write `in { \"%.*s\" }`, or compare the .domain with \"%.*s\"", SLICE_ARGS(text),
                      SLICE_ARGS(slice_from_offset(text, 1)));
}

static Expression *compile_quoted(Checker *checker, const Node *node, Slice text, Wanted wanted) {
  if (wanted.type == TYPE_COUNT || wanted.type == TYPE_STRING)
    return literal_new(checker, node, value_text(slice_copy(checker->arena, text)));
  if (wanted.type == TYPE_ENUM)
    return compile_enum_text(checker, node, text, wanted.names);
  if (wanted.type == TYPE_DOMAIN && tell_domain_form(checker, node, text))
    return NULL;
  if (wanted.type == TYPE_ADDRESS && text.length > 1 && text.data[0] == '@') {
    tell_address_form(checker, node, text);
    return NULL;
  }
  Value value = VALUE_NONE;
  const char *problem = NULL;
  Slice right_form = SLICE_EMPTY;
  if (value_parse(checker->scratch, wanted.type, text, &value, &problem, &right_form))
    return literal_new(checker, node, value_copy(checker->arena, &value));
  g_autofree char *why =
      problem && g_str_has_prefix(problem, "not ") ? g_strdup(problem) : g_strdup_printf("not %s: %s", type_article(wanted.type), problem);
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "\"%.*s\" is %s", SLICE_ARGS(text), why);
  tell_use(checker, told);
  if (!slice_is_empty(right_form))
    diagnostic_expected(checker->diagnostics, told, "write %.*s", SLICE_ARGS(right_form));
  return NULL;
}

static Value node_value(const Node *node, ValueType type) {
  Value value = {VALUE_SET, type, {.number = node->number}};
  if (type == TYPE_DECIMAL)
    value.as.decimal = node->decimal;
  if (type == TYPE_IP)
    value.as.ip = node->net.address;
  if (type == TYPE_NET)
    value.as.net = node->net;
  return value;
}

static const char *unit_hint(ValueType found, ValueType wanted) {
  if (found == TYPE_INT && wanted == TYPE_DURATION)
    return "expected a duration with its unit: 30s, 5m, 2h, 2d";
  if (found == TYPE_NET && wanted == TYPE_IP)
    return "expected an ip; `in` asks whether an ip lies in a net";
  if (found == TYPE_STRING || wanted == TYPE_STRING || wanted == TYPE_DOMAIN)
    return "expected a text in quotes";
  return NULL;
}

static Expression *tell_literal(Checker *checker, const Node *node, ValueType found, ValueType wanted) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %s, which cannot meet %s", SLICE_ARGS(node_source(node)),
                                       type_article(found), type_article(wanted));
  const char *hint = unit_hint(found, wanted);
  tell_use(checker, told);
  if (hint)
    diagnostic_expected(checker->diagnostics, told, "%s", hint);
  else
    diagnostic_expected(checker->diagnostics, told, "expected %s", type_article(wanted));
  return NULL;
}

static Expression *compile_null_sender(Checker *checker, const Node *node) {
  MailAddress *address = ARENA_NEW(checker->arena, MailAddress);
  return literal_new(checker, node, (Value){VALUE_SET, TYPE_ADDRESS, {.address = address}});
}

Expression *compile_literal(Checker *checker, const Node *node, Wanted wanted) {
  ValueType type = TYPE_STRING;
  Slice text = SLICE_EMPTY;
  bool is_known = node_literal_type(node, &type);
  g_assert(is_known);
  if (type == TYPE_STRING) {
    (void)literal_text(checker, node, &text);
    return compile_quoted(checker, node, text, wanted);
  }
  ValueType target = wanted.type == TYPE_COUNT ? type : wanted.type;
  if (type == TYPE_INT && target == TYPE_DECIMAL) {
    Value value = {VALUE_SET, TYPE_DECIMAL, {.decimal = (double)node->number}};
    return literal_new(checker, node, value);
  }
  if (type == TYPE_INT && target == TYPE_SIZE)
    return literal_new(checker, node, node_value(node, TYPE_SIZE));
  if (type == TYPE_DECIMAL && target == TYPE_INT)
    return literal_new(checker, node, node_value(node, TYPE_DECIMAL));
  if (type == TYPE_IP && target == TYPE_NET)
    return literal_new(checker, node, node_value(node, TYPE_NET));
  if (type != target)
    return tell_literal(checker, node, type, target);
  return type == TYPE_ADDRESS ? compile_null_sender(checker, node) : literal_new(checker, node, node_value(node, type));
}

/* Conversions, as functions that have no name in the language. */

static Value text_to_domain(Arena *arena, const Value *input) {
  Slice domain = domain_normalize(arena, input->as.text);
  return slice_is_empty(domain) ? VALUE_NONE : (Value){VALUE_SET, TYPE_DOMAIN, {.text = domain}};
}

static Value text_to_address(Arena *arena, const Value *input) {
  MailAddress *address = ARENA_NEW(arena, MailAddress);
  return mail_address_parse(arena, input->as.text, address) ? (Value){VALUE_SET, TYPE_ADDRESS, {.address = address}} : VALUE_NONE;
}

static Value text_as_text(Arena *arena, const Value *input) {
  (void)arena;
  return value_text(input->as.text);
}

static Value address_to_text(Arena *arena, const Value *input) {
  (void)arena;
  return value_text(input->as.address->text);
}

static Value int_to_decimal(Arena *arena, const Value *input) {
  (void)arena;
  return (Value){VALUE_SET, TYPE_DECIMAL, {.decimal = (double)input->as.number}};
}

static Value int_to_size(Arena *arena, const Value *input) {
  (void)arena;
  return (Value){VALUE_SET, TYPE_SIZE, {.number = input->as.number}};
}

static const Function conversions[] = {
    {"as domain", TYPE_STRING, TYPE_DOMAIN, "", "", text_to_domain},   {"as address", TYPE_STRING, TYPE_ADDRESS, "", "", text_to_address},
    {"as string", TYPE_ENUM, TYPE_STRING, "", "", text_as_text},       {"as string", TYPE_DOMAIN, TYPE_STRING, "", "", text_as_text},
    {"as string", TYPE_ADDRESS, TYPE_STRING, "", "", address_to_text}, {"as decimal", TYPE_INT, TYPE_DECIMAL, "", "", int_to_decimal},
    {"as decimal", TYPE_SIZE, TYPE_DECIMAL, "", "", int_to_decimal},   {"as size", TYPE_INT, TYPE_SIZE, "", "", int_to_size},
};

const Expression *convert_to(Checker *checker, const Expression *expression, ValueType type) {
  if (expression->type == type || single_type(expression) == type)
    return expression;
  for (size_t i = 0; i < G_N_ELEMENTS(conversions); i++)
    if (conversions[i].input == single_type(expression) && conversions[i].output == type)
      return expression_function(checker, &conversions[i], expression, node_of(checker, expression));
  return NULL;
}

/* The better type of two: what a comparison of both is made in. */
static ValueType meeting_type(ValueType a, ValueType b) {
  static const struct {
    ValueType one, other, meet;
  } table[] = {
      {TYPE_STRING, TYPE_DOMAIN, TYPE_DOMAIN}, {TYPE_STRING, TYPE_ADDRESS, TYPE_ADDRESS}, {TYPE_STRING, TYPE_ENUM, TYPE_STRING},
      {TYPE_INT, TYPE_DECIMAL, TYPE_DECIMAL},  {TYPE_SIZE, TYPE_DECIMAL, TYPE_DECIMAL},   {TYPE_INT, TYPE_SIZE, TYPE_SIZE},
  };
  if (a == b)
    return a;
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
    if ((table[i].one == a && table[i].other == b) || (table[i].one == b && table[i].other == a))
      return table[i].meet;
  return TYPE_COUNT;
}

bool make_meet(Checker *checker, const Expression **left, const Expression **right) {
  if ((*left)->type == TYPE_LIST && (*right)->type == TYPE_LIST)
    return false;
  ValueType type = meeting_type(single_type(*left), single_type(*right));
  if (type == TYPE_COUNT)
    return false;
  const Expression *a = convert_to(checker, *left, type), *b = convert_to(checker, *right, type);
  if (!a || !b)
    return false;
  *left = a;
  *right = b;
  return true;
}
