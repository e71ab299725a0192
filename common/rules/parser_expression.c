/*
 * parser_expression.c: values and conditions.
 *
 * From loose to tight: and, or (never mixed without parentheses); not; comparison (one, not chained); default; ranges; keys and properties.
 */
#include "common/base/limits.h"
#include "common/rules/parser_internal.h"
#include "common/rules/source.h"

#define EXPECTED_VALUE "a value: a fact, table, define or variable, a literal, a set, or an expression in parentheses"

static Node *parse_default(Parser *parser);

Node *node_new(Parser *parser, NodeKind kind, SourceSpan span) {
  Node *node = ARENA_NEW(parser->arena, Node);
  node->kind = kind;
  node->span = span;
  node->depth = 1;
  return node;
}

Node *node_literal(Parser *parser, NodeKind kind, const Token *token) {
  Node *node = node_new(parser, kind, token->span);
  node->text = token->text;
  if (kind == NODE_IP || kind == NODE_NET) {
    node->net = token->net;
  } else if (kind == NODE_DECIMAL) {
    node->decimal = token->decimal;
  } else {
    node->number = token->number;
  }
  node->as.exact_case = kind == NODE_REGEX && token->exact_case;
  return node;
}

/* Sets the depth of a node from one below it. NULL, and told, when it is too deep. */
static Node *deepen(Parser *parser, Node *node, const Node *below) {
  if (below->depth >= LIMIT_NESTING) {
    parser_error(parser, node->span, "fewer operators in one expression: a set, a table, or a define for a part of it",
                 "nested more than %d deep", LIMIT_NESTING);
    return NULL;
  }
  node->depth = MAX(node->depth, (uint16_t)(below->depth + 1));
  return node;
}

/* NULL when a side is missing: that has been told. */
static Node *node_binary(Parser *parser, NodeKind kind, Node *left, Node *right) {
  if (left == NULL || right == NULL) {
    return NULL;
  }
  Node *node = node_new(parser, kind, source_span_join(left->span, right->span));
  node->left = left;
  node->right = right;
  return deepen(parser, node, left->depth > right->depth ? left : right);
}

/* What opens at `open` was not closed where it had to be. On one line that can be seen. */
static void tell_unclosed(Parser *parser, SourceSpan open, const char *expected, const char *opened) {
  Diagnostic *diagnostic = parser_unexpected(parser, "%s", expected);
  if (diagnostic != NULL && (parser->token.starts_line || parser->token.kind == TOKEN_END)) {
    diagnostic_also(parser->diagnostics, diagnostic, open, "%s", opened);
  }
}

/* Closes what the free lines since `open` belong to. False, and told, when something else stands there. */
static bool close_bracket(Parser *parser, TokenKind kind, SourceSpan open, const char *expected, const char *opened) {
  if (parser_kind(parser) != kind) {
    tell_unclosed(parser, open, expected, opened);
    return false;
  }
  parser->free_lines--;
  (void)parser_advance(parser);
  return true;
}

/*
 * SYNTAX: parentheses := "(" expression ")"
 *         tuple       := "(" expression "," expression { "," expression } ")"
 */
static Node *parse_parentheses(Parser *parser) {
  parser->free_lines++;
  SourceSpan open = parser_advance(parser).span;
  Node *first = parse_expression(parser);
  if (first == NULL) {
    return NULL;
  }
  Node *tuple = NULL;
  Node *last = first;
  while (parser_accept(parser, TOKEN_COMMA)) {
    if (tuple == NULL) {
      tuple = node_new(parser, NODE_TUPLE, open);
      tuple->items = first;
      tuple = deepen(parser, tuple, first);
    }
    Node *item = parse_expression(parser);
    if (item == NULL || tuple == NULL || deepen(parser, tuple, item) == NULL) {
      return NULL;
    }
    last->next = item;
    last = item;
  }
  SourceSpan close = parser->token.span;
  if (!close_bracket(parser, TOKEN_CLOSE_PAREN, open, "\")\", \",\" or an operator", "this \"(\" is not closed")) {
    return NULL;
  }
  if (tuple != NULL) {
    tuple->span = source_span_join(open, close);
    return tuple;
  }
  first->parenthesized = true;
  return first;
}

