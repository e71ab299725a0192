/*
 * format_expression.c: the printer's lower half: expressions, sets and actions.
 */
#include "common/rules/format.h"
#include "common/rules/format_internal.h"

/* Sets that are wider, in a table with what stands before them, are printed one entry a line. */
enum { SET_COLUMNS = 100 };

/* How tightly a node binds; what stands in a place for tighter ones gets parentheses. */
typedef enum Binding { BINDS_LOGIC, BINDS_NOT, BINDS_COMPARISON, BINDS_COUNT, BINDS_DEFAULT, BINDS_RANGE, BINDS_PRIMARY } Binding;

static void print_node(Printer *printer, const Node *node, Binding least);

static Binding binding_of(const Node *node) {
  switch (node->kind) {
    case NODE_AND:
    case NODE_OR:
      return BINDS_LOGIC;
    case NODE_NOT:
      return BINDS_NOT;
    case NODE_COMPARE:
    case NODE_IN:
    case NODE_MATCH:
    case NODE_UNDER:
    case NODE_IS_SET:
      return BINDS_COMPARISON;
    case NODE_DEFAULT:
      return BINDS_DEFAULT;
    case NODE_RANGE:
      return BINDS_RANGE;
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
      break;
    case NODE_QUANTIFIER:
      return node->right != NULL ? BINDS_PRIMARY : BINDS_COUNT; /* `count x default 5` counts what the default gives */
  }
  return BINDS_PRIMARY;
}

static void print_slice(Printer *printer, Slice text) {
  g_string_append_len(printer->out, text.data, (gssize)text.length);
}

static void print_literal_text(Printer *printer, Slice text) {
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i];
    if (byte == '\n') {
      g_string_append(printer->out, "\\n");
    } else if (byte == '"' || byte == '\\') {
      g_string_append_printf(printer->out, "\\%c", byte);
    } else if (byte == '{' || byte == '}') {
      g_string_append_printf(printer->out, "%c%c", byte, byte);
    } else {
      g_string_append_c(printer->out, byte);
    }
  }
}

void print_plain_string(Printer *printer, Slice text) {
  g_string_append_c(printer->out, '"');
  print_literal_text(printer, text);
  g_string_append_c(printer->out, '"');
}

/* One {...} of a string. A number alone would be a capture, and two braces a brace. */
static void print_template(Printer *printer, const Node *node) {
  bool lone_number = node->kind == NODE_INT && g_ascii_isdigit(node->text.data[0]);
  g_string_append(printer->out, lone_number ? "{(" : "{");
  size_t start = printer->out->len;
  print_node(printer, node, BINDS_LOGIC);
  if (printer->out->str[start] == '{') {
    g_string_insert_c(printer->out, (gssize)start, ' ');
  }
  g_string_append(printer->out, lone_number ? ")}" : "}");
}

static void print_text(Printer *printer, const Node *node) {
  bool flat = printer->flat;
  printer->flat = true; /* a string is never broken */
  g_string_append_c(printer->out, '"');
  print_literal_text(printer, node->text);
  for (const Node *part = node->items; part != NULL; part = part->next) {
    if (part->kind == NODE_LITERAL_TEXT) {
      print_literal_text(printer, part->text);
    } else {
      print_template(printer, part);
    }
  }
  g_string_append_c(printer->out, '"');
  printer->flat = flat;
}

static void print_network(Printer *printer, const Node *node) {
  char text[IP_TEXT_MAX];
  (void)ip_format(&node->net.address, text);
  g_string_append(printer->out, text);
  if (node->kind == NODE_NET) {
    g_string_append_printf(printer->out, "/%u", node->net.prefix);
  }
}

static void print_set_flat(Printer *printer, const Node *set) {
  bool flat = printer->flat;
  printer->flat = true;
  g_string_append(printer->out, set->items != NULL ? "{ " : "{");
  for (const Node *item = set->items; item != NULL; item = item->next) {
    print_node(printer, item, BINDS_DEFAULT);
    g_string_append(printer->out, item->next != NULL ? ", " : " ");
  }
  g_string_append_c(printer->out, '}');
  printer->flat = flat;
}

static size_t span_end(SourceSpan span) {
  return (size_t)span.offset + span.length;
}

