/*
 * check_expression.c: values: names, properties, tables by key, texts with templates; and the way from any node to its expression.
 */
#include "common/rules/check_internal.h"
#include "common/smtp/record.h"

/* An expression that was compiled before for the same node and type; true when there is one (it is NULL after an error). */
static bool recall(Checker *checker, const Node *node, Wanted wanted, const Expression **expression) {
  CompiledKey key = {node, wanted};
  gpointer value;
  if (!checker->is_repeated || !g_hash_table_lookup_extended(checker->compiled, &key, NULL, &value))
    return false;
  *expression = value;
  return true;
}

static const Expression *keep(Checker *checker, const Node *node, Wanted wanted, const Expression *expression) {
  if (!checker->is_repeated)
    return expression;
  CompiledKey *key = ARENA_NEW(checker->scratch, CompiledKey);
  *key = (CompiledKey){node, wanted};
  g_hash_table_insert(checker->compiled, key, (gpointer)expression);
  return expression;
}

/* Properties */

static void tell_property(Checker *checker, const Node *node, const Expression *of, Slice name) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  g_autoptr(GString) list = g_string_new(NULL);
  for (const Function *const *function = functions_all(); *function; function++) {
    if ((*function)->input != single_type(of))
      continue;
    g_ptr_array_add(names, (gpointer)(*function)->name);
    g_string_append_printf(list, "%s.%s", list->len ? " " : "", (*function)->name);
  }
  if (compile_raw(checker, of, node)) {
    g_ptr_array_add(names, (gpointer) "raw");
    g_string_append_printf(list, "%s.raw", list->len ? " " : "");
  }
  g_ptr_array_add(names, NULL);
  const char *nearest = nearest_name(name, (const char *const *)names->pdata);
  const char *fact = node->kind == NODE_NAME && of->kind == EXPRESSION_FACT ? nearest_name(node->text, fact_names()) : NULL;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s has no property \"%.*s\"",
                                       SLICE_ARGS(expression_type_text(checker, of)), SLICE_ARGS(name));
  if (!nearest && fact && slice_find(slice_from(fact), '.') >= 0)
    diagnostic_expected(checker->diagnostics, told, "expected the name of a fact; nearest: %s", fact);
  else if (single_type(of) == TYPE_RECORD && record_field_index(of->record, name) >= 0)
    diagnostic_expected(checker->diagnostics, told, "say `any %s has (%.*s ...)`; {1} in a text is what ~ captured there",
                        record_name(of->record), SLICE_ARGS(name));
  else if (!list->len)
    diagnostic_expected(checker->diagnostics, told, "values of this type have no properties");
  else
    diagnostic_expected(checker->diagnostics, told, "expected one of: %s%s%s", list->str, nearest ? "; nearest: " : "",
                        nearest ? nearest : "");
}

static const Expression *compile_property(Checker *checker, const Node *node, const Expression *of, Slice name) {
  if (!of)
    return NULL;
  if (slice_equal(name, SLICE_LITERAL("raw"))) {
    const Expression *raw = compile_raw(checker, of, node);
    if (raw)
      return raw;
  }
  const Function *function = function_find(name, single_type(of));
  if (!function && single_type(of) == TYPE_STRING) { /* a text that is read as an address or a domain: sasl_username.domain */
    const Expression *address = convert_to(checker, of, TYPE_ADDRESS), *domain = convert_to(checker, of, TYPE_DOMAIN);
    of = function_find(name, TYPE_ADDRESS) ? address : function_find(name, TYPE_DOMAIN) ? domain : of;
    function = function_find(name, single_type(of));
  }
  if (!function) {
    tell_property(checker, node, of, name);
    return NULL;
  }
  return expression_function(checker, function, of, node);
}

/* Variables */

VariableSymbol *checker_variable(Checker *checker, Slice text) {
  return g_hash_table_lookup(checker->variables, &text);
}

static Scope scope_of(Slice text) {
  return slice_starts_with(text, SLICE_LITERAL("session."))   ? SCOPE_SESSION
         : slice_starts_with(text, SLICE_LITERAL("message.")) ? SCOPE_MESSAGE
                                                              : SCOPE_RECIPIENT;
}

