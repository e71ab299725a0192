/*
 * listener.h: sockets that the daemons listen on: parsed addresses, safe replacement of stale unix sockets, mode and group.
 */
#ifndef COMMON_SERVICE_LISTENER_H
#define COMMON_SERVICE_LISTENER_H

#include <stdbool.h>

#include <glib.h>

#include "common/service/config.h"

typedef struct Listener Listener;

/*
 * "unix:PATH", "inet:HOST:PORT", "inet6:[HOST]:PORT" or "inet:[HOST]:PORT". Bound and listening, close-on-exec, non-blocking. A unix path that exists is replaced only if it is a socket, connecting is
 * refused, and PATH.lock could be locked (kept while we live). Port 0 takes a free one (listener_address tells it).
 */
Listener *listener_open(const char *address, const Config *config, GError **error);
int listener_fd(const Listener *listener);
const char *listener_address(const Listener *listener); /* canonical: "inet:127.0.0.1:10040" */
/* May this peer connect? unix: always; inet: config->allow. */
bool listener_allows(const Listener *listener, int connected_fd);
/* Closes and removes the unix socket and its lock. */
void listener_close(Listener *listener);

#endif
