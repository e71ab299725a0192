/*
 * peer.c: see peer.h. What the loop still holds when the peer has given it up (a stream that closes, a name that is looked up) knows no peer any more, and frees itself.
 */
#include "common/lookup/peer.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/un.h>

#include "common/base/ip.h"
#include "common/base/limits.h"

enum { BACKOFF_FIRST_MS = 100, READ_SIZE = 16 * 1024, KEEPALIVE_SECONDS = 60 };

/* ---- addresses ---- */

static bool is_host_name(Slice host) {
  for (size_t i = 0; i < host.length; i++) {
    if (!g_ascii_isalnum(host.data[i]) && !strchr("-._", host.data[i])) {
      return false;
    }
  }
  return host.length > 0 && host.length < NI_MAXHOST;
}

static bool parse_unix(Slice path, PeerAddress *address, const char **problem) {
  if (path.length == 0 || path.data[0] != '/' || slice_find(path, '\0') >= 0) {
    *problem = "the path of a unix socket begins with /";
    return false;
  }
  if (path.length >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
    *problem = "the path of the unix socket is too long";
    return false;
  }
  *address = (PeerAddress){.path = g_strndup(path.data, path.length)};
  return true;
}

/* Takes "[IPV6]:PORT" and "HOST:PORT" apart; an IPv6 address without brackets has no port. */
static bool split_port(Slice text, Slice *host, Slice *port) {
  IpAddress plain;
  *port = SLICE_EMPTY;
  *host = text;
  if (text.length > 0 && text.data[0] == '[') {
    ptrdiff_t end = slice_find(text, ']');
    if (end < 0) {
      return false;
    }
    *host = slice_make(text.data + 1, (size_t)end - 1);
    Slice rest = slice_from_offset(text, (size_t)end + 1);
    *port = rest.length ? slice_from_offset(rest, 1) : SLICE_EMPTY;
    return ip_parse(*host, &plain) && plain.family == 6 && (rest.length == 0 || (rest.data[0] == ':' && port->length > 0));
  }
  ptrdiff_t colon = ip_parse(text, &plain) ? -1 : slice_find_last(text, ':');
  if (colon >= 0) {
    *host = slice_make(text.data, (size_t)colon);
    *port = slice_from_offset(text, (size_t)colon + 1);
  }
  return (ip_parse(*host, &plain) || is_host_name(*host)) && (colon < 0 || port->length > 0);
}

bool peer_address_parse(Slice text, uint16_t port, PeerAddress *address, const char **problem) {
  if (slice_starts_with(text, SLICE_LITERAL("unix:"))) {
    return parse_unix(slice_from_offset(text, strlen("unix:")), address, problem);
  }
  Slice host, port_text;
  int64_t number = port;
  if (!split_port(text, &host, &port_text)) {
    *problem = "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH";
    return false;
  }
  if (port_text.length > 0 ? !slice_to_int(port_text, &number) || number < 1 || number > UINT16_MAX : port == 0) {
    *problem = port_text.length > 0 ? "the port is not a number of 1 to 65535" : "the port is missing";
    return false;
  }
  *address = (PeerAddress){.host = g_strndup(host.data, host.length), .port = (uint16_t)number};
  return true;
}

void peer_address_clear(PeerAddress *address) {
  g_free(address->path);
  g_free(address->host);
  *address = (PeerAddress){0};
}

void peer_address_copy(const PeerAddress *from, PeerAddress *to) {
  *to = (PeerAddress){.path = g_strdup(from->path), .host = g_strdup(from->host), .port = from->port};
}

char *peer_address_format(const PeerAddress *address) {
  if (address->path) {
    return g_strdup_printf("unix:%s", address->path);
  }
  return strchr(address->host, ':') ? g_strdup_printf("[%s]:%u", address->host, address->port)
                                    : g_strdup_printf("%s:%u", address->host, address->port);
}

/* ---- what the loop holds ---- */

