/*
 * sqlite_pool.c: see sqlite_pool.h. Databases are opened read-only, each thread has a connection and a prepared query of its own, and values are bound, never pasted.
 */
#include "common/lookup/sqlite_pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "common/ask/scheduler.h"
#include "common/base/limits.h"
#include "common/lookup/map_question.h"
#include "common/lookup/table_file.h"

enum { WORKERS = 2, STEPS_BETWEEN_LOOKS = 1000 };

/* One thread's. */
typedef struct Connection {
  sqlite3 *database; /* NULL: not open */
  sqlite3_stmt *query;
  dev_t device;
  ino_t inode;
} Connection;

struct SqlitePool {
  gint references;
  char *path, *query;
  KeysetShape shape;
  bool optional;
  gint closed;
  pthread_mutex_t lock; /* guards `waiting` */
  pthread_cond_t more;
  GQueue waiting; /* of Task */
  GThread *workers[WORKERS];
};

/* A question, or the end of a worker (question NULL). */
typedef struct Task {
  Question *question;
  gint64 until;
} Task;

static void pool_hold(void *self) {
  g_atomic_int_inc(&((SqlitePool *)self)->references);
}

static void pool_drop(void *self) {
  SqlitePool *pool = self;
  if (g_atomic_int_dec_and_test(&pool->references)) {
    g_queue_clear_full(&pool->waiting, g_free);
    (void)pthread_cond_destroy(&pool->more);
    (void)pthread_mutex_destroy(&pool->lock);
    g_free(pool->path);
    g_free(pool->query);
    g_free(pool);
  }
}

/* ---- connections ---- */

static void connection_close(Connection *connection) {
  (void)sqlite3_finalize(connection->query);
  (void)sqlite3_close(connection->database);
  *connection = (Connection){0};
}

/* NULL when the prepared query fits; else what is wrong with it. */
static char *query_problem(const SqlitePool *pool, sqlite3_stmt *query, const char *rest) {
  if (query == NULL || !sqlite3_stmt_readonly(query) || sqlite3_column_count(query) == 0) {
    return g_strdup("the query must be a select");
  }
  if (rest && rest[strspn(rest, " \t\r\n;")] != '\0') {
    return g_strdup("only one query is possible");
  }
  size_t wanted = (size_t)sqlite3_bind_parameter_count(query);
  if (wanted != pool->shape.part_count) {
    return g_strdup_printf("the query has %zu parameters (?) and a key of the table %zu %s", wanted, pool->shape.part_count,
                           pool->shape.part_count == 1 ? "part" : "parts");
  }
  return NULL;
}

