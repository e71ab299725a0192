/*
 * story_milter.c: a story through the milter door: the events that an MTA sends, and what the callbacks would return.
 */
#include <string.h>

#include "common/cli/effect_text.h"
#include "common/cli/story_internal.h"
#include "common/door/milter_session.h"

struct MilterStory {
  MilterSession *session;
  bool session_over; /* it answered ACCEPT at connect or HELO: the MTA says nothing more */
  bool message_over; /* ... to this message */
};

struct MilterStory *milter_story_new(StoryDoor *door) {
  struct MilterStory *milter = g_new0(struct MilterStory, 1);
  MilterOptions options = {.delay_reject = DELAY_REJECT_RCPT,
                           .server_name = door->world.server_name,
                           .service = door->world.service,
                           .owned = PHASES_ALL,
                           .clock = door->world.clock,
                           .message = MESSAGE_LIMITS_DEFAULT};
  g_autoptr(MilterPlan) plan = milter_plan_new(door->world.ruleset, &options);
  milter->session = milter_session_new(plan);
  if (door->world.trace) {
    milter_session_trace(milter->session, door->world.trace);
  }
  return milter;
}

void milter_story_free(struct MilterStory *milter) {
  if (milter) {
    milter_session_free(milter->session);
    g_free(milter);
  }
}

/* ---- the event ---- */

/* A macro's value: that of the fact which has it among its sources. */
static const char *story_macro(void *data, const char *name) {
  StoryDoor *door = data;
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const char *sources = fact_info((Fact)fact)->milter_source;
    if (door->facts[fact] == NULL || sources == NULL) {
      continue;
    }
    g_auto(GStrv) words = g_strsplit(sources, " ", -1);
    if (g_strv_contains((const char *const *)words, name)) {
      return door->facts[fact];
    }
  }
  return NULL;
}

/* What the MTA sends at the step; false: nothing. */
static bool step_event(StepKind kind, MilterEventKind *event) {
  switch (kind) {
    case STEP_CLIENT:
      *event = MILTER_CONNECT;
      return true;
    case STEP_HELO:
    case STEP_EHLO:
      *event = MILTER_HELO;
      return true;
    case STEP_MAIL:
      *event = MILTER_MAIL;
      return true;
    case STEP_RCPT:
      *event = MILTER_RCPT;
      return true;
    case STEP_DATA:
      *event = MILTER_DATA;
      return true;
    case STEP_MESSAGE:
      *event = MILTER_EOM;
      return true;
    case STEP_UNKNOWN:
      *event = MILTER_UNKNOWN;
      return true;
    case STEP_RSET:
      *event = MILTER_ABORT;
      return true;
    case STEP_QUIT:
      *event = MILTER_CLOSE;
      return true;
    case STEP_VRFY:
    case STEP_ETRN:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return false;
  }
  g_assert_not_reached();
}

static const char *const *step_arguments(StoryDoor *door, const ScenarioStep *step) {
  const char **arguments = ARENA_NEW_ARRAY(door->arena, const char *, 3);
  if (step->kind == STEP_CLIENT) {
    arguments[0] = step->name ? step->name : arena_printf(door->arena, "[%s]", step->text);
  } else {
    arguments[0] = step->text;
  }
  if (step->kind == STEP_MAIL && step->number > 0) {
    arguments[1] = arena_printf(door->arena, "SIZE=%" G_GINT64_FORMAT, step->number);
  }
  return arguments;
}

static EvaluationState run_session(void *self) {
  return milter_session_run(self);
}

static Question *const *wanted_questions(void *self, size_t *count) {
  return milter_session_wanted(self, count);
}

static void answer_session(void *self, const Question *question, Answer *answer) {
  milter_session_answer(self, question, answer);
}

static void expire_session(void *self, const char *reason) {
  milter_session_expire(self, reason);
}

static void settle_event(StoryDoor *door, const MilterEvent *event) {
  if (milter_session_event(door->milter->session, event) == EVALUATION_WAITS) {
    Waiting waiting = {door->milter->session, run_session, wanted_questions, answer_session, expire_session};
    answerer_settle(door->world.answerer, &waiting);
  }
}

