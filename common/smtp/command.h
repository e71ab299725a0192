/*
 * command.h: what an SMTP client can say, and for each mail server whether rules see it, through which doors, and what can be answered.
 *
 * command.def has the commands, command_mta.def one row for each of them and each MTA. What a door can answer at a phase is capability.def's to say; a row
 * here only says where a command ends up. tests/mta/test_commands.py sends each command to both real MTAs and compares.
 */
#ifndef COMMON_SMTP_COMMAND_H
#define COMMON_SMTP_COMMAND_H

#include "common/smtp/capability.h"
#include "common/smtp/mta.h"

typedef enum SmtpCommand {
#define COMMAND(symbol, name, table_name, sentence) SMTP_COMMAND_##symbol,
#include "common/smtp/command.def"
#undef COMMAND
  SMTP_COMMAND_COUNT
} SmtpCommand;

typedef struct SmtpCommandInfo {
  const char *name;       /* "MAIL FROM"; its first word is the verb */
  const char *table_name; /* the spelling of the source table; NULL when the command is not in it */
  const char *sentence;
} SmtpCommandInfo;

typedef struct SmtpCommandAt {
  DoorSet doors;        /* the MTA asks through these; empty when it asks nobody */
  PhaseSet phases;      /* at these phases; empty when it asks nobody */
  OutcomeSet outcomes;  /* what the client can be told by a rule through one of the doors; empty when nobody is asked */
  const char *sentence; /* what becomes of an answer, or why none can be given */
} SmtpCommandAt;

const SmtpCommandInfo *smtp_command_info(SmtpCommand command);
SmtpCommandAt smtp_command_at(SmtpCommand command, Mta mta);
/* The command of a line that begins with its verb, in upper or lower case; OTHER when no row has it. */
SmtpCommand smtp_command_of_line(Slice line);

#endif
