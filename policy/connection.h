/*
 * connection.h: one connection of a mail server: bytes in, questions asked, answers out, in order. Confined to the server's loop.
 */
#ifndef POLICY_CONNECTION_H
#define POLICY_CONNECTION_H

#include "policy/server.h"

typedef enum ConnectionState {
  CONNECTION_READING,  /* waits for (the rest of) a request */
  CONNECTION_WAITING,  /* a question waits for look-ups */
  CONNECTION_DELAYING, /* an answer waits for its time */
  CONNECTION_WRITING,  /* the peer does not take our answer yet */
  CONNECTION_CLOSING,
} ConnectionState;

struct Connection {
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } handle;
  uv_timer_t timer; /* deadline of a question, or the delay of an answer */
  Server *server;
  const Port *port;
  Connection *next, *previous; /* of the server's list */
  Connection *next_answered;   /* guarded by the server's lock */
  bool is_answered;            /* guarded by the server's lock */
  ConnectionState state;
  bool is_reading;
  unsigned open_handles;
  uint64_t active_at; /* loop time of the last byte, in or out */
  uint64_t asked_at;  /* loop time when the question came */
  bool is_late;       /* its deadline is over: only what is kept answers its look-ups */
  /* Bytes that were read and not used yet: buffer[start..end). */
  char *buffer;
  size_t capacity, start, end;
  Request request; /* of the port's protocol: the one that is read or answered */
  /* The question that is answered. */
  Work *work;
  Asked asked;
  AnswerBox *box; /* made when it has to wait */
  /* What the peer did not take at once. */
  uv_write_t write;
  Slice answer; /* in the work's arena */
};

/* Accepts from the port; a connection that may not be is closed at once. */
void connection_accept(Server *server, Port *port);
/* The look-ups of its question have answered. */
void connection_answered(Connection *connection);
/* Ends it now, whatever goes on. */
void connection_close(Connection *connection);
/* Nothing is asked or answered right now. */
bool connection_is_idle(const Connection *connection);
void connection_free(Connection *connection);

#endif
