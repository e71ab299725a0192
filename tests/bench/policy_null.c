/*
 * policy_null.c: the null responder of the policy protocol: reads to the empty line, answers DUNNO. The measure that mailreeve-policyd is held against.
 *
 * policy_null PORT: listens on 127.0.0.1, one thread, one libuv loop (as the daemon), until it is ended by a signal.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

enum { BUFFER_SIZE = 16384 };

typedef struct Connection {
  uv_tcp_t tcp;
  uv_write_t write;
  size_t used;
  char buffer[BUFFER_SIZE];
} Connection;

static void connection_closed(uv_handle_t *handle) {
  free(handle->data);
}

static void connection_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  Connection *connection = handle->data;
  *buffer = uv_buf_init(connection->buffer + connection->used, (unsigned)(BUFFER_SIZE - connection->used));
}

static void connection_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  static const char answer[] = "action=DUNNO\n\n";
  (void)buffer;
  Connection *connection = stream->data;
  if (count < 0) {
    uv_close((uv_handle_t *)stream, connection_closed);
    return;
  }
  connection->used += (size_t)count;
  if (connection->used >= 2 && memcmp(connection->buffer + connection->used - 2, "\n\n", 2) == 0) {
    connection->used = 0;
    uv_buf_t out = uv_buf_init((char *)answer, sizeof(answer) - 1);
    if (uv_try_write(stream, &out, 1) != (int)sizeof(answer) - 1) {
      uv_close((uv_handle_t *)stream, connection_closed);
    }
  } else if (connection->used == BUFFER_SIZE) {
    uv_close((uv_handle_t *)stream, connection_closed);
  }
}

static void listener_connected(uv_stream_t *listener, int status) {
  if (status < 0) {
    return;
  }
  Connection *connection = calloc(1, sizeof(Connection));
  if (connection == NULL) {
    abort();
  }
  uv_tcp_init(listener->loop, &connection->tcp);
  connection->tcp.data = connection;
  if (uv_accept(listener, (uv_stream_t *)&connection->tcp) == 0) {
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_read_start((uv_stream_t *)&connection->tcp, connection_allocate, connection_read);
  } else {
    uv_close((uv_handle_t *)&connection->tcp, connection_closed);
  }
}

int main(int argc, char **argv) {
  char *end = NULL;
  long port = argc == 2 ? strtol(argv[1], &end, 10) : 0;
  if (port < 1 || port > 65535 || *end != '\0') {
    fprintf(stderr, "usage: policy_null PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  uv_loop_t *loop = uv_default_loop();
  uv_tcp_t listener;
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", (int)port, &address);
  uv_tcp_init(loop, &listener);
  int error = uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
  if (error == 0) {
    error = uv_listen((uv_stream_t *)&listener, 1024, listener_connected);
  }
  if (error != 0) {
    fprintf(stderr, "policy_null: %s\n", uv_strerror(error));
    return 1;
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}