/* SYNTAX: item := default-expression [ "->" default-expression ] */
static Node *parse_item(Parser *parser) {
  Node *key = parse_default(parser);
  if (key == NULL || !parser_accept(parser, TOKEN_ARROW)) {
    return key;
  }
  return node_binary(parser, NODE_MAP_ITEM, key, parse_default(parser));
}

/*
 * SYNTAX: set := "{" [ item { "," item } [ "," ] ] "}"
 */
Node *parse_set(Parser *parser) {
  parser->free_lines++;
  parser->open_sets++;
  SourceSpan open = parser_advance(parser).span;
  Node *set = node_new(parser, NODE_SET, open);
  Node **link = &set->items;
  while (parser_kind(parser) != TOKEN_CLOSE_BRACE) {
    Node *item = parse_item(parser);
    if (item == NULL || deepen(parser, set, item) == NULL) {
      return NULL;
    }
    *link = item;
    link = &item->next;
    if (!parser_accept(parser, TOKEN_COMMA)) {
      break;
    }
  }
  SourceSpan close = parser->token.span;
  if (!close_bracket(parser, TOKEN_CLOSE_BRACE, open, "\",\" or \"}\"", "this \"{\" is not closed")) {
    return NULL;
  }
  parser->open_sets--;
  set->span = source_span_join(open, close);
  return set;
}

static Node *count_node(Parser *parser, SourceSpan word, Node *list) {
  Node *node = node_new(parser, NODE_QUANTIFIER, source_span_join(word, list->span));
  node->left = list;
  node->as.quantifier = QUANTIFIER_COUNT;
  return deepen(parser, node, list);
}

/*
 * SYNTAX: quantifier := ( "any" | "all" | "count" ) default-expression "has" "(" expression ")" | "count" default-expression
 */
static Node *parse_quantifier(Parser *parser, Quantifier quantifier) {
  Token word = parser_advance(parser);
  Node *list = parse_default(parser);
  if (list != NULL && quantifier == QUANTIFIER_COUNT && !parser_is_word(parser, "has")) {
    return count_node(parser, word.span, list);
  }
  if (list == NULL || !parser_expect_word(parser, "has", "\"has (CONDITION)\"")) {
    return NULL;
  }
  SourceSpan open = parser->token.span;
  if (!parser_expect(parser, TOKEN_OPEN_PAREN, "\"(\" and the condition")) {
    return NULL;
  }
  parser->free_lines++;
  Node *condition = parse_expression(parser);
  if (condition == NULL) {
    return NULL;
  }
  SourceSpan close = parser->token.span;
  if (!close_bracket(parser, TOKEN_CLOSE_PAREN, open, "\")\" or an operator", "this \"(\" is not closed")) {
    return NULL;
  }
  Node *node = node_binary(parser, NODE_QUANTIFIER, list, condition);
  if (node != NULL) {
    node->span = source_span_join(word.span, close);
    node->as.quantifier = quantifier;
  }
  return node;
}

/* SYNTAX: number := [ "+" | "-" ] ( INT | DECIMAL ) */
Node *parse_number(Parser *parser) {
  TokenKind sign = parser_kind(parser);
  SourceSpan start = parser->token.span;
  bool has_sign = parser_accept(parser, TOKEN_PLUS) || parser_accept(parser, TOKEN_MINUS);
  TokenKind kind = parser_kind(parser);
  if (kind != TOKEN_INT && kind != TOKEN_DECIMAL) {
    (void)parser_unexpected(parser, "a number");
    return NULL;
  }
  Token token = parser_advance(parser);
  Node *node = node_literal(parser, kind == TOKEN_INT ? NODE_INT : NODE_DECIMAL, &token);
  if (has_sign) {
    node->span = source_span_join(start, token.span);
    node->text = slice_from(arena_printf(parser->arena, "%s%.*s", sign == TOKEN_MINUS ? "-" : "+", SLICE_ARGS(token.text)));
  }
  if (sign == TOKEN_MINUS && kind == TOKEN_INT) {
    node->number = -node->number;
  } else if (sign == TOKEN_MINUS) {
    node->decimal = -node->decimal;
  }
  return node;
}

