/*
 * trace.h: what an evaluation tells about its last run, for `explain` and `test`. All calls are on the evaluation's thread.
 */
#ifndef COMMON_RULES_TRACE_H
#define COMMON_RULES_TRACE_H

#include "common/rules/program.h"
#include "common/rules/evaluate.h"

struct Trace {
  void (*begin_run)(Trace *trace, Phase phase);
  /* A rule or block was considered: `state` SET with truth, UNKNOWN or OPEN; `decided` false when only look-ups are being collected. */
  void (*statement)(Trace *trace, const Statement *statement, const Value *condition, bool decided);
  /* A part of a condition got this value (comparison, in, match ... and the values below), innermost first. */
  void (*expression)(Trace *trace, const Expression *expression, const Value *value);
  /* An answer was used. `answer` is NULL for an inline set or a HERE table. */
  void (*lookup)(Trace *trace, const ResourceUse *use, const Value *keys, const Question *question, const Answer *answer,
                 const ResourceAnswer *result);
  void (*performed)(Trace *trace, const Rule *rule);
};

#endif
