/*
 * connection.c: reads requests, asks questions and writes answers, one after the other, for one connection.
 *
 * The usual request costs one read and one write: it is parsed where it was read, answered at once, and nothing of it stays. Only a question that waits for look-ups gets
 * an answer box, a timer and the right to keep its buffer; meanwhile nothing is read from its connection, so nobody can pile up requests.
 */
#include "policy/connection.h"

#include <string.h>

#include "common/base/limits.h"
#include "common/service/decision_log.h"

static void process(Connection *connection);

/* ---- The buffer ---- */

static void buffer_release(Connection *connection) {
  if (connection->capacity == BUFFER_SIZE) {
    server_give_buffer(connection->server, connection->buffer);
  } else {
    g_free(connection->buffer);
  }
  connection->buffer = NULL;
  connection->capacity = connection->start = connection->end = 0;
}

/* Room behind the bytes that are there: a first buffer, the front part again, or twice the size. False when there is no memory. */
static bool buffer_make_room(Connection *connection) {
  if (connection->buffer == NULL) {
    connection->buffer = server_take_buffer(connection->server);
    connection->capacity = BUFFER_SIZE;
  }
  if (connection->start > 0) {
    memmove(connection->buffer, connection->buffer + connection->start, connection->end - connection->start);
    connection->end -= connection->start;
    connection->start = 0;
  }
  if (connection->end < connection->capacity) {
    return true;
  }
  /* The parser refuses a request over its limit, so this ends. */
  size_t capacity = connection->capacity * 2;
  char *larger = g_try_malloc(capacity);
  if (larger == NULL) {
    return false;
  }
  memcpy(larger, connection->buffer, connection->end);
  size_t end = connection->end;
  buffer_release(connection);
  connection->buffer = larger;
  connection->capacity = capacity;
  connection->end = end;
  return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  Connection *connection = handle->data;
  if (!buffer_make_room(connection)) {
    *buffer = uv_buf_init(NULL, 0); /* libuv then reports ENOBUFS */
    return;
  }
  *buffer = uv_buf_init(connection->buffer + connection->end, (unsigned)(connection->capacity - connection->end));
}

/* ---- Questions ---- */

/* The peer may be asked for more only while nothing of it is being answered. */
static void reading(Connection *connection, bool on);

static void question_end(Connection *connection) {
  if (connection->box != NULL) {
    answer_box_close(connection->box);
    answer_box_unref(connection->box);
    connection->box = NULL;
  }
  if (connection->work != NULL) {
    connection->asked = (Asked){.any = NULL};
    arena_reset(connection->work->arena);
    server_give_work(connection->server, connection->work);
    connection->work = NULL;
  }
  connection->answer = SLICE_EMPTY;
}

/* After an answer that was not given at once: on with what was read meanwhile, then with reading. */
static void resume(Connection *connection) {
  process(connection);
  if (connection->state == CONNECTION_READING) {
    reading(connection, true);
  }
}

static void on_written(uv_write_t *write, int status) {
  Connection *connection = write->data;
  if (connection->state == CONNECTION_CLOSING) {
    return;
  }
  if (status < 0) {
    connection_close(connection);
    return;
  }
  connection->active_at = uv_now(&connection->server->loop);
  question_end(connection);
  connection->state = CONNECTION_READING;
  resume(connection);
}

/* What the peer does not take at once is kept, and nothing else is done for it before it is out. */
static void send_answer(Connection *connection) {
  uv_buf_t buffer = uv_buf_init((char *)connection->answer.data, (unsigned)connection->answer.length);
  int sent = uv_try_write(&connection->handle.stream, &buffer, 1);
  if (sent == UV_EAGAIN) {
    sent = 0;
  }
  if (sent < 0) {
    connection_close(connection);
    return;
  }
  if ((size_t)sent == connection->answer.length) {
    question_end(connection);
    connection->state = CONNECTION_READING;
    return;
  }
  connection->answer = slice_from_offset(connection->answer, (size_t)sent);
  buffer = uv_buf_init((char *)connection->answer.data, (unsigned)connection->answer.length);
  connection->state = CONNECTION_WRITING;
  reading(connection, false);
  connection->write.data = connection;
  if (uv_write(&connection->write, &connection->handle.stream, &buffer, 1, on_written) != 0) {
    connection_close(connection);
  }
}

static void on_delay_over(uv_timer_t *timer) {
  Connection *connection = timer->data;
  send_answer(connection);
  if (connection->state == CONNECTION_READING) {
    resume(connection);
  }
}

static uint64_t elapsed(const Connection *connection) {
  return uv_now(&connection->server->loop) - connection->asked_at;
}