/* The type of what the first `set` puts in. */
bool variable_resolve(Checker *checker, VariableSymbol *variable, SourceSpan span) {
  if (variable->info)
    return true;
  if (variable->broken)
    return false;
  if (variable->compiling) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, span, "the type of %.*s cannot be told: its first value is made from itself",
                                         SLICE_ARGS(variable->text));
    diagnostic_also(checker->diagnostics, told, variable->first->span, "first set here");
    variable->broken = true;
    return false;
  }
  if (!enter_nested(checker, span)) {
    variable->broken = true;
    return false;
  }
  const Elements *elements = checker->elements;
  checker->elements = NULL;
  variable->compiling = true;
  const Expression *value = compile_expression(checker, variable->value, WANTED_ANY);
  variable->compiling = false;
  checker->elements = elements;
  leave_nested(checker);
  if (!value || variable->broken || check_record(checker, value)) {
    variable->broken = true;
    return false;
  }
  VariableInfo *info = ARENA_NEW(checker->arena, VariableInfo);
  Scope scope = scope_of(variable->text);
  info->name = slice_copy(checker->arena, slice_from_offset(variable->text, (size_t)slice_find(variable->text, '.') + 1));
  info->scope = scope;
  info->type = value->type;
  info->slot = (uint32_t)checker->program->scope_slots[scope]++;
  variable->info = info;
  variable->element_type = value->element_type;
  g_ptr_array_add(checker->variable_infos, info);
  return true;
}

static const Expression *compile_variable(Checker *checker, const Node *node, Slice text) {
  VariableSymbol *variable = checker_variable(checker, text);
  if (!variable && checker->lost_statements)
    return NULL;
  if (!variable) {
    const char *nearest = nearest_of(checker, text, false, false, true);
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "no rule sets %.*s", SLICE_ARGS(text));
    diagnostic_expected(checker->diagnostics, told, "expected a variable that some rule sets: `set %.*s = ...`%s%s", SLICE_ARGS(text),
                        nearest ? "; nearest: " : "", nearest ? nearest : "");
    return NULL;
  }
  if (!variable_resolve(checker, variable, node->span))
    return NULL;
  Expression *expression = expression_new(checker, EXPRESSION_VARIABLE, variable->info->type, node);
  expression->element_type = variable->element_type;
  expression->as.variable = variable->info;
  return expression_finish(expression);
}

/* Scores */

uint32_t check_score_name(Checker *checker, Slice name) {
  for (guint i = 0; i < checker->score_names->len; i++)
    if (slice_equal(*(const Slice *)checker->score_names->pdata[i], name))
      return i;
  Slice *copy = ARENA_NEW(checker->arena, Slice);
  *copy = slice_copy(checker->arena, name);
  g_ptr_array_add(checker->score_names, copy);
  return checker->score_names->len - 1;
}

static const Expression *compile_score(Checker *checker, const Node *node, Slice name) {
  bool is_known = slice_is_empty(name) || g_hash_table_contains(checker->score_nodes, &name);
  if (!is_known && checker->lost_statements)
    return NULL;
  if (!is_known) {
    g_autofree const char **names = g_new0(const char *, g_hash_table_size(checker->score_nodes) + 1);
    GHashTableIter iter;
    gpointer key;
    size_t count = 0;
    g_hash_table_iter_init(&iter, checker->score_nodes);
    while (g_hash_table_iter_next(&iter, &key, NULL))
      names[count++] = slice_to_string(checker->scratch, *(const Slice *)key);
    const char *nearest = nearest_name(name, names);
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "no rule adds to the score \"%.*s\"", SLICE_ARGS(name));
    diagnostic_expected(checker->diagnostics, told, "expected a name that some rule adds to: `score %.*s 1`%s%s", SLICE_ARGS(name),
                        nearest ? "; nearest: " : "", nearest ? nearest : "");
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_SCORE, TYPE_DECIMAL, node);
  expression->as.score = slice_is_empty(name) ? SCORE_TOTAL : check_score_name(checker, name);
  return expression_finish(expression);
}

/* dnslist.zone and its like */

