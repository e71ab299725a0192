/*
 * scenario_run.c: a scenario through the doors.
 *
 * Each session is told anew through each door, with a clock of its own. A session ends at its first failure: what follows would only repeat it.
 */
#include "common/cli/scenario_run.h"

#include <string.h>

#include "common/cli/explain_trace.h"
#include "common/cli/listing.h"
#include "common/cli/scenario_folder.h"
#include "common/cli/story.h"
#include "common/lookup/kinds.h"

typedef struct Runner {
  const Scenario *scenario;
  ScenarioReport *report;
  Answerer *answerer;
  ResourceSource *source;
  ScenarioFolder *folder;
  Ruleset *rulesets[SCENARIO_RULES_MAX]; /* NULL: no session needs it */
} Runner;

/* ---- comparing ---- */

static bool outcome_fits(ExpectedOutcome expected, const StepOutcome *got) {
  switch (expected) {
    case EXPECT_OK:
      return !got->refused;
    case EXPECT_PASS:
      return !got->refused && got->outcome == OUTCOME_PASS;
    case EXPECT_ACCEPT:
      return !got->refused && got->outcome == OUTCOME_ACCEPT;
    case EXPECT_TEMPFAIL:
      return got->refused && got->outcome == OUTCOME_TEMPFAIL && got->code[0] == '4';
    case EXPECT_REJECT:
      return got->refused && got->outcome == OUTCOME_REJECT && got->code[0] == '5';
    case EXPECT_DISCONNECT:
      return got->refused && got->outcome == OUTCOME_DISCONNECT && got->closed;
    case EXPECT_DISCARD:
      return !got->refused && got->outcome == OUTCOME_DISCARD;
  }
  g_assert_not_reached();
}

/* A reply of several lines is one line through the other doors, and is always one with 421. */
static bool lines_fit(Door door, const Expectation *expected, const StepOutcome *got) {
  if (expected->line_count == 0) {
    return true;
  }
  if (door != DOOR_MILTER) {
    g_autoptr(GString) joined = g_string_new(NULL);
    for (size_t i = 0; i < expected->line_count; i++) {
      g_string_append_printf(joined, "%s%s", i > 0 ? " " : "", expected->lines[i]);
    }
    return got->lines[0] && strcmp(got->lines[0], joined->str) == 0;
  }
  for (size_t i = 0; i < expected->line_count; i++) {
    if (got->lines[i] == NULL || strcmp(got->lines[i], expected->lines[i]) != 0) {
      return false;
    }
  }
  return got->lines[expected->line_count] == NULL;
}

static bool text_is_in(const char *text, const char *const *list) {
  return g_strv_contains(list, text);
}

static bool is_done_to_message(const With *with) {
  return with->kind == WITH_CHANGE;
}

/* At the end of a message all that is done to it is known: no more and no less than expected. */
static bool done_fits(const Expectation *expected, const StepOutcome *got) {
  size_t count = 0, done = g_strv_length((char **)(uintptr_t)got->done);
  for (const With *with = expected->with; with; with = with->next) {
    if (is_done_to_message(with)) {
      count++;
      if (!text_is_in(with->text, got->done)) {
        return false;
      }
    }
  }
  return count == 0 ? !expected->without_effects || done == 0 : count == done;
}

static bool with_fits(StepKind step, const Expectation *expected, const StepOutcome *got) {
  bool at_end = step == STEP_MESSAGE;
  for (const With *with = expected->with; with; with = with->next) {
    const char *const *where = with->kind == WITH_FAILED ? got->failures : got->effects;
    if (!(at_end && is_done_to_message(with)) && !text_is_in(with->text, where)) {
      return false;
    }
  }
  return at_end ? done_fits(expected, got) : !expected->without_effects || got->effects[0] == NULL;
}

static bool step_fits(Door door, const ScenarioStep *step, const Expectation *expected, const StepOutcome *got) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice enhanced = enhanced_format(arena, expected->enhanced);
  g_autofree char *code = expected->code ? g_strdup_printf("%u", expected->code) : NULL;
  return outcome_fits(expected->outcome, got) && (code == NULL || strcmp(code, got->code) == 0) &&
         (enhanced.length == 0 || slice_equal(enhanced, slice_from(got->enhanced))) && lines_fit(door, expected, got) &&
         (expected->rule == NULL || slice_equal(slice_from(expected->rule), got->rule)) && with_fits(step->kind, expected, got);
}

/* ---- telling ---- */

static void append_list(GString *text, const char *before, const char *const *list) {
  for (size_t i = 0; list[i]; i++) {
    g_string_append_printf(text, "%s%s", before, list[i]);
  }
}

