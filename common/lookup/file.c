/*
 * file.c: tables from a file of lines (table_text.h), read into memory at start and again when they change.
 *
 * A file that cannot be used never replaces what was read before. Lines that cannot be read are left out of it (ResourceFaults); a file without any line
 * that can be read is no table. Half written, and so not used, are a file that changes while it is read, one that is empty and was not before, and
 * one whose last line has no end, unless that was so before.
 *
 * Watching: a file whose status (number, size, times) is another than that of the file read last is read once two looks in a row
 * show the same, or after LOOKS_MAX looks, for files that are written all the time. The content counts, not the status: what holds the same
 * bytes keeps the version.
 */
#include "common/lookup/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/lookup/map_key.h"
#include "common/lookup/table_file.h"
#include "common/lookup/table_text.h"

extern const ResourceKind resource_kind_file;

enum { LOOKS_MAX = 10, READS_MAX = 3 };

/* What a path led to. All zero: not known. */
typedef struct FileLook {
  bool known;
  int error; /* of stat; 0: the rest is set */
  dev_t device;
  ino_t number;
  off_t size;
  struct timespec modified, changed;
} FileLook;

typedef struct FileTable {
  Resource resource;
  char *path;
  KeysetShape shape;
  bool optional;
  bool check_owners;
  pthread_mutex_t refreshing; /* one at a time; guards what follows */
  bool present;               /* the version is of a file */
  uint64_t hash;              /* of that file's content */
  size_t length;
  bool ends_open;  /* its last line has no end */
  FileLook read;   /* of what was read last, good or bad */
  FileLook looked; /* of what was looked at last and not read yet */
  unsigned looks;  /* since it is another one than what was read */
  char *complaint; /* why what is there now cannot be used; NULL: it can */
} FileTable;

typedef struct FileVersion {
  ResourceVersion version;
  Keyset *keyset;
  KeysetShape shape; /* of the table: the keyset may be one of texts (table_text.h) */
  ResourceFaults faults;
} FileVersion;

/* How reading went. */
typedef enum FileOutcome { FILE_SAME, FILE_REPLACED, FILE_BAD, FILE_MOVING } FileOutcome;

static void free_version(ResourceVersion *version) {
  FileVersion *own = (FileVersion *)version;
  keyset_free(own->keyset);
  resource_faults_clear(&own->faults);
  g_free(own);
}

/* Takes over both. */
static void publish(FileTable *table, Keyset *keyset, const ResourceFaults *faults) {
  FileVersion *version = g_new0(FileVersion, 1);
  version->version = (ResourceVersion){.references = 1, .free = free_version};
  version->keyset = keyset;
  version->shape = table->shape;
  version->faults = *faults;
  resource_publish(&table->resource, &version->version);
}

/* ---- looking ---- */

static FileLook look_of(const struct stat *status) {
  return (FileLook){.known = true,
                    .device = status->st_dev,
                    .number = status->st_ino,
                    .size = status->st_size,
                    .modified = status->st_mtim,
                    .changed = status->st_ctim};
}

