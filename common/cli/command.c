/*
 * command.c: the list of commands, their help, and their command lines.
 */
#include "common/cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/diagnostics.h"

#define COMMAND(descriptor) extern const Command descriptor;
#include "common/cli/commands.def"
#undef COMMAND

const Command *const *commands_all(void) {
  static const Command *const commands[] = {
#define COMMAND(descriptor) &descriptor,
#include "common/cli/commands.def"
#undef COMMAND
      NULL,
  };
  return commands;
}

const char *command_nearest(const char *name) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (const Command *const *command = commands_all(); *command; command++) {
    g_ptr_array_add(names, (gpointer)(*command)->name);
  }
  g_ptr_array_add(names, NULL);
  return nearest_name(slice_from(name), (const char *const *)names->pdata);
}

const Command *command_find(const char *name) {
  for (const Command *const *command = commands_all(); *command; command++) {
    if (strcmp((*command)->name, name) == 0) {
      return *command;
    }
  }
  return NULL;
}

char *command_help(const Command *command) {
  GString *text = g_string_new(NULL);
  g_string_append_printf(text, "usage: mailreeve %s%s%s\n\n%s.\n", command->name, command->synopsis[0] != '\0' ? " " : "",
                         command->synopsis, command->sentence);
  if (command->description[0] != '\0') {
    g_string_append_printf(text, "\n%s\n", command->description);
  }
  if (command->options) {
    g_string_append(text, "\noptions:\n");
  }
  for (const CommandOption *option = command->options; option && option->flag; option++) {
    g_autofree char *left = g_strdup_printf("%s%s%s", option->flag, option->value ? " " : "", option->value ? option->value : "");
    g_string_append_printf(text, "  %-26s %s\n", left, option->sentence);
  }
  return g_string_free(text, FALSE);
}

int command_usage_error(const Command *command, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  (void)fprintf(stderr, "mailreeve %s: %s\nsee: mailreeve help %s\n", command->name, text, command->name);
  return EXIT_USAGE;
}

typedef struct GivenOption {
  const CommandOption *option;
  const char *value; /* NULL: a switch */
} GivenOption;

struct CommandLine {
  GArray *options;     /* of GivenOption */
  GPtrArray *operands; /* borrowed from argv */
};

static const CommandOption *find_option(const Command *command, Slice flag) {
  for (const CommandOption *option = command->options; option && option->flag; option++) {
    if (slice_equal(flag, slice_from(option->flag))) {
      return option;
    }
  }
  return NULL;
}

static void tell_unknown_option(const Command *command, Slice flag) {
  g_autoptr(GPtrArray) flags = g_ptr_array_new();
  for (const CommandOption *option = command->options; option && option->flag; option++) {
    g_ptr_array_add(flags, (gpointer)option->flag);
  }
  g_ptr_array_add(flags, NULL);
  const char *nearest = nearest_name(flag, (const char *const *)flags->pdata);
  (void)command_usage_error(command, "there is no option %.*s%s%s", SLICE_ARGS(flag), nearest ? "; nearest: " : "", nearest ? nearest : "");
}

/* Takes the option at argv[*place] and, where it has one, its value. */
static bool take_option(const Command *command, int argc, char **argv, int *place, CommandLine *line) {
  Slice value;
  bool has_value;
  Slice flag = slice_split(slice_from(argv[*place]), '=', &value, &has_value);
  const CommandOption *option = find_option(command, flag);
  if (option == NULL) {
    tell_unknown_option(command, flag);
    return false;
  }
  GivenOption given = {option, has_value ? value.data : NULL};
  if (option->value == NULL && has_value) {
    (void)command_usage_error(command, "%s takes no value", option->flag);
    return false;
  }
  if (option->value != NULL && !has_value) {
    if (*place + 1 >= argc) {
      (void)command_usage_error(command, "%s needs %s", option->flag, option->value);
      return false;
    }
    given.value = argv[++*place];
  }
  g_array_append_val(line->options, given);
  return true;
}

CommandLine *command_line_parse(const Command *command, int argc, char **argv) {
  g_autoptr(CommandLine) line = g_new0(CommandLine, 1);
  line->options = g_array_new(FALSE, FALSE, sizeof(GivenOption));
  line->operands = g_ptr_array_new();
  bool options_end = false;
  for (int i = 1; i < argc; i++) {
    if (options_end || argv[i][0] != '-' || argv[i][1] == '\0') {
      g_ptr_array_add(line->operands, argv[i]);
    } else if (strcmp(argv[i], "--") == 0) {
      options_end = true;
    } else if (!take_option(command, argc, argv, &i, line)) {
      return NULL;
    }
  }
  return g_steal_pointer(&line);
}

void command_line_free(CommandLine *line) {
  if (line == NULL) {
    return;
  }
  g_array_unref(line->options);
  g_ptr_array_unref(line->operands);
  g_free(line);
}

bool command_line_has(const CommandLine *line, const char *flag) {
  for (guint i = 0; i < line->options->len; i++) {
    if (strcmp(g_array_index(line->options, GivenOption, i).option->flag, flag) == 0) {
      return true;
    }
  }
  return false;
}

const char **command_line_values(const CommandLine *line, const char *flag) {
  GPtrArray *values = g_ptr_array_new();
  for (guint i = 0; i < line->options->len; i++) {
    const GivenOption *given = &g_array_index(line->options, GivenOption, i);
    if (given->value && strcmp(given->option->flag, flag) == 0) {
      g_ptr_array_add(values, (gpointer)given->value);
    }
  }
  g_ptr_array_add(values, NULL);
  return (const char **)g_ptr_array_free(values, FALSE);
}

const char *command_line_value(const CommandLine *line, const char *flag) {
  g_autofree const char **values = command_line_values(line, flag);
  const char *last = NULL;
  for (size_t i = 0; values[i]; i++) {
    last = values[i];
  }
  return last;
}

size_t command_line_operand_count(const CommandLine *line) {
  return line->operands->len;
}

const char *command_line_operand(const CommandLine *line, size_t index) {
  return (const char *)g_ptr_array_index(line->operands, index);
}