static void send_event(StoryDoor *door, const ScenarioStep *step, MilterEventKind kind) {
  IpAddress address;
  MilterEvent event = {.kind = kind, .macro = story_macro, .macro_data = door, .arguments = step_arguments(door, step)};
  if (kind == MILTER_CONNECT && ip_parse(slice_from(step->text), &address)) {
    event.address = &address;
    event.port = (unsigned)(step->number ? step->number : 40000);
  }
  settle_event(door, &event);
}

/* The fields of the header, its end, and the body as it came in one piece, where there is one. */
static void send_content(StoryDoor *door, const ScenarioStep *step) {
  Slice rest = step->content;
  const char *arguments[3] = {NULL};
  MilterEvent event = {.kind = MILTER_HEADER, .macro = story_macro, .macro_data = door, .arguments = arguments};
  while (message_take_field(door->arena, &rest, &arguments[0], &arguments[1])) {
    settle_event(door, &event);
  }
  send_event(door, step, MILTER_EOH);
  MilterEvent body = {.kind = MILTER_BODY, .macro = story_macro, .macro_data = door, .body = message_take_body(rest)};
  if (body.body.length > 0) {
    settle_event(door, &body);
  }
}

/* ---- the answer ---- */

/* libmilter takes %% for %. */
static const char *undouble(Arena *arena, const char *line) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (const char *byte = line; *byte != '\0'; byte++) {
    g_string_append_c(text, *byte);
    byte += byte[0] == '%' && byte[1] == '%';
  }
  return slice_to_string(arena, slice_make(text->str, text->len));
}

static void read_reply(StoryDoor *door, const MilterResult *result, StepOutcome *outcome) {
  size_t count = 0;
  while (result->lines[count]) {
    count++;
  }
  const char **lines = ARENA_NEW_ARRAY(door->arena, const char *, count + 1);
  g_autoptr(GString) said = g_string_new(NULL);
  for (size_t i = 0; i < count; i++) {
    lines[i] = undouble(door->arena, result->lines[i]);
    g_string_append_printf(said, "%s%s%c%s%s%s", i > 0 ? "\n" : "", result->code, i + 1 < count ? '-' : ' ', result->enhanced,
                           result->enhanced[0] ? " " : "", lines[i]);
  }
  outcome->lines = lines;
  outcome->said = slice_to_string(door->arena, slice_make(said->str, said->len));
  memcpy(outcome->code, result->code, sizeof outcome->code);
  memcpy(outcome->enhanced, result->enhanced, sizeof outcome->enhanced);
  outcome->refused = true;
  outcome->closed = strcmp(result->code, "421") == 0 || strcmp(result->code, "521") == 0;
}

static void read_result(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome) {
  static const char *const words[] = {"continue", "reject", "tempfail", "accept", "discard"};
  const MilterResult *result = milter_session_result(door->milter->session);
  story_outcome_verdict(door, outcome, result->verdict);
  outcome->said = words[result->action];
  if (result->has_reply) {
    read_reply(door, result, outcome);
  }
  if (result->action == MILTER_ACCEPT) {
    bool session = step->kind == STEP_CLIENT || step->kind == STEP_HELO || step->kind == STEP_EHLO;
    door->milter->session_over = door->milter->session_over || session;
    door->milter->message_over = true;
  }
  const char **done = ARENA_NEW_ARRAY(door->arena, const char *, result->effect_count + 1);
  for (size_t i = 0; i < result->effect_count; i++) {
    done[i] = effect_text(door->arena, &result->effects[i]);
  }
  outcome->done = done;
}

void milter_story_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome) {
  struct MilterStory *milter = door->milter;
  MilterEventKind kind;
  if (step->kind == STEP_MAIL || step->kind == STEP_RSET || step->kind == STEP_HELO || step->kind == STEP_EHLO) {
    milter->message_over = false;
  }
  if (!step_event(step->kind, &kind)) {
    return;
  }
  bool of_message = kind == MILTER_MAIL || kind == MILTER_RCPT || kind == MILTER_DATA || kind == MILTER_EOM;
  bool told = !milter->session_over && !(of_message && milter->message_over);
  outcome->asked = kind != MILTER_ABORT && kind != MILTER_CLOSE;
  outcome->said = "accept";
  if (!told) {
    return;
  }
  if (kind == MILTER_EOM) {
    send_content(door, step);
  }
  send_event(door, step, kind);
  read_result(door, step, outcome);
}
