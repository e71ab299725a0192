/*
 * sqlite_pool.h: a database of SQLite and one query in it, asked by a few threads of its own, because asking may block.
 *
 * Questions and payloads are those of map_question.h: each text is bound to a parameter of the query, and the first try that gives a row with a value answers.
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