static const Expression *compile_detail(Checker *checker, const Node *node, Slice name) {
  static const char *const names[] = {"zone", "code", "text", NULL};
  static const DnslistDetail details[] = {DNSLIST_ZONE, DNSLIST_CODE, DNSLIST_TEXT};
  for (size_t i = 0; names[i]; i++) {
    if (!slice_equal(slice_from(names[i]), name))
      continue;
    if (!checker->has_dnslist) {
      Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "the condition of this rule asks no dnslist");
      diagnostic_expected(checker->diagnostics, told, "dnslist.%s is what the dnslist said that the rule's own condition asked", names[i]);
      return NULL;
    }
    Expression *expression = expression_new(checker, EXPRESSION_DNSLIST, TYPE_STRING, node);
    expression->as.detail = details[i];
    return expression_finish(expression);
  }
  const char *nearest = nearest_name(name, names);
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "a dnslist does not say \"%.*s\"", SLICE_ARGS(name));
  diagnostic_expected(checker->diagnostics, told, "expected dnslist.zone, dnslist.code or dnslist.text%s%s", nearest ? "; nearest: " : "",
                      nearest ? nearest : "");
  return NULL;
}

static const Expression *compile_capture(Checker *checker, const Node *node) {
  if (!checker->has_regex || node->number < 0 || (uint64_t)node->number > checker->captures) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span,
                                         checker->has_regex ? "no regex of this rule's condition has a group %" G_GINT64_FORMAT
                                                            : "no regex in this rule's condition for {%" G_GINT64_FORMAT "}",
                                         node->number);
    diagnostic_expected(checker->diagnostics, told, "{1} is the first group of the last `~` that matched in the rule's own condition");
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_CAPTURE, TYPE_STRING, node);
  expression->as.capture = (uint32_t)node->number;
  return expression_finish(expression);
}

/* Names */

static const Expression *compile_fact(Checker *checker, const Node *node, Fact fact) {
  Expression *expression = expression_new(checker, EXPRESSION_FACT, fact_info(fact)->type, node);
  expression->element_type = fact_info(fact)->element_type;
  expression->record = fact_info(fact)->record;
  expression->as.fact = fact;
  return expression_finish(expression);
}

static const Expression *tell_unknown_name(Checker *checker, const Node *node, Slice base, Wanted wanted) {
  Symbol *symbol = checker_symbol(checker, base);
  if (symbol && symbol->kind != SYMBOL_DEFINE) {
    const char *what = symbol->kind == SYMBOL_TABLE ? "table" : "dnslist";
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "\"%.*s\" is a %s, not a value", SLICE_ARGS(base), what);
    if (symbol->use && symbol->use->shape.has_value)
      diagnostic_expected(checker->diagnostics, told, "expected %.*s[key] or `key in %.*s`", SLICE_ARGS(base), SLICE_ARGS(base));
    else
      diagnostic_expected(checker->diagnostics, told, "expected `key in %.*s`", SLICE_ARGS(base));
    return NULL;
  }
  if (checker->lost_names)
    return NULL;
  const char *nearest = nearest_of(checker, node->text, true, false, true);
  if (!nearest)
    nearest = nearest_of(checker, base, true, false, true);
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "unknown name \"%.*s\"", SLICE_ARGS(node->text));
  bool is_text = wanted.type == TYPE_STRING || wanted.type == TYPE_DOMAIN || wanted.type == TYPE_ADDRESS;
  diagnostic_expected(checker->diagnostics, told, "expected %sthe name of a fact, define or variable%s%s%s", element_words(checker),
                      is_text ? ", or a text in quotes" : "", nearest ? "; nearest: " : "", nearest ? nearest : "");
  return NULL;
}

static const Expression *compile_base(Checker *checker, const Node *node, Slice base, Wanted wanted) {
  Fact fact;
  Symbol *symbol = checker_symbol(checker, base);
  const Expression *element;
  if (compile_element(checker, node, base, &element))
    return element;
  if (symbol && symbol->kind == SYMBOL_DEFINE)
    return compile_define(checker, symbol, node, wanted);
  if (fact_from_name(base, &fact))
    return compile_fact(checker, node, fact);
  if (wanted.type == TYPE_ENUM && slice_equal(base, node->text))
    return compile_enum_name(checker, node, wanted);
  bool is_true = slice_equal(base, SLICE_LITERAL("true"));
  if (is_true || slice_equal(base, SLICE_LITERAL("false"))) {
    Expression *expression = expression_new(checker, EXPRESSION_LITERAL, TYPE_BOOL, node);
    expression->as.literal = value_bool(is_true);
    return expression_finish(expression);
  }
  return tell_unknown_name(checker, node, base, wanted);
}

