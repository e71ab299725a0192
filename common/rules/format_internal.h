/*
 * format_internal.h: what the printer's two files share. Only format*.c include it.
 */
#ifndef COMMON_RULES_FORMAT_INTERNAL_H
#define COMMON_RULES_FORMAT_INTERNAL_H

#include <glib.h>

#include "common/rules/action.h"
#include "common/rules/tree.h"

typedef struct Printer {
  GString *out;
  size_t line_start;        /* index in `out` */
  unsigned indent;          /* in levels */
  bool flat;                /* one line, no comments: for logs, and to measure */
  bool in_table;            /* the entries of a table are being printed */
  bool at_block_start;      /* nothing was printed in this block: no blank line */
  const SourceText *source; /* NULL when flat */
  const CommentNode **comments;
  bool *printed; /* beside `comments` */
  size_t comment_count;
  size_t first_comment; /* all before it are printed */
} Printer;

/* What stands on a line of its own, with all that it may hold sets in. */
typedef struct PrintItem {
  size_t start, end; /* of the source: comments between them belong to it */
  const Node *nodes[2];
  const ActionNode *action;
} PrintItem;

/* format.c */
/* Prints the comments in front of an item and begins its line. */
void printer_begin_item(Printer *printer, const PrintItem *item);
/* Ends the line: with the comment that stands behind the source's byte `end`, if any. */
void printer_end_line(Printer *printer, size_t end);
/* Prints the comments that stand before a byte of the source, each on its own line. */
void printer_comments_before(Printer *printer, size_t offset);
/* Begins a line without anything in front. */
void printer_indent(Printer *printer);
bool printer_has_comments(const Printer *printer, size_t start, size_t end);

/* format_expression.c */
void print_expression(Printer *printer, const Node *node);
void print_action(Printer *printer, const ActionNode *action);
/* A string without templates. */
void print_plain_string(Printer *printer, Slice text);

#endif
