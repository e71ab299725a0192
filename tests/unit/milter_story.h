/*
 * milter_story.h: rulesets, and milter sessions written as stories, for tests of the milter door.
 *
 * A story has one event a line, with what comes of it behind "=>" (nothing: continue):
 *
 *     connect 192.0.2.1 mail.example.org      an address or -, then the host name argument
 *     helo mail.example.org
 *     mail <a@b.test> SIZE=100
 *     rcpt <c@example.test>          => reject 550 5.7.1 "no" [rule]
 *     header Subject ...                      one of the message's
 *     header Subject hello                    a field of one word
 *     eoh
 *     body hello\n                            bytes, with C's escapes
 *     data | eom | abort | close | unknown FOO
 *     macro {auth_type} PLAIN                 from here on; "macro NAME" alone takes it away
 *     offer RULES                             a reloaded ruleset, from the story's `second` rules
 *
 * A result is the action, with its code, enhanced code and lines, then the deciding rule in brackets, then "delay=MS", then the effects
 * at the end of the message ("header Name: value", "quarantine why", "to <a@b>", "not to <a@b>" ...).
 */
#ifndef TESTS_UNIT_MILTER_STORY_H
#define TESTS_UNIT_MILTER_STORY_H

#include "common/ask/resource.h"
#include "common/door/milter_session.h"
#include "common/rules/program.h"
#include "common/service/registry.h"
#include "tests/unit/unit.h"

typedef struct Story {
  const char *name;
  const char *rules;
  const char *steps;
  const char *delay_reject; /* "no", "mail"; NULL: rcpt */
  PhaseSet owned;           /* 0: all */
  const char *second;       /* of `offer` */
  const char *fail;         /* look-ups fail with this; NULL: they find nothing */
} Story;

typedef struct StoryTeller {
  const Story *story;
  Registry *registry;
  Clock *clock;
  MilterSession *session;
  GHashTable *macros; /* name -> value */
} StoryTeller;

static Registry *story_registry(void) {
  static const LookupBackend nobody = {.name = "dns"};
  ResourceContext context = {.dns = &nobody};
  return registry_new(&context);
}

static Ruleset *story_rules(Registry *registry, const char *text) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = registry_source(registry), .open_resources = true};
  Ruleset *ruleset = ruleset_load_text("story.rules", slice_from(text), ".", &options, diagnostics);
  if (ruleset == NULL) {
    g_autofree char *problems = diagnostics_print(diagnostics);
    ck_abort_msg("%s", problems);
  }
  return ruleset;
}

static MilterOptions story_options(const Story *story, Clock *clock) {
  DelayReject delay_reject = story->delay_reject == NULL              ? DELAY_REJECT_RCPT
                             : strcmp(story->delay_reject, "no") == 0 ? DELAY_REJECT_NO
                                                                      : DELAY_REJECT_MAIL;
  return (MilterOptions){.delay_reject = delay_reject,
                         .server_name = "mx.example.test",
                         .service = "listener",
                         .owned = story->owned ? story->owned : PHASES_ALL,
                         .clock = clock,
                         .message = MESSAGE_LIMITS_DEFAULT};
}

static const char *story_macro(void *data, const char *name) {
  return g_hash_table_lookup(data, name);
}

static void story_change(const MilterChange *change, GString *text) {
  switch (change->kind) {
    case MILTER_INSERT_HEADER:
      g_string_append_printf(text, " header %s: %s", change->name, change->value);
      return;
    case MILTER_ADD_HEADER:
      g_string_append_printf(text, " append %s: %s", change->name, change->value);
      return;
    case MILTER_CHANGE_HEADER:
      g_string_append_printf(text, " change %s[%d] %s", change->name, change->index, change->value ? change->value : "deleted");
      return;
    case MILTER_DELETE_RECIPIENT:
      g_string_append_printf(text, " not to %s", change->value);
      return;
    case MILTER_ADD_RECIPIENT:
      g_string_append_printf(text, " to %s", change->value);
      return;
    case MILTER_CHANGE_SENDER:
      g_string_append_printf(text, " from %s", change->value);
      return;
    case MILTER_QUARANTINE:
      g_string_append_printf(text, " quarantine %s", change->value);
      return;
  }
}

static void story_result(const MilterResult *result, GString *text) {
  static const char *const actions[] = {"continue", "reject", "tempfail", "accept", "discard"};
  g_string_append(text, actions[result->action]);
  if (result->has_reply) {
    g_string_append_printf(text, " %s%s%s", result->code, result->enhanced[0] ? " " : "", result->enhanced);
    for (size_t i = 0; result->lines[i]; i++) {
      g_string_append_printf(text, " \"%s\"", result->lines[i]);
    }
  }
  if (result->verdict && result->verdict->rule.length > 0) {
    g_string_append_printf(text, " [%.*s]", SLICE_ARGS(result->verdict->rule));
  }
  if (result->delay_ms > 0) {
    g_string_append_printf(text, " delay=%d", (int)result->delay_ms);
  }
  for (size_t i = 0; i < result->change_count; i++) {
    story_change(&result->changes[i], text);
  }
}

