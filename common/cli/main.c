/*
 * main.c: mailreeve(1): finds the command and runs it.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/cli/command.h"
#include "common/rules/regex_set.h"

static int unknown_command(const char *name) {
  const char *nearest = command_nearest(name);
  (void)fprintf(stderr, "mailreeve: there is no command %s%s%s\nsee: mailreeve help\n", name, nearest ? "; nearest: " : "",
                nearest ? nearest : "");
  return EXIT_USAGE;
}

static int run_command(int argc, char **argv) {
  if (argc < 2) {
    char *help[] = {"help", NULL};
    (void)command_find("help")->run(1, help);
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "--version") == 0) {
    const char *libhs = regex_set_engine();
    (void)printf("mailreeve %s (%s%s)\n", PACKAGE_VERSION, libhs ? "with libhs " : "without libhs", libhs ? libhs : "");
    return EXIT_GOOD;
  }
  const char *name = strcmp(argv[1], "--help") == 0 ? "help" : argv[1];
  const Command *command = command_find(name);
  if (command == NULL) {
    return unknown_command(name);
  }
  char **arguments = argv + 1;
  for (int i = 1; i < argc - 1; i++) {
    if (strcmp(arguments[i], "--") == 0) {
      break;
    }
    if (strcmp(arguments[i], "--help") == 0) {
      g_autofree char *text = command_help(command);
      (void)fputs(text, stdout);
      return EXIT_GOOD;
    }
  }
  return command->run(argc - 1, arguments);
}

int main(int argc, char **argv) {
  int code = run_command(argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    (void)fprintf(stderr, "mailreeve: cannot write to the output\n");
    return EXIT_USAGE;
  }
  return code;
}