/* A connection, or the attempt at one. */
typedef struct Wire {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } as;
  uv_connect_t request;
  Peer *peer; /* NULL: given up */
  char buffer[READ_SIZE];
} Wire;

/* A name that is looked up: shared with the thread that does it. */
typedef struct Resolution {
  gint references;
  char *host, port[8];
  pthread_mutex_t lock;   /* guards what follows */
  uv_async_t *done;       /* NULL: nobody waits any more */
  struct addrinfo *found; /* NULL: nothing, for this error */
  int error;
} Resolution;

typedef enum PeerState { PEER_IDLE, PEER_CONNECTING, PEER_CONNECTED } PeerState;

struct Peer {
  uv_loop_t *loop;
  PeerAddress address;
  const PeerUser *user;
  void *self;
  PeerState state;
  uv_timer_t *timer;      /* of connecting */
  Wire *wire;             /* NULL: none */
  Resolution *resolution; /* NULL: none is under way */
  struct addrinfo *found, *next;
  bool proven;
  unsigned failures;    /* in a row */
  uint64_t rests_until; /* the loop's time, ms */
  char *reason;         /* of the last loss */
  const char *early;    /* why it failed before anything was under way; else NULL */
};

static void free_handle(uv_handle_t *handle) {
  g_free(handle);
}

static void free_wire(uv_handle_t *handle) {
  Wire *wire = handle->data;
  g_free(wire);
}

static void resolution_unref(Resolution *resolution) {
  if (g_atomic_int_dec_and_test(&resolution->references)) {
    if (resolution->found) {
      freeaddrinfo(resolution->found);
    }
    (void)pthread_mutex_destroy(&resolution->lock);
    g_free(resolution->host);
    g_free(resolution);
  }
}

static void drop_resolution(Peer *peer) {
  Resolution *resolution = peer->resolution;
  if (resolution) {
    peer->resolution = NULL;
    (void)pthread_mutex_lock(&resolution->lock);
    uv_async_t *done = resolution->done;
    resolution->done = NULL;
    (void)pthread_mutex_unlock(&resolution->lock);
    uv_close((uv_handle_t *)done, free_handle);
    resolution_unref(resolution);
  }
}

static void drop_wire(Peer *peer) {
  Wire *wire = peer->wire;
  if (wire) {
    peer->wire = NULL;
    wire->peer = NULL;
    uv_close(&wire->as.handle, free_wire);
  }
}

/* All that a connection has, and the attempt at one. */
static void release(Peer *peer) {
  (void)uv_timer_stop(peer->timer);
  drop_resolution(peer);
  drop_wire(peer);
  if (peer->found) {
    freeaddrinfo(peer->found);
  }
  peer->found = peer->next = NULL;
  peer->state = PEER_IDLE;
}

void peer_drop(Peer *peer, const char *reason) {
  char *told = g_strdup(reason); /* it may be the one that goes here */
  release(peer);
  g_free(peer->reason);
  peer->reason = told;
  if (peer->proven) {
    peer->failures = 0;
    peer->rests_until = 0;
  } else {
    unsigned pause = (unsigned)BACKOFF_FIRST_MS << MIN(peer->failures, 10U);
    peer->rests_until = uv_now(peer->loop) + MIN(pause, (unsigned)LIMIT_PEER_BACKOFF_MS);
    peer->failures++;
  }
  peer->proven = false;
  peer->user->lost(peer->self, peer->reason);
}

/* ---- a connection ---- */

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  Wire *wire = handle->data;
  (void)suggested;
  *buffer = uv_buf_init(wire->buffer, sizeof wire->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  Wire *wire = stream->data;
  Peer *peer = wire->peer;
  if (!peer || length == 0) {
    return;
  }
  if (length < 0) {
    peer_drop(peer, length == UV_EOF ? "the server closed the connection" : uv_strerror((int)length));
  } else {
    peer->user->received(peer->self, slice_make(buffer->base, (size_t)length));
  }
}

static void try_next(Peer *peer, int error);

