/*
 * peer.h: a kept connection to a server, over TCP or a unix socket, on the loop of the look-up thread.
 *
 * It is made when it is asked for, and again after it was lost. A server that could not be reached, or that was lost before the user called it proven, is left alone for a while: the
 * back-off, from a tenth of a second up to LIMIT_PEER_BACKOFF_MS. Connecting, names and all, takes LIMIT_PEER_CONNECT_MS at most. Names are resolved as the system does, on a thread of
 * their own. Nothing here blocks. Confined to the look-up thread, but for the functions of addresses, which are pure.
 */
#ifndef COMMON_LOOKUP_PEER_H
#define COMMON_LOOKUP_PEER_H

#include <glib.h>
#include <uv.h>

#include "common/base/slice.h"

typedef struct PeerAddress {
  char *path; /* of a unix socket; NULL: host and port */
  char *host; /* a name or an address, without brackets */
  uint16_t port;
} PeerAddress;

/*
 * "HOST", "HOST:PORT", "[IPV6]:PORT", "unix:/PATH"; `port` where none is written, and 0: one must be written. False: *problem (static) says what is wrong, and there is nothing to clear.
 */
bool peer_address_parse(Slice text, uint16_t port, PeerAddress *address, const char **problem);
void peer_address_clear(PeerAddress *address);
void peer_address_copy(const PeerAddress *from, PeerAddress *to);
/* As it is written. Transfer full. */
char *peer_address_format(const PeerAddress *address);

typedef struct Peer Peer;

/* What the user of a connection is told. Each may free the peer. */
typedef struct PeerUser {
  void (*connected)(void *self);
  void (*received)(void *self, Slice bytes);
  /* There is no connection any more, or none came about; `reason` is borrowed. Another peer_connect() is possible at once. */
  void (*lost)(void *self, const char *reason);
} PeerUser;

/* The address is copied. Transfer full. */
Peer *peer_new(uv_loop_t *loop, const PeerAddress *address, const PeerUser *user, void *self);
/* Closes the connection without telling. Takes NULL. */
void peer_free(Peer *peer);
/*
 * Connects, where there is no connection and none is under way. True: connected(), or lost(), is called later, or the connection is there. False: the server rests after a loss, and
 * *reason (the peer's, until the next call) is why it was lost.
 */
bool peer_connect(Peer *peer, const char **reason);
/* While connected. Takes a reference to `bytes`. */
void peer_send(Peer *peer, GBytes *bytes);
/* The server has answered as it should: no back-off after this connection. */
void peer_prove(Peer *peer);
/* Gives the connection up; lost() is called with this reason. */
void peer_drop(Peer *peer, const char *reason);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

#endif
