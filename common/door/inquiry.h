/*
 * inquiry.h: what a door asks the rules when it remembers no session: several phases, each evaluated anew, in their order; the first verdict other than pass is the
 * answer. The policy door and the socket map door are made of it.
 *
 * It is run like an Evaluation (evaluate.h), which it hands each phase to. Confined; everything lives in the arena that it is made in.
 */
#ifndef COMMON_DOOR_INQUIRY_H
#define COMMON_DOOR_INQUIRY_H

#include "common/rules/evaluate.h"
#include "common/smtp/session.h"

/* What a door does that remembers messages; each may be NULL. */
typedef struct InquiryHooks {
  void *self;
  /* True: what connect and helo refuse is not said (data and eom of a message with a recipient that was spared). Asked when they refuse. */
  bool (*is_spared)(void *self);
  /* The rcpt rules have spared a recipient from what connect or helo refuse. */
  void (*spare)(void *self);
  /* The rules of this phase are about to be asked. */
  void (*begins)(void *self, Phase phase, Variables *variables);
} InquiryHooks;

typedef struct InquiryOptions {
  Phase asked;     /* the command that the MTA asks about */
  PhaseSet phases; /* those to evaluate; none: the answer is pass */
  unsigned deadline_ms;
  MatchSpace *match_space; /* of one inquiry at a time; may be NULL */
  AnswerSource answers;    /* as of an evaluation */
  InquiryHooks hooks;
} InquiryOptions;

typedef struct Inquiry Inquiry;

/*
 * The ruleset is borrowed until the first run; an inquiry that waits keeps a reference of its own from then on. `*variables` is NULL at first and made here, freed by the caller, and re-used. `session` has its facts by the first run;
 * here only its time is set, where rules read it.
 */
Inquiry *inquiry_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables, const InquiryOptions *options);
/* Sets the session's time; behind its facts, which begin with a reset. */
void inquiry_set_time(Inquiry *inquiry, Clock *clock);
/* Records the evaluations to come (explain). */
void inquiry_trace(Inquiry *inquiry, Trace *trace);

/*
 * As an Evaluation's functions. A connect or helo refusal (but no disconnect) asked at rcpt spares a recipient that the rcpt rules accept by HERE look-ups, when mail
 * does not refuse.
 */
EvaluationState inquiry_run(Inquiry *inquiry);
Question *const *inquiry_wanted(Inquiry *inquiry, size_t *count);
void inquiry_answer(Inquiry *inquiry, const Question *asked, Answer *answer);
void inquiry_expire(Inquiry *inquiry, const char *reason);
/* After DECIDED: the verdict that counts, with the effects and failures of all phases evaluated. */
const Verdict *inquiry_verdict(const Inquiry *inquiry);
/* The sum of the delays, at most the deadline. */
int64_t inquiry_delay_ms(const Inquiry *inquiry);

Phase inquiry_asked(const Inquiry *inquiry);
Ruleset *inquiry_ruleset(const Inquiry *inquiry);     /* borrowed */
Variables *inquiry_variables(const Inquiry *inquiry); /* borrowed */

#endif
