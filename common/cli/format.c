/*
 * format.c: `mailreeve format`: rules files in canonical form.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "common/cli/command.h"
#include "common/rules/format.h"
#include "common/rules/parser.h"

extern const Command command_format;

typedef enum FormatMode { FORMAT_PRINT, FORMAT_WRITE, FORMAT_LIST } FormatMode;

/* Puts the new text in the file's place, with the file's mode. */
static bool write_file(const char *path, const char *text) {
  struct stat status;
  g_autoptr(GError) error = NULL;
  int mode = stat(path, &status) == 0 ? (int)(status.st_mode & 07777) : 0644;
  if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, mode, &error)) {
    (void)fprintf(stderr, "mailreeve format: %s\n", error->message);
    return false;
  }
  return true;
}

/* The canonical text and whether it is what stands in the file. NULL: told. */
static char *format_file(const char *path, bool *same) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  const RulesFile *file = rules_parse_file(arena, path, false, diagnostics, &error);
  if (file == NULL) {
    (void)fprintf(stderr, "mailreeve format: %s: %s\n", path, error->message);
    return NULL;
  }
  if (diagnostics_error_count(diagnostics) > 0) {
    g_autofree char *text = diagnostics_print(diagnostics);
    (void)fputs(text, stderr);
    return NULL;
  }
  char *text = rules_format(file);
  *same = slice_equal(file->source->text, slice_from(text));
  return text;
}

/* False when the file is wrong, cannot be written, or (FORMAT_LIST) is not in canonical form. */
static bool do_file(const char *path, FormatMode mode) {
  bool same = false;
  g_autofree char *text = format_file(path, &same);
  if (text == NULL) {
    return false;
  }
  switch (mode) {
    case FORMAT_PRINT:
      (void)fputs(text, stdout);
      return true;
    case FORMAT_WRITE:
      return same || write_file(path, text);
    case FORMAT_LIST:
      if (!same) {
        (void)printf("%s\n", path);
      }
      return same;
  }
  g_assert_not_reached();
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_format, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  bool write = command_line_has(line, "--write"), list = command_line_has(line, "--list");
  if (write && list) {
    return command_usage_error(&command_format, "--write or --list, not both");
  }
  if (command_line_operand_count(line) == 0) {
    return command_usage_error(&command_format, "which rules file?");
  }
  bool all_good = true;
  for (size_t i = 0; i < command_line_operand_count(line); i++) {
    all_good &= do_file(command_line_operand(line, i), write ? FORMAT_WRITE : list ? FORMAT_LIST : FORMAT_PRINT);
  }
  return all_good ? EXIT_GOOD : EXIT_RULES;
}

static const CommandOption options[] = {
    {"--write", NULL, "put the canonical form in the file's place"},
    {"--list", NULL, "print the names of files that are not in canonical form; the exit code is 1 when there are any"},
    {0},
};

const Command command_format = {
    .name = "format",
    .synopsis = "[--write | --list] FILE ...",
    .sentence = "prints rules files in canonical form",
    .description =
        "Indentation, blanks and line ends are made alike; comments stay, and what the rules mean does not change. Files that are included "
        "are "
        "read, and formatted only when they are given too. A file with errors is left as it is.",
    .options = options,
    .run = run,
};
