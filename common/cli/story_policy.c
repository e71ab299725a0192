/*
 * story_policy.c: a story through the policy door: the questions that Postfix asks, as bytes, and the answer's bytes.
 *
 * Postfix is taken to ask at MAIL, RCPT, DATA and END-OF-MESSAGE, at VRFY and ETRN. What connect and helo refuse is said to a recipient: at MAIL such an answer is left alone, as
 * by a server that has its check_policy_service in smtpd_recipient_restrictions.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/base/mailaddress.h"
#include "common/cli/effect_text.h"
#include "common/cli/story_internal.h"
#include "common/door/policy.h"

struct PolicyStory {
  Session *session;
  Variables *variables;
  PolicyMemory *memory;
  GPtrArray *done; /* of char: what was said for the message, as effect_text has it */
};

struct PolicyStory *policy_story_new(StoryDoor *door) {
  struct PolicyStory *policy = g_new0(struct PolicyStory, 1);
  policy->session = session_new(DOOR_POLICY);
  policy->memory = policy_memory_new(door->world.clock);
  policy->done = g_ptr_array_new_with_free_func(g_free);
  return policy;
}

void policy_story_free(struct PolicyStory *policy) {
  if (policy == NULL) {
    return;
  }
  variables_free(policy->variables);
  session_free(policy->session);
  policy_memory_free(policy->memory);
  g_ptr_array_unref(policy->done);
  g_free(policy);
}

/* ---- the request ---- */

/* protocol_state, or NULL where Postfix does not ask. */
static const char *step_state(const StoryDoor *door, StepKind kind) {
  switch (kind) {
    case STEP_CLIENT:
      return door->world.ask_early ? "CONNECT" : NULL;
    case STEP_HELO:
      return door->world.ask_early ? "HELO" : NULL;
    case STEP_EHLO:
      return door->world.ask_early ? "EHLO" : NULL;
    case STEP_MAIL:
      return "MAIL";
    case STEP_RCPT:
      return "RCPT";
    case STEP_DATA:
      return "DATA";
    case STEP_MESSAGE:
      return "END-OF-MESSAGE";
    case STEP_VRFY:
      return "VRFY";
    case STEP_ETRN:
      return "ETRN";
    case STEP_UNKNOWN:
    case STEP_RSET:
    case STEP_QUIT:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return NULL;
  }
  g_assert_not_reached();
}

/* Postfix sends addresses without <> and without quotes. */
static Slice bare_address(Arena *arena, const char *text) {
  Slice slice = slice_from(text);
  MailAddress address;
  if (memchr(text, '"', slice.length) && mail_address_parse(arena, slice, &address)) {
    return slice_from(
        arena_printf(arena, "%.*s%s%.*s", SLICE_ARGS(address.localpart), address.domain.length ? "@" : "", SLICE_ARGS(address.domain)));
  }
  if (slice.length >= 2 && text[0] == '<' && text[slice.length - 1] == '>') {
    return slice_make(text + 1, slice.length - 2);
  }
  return slice;
}

static void add_attribute(GString *request, const char *name, Slice value) {
  g_string_append_printf(request, "%s=%.*s\n", name, SLICE_ARGS(value));
}

static bool is_message_step(StepKind kind) {
  return kind == STEP_MAIL || kind == STEP_RCPT || kind == STEP_DATA || kind == STEP_MESSAGE;
}

static Slice attribute_value(const StoryDoor *door, const ScenarioStep *step, Fact fact) {
  bool in_message = is_message_step(step->kind);
  const char *text = door->facts[fact];
  if (fact == FACT_RECIPIENT && text == NULL && (step->kind == STEP_DATA || step->kind == STEP_MESSAGE) && door->smtp.recipients == 1) {
    text = door->recipient; /* Postfix tells it where there is only one */
  }
  if (fact_info(fact)->scope == SCOPE_MESSAGE && !in_message) {
    text = NULL;
  }
  if (text && (fact == FACT_SENDER || fact == FACT_RECIPIENT)) {
    return bare_address(door->arena, text);
  }
  return slice_from(text);
}

static Slice make_request(const StoryDoor *door, const ScenarioStep *step, const char *state) {
  g_autoptr(GString) request = g_string_new("request=smtpd_access_policy\n");
  add_attribute(request, "protocol_state", slice_from(state));
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const char *source = fact_info((Fact)fact)->policy_source;
    if (source == NULL || *source == '\0' || fact == FACT_SIZE || fact == FACT_MESSAGE_SIZE || fact == FACT_SERVICE) {
      continue;
    }
    add_attribute(request, source, attribute_value(door, step, fact == FACT_POLICY_CONTEXT ? FACT_SERVICE : (Fact)fact));
  }
  const char *size = door->facts[step->kind == STEP_MESSAGE ? FACT_MESSAGE_SIZE : FACT_SIZE];
  add_attribute(request, "size", slice_from(size && is_message_step(step->kind) ? size : "0"));
  g_string_append_c(request, '\n');
  return slice_copy(door->arena, slice_make(request->str, request->len));
}

