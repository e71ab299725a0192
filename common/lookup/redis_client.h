/*
 * redis_client.h: a Redis server that is asked one command for each text of a key: the look-up backend of the tables of kind redis.
 *
 * One connection, made when the first question comes and kept; questions are written one behind the other without waiting, all commands of a question together, and answers come in
 * the same order. The first text in order that is there answers; an error in front of it fails the question. What was asked when a connection breaks is asked once more on the next.
 * A server that says nothing for LIMIT_REDIS_ANSWER_MS is left, and all that waits for it fails.
 */
#ifndef COMMON_LOOKUP_REDIS_CLIENT_H
#define COMMON_LOOKUP_REDIS_CLIENT_H

#include "common/ask/keyset.h"
#include "common/ask/lookup.h"
#include "common/lookup/redis_spec.h"

typedef struct RedisClient RedisClient;
extern const LookupBackend redis_client_backend;

/* The spec is taken over and cleared. `password` may be NULL. Touches no server. Transfer full. */
RedisClient *redis_client_new(RedisSpec *spec, const KeysetShape *shape, const char *password);
/* Any thread: for the connections from now on. */
void redis_client_set_password(RedisClient *client, const char *password);
/*
 * Asks the server once, on a connection of its own, and waits up to LIMIT_REDIS_PROBE_MS for each step: NULL when it answers, else why it does not (transfer full). Never on the
 * look-up thread.
 */
char *redis_client_probe(RedisClient *client);
/* Leaves the server and drops the reference; questions that are still asked fail. Before the scheduler goes; any thread. */
void redis_client_close(RedisClient *client);

#endif
