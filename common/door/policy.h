/*
 * policy.h: the policy door, pure: bytes -> request -> facts -> answer -> bytes. No file descriptor inside.
 *
 * Protocol: Postfix SMTPD_POLICY_README. A request is name=value lines ended by an empty line; it may come split over any number of reads.
 */
#ifndef COMMON_DOOR_POLICY_H
#define COMMON_DOOR_POLICY_H

#include "common/base/arena.h"
#include "common/base/limits.h"
#include "common/rules/evaluate.h"
#include "common/smtp/session.h"

typedef enum PolicyParse {
  POLICY_PARSE_MORE,      /* the request is not complete */
  POLICY_PARSE_REQUEST,   /* *request is filled; *used bytes belong to it */
  POLICY_PARSE_MALFORMED, /* *problem says why, *excerpt quotes where: log, count, close without an answer */
} PolicyParse;

/* The values of protocol_state. */
typedef enum PolicyState {
  POLICY_STATE_CONNECT,
  POLICY_STATE_EHLO,
  POLICY_STATE_HELO,
  POLICY_STATE_MAIL,
  POLICY_STATE_RCPT,
  POLICY_STATE_DATA,
  POLICY_STATE_END_OF_MESSAGE,
  POLICY_STATE_VRFY,
  POLICY_STATE_ETRN,
} PolicyState;

/* Slices point into the buffer. */
typedef struct PolicyRequest {
  Slice attributes[FACT_COUNT]; /* by fact, where fact.def names an attribute of its own; data NULL when the attribute was not there. policy_facts adds others */
  Slice protocol_state;
  Slice policy_context;
  Slice size;                   /* declared or actual, by protocol_state */
  Slice other;                  /* the value of some attribute that is none of these: the parser's own */
  PolicyState state;            /* what protocol_state says; valid after POLICY_PARSE_REQUEST */
  bool has_request;             /* request=smtpd_access_policy was there */
  const char *buffer;           /* where the slices point: when the caller's buffer has moved, policy_parse moves them */
} PolicyRequest;

enum { POLICY_PATTERN_TEXT = 1024, POLICY_PATTERN_LINES = 48 };

/* A line "name=value\n" of the pattern. */
typedef struct PolicyPatternLine {
  uint16_t start, value; /* where it and its value stand in the text; `value` at the next line: it must be equal as a whole */
  uint16_t length;       /* of the value */
  uint16_t slot;         /* where a request keeps it */
  uint8_t place;         /* what it names: 0, nothing that we know */
} PolicyPatternLine;

/* Names, order and values of an earlier request of the connection: a guess at those of the next ones. */
typedef struct PolicyPattern {
  unsigned count;       /* of the lines */
  uint8_t request_line; /* which of them is request=smtpd_access_policy, where there is one */
  PolicyPatternLine lines[POLICY_PATTERN_LINES + 2]; /* where the last one ends, and the end */
  char text[POLICY_PATTERN_TEXT];
} PolicyPattern;

/* How far a request is read; {0} at the start of a connection. */
typedef struct PolicyParser {
  size_t line;         /* where the first line stands that is not read yet */
  size_t scanned;      /* bytes already searched for that line's end */
  unsigned count;      /* attributes so far */
  uint8_t usual_state; /* protocol_state of the last request: a guess too */
  PolicyPattern pattern;
} PolicyParser;

/*
 * Parses one request at the start of `buffer`. After MORE call again with more bytes behind the same ones (they may have moved) and the same request. Malformed: a
 * line without '=', a NUL byte, a line, a request or a number of attributes over its limit, request other than smtpd_access_policy or
 * missing, a protocol_state that is missing or that nobody knows. Unknown attributes are ignored; of two equal ones the first stays. After REQUEST the parser is ready for the next one.
 */
PolicyParse policy_parse(PolicyParser *parser, Slice buffer, PolicyRequest *request, size_t *used, const char **problem, Slice *excerpt);

/* The phase asked for, from protocol_state (EHLO and HELO are both helo). */
Phase policy_phase(const PolicyRequest *request);

