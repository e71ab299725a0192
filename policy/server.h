/*
 * server.h: the loop of mailreeve-policyd: listeners, connections, signals, stopping. One thread; only the questions' answers come from another one.
 */
#ifndef POLICY_SERVER_H
#define POLICY_SERVER_H

#include <pthread.h>
#include <uv.h>

#include "common/door/policy.h"
#include "common/service/daemon.h"
#include "policy/protocol.h"

typedef struct Server Server;
typedef struct Work Work;

/* What a question needs while it is answered: taken from the server when a request begins, given back when its answer is out. */
struct Work {
  Work *next; /* in the server's pool */
  Arena *arena;
  Session *sessions[DOOR_COUNT]; /* of the doors that this daemon has */
  Variables *variables;          /* NULL at first; of the ruleset used last */
  MatchSpace *match_space;
};

/* A buffer that requests are read into, while it is free; idle connections have none. */
typedef struct Buffer {
  struct Buffer *next;
} Buffer;

typedef struct ServerCounts {
  uint64_t connections, questions, malformed, expired, refused;
} ServerCounts;

struct Server {
  uv_loop_t loop;
  Daemon *daemon;
  PolicyMemory *memory;
  Ruleset *ruleset; /* a reference to what was in force when it was last looked at; NULL at first */
  PhaseSet owned[DOOR_COUNT];
  struct Port *ports; /* one a listener */
  size_t port_count;
  uv_signal_t hup, term, interrupt;
  uv_async_t answers;      /* look-ups have answered */
  uv_timer_t sweep;        /* closes idle connections */
  uv_timer_t last_call;    /* ends the stop when questions do not */
  Connection *connections; /* all open ones */
  size_t connection_count;
  Work *works; /* free ones */
  size_t work_count;
  Buffer *buffers; /* free ones */
  size_t buffer_count;
  pthread_mutex_t lock; /* guards `answered`: the only thing that another thread touches */
  Connection *answered; /* connections whose look-ups have answers */
  bool stopping;
  ServerCounts counts;
};

/* A listening socket. */
typedef struct Port {
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } handle;
  Server *server;
  const Listener *listener;
  const Protocol *protocol;
} Port;

/* Serves until SIGTERM or SIGINT; false when it could not begin (told to the log). */
bool server_run(Daemon *daemon);

/* The ruleset in force; borrowed until the next call. */
Ruleset *server_ruleset(Server *server);
Work *server_take_work(Server *server);
void server_give_work(Server *server, Work *work);
/* BUFFER_SIZE bytes; never NULL. */
char *server_take_buffer(Server *server);
void server_give_buffer(Server *server, char *buffer);
/* A connection is gone: its memory may go. */
void server_connection_closed(Server *server, Connection *connection);

enum { BUFFER_SIZE = 4096 };

#endif
