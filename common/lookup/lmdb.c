/*
 * lmdb.c: tables in files of LMDB, as `postmap lmdb:` builds them.
 *
 * Opened as Postfix opens them: read-only, without LMDB's own locks, under a shared lock of fcntl for each look-up; who writes holds it alone. A file must never be open twice in a process
 * (closing one would drop the other's locks), so that all tables on one file share its environment. Look-ups in one file go one after the other: no read transaction outlives one,
 * which takes microseconds. The content may change between two look-ups of a phase, for the file is written in place.
 */
#include "config.h"

#include <pthread.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/lookup/kinds.h"
#include "common/lookup/map_file.h"
#include "common/lookup/map_guard.h"
#include "common/lookup/map_key.h"
#include "common/lookup/table_file.h"

extern const ResourceKind resource_kind_lmdb;

/* Locks of the open file, where there are such: those of the process would be one for all its threads, and fall at any close of the file. Both kinds see each other. */
#ifdef F_OFD_SETLK
enum { SET_LOCK = F_OFD_SETLK };
#else
enum { SET_LOCK = F_SETLK };
#endif

enum { PAUSE_US = 1000 };

typedef struct Environment {
  size_t references; /* guarded by `environments` */
  dev_t device;
  ino_t inode;
  MDB_env *env;
  MDB_dbi database;
  int descriptor;
  pthread_mutex_t reading; /* guards what follows */
  off_t size;              /* an LMDB file never becomes smaller, unless another one is copied over it */
  bool unmapped;           /* a larger map could not be had, and the old one is gone */
  bool was_busy;           /* a writer held it for the whole time: nobody waits again until it has gone */
} Environment;

static pthread_mutex_t environments_lock = PTHREAD_MUTEX_INITIALIZER;
static GSList *environments;

/* One whose file was cut off and written anew, or was damaged, fits nothing any more, and goes with its last version. */
static bool is_usable(Environment *environment, const struct stat *status) {
  (void)pthread_mutex_lock(&environment->reading);
  bool usable = status->st_size >= environment->size && !environment->unmapped;
  (void)pthread_mutex_unlock(&environment->reading);
  return usable;
}

static Environment *environment_find(const struct stat *status) {
  for (GSList *item = environments; item; item = item->next) {
    Environment *environment = item->data;
    if (environment->device == status->st_dev && environment->inode == status->st_ino && is_usable(environment, status)) {
      environment->references++;
      return environment;
    }
  }
  return NULL;
}

static void environment_free(Environment *environment) {
  mdb_env_close(environment->env);
  (void)pthread_mutex_destroy(&environment->reading);
  g_free(environment);
}

static int lock_file(int descriptor, short type) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  int result;
  do {
    result = fcntl(descriptor, SET_LOCK, &lock);
  } while (result != 0 && errno == EINTR);
  return result;
}

/* Waits a little for a writer. True when the shared lock is ours. */
static bool lock_shared(Environment *environment, const char **reason, Arena *arena) {
  int pauses = environment->was_busy ? 0 : LIMIT_MAP_LOCK_MS * 1000 / PAUSE_US;
  for (;;) {
    if (lock_file(environment->descriptor, F_RDLCK) == 0) {
      environment->was_busy = false;
      return true;
    }
    if (errno != EAGAIN && errno != EACCES) {
      *reason = arena_printf(arena, "cannot lock: %s", g_strerror(errno));
      return false;
    }
    if (pauses-- <= 0) {
      environment->was_busy = true;
      *reason = "it is being written";
      return false;
    }
    g_usleep(PAUSE_US);
  }
}

typedef struct PageCheck {
  Environment *environment;
  int result;
} PageCheck;

/* Guarded. The last page that the file says it has must be there. */
static void check_pages(void *self) {
  PageCheck *check = self;
  MDB_envinfo info;
  MDB_stat pages;
  check->result = mdb_env_info(check->environment->env, &info);
  if (check->result == 0) {
    check->result = mdb_env_stat(check->environment->env, &pages);
  }
  if (check->result == 0 && (uint64_t)check->environment->size < ((uint64_t)info.me_last_pgno + 1) * pages.ms_psize) {
    check->result = MDB_CORRUPTED;
  }
}

