/*
 * tables.c: `mailreeve tables`: where tables come from, and the types of keys and values.
 */
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/lookup/kinds.h"

extern const Command command_tables;

static const char *class_words(LookupClass lookup_class) {
  switch (lookup_class) {
    case LOOKUP_HERE:
      return "from memory, at once";
    case LOOKUP_AHEAD:
      return "asked ahead, side by side";
    case LOOKUP_REACHED:
      return "asked when the rule is reached";
    case LOOKUP_STATEFUL:
      return "asked last, once an event";
  }
  g_assert_not_reached();
}

static void print_kind(const ResourceKind *kind) {
  (void)printf("%s\n", kind->synopsis);
  listing_field("is", kind->sentence);
  listing_field("asked", class_words(kind->lookup_class));
  listing_field("on error", error_behaviour_name(kind->on_error));
}

static json_t *kind_json(const ResourceKind *kind) {
  return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "name", kind->name, "synopsis", kind->synopsis, "sentence", kind->sentence, "table",
                   (int)kind->is_table, "asked", class_words(kind->lookup_class), "on_error", error_behaviour_name(kind->on_error));
}

static int print_json(void) {
  json_t *kinds = json_array();
  for (const ResourceKind *const *kind = resource_kinds(); *kind; kind++) {
    (void)json_array_append_new(kinds, kind_json(*kind));
  }
  json_t *types = json_array();
  for (int type = 0; type < TYPE_COUNT; type++) {
    (void)json_array_append_new(
        types, json_pack("{s:s, s:s}", "name", value_type_name((ValueType)type), "sentence", value_type_sentence((ValueType)type)));
  }
  return listing_json_print(json_pack("{s:o, s:o}", "kinds", kinds, "types", types));
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_tables, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) > 0) {
    return command_usage_error(&command_tables, "takes no operands");
  }
  if (command_line_has(line, "--json")) {
    return print_json();
  }
  for (const ResourceKind *const *kind = resource_kinds(); *kind; kind++) {
    print_kind(*kind);
  }
  (void)printf("types\n");
  for (int type = 0; type < TYPE_COUNT; type++) {
    listing_field(value_type_name((ValueType)type), value_type_sentence((ValueType)type));
  }
  return EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_tables = {
    .name = "tables",
    .synopsis = "[--json]",
    .sentence = "lists where tables and lists come from, and the types of values",
    .description =
        "Each kind of table or list with how it is declared, when it is asked and what a failure does unless the rules say otherwise; then "
        "the "
        "types of keys and values.",
    .options = options,
    .run = run,
};
