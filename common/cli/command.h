/*
 * command.h: commands of mailreeve(1). One descriptor a command, at the end of its file in common/cli/; the list is commands.def.
 */
#ifndef COMMON_CLI_COMMAND_H
#define COMMON_CLI_COMMAND_H

#include <stdbool.h>

enum { EXIT_GOOD = 0, EXIT_RULES = 1, EXIT_USAGE = 2 };

typedef struct CommandOption {
  const char *flag;     /* "--client-address" */
  const char *value;    /* "ADDRESS"; NULL: a switch */
  const char *sentence;
} CommandOption;

typedef struct Command {
  const char *name;      /* "check" */
  const char *synopsis;  /* "FILE" */
  const char *sentence;
  const char *description; /* for the manual: plain paragraphs, blank line between */
  const CommandOption *options; /* ends in {0}; NULL: none */
  /* argv[0] is the command's name. Returns the exit code. */
  int (*run)(int argc, char **argv);
} Command;

const Command *const *commands_all(void); /* NULL-terminated */

#endif
