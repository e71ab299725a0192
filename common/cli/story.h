/*
 * story.h: telling the steps of a story through a door's own code, in process: policy requests as Postfix would make them, milter events as an MTA would.
 *
 * A StoryDoor is one session through one door. It knows what the MTA would know (facts), keeps to what SMTP allows, and says what came of each step. No sockets, no waiting:
 * look-ups are answered by an Answerer. Confined.
 */
#ifndef COMMON_CLI_STORY_H
#define COMMON_CLI_STORY_H

#include "common/cli/answerer.h"
#include "common/cli/scenario.h"
#include "common/rules/trace.h"
#include "common/smtp/verdict.h"

/* What a story is told in; all of it borrowed. */
typedef struct StoryWorld {
  Ruleset *ruleset;
  Clock *clock;
  Answerer *answerer;
  const char *server_name; /* never NULL */
  const char *service;     /* NULL: none */
  Trace *trace;            /* NULL: nothing is recorded */
  bool ask_early;          /* the policy door is asked at client, helo and ehlo too */
} StoryWorld;

/* What came of a step through a door. Texts live until the door's next step. */
typedef struct StepOutcome {
  bool asked;                 /* the door was asked */
  bool refused;               /* the client hears a 4xx or 5xx */
  bool closed;                /* ... and the connection ends */
  bool held;                  /* what connect or helo refuse is said at RCPT TO, not here */
  Outcome outcome;            /* of the verdict; PASS when none */
  Slice rule;                 /* that decided; empty: none */
  char code[4], enhanced[12]; /* of a refusal, as the client hears it; "" for none */
  const char *const *lines;   /* NULL-terminated; the policy door has one */
  const char *said;           /* what the door sends: "action=DUNNO"; the reply's lines, or "continue", "accept", "discard" */
  const char *const *effects; /* of the verdict, as effect_text has them; NULL-terminated */
  const char *const *failures;
  const char *const *done; /* at message: what is done to the message itself (headers, quarantine) */
  const Verdict *verdict;  /* NULL: no rule was asked */
} StepOutcome;

typedef struct StoryDoor StoryDoor;

StoryDoor *story_door_new(Door door, const StoryWorld *world);
void story_door_free(StoryDoor *door); /* takes NULL */
/* NULL when SMTP allows the step here, else why not (static). */
const char *story_door_refuses_step(const StoryDoor *door, const ScenarioStep *step);
/* Tells one step. *outcome.asked is false where the door is not asked. The clock is not moved by it. */
void story_door_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoryDoor, story_door_free)

#endif
