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

enum { PLACES_OF_A_REASON = 5 };

/* The phase that is told of. */
typedef struct CostPhase {
  const Ruleset *ruleset;
  Phase phase;
  json_t *walked, *facts; /* for JSON */
  GHashTable *reasons;    /* for people: reason -> how many statements */
  GPtrArray *order;       /* the reasons, each once */
  size_t shown;           /* facts */
} CostPhase;

static void take_reason(const Statement *statement, bool inside, const char *reason, void *data) {
  const CostPhase *at = data;
  bool is_rule = statement->kind == STATEMENT_RULE;
  (void)json_array_append_new(
      at->walked,
      json_pack("{s:o, s:o, s:b, s:s}", "rule", is_rule ? json_stringn(statement->rule->id.data, statement->rule->id.length) : json_null(),
                "at", place_json(program_span(at->ruleset, at->phase, statement)), "in_block", inside, "reason", reason));
}

static void take_fact(const IndexFact *fact, void *data) {
  const CostPhase *at = data;
  (void)json_array_append_new(at->facts, json_pack("{s:s, s:i, s:i, s:i, s:i}", "fact", fact->name, "keys", (int)fact->keys, "networks",
                                                   (int)fact->networks, "texts", (int)fact->literals, "regexes", (int)fact->regexes));
}

static json_t *cost_json(const Ruleset *ruleset) {
  json_t *phases = json_array();
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    CostPhase at = {.ruleset = ruleset, .phase = phase, .walked = json_array(), .facts = json_array()};
    IndexCost cost = index_cost(ruleset, phase, &(IndexVisitor){take_reason, take_fact, &at});
    if (cost.statements == 0) {
      json_decref(at.walked);
      json_decref(at.facts);
      continue;
    }
    (void)json_array_append_new(
        phases,
        json_pack("{s:s, s:i, s:b, s:i, s:i, s:i, s:i, s:i, s:o, s:i, s:i, s:o}", "phase", phase_name(phase), "statements",
                  (int)cost.statements, "indexed", ruleset->phases[phase].index != NULL, "facts", (int)cost.facts, "keys", (int)cost.keys,
                  "networks", (int)cost.networks, "texts", (int)cost.literals, "regexes", (int)cost.regexes, "probes", at.facts, "always",
                  (int)(cost.always - cost.inside), "in_blocks", (int)cost.inside, "always_read", at.walked));
  }
  return phases;
}

static const char *plural(size_t count) {
  return count == 1 ? "" : "s";
}

static void print_part(const char **before, size_t count, const char *what) {
  if (count > 0) {
    (void)printf("%s%zu %s%s", *before, count, what, plural(count));
    *before = ", ";
  }
}

static void print_fact(const IndexFact *fact, void *data) {
  CostPhase *at = data;
  const char *before = " (";
  (void)printf("%s%s", at->shown++ > 0 ? ", " : "", fact->name);
  print_part(&before, fact->keys, "key");
  print_part(&before, fact->networks, "network");
  print_part(&before, fact->literals + fact->regexes, "regex text");
  (void)printf(")");
}

/* A reason that many rules have is not told of each. */
static void print_reason(const Statement *statement, bool inside, const char *reason, void *data) {
  CostPhase *at = data;
  size_t before = GPOINTER_TO_SIZE(g_hash_table_lookup(at->reasons, reason));
  g_hash_table_insert(at->reasons, (gpointer)reason, GSIZE_TO_POINTER(before + 1));
  if (before == 0) {
    g_ptr_array_add(at->order, (gpointer)reason);
  }
  if (before >= PLACES_OF_A_REASON) {
    return;
  }
  SourceSpan span = program_span(at->ruleset, at->phase, statement);
  unsigned line, column;
  source_position(span, &line, &column);
  (void)printf("      %s:%u: ", span.source->name, line);
  if (statement->kind == STATEMENT_BLOCK) {
    (void)printf(statement->condition != NULL ? "when" : "else");
  } else if (slice_find(statement->rule->id, ':') < 0) {
    (void)printf("[%.*s]", SLICE_ARGS(statement->rule->id));
  } else {
    (void)printf("rule");
  }
  (void)printf("%s: %s\n", inside ? " in a block" : "", reason);
}

static void print_reasons(CostPhase *at) {
  at->reasons = g_hash_table_new(g_str_hash, g_str_equal);
  at->order = g_ptr_array_new();
  (void)index_cost(at->ruleset, at->phase, &(IndexVisitor){print_reason, NULL, at});
  for (guint i = 0; i < at->order->len; i++) {
    size_t count = GPOINTER_TO_SIZE(g_hash_table_lookup(at->reasons, at->order->pdata[i]));
    if (count > PLACES_OF_A_REASON) {
      (void)printf("      and %zu more: %s\n", count - PLACES_OF_A_REASON, (const char *)at->order->pdata[i]);
    }
  }
  g_ptr_array_unref(at->order);
  g_hash_table_unref(at->reasons);
}

static void print_index(CostPhase *at, const IndexCost *cost) {
  size_t outside = cost->always - cost->inside;
  (void)printf("    probes      %zu fact%s: ", cost->facts, plural(cost->facts));
  (void)index_cost(at->ruleset, at->phase, &(IndexVisitor){NULL, print_fact, at});
  (void)printf("\n    regexes     ");
  if (cost->literals + cost->regexes == 0) {
    (void)printf("none\n");
  } else if (cost->regexes == 0) {
    (void)printf("found by %zu text%s that must be there\n", cost->literals, plural(cost->literals));
  } else {
    (void)printf("found by %zu text%s that must be there, and %zu without such a text, which libhs looks for\n", cost->literals,
                 plural(cost->literals), cost->regexes);
  }
  (void)printf("    candidates  what the index finds");
  if (outside > 0) {
    (void)printf(", always %zu", outside);
  }
  if (cost->inside > 0) {
    (void)printf(", and %zu more in blocks that are entered", cost->inside);
  }
  (void)printf("%s\n", cost->always > 0 ? ":" : "");
  print_reasons(at);
}

static void print_cost(const Ruleset *ruleset) {
  for (Phase phase = 0; phase < PHASE_COUNT; phase++) {
    CostPhase at = {.ruleset = ruleset, .phase = phase};
    IndexCost cost = index_cost(ruleset, phase, NULL);
    if (cost.statements == 0) {
      continue;
    }
    (void)printf("  %s: ", phase_name(phase));
    const char *before = "";
    print_part(&before, cost.statements - cost.blocks, "rule");
    print_part(&before, cost.blocks, "block");
    if (ruleset->phases[phase].index != NULL) {
      (void)printf("\n");
      print_index(&at, &cost);
    } else if (cost.facts > 0) {
      (void)printf(", few enough to be read one by one\n");
    } else {
      (void)printf(", read one by one: an index can hold none:\n");
      print_reasons(&at);
    }
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
     "tell what an evaluation of each phase costs: probes, the facts that the index looks up and what it holds of each; regexes; "
     "candidates, the rules "
     "and blocks that are read: what the index finds, and always those that it cannot hold, each with the reason"},
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
