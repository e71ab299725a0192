/*
 * policy.h: the policy door, pure: bytes -> request -> facts -> answer -> bytes. No file descriptor inside.
 *
 * Protocol: Postfix SMTPD_POLICY_README. A request is name=value lines ended by an empty line; it may come split over any number of reads.
 */
#ifndef COMMON_DOOR_POLICY_H
#define COMMON_DOOR_POLICY_H

#include "common/base/arena.h"
#include "common/rules/evaluate.h"
#include "common/smtp/session.h"

typedef enum PolicyParse {
  POLICY_PARSE_MORE,      /* the request is not complete */
  POLICY_PARSE_REQUEST,   /* *request is filled; *used bytes belong to it */
  POLICY_PARSE_MALFORMED, /* *problem says why, *excerpt quotes where: log, count, close without an answer */
} PolicyParse;

/* Slices point into the buffer. */
typedef struct PolicyRequest {
  Slice attributes[FACT_COUNT]; /* by fact; data NULL when the attribute was not there */
  Slice protocol_state;
  Slice protocol_name;
  Slice instance;
  Slice size;                   /* declared or actual, by protocol_state */
  bool has_request;             /* request=smtpd_access_policy was there */
} PolicyRequest;

typedef struct PolicyParser {
  size_t scanned; /* bytes of the buffer already searched for the end; 0 at the start of a request */
} PolicyParser;

/* Parses one request at the start of `buffer`. Call again with more bytes after MORE (the same start). */
PolicyParse policy_parse(PolicyParser *parser, Slice buffer, PolicyRequest *request, size_t *used, const char **problem, Slice *excerpt);

/* The phase asked for, from protocol_state (EHLO and HELO are both helo); false for a state that nobody knows. */
bool policy_phase(const PolicyRequest *request, Phase *phase);

typedef struct PolicyOptions {
  bool accept_is_ok;        /* `accept` answers OK instead of DUNNO: it can then overrule later restrictions, never use it before reject_unauth_destination */
  const char *server_name;  /* the fact server_name; never NULL */
  const char *service;      /* of the listener, where policy_context is empty; may be NULL */
  unsigned deadline_ms;
} PolicyOptions;

/*
 * One question from Postfix, answered: evaluates connect, helo, mail and the asked phase anew, in this order; the first verdict other than
 * pass is the answer (mail and rcpt are left out for vrfy; a connect or helo refusal asked at rcpt spares a recipient that the rcpt rules
 * accept first by HERE look-ups).
 */
typedef struct PolicyQuestion PolicyQuestion;
typedef struct PolicyMemory PolicyMemory; /* per instance, of the process: thread-safe */

PolicyMemory *policy_memory_new(Clock *clock);
void policy_memory_free(PolicyMemory *memory);

/* `session` and `variables` are re-used from question to question by the connection; `request` must outlive the question. In `arena` (with release functions). */
PolicyQuestion *policy_question_new(Arena *arena, Ruleset *ruleset, Session *session, PolicyMemory *memory, const PolicyRequest *request,
                                    const PolicyOptions *options, Clock *clock);
/* As an Evaluation's functions. */
EvaluationState policy_question_run(PolicyQuestion *question);
Question *const *policy_question_wanted(PolicyQuestion *question, size_t *count);
void policy_question_answer(PolicyQuestion *question, const Question *asked, Answer *answer);
void policy_question_expire(PolicyQuestion *question, const char *reason);
/* After DECIDED: the verdict that counts, its delay, and all effects of the phases evaluated. */
const Verdict *policy_question_verdict(const PolicyQuestion *question);
Phase policy_question_phase(const PolicyQuestion *question);
int64_t policy_question_delay_ms(const PolicyQuestion *question);
/* The answer with its empty line, e.g. "action=550 5.7.1 no\n\n". In the arena. Marks whole-message effects as said. */
Slice policy_question_bytes(PolicyQuestion *question);

/* Encodes a verdict (with at most one whole-message effect, may be NULL) as the text behind "action="; pure. One line, nothing that Postfix would misread. */
Slice policy_encode(Arena *arena, const Verdict *verdict, const Effect *effect, bool accept_is_ok);

#endif