static char *got_text(const ScenarioStep *step, const StepOutcome *got) {
  GString *text = g_string_new(outcome_name(got->outcome));
  if (got->refused) {
    g_string_append_printf(text, " %s %s", got->code, got->enhanced);
    for (size_t i = 0; got->lines[i]; i++) {
      g_string_append_printf(text, " \"%s\"", got->lines[i]);
    }
  }
  if (got->rule.length > 0) {
    g_string_append_printf(text, " by %.*s", SLICE_ARGS(got->rule));
  }
  append_list(text, " with ", got->effects);
  append_list(text, " with ", got->failures);
  if (step->kind == STEP_MESSAGE) {
    append_list(text, ", done to the message: ", got->done);
  }
  return g_string_free(text, FALSE);
}

static unsigned span_line(SourceSpan span) {
  unsigned line, column;
  source_position(span, &line, &column);
  return line;
}

typedef struct Telling {
  Runner *runner;
  const ScenarioSession *session;
  Door door;
  StoryDoor *story;
  Clock *clock;
  Recorder *recorder;
  json_t *steps; /* NULL: not wanted */
  bool failed;
} Telling;

static void tell_failure(Telling *telling, const ScenarioStep *step, const char *expected, const char *got, const json_t *trace) {
  GString *out = telling->runner->report->text;
  g_autoptr(Arena) arena = arena_new(0);
  telling->failed = true;
  telling->runner->report->failures++;
  g_string_append_printf(out, "%s:%u: failed: %s\n", telling->runner->scenario->path, span_line(step->span), step_text(arena, step));
  g_string_append_printf(out, "  session  \"%s\", through the %s door\n", telling->session->title, door_name(telling->door));
  g_string_append_printf(out, "  expected %s\n  got      %s\n", expected, got);
  recorded_print(out, trace, 2);
}

static void report_step(Telling *telling, const ScenarioStep *step, const char *expected, const char *got, bool fits, json_t *trace) {
  g_autoptr(Arena) arena = arena_new(0);
  ScenarioReport *report = telling->runner->report;
  report->compared++;
  if (!fits) {
    tell_failure(telling, step, expected, got, trace);
  } else if (report->verbose) {
    g_string_append_printf(report->text, "%s:%u: %s, %s: %s\n", telling->runner->scenario->path, span_line(step->span),
                           step_text(arena, step), door_name(telling->door), got);
  }
  if (telling->steps) {
    (void)json_array_append_new(
        telling->steps,
        json_pack("{s:i, s:o, s:o, s:o, s:b, s:O}", "line", (int)span_line(step->span), "step", listing_json_text(step_text(arena, step)),
                  "expected", listing_json_text(expected), "got", listing_json_text(got), "ok", fits, "phases", trace));
  }
}

static void move_clock(Telling *telling, const ScenarioStep *step) {
  if (step->absolute) {
    clock_manual_set(telling->clock, step->number);
  } else {
    clock_manual_advance(telling->clock, step->number * NANOSECONDS_PER_SECOND);
  }
}

static void tell_step(Telling *telling, const ScenarioStep *step) {
  g_autoptr(Arena) arena = arena_new(0);
  const Expectation *expected = step->expected[telling->door];
  const char *wanted = expected ? expectation_text(arena, expected) : "ok";
  const char *impossible = story_door_refuses_step(telling->story, step);
  if (impossible) {
    json_t *nothing = json_array();
    report_step(telling, step, wanted, impossible, false, nothing);
    json_decref(nothing);
    return;
  }
  if (step->kind == STEP_CLOCK) {
    move_clock(telling, step);
    return;
  }
  StepOutcome got;
  story_door_step(telling->story, step, &got);
  json_t *trace = recorder_take(telling->recorder);
  if (expected) {
    g_autofree char *words = got_text(step, &got);
    report_step(telling, step, wanted, words, step_fits(telling->door, step, expected, &got), trace);
  }
  json_decref(trace);
}

/* Each session ends with QUIT, said or not. */
static void tell_quit(Telling *telling) {
  ScenarioStep quit = {.kind = STEP_QUIT, .doors = DOORS_ALL};
  StepOutcome ignored;
  if (story_door_refuses_step(telling->story, &quit) == NULL) {
    story_door_step(telling->story, &quit, &ignored);
  }
}

