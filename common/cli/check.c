/*
 * check.c: `mailreeve check`: reads and compiles rules files as the daemons would, and tells what is wrong.
 */
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/door/reply_lint.h"
#include "common/lookup/kinds.h"
#include "common/rules/index.h"
#include "common/rules/program.h"

extern const Command command_check;

static bool read_doors(const CommandLine *line, DoorSet *doors) {
  g_autofree const char **names = command_line_values(line, "--door");
  *doors = names[0] ? 0 : DOORS_ALL;
  for (size_t i = 0; names[i]; i++) {
    Door door;
    if (!door_from_name(slice_from(names[i]), &door)) {
      (void)command_usage_error(&command_check, "there is no door %s: expected policy, milter or socketmap", names[i]);
      return false;
    }
    *doors |= DOOR_BIT(door);
  }
  return true;
}

static json_t *place_json(SourceSpan span) {
  unsigned file_line = 0, column = 0;
  source_position(span, &file_line, &column);
  return json_pack("{s:o, s:i, s:i, s:i}", "file", listing_json_text(span.source->name), "line", (int)file_line, "column", (int)column,
                   "length", (int)span.length);
}

static json_t *diagnostic_json(const Diagnostic *diagnostic) {
  bool has_also = diagnostic->also.source != NULL;
  return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "level", diagnostic->level == DIAGNOSTIC_ERROR ? "error" : "warning", "at",
                   place_json(diagnostic->span), "message", listing_json_text(diagnostic->message), "expected",
                   listing_json_text(diagnostic->expected), "also", has_also ? place_json(diagnostic->also) : json_null(), "also_message",
                   listing_json_text(has_also ? diagnostic->also_message : NULL));
}

/* ---- what an evaluation costs ---- */

/* The phase whose statements are told of. */
typedef struct CostPhase {
  const Ruleset *ruleset;
  Phase phase;
  json_t *walked;
} CostPhase;

static void take_reason(const Statement *statement, const char *reason, void *data) {
  const CostPhase *at = data;
  bool is_rule = statement->kind == STATEMENT_RULE;
  (void)json_array_append_new(
      at->walked,
      json_pack("{s:o, s:o, s:s}", "rule", is_rule ? json_stringn(statement->rule->id.data, statement->rule->id.length) : json_null(), "at",
                place_json(program_span(at->ruleset, at->phase, statement)), "reason", reason));
}

static json_t *cost_json(const Ruleset *ruleset) {
  json_t *phases = json_array();
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    json_t *walked = json_array();
    CostPhase at = {ruleset, phase, walked};
    IndexCost cost = index_cost(ruleset, phase, take_reason, &at);
    if (cost.statements == 0) {
      json_decref(walked);
      continue;
    }
    (void)json_array_append_new(
        phases, json_pack("{s:s, s:i, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "phase", phase_name(phase), "statements",
                          (int)cost.statements, "indexed", ruleset->phases[phase].index != NULL, "facts", (int)cost.facts, "keys",
                          (int)cost.keys, "networks", (int)cost.networks, "texts", (int)cost.literals, "regexes", (int)cost.regexes,
                          "always", (int)cost.always, "always_read", walked));
  }
  return phases;
}

static void print_reason(const Statement *statement, const char *reason, void *data) {
  const CostPhase *at = data;
  SourceSpan span = program_span(at->ruleset, at->phase, statement);
  unsigned line, column;
  source_position(span, &line, &column);
  (void)printf("    %s:%u: %s: %s\n", span.source->name, line, statement->kind == STATEMENT_RULE ? "rule" : "block", reason);
}

static void print_cost(const Ruleset *ruleset) {
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    IndexCost cost = index_cost(ruleset, phase, NULL, NULL);
    if (cost.statements == 0) {
      continue;
    }
    if (ruleset->phases[phase].index == NULL) {
      (void)printf("  %s: %zu rules and blocks, few enough to be read one by one\n", phase_name(phase), cost.statements);
      continue;
    }
    (void)printf(
        "  %s: %zu rules and blocks, of which an evaluation reads those that an index of %zu facts finds "
        "(%zu keys, %zu networks, %zu texts of regexes, %zu regexes without such a text), and always %zu:\n",
        phase_name(phase), cost.statements, cost.facts, cost.keys, cost.networks, cost.literals, cost.regexes, cost.always);
    CostPhase at = {ruleset, phase, NULL};
    (void)index_cost(ruleset, phase, print_reason, &at);
  }
}

