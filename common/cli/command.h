/*
 * command.h: commands of mailreeve(1). One descriptor a command, at the end of its file in common/cli/; the list is commands.def.
 *
 * A descriptor's options are what command_line_parse takes, what `mailreeve help COMMAND` prints and what the manual page says.
 */
#ifndef COMMON_CLI_COMMAND_H
#define COMMON_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

enum { EXIT_GOOD = 0, EXIT_RULES = 1, EXIT_USAGE = 2, EXIT_FAILED = 3 };

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
/* NULL: there is none. */
const Command *command_find(const char *name);
/* The name of a command that looks like it, or NULL. */
const char *command_nearest(const char *name);
/* The usage line, synopsis, options: what `mailreeve help COMMAND` prints. Transfer full. */
char *command_help(const Command *command) G_GNUC_WARN_UNUSED_RESULT;
/* "mailreeve COMMAND: text" on stderr with a line that leads to the help; returns EXIT_USAGE. */
int command_usage_error(const Command *command, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* A command line, taken apart by the command's options. */
typedef struct CommandLine CommandLine;

/*
 * `--flag value`, `--flag=value`, operands anywhere; behind `--` all are operands. Anything that is no option of the command, or lacks its value, is told on stderr
 * and gives NULL: return EXIT_USAGE then. Texts are borrowed from argv.
 */
CommandLine *command_line_parse(const Command *command, int argc, char **argv);
void command_line_free(CommandLine *line);
bool command_line_has(const CommandLine *line, const char *flag);
/* The last value given, or NULL. */
const char *command_line_value(const CommandLine *line, const char *flag);
/* All values given, in order, NULL-terminated. Transfer full (the array only). */
const char **command_line_values(const CommandLine *line, const char *flag);
size_t command_line_operand_count(const CommandLine *line);
const char *command_line_operand(const CommandLine *line, size_t index);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandLine, command_line_free)

#endif
