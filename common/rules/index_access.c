/*
 * index_access.c: reads comparisons for an index (index_access.h). What is not understood for sure has no access test.
 */
#include "common/rules/index_access.h"

#include <stdio.h>

#include "common/rules/index_key.h"
#include "common/rules/regex_set.h"

/* Values of one sort are compared in one way, and have one kind of keys. */
typedef enum Sort { SORT_NONE, SORT_TEXT, SORT_ADDRESS, SORT_IP, SORT_NUMBER } Sort;

static Sort sort_of(ValueType type) {
  switch (type) {
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      return SORT_TEXT;
    case TYPE_ADDRESS:
      return SORT_ADDRESS;
    case TYPE_IP:
    case TYPE_NET:
      return SORT_IP;
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
      return SORT_NUMBER;
    case TYPE_BOOL:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  return SORT_NONE;
}

static ValueType field_type(const Expression *field) {
  return field->type == TYPE_LIST ? field->element_type : field->type;
}

bool access_field_name(const Expression *expression, char name[ACCESS_NAME_MAX]) {
  size_t at = 0;
  while (expression->kind == EXPRESSION_FUNCTION && at < ACCESS_NAME_MAX / 2) {
    at += (size_t)snprintf(name + at, ACCESS_NAME_MAX - at, "%p ", (const void *)expression->as.function);
    expression = expression->left;
  }
  switch (expression->kind) {
    case EXPRESSION_FACT:
    case EXPRESSION_RAW:
      return at + (size_t)snprintf(name + at, ACCESS_NAME_MAX - at, "%s %d", expression->kind == EXPRESSION_RAW ? "raw" : "fact",
                                   (int)expression->as.fact) <
             ACCESS_NAME_MAX;
    case EXPRESSION_HEADER:
      return at + (size_t)snprintf(name + at, ACCESS_NAME_MAX - at, "header %d %s", expression->as.header.raw, expression->as.header.name) <
             ACCESS_NAME_MAX;
    case EXPRESSION_LITERAL:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_SCORE:
    case EXPRESSION_FUNCTION:
    case EXPRESSION_TEMPLATE:
    case EXPRESSION_CAPTURE:
    case EXPRESSION_DNSLIST:
    case EXPRESSION_ELEMENT:
    case EXPRESSION_NOT:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_COMPARE:
    case EXPRESSION_IN_SET:
    case EXPRESSION_IN_NETWORK:
    case EXPRESSION_IN_RANGE:
    case EXPRESSION_IN_RESOURCE:
    case EXPRESSION_IN_LIST:
    case EXPRESSION_MATCH:
    case EXPRESSION_UNDER:
    case EXPRESSION_IS_SET:
    case EXPRESSION_QUANTIFIER:
    case EXPRESSION_VALUE_OF:
    case EXPRESSION_DEFAULT:
      break;
  }
  return false;
}

const char *access_field_text(const Expression *expression, Arena *arena) {
  switch (expression->kind) {
    case EXPRESSION_FUNCTION:
      return arena_printf(arena, "%s.%s", access_field_text(expression->left, arena), expression->as.function->name);
    case EXPRESSION_RAW:
      return arena_printf(arena, "%s.raw", fact_info(expression->as.fact)->name);
    case EXPRESSION_HEADER:
      return arena_printf(arena, "header[\"%s\"]%s", expression->as.header.name, expression->as.header.raw ? ".raw" : "");
    case EXPRESSION_FACT:
      return fact_info(expression->as.fact)->name;
    case EXPRESSION_LITERAL:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_SCORE:
    case EXPRESSION_TEMPLATE:
    case EXPRESSION_CAPTURE:
    case EXPRESSION_DNSLIST:
    case EXPRESSION_ELEMENT:
    case EXPRESSION_NOT:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_COMPARE:
    case EXPRESSION_IN_SET:
    case EXPRESSION_IN_NETWORK:
    case EXPRESSION_IN_RANGE:
    case EXPRESSION_IN_RESOURCE:
    case EXPRESSION_IN_LIST:
    case EXPRESSION_MATCH:
    case EXPRESSION_UNDER:
    case EXPRESSION_IS_SET:
    case EXPRESSION_QUANTIFIER:
    case EXPRESSION_VALUE_OF:
    case EXPRESSION_DEFAULT:
      break;
  }
  g_assert_not_reached(); /* access_field_name refuses them */
}

static bool is_field(const Expression *expression, const char **reason) {
  char name[ACCESS_NAME_MAX];
  if (access_field_name(expression, name))
    return true;
  *reason = expression->lookup_classes != 0          ? "what is compared is looked up"
            : expression->reads_variables            ? "what is compared is a variable or a score"
            : expression->kind == EXPRESSION_LITERAL ? "nothing but literals is compared"
                                                     : "what is compared is no fact and no part of one";
  return false;
}

static bool is_literal(const Expression *expression) {
  return expression->kind == EXPRESSION_LITERAL && expression->as.literal.state == VALUE_SET;
}

static bool read_equal(const Expression *field, const Expression *literal, Access *access, const char **reason) {
  if (!is_literal(literal)) {
    *reason = "two facts are compared with each other";
    return false;
  }
  if (!is_field(field, reason))
    return false;
  Sort sort = sort_of(field_type(field));
  if (sort == SORT_NONE || sort != sort_of(literal->as.literal.type) || field_type(field) == TYPE_NET) {
    *reason = "values of this type have no index";
    return false;
  }
  *access = (Access){.kind = ACCESS_EQUAL, .field = field, .value = &literal->as.literal};
  return true;
}

static bool read_compare(const Expression *expression, Access *access, const char **reason) {
  if (expression->as.compare != COMPARE_EQUAL) {
    *reason = "order (<, <=, >, >=) has no index";
    return false;
  }
  if (is_literal(expression->left))
    return read_equal(expression->right, expression->left, access, reason);
  return read_equal(expression->left, expression->right, access, reason);
}

static bool read_set(const Expression *field, const Keyset *keyset, Access *access, const char **reason) {
  if (!is_field(field, reason))
    return false;
  const KeysetShape *shape = keyset_shape(keyset);
  Sort sort = sort_of(field_type(field));
  if (shape->part_count != 1 || sort == SORT_NONE || sort != sort_of(shape->parts[0]) || field_type(field) == TYPE_NET) {
    *reason = "keys of this type have no index";
    return false;
  }
  *access = (Access){.kind = ACCESS_SET, .field = field, .keyset = keyset};
  return true;
}

static bool read_network(const Expression *expression, Access *access, const char **reason) {
  if (!is_field(expression->left, reason))
    return false;
  *access = (Access){.kind = ACCESS_NETWORK, .field = expression->left, .network = &expression->as.network};
  return true;
}

static bool read_resource(const Expression *expression, Access *access, const char **reason) {
  const ResourceUse *use = expression->as.lookup->use;
  if (use->keyset == NULL) {
    *reason = "it asks a table or list";
    return false;
  }
  if (expression->as.lookup->count != 1) {
    *reason = "tuples have no index";
    return false;
  }
  return read_set(expression->as.lookup->keys[0], use->keyset, access, reason);
}

static bool read_under(const Expression *expression, Access *access, const char **reason) {
  if (!is_literal(expression->right) || sort_of(expression->right->as.literal.type) != SORT_TEXT) {
    *reason = "what it is under is no literal";
    return false;
  }
  if (!is_field(expression->left, reason))
    return false;
  if (sort_of(field_type(expression->left)) != SORT_TEXT) {
    *reason = "values of this type have no index";
    return false;
  }
  *access = (Access){.kind = ACCESS_UNDER, .field = expression->left, .value = &expression->right->as.literal};
  return true;
}

static bool read_match(const Expression *expression, Access *access, const char **reason) {
  Sort sort = sort_of(field_type(expression->left));
  if (!is_field(expression->left, reason))
    return false;
  if (sort != SORT_TEXT && sort != SORT_ADDRESS) {
    *reason = "values of this type have no index";
    return false;
  }
  const Regex *regex = expression->as.regex;
  if (regex->literals != NULL) {
    *access = (Access){.kind = ACCESS_LITERALS, .field = expression->left, .literals = regex->literals};
    return true;
  }
  const char *refusal = regex_set_refusal(regex, false);
  if (refusal != NULL) {
    *reason = refusal;
    return false;
  }
  *access = (Access){.kind = ACCESS_REGEX, .field = expression->left, .regex = regex};
  return true;
}

bool access_read(const Expression *expression, Access *access, const char **reason) {
  switch (expression->kind) {
    case EXPRESSION_COMPARE:
      return read_compare(expression, access, reason);
    case EXPRESSION_IN_SET:
      return read_set(expression->left, expression->as.keyset, access, reason);
    case EXPRESSION_IN_NETWORK:
      return read_network(expression, access, reason);
    case EXPRESSION_IN_RESOURCE:
      return read_resource(expression, access, reason);
    case EXPRESSION_IN_LIST:
      return read_equal(expression->right, expression->left, access, reason);
    case EXPRESSION_UNDER:
      return read_under(expression, access, reason);
    case EXPRESSION_MATCH:
      return read_match(expression, access, reason);
    case EXPRESSION_IN_RANGE:
      *reason = "ranges have no index";
      return false;
    case EXPRESSION_IS_SET:
      *reason = "`is set` has no index";
      return false;
    case EXPRESSION_QUANTIFIER:
      *reason = "what is said of elements with has (...) has no index";
      return false;
    case EXPRESSION_NOT:
      *reason = expression->left->kind == EXPRESSION_IS_SET ? "`is unset` has no index" : "it says what is not so (not, unless, !=, !~)";
      return false;
    case EXPRESSION_LITERAL:
    case EXPRESSION_FACT:
    case EXPRESSION_RAW:
    case EXPRESSION_HEADER:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_SCORE:
    case EXPRESSION_FUNCTION:
    case EXPRESSION_TEMPLATE:
    case EXPRESSION_CAPTURE:
    case EXPRESSION_DNSLIST:
    case EXPRESSION_ELEMENT:
    case EXPRESSION_VALUE_OF:
    case EXPRESSION_DEFAULT:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
      break;
  }
  *reason = "it is no comparison with a literal";
  return false;
}

bool access_is_silent(const Expression *expression) {
  return (expression->lookup_classes & (1u << LOOKUP_STATEFUL)) == 0;
}

/* ---- what is tested, as a number ---- */

double access_number(const Value *value) {
  return value->type == TYPE_DECIMAL ? value->as.decimal : (double)value->as.number;
}

/* ---- which part of a condition ---- */

static uint64_t hash_of_network(const IpNetwork *network) {
  return index_hash_text(KEY_TEXT, slice_make((const char *)network->address.bytes, sizeof network->address.bytes)) + network->prefix;
}

static uint64_t hash_of_value(const Value *value) {
  switch (value->type) {
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      return index_hash_text(KEY_TEXT, value->as.text);
    case TYPE_ADDRESS:
      return index_hash_address(value->as.address->localpart, value->as.address->domain);
    case TYPE_IP:
      return index_hash_text(KEY_TEXT, slice_make((const char *)value->as.ip.bytes, sizeof value->as.ip.bytes));
    case TYPE_NET:
      return hash_of_network(&value->as.net);
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
      return index_hash_number(access_number(value));
    case TYPE_BOOL:
    case TYPE_LIST:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  return 0;
}

uint64_t access_hash(const Access *access) {
  char name[ACCESS_NAME_MAX];
  (void)access_field_name(access->field, name);
  uint64_t what = 0;
  switch (access->kind) {
    case ACCESS_EQUAL:
    case ACCESS_UNDER:
      what = hash_of_value(access->value) + (uint64_t)access->kind;
      break;
    case ACCESS_SET:
      what = (uint64_t)(uintptr_t)access->keyset;
      break;
    case ACCESS_NETWORK:
      what = hash_of_network(access->network);
      break;
    case ACCESS_LITERALS:
      for (size_t i = 0; i < access->literals->count; i++)
        what = index_hash_pair(what, index_hash_text(KEY_TEXT, access->literals->items[i]));
      break;
    case ACCESS_REGEX:
      what = index_hash_text(KEY_TEXT, access->regex->pattern) + access->regex->exact_case;
      break;
  }
  return index_hash_pair(index_hash_text(KEY_TEXT, slice_from(name)), what);
}
