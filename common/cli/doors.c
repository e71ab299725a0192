/*
 * doors.c: `mailreeve doors`: what each door sees of each phase and what becomes of an answer, from door.def and capability.def.
 */
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/smtp/capability.h"

extern const Command command_doors;

static void print_answers(const Capability *row) {
  g_autoptr(GString) outcomes = g_string_new(NULL);
  for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
    if (row->outcomes & OUTCOME_BIT(outcome)) {
      g_string_append_printf(outcomes, "%s%s", outcomes->len > 0 ? " " : "", outcome_name((Outcome)outcome));
    }
  }
  g_autoptr(GString) effects = g_string_new(NULL);
  for (int effect = 0; effect < EFFECT_COUNT; effect++) {
    if (row->effects & EFFECT_BIT(effect)) {
      g_string_append_printf(effects, "%s%s", effects->len > 0 ? " " : "", effect_name((EffectKind)effect));
    }
  }
  listing_field("answers", outcomes->str);
  listing_field("effects", effects->str);
}

static void print_row(const Capability *row) {
  (void)printf("  %s%s\n", phase_name(row->phase), row->seen ? "" : "  (not seen)");
  print_answers(row);
  listing_field("Postfix", row->postfix);
  listing_field("Sendmail", row->sendmail);
}

static json_t *row_json(const Capability *row) {
  json_t *outcomes = json_array();
  for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
    if (row->outcomes & OUTCOME_BIT(outcome)) {
      (void)json_array_append_new(outcomes, json_string(outcome_name((Outcome)outcome)));
    }
  }
  json_t *effects = json_array();
  for (int effect = 0; effect < EFFECT_COUNT; effect++) {
    if (row->effects & EFFECT_BIT(effect)) {
      (void)json_array_append_new(effects, json_string(effect_name((EffectKind)effect)));
    }
  }
  return json_pack("{s:s, s:b, s:o, s:o, s:s, s:s}", "phase", phase_name(row->phase), "seen", (int)row->seen, "answers", outcomes,
                   "effects", effects, "postfix", row->postfix, "sendmail", row->sendmail);
}

static json_t *door_json(Door door) {
  json_t *rows = json_array();
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    (void)json_array_append_new(rows, row_json(capability(door, (Phase)phase)));
  }
  return json_pack("{s:s, s:s, s:o}", "name", door_name(door), "sentence", door_sentence(door), "phases", rows);
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_doors, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) > 0) {
    return command_usage_error(&command_doors, "takes no operands");
  }
  bool as_json = command_line_has(line, "--json");
  json_t *doors = as_json ? json_array() : NULL;
  for (int door = 0; door < DOOR_COUNT; door++) {
    if (as_json) {
      (void)json_array_append_new(doors, door_json((Door)door));
      continue;
    }
    (void)printf("%s: %s\n", door_name((Door)door), door_sentence((Door)door));
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
      print_row(capability((Door)door, (Phase)phase));
    }
  }
  return as_json ? listing_json_print(doors) : EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_doors = {
    .name = "doors",
    .synopsis = "[--json]",
    .sentence = "tells what each door sees and what can be answered there",
    .description =
        "For each door, the policy protocol and the milter, and each phase: whether the mail server asks there, what can be answered, and "
        "what "
        "Postfix and Sendmail make of an answer.",
    .options = options,
    .run = run,
};