static void story_event(StoryTeller *teller, MilterEvent *event) {
  event->macro = story_macro;
  event->macro_data = teller->macros;
  EvaluationState state = milter_session_event(teller->session, event);
  for (int rounds = 0; state == EVALUATION_WAITS; rounds++) {
    ck_assert_msg(rounds < 100, "%s: waits for ever", teller->story->name);
    size_t count;
    Question *const *wanted = milter_session_wanted(teller->session, &count);
    for (size_t i = 0; i < count; i++) {
      g_autoptr(Answer) answer = teller->story->fail ? answer_new_failed(teller->story->fail) : answer_new(ANSWER_NOT_FOUND, NULL, 0);
      milter_session_answer(teller->session, wanted[i], answer);
    }
    state = milter_session_run(teller->session);
  }
}

/* Returns false for a line that is no event. */
static bool story_step(StoryTeller *teller, char **words, const char *rest) {
  static const struct {
    const char *word;
    MilterEventKind kind;
  } events[] = {{"connect", MILTER_CONNECT}, {"helo", MILTER_HELO},     {"mail", MILTER_MAIL},   {"rcpt", MILTER_RCPT},
                {"data", MILTER_DATA},       {"header", MILTER_HEADER}, {"eoh", MILTER_EOH},     {"eom", MILTER_EOM},
                {"body", MILTER_BODY},       {"abort", MILTER_ABORT},   {"close", MILTER_CLOSE}, {"unknown", MILTER_UNKNOWN}};
  if (strcmp(words[0], "macro") == 0) {
    if (words[2]) {
      g_hash_table_replace(teller->macros, g_strdup(words[1]), g_strdup(words[2]));
    } else {
      g_hash_table_remove(teller->macros, words[1]);
    }
    return false;
  }
  if (strcmp(words[0], "offer") == 0) {
    g_autoptr(Ruleset) second = story_rules(teller->registry, teller->story->second);
    MilterOptions options = story_options(teller->story, teller->clock);
    g_autoptr(MilterPlan) plan = milter_plan_new(second, &options);
    milter_session_offer_plan(teller->session, plan);
    return false;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
    if (strcmp(words[0], events[i].word) != 0) {
      continue;
    }
    MilterEvent event = {.kind = events[i].kind, .arguments = (const char *const *)(words + 1)};
    const char *line[] = {rest, NULL};
    g_autofree char *bytes = g_strcompress(rest ? rest : "");
    event.body = slice_from(bytes);
    IpAddress address;
    if (event.kind == MILTER_CONNECT) {
      event.address = words[1] && ip_parse(slice_from(words[1]), &address) ? &address : NULL;
      event.port = event.address ? 40000 : 0;
      event.arguments = (const char *const *)(words + (words[1] ? 2 : 1));
    } else if (event.kind == MILTER_UNKNOWN) {
      event.arguments = line;
    }
    story_event(teller, &event);
    return true;
  }
  ck_abort_msg("%s: what is %s?", teller->story->name, words[0]);
  return false;
}

static void story_line(StoryTeller *teller, const char *line) {
  g_auto(GStrv) sides = g_strsplit(line, "=>", 2);
  g_strstrip(sides[0]);
  if (sides[0][0] == '\0') {
    return;
  }
  const char *expected = sides[1] ? g_strstrip(sides[1]) : "continue";
  g_auto(GStrv) words = g_strsplit_set(sides[0], " ", -1);
  g_autofree char *rest = g_strdup(sides[0] + strlen(words[0]));
  g_strstrip(rest);
  if (story_step(teller, words, rest)) {
    g_autoptr(GString) result = g_string_new(NULL);
    story_result(milter_session_result(teller->session), result);
    ck_assert_msg(strcmp(result->str, expected) == 0, "%s\n  %s\n  expected %s\n  but got  %s", teller->story->name, sides[0], expected,
                  result->str);
  }
}

static void story_lines(StoryTeller *teller) {
  g_auto(GStrv) lines = g_strsplit(teller->story->steps, "\n", -1);
  for (size_t i = 0; lines[i]; i++) {
    story_line(teller, lines[i]);
  }
}

/* A story without another ruleset is told once more, to the same session restarted: nothing may be left of the first time. */
G_GNUC_UNUSED static void story_tell(const Story *story) {
  StoryTeller teller = {.story = story, .registry = story_registry(), .clock = clock_manual_new(1700000000)};
  Ruleset *ruleset = story_rules(teller.registry, story->rules);
  MilterOptions options = story_options(story, teller.clock);
  MilterPlan *plan = milter_plan_new(ruleset, &options);
  teller.session = milter_session_new(plan);
  milter_plan_unref(plan);
  ruleset_unref(ruleset);
  for (int times = story->second == NULL ? 2 : 1; times > 0; times--) {
    teller.macros = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    story_lines(&teller);
    milter_session_restart(teller.session);
    g_hash_table_destroy(teller.macros);
  }
  milter_session_free(teller.session);
  clock_free(teller.clock);
  registry_free(teller.registry);
}

#endif
