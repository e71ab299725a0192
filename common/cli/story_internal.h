/*
 * story_internal.h: what the files that tell stories share. Nobody else includes it.
 */
#ifndef COMMON_CLI_STORY_INTERNAL_H
#define COMMON_CLI_STORY_INTERNAL_H

#include "common/cli/story.h"

/* Where the session stands in SMTP, as the client knows it. */
typedef struct SmtpState {
  bool connected, greeted, closed;
  bool in_message;     /* MAIL was accepted */
  bool in_data;        /* DATA was accepted */
  bool data_refused;   /* RSET must come next */
  unsigned recipients; /* accepted */
  unsigned messages;   /* begun */
} SmtpState;

struct StoryDoor {
  Door door;
  StoryWorld world;
  Arena *arena;            /* of the step */
  char *facts[FACT_COUNT]; /* what the MTA knows, as raw text; NULL: nothing */
  char *recipient;         /* the last one accepted */
  SmtpState smtp;
  struct PolicyStory *policy;
  struct MilterStory *milter;
  struct SocketmapStory *socketmap;
};

/* `text` NULL: nothing. */
void story_fact(StoryDoor *door, Fact fact, const char *text);
void story_fact_number(StoryDoor *door, Fact fact, int64_t number);
/* Fills outcome, rule, effects and failures from the verdict (may be NULL). */
void story_outcome_verdict(StoryDoor *door, StepOutcome *outcome, const Verdict *verdict);
/* Fills what a refusal in one line says: "550 5.7.1 text". Whether it closes the connection is the door's to know. */
void story_outcome_refusal(StoryDoor *door, StepOutcome *outcome, Slice reply);

struct PolicyStory *policy_story_new(StoryDoor *door);
void policy_story_free(struct PolicyStory *policy);
void policy_story_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome);

struct MilterStory *milter_story_new(StoryDoor *door);
void milter_story_free(struct MilterStory *milter);
void milter_story_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome);

struct SocketmapStory *socketmap_story_new(void);
void socketmap_story_free(struct SocketmapStory *socketmap);
void socketmap_story_step(StoryDoor *door, const ScenarioStep *step, StepOutcome *outcome);

#endif
