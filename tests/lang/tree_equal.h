/*
 * tree_equal.h: whether two trees say the same, wherever they stand in their texts. For tests.
 */
#ifndef TESTS_LANG_TREE_EQUAL_H
#define TESTS_LANG_TREE_EQUAL_H

#include "common/rules/tree.h"

bool node_equal(const Node *a, const Node *b);
/* One file, without what it includes; comments by their text. */
bool rules_file_equal(const RulesFile *a, const RulesFile *b);

#endif