/* ---- the question ---- */

static EvaluationState run_question(void *self) {
  return policy_question_run(self);
}

static Question *const *wanted_questions(void *self, size_t *count) {
  return policy_question_wanted(self, count);
}

static void answer_question(void *self, const Question *question, Answer *answer) {
  policy_question_answer(self, question, answer);
}

static void expire_question(void *self, const char *reason) {
  policy_question_expire(self, reason);
}

/* ---- the answer ---- */

/* The actions of access(5) that change a message, as effect_text calls them. */
static const struct {
  Slice action;
  const char *word;
} changes[] = {
    {SLICE_LITERAL("HOLD"), "quarantine"},
    {SLICE_LITERAL("REDIRECT"), "redirect"},
    {SLICE_LITERAL("BCC"), "bcc"},
    {SLICE_LITERAL("FILTER"), "filter"},
};

/* What the MTA does to the message because of this answer. */
static void note_done(StoryDoor *door, Slice action) {
  Slice rest, value;
  bool more;
  Slice word = slice_split(action, ' ', &rest, &more);
  g_autoptr(GString) text = g_string_new(NULL);
  if (slice_equal(word, SLICE_LITERAL("PREPEND"))) {
    Slice name = slice_split(rest, ':', &value, &more);
    g_string_append(text, "prepend header");
    effect_text_quote(text, name);
    effect_text_quote(text, slice_trim(value));
  }
  for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
    if (slice_equal(word, changes[i].action)) {
      g_string_append(text, changes[i].word);
      effect_text_quote(text, rest);
    }
  }
  if (text->len > 0) {
    g_ptr_array_add(door->policy->done, g_strdup(text->str));
  }
}

static const char *const *done_texts(const StoryDoor *door) {
  const GPtrArray *done = door->policy->done;
  const char **texts = ARENA_NEW_ARRAY(door->arena, const char *, done->len + 1);
  for (guint i = 0; i < done->len; i++) {
    texts[i] = slice_to_string(door->arena, slice_from(done->pdata[i]));
  }
  return texts;
}

/* At MAIL the refusals of connect and helo are not said yet. */
static bool is_left_alone(const ScenarioStep *step, const Verdict *verdict) {
  return step->kind == STEP_MAIL && verdict_refuses(verdict) && (verdict->phase == PHASE_CONNECT || verdict->phase == PHASE_HELO);
}

static void read_answer(StoryDoor *door, const ScenarioStep *step, const Verdict *verdict, Slice bytes, StepOutcome *outcome) {
  Slice line = slice_trim(bytes);
  Slice action = slice_from_offset(line, strlen("action="));
  if (is_left_alone(step, verdict)) {
    outcome->held = true;
    outcome->said = arena_printf(door->arena, "%.*s", SLICE_ARGS(line));
    return;
  }
  story_outcome_verdict(door, outcome, verdict);
  outcome->said = slice_to_string(door->arena, line);
  if (action.length > 0 && (action.data[0] == '4' || action.data[0] == '5')) {
    story_outcome_refusal(door, outcome, action);
    outcome->closed = strcmp(outcome->code, "421") == 0 || strcmp(outcome->code, "521") == 0;
  } else {
    note_done(door, action);
  }
}

void policy_story_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome) {
  struct PolicyStory *policy = door->policy;
  const StoryWorld *world = &door->world;
  const char *state = step_state(door, step->kind);
  if (step->kind == STEP_MAIL || step->kind == STEP_RSET) {
    g_ptr_array_set_size(policy->done, 0);
  }
  if (state == NULL) {
    return;
  }
  PolicyParser parser = {0};
  PolicyRequest request = {0};
  size_t used;
  const char *problem;
  Slice excerpt;
  Slice bytes = make_request(door, step, state);
  if (policy_parse(&parser, bytes, &request, &used, &problem, &excerpt) != POLICY_PARSE_REQUEST) {
    g_error("a request of our own is malformed: %.*s", SLICE_ARGS(bytes));
  }
  PolicyOptions options = {
      .server_name = world->server_name, .service = world->service, .deadline_ms = LIMIT_DEADLINE_MS, .owned = PHASES_ALL};
  PolicyQuestion *question = policy_question_new(door->arena, world->ruleset, policy->session, &policy->variables, policy->memory, &request,
                                                 &options, world->clock);
  if (world->trace) {
    policy_question_trace(question, world->trace);
  }
  Waiting waiting = {question, run_question, wanted_questions, answer_question, expire_question};
  answerer_settle(world->answerer, &waiting);
  outcome->asked = true;
  Slice answer = policy_question_bytes(question);
  read_answer(door, step, policy_question_verdict(question), answer, outcome);
  if (step->kind == STEP_MESSAGE) {
    outcome->done = done_texts(door);
  }
}
