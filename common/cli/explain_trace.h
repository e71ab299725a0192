/*
 * explain_trace.h: records what an evaluation tells about itself, as data, and prints it.
 *
 * An array of phases in the order in which they were asked: {"phase", "statements": [{"kind", "id", "text", "file", "line", "depth", "condition", "performed", "lookups"}]}; a condition
 * is {"text", "value", "parts": [the same]}. Only the last run of each phase is kept. Confined.
 */
#ifndef COMMON_CLI_EXPLAIN_TRACE_H
#define COMMON_CLI_EXPLAIN_TRACE_H

#include <jansson.h>

#include "common/rules/trace.h"

typedef struct Recorder Recorder;

Recorder *recorder_new(const Ruleset *ruleset);
void recorder_free(Recorder *recorder); /* takes NULL */
Trace *recorder_trace(Recorder *recorder);
/* What was recorded since the last take. Transfer full. */
json_t *recorder_take(Recorder *recorder);
/* As readable text, each line `indent` blanks in. */
void recorded_print(GString *out, const json_t *phases, int indent);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recorder, recorder_free)

#endif
