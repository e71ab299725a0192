/*
 * ruleset.c: from a file or a text to a shared ruleset, and its end.
 */
#include "common/rules/check_internal.h"
#include "common/rules/index.h"
#include "common/rules/parser.h"

static ProgramTree *tree_new(void) {
  Arena *arena = arena_new(16 * 1024);
  ProgramTree *tree = ARENA_NEW(arena, ProgramTree);
  tree->references = 1;
  tree->arena = arena;
  return tree;
}

static Program *program_new(void) {
  Arena *arena = arena_new(16 * 1024);
  Program *program = ARENA_NEW(arena, Program);
  program->references = 1;
  program->arena = arena;
  program->tree = tree_new();
  return program;
}

static ProgramTree *tree_ref(ProgramTree *tree) {
  g_atomic_int_inc(&tree->references);
  return tree;
}

static void tree_unref(ProgramTree *tree) {
  if (tree && g_atomic_int_dec_and_test(&tree->references))
    arena_free(tree->arena);
}

static void release_tree(void *tree) {
  tree_unref(tree);
}

const Node *program_node(const Program *program, const Expression *expression) {
  return program->tree ? program->tree->nodes[expression->id] : NULL;
}

const StatementNode *program_rule_node(const Program *program, const Rule *rule) {
  return program->tree ? program->tree->rules[rule->number] : NULL;
}

SourceSpan program_span(const Program *program, Phase phase, const Statement *statement) {
  if (!program->tree)
    return (SourceSpan){NULL, 0, 0};
  return program->tree->statements[phase][statement - program->phases[phase].statements];
}

/* Checks what was parsed, also behind syntax errors, so that one run tells all. Diagnostics point into the texts, so they hold the tree, also of a ruleset that came to nothing. */
static Ruleset *load(Program *program, const RulesFile *file, const RulesetOptions *options, Diagnostics *diagnostics,
                     size_t errors_before) {
  bool parsed = file && diagnostics_error_count(diagnostics) == errors_before;
  program->tree->file = file;
  bool checked = file && check_rules(program, file, parsed, options, diagnostics);
  bool good = parsed && checked;
  if (good && options->lint)
    options->lint(program, options, diagnostics);
  if (diagnostics_count(diagnostics) > 0)
    diagnostics_keep(diagnostics, release_tree, tree_ref(program->tree));
  if (good) {
    if (!options->keep_tree)
      tree_unref(g_steal_pointer(&program->tree));
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
  RulesFile *file = rules_parse_file(program->tree->arena, path, options->check_owners, diagnostics, &error);
  if (!file && error) {
    SourceText *source = ARENA_NEW(program->tree->arena, SourceText);
    source->name = slice_to_string(program->tree->arena, slice_from(path));
    diagnostics_error(diagnostics, (SourceSpan){source, 0, 0}, "cannot be read: %s", error->message);
  }
  return load(program, file, options, diagnostics, errors_before);
}

Ruleset *ruleset_load_text(const char *name, Slice text, const char *directory, const RulesetOptions *options, Diagnostics *diagnostics) {
  size_t errors_before = diagnostics_error_count(diagnostics);
  Program *program = program_new();
  RulesFile *file = rules_parse_text(program->tree->arena, name, text, directory, diagnostics);
  return load(program, file, options, diagnostics, errors_before);
}

Ruleset *ruleset_ref(Ruleset *ruleset) {
  g_atomic_int_inc(&ruleset->references);
  return ruleset;
}

void ruleset_unref(Ruleset *ruleset) {
  if (ruleset && g_atomic_int_dec_and_test(&ruleset->references)) {
    tree_unref(ruleset->tree);
    arena_free(ruleset->arena);
  }
}
