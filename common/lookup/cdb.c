/*
 * cdb.c: tables in files of cdb, as `postmap cdb:` and cdb(1) build them. The file is mapped into memory and never changes: who builds a new one renames it into place. One that is
 * written over all the same is a failure until all of it is there.
 */
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/lookup/kinds.h"
#include "common/lookup/map_file.h"
#include "common/lookup/map_guard.h"
#include "common/lookup/map_key.h"
#include "common/lookup/table_file.h"

extern const ResourceKind resource_kind_cdb;

enum { HEADER = 2048, TABLES = 256 };

typedef struct CdbMap {
  struct cdb cdb;
  int descriptor;
  int error;                /* of opening */
  struct timespec modified; /* when it was opened */
  bool whole;
} CdbMap;

static void close_cdb(void *map) {
  CdbMap *own = map;
  cdb_free(&own->cdb); /* also of one that was not opened */
  (void)close(own->descriptor);
  g_free(own);
}

/*
 * Guarded: libcdb maps the file, notes that, and reads its first bytes. The tables of places stand behind all else and are written last, and the header,
 * which says where they are, last of all or first: a file that is not whole lacks either.
 */
static void read_header(void *self) {
  CdbMap *map = self;
  map->error = cdb_init(&map->cdb, map->descriptor) == 0 ? 0 : errno;
  if (map->error != 0) {
    return;
  }
  const unsigned char *header = map->cdb.cdb_mem;
  for (size_t i = 0; i < TABLES; i++) {
    uint64_t place = cdb_unpack(header + 8 * i), slots = cdb_unpack(header + 8 * i + 4);
    if (place < HEADER || place + slots * 8 > map->cdb.cdb_fsize) {
      return;
    }
  }
  map->whole = true;
}

static void *open_cdb(const char *path, struct stat *status, GError **error) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0 || fstat(descriptor, status) != 0) {
    (void)table_file_fail(error, path, g_strerror(errno));
    if (descriptor >= 0) {
      (void)close(descriptor);
    }
    return NULL;
  }
  CdbMap *map = g_new0(CdbMap, 1);
  map->descriptor = descriptor;
  map->modified = status->st_mtim;
  if (!map_guard_run(read_header, map) || !map->whole) {
    bool damaged = map->error == 0 || map->error == EPROTO;
    (void)table_file_fail(error, path, damaged ? "not a cdb database, or only a part of one" : g_strerror(map->error));
    close_cdb(map);
    return NULL;
  }
  return map;
}

/* What is written over has lost what it said, and does not yet say what it will: nothing can be told from it. */
static bool begin(void *map, void **reader, Arena *arena, const char **reason) {
  const CdbMap *own = map;
  struct stat status;
  if (fstat(own->descriptor, &status) != 0) {
    *reason = arena_printf(arena, "%s", g_strerror(errno));
    return false;
  }
  if (status.st_size != (off_t)own->cdb.cdb_fsize || status.st_mtim.tv_sec != own->modified.tv_sec ||
      status.st_mtim.tv_nsec != own->modified.tv_nsec) {
    *reason = "the file was written over";
    return false;
  }
  *reader = arena_alloc(arena, sizeof(struct cdb)); /* libcdb keeps in it where it is */
  memcpy(*reader, &own->cdb, sizeof(struct cdb));
  return true;
}

static void end(void *map, void *reader) {
  (void)map;
  (void)reader;
}

static AnswerState get(void *map, void *reader, Slice key, Slice *value, Arena *arena, const char **reason) {
  (void)map;
  struct cdb *own = reader;
  int found = cdb_find(own, key.data, (unsigned)key.length);
  if (found == 0) {
    return ANSWER_NOT_FOUND;
  }
  const char *data = found > 0 ? cdb_getdata(own) : NULL;
  if (!data) {
    *reason = errno == EPROTO ? "the file is damaged" : arena_printf(arena, "%s", g_strerror(errno));
    return ANSWER_FAILED;
  }
  *value = slice_make(data, cdb_datalen(own));
  return ANSWER_FOUND;
}

static const MapFormat format = {.suffix = ".cdb", .open = open_cdb, .close = close_cdb, .begin = begin, .end = end, .get = get};

static Resource *open_table(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  return map_file_open(&format, spec, context, error);
}

const ResourceKind resource_kind_cdb = {
    .name = "cdb",
    .sentence = "a map of Postfix in cdb format, built by postmap; a new one that is renamed into its place is noticed at once",
    .synopsis = "from cdb \"PATH\"",
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
