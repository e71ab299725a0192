/*
 * table.c: `mailreeve table test`: what a table or list of a rules file says of a key, and by which of its entries.
 */
#include <stdio.h>

#include "common/base/limits.h"
#include "common/cli/answerer.h"
#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/lookup/kinds.h"
#include "common/lookup/map_key.h"
#include "common/rules/program.h"

extern const Command command_table;

typedef struct TableTest {
  Arena *arena;
  Answerer *answerer;
  const ResourceUse *use;
  json_t *told; /* NULL: as text */
  bool any_missing, any_failed;
} TableTest;

/* Asks what is not in memory. */
static void ask(TableTest *test, const Value *keys, ResourceAnswer *result) {
  Resource *resource = test->use->resource;
  g_autoptr(Question) question = resource->kind->ask(resource, keys, test->arena);
  if (question == NULL) {
    return;
  }
  g_autoptr(Answer) answer = answerer_ask(test->answerer, question);
  if (answer == NULL || answer->state == ANSWER_FAILED) {
    result->state = ANSWER_FAILED;
    result->reason = answer ? arena_printf(test->arena, "%s", answer->reason) : "no answer within the deadline";
    return;
  }
  resource->kind->read(resource, keys, answer, test->arena, result);
  result->value = value_copy(test->arena, &result->value);
}

static void look_up(TableTest *test, const Value *keys, ResourceAnswer *result) {
  *result = (ResourceAnswer){.state = ANSWER_NOT_FOUND, .value = VALUE_NONE};
  const ResourceUse *use = test->use;
  if (use->keyset) {
    if (keyset_find_entry(use->keyset, keys, &result->value, &result->entry)) {
      result->state = ANSWER_FOUND;
    }
  } else if (use->lookup_class == LOOKUP_HERE) {
    ResourceVersion *version = resource_pin(use->resource);
    use->resource->kind->find(version, keys, test->arena, result);
    result->value = value_copy(test->arena, &result->value);
    result->entry = slice_copy(test->arena, result->entry);
    resource_version_unref(version);
  } else {
    ask(test, keys, result);
  }
}

static const char *state_name(AnswerState state) {
  switch (state) {
    case ANSWER_FOUND:
      return "found";
    case ANSWER_NOT_FOUND:
      return "not found";
    case ANSWER_FAILED:
      return "failed";
  }
  g_assert_not_reached();
}

/* What was there: the entry of a table, the code of a list. */
static Slice found_by(const ResourceAnswer *result) {
  return result->code.length ? result->code : result->entry;
}

static void tell_text(TableTest *test, const char *key, const ResourceAnswer *result, Slice tries) {
  Arena *arena = test->arena;
  Slice shown = slice_quote(arena, slice_from(key), LIMIT_TABLE_LINE);
  Slice by = slice_quote(arena, found_by(result), LIMIT_TABLE_LINE);
  (void)printf("%.*s: %s", SLICE_ARGS(shown), state_name(result->state));
  if (result->state == ANSWER_FAILED) {
    (void)printf(": %s", result->reason);
  } else if (result->state == ANSWER_FOUND && by.length) {
    (void)printf(" by %.*s", SLICE_ARGS(by));
  }
  if (result->state == ANSWER_FOUND && test->use->shape.has_value) {
    Slice value = slice_quote(arena, value_format(arena, &result->value), LIMIT_TABLE_LINE);
    (void)printf(" -> %.*s", SLICE_ARGS(value));
  }
  (void)putchar('\n');
  if (tries.length && !slice_equal(tries, slice_from(key))) {
    Slice list = slice_quote(arena, tries, LIMIT_TABLE_LINE);
    (void)printf("    looked up, in this order: %.*s\n", SLICE_ARGS(list));
  }
}

static json_t *slice_json(Arena *arena, bool is_there, Slice text) {
  return listing_json_text(is_there ? slice_to_string(arena, text) : NULL);
}

static void tell_json(TableTest *test, const char *key, const ResourceAnswer *result, Slice tries) {
  Arena *arena = test->arena;
  bool found = result->state == ANSWER_FOUND;
  Slice by = found_by(result);
  json_t *told = json_pack("{s:o, s:s}", "key", listing_json_text(key), "state", state_name(result->state));
  (void)json_object_set_new(told, "by", slice_json(arena, found && by.length > 0, by));
  (void)json_object_set_new(told, "value", slice_json(arena, found && test->use->shape.has_value, value_format(arena, &result->value)));
  (void)json_object_set_new(told, "reason", listing_json_text(result->state == ANSWER_FAILED ? result->reason : NULL));
  (void)json_object_set_new(told, "tried", slice_json(arena, tries.length > 0, tries));
  (void)json_array_append_new(test->told, told);
}

/* What was looked up, in order; the first that was there answered. */
static Slice tries_of(const TableTest *test, const Value *keys) {
  const ResourceUse *use = test->use;
  if (use->keyset) {
    return map_key_tries_in_memory(&use->shape, keys, test->arena);
  }
  return use->resource->kind->tries ? use->resource->kind->tries(&use->shape, keys, test->arena) : SLICE_EMPTY;
}