typedef struct PolicyOptions {
  bool accept_is_ok;        /* `accept` answers OK instead of DUNNO: it can then overrule later restrictions, never use it before reject_unauth_destination */
  const char *server_name;  /* the fact server_name; never NULL */
  const char *service;      /* of the listener, where policy_context is empty; may be NULL */
  unsigned deadline_ms;
  PhaseSet owned;           /* phases that this door answers; the others (the milter's, when both are on) are left out */
  MatchSpace *match_space;  /* of one question at a time; may be NULL */
  AnswerSource answers;     /* as of an evaluation */
} PolicyOptions;

/*
 * Puts a request's facts into a session (reset before): borrowed, so the request and its buffer must outlive them. Completes the request's attributes: those that have
 * two facts, and what the options say.
 */
void policy_facts(Session *session, PolicyRequest *request, const PolicyOptions *options);

/*
 * What the process remembers per message (`instance`; where that is empty, client and server address and port): the ruleset in use, which whole-message effects
 * were said, whether a recipient was spared from a refusal of connect or helo, the group of its recipients, and where rules read `recipients` at data or eom the recipients that passed at rcpt. At most LIMIT_INSTANCES, the longest unused go first, each for
 * LIMIT_INSTANCE_SECONDS. Confined.
 */
typedef struct PolicyMemory PolicyMemory;

PolicyMemory *policy_memory_new(Clock *clock);
void policy_memory_free(PolicyMemory *memory); /* takes NULL */
size_t policy_memory_count(PolicyMemory *memory);

/*
 * One question from Postfix, answered: evaluates connect, helo, mail and the asked phase anew, in this order; the first verdict other than
 * pass is the answer. helo is left out at CONNECT and where helo_name is empty; mail and rcpt are left out for vrfy and etrn, rcpt for data and eom. A connect or helo
 * refusal (but no disconnect) asked at rcpt spares a recipient that the rcpt rules accept by HERE look-ups, when mail does not refuse; such a message
 * is spared at data and eom too.
 */
typedef struct PolicyQuestion PolicyQuestion;

/*
 * `session` and `*variables` are the caller's, for one question at a time, and re-used: *variables is NULL at first and made here, freed by the caller; `request` and its bytes must outlive
 * the question. `memory` may be NULL: nothing is remembered. The question lives in `arena` (with release functions). The clock's time is fixed here.
 */
PolicyQuestion *policy_question_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables, PolicyMemory *memory,
                                    PolicyRequest *request, const PolicyOptions *options, Clock *clock);
/* Records the evaluations to come (explain). */
void policy_question_trace(PolicyQuestion *question, Trace *trace);
/* As an Evaluation's functions. */
EvaluationState policy_question_run(PolicyQuestion *question);
Question *const *policy_question_wanted(PolicyQuestion *question, size_t *count);
void policy_question_answer(PolicyQuestion *question, const Question *asked, Answer *answer);
void policy_question_expire(PolicyQuestion *question, const char *reason);
/* After DECIDED: the verdict that counts, with the effects and failures of all phases evaluated. */
const Verdict *policy_question_verdict(const PolicyQuestion *question);
/* The phase that Postfix asked at. */
Phase policy_question_phase(const PolicyQuestion *question);
/* The sum of the delays, at most the deadline. */
int64_t policy_question_delay_ms(const PolicyQuestion *question);
/* The answer with its empty line, e.g. "action=550 5.7.1 no\n\n". In the arena. Marks a whole-message effect as said; once a question. */
Slice policy_question_bytes(PolicyQuestion *question);

/*
 * Encodes a verdict (with at most one whole-message effect, may be NULL) as the text behind "action="; pure. One line of valid UTF-8 without controls, nothing that Postfix would
 * misread: a code always has a text, the enhanced code's class fits. Cut at LIMIT_POLICY_TEXT.
 */
Slice policy_encode(Arena *arena, const Verdict *verdict, const Effect *effect, bool accept_is_ok);

#endif
