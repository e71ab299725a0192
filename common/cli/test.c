/*
 * test.c: `mailreeve test`: runs scenario files, in process, through each door.
 */
#include <stdio.h>
#include <string.h>

#include "common/cli/command.h"
#include "common/cli/listing.h"
#include "common/cli/scenario_run.h"
#include "common/rules/source.h"

extern const Command command_test;

static bool read_door(const CommandLine *line, DoorSet *doors) {
  const char *name = command_line_value(line, "--door");
  Door door;
  *doors = DOORS_ALL;
  if (name == NULL || strcmp(name, "all") == 0) {
    return true;
  }
  if (!door_from_name(slice_from(name), &door)) {
    (void)command_usage_error(&command_test, "there is no door %s: expected policy, milter, socketmap or all", name);
    return false;
  }
  *doors = DOOR_BIT(door);
  return true;
}

/* NULL: told on stderr. */
static Scenario *read_scenario(Arena *arena, const char *path) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  const SourceText *source = source_read(arena, path, path, false, &error);
  if (source == NULL) {
    (void)fprintf(stderr, "%s: %s\n", path, error->message);
    return NULL;
  }
  Scenario *scenario = scenario_parse(arena, path, source, diagnostics);
  g_autofree char *problems = diagnostics_print(diagnostics);
  (void)fputs(problems, stderr);
  return scenario;
}

static bool run_file(const char *path, DoorSet doors, bool verbose, json_t *sessions) {
  g_autoptr(Arena) arena = arena_new(0);
  Scenario *scenario = read_scenario(arena, path);
  if (scenario == NULL) {
    return false;
  }
  ScenarioReport report = {.text = g_string_new(NULL), .sessions = sessions, .verbose = verbose};
  bool loaded = scenario_run(scenario, doors, &report);
  (void)fputs(report.text->str, sessions || !loaded ? stderr : stdout);
  (void)g_string_free(report.text, TRUE);
  if (loaded && sessions == NULL) {
    (void)printf("%s: %s (%u sessions, %u steps, %u failed)\n", path, report.failures == 0 ? "ok" : "failed", report.told, report.compared,
                 report.failures);
  }
  return loaded && report.failures == 0;
}

static bool print_file(const char *path, json_t *scenarios) {
  g_autoptr(Arena) arena = arena_new(0);
  Scenario *scenario = read_scenario(arena, path);
  if (scenario) {
    (void)json_array_append_new(scenarios, scenario_json(scenario));
  }
  return scenario != NULL;
}

static int run(int argc, char **argv) {
  g_autoptr(CommandLine) line = command_line_parse(&command_test, argc, argv);
  DoorSet doors;
  if (line == NULL || !read_door(line, &doors)) {
    return EXIT_USAGE;
  }
  if (command_line_operand_count(line) == 0) {
    return command_usage_error(&command_test, "which scenario?");
  }
  bool print = command_line_has(line, "--print");
  json_t *json = print || command_line_has(line, "--json") ? json_array() : NULL;
  bool good = true;
  for (size_t i = 0; i < command_line_operand_count(line); i++) {
    const char *path = command_line_operand(line, i);
    good &= print ? print_file(path, json) : run_file(path, doors, command_line_has(line, "--verbose"), json);
  }
  if (json) {
    (void)listing_json_print(json);
  }
  return good ? EXIT_GOOD : EXIT_RULES;
}

static const CommandOption options[] = {
    {"--door", "policy|milter|socketmap|all", "tell the stories through this door; all when not given"},
    {"--verbose", NULL, "print what came of each step"},
    {"--json", NULL, "print what came of each step as JSON"},
    {"--print", NULL, "run nothing: print the stories themselves as JSON"},
    {0},
};

const Command command_test = {
    .name = "test",
    .synopsis = "[--door policy|milter|socketmap|all] [--verbose] [--json] [--print] SCENARIO ...",
    .sentence = "runs stories of SMTP sessions against rules and compares the verdicts",
    .description =
        "A scenario holds rules, DNS answers, a clock, and SMTP sessions with the answer that is expected at each step; see "
        "mailreeve.scenario(5). Nothing "
        "real is asked: no mail server, no DNS, no clock. Each session is told through the policy door and through the milter, and where "
        "it has "
        "commands that Sendmail asks about through socket maps, through those, with the bytes and events that a mail server would send.\n\n"
        "A failure is told with its place, what was expected, what came, and what each rule said at that step.",
    .options = options,
    .run = run,
};
