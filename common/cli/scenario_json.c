/*
 * scenario_json.c: a scenario as data, for programs that tell it over sockets (`mailreeve test --print`).
 */
#include "common/cli/listing.h"
#include "common/cli/scenario.h"

static json_t *texts_json(const char *const *texts, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(list, listing_json_text(texts[i]));
  }
  return list;
}

static json_t *expectation_json(const Expectation *expected) {
  g_autoptr(Arena) arena = arena_new(0);
  json_t *with = json_array();
  for (const With *item = expected->with; item; item = item->next) {
    (void)json_array_append_new(with, listing_json_text(item->text));
  }
  return json_pack(
      "{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "outcome", expected_outcome_names()[expected->outcome], "code",
      expected->code ? json_integer(expected->code) : json_null(), "enhanced",
      expected->enhanced.class_digit ? listing_json_text(slice_to_string(arena, enhanced_format(arena, expected->enhanced))) : json_null(),
      "lines", texts_json(expected->lines, expected->line_count), "rule", listing_json_text(expected->rule), "with", with,
      "without_effects", expected->without_effects);
}

static json_t *step_json(const ScenarioStep *step) {
  g_autoptr(Arena) arena = arena_new(0);
  unsigned line, column;
  source_position(step->span, &line, &column);
  json_t *expected = json_object();
  for (int door = 0; door < DOOR_COUNT; door++) {
    if (step->expected[door]) {
      (void)json_object_set_new(expected, door_name((Door)door), expectation_json(step->expected[door]));
    }
  }
  json_t *json = json_pack("{s:s, s:i, s:o, s:o}", "step", step_info(step->kind)->word, "line", (int)line, "doors",
                           listing_json_doors(step->doors), "text", listing_json_text(step_text(arena, step)));
  if (step->text) {
    (void)json_object_set_new(json, "argument", listing_json_text(step->text));
  }
  if (step->name) {
    (void)json_object_set_new(json, "name", listing_json_text(step->name));
  }
  if (step->reverse) {
    (void)json_object_set_new(json, "reverse", listing_json_text(step->reverse));
  }
  if (step->number) {
    (void)json_object_set_new(json, "number", json_integer(step->number));
  }
  if (step->has_content) {
    (void)json_object_set_new(json, "content", listing_json_text(slice_to_string(arena, step->content)));
  }
  if (step->kind == STEP_SET || step->kind == STEP_UNSET) {
    (void)json_object_set_new(json, "fact", json_string(fact_info(step->fact)->name));
  }
  if (step->kind == STEP_CLOCK) {
    (void)json_object_set_new(json, "absolute", json_boolean(step->absolute));
  }
  (void)json_object_set_new(json, "expected", expected);
  return json;
}

static json_t *session_json(const ScenarioSession *session) {
  json_t *steps = json_array();
  unsigned line, column;
  source_position(session->span, &line, &column);
  for (const ScenarioStep *step = session->steps; step; step = step->next) {
    (void)json_array_append_new(steps, step_json(step));
  }
  return json_pack("{s:o, s:i, s:i, s:o, s:b, s:o}", "title", listing_json_text(session->title), "line", (int)line, "rules",
                   (int)session->rules, "doors", listing_json_doors(session->doors), "mta", session->through_mta, "steps", steps);
}

static json_t *dns_json(const ScenarioDns *answers) {
  static const char *const words[] = {"A", "AAAA", "TXT", "fails", "silent"};
  json_t *list = json_array();
  for (const ScenarioDns *answer = answers; answer; answer = answer->next) {
    (void)json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "name", listing_json_text(answer->name), "kind", words[answer->word],
                                                "value", listing_json_text(answer->value)));
  }
  return list;
}

json_t *scenario_json(const Scenario *scenario) {
  json_t *rules = json_array(), *files = json_array(), *sessions = json_array();
  for (size_t i = 0; i < scenario->rules_count; i++) {
    (void)json_array_append_new(rules, json_pack("{s:o, s:o}", "text", listing_json_text(scenario->rules[i].text), "path",
                                                 listing_json_text(scenario->rules[i].path)));
  }
  for (const ScenarioFile *file = scenario->files; file; file = file->next) {
    g_autofree char *text = g_strndup(file->text.data ? file->text.data : "", file->text.length);
    (void)json_array_append_new(files, json_pack("{s:o, s:o}", "name", listing_json_text(file->name), "text", listing_json_text(text)));
  }
  for (const ScenarioSession *session = scenario->sessions; session; session = session->next) {
    (void)json_array_append_new(sessions, session_json(session));
  }
  return json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "file", listing_json_text(scenario->path), "server",
                   listing_json_text(scenario->server_name), "service", listing_json_text(scenario->service), "clock",
                   (json_int_t)scenario->clock, "rules", rules, "files", files, "dns", dns_json(scenario->dns), "sessions", sessions);
}
