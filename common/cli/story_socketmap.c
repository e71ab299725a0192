/*
 * story_socketmap.c: a story through the socket map door: the questions that Sendmail's rulesets ask, as bytes, and the answer's bytes.
 *
 * Sendmail is taken to have the feature mailreeve, and PrivacyOptions that let it answer VRFY and EXPN.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/cli/story_internal.h"
#include "common/door/socketmap.h"

struct SocketmapStory {
  Session *session;
  Variables *variables;
};

struct SocketmapStory *socketmap_story_new(void) {
  struct SocketmapStory *socketmap = g_new0(struct SocketmapStory, 1);
  socketmap->session = session_new(DOOR_SOCKETMAP);
  return socketmap;
}

void socketmap_story_free(struct SocketmapStory *socketmap) {
  if (socketmap == NULL) {
    return;
  }
  variables_free(socketmap->variables);
  session_free(socketmap->session);
  g_free(socketmap);
}

/* ---- the request ---- */

/* PHASE_COUNT where Sendmail does not ask. */
static Phase asked_phase(const ScenarioStep *step) {
  return (step_doors(step->kind, step->text) & DOOR_BIT(DOOR_SOCKETMAP)) != 0 ? step_phase(step->kind, step->text) : PHASE_COUNT;
}

static Slice make_request(const StoryDoor *door, const ScenarioStep *step, Phase phase) {
  g_autoptr(GString) request = g_string_new(socketmap_name(phase));
  g_string_append_c(request, ' ');
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const FactInfo *info = fact_info((Fact)fact);
    bool is_told = info->socketmap_source != NULL && *info->socketmap_source != '\0' && strcmp(info->socketmap_source, "argument") != 0;
    if (is_told) {
      g_string_append_printf(request, "%s= %s<>", info->name, door->facts[fact] ? door->facts[fact] : "");
    }
  }
  const char *said = phase == PHASE_EXPN ? step->text + strlen("EXPN") : step->text;
  g_string_append_printf(request, "argument= %s", said);
  if (phase == PHASE_UNKNOWN) {
    g_string_append_printf(request, "%c5", (char)SOCKETMAP_SENDMAIL_MARK);
  }
  return slice_from(arena_printf(door->arena, "%zu:%s,", (size_t)request->len, request->str));
}

/* ---- the question ---- */

static EvaluationState run_question(void *self) {
  return inquiry_run(self);
}

static Question *const *wanted_questions(void *self, size_t *count) {
  return inquiry_wanted(self, count);
}

static void answer_question(void *self, const Question *question, Answer *answer) {
  inquiry_answer(self, question, answer);
}

static void expire_question(void *self, const char *reason) {
  inquiry_expire(self, reason);
}

/* ---- the answer ---- */

/* What stands between the quotes, as Sendmail says it: a doubled '%' is one. */
static Slice said_reply(StoryDoor *door, Slice bytes) {
  ptrdiff_t first = slice_find(bytes, '"'), last = slice_find_last(bytes, '"');
  if (first < 0 || last <= first) {
    return SLICE_EMPTY;
  }
  char *text = arena_alloc_text(door->arena, bytes.length);
  size_t length = 0;
  for (ptrdiff_t i = first + 1; i < last; i++) {
    text[length++] = bytes.data[i];
    i += bytes.data[i] == '%';
  }
  return slice_make(text, length);
}

void socketmap_story_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome) {
  struct SocketmapStory *socketmap = door->socketmap;
  const StoryWorld *world = &door->world;
  Phase phase = asked_phase(step);
  if (phase == PHASE_COUNT) {
    return;
  }
  SocketmapRequest request;
  size_t used;
  const char *problem;
  Slice excerpt;
  Slice bytes = make_request(door, step, phase);
  if (socketmap_parse(bytes, &request, &used, &problem, &excerpt) != SOCKETMAP_PARSE_REQUEST) {
    g_error("a request of our own is malformed: %.*s", SLICE_ARGS(bytes));
  }
  outcome->asked = true;
  Slice answer;
  if (request.kind == SOCKETMAP_ASKS) {
    SocketmapOptions options = {
        .server_name = world->server_name, .service = world->service, .deadline_ms = LIMIT_DEADLINE_MS, .owned = PHASES_ALL};
    SocketmapQuestion *question =
        socketmap_question_new(door->arena, world->ruleset, socketmap->session, &socketmap->variables, &request, &options, world->clock);
    Inquiry *inquiry = socketmap_question_inquiry(question);
    if (world->trace) {
      inquiry_trace(inquiry, world->trace);
    }
    Waiting waiting = {inquiry, run_question, wanted_questions, answer_question, expire_question};
    answerer_settle(world->answerer, &waiting);
    answer = socketmap_question_bytes(question);
    story_outcome_verdict(door, outcome, socketmap_question_verdict(question));
  } else {
    answer = socketmap_refusal_bytes(door->arena, &request);
  }
  outcome->said = slice_to_string(door->arena, answer);
  Slice reply = said_reply(door, answer);
  if (reply.length > 0) {
    story_outcome_refusal(door, outcome, reply);
    outcome->closed = phase == PHASE_UNKNOWN && strcmp(outcome->code, "421") == 0;
  }
}