static bool is_address_property(Slice name) {
  return function_find(name, TYPE_ADDRESS) || slice_equal(name, SLICE_LITERAL("raw"));
}

/* session.x, message.x; recipient.x too, unless x is a property of an address. */
static bool is_variable_name(Slice base, Slice rest) {
  bool found;
  Slice after, first = slice_split(rest, '.', &after, &found);
  if (slice_equal(base, SLICE_LITERAL("session")) || slice_equal(base, SLICE_LITERAL("message")))
    return true;
  return slice_equal(base, SLICE_LITERAL("recipient")) && !is_address_property(first);
}

/* header.from.domain: the fact is header.from, what follows it properties. */
static bool split_fact(Slice text, Fact *fact, Slice *rest) {
  Slice name = text;
  for (ptrdiff_t dot = (ptrdiff_t)text.length; dot > 0; dot = slice_find_last(name, '.')) {
    name = slice_make(text.data, (size_t)dot);
    if (slice_find(name, '.') >= 0 && fact_from_name(name, fact)) {
      *rest = slice_from_offset(text, (size_t)dot + 1);
      return true;
    }
  }
  return false;
}

/* "session.x.domain": the variable is "session.x", the rest are properties. */
static const Expression *compile_dotted(Checker *checker, const Node *node, Slice base, Slice rest) {
  bool more = !slice_is_empty(rest);
  const Expression *value;
  Fact fact;
  if (slice_equal(base, SLICE_LITERAL("score")))
    return compile_score(checker, node, rest);
  if (slice_equal(base, SLICE_LITERAL("dnslist")))
    return compile_detail(checker, node, rest);
  if (is_variable_name(base, rest)) {
    Slice name = slice_split(rest, '.', &rest, &more);
    value = compile_variable(checker, node, slice_make(node->text.data, (size_t)(name.data + name.length - node->text.data)));
  } else if (split_fact(node->text, &fact, &rest)) {
    value = compile_fact(checker, node, fact);
    more = !slice_is_empty(rest);
  } else {
    value = compile_base(checker, node, base, WANTED_ANY);
  }
  while (more && value) {
    Slice property = slice_split(rest, '.', &rest, &more);
    value = compile_property(checker, node, value, property);
  }
  return value;
}

static const Expression *compile_name(Checker *checker, const Node *node, Wanted wanted) {
  Slice rest;
  bool dotted;
  Slice base = slice_split(node->text, '.', &rest, &dotted);
  if (dotted || slice_equal(base, SLICE_LITERAL("score")))
    return compile_dotted(checker, node, base, rest);
  return compile_base(checker, node, base, wanted);
}

const Expression *compile_define(Checker *checker, Symbol *symbol, const Node *use, Wanted wanted) {
  const Node *node = symbol->declaration->expression;
  symbol->was_used = true;
  if (!node)
    return NULL;
  if (symbol->compiling) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, use ? use->span : symbol->declaration->name_span,
                                         "\"%.*s\" is defined by itself", SLICE_ARGS(symbol->name));
    diagnostic_also(checker->diagnostics, told, symbol->declaration->name_span, "defined here");
    diagnostic_expected(checker->diagnostics, told, "expected a definition that ends in facts and literals");
    return NULL;
  }
  if (!is_literal(checker, node) && node->kind != NODE_NAME)
    wanted = WANTED_ANY;
  const Expression *expression;
  if (!recall(checker, node, wanted, &expression)) {
    if (!enter_nested(checker, use ? use->span : symbol->declaration->name_span))
      return NULL;
    const Node *outer = checker->define_use;
    const Elements *elements = checker->elements;
    checker->elements = NULL;
    symbol->compiling = true;
    if (!outer && (is_literal(checker, node) || node->kind == NODE_SET || node->kind == NODE_RANGE || node->kind == NODE_REGEX))
      checker->define_use = use;
    expression = keep(checker, node, wanted, compile_expression(checker, node, wanted));
    symbol->compiling = false;
    checker->define_use = outer;
    checker->elements = elements;
    leave_nested(checker);
  }
  if (expression)
    note_matches(checker, expression);
  if (expression && use) {
    DefineUse define_use = {expression, use};
    g_array_append_val(checker->define_uses, define_use);
  }
  return expression;
}

