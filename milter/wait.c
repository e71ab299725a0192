/*
 * wait.c: a callback waits on its conversation's answer box. It may be woken for nothing, so the state is looked at each time.
 */
#include "milter/wait.h"

#include "common/ask/scheduler.h"

/* When it is too late for fresh answers only what is kept counts. */
static void ask_wanted(Conversation *conversation, bool late) {
  size_t count;
  Scheduler *scheduler = daemon_scheduler(filter_daemon(conversation->filter));
  AnswerBox *box = conversation_box(conversation);
  Question *const *wanted = milter_session_wanted(conversation->session, &count);
  for (size_t i = 0; i < count; i++) {
    if (late) {
      (void)scheduler_ask_kept(scheduler, wanted[i], box);
    } else {
      scheduler_ask(scheduler, wanted[i], box);
    }
  }
}

/* False: there was nothing. Late answers to an earlier event's questions are let go by the session. */
static bool take_answers(Conversation *conversation) {
  Question *question;
  Answer *answer;
  bool any = false;
  while (answer_box_take(conversation_box(conversation), &question, &answer)) {
    milter_session_answer(conversation->session, question, answer);
    question_unref(question);
    answer_unref(answer);
    any = true;
  }
  return any;
}

/* Waits for an answer; NULL, or why there will be none. */
static const char *wait_for_answer(Conversation *conversation, gint64 deadline) {
  while (!take_answers(conversation)) {
    if (filter_is_stopping(conversation->filter)) {
      return "stopping";
    }
    if (g_get_monotonic_time() >= deadline) {
      filter_count(conversation->filter, FILTER_EXPIRED);
      return "no answer within the deadline";
    }
    (void)answer_box_wait(conversation_box(conversation), deadline);
  }
  return NULL;
}

/* No fresh answer comes any more: what is kept is taken, and when that does not help, the look-ups have failed. */
static void go_on_without(Conversation *conversation, const char *failure) {
  ask_wanted(conversation, true);
  if (!take_answers(conversation)) {
    milter_session_expire(conversation->session, failure);
  }
}

void wait_for_verdict(Conversation *conversation, EvaluationState state, gint64 deadline) {
  if (state == EVALUATION_DECIDED) {
    return;
  }
  bool waiting = filter_begin_waiting(conversation->filter);
  const char *failure = waiting ? NULL : "too many sessions wait";
  while (state == EVALUATION_WAITS) {
    if (failure == NULL) {
      ask_wanted(conversation, false);
      failure = wait_for_answer(conversation, deadline);
      if (failure != NULL) {
        scheduler_hurry(daemon_scheduler(filter_daemon(conversation->filter)), conversation_box(conversation));
        (void)take_answers(conversation);
      }
    } else {
      go_on_without(conversation, failure);
    }
    state = milter_session_run(conversation->session);
  }
  if (waiting) {
    filter_end_waiting(conversation->filter);
  }
}

void wait_for_delay(Conversation *conversation, int64_t delay_ms, gint64 deadline) {
  gint64 until = MIN(deadline, g_get_monotonic_time() + delay_ms * 1000);
  if (delay_ms <= 0 || !filter_begin_waiting(conversation->filter)) {
    return;
  }
  while (g_get_monotonic_time() < until && !filter_is_stopping(conversation->filter)) {
    if (answer_box_wait(conversation_box(conversation), until)) {
      (void)take_answers(conversation); /* late ones: they are in the cache now */
    }
  }
  filter_end_waiting(conversation->filter);
}
