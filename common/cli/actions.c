/*
 * actions.c: `mailreeve actions`: what rules can do, from the descriptors of the actions.
 */
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/rules/action.h"

extern const Command command_actions;

static void print_action(Arena *arena, const Action *action) {
  (void)printf("%s\n", slice_to_string(arena, action_synopsis(arena, action)));
  listing_field("does", action->sentence);
  listing_field("ends", action->ends_phase ? "the phase" : "nothing: the next rule is read");
  listing_field_phases("phases", action->phases, "none");
  listing_field_doors("doors", action->doors);
  listing_field("example", action->example);
}

static json_t *action_json(Arena *arena, const Action *action) {
  return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:s}", "name", action->name, "synopsis",
                   slice_to_string(arena, action_synopsis(arena, action)), "sentence", action->sentence, "ends_phase",
                   (int)action->ends_phase, "phases", listing_json_phases(action->phases), "doors", listing_json_doors(action->doors),
                   "example", action->example);
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_actions, argc, argv);
  if (line == NULL) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) > 0) {
    return command_usage_error(&command_actions, "takes no operands");
  }
  g_autoptr(Arena) arena = arena_new(0);
  bool as_json = command_line_has(line, "--json");
  json_t *actions = as_json ? json_array() : NULL;
  for (const Action *const *action = actions_all(); *action; action++) {
    if (as_json) {
      (void)json_array_append_new(actions, action_json(arena, *action));
    } else {
      print_action(arena, *action);
    }
  }
  return as_json ? listing_json_print(actions) : EXIT_GOOD;
}

static const CommandOption options[] = {{"--json", NULL, "print JSON"}, {0}};

const Command command_actions = {
    .name = "actions",
    .synopsis = "[--json]",
    .sentence = "lists what rules can do",
    .description = "Each action with its arguments, the phases where it may stand, the doors that can do it, and an example.",
    .options = options,
    .run = run,
};
