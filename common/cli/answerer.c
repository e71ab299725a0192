/*
 * answerer.c: scripted answers, and those of the real DNS.
 */
#include "common/cli/answerer.h"

#include "common/base/limits.h"

static const char deadline_reason[] = "no answer within the deadline";

struct Answerer {
  DnsFake *fake; /* NULL: the real one */
  Scheduler *scheduler;
  DnsResolver *resolver;
};

Answerer *answerer_scripted_new(void) {
  Answerer *answerer = g_new0(Answerer, 1);
  answerer->fake = dns_fake_new();
  return answerer;
}

DnsFake *answerer_script(Answerer *answerer) {
  return answerer->fake;
}

Answerer *answerer_real_new(const char *server, GError **error) {
  g_autoptr(Answerer) answerer = g_new0(Answerer, 1);
  answerer->scheduler = scheduler_new(error);
  if (answerer->scheduler == NULL) {
    return NULL;
  }
  answerer->resolver = dns_resolver_new(answerer->scheduler, server, error);
  return answerer->resolver ? g_steal_pointer(&answerer) : NULL;
}

void answerer_free(Answerer *answerer) {
  if (answerer == NULL) {
    return;
  }
  dns_fake_free(answerer->fake);
  if (answerer->resolver) {
    dns_resolver_free(answerer->resolver);
  }
  if (answerer->scheduler) {
    scheduler_free(answerer->scheduler);
  }
  g_free(answerer);
}

ResourceContext answerer_context(Answerer *answerer) {
  if (answerer->fake) {
    return (ResourceContext){.dns = &dns_fake_backend, .dns_self = answerer->fake};
  }
  return (ResourceContext){.dns = &dns_resolver_backend, .dns_self = answerer->resolver};
}

/* Scripts are of DNS; other look-ups are real. */
static bool is_scripted(const Answerer *answerer, const Question *question) {
  return answerer->fake && question->backend == &dns_fake_backend;
}

static Answer *ask_real(Answerer *answerer, Question *question) {
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  gint64 until = g_get_monotonic_time() + (gint64)LIMIT_DEADLINE_MS * 1000;
  g_autoptr(Question) asked = NULL;
  Answer *answer = NULL;
  g_autoptr(GError) error = NULL;
  if (answerer->scheduler == NULL) {
    answerer->scheduler = scheduler_new(&error);
  }
  if (answerer->scheduler == NULL) {
    return answer_new_failed(error->message);
  }
  scheduler_ask(answerer->scheduler, question, box);
  if (answer_box_wait(box, until)) {
    (void)answer_box_take(box, &asked, &answer);
  }
  answer_box_close(box);
  return answer;
}

Answer *answerer_ask(Answerer *answerer, Question *question) {
  return is_scripted(answerer, question) ? dns_fake_answer(answerer->fake, slice_make(question->key, question->key_length))
                                         : ask_real(answerer, question);
}

static void settle_scripted(Answerer *answerer, const Waiting *waiting) {
  while (waiting->run(waiting->self) == EVALUATION_WAITS) {
    size_t count;
    Question *const *wanted = waiting->wanted(waiting->self, &count);
    if (count == 0) {
      waiting->expire(waiting->self, deadline_reason); /* what is out now is silent */
    }
    for (size_t i = 0; i < count; i++) {
      g_autoptr(Question) question = question_ref(wanted[i]);
      g_autoptr(Answer) answer = answerer_ask(answerer, question);
      if (answer) {
        waiting->answer(waiting->self, question, answer);
      }
    }
  }
}

static void take_answers(AnswerBox *box, const Waiting *waiting) {
  Question *question;
  Answer *answer;
  while (answer_box_take(box, &question, &answer)) {
    waiting->answer(waiting->self, question, answer);
    question_unref(question);
    answer_unref(answer);
  }
}

static void settle_real(Answerer *answerer, const Waiting *waiting) {
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  gint64 until = g_get_monotonic_time() + (gint64)LIMIT_DEADLINE_MS * 1000;
  bool late = false;
  while (waiting->run(waiting->self) == EVALUATION_WAITS) {
    size_t count;
    Question *const *wanted = waiting->wanted(waiting->self, &count);
    for (size_t i = 0; i < count; i++) {
      if (late) {
        (void)scheduler_ask_kept(answerer->scheduler, wanted[i], box);
      } else {
        scheduler_ask(answerer->scheduler, wanted[i], box);
      }
    }
    bool answered = answer_box_wait(box, until);
    if (!answered && late) {
      waiting->expire(waiting->self, deadline_reason);
    } else if (!answered) {
      late = true;
      scheduler_hurry(answerer->scheduler, box);
    }
    take_answers(box, waiting);
  }
  answer_box_close(box);
}

void answerer_settle(Answerer *answerer, const Waiting *waiting) {
  if (answerer->fake) {
    settle_scripted(answerer, waiting);
  } else {
    settle_real(answerer, waiting);
  }
}
