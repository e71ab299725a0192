/*
 * breaker.h: what fails again and again is left alone for a while.
 *
 * A resource (one DNS list's zone, one table) rests after LIMIT_ROW_FAILURES different questions in a row have failed within LIMIT_ROW_SECONDS: one
 * name that a server cannot resolve does not count twice. While it rests, one trial question each LIMIT_TRIAL_SECONDS goes out. Any good answer, also a late one, makes it
 * well. Resources that are well cost nothing. Time is given by the caller (monotonic nanoseconds). Confined: the scheduler's lock guards it.
 */
#ifndef COMMON_ASK_BREAKER_H
#define COMMON_ASK_BREAKER_H

#include "common/ask/lookup.h"

typedef struct Breakers Breakers;

typedef enum BreakerState {
  BREAKER_WELL,
  BREAKER_RESTING,
  BREAKER_TRIAL, /* resting, and this question is the trial: send it */
} BreakerState;

typedef enum BreakerChange { BREAKER_UNCHANGED, BREAKER_OPENED, BREAKER_CLOSED } BreakerChange;

Breakers *breakers_new(void);
void breakers_free(Breakers *breakers); /* takes NULL */
/* Before the question goes out. */
BreakerState breakers_ask(Breakers *breakers, const Question *question, int64_t now);
/* What questions to a resource that rests get: "zen.example.org: resting after 10 failures", transfer full and shared; nothing is taken from the heap for it. NULL: it does not rest. */
Answer *breakers_answer(const Breakers *breakers, const Question *question);
/* A question had a good answer, or failed. */
BreakerChange breakers_note(Breakers *breakers, const Question *question, bool good, int64_t now);
/* How many rest, and how many have failures behind them or rest. */
size_t breakers_resting(const Breakers *breakers);
size_t breakers_count(const Breakers *breakers);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Breakers, breakers_free)

#endif