typedef struct Beginning {
  MDB_env *env;
  MDB_txn *transaction;
  int result;
} Beginning;

/* Guarded. It allocates the transaction before it reads the file: one that is cut off in just this moment costs some bytes of memory. */
static void begin_guarded(void *self) {
  Beginning *beginning = self;
  beginning->result = mdb_txn_begin(beginning->env, NULL, MDB_RDONLY, &beginning->transaction);
}

/* Guarded. Reads the file before it maps it anew, and not afterwards. */
static void grow_guarded(void *self) {
  Environment *environment = self;
  environment->unmapped = mdb_env_set_mapsize(environment->env, (size_t)environment->size) != 0;
}

/* Grown by a writer: a larger map. No transaction is open, for look-ups go one after the other. */
static int grow(Environment *environment) {
  PageCheck check = {environment, MDB_CORRUPTED};
  bool whole = map_guard_run(check_pages, &check);
  return whole && check.result == 0 && map_guard_run(grow_guarded, environment) && !environment->unmapped ? 0 : MDB_CORRUPTED;
}

static int begin_transaction(Environment *environment, MDB_txn **transaction) {
  Beginning beginning = {environment->env, NULL, 0};
  bool whole = !environment->unmapped && map_guard_run(begin_guarded, &beginning);
  if (whole && beginning.result == MDB_MAP_RESIZED) {
    whole = grow(environment) == 0 && map_guard_run(begin_guarded, &beginning);
  }
  *transaction = beginning.transaction;
  return whole ? beginning.result : MDB_CORRUPTED;
}

/* Under the lock. */
static bool check_size(Environment *environment, const char **reason, Arena *arena) {
  struct stat status;
  if (fstat(environment->descriptor, &status) != 0) {
    *reason = arena_printf(arena, "%s", g_strerror(errno));
    return false;
  }
  if (status.st_size < environment->size) {
    *reason = "the file became shorter";
    return false;
  }
  environment->size = status.st_size;
  return true;
}

static bool begin(void *map, void **reader, Arena *arena, const char **reason) {
  Environment *environment = map;
  (void)pthread_mutex_lock(&environment->reading);
  if (lock_shared(environment, reason, arena)) {
    MDB_txn *transaction;
    if (check_size(environment, reason, arena)) {
      int result = begin_transaction(environment, &transaction);
      if (result == 0) {
        *reader = transaction;
        return true;
      }
      *reason = arena_printf(arena, "%s", mdb_strerror(result));
    }
    (void)lock_file(environment->descriptor, F_UNLCK);
  }
  (void)pthread_mutex_unlock(&environment->reading);
  return false;
}

static void end(void *map, void *reader) {
  Environment *environment = map;
  mdb_txn_abort(reader);
  (void)lock_file(environment->descriptor, F_UNLCK);
  (void)pthread_mutex_unlock(&environment->reading);
}

static AnswerState get(void *map, void *reader, Slice key, Slice *value, Arena *arena, const char **reason) {
  Environment *environment = map;
  if (key.length == 0 || key.length > (size_t)mdb_env_get_maxkeysize(environment->env)) {
    return ANSWER_NOT_FOUND; /* LMDB stores no such keys */
  }
  MDB_val name = {.mv_size = key.length, .mv_data = (void *)key.data};
  MDB_val data;
  int result = mdb_get(reader, environment->database, &name, &data);
  if (result == MDB_NOTFOUND) {
    return ANSWER_NOT_FOUND;
  }
  if (result != 0) {
    *reason = arena_printf(arena, "%s", mdb_strerror(result));
    return ANSWER_FAILED;
  }
  *value = slice_make(data.mv_data, data.mv_size);
  return ANSWER_FOUND;
}

