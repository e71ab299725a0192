/*
 * reply_lint.h: what the doors of a service will lose of its rules' replies, as warnings: the checker's part that knows the doors.
 */
#ifndef COMMON_DOOR_REPLY_LINT_H
#define COMMON_DOOR_REPLY_LINT_H

#include "common/rules/program.h"

/*
 * Compiles the reply of each rule for each enabled door and the mail servers behind it, and warns of what the author would want to know: the notes of
 * reply_note.def by their weight. For RulesetOptions.lint.
 */
void reply_lint(const Program *program, const RulesetOptions *options, Diagnostics *diagnostics);

#endif
