/*
 * help.c: `mailreeve help`: what the commands are, or one command's usage and options, from their descriptors.
 */
#include <stdio.h>

#include "common/cli/command.h"

extern const Command command_help_command;

static void print_overview(void) {
  (void)printf("usage: mailreeve COMMAND [options] ...\n\ncommands:\n");
  for (const Command *const *command = commands_all(); *command; command++) {
    (void)printf("  %-10s %s\n", (*command)->name, (*command)->sentence);
  }
  (void)printf("\nmailreeve help COMMAND tells more; mailreeve --version prints the version.\n");
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_help_command, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) > 1) {
    return command_usage_error(&command_help_command, "one command at a time");
  }
  if (command_line_operand_count(line) == 0) {
    print_overview();
    return EXIT_GOOD;
  }
  const char *name = command_line_operand(line, 0);
  const Command *command = command_find(name);
  if (command == NULL) {
    const char *nearest = command_nearest(name);
    return command_usage_error(&command_help_command, "there is no command %s%s%s", name, nearest ? "; nearest: " : "",
                               nearest ? nearest : "");
  }
  g_autofree char *text = command_help(command);
  (void)fputs(text, stdout);
  return EXIT_GOOD;
}

const Command command_help_command = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .sentence = "tells what the commands are, or how one is used",
    .description = "",
    .run = run,
};
