/*
 * fuzz_check.c: the whole loader: parser, checker, lint. Nothing is opened: tables are checked by their kinds only, and the folder of the rules does not exist.
 */
#include "tests/fuzz/fuzz.h"

#include "common/lookup/kinds.h"
#include "common/rules/program.h"

#define NO_FOLDER "/nonexistent/mailreeve-fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions options = {.enabled_doors = size % 2 ? DOORS_ALL : DOOR_BIT(DOOR_POLICY), .pedantic = true, .resources = source};
  Diagnostics *diagnostics = diagnostics_new();
  Ruleset *ruleset = ruleset_load_text("fuzz", slice_make((const char *)data, size), NO_FOLDER, &options, diagnostics);
  g_assert((ruleset != NULL) == (diagnostics_error_count(diagnostics) == 0));
  for (Phase phase = 0; ruleset && phase < PHASE_COUNT; phase++) {
    const PhaseProgram *program = &ruleset->phases[phase];
    for (uint32_t i = 0; i < program->count; i++)
      g_assert(program->statements[i].end > i && program->statements[i].end <= program->count);
  }
  ruleset_unref(ruleset);
  g_autofree char *told = diagnostics_print(diagnostics);
  g_assert((*told == '\0') == (diagnostics_count(diagnostics) == 0));
  diagnostics_free(diagnostics);
  resource_source_plain_free(source);
  return 0;
}