static Node *parse_literal(Parser *parser, NodeKind kind) {
  Token token = parser_advance(parser);
  return node_literal(parser, kind, &token);
}

/* A name, or a quantifier, which starts with a word too. */
static Node *parse_word(Parser *parser) {
  static const struct {
    const char *word;
    Quantifier quantifier;
  } quantifiers[] = {{"any", QUANTIFIER_ANY}, {"all", QUANTIFIER_ALL}, {"count", QUANTIFIER_COUNT}};
  for (size_t i = 0; i < G_N_ELEMENTS(quantifiers); i++) {
    if (parser_is_word(parser, quantifiers[i].word)) {
      return parse_quantifier(parser, quantifiers[i].quantifier);
    }
  }
  if (parser->token.reserved) {
    (void)parser_unexpected(parser, EXPECTED_VALUE);
    return NULL;
  }
  return parse_literal(parser, NODE_NAME);
}

static Node *parse_misplaced_regex(Parser *parser) {
  Slice text = source_slice(parser->token.span);
  parser_error(parser, parser->token.span,
               arena_printf(parser->arena, "\"~ %.*s\" or \"!~ %.*s\" behind a text", SLICE_ARGS(text), SLICE_ARGS(text)),
               "a regex stands only behind \"~\" and \"!~\"");
  return NULL;
}

/* An operand was due and the line ended. */
static Node *tell_no_value(Parser *parser) {
  if (parser_kind(parser) == TOKEN_LINE_END) {
    (void)parser_unexpected(
        parser, "a value on this line; only a line that begins with if, unless, and, or, on, default goes on with the one before");
  } else {
    (void)parser_unexpected(parser, EXPECTED_VALUE);
  }
  return NULL;
}

/*
 * SYNTAX: primary := string | number | size | duration | time | date | ip | net | "<>" | name | quantifier | parentheses | tuple | set
 */
static Node *parse_primary(Parser *parser) {
  switch (parser_kind(parser)) {
    case TOKEN_STRING:
      return parse_string(parser);
    case TOKEN_INT:
    case TOKEN_DECIMAL:
    case TOKEN_PLUS:
    case TOKEN_MINUS:
      return parse_number(parser);
    case TOKEN_SIZE:
      return parse_literal(parser, NODE_SIZE);
    case TOKEN_DURATION:
      return parse_literal(parser, NODE_DURATION);
    case TOKEN_TIME:
      return parse_literal(parser, NODE_TIME);
    case TOKEN_DATE:
      return parse_literal(parser, NODE_DATE);
    case TOKEN_IP:
      return parse_literal(parser, NODE_IP);
    case TOKEN_NET:
      return parse_literal(parser, NODE_NET);
    case TOKEN_NULL_SENDER:
      return parse_literal(parser, NODE_NULL_SENDER);
    case TOKEN_WORD:
      return parse_word(parser);
    case TOKEN_OPEN_PAREN:
      return parse_parentheses(parser);
    case TOKEN_OPEN_BRACE:
      return parse_set(parser);
    case TOKEN_REGEX:
      return parse_misplaced_regex(parser);
    case TOKEN_END:
    case TOKEN_LINE_END:
    case TOKEN_BAD:
    case TOKEN_ENHANCED:
    case TOKEN_EQUAL:
    case TOKEN_NOT_EQUAL:
    case TOKEN_LESS:
    case TOKEN_LESS_EQUAL:
    case TOKEN_GREATER:
    case TOKEN_GREATER_EQUAL:
    case TOKEN_MATCH:
    case TOKEN_NOT_MATCH:
    case TOKEN_ASSIGN:
    case TOKEN_ARROW:
    case TOKEN_RANGE:
    case TOKEN_DOT:
    case TOKEN_COMMA:
    case TOKEN_CLOSE_BRACE:
    case TOKEN_CLOSE_PAREN:
    case TOKEN_OPEN_BRACKET:
    case TOKEN_CLOSE_BRACKET:
      break;
  }
  return tell_no_value(parser);
}

