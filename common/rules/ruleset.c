/*
 * ruleset.c: from a file or a text to a shared ruleset, and its end.
 */
#include "common/rules/check_internal.h"
#include "common/rules/index.h"
#include "common/rules/parser.h"

static Program *program_new(void) {
  Arena *arena = arena_new(16 * 1024);
  Program *program = ARENA_NEW(arena, Program);
  program->references = 1;
  program->arena = arena;
  return program;
}

static void release_ruleset(void *ruleset) {
  ruleset_unref(ruleset);
}

/* Checks what was parsed, also behind syntax errors, so that one run tells all. Diagnostics point into the texts, so they hold the arena, also of a ruleset that came to nothing. */
static Ruleset *load(Program *program, const RulesFile *file, const RulesetOptions *options, Diagnostics *diagnostics,
                     size_t errors_before) {
  bool parsed = file && diagnostics_error_count(diagnostics) == errors_before;
  program->tree = file;
  bool checked = file && check_rules(program, file, parsed, options, diagnostics);
  bool good = parsed && checked;
  if (good && options->lint)
    options->lint(program, options, diagnostics);
  if (diagnostics_count(diagnostics) > 0)
    diagnostics_keep(diagnostics, release_ruleset, ruleset_ref(program));
  if (good) {
    program_index(program, INDEX_STATEMENTS_MIN);
    return program;
  }
  ruleset_unref(program);
  return NULL;
}

Ruleset *ruleset_load_file(const char *path, const RulesetOptions *options, Diagnostics *diagnostics) {
  size_t errors_before = diagnostics_error_count(diagnostics);
  Program *program = program_new();
  g_autoptr(GError) error = NULL;
  RulesFile *file = rules_parse_file(program->arena, path, options->check_owners, diagnostics, &error);
  if (!file && error) {
    SourceText *source = ARENA_NEW(program->arena, SourceText);
    source->name = slice_to_string(program->arena, slice_from(path));
    diagnostics_error(diagnostics, (SourceSpan){source, 0, 0}, "cannot be read: %s", error->message);
  }
  return load(program, file, options, diagnostics, errors_before);
}

Ruleset *ruleset_load_text(const char *name, Slice text, const char *directory, const RulesetOptions *options, Diagnostics *diagnostics) {
  size_t errors_before = diagnostics_error_count(diagnostics);
  Program *program = program_new();
  RulesFile *file = rules_parse_text(program->arena, name, text, directory, diagnostics);
  return load(program, file, options, diagnostics, errors_before);
}

Ruleset *ruleset_ref(Ruleset *ruleset) {
  g_atomic_int_inc(&ruleset->references);
  return ruleset;
}

void ruleset_unref(Ruleset *ruleset) {
  if (ruleset && g_atomic_int_dec_and_test(&ruleset->references))
    arena_free(ruleset->arena);
}
