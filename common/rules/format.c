/*
 * format.c: the printer: declarations, statements and comments.
 *
 * A comment keeps its place: on its own line before what it stood before, or at the end of the line. One from the middle of
 * something that is
 * printed on one line goes in front of it.
 */
#include "common/rules/format.h"

#include "common/rules/format_internal.h"

enum { INDENT = 4 };

static size_t span_end(SourceSpan span) {
  return (size_t)span.offset + span.length;
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r';
}

/* True when the line before the one that begins with this byte is empty. */
static bool blank_line_before(const SourceText *source, size_t offset) {
  const char *data = source->text.data;
  while (offset > 0 && is_blank(data[offset - 1])) {
    offset--;
  }
  if (offset == 0 || data[offset - 1] != '\n') {
    return false;
  }
  offset--;
  while (offset > 0 && is_blank(data[offset - 1])) {
    offset--;
  }
  return offset > 0 && data[offset - 1] == '\n';
}

void printer_indent(Printer *printer) {
  printer->line_start = printer->out->len;
  g_string_append_printf(printer->out, "%*s", (int)(printer->indent * INDENT), "");
}

/* A line for what stands at `offset` of the source: an empty line before it stays, one of several, none at the start of a block. */
static void begin_line(Printer *printer, size_t offset) {
  if (!printer->at_block_start && blank_line_before(printer->source, offset)) {
    g_string_append_c(printer->out, '\n');
  }
  printer->at_block_start = false;
  printer_indent(printer);
}

static void print_comment(Printer *printer, size_t index) {
  Slice text = printer->comments[index]->text;
  g_string_append_len(printer->out, text.data, (gssize)text.length);
  printer->printed[index] = true;
  while (printer->first_comment < printer->comment_count && printer->printed[printer->first_comment]) {
    printer->first_comment++;
  }
}

static size_t comment_offset(const Printer *printer, size_t index) {
  return printer->comments[index]->span.offset;
}

void printer_comments_before(Printer *printer, size_t offset) {
  for (size_t i = printer->first_comment; i < printer->comment_count && comment_offset(printer, i) < offset; i++) {
    if (!printer->printed[i]) {
      begin_line(printer, comment_offset(printer, i));
      print_comment(printer, i);
      g_string_append_c(printer->out, '\n');
    }
  }
}

bool printer_has_comments(const Printer *printer, size_t start, size_t end) {
  for (size_t i = printer->first_comment; i < printer->comment_count && comment_offset(printer, i) < end; i++) {
    if (!printer->printed[i] && comment_offset(printer, i) >= start) {
      return true;
    }
  }
  return false;
}

/* True when a set below the node holds the byte: its comments stay inside. */
static bool in_set(const Node *node, size_t offset) {
  if (node == NULL) {
    return false;
  }
  if (node->kind == NODE_SET) {
    return offset > node->span.offset && offset < span_end(node->span);
  }
  for (const Node *item = node->kind == NODE_TUPLE ? node->items : NULL; item != NULL; item = item->next) {
    if (in_set(item, offset)) {
      return true;
    }
  }
  return !node_has_items(node) && (in_set(node->left, offset) || in_set(node->right, offset));
}

static bool in_set_of_item(const PrintItem *item, size_t offset) {
  for (size_t i = 0; i < G_N_ELEMENTS(item->nodes); i++) {
    if (in_set(item->nodes[i], offset)) {
      return true;
    }
  }
  const ArgumentNode *argument = item->action != NULL ? item->action->arguments : NULL;
  for (; argument != NULL; argument = argument->next) {
    if (in_set(argument->expression, offset)) {
      return true;
    }
  }
  return false;
}

/* Comments inside of the item, but for those in sets, each on its own line. True when there were any. */
static bool print_inner_comments(Printer *printer, const PrintItem *item) {
  bool any = false;
  for (size_t i = printer->first_comment; i < printer->comment_count && comment_offset(printer, i) < item->end; i++) {
    if (printer->printed[i] || in_set_of_item(item, comment_offset(printer, i))) {
      continue;
    }
    if (any) {
      printer_indent(printer);
    } else {
      begin_line(printer, item->start);
    }
    print_comment(printer, i);
    g_string_append_c(printer->out, '\n');
    any = true;
  }
  return any;
}

void printer_begin_item(Printer *printer, const PrintItem *item) {
  printer_comments_before(printer, item->start);
  if (print_inner_comments(printer, item)) {
    printer_indent(printer);
  } else {
    begin_line(printer, item->start);
  }
}

