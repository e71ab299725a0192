/*
 * sqlite.c: tables in databases of SQLite: a query whose parameters are the key and whose first column of the first row is the value.
 */
#include "common/lookup/kinds.h"
#include "common/lookup/map_key.h"
#include "common/lookup/map_question.h"
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
  return map_question_problem(&spec->shape);
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

static Question *ask(Resource *resource, const Value *keys, Arena *arena) {
  const SqliteTable *table = (const SqliteTable *)resource;
  return map_question_new(&sqlite_pool_backend, table->pool, table->title, &table->shape, keys, arena);
}

static void read_answer(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  (void)keys;
  map_question_read(&((const SqliteTable *)resource)->shape, raw, arena, answer);
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
    .tries = map_key_tries_exact,
    .ask = ask,
    .read = read_answer,
};
