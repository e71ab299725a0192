/*
 * protocol.h: what the two doors of this daemon do differently on a connection: reading a request, asking the rules, saying the answer.
 */
#ifndef POLICY_PROTOCOL_H
#define POLICY_PROTOCOL_H

#include "common/door/inquiry.h"
#include "common/door/policy.h"
#include "common/door/socketmap.h"

typedef struct Connection Connection;

typedef enum RequestParse {
  REQUEST_MORE,      /* it is not complete */
  REQUEST_READ,      /* *used bytes belong to it */
  REQUEST_MALFORMED, /* *problem says why, *excerpt quotes where */
} RequestParse;

/* The request that is read or answered, and how far it is read; {0} at the start of a connection. */
typedef union Request {
  struct {
    PolicyParser parser;
    PolicyRequest request;
  } policy;
  SocketmapRequest socketmap;
} Request;

/* The question that is asked: of the connection's door. */
typedef union Asked {
  void *any; /* NULL: nothing is asked */
  PolicyQuestion *policy;
  SocketmapQuestion *socketmap;
} Asked;

typedef struct Protocol {
  Door door;
  RequestParse (*parse)(Request *request, Slice bytes, size_t *used, const char **problem, Slice *excerpt);
  /* Asks, with what the connection has taken to work with; asked.any stays NULL when *answer is there without a question. */
  Asked (*ask)(Connection *connection, Slice *answer);
  EvaluationState (*run)(Asked asked);
  Question *const *(*wanted)(Asked asked, size_t *count);
  void (*take)(Asked asked, const Question *question, Answer *answer);
  void (*expire)(Asked asked, const char *reason);
  const Verdict *(*verdict)(Asked asked);
  int64_t (*delay_ms)(Asked asked);
  Slice (*bytes)(Asked asked);
  /* For the log; in the work's arena. */
  const char *(*session_id)(const Connection *connection);
} Protocol;

/* Of a listener's door. */
const Protocol *protocol_of(Door door);

#endif