void printer_end_line(Printer *printer, size_t end) {
  for (size_t i = printer->first_comment; i < printer->comment_count; i++) {
    if (printer->printed[i] || comment_offset(printer, i) < end) {
      continue;
    }
    Slice between = slice_make(printer->source->text.data + end, comment_offset(printer, i) - end);
    bool behind = true;
    for (size_t j = 0; j < between.length && behind; j++) {
      behind = is_blank(between.data[j]) || between.data[j] == ',' || between.data[j] == ')';
    }
    if (behind) {
      g_string_append(printer->out, "  ");
      print_comment(printer, i);
    }
    break;
  }
  g_string_append_c(printer->out, '\n');
}

static void print_slice(Printer *printer, Slice text) {
  g_string_append_len(printer->out, text.data, (gssize)text.length);
}

/* The '{' behind what ends at `offset`; comments and closing parentheses may stand between. */
static size_t find_brace(const SourceText *source, size_t offset) {
  Slice text = source->text;
  while (offset < text.length && text.data[offset] != '{') {
    if (text.data[offset] == '#') {
      while (offset < text.length && text.data[offset] != '\n') {
        offset++;
      }
    } else {
      offset++;
    }
  }
  return offset;
}

static void print_statements(Printer *printer, const StatementNode *first);

/* ` {`, the statements and the `}` at `close` of the source. The line is left open. */
static void print_block(Printer *printer, size_t brace, size_t close, const StatementNode *body) {
  g_string_append(printer->out, " {");
  printer_end_line(printer, brace + 1);
  printer->indent++;
  printer->at_block_start = true;
  print_statements(printer, body);
  printer_comments_before(printer, close);
  printer->at_block_start = false;
  printer->indent--;
  printer_indent(printer);
  g_string_append_c(printer->out, '}');
}

static void print_on_error(Printer *printer, ErrorBehaviour behaviour) {
  if (behaviour != ON_ERROR_DEFAULT) {
    g_string_append_printf(printer->out, " on error %s", error_behaviour_name(behaviour));
  }
}

static void print_rule(Printer *printer, const StatementNode *statement) {
  printer_begin_item(
      printer,
      &(PrintItem){
          .start = statement->span.offset, .end = span_end(statement->span), .nodes = {statement->condition}, .action = statement->action});
  if (!slice_is_empty(statement->label)) {
    g_string_append_printf(printer->out, "[%.*s] ", SLICE_ARGS(statement->label));
  }
  g_string_append(printer->out, statement->observe ? "observe " : "");
  print_action(printer, statement->action);
  if (statement->condition != NULL) {
    g_string_append(printer->out, statement->unless ? " unless " : " if ");
    print_expression(printer, statement->condition);
  }
  print_on_error(printer, statement->on_error);
  printer_end_line(printer, span_end(statement->span));
}

/* Where the braces of a branch are. Its span starts at its last keyword. */
static size_t branch_brace(const Printer *printer, const BranchNode *branch) {
  size_t from = branch->condition != NULL ? span_end(branch->condition->span) : branch->span.offset;
  return find_brace(printer->source, from);
}

static void print_when(Printer *printer, const StatementNode *statement) {
  size_t start = statement->span.offset;
  for (const BranchNode *branch = statement->branches; branch != NULL; branch = branch->next) {
    size_t brace = branch_brace(printer, branch);
    size_t close = span_end(branch->span) - 1;
    bool first = branch == statement->branches;
    if (first) {
      printer_begin_item(printer, &(PrintItem){.start = start, .end = brace, .nodes = {branch->condition}});
    }
    g_string_append(printer->out, first ? "" : " else");
    if (branch->condition != NULL) {
      g_string_append(printer->out, first ? "when " : " when ");
      print_expression(printer, branch->condition);
    }
    print_block(printer, brace, close, branch->body);
  }
  printer_end_line(printer, span_end(statement->span));
}

static void print_statements(Printer *printer, const StatementNode *first) {
  for (const StatementNode *statement = first; statement != NULL; statement = statement->next) {
    switch (statement->kind) {
      case STATEMENT_NODE_RULE:
        print_rule(printer, statement);
        break;
      case STATEMENT_NODE_WHEN:
        print_when(printer, statement);
        break;
    }
  }
}

static void print_types(Printer *printer, const Declaration *declaration) {
  bool tuple = declaration->type_count > 1;
  g_string_append(printer->out, tuple ? "(" : "");
  for (size_t i = 0; i < declaration->type_count; i++) {
    g_string_append(printer->out, i > 0 ? ", " : "");
    print_slice(printer, declaration->types[i]);
  }
  g_string_append(printer->out, tuple ? ")" : "");
}

