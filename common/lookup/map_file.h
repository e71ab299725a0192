/*
 * map_file.h: maps in files of a database format, built by postmap or another tool and looked up in place: what lmdb and cdb share.
 *
 * A version is an open database. A file that was replaced (another file, size or time under the same name) is opened anew in front of the next phase; one that cannot be used, or is
 * gone, leaves the old one in place. Keys and values are taken with a NUL at their end or without.
 */
#ifndef COMMON_LOOKUP_MAP_FILE_H
#define COMMON_LOOKUP_MAP_FILE_H

#include <sys/stat.h>

#include "common/ask/resource.h"

/*
 * A database format. `map` is what `open` made; all calls from any thread. Databases are mapped into memory and others may damage or cut off their files at any time: what reads the
 * mapping does so inside of map_guard.h.
 */
typedef struct MapFormat {
  const char *suffix; /* ".lmdb": behind the name as Postfix has it */
  /* The map of a path, perhaps one that is open already. *status is of the file that was opened. NULL with *error. */
  void *(*open)(const char *path, struct stat *status, GError **error);
  void (*close)(void *map);
  /* Around the gets of one look-up. False: *reason says why (static or in the arena), nothing to end. */
  bool (*begin)(void *map, void **reader, Arena *arena, const char **reason);
  void (*end)(void *map, void *reader);
  /*
   * Guarded: takes no lock and allocates from nothing but an arena. FOUND: *value points into the map, for the guarded time. FAILED: *reason is static, or in the arena.
   */
  AnswerState (*get)(void *map, void *reader, Slice key, Slice *value, Arena *arena, const char **reason);
} MapFormat;

char *map_file_check(const ResourceSpec *spec);
Resource *map_file_open(const MapFormat *format, const ResourceSpec *spec, const ResourceContext *context, GError **error);
/* The rest of a descriptor. */
bool map_file_refresh(Resource *resource, GError **error);
void map_file_renew(Resource *resource);
void map_file_close(Resource *resource);
void map_file_find(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer);

#endif