/* Tables by key */

static const Expression *compile_key(Checker *checker, const Node *node, const ResourceUse *use, size_t part) {
  ValueType type = use->shape.parts[part] == TYPE_NET ? TYPE_IP : use->shape.parts[part];
  const Expression *key = compile_expression(checker, node, (Wanted){is_literal(checker, node) ? type : TYPE_COUNT, NULL});
  if (!key || check_record(checker, key))
    return NULL;
  if (key->type == TYPE_LIST && use->shape.part_count > 1) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is a list, which cannot be a part of a tuple",
                                         SLICE_ARGS(node_source(node)));
    diagnostic_expected(checker->diagnostics, told, "write `any %.*s has (...)` around it, with `value` in the tuple",
                        SLICE_ARGS(node_source(node)));
    return NULL;
  }
  const Expression *converted = convert_to(checker, key, type);
  if (converted)
    return converted;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s, but the keys of %.*s are of type %s",
                                       SLICE_ARGS(node_source(node)), SLICE_ARGS(expression_type_text(checker, key)),
                                       SLICE_ARGS(use->label), value_type_name(use->shape.parts[part]));
  if (single_type(key) == TYPE_ADDRESS && type == TYPE_DOMAIN)
    diagnostic_expected(checker->diagnostics, told, "write %.*s.domain", SLICE_ARGS(node_source(node)));
  else
    diagnostic_expected(checker->diagnostics, told, "expected %s", type_article(type));
  return NULL;
}

bool compile_keys(Checker *checker, const Node *node, const ResourceUse *use, Expression *lookup) {
  size_t given = 0, expected = use->shape.part_count;
  bool is_tuple = node->kind == NODE_TUPLE, good = true;
  for (const Node *item = is_tuple ? node->items : node; item; item = is_tuple ? item->next : NULL)
    given++;
  if (given != expected) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%zu %s here, but the keys of %.*s have %zu", given,
                                         given == 1 ? "value stands" : "values stand", SLICE_ARGS(use->label), expected);
    diagnostic_expected(checker->diagnostics, told, expected == 1 ? "expected one value" : "expected a tuple of %zu: (a, b)", expected);
    return false;
  }
  ResourceLookup *keys = ARENA_NEW(checker->arena, ResourceLookup);
  *keys = (ResourceLookup){.use = use, .count = given};
  lookup->as.lookup = keys;
  size_t part = 0;
  for (const Node *item = is_tuple ? node->items : node; item; item = is_tuple ? item->next : NULL, part++) {
    keys->keys[part] = compile_key(checker, item, use, part);
    good &= keys->keys[part] != NULL;
  }
  return good;
}

static Symbol *find_map(Checker *checker, const Node *name) {
  Symbol *symbol = name->kind == NODE_NAME ? checker_symbol(checker, name->text) : NULL;
  if (is_lost(checker, name))
    return NULL;
  Fact fact;
  if (name->kind == NODE_NAME && fact_from_name(name->text, &fact)) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, name->span, "\"%.*s\" is a fact, not a table", SLICE_ARGS(name->text));
    if (fact_info(fact)->type == TYPE_LIST)
      diagnostic_expected(checker->diagnostics, told, "write `any %.*s has (...)` to look into it", SLICE_ARGS(name->text));
    else
      diagnostic_expected(checker->diagnostics, told, "expected the name of a table with values, or header[\"Name\"]");
    return NULL;
  }
  if (!symbol) {
    const char *nearest = nearest_of(checker, name->text, false, true, false);
    Diagnostic *told = diagnostics_error(checker->diagnostics, name->span, "unknown table \"%.*s\"", SLICE_ARGS(node_source(name)));
    diagnostic_expected(checker->diagnostics, told, "expected the name of a table with values%s%s", nearest ? "; nearest: " : "",
                        nearest ? nearest : "");
    return NULL;
  }
  if (symbol->kind == SYMBOL_TABLE && !symbol->use)
    return NULL; /* told at its declaration */
  if (symbol->kind != SYMBOL_TABLE || !symbol->use->shape.has_value) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, name->span, "\"%.*s\" has no values to give", SLICE_ARGS(symbol->name));
    diagnostic_expected(checker->diagnostics, told, "expected `key in %.*s`, or a table declared with `-> TYPE`", SLICE_ARGS(symbol->name));
    diagnostic_also(checker->diagnostics, told, symbol->declaration->name_span, "declared here");
    return NULL;
  }
  return symbol;
}

