/*
 * sqlite_pool.h: a database of SQLite and one query in it, asked by a few threads of its own, because asking may block.
 *
 * A question's key is a text to show, a NUL, and the texts that are bound to the query's parameters, each with a NUL behind it: as many as there are parameters, and then the same again
 * for what is tried next. The first that gives a row with a value answers. The payload is that text (the parts of several with ", " between), a NUL, and the value.
 */
#ifndef COMMON_LOOKUP_SQLITE_POOL_H
#define COMMON_LOOKUP_SQLITE_POOL_H

#include "common/ask/resource.h"

typedef struct SqlitePool SqlitePool;
extern const LookupBackend sqlite_pool_backend;

/*
 * Tries the database and the query: NULL and *error when one is not usable. `optional`: nothing is found while there is no file. Transfer full.
 */
SqlitePool *sqlite_pool_new(const char *path, const char *query, const KeysetShape *shape, bool optional, GError **error);
/* Ends the threads and drops the reference; questions that are still asked fail. Before the scheduler goes. */
void sqlite_pool_close(SqlitePool *pool);

#endif
