/*
 * wait.h: what holds a callback: look-ups and delays.
 */
#ifndef MILTER_WAIT_H
#define MILTER_WAIT_H

#include "milter/filter.h"

/*
 * Until the session has decided: asks its look-ups and waits for their answers, at most to `deadline` (g_get_monotonic_time). After it,
 * when too many callbacks wait, and when we stop, what has no answer is unknown.
 */
void wait_for_verdict(Conversation *conversation, EvaluationState state, gint64 deadline);
/* Sleeps; ends early at the deadline and when we stop. */
void wait_for_delay(Conversation *conversation, int64_t delay_ms, gint64 deadline);

#endif