static json_t *file_json(const char *path, const Ruleset *ruleset, const Diagnostics *diagnostics) {
  json_t *list = json_array();
  for (size_t i = 0; i < diagnostics_count(diagnostics); i++) {
    (void)json_array_append_new(list, diagnostic_json(diagnostics_get(diagnostics, i)));
  }
  return json_pack("{s:o, s:b, s:i, s:i, s:o}", "file", listing_json_text(path), "ok", ruleset != NULL, "rules",
                   ruleset ? (int)ruleset->rule_count : 0, "tables", ruleset ? (int)ruleset->resource_count : 0, "diagnostics", list);
}

static void print_file(const char *path, const Ruleset *ruleset, const Diagnostics *diagnostics, bool cost) {
  g_autofree char *text = diagnostics_print(diagnostics);
  (void)fputs(text, stderr);
  if (ruleset) {
    (void)printf("%s: ok (%zu %s, %zu %s)\n", path, ruleset->rule_count, ruleset->rule_count == 1 ? "rule" : "rules",
                 ruleset->resource_count, ruleset->resource_count == 1 ? "table or list" : "tables and lists");
    if (cost) {
      print_cost(ruleset);
    }
  }
}

static bool check_file(const char *path, const RulesetOptions *ruleset_options, bool cost, json_t *files) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Ruleset) ruleset = ruleset_load_file(path, ruleset_options, diagnostics);
  if (files) {
    json_t *file = file_json(path, ruleset, diagnostics);
    if (cost && ruleset) {
      (void)json_object_set_new(file, "cost", cost_json(ruleset));
    }
    (void)json_array_append_new(files, file);
  } else {
    print_file(path, ruleset, diagnostics, cost);
  }
  return ruleset != NULL;
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_check, argc, argv);
  DoorSet doors;
  if (line == NULL || !read_doors(line, &doors)) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) == 0) {
    return command_usage_error(&command_check, "which rules file?");
  }
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions ruleset_options = {.enabled_doors = doors,
                                    .pedantic = command_line_has(line, "--pedantic"),
                                    .resources = source,
                                    .strict_tables = true,
                                    .open_resources = true,
                                    .keep_tree = command_line_has(line, "--cost"),
                                    .lint = reply_lint};
  bool all_good = true;
  json_t *files = command_line_has(line, "--json") ? json_array() : NULL;
  for (size_t i = 0; i < command_line_operand_count(line); i++) {
    all_good &= check_file(command_line_operand(line, i), &ruleset_options, command_line_has(line, "--cost"), files);
  }
  resource_source_plain_free(source);
  if (files) {
    (void)listing_json_print(files);
  }
  return all_good ? EXIT_GOOD : EXIT_RULES;
}

static const CommandOption options[] = {
    {"--door", "policy|milter|socketmap", "check for this door; may be given several times; all when not given"},
    {"--pedantic", NULL,
     "warn of enhanced codes that RFC 5248 does not list with the reply code, and of the smaller losses of replies, too"},
    {"--cost", NULL,
     "tell what an evaluation of each phase costs: how many rules and blocks there are, what the index of the phase holds, and which rules "
     "it cannot "
     "hold, with the reason: those are read at each evaluation"},
    {"--json", NULL, "print JSON"},
    {0},
};

const Command command_check = {
    .name = "check",
    .synopsis = "[--door policy|milter|socketmap] [--pedantic] [--cost] [--json] FILE ...",
    .sentence = "reads rules files and tells what is wrong with them",
    .description =
        "Reads each file with all that it includes, and the tables that it names, as the daemons would. Errors and warnings go to the "
        "standard error with "
        "file, line and column, the text they are about, what was expected and the nearest name; a good file is told on the standard "
        "output with the "
        "number of its rules.\n\n"
        "Give the doors that are in use: a fact or an action that none of them has is an error. What a door and the mail server behind it "
        "lose of a reply "
        "(lines, letters, length, the end of the connection) is a warning that names both; explain shows what is left.",
    .options = options,
    .run = run,
};
