/*
 * fuzz_rules.c: the rules parser. What parses prints as text that parses to an equal tree and prints the same again.
 *
 * The folder of the rules does not exist, so that no file is opened.
 */
#include "tests/fuzz/fuzz.h"

#include "common/rules/format.h"
#include "common/rules/parser.h"
#include "tests/lang/tree_equal.h"

#define NO_FOLDER "/nonexistent/mailreeve-fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(Arena) arena = arena_new(0);
  Diagnostics *diagnostics = diagnostics_new();
  const RulesFile *file = rules_parse_text(arena, "fuzz", slice_make((const char *)data, size), NO_FOLDER, diagnostics);
  g_assert(file != NULL);
  g_autofree char *told = diagnostics_print(diagnostics);
  g_assert((*told == '\0') == (diagnostics_count(diagnostics) == 0));
  if (diagnostics_error_count(diagnostics) == 0) {
    g_autofree char *once = rules_format(file);
    const RulesFile *again = rules_parse_text(arena, "again", slice_from(once), NO_FOLDER, diagnostics);
    g_assert(diagnostics_error_count(diagnostics) == 0);
    g_assert(rules_file_equal(file, again));
    g_autofree char *twice = rules_format(again);
    g_assert(strcmp(once, twice) == 0);
  }
  diagnostics_free(diagnostics);
  return 0;
}
