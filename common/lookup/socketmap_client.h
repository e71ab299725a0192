/*
 * socketmap_client.h: a map that a server of socket maps has, asked over a few connections of its own on the look-up thread.
 *
 * Questions and payloads are those of map_question.h; a try is one request to the server, the parts of a key of several values with a tab between; the first "OK" answers. A question
 * waits for a connection, in order, and holds it until all its tries are over: the protocol has no numbers. Connections are made when there is a question for them, at most
 * LIMIT_SOCKETMAP_CONNECTIONS, and kept. What is not answered LIMIT_DEADLINE_MS after it was asked fails, and its connection is closed, so that a late reply is never taken for another's.
 */
#ifndef COMMON_LOOKUP_SOCKETMAP_CLIENT_H
#define COMMON_LOOKUP_SOCKETMAP_CLIENT_H

#include "common/ask/lookup.h"
#include "common/lookup/peer.h"

typedef struct SocketmapClient SocketmapClient;
extern const LookupBackend socketmap_client_backend;

/*
 * `title` stands in front of reasons; all are copied. Keys have `part_count` parts. Nothing is connected yet: the first question does that. Transfer full.
 */
SocketmapClient *socketmap_client_new(const char *title, const PeerAddress *address, Slice map, size_t part_count);
/* Closes the connections and drops the reference; questions that are still asked fail. Any thread; before the scheduler goes, or after. */
void socketmap_client_close(SocketmapClient *client);

#endif
