/*
 * doors.c: `mailreeve doors`: what each door sees of each phase and what becomes of an answer, from door.def and capability.def; and each SMTP command,
 * from command.def and command_mta.def.
 */
#include <stdio.h>
#include <string.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/smtp/command.h"

extern const Command command_doors;

static void print_outcomes(OutcomeSet set) {
  g_autoptr(GString) outcomes = g_string_new(NULL);
  for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
    if (set & OUTCOME_BIT(outcome)) {
      g_string_append_printf(outcomes, "%s%s", outcomes->len > 0 ? " " : "", outcome_name((Outcome)outcome));
    }
  }
  listing_field("answers", outcomes->str);
}

static void print_answers(const Capability *row) {
  print_outcomes(row->outcomes);
  g_autoptr(GString) effects = g_string_new(NULL);
  for (int effect = 0; effect < EFFECT_COUNT; effect++) {
    if (row->effects & EFFECT_BIT(effect)) {
      g_string_append_printf(effects, "%s%s", effects->len > 0 ? " " : "", effect_name((EffectKind)effect));
    }
  }
  listing_field("effects", effects->str);
}

static void print_row(const Capability *row) {
  (void)printf("  %s%s\n", phase_name(row->phase), row->seen ? "" : "  (not seen)");
  print_answers(row);
  listing_field("Postfix", row->postfix);
  listing_field("Sendmail", row->sendmail);
}

static json_t *outcomes_json(OutcomeSet set) {
  json_t *outcomes = json_array();
  for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
    if (set & OUTCOME_BIT(outcome)) {
      (void)json_array_append_new(outcomes, json_string(outcome_name((Outcome)outcome)));
    }
  }
  return outcomes;
}

static json_t *row_json(const Capability *row) {
  json_t *effects = json_array();
  for (int effect = 0; effect < EFFECT_COUNT; effect++) {
    if (row->effects & EFFECT_BIT(effect)) {
      (void)json_array_append_new(effects, json_string(effect_name((EffectKind)effect)));
    }
  }
  return json_pack("{s:s, s:b, s:o, s:o, s:s, s:s}", "phase", phase_name(row->phase), "seen", (int)row->seen, "answers",
                   outcomes_json(row->outcomes), "effects", effects, "postfix", row->postfix, "sendmail", row->sendmail);
}

static json_t *door_json(Door door) {
  json_t *rows = json_array();
  for (int phase = 0; phase < PHASE_COUNT; phase++) {
    (void)json_array_append_new(rows, row_json(capability(door, (Phase)phase)));
  }
  return json_pack("{s:s, s:s, s:o}", "name", door_name(door), "sentence", door_sentence(door), "phases", rows);
}

static void print_command(SmtpCommand command) {
  const SmtpCommandInfo *info = smtp_command_info(command);
  (void)printf("%s: %s\n", info->name, info->sentence);
  if (info->table_name != NULL && strcmp(info->table_name, info->name) != 0) {
    (void)printf("  spelled %s in the table of the source\n", info->table_name);
  }
  for (int mta = 0; mta < MTA_COUNT; mta++) {
    SmtpCommandAt at = smtp_command_at(command, (Mta)mta);
    (void)printf("  %s%s\n", mta_title((Mta)mta), at.doors != 0 ? "" : "  (not seen)");
    listing_field_doors("doors", at.doors);
    listing_field_phases("phases", at.phases, NULL);
    print_outcomes(at.outcomes);
    listing_field("is", at.sentence);
  }
}

static json_t *command_json(SmtpCommand command) {
  const SmtpCommandInfo *info = smtp_command_info(command);
  json_t *mtas = json_object();
  for (int mta = 0; mta < MTA_COUNT; mta++) {
    SmtpCommandAt at = smtp_command_at(command, (Mta)mta);
    (void)json_object_set_new(mtas, mta_name((Mta)mta),
                              json_pack("{s:o, s:o, s:o, s:s}", "doors", listing_json_doors(at.doors), "phases",
                                        listing_json_phases(at.phases), "answers", outcomes_json(at.outcomes), "is", at.sentence));
  }
  return json_pack("{s:s, s:s?, s:s, s:o}", "name", info->name, "source_table", info->table_name, "sentence", info->sentence, "mtas", mtas);
}

static int print_json(void) {
  json_t *doors = json_array();
  for (int door = 0; door < DOOR_COUNT; door++) {
    (void)json_array_append_new(doors, door_json((Door)door));
  }
  json_t *commands = json_array();
  for (int command = 0; command < SMTP_COMMAND_COUNT; command++) {
    (void)json_array_append_new(commands, command_json((SmtpCommand)command));
  }
  return listing_json_print(json_pack("{s:o, s:o}", "doors", doors, "commands", commands));
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_doors, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) > 0) {
    return command_usage_error(&command_doors, "takes no operands");
  }
  if (command_line_has(line, "--json")) {
    return print_json();
  }
  for (int door = 0; door < DOOR_COUNT; door++) {
    (void)printf("%s: %s\n", door_name((Door)door), door_sentence((Door)door));
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
      print_row(capability((Door)door, (Phase)phase));
    }
  }
  for (int command = 0; command < SMTP_COMMAND_COUNT; command++) {
    print_command((SmtpCommand)command);
  }
  return EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_doors = {
    .name = "doors",
    .synopsis = "[--json]",
    .sentence = "tells what each door sees, what becomes of each SMTP command, and what can be answered",
    .description =
        "For each door and each phase: whether the mail server asks there, what can be answered, and what Postfix and Sendmail make of an "
        "answer. Then for each SMTP command and each of the two: the doors that it comes through, at which phase, what can be answered, "
        "and "
        "where nobody is asked, why.",
    .options = options,
    .run = run,
};
