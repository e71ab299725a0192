/*
 * command.c: the tables of command.def and command_mta.def.
 */
#include "common/smtp/command.h"

#include <glib.h>

/* Answers that are heard, of those that a door can give. */
#define HEARD_NONE ((OutcomeSet)0)
#define HEARD_ALL ((OutcomeSet) ~(OutcomeSet)0)
#define HEARD_DISCONNECT ((OutcomeSet)(OUTCOME_BIT(OUTCOME_PASS) | OUTCOME_BIT(OUTCOME_ACCEPT) | OUTCOME_BIT(OUTCOME_DISCONNECT)))

typedef struct Row {
  DoorSet doors;
  PhaseSet phases;
  OutcomeSet heard;
  const char *sentence;
} Row;

static const SmtpCommandInfo commands[SMTP_COMMAND_COUNT] = {
#define COMMAND(symbol, name, table_name, sentence) {name, table_name, sentence},
#include "common/smtp/command.def"
#undef COMMAND
};

/* So that a row can join several with |. */
enum {
#define DOOR(symbol, name, sentence) BY_##symbol = DOOR_BIT(DOOR_##symbol),
#include "common/smtp/door.def"
#undef DOOR
};
enum {
#define PHASE(symbol, name, command, needs_message, sentence) AT_##symbol = PHASE_BIT(PHASE_##symbol),
#include "common/smtp/phase.def"
#undef PHASE
};

static const Row places[SMTP_COMMAND_COUNT][MTA_COUNT] = {
#define COMMAND_AT(command, mta, door_set, phase_set, heard_set, text) \
  [SMTP_COMMAND_##command][MTA_##mta] = {.doors = door_set, .phases = phase_set, .heard = heard_set, .sentence = text},
#include "common/smtp/command_mta.def"
#undef COMMAND_AT
};

const SmtpCommandInfo *smtp_command_info(SmtpCommand command) {
  return &commands[command];
}

SmtpCommandAt smtp_command_at(SmtpCommand command, Mta mta) {
  const Row *row = &places[command][mta];
  OutcomeSet outcomes = 0;
  for (int door = 0; door < DOOR_COUNT; door++)
    for (int phase = 0; phase < PHASE_COUNT; phase++)
      if ((row->doors & DOOR_BIT(door)) && (row->phases & PHASE_BIT(phase)))
        outcomes |= capability((Door)door, (Phase)phase)->outcomes;
  return (SmtpCommandAt){row->doors, row->phases, outcomes & row->heard, row->sentence};
}

static Slice first_word(Slice text) {
  size_t length = 0;
  while (length < text.length && !g_ascii_isspace(text.data[length]))
    length++;
  return slice_make(text.data, length);
}

SmtpCommand smtp_command_of_line(Slice line) {
  Slice verb = first_word(line);
  for (int command = 0; command < SMTP_COMMAND_OTHER; command++)
    if (slice_equal_fold(verb, first_word(slice_from(commands[command].name))))
      return (SmtpCommand)command;
  return SMTP_COMMAND_OTHER;
}