static void print_keys(Printer *printer, const Declaration *declaration) {
  g_string_append(printer->out, declaration->keys_exact ? " keys exact" : "");
  switch (declaration->key_order) {
    case KEY_ORDER_RULES:
      return;
    case KEY_ORDER_POSTFIX:
      g_string_append(printer->out, " keys postfix");
      return;
    case KEY_ORDER_SENDMAIL:
      g_string_append(printer->out, " keys sendmail");
      if (!slice_is_empty(declaration->key_tag)) {
        g_string_append_c(printer->out, ' ');
        print_plain_string(printer, declaration->key_tag);
      }
      return;
  }
  g_assert_not_reached();
}

static void print_table(Printer *printer, const Declaration *declaration) {
  g_string_append_printf(printer->out, "table %.*s of ", SLICE_ARGS(declaration->name));
  print_types(printer, declaration);
  if (!slice_is_empty(declaration->value_type)) {
    g_string_append_printf(printer->out, " -> %.*s", SLICE_ARGS(declaration->value_type));
  }
  if (!slice_is_empty(declaration->source)) {
    g_string_append_printf(printer->out, " from %.*s ", SLICE_ARGS(declaration->source));
    print_plain_string(printer, declaration->spec);
  }
  print_keys(printer, declaration);
  g_string_append(printer->out, declaration->optional ? " optional" : "");
  print_on_error(printer, declaration->on_error);
  if (declaration->entries != NULL) {
    g_string_append_c(printer->out, ' ');
    printer->in_table = true;
    print_expression(printer, declaration->entries);
    printer->in_table = false;
  }
}

static void print_dnslist(Printer *printer, const Declaration *declaration) {
  g_string_append_printf(printer->out, "dnslist %.*s of ", SLICE_ARGS(declaration->name));
  print_types(printer, declaration);
  g_string_append_c(printer->out, ' ');
  print_plain_string(printer, declaration->spec);
  if (!slice_is_empty(declaration->codes)) {
    g_string_append(printer->out, " codes ");
    print_plain_string(printer, declaration->codes);
  }
  print_on_error(printer, declaration->on_error);
}

static void print_at(Printer *printer, const Declaration *declaration, size_t brace) {
  const char *separator = "at ";
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    if (declaration->phases & PHASE_BIT(phase)) {
      g_string_append_printf(printer->out, "%s%s", separator, phase_name((Phase)phase));
      separator = ", ";
    }
  }
  if (declaration->condition != NULL) {
    g_string_append(printer->out, " when ");
    print_expression(printer, declaration->condition);
  }
  print_block(printer, brace, span_end(declaration->span) - 1, declaration->body);
}

static void print_declaration(Printer *printer, const Declaration *declaration) {
  PrintItem item = {.start = declaration->span.offset, .end = span_end(declaration->span)};
  item.nodes[0] = declaration->kind == DECLARATION_TABLE ? declaration->entries : declaration->expression;
  size_t brace = 0;
  if (declaration->kind == DECLARATION_AT) {
    item.nodes[0] = declaration->condition;
    brace = find_brace(printer->source, declaration->condition != NULL ? span_end(declaration->condition->span) : item.start);
    item.end = brace;
  }
  printer_begin_item(printer, &item);
  switch (declaration->kind) {
    case DECLARATION_TABLE:
      print_table(printer, declaration);
      break;
    case DECLARATION_DNSLIST:
      print_dnslist(printer, declaration);
      break;
    case DECLARATION_DEFINE:
      g_string_append_printf(printer->out, "define %.*s = ", SLICE_ARGS(declaration->name));
      print_expression(printer, declaration->expression);
      break;
    case DECLARATION_AT:
      print_at(printer, declaration, brace);
      break;
    case DECLARATION_INCLUDE:
      g_string_append(printer->out, "include ");
      print_plain_string(printer, declaration->pattern);
      break;
  }
  printer_end_line(printer, span_end(declaration->span));
}

char *rules_format(const RulesFile *file) {
  Printer printer = {.out = g_string_new(NULL), .source = file->source, .at_block_start = true};
  for (const CommentNode *comment = file->comments; comment != NULL; comment = comment->next) {
    printer.comment_count++;
  }
  printer.comments = g_new0(const CommentNode *, printer.comment_count + 1);
  printer.printed = g_new0(bool, printer.comment_count + 1);
  size_t count = 0;
  for (const CommentNode *comment = file->comments; comment != NULL; comment = comment->next) {
    printer.comments[count++] = comment;
  }
  for (const Declaration *declaration = file->declarations; declaration != NULL; declaration = declaration->next) {
    print_declaration(&printer, declaration);
  }
  printer_comments_before(&printer, file->source->text.length);
  g_free(printer.comments);
  g_free(printer.printed);
  return g_string_free(printer.out, FALSE);
}
