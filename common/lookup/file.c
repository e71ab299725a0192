/*
 * file.c: tables from a file of lines (table_text.h), read into memory at start and when told to look again.
 *
 * A file that cannot be used never replaces what was read before. The content counts, not the file's times: refreshing a file that
 * holds the same bytes keeps the version.
 */
#include "common/lookup/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/lookup/table_file.h"
#include "common/lookup/table_text.h"

extern const ResourceKind resource_kind_file;

typedef struct FileTable {
  Resource resource;
  char *path;
  KeysetShape shape;
  bool optional;
  bool check_owners;
  pthread_mutex_t refreshing; /* one at a time; guards what follows */
  bool present;
  uint64_t hash; /* of the content read last */
  size_t length;
} FileTable;

typedef struct FileVersion {
  ResourceVersion version;
  Keyset *keyset;
} FileVersion;

static void free_version(ResourceVersion *version) {
  FileVersion *own = (FileVersion *)version;
  keyset_free(own->keyset);
  g_free(own);
}

static void publish(FileTable *table, Keyset *keyset) {
  FileVersion *version = g_new0(FileVersion, 1);
  version->version = (ResourceVersion){.references = 1, .free = free_version};
  version->keyset = keyset;
  resource_publish(&table->resource, &version->version);
}

static bool check_status(const FileTable *table, const struct stat *status, GError **error) {
  if (!table_file_check(table->path, status, table->check_owners, error)) {
    return false;
  }
  return status->st_size <= LIMIT_TABLE_FILE || table_file_fail(error, table->path, "the file is too large for a table in memory");
}

/* One byte more than the file has shows whether it grew meanwhile. */
static char *read_bytes(int descriptor, const char *path, size_t size, size_t *length, GError **error) {
  g_autofree char *bytes = g_try_malloc(size + 1);
  if (!bytes) {
    (void)table_file_fail(error, path, "not enough memory");
    return NULL;
  }
  for (*length = 0; *length <= size;) {
    ssize_t got = read(descriptor, bytes + *length, size + 1 - *length);
    if (got == 0) {
      return g_steal_pointer(&bytes);
    }
    if (got > 0) {
      *length += (size_t)got;
    } else if (errno != EINTR) {
      (void)table_file_fail(error, path, g_strerror(errno));
      return NULL;
    }
  }
  (void)table_file_fail(error, path, "the file grew while it was read");
  return NULL;
}

/* NULL with *absent for a file that is not there; NULL with *error when it cannot be used. */
static char *read_content(const FileTable *table, size_t *length, bool *absent, GError **error) {
  *absent = false;
  /* O_NONBLOCK: a FIFO in its place must not hold us up. */
  int descriptor = open(table->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    *absent = errno == ENOENT;
    (void)table_file_fail(error, table->path, g_strerror(errno));
    return NULL;
  }
  struct stat status;
  char *bytes = NULL;
  if (fstat(descriptor, &status) != 0) {
    (void)table_file_fail(error, table->path, g_strerror(errno));
  } else if (check_status(table, &status, error)) {
    bytes = read_bytes(descriptor, table->path, (size_t)status.st_size, length, error);
  }
  (void)close(descriptor);
  return bytes;
}

static void publish_empty(FileTable *table) {
  if (!table->resource.version || table->present) {
    publish(table, keyset_builder_end(keyset_builder_new(&table->shape)));
  }
  table->present = false;
}

static bool load(FileTable *table, GError **error) {
  size_t length = 0;
  bool absent;
  g_autoptr(GError) failure = NULL;
  g_autofree char *bytes = read_content(table, &length, &absent, &failure);
  if (!bytes) {
    if (absent && table->optional) {
      publish_empty(table);
      return true;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
  }
  Slice text = slice_make(bytes, length);
  uint64_t hash = slice_hash(text);
  if (table->present && table->hash == hash && table->length == length) {
    return true;
  }
  g_autofree char *message = NULL;
  Keyset *keyset = table_text_read(&table->shape, table->path, text, &message);
  if (!keyset) {
    g_set_error_literal(error, RESOURCE_ERROR, 0, message);
    return false;
  }
  publish(table, keyset);
  table->present = true;
  table->hash = hash;
  table->length = length;
  return true;
}

static char *check_spec(const ResourceSpec *spec) {
  if (spec->text[0] == '\0') {
    return g_strdup("the name of the file is missing");
  }
  for (size_t i = 0; i < spec->shape.part_count; i++) {
    ValueType type = spec->shape.parts[i];
    if (type == TYPE_LIST || type == TYPE_ACTION) {
      return g_strdup_printf("a file has no keys of type %s", value_type_name(type));
    }
  }
  return NULL;
}

static Resource *open_file(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  g_autofree char *problem = check_spec(spec);
  if (problem) {
    g_set_error_literal(error, RESOURCE_ERROR, 0, problem);
    return NULL;
  }
  FileTable *table = g_new0(FileTable, 1);
  resource_init(&table->resource, spec);
  table->path = resource_path(spec);
  table->shape = spec->shape;
  table->optional = spec->optional;
  table->check_owners = context->check_owners;
  (void)pthread_mutex_init(&table->refreshing, NULL);
  if (!load(table, error)) {
    resource_unref(&table->resource);
    return NULL;
  }
  return &table->resource;
}

static bool refresh_file(Resource *resource, GError **error) {
  FileTable *table = (FileTable *)resource;
  (void)pthread_mutex_lock(&table->refreshing);
  bool good = load(table, error);
  (void)pthread_mutex_unlock(&table->refreshing);
  return good;
}

static void close_file(Resource *resource) {
  FileTable *table = (FileTable *)resource;
  (void)pthread_mutex_destroy(&table->refreshing);
  g_free(table->path);
  g_free(table);
}

static void find_in_file(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer) {
  const FileVersion *own = (const FileVersion *)version;
  (void)arena;
  *answer = (ResourceAnswer){.state = ANSWER_NOT_FOUND, .value = VALUE_NONE};
  if (keyset_find_entry(own->keyset, keys, &answer->value, &answer->entry)) {
    answer->state = ANSWER_FOUND;
  }
}

const ResourceKind resource_kind_file = {
    .name = "file",
    .sentence = "a text file with one entry a line, read into memory",
    .synopsis = "from file \"PATH\"",
    .lookup_class = LOOKUP_HERE,
    .on_error = ON_ERROR_TEMPFAIL,
    .is_table = true,
    .check = check_spec,
    .open = open_file,
    .refresh = refresh_file,
    .close = close_file,
    .find = find_in_file,
};
