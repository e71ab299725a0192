/*
 * check_list.c: lists of the message and of the session: any, all and count; the names inside has (...); header["Name"]; .raw.
 *
 * An element's own names come before all others. Those of the has (...) around it can be read too, where the inner element has no such name. A define means the same wherever
 * it is used: it sees no elements but those of its own has (...).
 */
#include "common/rules/check_internal.h"
#include "common/smtp/record.h"

bool expression_fact(const Expression *expression, Fact *fact) {
  if (expression->kind == EXPRESSION_FACT || expression->kind == EXPRESSION_RAW)
    *fact = expression->as.fact;
  else if (expression->kind == EXPRESSION_HEADER)
    *fact = FACT_HEADER;
  else
    return false;
  return true;
}

const Expression *expression_function(Checker *checker, const Function *function, const Expression *of, const Node *node) {
  bool of_elements = of->type == TYPE_LIST && function->input != TYPE_LIST;
  Expression *expression = expression_new(checker, EXPRESSION_FUNCTION, of_elements ? TYPE_LIST : function->output, node);
  if (of_elements)
    expression->element_type = function->output;
  expression->left = of;
  expression->as.function = function;
  return expression_finish(expression);
}

/* Records */

bool check_record(Checker *checker, const Expression *expression) {
  if (single_type(expression) != TYPE_RECORD)
    return false;
  Slice text = node_source(node_of(checker, expression));
  Diagnostic *told = diagnostics_error(checker->diagnostics, node_of(checker, expression)->span,
                                       "%.*s is a list of elements with several values", SLICE_ARGS(text));
  tell_use(checker, told);
  diagnostic_expected(checker->diagnostics, told, "say `any %.*s has (%s ...)`", SLICE_ARGS(text),
                      record_field(expression->record, 0)->name);
  return true;
}

/* Names of elements */

static const char *plain_name(const Elements *elements, size_t place) {
  static const char *const names[] = {"value", "recipient"};
  return place < (elements->are_recipients ? 2 : 1) ? names[place] : NULL;
}

static const char *element_name(const Elements *elements, size_t place) {
  if (elements->type != TYPE_RECORD)
    return plain_name(elements, place);
  return place < record_field_count(elements->record) ? record_field(elements->record, place)->name : NULL;
}

void add_element_names(Checker *checker, GPtrArray *names) {
  for (const Elements *elements = checker->elements; elements; elements = elements->outer)
    for (size_t i = 0; element_name(elements, i); i++)
      g_ptr_array_add(names, (gpointer)element_name(elements, i));
}

const char *element_words(Checker *checker) {
  const Elements *elements = checker->elements;
  if (!elements)
    return "";
  g_autoptr(GString) words = g_string_new(NULL);
  for (size_t i = 0; element_name(elements, i); i++)
    g_string_append_printf(words, "%s%s", i == 0 ? "" : element_name(elements, i + 1) ? ", " : " or ", element_name(elements, i));
  if (elements->type == TYPE_RECORD)
    g_string_append_printf(words, " of the %s", record_name(elements->record));
  else
    g_string_append(words, " for the element");
  g_string_append(words, ", or ");
  return slice_to_string(checker->scratch, slice_make(words->str, words->len));
}

bool compile_element(Checker *checker, const Node *node, Slice name, const Expression **expression) {
  uint32_t level = 0;
  for (const Elements *elements = checker->elements; elements; elements = elements->outer, level++) {
    for (size_t i = 0; element_name(elements, i); i++) {
      if (!slice_equal(name, slice_from(element_name(elements, i))))
        continue;
      bool is_record = elements->type == TYPE_RECORD;
      ValueType type = is_record ? record_field(elements->record, i)->type : elements->type;
      Expression *element = expression_new(checker, EXPRESSION_ELEMENT, type, node);
      element->as.element.level = level;
      element->as.element.field = is_record ? (int)i : -1;
      *expression = expression_finish(element);
      return true;
    }
  }
  return false;
}

/* any, all, count LIST has (COND); count LIST */

