/*
 * server.c: the loop: accepting, signals, sweeping idle connections, stopping.
 */
#include "policy/server.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/service/decision_log.h"
#include "policy/connection.h"

enum {
  POOL_MAX = 64,          /* free works and buffers that are kept */
  WORK_ARENA = 16 * 1024, /* what a question usually needs */
  SWEEP_MAX_MS = 30 * 1000,
  LISTEN_BACKLOG = 1024,
  LAST_CALL_MS = 1000, /* beyond the deadline of a question */
};

/* ---- The ruleset ---- */

/* Our own reference spares each request the daemon's lock. */
Ruleset *server_ruleset(Server *server) {
  if (!daemon_ruleset_is(server->daemon, server->ruleset)) {
    if (server->ruleset != NULL) {
      daemon_drop_ruleset(server->daemon, server->ruleset);
    }
    server->ruleset = daemon_ruleset(server->daemon);
  }
  return server->ruleset;
}

/* ---- Pools ---- */

static void work_free(Work *work) {
  variables_free(work->variables);
  session_free(work->sessions[DOOR_POLICY]);
  session_free(work->sessions[DOOR_SOCKETMAP]);
  match_space_free(work->match_space);
  arena_free(work->arena);
  g_free(work);
}

Work *server_take_work(Server *server) {
  Work *work = server->works;
  if (work != NULL) {
    server->works = work->next;
    server->work_count--;
    return work;
  }
  work = g_new0(Work, 1);
  work->arena = arena_new(WORK_ARENA);
  work->sessions[DOOR_POLICY] = session_new(DOOR_POLICY);
  work->sessions[DOOR_SOCKETMAP] = session_new(DOOR_SOCKETMAP);
  work->match_space = match_space_new();
  return work;
}

void server_give_work(Server *server, Work *work) {
  if (server->work_count >= POOL_MAX) {
    work_free(work);
    return;
  }
  work->next = server->works;
  server->works = work;
  server->work_count++;
}

char *server_take_buffer(Server *server) {
  Buffer *buffer = server->buffers;
  if (buffer == NULL) {
    return g_malloc(BUFFER_SIZE);
  }
  server->buffers = buffer->next;
  server->buffer_count--;
  return (char *)buffer;
}

void server_give_buffer(Server *server, char *bytes) {
  if (server->buffer_count >= POOL_MAX) {
    g_free(bytes);
    return;
  }
  Buffer *buffer = (Buffer *)bytes;
  buffer->next = server->buffers;
  server->buffers = buffer;
  server->buffer_count++;
}

static void pools_free(Server *server) {
  while (server->works != NULL) {
    Work *work = server->works;
    server->works = work->next;
    work_free(work);
  }
  while (server->buffers != NULL) {
    Buffer *buffer = server->buffers;
    server->buffers = buffer->next;
    g_free(buffer);
  }
}

/* A free work must not keep a ruleset that was replaced. */
static void pools_drop_old_rulesets(Server *server) {
  const Ruleset *current = server_ruleset(server);
  for (Work *work = server->works; work != NULL; work = work->next) {
    if (work->variables != NULL && variables_ruleset(work->variables) != current) {
      variables_free(work->variables);
      work->variables = NULL;
    }
  }
}

/* ---- Stopping ---- */

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle)) {
    uv_close(handle, NULL);
  }
}

static void close_own_handles(Server *server) {
  close_handle((uv_handle_t *)&server->hup);
  close_handle((uv_handle_t *)&server->term);
  close_handle((uv_handle_t *)&server->interrupt);
  close_handle((uv_handle_t *)&server->answers);
  close_handle((uv_handle_t *)&server->sweep);
  close_handle((uv_handle_t *)&server->last_call);
}

static void close_ports(Server *server) {
  for (size_t i = 0; i < server->port_count; i++) {
    close_handle((uv_handle_t *)&server->ports[i].handle);
  }
}

static void on_last_call(uv_timer_t *timer) {
  Server *server = timer->data;
  log_warning("stopping with %zu connections unanswered", server->connection_count);
  for (Connection *connection = server->connections; connection != NULL; connection = connection->next) {
    connection_close(connection);
  }
}

/* Who is asking gets an answer, nobody may ask any more. */
static void begin_stop(Server *server) {
  if (server->stopping) {
    return;
  }
  server->stopping = true;
  daemon_stopping(server->daemon);
  size_t count;
  Listener *const *listeners = daemon_listeners(server->daemon, &count);
  for (size_t i = 0; i < count; i++) {
    listener_refuse(listeners[i]);
  }
  close_ports(server);
  for (Connection *connection = server->connections; connection != NULL; connection = connection->next) {
    if (connection_is_idle(connection)) {
      connection_close(connection);
    }
  }
  if (server->connection_count == 0) {
    close_own_handles(server);
    return;
  }
  (void)uv_timer_start(&server->last_call, on_last_call, daemon_config(server->daemon)->deadline_ms + LAST_CALL_MS, 0);
}

void server_connection_closed(Server *server, Connection *connection) {
  if (connection->previous != NULL) {
    connection->previous->next = connection->next;
  } else {
    server->connections = connection->next;
  }
  if (connection->next != NULL) {
    connection->next->previous = connection->previous;
  }
  server->connection_count--;
  connection_free(connection);
  if (server->stopping && server->connection_count == 0) {
    close_own_handles(server);
  }
}

/* ---- Events ---- */

static void on_signal(uv_signal_t *handle, int number) {
  Server *server = handle->data;
  if (number == SIGHUP) {
    daemon_reload(server->daemon);
  } else {
    begin_stop(server);
  }
}

