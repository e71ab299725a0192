/*
 * facts.c: `mailreeve facts`: what rules can read, from fact.def.
 */
#include <stdio.h>

#include "common/base/diagnostics.h"
#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/smtp/fact.h"
#include "common/smtp/record.h"

extern const Command command_facts;

static const char *sentinel_words(FactSentinel empty) {
  switch (empty) {
    case SENTINEL_EMPTY:
      return "unset when empty";
    case SENTINEL_NEVER:
      return "never unset; empty is a value";
    case SENTINEL_UNKNOWN_NAME:
      return "unset when empty, unknown, or an address in brackets";
    case SENTINEL_ZERO:
      return "unset when empty or 0";
  }
  g_assert_not_reached();
}

static const char *source_words(const char *source) {
  if (source == NULL) {
    return "never";
  }
  return source[0] == '\0' ? "known to the daemon itself" : source;
}

static bool has_records(const FactInfo *info) {
  return info->type == TYPE_LIST && info->element_type == TYPE_RECORD;
}

/* What the elements of a list of records have of their own: "name (string): its file name ...". */
static void print_fields(Arena *arena, RecordKind kind) {
  for (size_t i = 0; i < record_field_count(kind); i++) {
    const RecordField *field = record_field(kind, i);
    listing_field(i == 0 ? "each has" : "", arena_printf(arena, "%s (%s): %s", field->name, value_type_name(field->type), field->sentence));
  }
}

static void print_fact(const FactInfo *info) {
  g_autoptr(Arena) arena = arena_new(0);
  (void)printf("%s  (%s, %s)\n", info->name, fact_type_words(arena, info), scope_name(info->scope));
  listing_field("is", info->sentence);
  if (has_records(info)) {
    print_fields(arena, info->record);
  }
  listing_field_phases("phases", info->phases, "none");
  listing_field("policy", source_words(info->policy_source));
  listing_field("milter", source_words(info->milter_source));
  listing_field("socketmap", source_words(info->socketmap_source));
  listing_field("empty", sentinel_words(info->empty));
  listing_field("form", info->normal_form);
}

static json_t *fields_json(RecordKind kind) {
  json_t *fields = json_array();
  for (size_t i = 0; i < record_field_count(kind); i++) {
    const RecordField *field = record_field(kind, i);
    (void)json_array_append_new(
        fields, json_pack("{s:s, s:s, s:s}", "name", field->name, "type", value_type_name(field->type), "sentence", field->sentence));
  }
  return fields;
}

static json_t *fact_json(const FactInfo *info) {
  json_t *names = json_null();
  if (info->enum_names) {
    names = json_array();
    for (const char *const *name = info->enum_names; *name; name++) {
      (void)json_array_append_new(names, json_string(*name));
    }
  }
  json_t *fact =
      json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:o}", "name", info->name, "type", value_type_name(info->type), "scope",
                scope_name(info->scope), "phases", listing_json_phases(info->phases), "policy", listing_json_text(info->policy_source),
                "milter", listing_json_text(info->milter_source), "socketmap", listing_json_text(info->socketmap_source), "empty",
                sentinel_words(info->empty), "normal_form", info->normal_form, "sentence", info->sentence, "names", names);
  (void)json_object_set_new(fact, "elements", info->type == TYPE_LIST ? json_string(value_type_name(info->element_type)) : json_null());
  (void)json_object_set_new(fact, "fields", has_records(info) ? fields_json(info->record) : json_null());
  return fact;
}

/* The facts that were named, or all. False when a name is none: told. */
static bool choose(const CommandLine *line, bool chosen[FACT_COUNT]) {
  size_t count = command_line_operand_count(line);
  for (int i = 0; i < FACT_COUNT; i++) {
    chosen[i] = count == 0;
  }
  for (size_t i = 0; i < count; i++) {
    const char *name = command_line_operand(line, i);
    Fact fact;
    if (!fact_from_name(slice_from(name), &fact)) {
      const char *nearest = nearest_name(slice_from(name), fact_names());
      (void)command_usage_error(&command_facts, "there is no fact %s%s%s", name, nearest ? "; nearest: " : "", nearest ? nearest : "");
      return false;
    }
    chosen[fact] = true;
  }
  return true;
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_facts, argc, argv);
  bool chosen[FACT_COUNT];
  if (line == NULL || !choose(line, chosen)) {
    return EXIT_USAGE;
  }
  bool as_json = command_line_has(line, "--json");
  json_t *facts = as_json ? json_array() : NULL;
  for (int i = 0; i < FACT_COUNT; i++) {
    if (chosen[i] && as_json) {
      (void)json_array_append_new(facts, fact_json(fact_info((Fact)i)));
    } else if (chosen[i]) {
      print_fact(fact_info((Fact)i));
    }
  }
  return as_json ? listing_json_print(facts) : EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_facts = {
    .name = "facts",
    .synopsis = "[--json] [NAME ...]",
    .sentence = "lists what rules can read",
    .description =
        "Each fact with its type, its scope, the phases where rules may read it, where each door has it from, and what the mail server "
        "says "
        "when there is none.",
    .options = options,
    .run = run,
};