static void tell_session(Runner *runner, const ScenarioSession *session, Door door) {
  const Scenario *scenario = runner->scenario;
  Telling telling = {.runner = runner, .session = session, .door = door, .clock = clock_manual_new(scenario->clock)};
  telling.recorder = recorder_new(runner->rulesets[session->rules]);
  telling.steps = runner->report->sessions ? json_array() : NULL;
  StoryWorld world = {.ruleset = runner->rulesets[session->rules],
                      .clock = telling.clock,
                      .answerer = runner->answerer,
                      .server_name = scenario->server_name,
                      .service = scenario->service,
                      .trace = recorder_trace(telling.recorder)};
  telling.story = story_door_new(door, &world);
  runner->report->told++;
  for (const ScenarioStep *step = session->steps; step && !telling.failed; step = step->next) {
    if (step->doors & DOOR_BIT(door)) {
      tell_step(&telling, step);
    }
  }
  tell_quit(&telling);
  if (telling.steps) {
    (void)json_array_append_new(runner->report->sessions, json_pack("{s:o, s:o, s:s, s:b, s:o}", "file", listing_json_text(scenario->path),
                                                                    "session", listing_json_text(session->title), "door", door_name(door),
                                                                    "ok", !telling.failed, "steps", telling.steps));
  }
  story_door_free(telling.story);
  recorder_free(telling.recorder);
  clock_free(telling.clock);
}

/* ---- what sessions stand on ---- */

void scenario_script_dns(const ScenarioDns *answers, DnsFake *fake) {
  for (const ScenarioDns *answer = answers; answer; answer = answer->next) {
    Slice name = slice_from(answer->name);
    switch (answer->word) {
      case DNS_A:
        (void)dns_fake_add(fake, name, "A", slice_from(answer->value));
        break;
      case DNS_AAAA:
        (void)dns_fake_add(fake, name, "AAAA", slice_from(answer->value));
        break;
      case DNS_TXT:
        (void)dns_fake_add(fake, name, "TXT", slice_from(answer->value));
        break;
      case DNS_FAILS:
        dns_fake_fail(fake, name, answer->value);
        break;
      case DNS_SILENT:
        dns_fake_silence(fake, name);
        break;
    }
  }
}

static Ruleset *load_rules(Runner *runner, const ScenarioRules *rules, DoorSet doors) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  RulesetOptions options = {.enabled_doors = doors, .resources = runner->source, .open_resources = true, .keep_tree = true};
  Ruleset *ruleset = NULL;
  if (rules->text) {
    ruleset =
        ruleset_load_text(runner->scenario->path, slice_from(rules->text), scenario_folder_path(runner->folder), &options, diagnostics);
  } else {
    g_autofree char *folder = g_path_get_dirname(runner->scenario->path);
    g_autofree char *path = g_build_filename(folder, rules->path, NULL);
    ruleset = ruleset_load_file(path, &options, diagnostics);
  }
  if (ruleset == NULL) {
    g_autofree char *problems = diagnostics_print(diagnostics);
    g_string_append(runner->report->text, problems);
  }
  return ruleset;
}

static bool load_all_rules(Runner *runner) {
  DoorSet doors[SCENARIO_RULES_MAX] = {0};
  for (const ScenarioSession *session = runner->scenario->sessions; session; session = session->next) {
    doors[session->rules] |= session->doors;
  }
  bool good = true;
  for (size_t i = 0; i < runner->scenario->rules_count; i++) {
    runner->rulesets[i] = load_rules(runner, &runner->scenario->rules[i], doors[i] ? doors[i] : DOORS_ALL);
    good = good && runner->rulesets[i];
  }
  return good;
}

static void tell_all(Runner *runner, DoorSet doors) {
  for (const ScenarioSession *session = runner->scenario->sessions; session; session = session->next) {
    for (int door = 0; door < DOOR_COUNT; door++) {
      if (session->doors & doors & DOOR_BIT(door)) {
        tell_session(runner, session, (Door)door);
      }
    }
  }
}

bool scenario_run(const Scenario *scenario, DoorSet doors, ScenarioReport *report) {
  g_autoptr(GError) error = NULL;
  g_autoptr(ScenarioFolder) folder = scenario_folder_new(scenario, &error);
  if (folder == NULL) {
    g_string_append_printf(report->text, "%s: %s\n", scenario->path, error->message);
    return false;
  }
  g_autoptr(Answerer) answerer = answerer_scripted_new();
  scenario_script_dns(scenario->dns, answerer_script(answerer));
  ResourceContext context = answerer_context(answerer);
  Runner runner = {
      .scenario = scenario, .report = report, .answerer = answerer, .source = resource_source_plain_new(&context), .folder = folder};
  bool good = load_all_rules(&runner);
  if (good) {
    tell_all(&runner, doors);
  }
  for (size_t i = 0; i < scenario->rules_count; i++) {
    ruleset_unref(runner.rulesets[i]);
  }
  resource_source_plain_free(runner.source);
  return good;
}