static void question_decided(Connection *connection) {
  const Config *config = daemon_config(connection->server->daemon);
  const Protocol *protocol = connection->port->protocol;
  const Verdict *verdict = protocol->verdict(connection->asked);
  if (decision_is_logged(config, verdict)) {
    log_decision(config, connection->work->sessions[protocol->door], protocol->session_id(connection), verdict);
  }
  connection->answer = protocol->bytes(connection->asked);
  int64_t delay = protocol->delay_ms(connection->asked);
  int64_t left = (int64_t)config->deadline_ms - (int64_t)elapsed(connection);
  delay = MIN(delay, MAX(left, 0));
  if (delay > 0) {
    connection->state = CONNECTION_DELAYING;
    reading(connection, false);
    (void)uv_timer_start(&connection->timer, on_delay_over, (uint64_t)delay, 0);
    return;
  }
  send_answer(connection);
}

static void on_deadline(uv_timer_t *timer);

/* Called on the look-up thread, or inside scheduler_ask. */
static void on_answer(void *data) {
  Connection *connection = data;
  Server *server = connection->server;
  (void)pthread_mutex_lock(&server->lock);
  if (!connection->is_answered) {
    connection->is_answered = true;
    connection->next_answered = server->answered;
    server->answered = connection;
  }
  (void)pthread_mutex_unlock(&server->lock);
  (void)uv_async_send(&server->answers);
}

/* Gives the question all answers that are in; false when there are none. */
static bool take_answers(Connection *connection) {
  bool any = false;
  Question *asked;
  Answer *answer;
  while (connection->box != NULL && answer_box_take(connection->box, &asked, &answer)) {
    connection->port->protocol->take(connection->asked, asked, answer);
    question_unref(asked);
    answer_unref(answer);
    any = true;
  }
  return any;
}

/* After the deadline only what is kept counts. */
static void ask_wanted(Connection *connection) {
  size_t count = 0;
  Scheduler *scheduler = daemon_scheduler(connection->server->daemon);
  Question *const *wanted = connection->port->protocol->wanted(connection->asked, &count);
  if (connection->box == NULL) {
    connection->box = answer_box_new(on_answer, connection);
  }
  for (size_t i = 0; i < count; i++) {
    if (connection->is_late) {
      (void)scheduler_ask_kept(scheduler, wanted[i], connection->box);
    } else {
      scheduler_ask(scheduler, wanted[i], connection->box);
    }
  }
}

/* Runs the question as far as it goes: to its verdict, or until only look-ups that are out can help. */
static void question_advance(Connection *connection) {
  while (connection->port->protocol->run(connection->asked) == EVALUATION_WAITS) {
    ask_wanted(connection);
    if (take_answers(connection)) {
      continue; /* from the cache */
    }
    if (connection->is_late) {
      connection->port->protocol->expire(connection->asked, "no answer before the deadline");
      continue;
    }
    if (connection->state != CONNECTION_WAITING) {
      connection->state = CONNECTION_WAITING;
      reading(connection, false);
      unsigned deadline = daemon_config(connection->server->daemon)->deadline_ms;
      uint64_t gone = elapsed(connection);
      (void)uv_timer_start(&connection->timer, on_deadline, gone < deadline ? deadline - gone : 0, 0);
    }
    return;
  }
  if (connection->state == CONNECTION_WAITING) {
    (void)uv_timer_stop(&connection->timer);
  }
  question_decided(connection);
}

/* As question_advance, for a question that had to wait. */
static void question_go_on(Connection *connection) {
  question_advance(connection);
  if (connection->state == CONNECTION_READING) {
    resume(connection);
  }
}

static void on_deadline(uv_timer_t *timer) {
  Connection *connection = timer->data;
  connection->server->counts.expired++;
  connection->is_late = true;
  scheduler_hurry(daemon_scheduler(connection->server->daemon), connection->box);
  (void)take_answers(connection);
  question_go_on(connection);
}

void connection_answered(Connection *connection) {
  if (connection->state == CONNECTION_WAITING && take_answers(connection)) {
    question_go_on(connection);
  }
}

static void question_begin(Connection *connection) {
  Server *server = connection->server;
  server->counts.questions++;
  connection->asked_at = uv_now(&server->loop);
  connection->is_late = false;
  connection->work = server_take_work(server);
  connection->asked = connection->port->protocol->ask(connection, &connection->answer);
  if (connection->asked.any != NULL) {
    question_advance(connection);
  } else {
    send_answer(connection);
  }
}

/* ---- Reading ---- */

static void malformed(Connection *connection, const char *problem, Slice excerpt) {
  connection->server->counts.malformed++;
  g_autoptr(Arena) arena = arena_new(0);
  Slice quoted = slice_quote(arena, excerpt, LIMIT_QUOTE);
  log_limited("malformed request", "malformed request on %s: %s: \"%.*s\"", listener_address(connection->port->listener), problem,
              SLICE_ARGS(quoted));
  connection_close(connection);
}