static void on_connect(uv_connect_t *request, int status) {
  Wire *wire = request->data;
  Peer *peer = wire->peer;
  if (!peer) {
    return;
  }
  if (status == 0) {
    status = uv_read_start(&wire->as.stream, give_room, on_read);
  }
  if (status != 0) {
    drop_wire(peer);
    try_next(peer, status);
    return;
  }
  (void)uv_timer_stop(peer->timer);
  peer->state = PEER_CONNECTED;
  peer->user->connected(peer->self);
}

static Wire *wire_new(Peer *peer) {
  Wire *wire = g_new0(Wire, 1);
  wire->peer = peer;
  wire->request.data = wire;
  return wire;
}

static void connect_path(Peer *peer) {
  Wire *wire = wire_new(peer);
  (void)uv_pipe_init(peer->loop, &wire->as.pipe, 0);
  wire->as.handle.data = wire;
  peer->wire = wire;
  uv_pipe_connect(&wire->request, &wire->as.pipe, peer->address.path, on_connect);
}

/* 0, or an error of libuv's. */
static int connect_address(Peer *peer, const struct sockaddr *address) {
  Wire *wire = wire_new(peer);
  int error = uv_tcp_init(peer->loop, &wire->as.tcp);
  if (error) {
    g_free(wire);
    return error;
  }
  wire->as.handle.data = wire;
  peer->wire = wire;
  error = uv_tcp_connect(&wire->request, &wire->as.tcp, address, on_connect);
  if (error) {
    drop_wire(peer);
    return error;
  }
  (void)uv_tcp_nodelay(&wire->as.tcp, 1);
  (void)uv_tcp_keepalive(&wire->as.tcp, 1, KEEPALIVE_SECONDS);
  return 0;
}

/* The next address of a name; `error` is that of the last one. */
static void try_next(Peer *peer, int error) {
  while (peer->next) {
    const struct addrinfo *address = peer->next;
    peer->next = address->ai_next;
    error = connect_address(peer, address->ai_addr);
    if (error == 0) {
      return;
    }
  }
  g_autofree char *reason = g_strdup_printf("cannot connect: %s", uv_strerror(error));
  peer_drop(peer, reason);
}

/* ---- names ---- */

static void *resolve(void *data) {
  Resolution *resolution = data;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(resolution->host, resolution->port, &hints, &found);
  (void)pthread_mutex_lock(&resolution->lock);
  resolution->error = error;
  resolution->found = error == 0 ? found : NULL;
  if (resolution->done) {
    (void)uv_async_send(resolution->done);
  }
  (void)pthread_mutex_unlock(&resolution->lock);
  resolution_unref(resolution);
  return NULL;
}

static void on_resolved(uv_async_t *done) {
  Peer *peer = done->data;
  Resolution *resolution = peer->resolution;
  if (!resolution || resolution->done != done) {
    return; /* given up, and it closes */
  }
  (void)pthread_mutex_lock(&resolution->lock);
  int error = resolution->error;
  peer->found = peer->next = resolution->found;
  resolution->found = NULL;
  (void)pthread_mutex_unlock(&resolution->lock);
  drop_resolution(peer);
  if (peer->next) {
    try_next(peer, UV_EAI_NONAME);
    return;
  }
  g_autofree char *reason = g_strdup_printf("cannot find %s: %s", peer->address.host, gai_strerror(error));
  peer_drop(peer, reason);
}

static bool start_thread(Resolution *resolution) {
  pthread_attr_t attributes;
  pthread_t thread;
  (void)pthread_attr_init(&attributes);
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int error = pthread_create(&thread, &attributes, resolve, resolution);
  (void)pthread_attr_destroy(&attributes);
  return error == 0;
}