static const Expression *compile_index(Checker *checker, const Node *node) {
  if (node->left->kind == NODE_NAME && slice_equal(node->left->text, slice_from(fact_info(FACT_HEADER)->name)))
    return compile_header(checker, node);
  Symbol *symbol = find_map(checker, node->left);
  if (!symbol)
    return NULL;
  Expression *expression = expression_new(checker, EXPRESSION_VALUE_OF, symbol->use->shape.value, node);
  if (!compile_keys(checker, node->right, symbol->use, expression))
    return NULL;
  return expression_finish(expression);
}

static const Expression *compile_default(Checker *checker, const Node *node, Wanted wanted) {
  const Expression *left = compile_expression(checker, node->left, wanted);
  if (!left || check_record(checker, left))
    return NULL;
  Wanted like = left->type == TYPE_LIST ? (Wanted){TYPE_LIST, NULL} : wanted_like(left);
  const Expression *right = compile_expression(checker, node->right, is_literal(checker, node->right) ? like : WANTED_ANY);
  if (!right || check_record(checker, right))
    return NULL;
  bool is_list = left->type == TYPE_LIST;
  const Expression *converted = is_list == (right->type == TYPE_LIST) ? convert_to(checker, right, single_type(left)) : NULL;
  if (!converted) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, node->right->span, "%.*s cannot stand for %.*s",
                                         SLICE_ARGS(expression_type_text(checker, right)), SLICE_ARGS(expression_type_text(checker, left)));
    diagnostic_expected(checker->diagnostics, told, "expected %s", type_article(left->type));
    return NULL;
  }
  Expression *expression = expression_new(checker, EXPRESSION_DEFAULT, left->type, node);
  expression->element_type = left->element_type;
  expression->left = left;
  expression->right = converted;
  return expression_finish(expression);
}

/* Texts */

static Expression *literal_part(Checker *checker, const Node *node) {
  Expression *part = expression_new(checker, EXPRESSION_LITERAL, TYPE_STRING, node);
  part->as.literal = value_text(slice_copy(checker->arena, node->text));
  return expression_finish(part);
}

const Expression *compile_text(Checker *checker, const Node *node) {
  size_t count = 0;
  ValueType type;
  if (node->kind != NODE_TEXT || node_literal_type(node, &type))
    return compile_literal(checker, node, (Wanted){TYPE_STRING, NULL});
  for (const Node *part = node->items; part; part = part->next)
    count++;
  const Expression **parts = ARENA_NEW_ARRAY(checker->arena, const Expression *, count);
  bool good = true;
  count = 0;
  for (const Node *part = node->items; part; part = part->next) {
    parts[count] = part->kind == NODE_LITERAL_TEXT ? literal_part(checker, part) : compile_expression(checker, part, WANTED_ANY);
    good &= parts[count++] != NULL;
  }
  if (!good)
    return NULL;
  Expression *expression = expression_new(checker, EXPRESSION_TEMPLATE, TYPE_STRING, node);
  expression->as.parts.items = parts;
  expression->as.parts.count = count;
  return expression_finish(expression);
}

/* A literal where its type is known, else a text with templates. */
static const Expression *compile_text_as(Checker *checker, const Node *node, Wanted wanted) {
  ValueType type;
  if (node_literal_type(node, &type))
    return compile_literal(checker, node, wanted);
  return compile_text(checker, node);
}

static const Expression *tell_place(Checker *checker, const Node *node, const char *what, const char *where) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%s is not a value", what);
  tell_use(checker, told);
  diagnostic_expected(checker->diagnostics, told, "%s", where);
  return NULL;
}

static const Expression *compile_join(Checker *checker, const Node *node, ExpressionKind kind) {
  const Expression *left = compile_condition(checker, node->left), *right = compile_condition(checker, node->right);
  return left && right ? expression_join(checker, kind, left, right, node) : NULL;
}

