/*
 * sqlite.c: tables in databases of SQLite: a query whose parameters are the key and whose first column of the first row is the value.
 */
#include "common/base/limits.h"
#include "common/lookup/kinds.h"
#include "common/lookup/map_key.h"
#include "common/lookup/sqlite_pool.h"

extern const ResourceKind resource_kind_sqlite;

typedef struct SqliteTable {
  Resource resource;
  KeysetShape shape;
  char *title; /* what questions begin with: file and query */
  SqlitePool *pool;
} SqliteTable;

/* Takes "DATABASE: QUERY" apart. */
static bool read_spec(const ResourceSpec *spec, Slice *database, Slice *query) {
  const char *separator = strstr(spec->text, ": ");
  *database = slice_make(spec->text, separator ? (size_t)(separator - spec->text) : 0);
  *query = slice_trim(slice_from(separator ? separator + 2 : ""));
  return separator != NULL && database->length > 0;
}

static bool begins_with_word(Slice query, Slice word) {
  return query.length > word.length && slice_equal_fold(slice_make(query.data, word.length), word) &&
         g_ascii_isspace(query.data[word.length]);
}

static char *check(const ResourceSpec *spec) {
  Slice database, query;
  if (!read_spec(spec, &database, &query)) {
    return g_strdup("expected \"DATABASE: select VALUE from ... where KEY = ?\"");
  }
  if (!begins_with_word(query, SLICE_LITERAL("select")) && !begins_with_word(query, SLICE_LITERAL("with"))) {
    return g_strdup("the query must be a select");
  }
  if (slice_find(query, '?') < 0) {
    return g_strdup("the query has no parameter: write ? where the key stands");
  }
  for (size_t i = 0; i < spec->shape.part_count; i++) {
    KeysetShape part = {.part_count = 1, .parts = {spec->shape.parts[i]}};
    const char *problem = map_key_problem(&part);
    if (problem) {
      return g_strdup(problem);
    }
  }
  return NULL;
}

static Resource *open_table(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  (void)context;
  Slice database, query;
  g_autofree char *problem = check(spec);
  if (problem) {
    g_set_error_literal(error, RESOURCE_ERROR, 0, problem);
    return NULL;
  }
  (void)read_spec(spec, &database, &query);
  g_autofree char *name = g_strndup(database.data, database.length);
  g_autofree char *select = g_strndup(query.data, query.length);
  ResourceSpec file = *spec;
  file.text = name;
  g_autofree char *path = resource_path(&file);
  SqlitePool *pool = sqlite_pool_new(path, select, &spec->shape, spec->optional, error);
  if (!pool) {
    return NULL;
  }
  SqliteTable *table = g_new0(SqliteTable, 1);
  resource_init(&table->resource, spec);
  table->shape = spec->shape;
  table->title = g_strdup_printf("%s: %s", path, select);
  table->pool = pool;
  return &table->resource;
}

static void close_table(Resource *resource) {
  SqliteTable *table = (SqliteTable *)resource;
  sqlite_pool_close(table->pool);
  g_free(table->title);
  g_free(table);
}

/* ---- questions ---- */

typedef struct Writing {
  GString *key;
  bool possible; /* a text with a NUL inside is in no database */
} Writing;

static bool add_text(void *self, Slice text) {
  Writing *writing = self;
  writing->possible &= slice_find(text, '\0') < 0;
  if (text.length) {
    g_string_append_len(writing->key, text.data, (gssize)text.length);
  }
  g_string_append_c(writing->key, '\0');
  return false;
}

/* The first of the texts that are tried, for a part of several. */
static bool add_first(void *self, Slice text) {
  (void)add_text(self, text);
  return true;
}

static void add_part(Writing *writing, ValueType type, const Value *key, Arena *arena, MapKeyVisit visit, bool exact) {
  KeysetShape shape = {.part_count = 1, .parts = {type}, .exact = exact};
  if (type == TYPE_STRING) {
    (void)add_first(writing, key->as.text); /* letter by letter */
  } else {
    (void)map_key_each(&shape, key, arena, visit, writing);
  }
}

static void show_key(GString *key, const KeysetShape *shape, const Value *keys, Arena *arena) {
  g_string_append(key, " [");
  for (size_t i = 0; i < shape->part_count; i++) {
    Slice text = slice_quote(arena, value_format(arena, &keys[i]), LIMIT_QUOTE);
    g_string_append_printf(key, "%s%.*s", i ? ", " : "", SLICE_ARGS(text));
  }
  g_string_append_c(key, ']');
  g_string_append_c(key, '\0');
}

static Question *ask(Resource *resource, const Value *keys, Arena *arena) {
  const SqliteTable *table = (const SqliteTable *)resource;
  const KeysetShape *shape = &table->shape;
  g_autoptr(GString) key = g_string_new(table->title);
  Writing writing = {key, true};
  show_key(key, shape, keys, arena);
  if (shape->part_count == 1) {
    add_part(&writing, shape->parts[0], &keys[0], arena, add_text, shape->exact);
  } else {
    for (size_t i = 0; i < shape->part_count; i++) {
      add_part(&writing, shape->parts[i], &keys[i], arena, add_first, true);
    }
  }
  return writing.possible
             ? question_new_for(&sqlite_pool_backend, table->pool, LOOKUP_AHEAD, slice_make(key->str, key->len), slice_from(table->title))
             : NULL;
}

static void read_answer(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  const SqliteTable *table = (const SqliteTable *)resource;
  (void)keys;
  *answer = (ResourceAnswer){.state = raw->state, .value = VALUE_NONE};
  if (raw->state == ANSWER_FAILED) {
    answer->reason = arena_printf(arena, "%s", raw->reason);
  }
  if (raw->state != ANSWER_FOUND) {
    return;
  }
  gsize length;
  const char *bytes = g_bytes_get_data(raw->payload, &length);
  bool found;
  Slice value;
  answer->entry = slice_copy(arena, slice_split(slice_make(bytes, length), '\0', &value, &found));
  map_value_read(&table->shape, value, arena, answer);
}

const ResourceKind resource_kind_sqlite = {
    .name = "sqlite",
    .sentence = "a database of SQLite: a row for the key, whose first column is the value; answers are kept for ten seconds",
    .synopsis = "from sqlite \"DATABASE: select VALUE from ... where KEY = ?\"",
    .lookup_class = LOOKUP_AHEAD,
    .on_error = ON_ERROR_TEMPFAIL,
    .is_table = true,
    .check = check,
    .open = open_table,
    .close = close_table,
    .ask = ask,
    .read = read_answer,
};