static bool connection_open(const SqlitePool *pool, Connection *connection, GError **error) {
  struct stat status;
  const char *rest = NULL;
  if (stat(pool->path, &status) != 0) {
    return table_file_fail(error, pool->path, g_strerror(errno));
  }
  if (!table_file_check(pool->path, &status, false, error)) {
    return false;
  }
  int result = sqlite3_open_v2(pool->path, &connection->database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
  if (result == SQLITE_OK) {
    (void)sqlite3_busy_timeout(connection->database, LIMIT_SQLITE_BUSY_MS);
    result = sqlite3_prepare_v2(connection->database, pool->query, -1, &connection->query, &rest);
  }
  g_autofree char *problem = result == SQLITE_OK ? query_problem(pool, connection->query, rest) : NULL;
  if (result == SQLITE_OK && !problem) {
    connection->device = status.st_dev;
    connection->inode = status.st_ino;
    return true;
  }
  const char *message = connection->database ? sqlite3_errmsg(connection->database) : sqlite3_errstr(result);
  (void)table_file_fail(error, pool->path, problem ? problem : message);
  connection_close(connection);
  return false;
}

/* Opens it anew where another file stands in its place; one that is gone stays open. */
static bool connection_ready(const SqlitePool *pool, Connection *connection, GError **error) {
  struct stat status;
  if (connection->database &&
      (stat(pool->path, &status) != 0 || (status.st_dev == connection->device && status.st_ino == connection->inode))) {
    return true;
  }
  connection_close(connection);
  return connection_open(pool, connection, error);
}

/* ---- asking ---- */

typedef struct Watch {
  SqlitePool *pool;
  gint64 until;
} Watch;

static int is_over(void *data) {
  const Watch *watch = data;
  return g_atomic_int_get(&watch->pool->closed) || g_get_monotonic_time() > watch->until;
}

/* Binds the texts of one try. */
static void bind_texts(const SqlitePool *pool, sqlite3_stmt *query, const Slice *parts) {
  for (size_t i = 0; i < pool->shape.part_count; i++) {
    int64_t number;
    int place = (int)i + 1;
    if (pool->shape.parts[i] == TYPE_INT && slice_to_int(parts[i], &number)) {
      (void)sqlite3_bind_int64(query, place, number);
    } else {
      (void)sqlite3_bind_text(query, place, parts[i].length ? parts[i].data : "", (int)parts[i].length, SQLITE_STATIC);
    }
  }
}

static GBytes *payload_of(const SqlitePool *pool, sqlite3_stmt *query, const Slice *parts) {
  const char *value = (const char *)sqlite3_column_text(query, 0);
  size_t length = (size_t)sqlite3_column_bytes(query, 0);
  return map_question_payload(parts, pool->shape.part_count, slice_make(value, value ? length : 0));
}

/* SQLITE_ROW: *payload is the answer; SQLITE_DONE: there is none; else it failed. */
static int ask_each(const SqlitePool *pool, sqlite3_stmt *query, Slice texts, GBytes **payload) {
  Slice parts[KEYSET_PARTS_MAX];
  while (map_question_next(&texts, parts, pool->shape.part_count)) {
    bind_texts(pool, query, parts);
    int result = sqlite3_step(query);
    bool has_value = result == SQLITE_ROW && (!pool->shape.has_value || sqlite3_column_type(query, 0) != SQLITE_NULL);
    if (has_value) {
      *payload = payload_of(pool, query, parts);
    }
    (void)sqlite3_reset(query);
    if (has_value || (result != SQLITE_ROW && result != SQLITE_DONE)) {
      return result;
    }
  }
  return SQLITE_DONE;
}

static Answer *ask_connection(SqlitePool *pool, Connection *connection, const Task *task) {
  g_autoptr(GError) error = NULL;
  if (!connection_ready(pool, connection, &error)) {
    struct stat status;
    bool absent = pool->optional && stat(pool->path, &status) != 0 && errno == ENOENT;
    return absent ? answer_new(ANSWER_NOT_FOUND, NULL, 0) : answer_new_failed(error->message);
  }
  Watch watch = {pool, task->until};
  g_autoptr(GBytes) payload = NULL;
  sqlite3_progress_handler(connection->database, STEPS_BETWEEN_LOOKS, is_over, &watch);
  int result = ask_each(pool, connection->query, map_question_texts(task->question), &payload);
  sqlite3_progress_handler(connection->database, 0, NULL, NULL);
  (void)sqlite3_clear_bindings(connection->query);
  if (result == SQLITE_ROW) {
    return answer_new(ANSWER_FOUND, payload, LIMIT_SQLITE_SECONDS);
  }
  if (result == SQLITE_DONE) {
    return answer_new(ANSWER_NOT_FOUND, NULL, LIMIT_SQLITE_SECONDS);
  }
  Answer *answer = answer_new_failed(result == SQLITE_INTERRUPT ? "the query takes too long" : sqlite3_errmsg(connection->database));
  connection_close(connection); /* the next question begins with a new one */
  return answer;
}

static Task *next_task(SqlitePool *pool) {
  (void)pthread_mutex_lock(&pool->lock);
  while (g_queue_is_empty(&pool->waiting)) {
    (void)pthread_cond_wait(&pool->more, &pool->lock);
  }
  Task *task = g_queue_pop_head(&pool->waiting);
  (void)pthread_mutex_unlock(&pool->lock);
  return task;
}

static gpointer work(gpointer data) {
  SqlitePool *pool = data;
  Connection connection = {0};
  for (;;) {
    g_autofree Task *task = next_task(pool);
    if (task->question == NULL) {
      break;
    }
    bool closed = g_atomic_int_get(&pool->closed);
    bool late = g_get_monotonic_time() > task->until; /* nobody waits for it any more */
    Answer *answer = closed ? answer_new_failed("the table was closed") : late ? answer_new_failed("too many questions") : NULL;
    question_answer(task->question, answer ? answer : ask_connection(pool, &connection, task));
    question_unref(task->question);
  }
  connection_close(&connection);
  pool_drop(pool);
  return NULL;
}

static void pool_start(void *self, Question *question) {
  SqlitePool *pool = self;
  Task *task = g_new(Task, 1);
  *task = (Task){question_ref(question), g_get_monotonic_time() + (gint64)LIMIT_DEADLINE_MS * 1000};
  (void)pthread_mutex_lock(&pool->lock);
  bool closed = g_atomic_int_get(&pool->closed); /* then no worker would take it */
  if (!closed) {
    g_queue_push_tail(&pool->waiting, task);
  }
  (void)pthread_cond_broadcast(&pool->more);
  (void)pthread_mutex_unlock(&pool->lock);
  if (closed) {
    question_answer(question, answer_new_failed("the table was closed"));
    question_unref(task->question);
    g_free(task);
  }
}

const LookupBackend sqlite_pool_backend = {.name = "sqlite", .start = pool_start, .hold = pool_hold, .drop = pool_drop};

/* The daemons' signals are for their main threads. */
static void start_workers(SqlitePool *pool) {
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  for (size_t i = 0; i < WORKERS; i++) {
    pool_hold(pool);
    pool->workers[i] = g_thread_new("sqlite", work, pool);
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

SqlitePool *sqlite_pool_new(const char *path, const char *query, const KeysetShape *shape, bool optional, GError **error) {
  SqlitePool *pool = g_new0(SqlitePool, 1);
  pool->references = 1;
  pool->path = g_strdup(path);
  pool->query = g_strdup(query);
  pool->shape = *shape;
  pool->optional = optional;
  g_queue_init(&pool->waiting);
  (void)pthread_mutex_init(&pool->lock, NULL);
  (void)pthread_cond_init(&pool->more, NULL);
  Connection connection = {0};
  struct stat status;
  bool absent = optional && stat(path, &status) != 0 && errno == ENOENT;
  if (!absent && !connection_open(pool, &connection, error)) {
    pool_drop(pool);
    return NULL;
  }
  connection_close(&connection);
  start_workers(pool);
  return pool;
}

void sqlite_pool_close(SqlitePool *pool) {
  (void)pthread_mutex_lock(&pool->lock);
  g_atomic_int_set(&pool->closed, 1);
  for (size_t i = 0; i < WORKERS; i++) {
    g_queue_push_tail(&pool->waiting, g_new0(Task, 1));
  }
  (void)pthread_cond_broadcast(&pool->more);
  (void)pthread_mutex_unlock(&pool->lock);
  for (size_t i = 0; i < WORKERS; i++) {
    (void)g_thread_join(pool->workers[i]);
  }
  pool_drop(pool);
}