static const Expression *compile_not(Checker *checker, const Node *node) {
  const Expression *operand = compile_condition(checker, node->left);
  return operand ? expression_not(checker, operand, node) : NULL;
}

const Expression *compile_expression(Checker *checker, const Node *node, Wanted wanted) {
  switch (node->kind) {
    case NODE_TEXT:
    case NODE_LITERAL_TEXT:
      return compile_text_as(checker, node, wanted);
    case NODE_INT:
    case NODE_DECIMAL:
    case NODE_SIZE:
    case NODE_DURATION:
    case NODE_TIME:
    case NODE_DATE:
    case NODE_IP:
    case NODE_NET:
    case NODE_NULL_SENDER:
      return compile_literal(checker, node, wanted);
    case NODE_CAPTURE:
      return compile_capture(checker, node);
    case NODE_NAME:
      return compile_name(checker, node, wanted);
    case NODE_INDEX:
      return compile_index(checker, node);
    case NODE_PROPERTY:
      return compile_property(checker, node, compile_expression(checker, node->left, WANTED_ANY), node->text);
    case NODE_DEFAULT:
      return compile_default(checker, node, wanted);
    case NODE_NOT:
      return compile_not(checker, node);
    case NODE_AND:
      return compile_join(checker, node, EXPRESSION_AND);
    case NODE_OR:
      return compile_join(checker, node, EXPRESSION_OR);
    case NODE_COMPARE:
      return compile_compare(checker, node);
    case NODE_IN:
      return compile_in(checker, node);
    case NODE_MATCH:
      return compile_match(checker, node);
    case NODE_UNDER:
      return compile_under(checker, node);
    case NODE_IS_SET:
      return compile_is_set(checker, node);
    case NODE_QUANTIFIER:
      return compile_quantifier(checker, node);
    case NODE_REGEX:
      return tell_place(checker, node, "a regex", "a regex stands behind `~` or `!~`");
    case NODE_SET:
      return tell_place(checker, node, "a set", "a set stands behind `in` or `not in`");
    case NODE_RANGE:
      return tell_place(checker, node, "a range", "a range stands behind `in` or `not in`");
    case NODE_TUPLE:
      return tell_place(checker, node, "a tuple", "a tuple stands before `in`, or as the key of a table");
    case NODE_MAP_ITEM:
      return tell_place(checker, node, "key -> value", "a map stands in the declaration of a table");
  }
  g_assert_not_reached();
}

const Expression *compile_condition(Checker *checker, const Node *node) {
  const Expression *expression = compile_expression(checker, node, (Wanted){TYPE_BOOL, NULL});
  if (!expression || expression->type == TYPE_BOOL)
    return expression;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s, not a condition", SLICE_ARGS(node_source(node)),
                                       SLICE_ARGS(expression_type_text(checker, expression)));
  diagnostic_expected(checker->diagnostics, told, "expected a condition, such as `%.*s is set`", SLICE_ARGS(node_source(node)));
  return NULL;
}

/* For actions */

const Expression *check_expression(Checker *checker, const Node *node) {
  return check_expression_as(checker, node, TYPE_COUNT);
}

static const Expression *compile_as(Checker *checker, const Node *node, ValueType type) {
  const Expression *expression = compile_expression(checker, node, (Wanted){type, NULL});
  if (!expression || type == TYPE_COUNT)
    return expression;
  if (check_record(checker, expression))
    return NULL;
  /* A list is a text where one is wanted, with its elements in a row; it is no single value of any other type. */
  bool fits = expression->type != TYPE_LIST || type == TYPE_LIST || type == TYPE_STRING;
  const Expression *converted = fits ? convert_to(checker, expression, type) : NULL;
  if (converted)
    return converted;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s", SLICE_ARGS(node_source(node)),
                                       SLICE_ARGS(expression_type_text(checker, expression)));
  diagnostic_expected(checker->diagnostics, told, "expected %s", type_article(type));
  return NULL;
}

const Expression *check_expression_as(Checker *checker, const Node *node, ValueType type) {
  const Expression *expression;
  Wanted wanted = {type, NULL};
  if (!recall(checker, node, wanted, &expression))
    expression = keep(checker, node, wanted, compile_as(checker, node, type));
  return expression && check_facts(checker, expression, node) ? expression : NULL;
}

