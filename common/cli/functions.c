/*
 * functions.c: `mailreeve functions`: the properties that values have, from the descriptors of the functions.
 */
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/rules/function.h"

extern const Command command_functions;

static void print_function(const Function *function) {
  (void)printf(".%s  (of %s, is %s)\n", function->name, value_type_name(function->input), value_type_name(function->output));
  listing_field("is", function->sentence);
  listing_field("example", function->example);
}

static json_t *function_json(const Function *function) {
  return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", function->name, "input", value_type_name(function->input), "output",
                   value_type_name(function->output), "sentence", function->sentence, "example", function->example);
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_functions, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) > 0) {
    return command_usage_error(&command_functions, "takes no operands");
  }
  bool as_json = command_line_has(line, "--json");
  json_t *functions = as_json ? json_array() : NULL;
  for (const Function *const *function = functions_all(); *function; function++) {
    if (as_json) {
      (void)json_array_append_new(functions, function_json(*function));
    } else {
      print_function(*function);
    }
  }
  return as_json ? listing_json_print(functions) : EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_functions = {
    .name = "functions",
    .synopsis = "[--json]",
    .sentence = "lists the properties of values: sender.domain and the like",
    .description = "Each property with the type that has it, the type that it is, and an example.",
    .options = options,
    .run = run,
};