static void print_set_lines(Printer *printer, const Node *set) {
  g_string_append_c(printer->out, '{');
  printer_end_line(printer, (size_t)set->span.offset + 1);
  printer->indent++;
  printer->at_block_start = true;
  for (const Node *item = set->items; item != NULL; item = item->next) {
    printer_begin_item(printer, &(PrintItem){.start = item->span.offset, .end = span_end(item->span), .nodes = {item}});
    print_node(printer, item, BINDS_DEFAULT);
    g_string_append_c(printer->out, ',');
    printer_end_line(printer, span_end(item->span));
  }
  printer_comments_before(printer, span_end(set->span) - 1);
  printer->indent--;
  printer_indent(printer);
  g_string_append_c(printer->out, '}');
}

static void print_set(Printer *printer, const Node *set) {
  size_t start = printer->out->len;
  bool comments = !printer->flat && printer_has_comments(printer, set->span.offset, span_end(set->span));
  if (!comments) {
    print_set_flat(printer, set);
    /* In a rule the set alone is measured: breaking a short one would not make a long line better. */
    size_t from = printer->in_table ? printer->line_start : start;
    if (printer->flat || set->items == NULL || g_utf8_strlen(printer->out->str + from, -1) <= SET_COLUMNS) {
      return;
    }
    g_string_truncate(printer->out, start);
  }
  print_set_lines(printer, set);
}

static void print_list(Printer *printer, const Node *items) {
  for (const Node *item = items; item != NULL; item = item->next) {
    print_node(printer, item, BINDS_LOGIC);
    g_string_append(printer->out, item->next != NULL ? ", " : "");
  }
}

static void print_binary(Printer *printer, const Node *node, const char *sign, Binding left, Binding right) {
  print_node(printer, node->left, left);
  g_string_append(printer->out, sign);
  print_node(printer, node->right, right);
}

static void print_logic(Printer *printer, const Node *node) {
  bool chain = node->left->kind == node->kind;
  print_binary(printer, node, node->kind == NODE_AND ? " and " : " or ", chain ? BINDS_LOGIC : BINDS_NOT, BINDS_NOT);
}

static const char *compare_sign(CompareOperator operator) {
  switch (operator) {
    case COMPARE_EQUAL:
      return " == ";
    case COMPARE_NOT_EQUAL:
      return " != ";
    case COMPARE_LESS:
      return " < ";
    case COMPARE_LESS_EQUAL:
      return " <= ";
    case COMPARE_GREATER:
      return " > ";
    case COMPARE_GREATER_EQUAL:
      return " >= ";
  }
  return NULL;
}

static void print_quantifier(Printer *printer, const Node *node) {
  static const char *const words[] = {[QUANTIFIER_ANY] = "any ", [QUANTIFIER_ALL] = "all ", [QUANTIFIER_COUNT] = "count "};
  g_string_append(printer->out, words[node->as.quantifier]);
  print_node(printer, node->left, BINDS_DEFAULT);
  if (node->right == NULL) {
    return;
  }
  g_string_append(printer->out, " has (");
  print_node(printer, node->right, BINDS_LOGIC);
  g_string_append_c(printer->out, ')');
}

/* Behind a literal a dot could be taken for a part of it. */
static void print_property(Printer *printer, const Node *node) {
  NodeKind kind = node->left->kind;
  bool plain =
      kind == NODE_INDEX || kind == NODE_PROPERTY || kind == NODE_TEXT || kind == NODE_SET || kind == NODE_TUPLE || kind == NODE_QUANTIFIER;
  bool parentheses = !plain && binding_of(node->left) == BINDS_PRIMARY;
  g_string_append(printer->out, parentheses ? "(" : "");
  print_node(printer, node->left, BINDS_PRIMARY);
  g_string_append(printer->out, parentheses ? ")." : ".");
  print_slice(printer, node->text);
}

