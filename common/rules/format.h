/*
 * format.h: tree -> text in canonical form. Comments are kept; format of format is itself; the printed text parses to an equal tree.
 */
#ifndef COMMON_RULES_FORMAT_H
#define COMMON_RULES_FORMAT_H

#include <glib.h>

#include "common/rules/tree.h"

/* One file, without what it includes. Only for a tree that parsed without errors. Transfer full. */
char *rules_format(const RulesFile *file) G_GNUC_WARN_UNUSED_RESULT;
/* One expression or action as canonical text (explain, logs). */
Slice rules_format_expression(Arena *arena, const Node *node);
Slice rules_format_action(Arena *arena, const ActionNode *action);

#endif
