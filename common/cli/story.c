/*
 * story.c: what all doors share: the facts that an MTA would know at each step, and what SMTP allows.
 */
#include "common/cli/story.h"

#include <string.h>

#include "common/cli/effect_text.h"
#include "common/cli/story_internal.h"

StoryDoor *story_door_new(Door door, const StoryWorld *world) {
  StoryDoor *story = g_new0(StoryDoor, 1);
  story->door = door;
  story->world = *world;
  story->arena = arena_new(0);
  story_fact(story, FACT_SERVER_NAME, world->server_name);
  switch (door) {
    case DOOR_POLICY:
      story->policy = policy_story_new(story);
      return story;
    case DOOR_MILTER:
      story->milter = milter_story_new(story);
      return story;
    case DOOR_SOCKETMAP:
      story->socketmap = socketmap_story_new();
      return story;
    case DOOR_COUNT:
      break;
  }
  g_assert_not_reached();
}

void story_door_free(StoryDoor *door) {
  if (door == NULL) {
    return;
  }
  policy_story_free(door->policy);
  milter_story_free(door->milter);
  socketmap_story_free(door->socketmap);
  arena_free(door->arena);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    g_free(door->facts[fact]);
  }
  g_free(door->recipient);
  g_free(door);
}

void story_fact(StoryDoor *door, Fact fact, const char *text) {
  char *copy = g_strdup(text);
  g_free(door->facts[fact]);
  door->facts[fact] = copy;
}

void story_fact_number(StoryDoor *door, Fact fact, int64_t number) {
  g_free(door->facts[fact]);
  door->facts[fact] = number > 0 ? g_strdup_printf("%" G_GINT64_FORMAT, number) : NULL;
}

static const char *const *failure_texts(Arena *arena, const Failure *failures) {
  size_t count = 0;
  for (const Failure *failure = failures; failure; failure = failure->next) {
    count++;
  }
  const char **texts = ARENA_NEW_ARRAY(arena, const char *, count + 1);
  for (size_t i = 0; i < count; i++, failures = failures->next) {
    texts[i] = failure_text(arena, failures);
  }
  return texts;
}

void story_outcome_verdict(StoryDoor *door, StepOutcome *outcome, const Verdict *verdict) {
  static const Verdict none = {.outcome = OUTCOME_PASS};
  outcome->verdict = verdict;
  const Verdict *told = verdict ? verdict : &none;
  outcome->outcome = told->outcome;
  outcome->rule = told->rule;
  const char **effects = ARENA_NEW_ARRAY(door->arena, const char *, told->effect_count + 1);
  for (size_t i = 0; i < told->effect_count; i++) {
    effects[i] = effect_text(door->arena, &told->effects[i]);
  }
  outcome->effects = effects;
  outcome->failures = failure_texts(door->arena, told->failures);
}

void story_outcome_refusal(StoryDoor *door, StepOutcome *outcome, Slice reply) {
  Slice rest;
  bool more;
  Slice code = slice_split(reply, ' ', &rest, &more);
  Slice enhanced = slice_split(rest, ' ', &rest, &more);
  (void)g_snprintf(outcome->code, sizeof outcome->code, "%.*s", SLICE_ARGS(code));
  (void)g_snprintf(outcome->enhanced, sizeof outcome->enhanced, "%.*s", SLICE_ARGS(enhanced));
  const char **lines = ARENA_NEW_ARRAY(door->arena, const char *, 2);
  lines[0] = slice_to_string(door->arena, rest);
  outcome->lines = lines;
  outcome->refused = true;
}

/* ---- SMTP ---- */

static const char *refuses_content(const SmtpState *smtp, StepKind kind) {
  if (kind == STEP_RCPT) {
    return smtp->in_data      ? "the message must be sent first"
           : smtp->in_message ? NULL
                              : "there is no message: mail comes first, and must be accepted";
  }
  if (kind == STEP_DATA) {
    return smtp->in_data ? "the message must be sent first" : smtp->recipients > 0 ? NULL : "no recipient was accepted";
  }
  return smtp->in_data ? NULL : "data comes first, and must be accepted";
}

const char *story_door_refuses_step(const StoryDoor *door, const ScenarioStep *step) {
  const SmtpState *smtp = &door->smtp;
  if (step->kind == STEP_SET || step->kind == STEP_UNSET || step->kind == STEP_CLOCK) {
    return NULL;
  }
  if (step->kind == STEP_CLIENT) {
    return smtp->connected ? "the client has connected already" : NULL;
  }
  if (smtp->closed) {
    return "the connection was closed";
  }
  switch (step->kind) {
    case STEP_RCPT:
    case STEP_DATA:
    case STEP_MESSAGE:
      return smtp->data_refused && step->kind != STEP_MESSAGE ? "after a refused DATA comes rset" : refuses_content(smtp, step->kind);
    case STEP_MAIL:
      return smtp->in_message ? "the message before has not ended" : NULL;
    case STEP_HELO:
    case STEP_EHLO:
    case STEP_VRFY:
    case STEP_ETRN:
    case STEP_UNKNOWN:
    case STEP_RSET:
    case STEP_QUIT:
      return smtp->in_data ? "the message must be sent first" : NULL;
    case STEP_CLIENT:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return NULL;
  }
  g_assert_not_reached();
}