/* SYNTAX: key := "[" expression "]" */
static Node *parse_key(Parser *parser, Node *name) {
  parser->free_lines++;
  SourceSpan open = parser_advance(parser).span;
  Node *key = parse_expression(parser);
  if (key == NULL) {
    return NULL;
  }
  SourceSpan close = parser->token.span;
  if (!close_bracket(parser, TOKEN_CLOSE_BRACKET, open, "\"]\" or an operator", "this \"[\" is not closed")) {
    return NULL;
  }
  Node *node = node_binary(parser, NODE_INDEX, name, key);
  if (node != NULL) {
    node->span = source_span_join(name->span, close);
  }
  return node;
}

/* (sender).domain is sender.domain. */
static Node *extend_name(Parser *parser, const Node *name, const Token *property) {
  Node *node = node_new(parser, NODE_NAME, source_span_join(name->span, property->span));
  node->text = slice_from(arena_printf(parser->arena, "%.*s.%.*s", SLICE_ARGS(name->text), SLICE_ARGS(property->text)));
  return node;
}

/* SYNTAX: property := "." name */
static Node *parse_property(Parser *parser, Node *of) {
  (void)parser_advance(parser);
  if (parser_kind(parser) != TOKEN_WORD) {
    (void)parser_unexpected(parser, "the name of a property, such as domain");
    return NULL;
  }
  Token name = parser_advance(parser);
  if (of->kind == NODE_NAME) {
    return extend_name(parser, of, &name);
  }
  Slice rest = name.text;
  bool more = true;
  while (of != NULL && more) {
    Slice part = slice_split(rest, '.', &rest, &more);
    Node *node = node_new(parser, NODE_PROPERTY, source_span_join(of->span, name.span));
    node->left = of;
    node->text = part;
    of = deepen(parser, node, of);
  }
  return of;
}

/*
 * SYNTAX: postfix := primary { key | property }      a key only behind a name
 */
static Node *parse_postfix(Parser *parser) {
  if (!parser_enter(parser)) {
    return NULL;
  }
  Node *node = parse_primary(parser);
  while (node != NULL) {
    TokenKind kind = parser_kind(parser);
    if (kind == TOKEN_OPEN_BRACKET && node->kind == NODE_NAME && !node->parenthesized) {
      node = parse_key(parser, node);
    } else if (kind == TOKEN_DOT) {
      node = parse_property(parser, node);
    } else {
      break;
    }
  }
  parser_leave(parser);
  return node;
}

/* SYNTAX: range := postfix [ ".." postfix ] */
static Node *parse_range(Parser *parser) {
  Node *low = parse_postfix(parser);
  if (low == NULL || !parser_accept(parser, TOKEN_RANGE)) {
    return low;
  }
  return node_binary(parser, NODE_RANGE, low, parse_postfix(parser));
}

/* SYNTAX: default-expression := range { "default" range } */
static Node *parse_default(Parser *parser) {
  Node *left = parse_range(parser);
  while (left != NULL && parser_accept_word(parser, "default")) {
    left = node_binary(parser, NODE_DEFAULT, left, parse_range(parser));
  }
  return left;
}

/* SYNTAX: match := default-expression ( "~" | "!~" ) ( REGEX | name ) */
static Node *parse_match(Parser *parser, Node *left, bool negated) {
  (void)parser_advance(parser);
  Node *right = NULL;
  if (parser_kind(parser) == TOKEN_REGEX) {
    right = parse_literal(parser, NODE_REGEX);
  } else if (parser_kind(parser) == TOKEN_WORD && !parser->token.reserved) {
    right = parse_literal(parser, NODE_NAME);
  } else {
    (void)parser_unexpected(parser, "a regex: /.../");
  }
  Node *node = node_binary(parser, NODE_MATCH, left, right);
  if (node != NULL) {
    node->as.negated = negated;
  }
  return node;
}