const Expression *check_template(Checker *checker, const Node *node) {
  return check_expression_as(checker, node, TYPE_STRING);
}

const Expression *check_literal(Checker *checker, Slice text) {
  Expression *literal = expression_new(checker, EXPRESSION_LITERAL, TYPE_STRING, NULL);
  literal->as.literal = value_text(text);
  return expression_finish(literal);
}

bool check_text_action(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  const Expression *text = check_template(checker, action_argument(node, 0, 0)->expression);
  if (!text)
    return false;
  check_add_argument(checker, rule, text);
  *plan = (void *)text;
  return true;
}

const Expression *check_condition(Checker *checker, const Node *node) {
  const Expression *expression;
  Wanted wanted = {TYPE_BOOL, NULL};
  if (!recall(checker, node, wanted, &expression))
    expression = keep(checker, node, wanted, compile_condition(checker, node));
  return expression && check_facts(checker, expression, node) ? expression : NULL;
}

const Expression *check_index(Checker *checker, const Node *node, ValueType value) {
  const Expression *expression = check_expression(checker, node);
  if (!expression || (expression->kind == EXPRESSION_VALUE_OF && expression->type == value))
    return expression;
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s", SLICE_ARGS(node_source(node)),
                                       SLICE_ARGS(expression_type_text(checker, expression)));
  diagnostic_expected(checker->diagnostics, told, "expected T[key] of a table declared with `-> %s`", value_type_name(value));
  return NULL;
}

static bool variable_scope_fits(Checker *checker, const ArgumentNode *argument, Scope scope) {
  bool in_message = (PHASES_MESSAGE & PHASE_BIT(checker->phase)) != 0;
  if (scope == SCOPE_SESSION || (scope == SCOPE_MESSAGE && in_message) || (scope == SCOPE_RECIPIENT && checker->phase == PHASE_RCPT))
    return true;
  Diagnostic *told = diagnostics_error(checker->diagnostics, argument->span, "%.*s cannot be set at %s: there is no %s",
                                       SLICE_ARGS(argument->word), phase_name(checker->phase), scope_name(scope));
  diagnostic_expected(checker->diagnostics, told, "%s",
                      scope == SCOPE_MESSAGE ? "expected session.NAME, or the rule at mail, rcpt, data or eom"
                                             : "expected session.NAME or message.NAME, or the rule at rcpt");
  return false;
}

const VariableInfo *check_assignment(Checker *checker, const ArgumentNode *argument, const Node *value, const Expression **expression) {
  VariableSymbol *variable = checker_variable(checker, argument->word);
  Slice name = slice_from_offset(argument->word, (size_t)(slice_find(argument->word, '.') + 1));
  if (slice_starts_with(argument->word, SLICE_LITERAL("recipient.")) && is_address_property(name)) {
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, argument->span, "%.*s is a property of the recipient", SLICE_ARGS(argument->word));
    diagnostic_expected(checker->diagnostics, told, "expected another name for the variable");
    return NULL;
  }
  if (!variable || !variable_resolve(checker, variable, argument->span) || !variable_scope_fits(checker, argument, variable->info->scope))
    return NULL;
  const VariableInfo *info = variable->info;
  bool reads_as = is_literal(checker, value) && info->type != TYPE_LIST && info->type != TYPE_ENUM;
  *expression = check_expression_as(checker, value, reads_as ? info->type : TYPE_COUNT);
  if (!*expression)
    return NULL;
  bool same_list = (*expression)->type == TYPE_LIST && info->type == TYPE_LIST && (*expression)->element_type == variable->element_type;
  const Expression *converted = info->type == TYPE_LIST || (*expression)->type == TYPE_LIST ? (same_list ? *expression : NULL)
                                                                                            : convert_to(checker, *expression, info->type);
  if (converted) {
    *expression = converted;
    return info;
  }
  Diagnostic *told =
      diagnostics_error(checker->diagnostics, value->span, "%.*s cannot be put into %.*s, which holds %s",
                        SLICE_ARGS(expression_type_text(checker, *expression)), SLICE_ARGS(argument->word), type_article(info->type));
  diagnostic_also(checker->diagnostics, told, variable->first->span, "first set here");
  return NULL;
}
