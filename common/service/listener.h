/*
 * listener.h: sockets that the daemons listen on: parsed addresses, safe replacement of stale unix sockets, mode and group.
 */
#ifndef COMMON_SERVICE_LISTENER_H
#define COMMON_SERVICE_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

#include <glib.h>

#include "common/service/config.h"

typedef struct Listener Listener;

/*
 * "unix:PATH", "inet:HOST:PORT", "inet6:[HOST]:PORT" or "inet:[HOST]:PORT", each with an optional ",service=NAME". Bound and listening, close-on-exec,
 * non-blocking. A unix path that exists is replaced only if it is a socket of root's, ours or `owner`'s, connecting is
 * refused, and PATH.lock could be locked (kept while we live). Port 0 takes a free one (listener_address tells it). As root the socket and its lock
 * are given to `owner` and the group that is configured, else `owner`'s.
 */
Listener *listener_open(const char *address, const Config *config, uid_t owner, gid_t owner_group, GError **error);
/* Whether an address is written as listener_open takes it. */
bool listener_check_address(const char *address, GError **error);
int listener_fd(const Listener *listener);
bool listener_is_unix(const Listener *listener);
/* The protocol that is spoken on it. */
void listener_set_door(Listener *listener, Door door);
Door listener_door(const Listener *listener);
const char *listener_address(const Listener *listener); /* canonical: "inet:127.0.0.1:10040" */
const char *listener_service(const Listener *listener); /* its own service=, else the configuration's; NULL: none */
/* May this peer connect? unix: always; inet: config->allow. Thread-safe. */
bool listener_allows(const Listener *listener, int connected_fd);
/* The same, by the address that accept(2) has told. */
bool listener_allows_peer(const Listener *listener, const struct sockaddr *peer);
/* Refuses new connections from now on, while others are still served. */
void listener_refuse(Listener *listener);
/* Closes and removes the unix socket and its lock. Takes NULL. */
void listener_close(Listener *listener);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Listener, listener_close)

#endif
