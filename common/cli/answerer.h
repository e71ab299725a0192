/*
 * answerer.h: who answers the look-ups of an evaluation in mailreeve(1): scripted DNS, at once, or the real one, through the scheduler.
 */
#ifndef COMMON_CLI_ANSWERER_H
#define COMMON_CLI_ANSWERER_H

#include "common/lookup/dns.h"
#include "common/rules/evaluate.h"

/* An evaluation that may wait: a policy question or a milter session. */
typedef struct Waiting {
  void *self;
  EvaluationState (*run)(void *self);
  Question *const *(*wanted)(void *self, size_t *count);
  void (*answer)(void *self, const Question *question, Answer *answer);
  void (*expire)(void *self, const char *reason);
} Waiting;

typedef struct Answerer Answerer;

/* A name that is silent in the script has missed the deadline, without waiting for it. */
Answerer *answerer_scripted_new(void);
DnsFake *answerer_script(Answerer *answerer); /* of a scripted one */
/* `server` as dns_resolver_new; NULL and *error when there is no DNS. */
Answerer *answerer_real_new(const char *server, GError **error);
void answerer_free(Answerer *answerer); /* after the rulesets that ask it; takes NULL */
/* For opening resources. */
ResourceContext answerer_context(Answerer *answerer);
/* The answer to one question; NULL when there is none within the deadline. Transfer full. */
Answer *answerer_ask(Answerer *answerer, Question *question);
/* Runs until it is decided. */
void answerer_settle(Answerer *answerer, const Waiting *waiting);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Answerer, answerer_free)

#endif