static void end_message(SmtpState *smtp) {
  smtp->in_message = smtp->in_data = smtp->data_refused = false;
  smtp->recipients = 0;
}

static void move_smtp(StoryDoor *door, const ScenarioStep *step, const StepOutcome *outcome) {
  SmtpState *smtp = &door->smtp;
  smtp->closed = smtp->closed || outcome->closed;
  switch (step->kind) {
    case STEP_CLIENT:
      smtp->connected = true;
      return;
    case STEP_HELO:
    case STEP_EHLO:
      smtp->greeted = true;
      end_message(smtp);
      return;
    case STEP_MAIL:
      smtp->in_message = !outcome->refused;
      return;
    case STEP_RCPT:
      if (!outcome->refused) {
        smtp->recipients++;
        g_free(door->recipient);
        door->recipient = g_strdup(step->text);
      }
      return;
    case STEP_DATA:
      smtp->in_data = !outcome->refused;
      smtp->data_refused = outcome->refused;
      return;
    case STEP_MESSAGE:
    case STEP_RSET:
      end_message(smtp);
      return;
    case STEP_QUIT:
      smtp->closed = true;
      return;
    case STEP_VRFY:
    case STEP_ETRN:
    case STEP_UNKNOWN:
    case STEP_SET:
    case STEP_UNSET:
    case STEP_CLOCK:
      return;
  }
}

/* ---- facts ---- */

static void know_client(StoryDoor *door, const ScenarioStep *step) {
  const char *reverse = step->reverse ? step->reverse : step->name;
  story_fact(door, FACT_CLIENT_ADDRESS, step->text);
  story_fact(door, FACT_CLIENT_NAME, step->name ? step->name : "unknown");
  story_fact(door, FACT_REVERSE_CLIENT_NAME, reverse ? reverse : "unknown");
  story_fact_number(door, FACT_CLIENT_PORT, step->number ? step->number : 40000);
}

static void know_message(StoryDoor *door, const ScenarioStep *step) {
  door->smtp.messages++;
  story_fact(door, FACT_SENDER, step->text);
  story_fact_number(door, FACT_SIZE, step->number);
  story_fact(door, FACT_QUEUE_ID, NULL);
  g_autofree char *instance = g_strdup_printf("1a2b.65a0f3c1.%u.0", door->smtp.messages);
  story_fact(door, FACT_INSTANCE, instance);
}

/* Postfix has a queue id from the first accepted recipient on. */
static void know_queue_id(StoryDoor *door) {
  if (door->smtp.recipients > 0 && door->facts[FACT_QUEUE_ID] == NULL) {
    g_autofree char *text = g_strdup_printf("4Cg8Mq3FzZz%u", door->smtp.messages);
    story_fact(door, FACT_QUEUE_ID, text);
  }
}

static void forget_step(StoryDoor *door) {
  story_fact(door, FACT_RECIPIENT, NULL);
  story_fact(door, FACT_RECIPIENT_COUNT, NULL);
  story_fact(door, FACT_MESSAGE_SIZE, NULL);
  story_fact(door, FACT_ETRN_DOMAIN, NULL);
  story_fact(door, FACT_COMMAND, NULL);
}

static void know_step(StoryDoor *door, const ScenarioStep *step) {
  forget_step(door);
  know_queue_id(door);
  switch (step->kind) {
    case STEP_CLIENT:
      know_client(door, step);
      return;
    case STEP_HELO:
    case STEP_EHLO:
      story_fact(door, FACT_HELO_NAME, step->text);
      story_fact(door, FACT_PROTOCOL_NAME, step->kind == STEP_EHLO ? "ESMTP" : "SMTP");
      return;
    case STEP_MAIL:
      know_message(door, step);
      return;
    case STEP_RCPT:
    case STEP_VRFY:
      story_fact(door, FACT_RECIPIENT, step->text);
      return;
    case STEP_MESSAGE:
      story_fact_number(door, FACT_MESSAGE_SIZE, message_size(step));
      story_fact_number(door, FACT_RECIPIENT_COUNT, door->smtp.recipients);
      return;
    case STEP_DATA:
      story_fact_number(door, FACT_RECIPIENT_COUNT, door->smtp.recipients);
      return;
    case STEP_ETRN:
      story_fact(door, FACT_ETRN_DOMAIN, step->text);
      return;
    case STEP_UNKNOWN:
      story_fact(door, FACT_COMMAND, step->text);
      return;
    case STEP_SET:
      story_fact(door, step->fact, step->text);
      return;
    case STEP_UNSET:
      story_fact(door, step->fact, NULL);
      return;
    case STEP_RSET:
    case STEP_QUIT:
    case STEP_CLOCK:
      return;
  }
}

void story_door_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome) {
  static const char *const none[] = {NULL};
  arena_reset(door->arena);
  *outcome = (StepOutcome){.outcome = OUTCOME_PASS, .lines = none, .effects = none, .failures = none, .done = none, .said = ""};
  know_step(door, step);
  if (door->policy != NULL) {
    policy_story_step(door, step, outcome);
  } else if (door->milter != NULL) {
    milter_story_step(door, step, outcome);
  } else {
    socketmap_story_step(door, step, outcome);
  }
  move_smtp(door, step, outcome);
}