static FileLook look_at(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? look_of(&status) : (FileLook){.known = true, .error = errno};
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_look(const FileLook *a, const FileLook *b) {
  return a->known && b->known && a->error == b->error && a->device == b->device && a->number == b->number && a->size == b->size &&
         same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

/* ---- reading ---- */

static bool check_status(const FileTable *table, const struct stat *status, GError **error) {
  if (!table_file_check(table->path, status, table->check_owners, error)) {
    return false;
  }
  return status->st_size <= LIMIT_TABLE_FILE || table_file_fail(error, table->path, "the file is too large for a table in memory");
}

/* As many bytes as the file had, and one more, which shows that it grew meanwhile. NULL with *error. */
static char *read_bytes(int descriptor, const char *path, size_t size, size_t *length, GError **error) {
  g_autofree char *bytes = g_try_malloc(size + 1);
  if (!bytes) {
    (void)table_file_fail(error, path, "not enough memory");
    return NULL;
  }
  for (*length = 0; *length <= size;) {
    ssize_t got = read(descriptor, bytes + *length, size + 1 - *length);
    if (got == 0) {
      break;
    }
    if (got > 0) {
      *length += (size_t)got;
    } else if (errno != EINTR) {
      (void)table_file_fail(error, path, g_strerror(errno));
      return NULL;
    }
  }
  return g_steal_pointer(&bytes);
}

/* FILE_SAME: *bytes is what the file held all the while. */
static FileOutcome read_open_file(FileTable *table, int descriptor, char **bytes, size_t *length, GError **error) {
  struct stat before, after;
  if (fstat(descriptor, &before) != 0) {
    (void)table_file_fail(error, table->path, g_strerror(errno));
    return FILE_BAD;
  }
  table->read = look_of(&before);
  if (!check_status(table, &before, error)) {
    return FILE_BAD;
  }
  *bytes = read_bytes(descriptor, table->path, (size_t)before.st_size, length, error);
  if (!*bytes) {
    return FILE_BAD;
  }
  FileLook again = fstat(descriptor, &after) == 0 ? look_of(&after) : (FileLook){.known = false};
  if (*length == (size_t)before.st_size && same_look(&table->read, &again)) {
    return FILE_SAME;
  }
  g_clear_pointer(bytes, g_free);
  (void)table_file_fail(error, table->path, "the file changes while it is read");
  return FILE_MOVING;
}

static FileOutcome read_content(FileTable *table, char **bytes, size_t *length, bool *absent, GError **error) {
  /* O_NONBLOCK: a FIFO in its place must not hold us up. */
  int descriptor = open(table->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  *absent = descriptor < 0 && errno == ENOENT;
  if (descriptor < 0) {
    (void)table_file_fail(error, table->path, g_strerror(errno));
    table->read = look_at(table->path);
    return FILE_BAD;
  }
  FileOutcome outcome = read_open_file(table, descriptor, bytes, length, error);
  (void)close(descriptor);
  return outcome;
}

static FileOutcome take_absence(FileTable *table) {
  bool is_new = !table->resource.version || table->present;
  if (is_new) {
    KeysetShape shape = table_text_shape(&table->shape);
    publish(table, keyset_builder_end(keyset_builder_new(&shape)), &(ResourceFaults){.count = 0});
  }
  table->present = false;
  return is_new ? FILE_REPLACED : FILE_SAME;
}

/* What a program that rewrites the file in place leaves for a moment, or for good when it dies. */
static bool is_half_written(const FileTable *table, Slice text, GError **error) {
  if (table->present && table->length > 0 && text.length == 0) {
    (void)table_file_fail(error, table->path, "the file is empty, and was not: half written? (a comment line makes a table empty)");
    return true;
  }
  bool ends_open = text.length > 0 && text.data[text.length - 1] != '\n';
  if (table->present && ends_open && !table->ends_open) {
    (void)table_file_fail(error, table->path, "the last line has no end, and had one: half written?");
    return true;
  }
  return false;
}

static FileOutcome take_text(FileTable *table, Slice text, GError **error) {
  uint64_t hash = slice_hash(text);
  ResourceFaults faults;
  if (table->present && table->hash == hash && table->length == text.length) {
    return FILE_SAME;
  }
  if (is_half_written(table, text, error)) {
    return FILE_BAD;
  }
  Keyset *keyset = table_text_read(&table->shape, table->path, text, &faults);
  if (faults.count > 0 && keyset_size(keyset) == 0) {
    g_autofree char *first = resource_fault_text(&faults.told[0]);
    g_set_error(error, RESOURCE_ERROR, 0, "no line of the file can be read: %s", first);
    keyset_free(keyset);
    resource_faults_clear(&faults);
    return FILE_BAD;
  }
  publish(table, keyset, &faults);
  table->present = true;
  table->hash = hash;
  table->length = text.length;
  table->ends_open = text.length > 0 && text.data[text.length - 1] != '\n';
  return FILE_REPLACED;
}

static FileOutcome read_table(FileTable *table, GError **error) {
  size_t length = 0;
  bool absent;
  g_autofree char *bytes = NULL;
  g_autoptr(GError) failure = NULL;
  FileOutcome outcome = read_content(table, &bytes, &length, &absent, &failure);
  if (bytes) {
    return take_text(table, slice_make(bytes, length), error);
  }
  if (absent && table->optional) {
    return take_absence(table);
  }
  g_propagate_error(error, g_steal_pointer(&failure));
  return outcome;
}

/* At start and when told to: at once, whether it is at rest or not, so the watch looks at it once more. */
static bool load(FileTable *table, GError **error) {
  FileOutcome outcome = FILE_MOVING;
  g_autoptr(GError) failure = NULL;
  for (int i = 0; i < READS_MAX && outcome == FILE_MOVING; i++) {
    g_clear_error(&failure);
    outcome = read_table(table, &failure);
  }
  table->read.known = false;
  table->looks = 0;
  g_clear_pointer(&table->complaint, g_free);
  if (failure) {
    table->complaint = g_strdup(failure->message);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
  }
  return true;
}

/* ---- watching ---- */

/* True when it was replaced and is at rest, or was not for too long. */
static bool is_due(FileTable *table) {
  FileLook look = look_at(table->path);
  if (same_look(&look, &table->read)) {
    table->looks = 0;
    return false;
  }
  bool rests = table->looks > 0 && same_look(&look, &table->looked);
  table->looked = look;
  table->looks++;
  return rests || table->looks > LOOKS_MAX;
}

static ResourceNews complain(FileTable *table, GError *failure, GError **error) {
  if (g_strcmp0(table->complaint, failure->message) == 0) {
    g_error_free(failure);
    return RESOURCE_NEWS_NONE;
  }
  g_free(table->complaint);
  table->complaint = g_strdup(failure->message);
  g_propagate_error(error, failure);
  return RESOURCE_NEWS_FAILED;
}

static ResourceNews look_and_read(FileTable *table, GError **error) {
  GError *failure = NULL;
  if (!is_due(table)) {
    return RESOURCE_NEWS_NONE;
  }
  FileOutcome outcome = read_table(table, &failure);
  if (outcome == FILE_MOVING) {
    table->read.known = false;
    if (table->looks <= LOOKS_MAX) {
      g_error_free(failure);
      return RESOURCE_NEWS_NONE;
    }
    return complain(table, failure, error);
  }
  table->looks = 0;
  if (outcome == FILE_BAD) {
    return complain(table, failure, error);
  }
  bool complained = table->complaint != NULL;
  g_clear_pointer(&table->complaint, g_free);
  return outcome == FILE_REPLACED ? RESOURCE_NEWS_CONTENT : complained ? RESOURCE_NEWS_WELL : RESOURCE_NEWS_NONE;
}

static ResourceNews watch_file(Resource *resource, GError **error) {
  FileTable *table = (FileTable *)resource;
  (void)pthread_mutex_lock(&table->refreshing);
  ResourceNews news = look_and_read(table, error);
  (void)pthread_mutex_unlock(&table->refreshing);
  return news;
}

/* ---- the kind ---- */

static char *check_spec(const ResourceSpec *spec) {
  if (spec->text[0] == '\0') {
    return g_strdup("the name of the file is missing");
  }
  if (spec->shape.order != KEY_ORDER_RULES && map_key_problem(&spec->shape)) {
    return g_strdup(map_key_problem(&spec->shape));
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
  g_free(table->complaint);
  g_free(table->path);
  g_free(table);
}

static size_t size_of_version(const ResourceVersion *version) {
  return keyset_size(((const FileVersion *)version)->keyset);
}

static const ResourceFaults *faults_of_version(const ResourceVersion *version) {
  return &((const FileVersion *)version)->faults;
}

typedef struct FileSearch {
  const Keyset *keyset;
  ResourceAnswer *answer;
} FileSearch;

static bool try_text(void *self, Slice text) {
  FileSearch *search = self;
  Value key = value_text(text);
  return keyset_find_entry(search->keyset, &key, &search->answer->value, &search->answer->entry);
}

static void find_in_file(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer) {
  const FileVersion *own = (const FileVersion *)version;
  *answer = (ResourceAnswer){.state = ANSWER_NOT_FOUND, .value = VALUE_NONE};
  FileSearch search = {own->keyset, answer};
  bool texts = own->shape.order != KEY_ORDER_RULES;
  if (texts ? map_key_each(&own->shape, keys, arena, try_text, &search)
            : keyset_find_entry(own->keyset, keys, &answer->value, &answer->entry)) {
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
    .watch = watch_file,
    .size = size_of_version,
    .faults = faults_of_version,
    .close = close_file,
    .tries = map_key_tries_in_memory,
    .find = find_in_file,
};