static void test_key(TableTest *test, const char *shown, const Value *keys) {
  ResourceAnswer result;
  look_up(test, keys, &result);
  test->any_missing |= result.state == ANSWER_NOT_FOUND;
  test->any_failed |= result.state == ANSWER_FAILED;
  Slice tries = tries_of(test, keys);
  if (test->told) {
    tell_json(test, shown, &result, tries);
  } else {
    tell_text(test, shown, &result, tries);
  }
}

static bool read_part(TableTest *test, ValueType type, const char *text, Value *value) {
  const char *problem;
  Slice right_form;
  /* What is asked is an address where the entries are networks. */
  if (value_parse(test->arena, type == TYPE_NET ? TYPE_IP : type, slice_from(text), value, &problem, &right_form)) {
    return true;
  }
  (void)command_usage_error(&command_table, "%s is no key of type %s: %s", text, value_type_name(type == TYPE_NET ? TYPE_IP : type),
                            problem);
  return false;
}

static int test_keys(TableTest *test, const CommandLine *line) {
  const KeysetShape *shape = &test->use->shape;
  size_t parts = shape->part_count, count = command_line_operand_count(line) - 3;
  if (count % parts != 0) {
    return command_usage_error(&command_table, "a key of this table has %zu parts", parts);
  }
  Value *keys = ARENA_NEW_ARRAY(test->arena, Value, count);
  for (size_t i = 0; i < count; i++) {
    if (!read_part(test, shape->parts[i % parts], command_line_operand(line, i + 3), &keys[i])) {
      return EXIT_USAGE;
    }
  }
  for (size_t i = 0; i < count; i += parts) {
    GString *shown = g_string_new(command_line_operand(line, i + 3));
    for (size_t j = 1; j < parts; j++) {
      g_string_append_printf(shown, ", %s", command_line_operand(line, i + j + 3));
    }
    test_key(test, shown->str, &keys[i]);
    (void)g_string_free(shown, TRUE);
  }
  if (test->told) {
    (void)listing_json_print(g_steal_pointer(&test->told));
  }
  return test->any_failed ? EXIT_FAILED : test->any_missing ? EXIT_RULES : EXIT_GOOD;
}

static const ResourceUse *find_use(const Ruleset *ruleset, const char *name) {
  for (size_t i = 0; i < ruleset->resource_count; i++) {
    if (slice_equal(ruleset->resources[i]->name, slice_from(name))) {
      return ruleset->resources[i];
    }
  }
  return NULL;
}

static int test_file(TableTest *test, const CommandLine *line, ResourceSource *source) {
  const char *path = command_line_operand(line, 1), *name = command_line_operand(line, 2);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = source, .open_resources = true};
  g_autoptr(Ruleset) ruleset = ruleset_load_file(path, &options, diagnostics);
  if (ruleset == NULL) {
    g_autofree char *problems = diagnostics_print(diagnostics);
    (void)fputs(problems, stderr);
    return EXIT_FAILED;
  }
  test->use = find_use(ruleset, name);
  if (test->use == NULL) {
    return command_usage_error(&command_table, "%s declares no table or list %s", path, name);
  }
  return test_keys(test, line);
}

static int run_test(const CommandLine *line) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Answerer) answerer = answerer_real_new(command_line_value(line, "--resolver"), &error);
  if (answerer == NULL) {
    (void)fprintf(stderr, "mailreeve table: %s\n", error->message);
    return EXIT_FAILED;
  }
  TableTest test = {.arena = arena, .answerer = answerer};
  test.told = command_line_has(line, "--json") ? json_array() : NULL;
  ResourceContext context = answerer_context(answerer);
  ResourceSource *source = resource_source_plain_new(&context);
  int code = test_file(&test, line, source);
  resource_source_plain_free(source);
  json_decref(test.told);
  return code;
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_table, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  const char *word = command_line_operand_count(line) > 0 ? command_line_operand(line, 0) : NULL;
  if (word == NULL || !g_str_equal(word, "test")) {
    return command_usage_error(&command_table, "expected test FILE NAME KEY ...");
  }
  if (command_line_operand_count(line) < 4) {
    return command_usage_error(&command_table, "which rules file, table and key?");
  }
  return run_test(line);
}

static const CommandOption options[] = {
    {"--resolver", "HOST[@PORT]", "the DNS server to ask about DNS lists; the system's when not given"},
    {"--json", NULL, "print JSON"},
    {0},
};

const Command command_table = {
    .name = "table",
    .synopsis = "test [--resolver HOST[@PORT]] [--json] FILE NAME KEY ...",
    .sentence = "looks keys up in a table or list of a rules file",
    .description =
        "Opens the tables of the rules as the daemons would and tells of each key whether it was found, by which entry and with which "
        "value, not found, or could not be looked up, and why; then what is looked up for it, in order, where that is more than the key "
        "itself: the first "
        "that is there answers. The parts of a key of several values follow each other.\n\n"
        "It exits with 0 when all keys were found, 1 when one was not found, 3 when a look-up failed or the rules have errors.",
    .options = options,
    .run = run,
};