/* All complete requests that are in the buffer, as long as each is answered at once. */
static void process(Connection *connection) {
  while (connection->state == CONNECTION_READING) {
    size_t used = 0;
    const char *problem = NULL;
    Slice excerpt = SLICE_EMPTY;
    Slice bytes = slice_make(connection->buffer + connection->start, connection->end - connection->start);
    switch (connection->port->protocol->parse(&connection->request, bytes, &used, &problem, &excerpt)) {
      case REQUEST_MORE:
        if (connection->server->stopping) {
          connection_close(connection);
        } else if (bytes.length == 0 && connection->buffer != NULL) {
          buffer_release(connection);
        }
        return;
      case REQUEST_MALFORMED:
        malformed(connection, problem, excerpt);
        return;
      case REQUEST_READ:
        connection->start += used;
        question_begin(connection);
        break;
    }
  }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  (void)buffer;
  Connection *connection = stream->data;
  if (count < 0) {
    connection_close(connection);
    return;
  }
  if (count > 0) {
    connection->end += (size_t)count;
    connection->active_at = uv_now(&connection->server->loop);
  }
  process(connection);
}

static void reading(Connection *connection, bool on) {
  if (connection->is_reading == on) {
    return;
  }
  connection->is_reading = on;
  if (!on) {
    (void)uv_read_stop(&connection->handle.stream);
  } else if (uv_read_start(&connection->handle.stream, on_alloc, on_read) != 0) {
    connection_close(connection);
  }
}

/* ---- Opening and closing ---- */

static void on_closed(uv_handle_t *handle) {
  Connection *connection = handle->data;
  if (--connection->open_handles == 0) {
    server_connection_closed(connection->server, connection);
  }
}

static void forget_answers(Connection *connection) {
  Server *server = connection->server;
  (void)pthread_mutex_lock(&server->lock);
  for (Connection **link = &server->answered; *link != NULL; link = &(*link)->next_answered) {
    if (*link == connection) {
      *link = connection->next_answered;
      break;
    }
  }
  connection->is_answered = false;
  (void)pthread_mutex_unlock(&server->lock);
}

void connection_close(Connection *connection) {
  if (connection->state == CONNECTION_CLOSING) {
    return;
  }
  connection->state = CONNECTION_CLOSING;
  if (connection->box != NULL) {
    answer_box_close(connection->box); /* from here on nobody calls on_answer */
  }
  forget_answers(connection); /* also those of a question that has ended: a late answer may have come before its box was closed */
  uv_close((uv_handle_t *)&connection->handle, on_closed);
  uv_close((uv_handle_t *)&connection->timer, on_closed);
}

bool connection_is_idle(const Connection *connection) {
  return connection->state == CONNECTION_READING;
}

void connection_free(Connection *connection) {
  question_end(connection); /* only now: libuv may have held the answer's bytes */
  if (connection->buffer != NULL) {
    buffer_release(connection);
  }
  g_free(connection);
}

/* Peers that may not be here, and those that are too many, are closed before anything is read. */
static bool may_stay(Server *server, const Port *port, Connection *connection) {
  uv_os_fd_t fd = -1;
  if (uv_fileno((uv_handle_t *)&connection->handle, &fd) != 0 || !listener_allows(port->listener, fd)) {
    log_limited("peer refused", "a peer that [policy] allow does not list was refused on %s", listener_address(port->listener));
    return false;
  }
  if (server->connection_count > daemon_config(server->daemon)->max_connections) {
    log_limited("too many connections", "more than %u connections: a further one was refused",
                daemon_config(server->daemon)->max_connections);
    return false;
  }
  return true;
}

static void connection_list(Server *server, Connection *connection) {
  connection->next = server->connections;
  if (server->connections != NULL) {
    server->connections->previous = connection;
  }
  server->connections = connection;
  server->connection_count++;
  server->counts.connections++;
}

void connection_accept(Server *server, Port *port) {
  Connection *connection = g_new0(Connection, 1);
  connection->server = server;
  connection->port = port;
  if (listener_is_unix(port->listener)) {
    (void)uv_pipe_init(&server->loop, &connection->handle.pipe, 0);
  } else {
    (void)uv_tcp_init(&server->loop, &connection->handle.tcp);
  }
  (void)uv_timer_init(&server->loop, &connection->timer);
  connection->open_handles = 2;
  connection->handle.stream.data = connection->timer.data = connection;
  connection->active_at = uv_now(&server->loop);
  connection_list(server, connection);
  if (uv_accept(&port->handle.stream, &connection->handle.stream) != 0) {
    connection_close(connection);
    return;
  }
  if (!may_stay(server, port, connection)) {
    server->counts.refused++;
    connection_close(connection);
    return;
  }
  if (!listener_is_unix(port->listener)) {
    (void)uv_tcp_nodelay(&connection->handle.tcp, 1);
  }
  reading(connection, true);
}