/* SYNTAX: is := default-expression "is" ( "set" | "unset" ) */
static Node *parse_is(Parser *parser, Node *left) {
  (void)parser_advance(parser);
  SourceSpan last = parser->token.span;
  bool negated = parser_is_word(parser, "unset");
  if (!parser_accept_word(parser, "set") && !parser_accept_word(parser, "unset")) {
    (void)parser_unexpected(parser, "\"set\" or \"unset\"");
    return NULL;
  }
  Node *node = node_new(parser, NODE_IS_SET, source_span_join(left->span, last));
  node->left = left;
  node->as.negated = negated;
  return deepen(parser, node, left);
}

static Node *parse_in(Parser *parser, Node *left, bool negated) {
  (void)parser_advance(parser);
  if (negated && !parser_expect_word(parser, "in", "\"in\": not in")) {
    return NULL;
  }
  Node *node = node_binary(parser, NODE_IN, left, parse_default(parser));
  if (node != NULL) {
    node->as.negated = negated;
  }
  return node;
}

static Node *parse_compare(Parser *parser, Node *left, CompareOperator operator) {
  (void)parser_advance(parser);
  Node *node = node_binary(parser, NODE_COMPARE, left, parse_default(parser));
  if (node != NULL) {
    node->as.compare = operator;
  }
  return node;
}

typedef enum Relation {
  RELATION_NONE,
  RELATION_COMPARE,
  RELATION_MATCH,
  RELATION_NOT_MATCH,
  RELATION_IN,
  RELATION_NOT_IN,
  RELATION_UNDER,
  RELATION_IS
} Relation;

/* What the token begins, if it stands behind a value. */
static Relation relation_here(const Parser *parser, CompareOperator *operator) {
  static const struct {
    TokenKind kind;
    const char *word;
    Relation relation;
    CompareOperator operator;
  } relations[] = {
      {TOKEN_EQUAL, NULL, RELATION_COMPARE, COMPARE_EQUAL},     {TOKEN_NOT_EQUAL, NULL, RELATION_COMPARE, COMPARE_NOT_EQUAL},
      {TOKEN_LESS, NULL, RELATION_COMPARE, COMPARE_LESS},       {TOKEN_LESS_EQUAL, NULL, RELATION_COMPARE, COMPARE_LESS_EQUAL},
      {TOKEN_GREATER, NULL, RELATION_COMPARE, COMPARE_GREATER}, {TOKEN_GREATER_EQUAL, NULL, RELATION_COMPARE, COMPARE_GREATER_EQUAL},
      {TOKEN_MATCH, NULL, RELATION_MATCH, COMPARE_EQUAL},       {TOKEN_NOT_MATCH, NULL, RELATION_NOT_MATCH, COMPARE_EQUAL},
      {TOKEN_WORD, "in", RELATION_IN, COMPARE_EQUAL},           {TOKEN_WORD, "not", RELATION_NOT_IN, COMPARE_EQUAL},
      {TOKEN_WORD, "under", RELATION_UNDER, COMPARE_EQUAL},     {TOKEN_WORD, "is", RELATION_IS, COMPARE_EQUAL},
  };
  TokenKind kind = parser_kind(parser);
  for (size_t i = 0; i < G_N_ELEMENTS(relations); i++) {
    if (kind == relations[i].kind && (relations[i].word == NULL || parser_is_word(parser, relations[i].word))) {
      *operator= relations[i].operator;
      return relations[i].relation;
    }
  }
  return RELATION_NONE;
}

/* What is often written in the place of an operator. False, and told. */
static bool check_behind_comparison(Parser *parser, SourceSpan first) {
  CompareOperator operator;
  if (relation_here(parser, &operator) != RELATION_NONE) {
    Diagnostic *diagnostic = diagnostics_error(parser->diagnostics, parser->token.span, "a second comparison in one");
    diagnostic_expected(parser->diagnostics, diagnostic, "expected \"and\" or \"or\" between two comparisons");
    diagnostic_also(parser->diagnostics, diagnostic, first, "the first one");
    return false;
  }
  if (parser_kind(parser) == TOKEN_ASSIGN) {
    (void)parser_unexpected(parser, "\"==\" to compare");
    return false;
  }
  if (parser_kind(parser) == TOKEN_NULL_SENDER) {
    parser_error(parser, parser->token.span, "\"!=\" for not equal", "\"<>\" is the null sender, not an operator");
    return false;
  }
  return true;
}

