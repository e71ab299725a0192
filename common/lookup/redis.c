/*
 * redis.c: tables in Redis and what speaks its protocol: a command with the key in it, whose reply is the value, or says whether the key is there.
 *
 * A server that does not answer when the table is opened is told of and nothing more: it may come back, as it may go later. The file of the password must be there, and
 * is read again at each reload.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/lookup/kinds.h"
#include "common/lookup/map_key.h"
#include "common/lookup/map_question.h"
#include "common/lookup/redis_client.h"
#include "common/lookup/table_file.h"

extern const ResourceKind resource_kind_redis;

typedef struct RedisTable {
  Resource resource;
  KeysetShape shape;
  char *title;         /* what questions begin with: server and command */
  char *password_path; /* NULL: none */
  bool check_owners;
  RedisClient *client;
} RedisTable;

static char *check(const ResourceSpec *spec) {
  RedisSpec parsed;
  char *problem = map_question_problem(&spec->shape);
  if (!problem && spec->optional) {
    problem = g_strdup("a table of a server cannot be optional: a server that does not answer is a failure");
  }
  if (!problem) {
    problem = redis_spec_parse(spec->text, &spec->shape, &parsed);
    if (!problem) {
      redis_spec_clear(&parsed);
    }
  }
  return problem;
}

/* ---- the password ---- */

static bool check_password_file(const char *path, int descriptor, bool check_owners, GError **error) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) {
    return table_file_fail(error, path, g_strerror(errno));
  }
  if (!table_file_check(path, &status, check_owners, error)) {
    return false;
  }
  if (status.st_mode & S_IROTH) {
    return table_file_fail(error, path, "the file of a password can be read by others (chmod o-r)");
  }
  return true;
}

/* The first line of the file; transfer full, or NULL with *error. */
static char *read_password_line(const char *path, int descriptor, GError **error) {
  char text[LIMIT_PASSWORD + 2];
  ssize_t length = read(descriptor, text, sizeof text - 1);
  if (length < 0) {
    (void)table_file_fail(error, path, g_strerror(errno));
    return NULL;
  }
  text[length] = '\0';
  size_t end = strcspn(text, "\r\n");
  char *password = end > 0 && end <= LIMIT_PASSWORD ? g_strndup(text, end) : NULL;
  if (!password) {
    (void)table_file_fail(error, path, end > 0 ? "the password is too long" : "the first line is no password");
  }
  explicit_bzero(text, sizeof text);
  return password;
}

/* True with *password NULL where there is no file. */
static bool read_password(const char *path, bool check_owners, char **password, GError **error) {
  *password = NULL;
  if (!path) {
    return true;
  }
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return table_file_fail(error, path, g_strerror(errno));
  }
  if (check_password_file(path, descriptor, check_owners, error)) {
    *password = read_password_line(path, descriptor, error);
  }
  (void)close(descriptor);
  return *password != NULL;
}

/* ---- the table ---- */

static char *password_path(const ResourceSpec *spec, const RedisSpec *parsed) {
  ResourceSpec file = *spec;
  file.text = parsed->password_file;
  return parsed->password_file ? resource_path(&file) : NULL;
}

static void probe(const RedisTable *table, const ResourceContext *context) {
  if (context->tell) {
    g_autofree char *problem = redis_client_probe(table->client);
    if (problem) {
      g_autofree char *text = g_strdup_printf("%s; look-ups fail until it answers", problem);
      context->tell(table->resource.label, text);
    }
  }
}

static Resource *open_table(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  RedisSpec parsed;
  g_autofree char *problem = check(spec);
  g_autofree char *password = NULL;
  if (problem || (problem = redis_spec_parse(spec->text, &spec->shape, &parsed))) {
    g_set_error_literal(error, RESOURCE_ERROR, 0, problem);
    return NULL;
  }
  g_autofree char *path = password_path(spec, &parsed);
  if (!read_password(path, context->check_owners, &password, error)) {
    redis_spec_clear(&parsed);
    return NULL;
  }
  RedisTable *table = g_new0(RedisTable, 1);
  resource_init(&table->resource, spec);
  table->shape = spec->shape;
  table->title = redis_spec_title(&parsed);
  table->password_path = g_steal_pointer(&path);
  table->check_owners = context->check_owners;
  table->client = redis_client_new(&parsed, &spec->shape, password);
  probe(table, context);
  return &table->resource;
}

static bool refresh(Resource *resource, GError **error) {
  RedisTable *table = (RedisTable *)resource;
  g_autofree char *password = NULL;
  if (!read_password(table->password_path, table->check_owners, &password, error)) {
    return false;
  }
  redis_client_set_password(table->client, password);
  return true;
}

static void close_table(Resource *resource) {
  RedisTable *table = (RedisTable *)resource;
  redis_client_close(table->client);
  g_free(table->title);
  g_free(table->password_path);
  g_free(table);
}

static Question *ask(Resource *resource, const Value *keys, Arena *arena) {
  const RedisTable *table = (const RedisTable *)resource;
  return map_question_new(&redis_client_backend, table->client, table->title, &table->shape, keys, arena);
}

static void read_answer(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  const RedisTable *table = (const RedisTable *)resource;
  (void)keys;
  map_question_read(&table->shape, raw, arena, answer);
}

const ResourceKind resource_kind_redis = {
    .name = "redis",
    .sentence = "a server of Redis or Valkey: a command with the key in it, that only reads; answers are kept for ten seconds",
    .synopsis = "from redis \"SERVER [database=N] [user=NAME] [password_file=PATH]: COMMAND ... ? ...\"",
    .lookup_class = LOOKUP_AHEAD,
    .on_error = ON_ERROR_TEMPFAIL,
    .is_table = true,
    .check = check,
    .open = open_table,
    .refresh = refresh,
    .close = close_table,
    .tries = map_key_tries_exact,
    .ask = ask,
    .read = read_answer,
};