static Connection *take_answered(Server *server) {
  (void)pthread_mutex_lock(&server->lock);
  Connection *connection = server->answered;
  if (connection != NULL) {
    server->answered = connection->next_answered;
    connection->is_answered = false;
  }
  (void)pthread_mutex_unlock(&server->lock);
  return connection;
}

static void on_answers(uv_async_t *handle) {
  Server *server = handle->data;
  for (Connection *connection = take_answered(server); connection != NULL; connection = take_answered(server)) {
    connection_answered(connection);
  }
}

static void on_connection(uv_stream_t *stream, int status) {
  Port *port = stream->data;
  if (status < 0) {
    log_limited("accept", "cannot accept on %s: %s", listener_address(port->listener), uv_strerror(status));
    return;
  }
  connection_accept(port->server, port);
}

static uint64_t sweep_interval(const Server *server) {
  return MIN((uint64_t)daemon_config(server->daemon)->idle_seconds * 1000 / 4, SWEEP_MAX_MS);
}

/* Coarse: one timer for all connections, so that a request starts none. */
static void on_sweep(uv_timer_t *timer) {
  Server *server = timer->data;
  uint64_t idle_ms = (uint64_t)daemon_config(server->daemon)->idle_seconds * 1000, now = uv_now(&server->loop);
  for (Connection *connection = server->connections; connection != NULL; connection = connection->next) {
    bool silent = connection->state == CONNECTION_READING || connection->state == CONNECTION_WRITING;
    if (silent && now - connection->active_at > idle_ms) {
      connection_close(connection);
    }
  }
  pools_drop_old_rulesets(server);
  uv_timer_set_repeat(timer, sweep_interval(server));
}

/* ---- Starting ---- */

/* libuv closes what it is given, and the listener its own: each has a descriptor. */
static bool port_open(Server *server, Port *port, const Listener *listener) {
  port->server = server;
  port->listener = listener;
  port->protocol = protocol_of(listener_door(listener));
  int fd = fcntl(listener_fd(listener), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) {
    return false;
  }
  int result;
  if (listener_is_unix(listener)) {
    (void)uv_pipe_init(&server->loop, &port->handle.pipe, 0);
    result = uv_pipe_open(&port->handle.pipe, fd);
  } else {
    (void)uv_tcp_init(&server->loop, &port->handle.tcp);
    result = uv_tcp_open(&port->handle.tcp, fd);
  }
  port->handle.stream.data = port;
  server->port_count++;
  if (result != 0) {
    (void)close(fd);
    return false;
  }
  return uv_listen(&port->handle.stream, LISTEN_BACKLOG, on_connection) == 0;
}

static bool ports_open(Server *server) {
  size_t count;
  Listener *const *listeners = daemon_listeners(server->daemon, &count);
  server->ports = g_new0(Port, count);
  for (size_t i = 0; i < count; i++) {
    if (!port_open(server, &server->ports[i], listeners[i])) {
      log_error("cannot listen on %s", listener_address(listeners[i]));
      return false;
    }
  }
  return true;
}

static void signal_start(Server *server, uv_signal_t *handle, int number) {
  (void)uv_signal_init(&server->loop, handle);
  handle->data = server;
  (void)uv_signal_start(handle, on_signal, number);
}

static void server_init(Server *server, Daemon *daemon) {
  server->daemon = daemon;
  server->owned[DOOR_POLICY] = config_owned_phases(daemon_config(daemon), DOOR_POLICY);
  server->owned[DOOR_SOCKETMAP] = config_owned_phases(daemon_config(daemon), DOOR_SOCKETMAP);
  server->memory = policy_memory_new(daemon_clock(daemon));
  (void)pthread_mutex_init(&server->lock, NULL);
  int result = uv_loop_init(&server->loop);
  g_assert(result == 0);
  signal_start(server, &server->hup, SIGHUP);
  signal_start(server, &server->term, SIGTERM);
  signal_start(server, &server->interrupt, SIGINT);
  (void)uv_async_init(&server->loop, &server->answers, on_answers);
  (void)uv_timer_init(&server->loop, &server->sweep);
  (void)uv_timer_init(&server->loop, &server->last_call);
  server->answers.data = server->sweep.data = server->last_call.data = server;
  (void)uv_timer_start(&server->sweep, on_sweep, sweep_interval(server), sweep_interval(server));
}

static void server_clear(Server *server) {
  int result = uv_loop_close(&server->loop);
  g_assert(result == 0);
  pools_free(server);
  policy_memory_free(server->memory);
  if (server->ruleset != NULL) {
    daemon_drop_ruleset(server->daemon, server->ruleset);
  }
  (void)pthread_mutex_destroy(&server->lock);
  g_free(server->ports);
}

static void unblock_hup(void) {
  sigset_t hup;
  (void)sigemptyset(&hup);
  (void)sigaddset(&hup, SIGHUP);
  (void)pthread_sigmask(SIG_UNBLOCK, &hup, NULL);
}

bool server_run(Daemon *daemon) {
  Server *server = g_new0(Server, 1);
  server_init(server, daemon);
  bool good = ports_open(server);
  if (good) {
    unblock_hup();
    daemon_ready(daemon);
  } else {
    close_ports(server);
    close_own_handles(server);
  }
  (void)uv_run(&server->loop, UV_RUN_DEFAULT);
  if (good) {
    log_info("stopped: %" G_GUINT64_FORMAT " connections, %" G_GUINT64_FORMAT " questions, %" G_GUINT64_FORMAT
             " at their deadline, %" G_GUINT64_FORMAT " malformed, %" G_GUINT64_FORMAT " refused",
             (guint64)server->counts.connections, (guint64)server->counts.questions, (guint64)server->counts.expired,
             (guint64)server->counts.malformed, (guint64)server->counts.refused);
  }
  server_clear(server);
  g_free(server);
  return good;
}