/* False: there is no thread for it. It cannot be stopped: one that is given up ends on its own. */
static bool start_resolution(Peer *peer) {
  uv_async_t *done = g_new0(uv_async_t, 1);
  if (uv_async_init(peer->loop, done, on_resolved) != 0) {
    g_free(done);
    return false;
  }
  done->data = peer;
  Resolution *resolution = g_new0(Resolution, 1);
  resolution->references = 2;
  resolution->host = g_strdup(peer->address.host);
  (void)g_snprintf(resolution->port, sizeof resolution->port, "%u", peer->address.port);
  resolution->done = done;
  (void)pthread_mutex_init(&resolution->lock, NULL);
  peer->resolution = resolution;
  if (!start_thread(resolution)) {
    resolution_unref(resolution); /* the thread's */
    drop_resolution(peer);
    return false;
  }
  return true;
}

/* ---- the peer ---- */

static void on_timer(uv_timer_t *timer) {
  Peer *peer = timer->data;
  g_autofree char *reason = peer->early ? g_strdup_printf("cannot connect: %s", peer->early)
                                        : g_strdup_printf("cannot connect within %d s", (int)LIMIT_PEER_CONNECT_MS / 1000);
  peer_drop(peer, reason);
}

/* Begins. What fails before anything is under way is told by the timer, which strikes at once. */
static void begin(Peer *peer) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address;
  const PeerAddress *to = &peer->address;
  peer->early = NULL;
  if (to->path) {
    connect_path(peer);
  } else if (uv_ip4_addr(to->host, to->port, &address.v4) == 0 || uv_ip6_addr(to->host, to->port, &address.v6) == 0) {
    int error = connect_address(peer, &address.any);
    peer->early = error ? uv_strerror(error) : NULL;
  } else if (!start_resolution(peer)) {
    peer->early = "no thread for the look-up of its name";
  }
  (void)uv_timer_start(peer->timer, on_timer, peer->early ? 0 : LIMIT_PEER_CONNECT_MS, 0);
}

Peer *peer_new(uv_loop_t *loop, const PeerAddress *address, const PeerUser *user, void *self) {
  Peer *peer = g_new0(Peer, 1);
  peer->loop = loop;
  peer_address_copy(address, &peer->address);
  peer->user = user;
  peer->self = self;
  peer->timer = g_new0(uv_timer_t, 1);
  (void)uv_timer_init(loop, peer->timer);
  peer->timer->data = peer;
  return peer;
}

void peer_free(Peer *peer) {
  if (peer) {
    release(peer);
    uv_close((uv_handle_t *)peer->timer, free_handle);
    peer_address_clear(&peer->address);
    g_free(peer->reason);
    g_free(peer);
  }
}

bool peer_connect(Peer *peer, const char **reason) {
  if (peer->state == PEER_IDLE) {
    if (peer->rests_until > uv_now(peer->loop)) {
      *reason = peer->reason;
      return false;
    }
    peer->state = PEER_CONNECTING;
    begin(peer);
  }
  return true;
}

/* ---- sending ---- */

typedef struct Sending {
  uv_write_t request;
  GBytes *bytes;
} Sending;

static void on_sent(uv_write_t *request, int status) {
  Sending *sending = request->data;
  const Wire *wire = request->handle->data;
  Peer *peer = wire->peer;
  g_bytes_unref(sending->bytes);
  g_free(sending);
  if (status != 0 && peer) {
    peer_drop(peer, uv_strerror(status));
  }
}

void peer_send(Peer *peer, GBytes *bytes) {
  g_assert(peer->state == PEER_CONNECTED);
  gsize length;
  const char *data = g_bytes_get_data(bytes, &length);
  Sending *sending = g_new0(Sending, 1);
  sending->bytes = g_bytes_ref(bytes);
  sending->request.data = sending;
  uv_buf_t buffer = {.base = (char *)data, .len = length};
  if (uv_write(&sending->request, &peer->wire->as.stream, &buffer, 1, on_sent) != 0) {
    g_bytes_unref(sending->bytes); /* the connection is broken: reading tells */
    g_free(sending);
  }
}

void peer_prove(Peer *peer) {
  peer->proven = true;
}