static int open_database(Environment *environment, Arena *arena, const char **reason) {
  void *reader;
  PageCheck check = {environment, MDB_CORRUPTED};
  if (!map_guard_run(check_pages, &check) || check.result != 0) {
    return check.result;
  }
  if (!begin(environment, &reader, arena, reason)) {
    return MDB_PANIC;
  }
  int result = mdb_dbi_open(reader, NULL, 0, &environment->database);
  end(environment, reader); /* the handle of the main database is there without a commit, too */
  return result;
}

/* In place of abort(). */
static void leave_damage(MDB_env *env, const char *text) {
  (void)env;
  (void)text;
  map_guard_leave();
}

static int open_file(Environment *environment, const char *path, struct stat *status) {
  (void)mdb_env_set_assert(environment->env, leave_damage);
  int result = mdb_env_open(environment->env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0);
  if (result == 0) {
    result = mdb_env_get_fd(environment->env, &environment->descriptor);
  }
  if (result == 0 && fstat(environment->descriptor, status) != 0) {
    result = errno;
  }
  return result;
}

static void tell(GError **error, const char *path, int result, const char *reason) {
  const char *text = reason ? reason : result == MDB_INVALID ? "not an LMDB database" : mdb_strerror(result);
  (void)table_file_fail(error, path, text);
}

/* Under `environments_lock`. */
static Environment *environment_open(const char *path, struct stat *status, GError **error) {
  g_autoptr(Arena) arena = arena_new(0);
  const char *reason = NULL;
  if (status->st_size == 0) {
    (void)table_file_fail(error, path, "the file is empty");
    return NULL;
  }
  Environment *environment = g_new0(Environment, 1);
  (void)pthread_mutex_init(&environment->reading, NULL);
  environment->references = 1;
  int result = mdb_env_create(&environment->env);
  if (result == 0) {
    result = open_file(environment, path, status);
  }
  Environment *open_already = result == 0 ? environment_find(status) : NULL;
  if (result == 0 && !open_already) {
    environment->device = status->st_dev;
    environment->inode = status->st_ino;
    environment->size = status->st_size;
    result = open_database(environment, arena, &reason);
  }
  if (result == 0 && !open_already) {
    environments = g_slist_prepend(environments, environment);
    return environment;
  }
  if (result != 0) {
    tell(error, path, result, reason);
  }
  environment_free(environment);
  return open_already;
}

static void *open_lmdb(const char *path, struct stat *status, GError **error) {
  if (stat(path, status) != 0) {
    (void)table_file_fail(error, path, g_strerror(errno));
    return NULL;
  }
  (void)pthread_mutex_lock(&environments_lock);
  Environment *environment = environment_find(status);
  if (!environment) {
    environment = environment_open(path, status, error);
  }
  (void)pthread_mutex_unlock(&environments_lock);
  return environment;
}

static void close_lmdb(void *map) {
  Environment *environment = map;
  (void)pthread_mutex_lock(&environments_lock);
  if (--environment->references == 0) {
    environments = g_slist_remove(environments, environment);
    environment_free(environment);
  }
  (void)pthread_mutex_unlock(&environments_lock);
}

static const MapFormat format = {.suffix = ".lmdb", .open = open_lmdb, .close = close_lmdb, .begin = begin, .end = end, .get = get};

static Resource *open_table(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  return map_file_open(&format, spec, context, error);
}

const ResourceKind resource_kind_lmdb = {
    .name = "lmdb",
    .sentence = "a map of Postfix in LMDB format, built by postmap; what is written to it, or renamed into its place, is noticed at once",
    .synopsis = "from lmdb \"PATH\"",
    .lookup_class = LOOKUP_HERE,
    .on_error = ON_ERROR_TEMPFAIL,
    .is_table = true,
    .check = map_file_check,
    .open = open_table,
    .refresh = map_file_refresh,
    .renew = map_file_renew,
    .close = map_file_close,
    .tries = map_key_tries,
    .find = map_file_find,
};