static const Expression *tell_no_list(Checker *checker, const Node *node, const Expression *list) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, node->span, "%.*s is %.*s, not a list", SLICE_ARGS(node_source(node)),
                                       SLICE_ARGS(expression_type_text(checker, list)));
  diagnostic_expected(checker->diagnostics, told,
                      "expected a list: a fact such as recipients, header[\"Name\"], or T[key] of a table declared with `-> list`");
  return NULL;
}

static const Expression *compile_has(Checker *checker, const Node *node, const Expression *list) {
  Fact fact;
  Elements elements = {checker->elements, list->element_type, list->record,
                       expression_fact(list, &fact) && list->kind == EXPRESSION_FACT && fact == FACT_RECIPIENTS};
  checker->elements = &elements;
  const Expression *condition = compile_condition(checker, node);
  checker->elements = elements.outer;
  return condition;
}

const Expression *compile_quantifier(Checker *checker, const Node *node) {
  const Expression *list = compile_expression(checker, node->left, WANTED_ANY);
  if (!list)
    return NULL;
  if (list->type != TYPE_LIST)
    return tell_no_list(checker, node->left, list);
  const Expression *condition = node->right ? compile_has(checker, node->right, list) : NULL;
  if (node->right && !condition)
    return NULL;
  bool is_count = node->as.quantifier == QUANTIFIER_COUNT;
  Expression *expression = expression_new(checker, EXPRESSION_QUANTIFIER, is_count ? TYPE_INT : TYPE_BOOL, node);
  expression->left = list;
  expression->right = condition;
  expression->as.quantifier = node->as.quantifier;
  return expression_finish(expression);
}

/* header["Name"] */

/* RFC 5322 3.6.8 */
static bool is_field_name(Slice name) {
  for (size_t i = 0; i < name.length; i++)
    if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
      return false;
  return !slice_is_empty(name);
}

static const Expression *tell_field_name(Checker *checker, const Node *key, Slice text, bool is_text) {
  while (is_text && text.length && (text.data[text.length - 1] == ':' || text.data[text.length - 1] == ' '))
    text.length--;
  text = slice_trim(text);
  Diagnostic *told =
      diagnostics_error(checker->diagnostics, key->span, "%.*s is not the name of a header field", SLICE_ARGS(node_source(key)));
  tell_use(checker, told);
  if (is_field_name(text))
    diagnostic_expected(checker->diagnostics, told, "write header[\"%.*s\"]", SLICE_ARGS(text));
  else
    diagnostic_expected(checker->diagnostics, told, "expected a name in quotes, without blanks and colons: header[\"X-Spam-Flag\"]");
  return NULL;
}

const Expression *compile_header(Checker *checker, const Node *node) {
  const Node *key = literal_of(checker, node->right);
  Slice name = SLICE_EMPTY;
  bool is_text = key->kind == NODE_TEXT && literal_text(checker, key, &name);
  if (!is_text)
    return tell_field_name(checker, node->right, key->kind == NODE_NAME ? key->text : SLICE_EMPTY, false);
  if (!is_field_name(name))
    return tell_field_name(checker, node->right, name, true);
  Expression *expression = expression_new(checker, EXPRESSION_HEADER, TYPE_LIST, node);
  expression->element_type = TYPE_STRING;
  expression->as.header.name = slice_to_string(checker->arena, name);
  return expression_finish(expression);
}

/* .raw */

const Expression *compile_raw(Checker *checker, const Expression *of, const Node *node) {
  bool is_header = of->kind == EXPRESSION_HEADER && !of->as.header.raw;
  if (!is_header && (of->kind != EXPRESSION_FACT || (of->type != TYPE_ADDRESS && of->type != TYPE_DOMAIN)))
    return NULL;
  Expression *expression =
      expression_new(checker, is_header ? EXPRESSION_HEADER : EXPRESSION_RAW, is_header ? TYPE_LIST : TYPE_STRING, node);
  if (is_header) {
    expression->as.header.name = of->as.header.name;
    expression->as.header.raw = true;
  } else {
    expression->as.fact = of->as.fact;
  }
  return expression_finish(expression);
}
