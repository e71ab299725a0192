/*
 * map_file.c: opening, noticing replacement, and looking up.
 */
#include "common/lookup/map_file.h"

#include <pthread.h>
#include <errno.h>

#include "common/base/limits.h"
#include "common/lookup/map_guard.h"
#include "common/lookup/map_key.h"
#include "common/lookup/table_file.h"

typedef struct MapFile {
  Resource resource;
  const MapFormat *format;
  char *path;
  KeysetShape shape;
  bool optional;
  bool check_owners;
  void (*tell)(const char *label, const char *text);
  pthread_mutex_t opening; /* one at a time; guards what follows */
  struct stat seen;        /* of the file that was looked at last, good or bad; st_ino 0: none was there */
  bool good;               /* what was seen is what is open */
  char *complaint;         /* what was told last of a file that cannot be used; NULL: it can */
} MapFile;

typedef struct MapVersion {
  ResourceVersion version;
  const MapFormat *format;
  KeysetShape shape;
  void *map; /* NULL: there is no file, nothing is found */
} MapVersion;

static void free_version(ResourceVersion *version) {
  MapVersion *own = (MapVersion *)version;
  if (own->map) {
    own->format->close(own->map);
  }
  g_free(own);
}

/* Takes over the map. */
static void publish(MapFile *file, void *map) {
  MapVersion *version = g_new0(MapVersion, 1);
  version->version = (ResourceVersion){.references = 1, .free = free_version};
  version->format = file->format;
  version->shape = file->shape;
  version->map = map;
  resource_publish(&file->resource, &version->version);
}

