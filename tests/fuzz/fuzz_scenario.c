/*
 * fuzz_scenario.c: scenario files. Either there is a scenario and nothing was said against it, or there is none and something was, about a place inside the text. What was
 * read can be printed.
 */
#include "tests/fuzz/fuzz.h"

#include "common/cli/scenario.h"
#include "common/rules/source.h"

static void check_printed(const Scenario *scenario) {
  json_t *json = scenario_json(scenario);
  g_assert(json != NULL && json_array_size(json_object_get(json, "sessions")) > 0);
  char *text = json_dumps(json, JSON_COMPACT);
  g_assert(text != NULL);
  free(text);
  json_decref(json);
}

static void check_faults(const SourceText *source, const Diagnostics *diagnostics) {
  g_assert(diagnostics_error_count(diagnostics) > 0);
  for (size_t i = 0; i < diagnostics_count(diagnostics); i++) {
    SourceSpan span = diagnostics_get(diagnostics, i)->span;
    g_assert(span.source == NULL || (size_t)span.offset + span.length <= source->text.length);
  }
  g_autofree char *printed = diagnostics_print(diagnostics);
  g_assert(printed[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  const SourceText *source = source_from_text(arena, "fuzz.scenario", slice_make((const char *)data, size));
  const Scenario *scenario = scenario_parse(arena, "fuzz.scenario", source, diagnostics);
  if (scenario) {
    g_assert(diagnostics_count(diagnostics) == 0);
    check_printed(scenario);
  } else {
    check_faults(source, diagnostics);
  }
  return 0;
}
