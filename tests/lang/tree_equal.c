/*
 * tree_equal.c: see tree_equal.h.
 */
#include "tests/lang/tree_equal.h"

#include "common/rules/action.h"

static bool list_equal(const Node *a, const Node *b) {
  for (; a != NULL && b != NULL; a = a->next, b = b->next) {
    if (!node_equal(a, b)) {
      return false;
    }
  }
  return a == b;
}

/* Parentheses count around operators only: the printer leaves them out around anything else. */
static bool is_operator(const Node *node) {
  switch (node->kind) {
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
    case NODE_COMPARE:
    case NODE_IN:
    case NODE_MATCH:
    case NODE_UNDER:
    case NODE_IS_SET:
    case NODE_DEFAULT:
    case NODE_RANGE:
      return true;
    case NODE_TEXT:
    case NODE_LITERAL_TEXT:
    case NODE_CAPTURE:
    case NODE_INT:
    case NODE_DECIMAL:
    case NODE_SIZE:
    case NODE_DURATION:
    case NODE_TIME:
    case NODE_DATE:
    case NODE_IP:
    case NODE_NET:
    case NODE_NULL_SENDER:
    case NODE_REGEX:
    case NODE_SET:
    case NODE_MAP_ITEM:
    case NODE_TUPLE:
    case NODE_NAME:
    case NODE_INDEX:
    case NODE_PROPERTY:
    case NODE_QUANTIFIER:
      break;
  }
  return false;
}

/* Operator, quantifier, negation or flag. */
static bool detail_equal(const Node *a, const Node *b) {
  if (a->kind == NODE_COMPARE) {
    return a->as.compare == b->as.compare;
  }
  if (a->kind == NODE_QUANTIFIER) {
    return a->as.quantifier == b->as.quantifier;
  }
  if (a->kind == NODE_REGEX) {
    return a->as.exact_case == b->as.exact_case;
  }
  if (a->kind == NODE_IN || a->kind == NODE_MATCH || a->kind == NODE_IS_SET) {
    return a->as.negated == b->as.negated;
  }
  return true;
}

/* Address, number or text. */
static bool literal_equal(const Node *a, const Node *b) {
  if (a->kind == NODE_IP || a->kind == NODE_NET) {
    return ip_network_equal(&a->net, &b->net);
  }
  return slice_equal(a->text, b->text) && (a->kind == NODE_DECIMAL ? a->decimal == b->decimal : a->number == b->number);
}

bool node_equal(const Node *a, const Node *b) {
  if (a == NULL || b == NULL) {
    return a == b;
  }
  if (a->kind != b->kind || !detail_equal(a, b) || !literal_equal(a, b) || a->depth != b->depth) {
    return false;
  }
  if (node_has_items(a)) {
    return list_equal(a->items, b->items);
  }
  return (!is_operator(a) || a->parenthesized == b->parenthesized) && node_equal(a->left, b->left) && node_equal(a->right, b->right);
}

static bool action_equal(const ActionNode *a, const ActionNode *b) {
  if (a == NULL || b == NULL) {
    return a == b;
  }
  if (a->action != b->action) {
    return false;
  }
  const ArgumentNode *x = a->arguments, *y = b->arguments;
  for (; x != NULL && y != NULL; x = x->next, y = y->next) {
    if (x->spec != y->spec || !slice_equal(x->word, y->word) || !node_equal(x->expression, y->expression)) {
      return false;
    }
  }
  return x == y;
}

static bool statements_equal(const StatementNode *a, const StatementNode *b);

static bool branches_equal(const BranchNode *a, const BranchNode *b) {
  for (; a != NULL && b != NULL; a = a->next, b = b->next) {
    if (!node_equal(a->condition, b->condition) || !statements_equal(a->body, b->body)) {
      return false;
    }
  }
  return a == b;
}

static bool statements_equal(const StatementNode *a, const StatementNode *b) {
  for (; a != NULL && b != NULL; a = a->next, b = b->next) {
    if (a->kind != b->kind || !slice_equal(a->label, b->label) || a->observe != b->observe || a->unless != b->unless ||
        a->on_error != b->on_error || !action_equal(a->action, b->action) || !node_equal(a->condition, b->condition) ||
        !branches_equal(a->branches, b->branches)) {
      return false;
    }
  }
  return a == b;
}

static bool types_equal(const Declaration *a, const Declaration *b) {
  for (size_t i = 0; i < a->type_count && i < b->type_count; i++) {
    if (!slice_equal(a->types[i], b->types[i])) {
      return false;
    }
  }
  return a->type_count == b->type_count && slice_equal(a->value_type, b->value_type);
}

static bool declaration_equal(const Declaration *a, const Declaration *b) {
  return a->kind == b->kind && slice_equal(a->name, b->name) && types_equal(a, b) && slice_equal(a->source, b->source) &&
         slice_equal(a->spec, b->spec) && slice_equal(a->codes, b->codes) && slice_equal(a->pattern, b->pattern) &&
         a->keys_exact == b->keys_exact && a->optional == b->optional && a->on_error == b->on_error && a->phases == b->phases &&
         node_equal(a->entries, b->entries) && node_equal(a->expression, b->expression) && node_equal(a->condition, b->condition) &&
         statements_equal(a->body, b->body);
}

/* In any order: the printer moves those that stand inside of a line. */
static bool comments_equal(const CommentNode *a, const CommentNode *b) {
  uint64_t sum = 0;
  for (; a != NULL; a = a->next) {
    sum += slice_hash(a->text);
  }
  for (; b != NULL; b = b->next) {
    sum -= slice_hash(b->text);
  }
  return sum == 0;
}

bool rules_file_equal(const RulesFile *a, const RulesFile *b) {
  const Declaration *x = a->declarations, *y = b->declarations;
  for (; x != NULL && y != NULL; x = x->next, y = y->next) {
    if (!declaration_equal(x, y)) {
      return false;
    }
  }
  return x == y && comments_equal(a->comments, b->comments);
}