/*
 * SYNTAX: comparison := default-expression [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not" "in" | "under" ) default-expression ]
 *                     | match | is
 */
static Node *parse_comparison(Parser *parser) {
  Node *node = parse_default(parser);
  if (node == NULL) {
    return NULL;
  }
  CompareOperator operator= COMPARE_EQUAL;
  SourceSpan first = parser->token.span;
  switch (relation_here(parser, &operator)) {
    case RELATION_NONE:
      break;
    case RELATION_COMPARE:
      node = parse_compare(parser, node, operator);
      break;
    case RELATION_MATCH:
      node = parse_match(parser, node, false);
      break;
    case RELATION_NOT_MATCH:
      node = parse_match(parser, node, true);
      break;
    case RELATION_IN:
      node = parse_in(parser, node, false);
      break;
    case RELATION_NOT_IN:
      node = parse_in(parser, node, true);
      break;
    case RELATION_UNDER:
      (void)parser_advance(parser);
      node = node_binary(parser, NODE_UNDER, node, parse_default(parser));
      break;
    case RELATION_IS:
      node = parse_is(parser, node);
      break;
  }
  return node != NULL && check_behind_comparison(parser, first) ? node : NULL;
}

/* SYNTAX: not-expression := { "not" } comparison */
static Node *parse_not(Parser *parser) {
  if (!parser_is_word(parser, "not")) {
    return parse_comparison(parser);
  }
  if (!parser_enter(parser)) {
    return NULL;
  }
  Token word = parser_advance(parser);
  Node *operand = parse_not(parser);
  parser_leave(parser);
  if (operand == NULL) {
    return NULL;
  }
  Node *node = node_new(parser, NODE_NOT, source_span_join(word.span, operand->span));
  node->left = operand;
  return deepen(parser, node, operand);
}

/*
 * SYNTAX: expression := not-expression { "and" not-expression } | not-expression { "or" not-expression }
 */
Node *parse_expression(Parser *parser) {
  Node *left = parse_not(parser);
  Token first = {.kind = TOKEN_END};
  bool told = false;
  while (left != NULL && (parser_is_word(parser, "and") || parser_is_word(parser, "or"))) {
    Token word = parser_advance(parser);
    if (first.kind == TOKEN_END) {
      first = word;
    } else if (!told && !slice_equal(first.text, word.text)) {
      Diagnostic *diagnostic = diagnostics_error(parser->diagnostics, word.span, "\"and\" and \"or\" mixed without parentheses");
      diagnostic_expected(parser->diagnostics, diagnostic, "expected parentheses around what belongs together");
      diagnostic_also(parser->diagnostics, diagnostic, first.span, "the other one");
      told = true;
    }
    left = node_binary(parser, slice_equal(word.text, SLICE_LITERAL("and")) ? NODE_AND : NODE_OR, left, parse_not(parser));
  }
  return left;
}

/* SYNTAX: assigned := expression | REGEX */
Node *parse_assigned(Parser *parser) {
  return parser_kind(parser) == TOKEN_REGEX ? parse_literal(parser, NODE_REGEX) : parse_expression(parser);
}

/* SYNTAX: index := name key */
Node *parse_index(Parser *parser) {
  if (parser_kind(parser) != TOKEN_WORD || parser->token.reserved) {
    (void)parser_unexpected(parser, "a table and a key: TABLE[KEY]");
    return NULL;
  }
  Node *name = parse_literal(parser, NODE_NAME);
  if (parser_kind(parser) != TOKEN_OPEN_BRACKET) {
    (void)parser_unexpected(parser, "a key: %.*s[KEY]", SLICE_ARGS(name->text));
    return NULL;
  }
  return parse_key(parser, name);
}