static bool same_content(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool open_map(MapFile *file, const struct stat *status, GError **error) {
  struct stat opened;
  if (!table_file_check(file->path, status, file->check_owners, error)) {
    return false;
  }
  void *map = file->format->open(file->path, &opened, error);
  if (!map) {
    return false;
  }
  /* Another one may have come between looking and opening. */
  if (!table_file_check(file->path, &opened, file->check_owners, error)) {
    file->format->close(map);
    return false;
  }
  file->seen = opened;
  g_clear_pointer(&file->complaint, g_free);
  const MapVersion *current = (const MapVersion *)file->resource.version;
  if (current && current->map == map) {
    file->format->close(map); /* the same, still open: its content changed in place */
  } else {
    publish(file, map);
  }
  return true;
}

/* Opens what is there if that is not what is open. */
static bool load(MapFile *file, GError **error) {
  struct stat status;
  if (stat(file->path, &status) != 0) {
    int code = errno;
    file->seen = (struct stat){0};
    file->good = file->optional && code == ENOENT;
    if (!file->good) {
      return table_file_fail(error, file->path, g_strerror(code));
    }
    g_clear_pointer(&file->complaint, g_free);
    const MapVersion *current = (const MapVersion *)file->resource.version;
    if (!current || current->map) {
      publish(file, NULL);
    }
    return true;
  }
  if (file->good && same_content(&status, &file->seen)) {
    return true;
  }
  file->seen = status;
  file->good = open_map(file, &status, error);
  return file->good;
}

char *map_file_check(const ResourceSpec *spec) {
  if (spec->text[0] == '\0') {
    return g_strdup("the name of the file is missing");
  }
  return g_strdup(map_key_problem(&spec->shape));
}

Resource *map_file_open(const MapFormat *format, const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  g_autofree char *problem = map_file_check(spec);
  if (problem) {
    g_set_error_literal(error, RESOURCE_ERROR, 0, problem);
    return NULL;
  }
  MapFile *file = g_new0(MapFile, 1);
  resource_init(&file->resource, spec);
  g_autofree char *path = resource_path(spec);
  file->format = format;
  file->path = g_str_has_suffix(path, format->suffix) ? g_strdup(path) : g_strconcat(path, format->suffix, NULL);
  file->shape = spec->shape;
  file->optional = spec->optional;
  file->check_owners = context->check_owners;
  file->tell = context->tell;
  (void)pthread_mutex_init(&file->opening, NULL);
  if (!load(file, error)) {
    resource_unref(&file->resource);
    return NULL;
  }
  return &file->resource;
}

bool map_file_refresh(Resource *resource, GError **error) {
  MapFile *file = (MapFile *)resource;
  (void)pthread_mutex_lock(&file->opening);
  bool good = load(file, error);
  (void)pthread_mutex_unlock(&file->opening);
  return good;
}

/* A file that is being written is another one at each look, and the same is wrong with it. True: this was not told yet. */
static bool note_complaint(MapFile *file, const char *text) {
  if (g_strcmp0(file->complaint, text) == 0) {
    return false;
  }
  g_free(file->complaint);
  file->complaint = g_strdup(text);
  return true;
}

void map_file_renew(Resource *resource) {
  MapFile *file = (MapFile *)resource;
  struct stat status;
  g_autoptr(GError) error = NULL;
  if (stat(file->path, &status) != 0) {
    status = (struct stat){0};
  }
  /* Who opens it now opens it for all. */
  if (pthread_mutex_trylock(&file->opening) != 0) {
    return;
  }
  /* What could not be used is not tried again until it changes. */
  bool news = !same_content(&status, &file->seen) && !load(file, &error) && note_complaint(file, error->message);
  (void)pthread_mutex_unlock(&file->opening);
  if (news && file->tell) {
    file->tell(resource->label, error->message);
  }
}

void map_file_close(Resource *resource) {
  MapFile *file = (MapFile *)resource;
  (void)pthread_mutex_destroy(&file->opening);
  g_free(file->complaint);
  g_free(file->path);
  g_free(file);
}

/* A look-up under way. */
typedef struct MapSearch {
  const MapVersion *version;
  void *reader;
  Arena *arena;
  ResourceAnswer *answer;
  Slice key;   /* that is tried */
  Slice value; /* what was found, in the arena */
} MapSearch;

static void get(void *self) {
  MapSearch *search = self;
  ResourceAnswer *answer = search->answer;
  Slice value;
  AnswerState state =
      search->version->format->get(search->version->map, search->reader, search->key, &value, search->arena, &answer->reason);
  if (state == ANSWER_FOUND && value.length > LIMIT_MAP_VALUE) {
    answer->reason = "the file is damaged, or a value in it is too long";
    state = ANSWER_FAILED;
  }
  if (state == ANSWER_FOUND) {
    search->value = slice_copy(search->arena, value);
  }
  answer->state = state;
}

/* Found or failed: no further text is tried. */
static bool try_key(MapSearch *search, Slice key) {
  search->key = key;
  if (!map_guard_run(get, search)) {
    search->answer->state = ANSWER_FAILED;
    search->answer->reason = "the file is damaged, or became shorter";
  }
  return search->answer->state != ANSWER_NOT_FOUND;
}

static bool try_text(void *self, Slice text) {
  MapSearch *search = self;
  char *with_nul = arena_alloc_text(search->arena, text.length + 1);
  if (text.length) {
    memcpy(with_nul, text.data, text.length);
  }
  with_nul[text.length] = '\0';
  Slice key = slice_make(with_nul, text.length);
  if (!try_key(search, slice_make(with_nul, text.length + 1)) && !try_key(search, key)) {
    return false;
  }
  search->answer->entry = key;
  return true;
}

void map_file_find(const ResourceVersion *version, const Value *keys, Arena *arena, ResourceAnswer *answer) {
  MapSearch search = {.version = (const MapVersion *)version, .arena = arena, .answer = answer};
  *answer = (ResourceAnswer){.state = ANSWER_NOT_FOUND, .value = VALUE_NONE};
  if (!search.version->map) {
    return;
  }
  const MapFormat *format = search.version->format;
  if (!format->begin(search.version->map, &search.reader, arena, &answer->reason)) {
    answer->state = ANSWER_FAILED;
    return;
  }
  (void)map_key_each(&search.version->shape, &keys[0], arena, try_text, &search);
  if (answer->state == ANSWER_FOUND) {
    bool has_nul = search.value.length > 0 && search.value.data[search.value.length - 1] == '\0';
    map_value_read(&search.version->shape, slice_make(search.value.data, search.value.length - has_nul), arena, answer);
  }
  format->end(search.version->map, search.reader);
}