static void print_bare(Printer *printer, const Node *node) {
  switch (node->kind) {
    case NODE_TEXT:
      print_text(printer, node);
      break;
    case NODE_LITERAL_TEXT:
      print_literal_text(printer, node->text);
      break;
    case NODE_CAPTURE:
    case NODE_INT:
    case NODE_DECIMAL:
    case NODE_SIZE:
    case NODE_DURATION:
    case NODE_TIME:
    case NODE_DATE:
    case NODE_NAME:
      print_slice(printer, node->text);
      break;
    case NODE_IP:
    case NODE_NET:
      print_network(printer, node);
      break;
    case NODE_NULL_SENDER:
      g_string_append(printer->out, "<>");
      break;
    case NODE_REGEX:
      g_string_append_printf(printer->out, "/%.*s/%s", SLICE_ARGS(node->text), node->as.exact_case ? "c" : "");
      break;
    case NODE_SET:
      print_set(printer, node);
      break;
    case NODE_MAP_ITEM:
      print_binary(printer, node, " -> ", BINDS_DEFAULT, BINDS_DEFAULT);
      break;
    case NODE_TUPLE:
      g_string_append_c(printer->out, '(');
      print_list(printer, node->items);
      g_string_append_c(printer->out, ')');
      break;
    case NODE_RANGE:
      print_binary(printer, node, "..", BINDS_PRIMARY, BINDS_PRIMARY);
      break;
    case NODE_INDEX:
      print_node(printer, node->left, BINDS_PRIMARY);
      g_string_append_c(printer->out, '[');
      print_node(printer, node->right, BINDS_LOGIC);
      g_string_append_c(printer->out, ']');
      break;
    case NODE_PROPERTY:
      print_property(printer, node);
      break;
    case NODE_NOT:
      g_string_append(printer->out, "not ");
      print_node(printer, node->left, BINDS_NOT);
      break;
    case NODE_AND:
    case NODE_OR:
      print_logic(printer, node);
      break;
    case NODE_COMPARE:
      print_binary(printer, node, compare_sign(node->as.compare), BINDS_COUNT, BINDS_COUNT);
      break;
    case NODE_IN:
      print_binary(printer, node, node->as.negated ? " not in " : " in ", BINDS_COUNT, BINDS_COUNT);
      break;
    case NODE_MATCH:
      print_binary(printer, node, node->as.negated ? " !~ " : " ~ ", BINDS_COUNT, BINDS_COUNT);
      break;
    case NODE_UNDER:
      print_binary(printer, node, " under ", BINDS_COUNT, BINDS_COUNT);
      break;
    case NODE_IS_SET:
      print_node(printer, node->left, BINDS_COUNT);
      g_string_append(printer->out, node->as.negated ? " is unset" : " is set");
      break;
    case NODE_QUANTIFIER:
      print_quantifier(printer, node);
      break;
    case NODE_DEFAULT:
      print_binary(printer, node, " default ", BINDS_DEFAULT, BINDS_RANGE);
      break;
  }
}

/* Parentheses stay where they were written around an operator, and come where they are needed. */
static void print_node(Printer *printer, const Node *node, Binding least) {
  Binding binding = binding_of(node);
  bool parentheses = binding < least || (node->parenthesized && binding < BINDS_PRIMARY);
  g_string_append(printer->out, parentheses ? "(" : "");
  print_bare(printer, node);
  g_string_append(printer->out, parentheses ? ")" : "");
}

void print_expression(Printer *printer, const Node *node) {
  print_node(printer, node, BINDS_LOGIC);
}

void print_action(Printer *printer, const ActionNode *action) {
  g_string_append(printer->out, action->action->name);
  for (const ArgumentNode *argument = action->arguments; argument != NULL; argument = argument->next) {
    g_string_append_c(printer->out, ' ');
    if (argument->expression != NULL) {
      print_expression(printer, argument->expression);
    } else {
      print_slice(printer, argument->word);
    }
  }
}

static Slice end_flat(Arena *arena, Printer *printer) {
  Slice text = slice_copy(arena, slice_make(printer->out->str, printer->out->len));
  (void)g_string_free(printer->out, TRUE);
  return text;
}

Slice rules_format_expression(Arena *arena, const Node *node) {
  Printer printer = {.out = g_string_new(NULL), .flat = true};
  print_expression(&printer, node);
  return end_flat(arena, &printer);
}

Slice rules_format_action(Arena *arena, const ActionNode *action) {
  Printer printer = {.out = g_string_new(NULL), .flat = true};
  print_action(&printer, action);
  return end_flat(arena, &printer);
}
