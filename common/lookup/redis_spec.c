/*
 * redis_spec.c: see redis_spec.h.
 */
#include "common/lookup/redis_spec.h"

#include <hiredis/hiredis.h>

enum { DEFAULT_PORT = 6379, DATABASE_MAX = 65535 };

/* All of them only read. */
static const RedisCommand commands[] = {
    {"get", 1, REDIS_REPLY_IS_VALUE, "get KEY"},
    {"hget", 2, REDIS_REPLY_IS_VALUE, "hget HASH FIELD"},
    {"zscore", 2, REDIS_REPLY_IS_VALUE, "zscore SORTED-SET MEMBER"},
    {"exists", 1, REDIS_REPLY_IS_COUNT, "exists KEY"},
    {"sismember", 2, REDIS_REPLY_IS_COUNT, "sismember SET MEMBER"},
    {"hexists", 2, REDIS_REPLY_IS_COUNT, "hexists HASH FIELD"},
};

static Slice next_word(Slice *text) {
  *text = slice_trim(*text);
  size_t length = 0;
  while (length < text->length && !g_ascii_isspace(text->data[length])) {
    length++;
  }
  Slice word = slice_make(text->data, length);
  *text = slice_from_offset(*text, length);
  return word;
}

static char *copy_of(Slice text) {
  return g_strndup(text.data, text.length);
}

/* ---- the server ---- */

/* NULL, or what is wrong (transfer full). */
static char *read_option(Slice word, RedisSpec *spec) {
  bool has_value;
  Slice value;
  Slice name = slice_split(word, '=', &value, &has_value);
  if (!has_value || value.length == 0) {
    return g_strdup_printf("\"%.*s\" is none of database=N, user=NAME and password_file=PATH", SLICE_ARGS(word));
  }
  if (slice_equal(name, SLICE_LITERAL("database"))) {
    bool good = slice_to_int(value, &spec->database) && spec->database >= 0 && spec->database <= DATABASE_MAX;
    return good ? NULL : g_strdup_printf("a database has a number of 0 to %d", DATABASE_MAX);
  }
  char **text = slice_equal(name, SLICE_LITERAL("user"))            ? &spec->user
                : slice_equal(name, SLICE_LITERAL("password_file")) ? &spec->password_file
                                                                    : NULL;
  if (!text) {
    return g_strdup_printf("\"%.*s\" is none of database=N, user=NAME and password_file=PATH", SLICE_ARGS(word));
  }
  g_free(*text);
  *text = copy_of(value);
  return NULL;
}

static char *read_server(Slice text, RedisSpec *spec) {
  const char *problem;
  if (!peer_address_parse(next_word(&text), DEFAULT_PORT, &spec->server, &problem)) {
    return g_strdup(problem);
  }
  for (Slice word = next_word(&text); word.length > 0; word = next_word(&text)) {
    char *wrong = read_option(word, spec);
    if (wrong) {
      return wrong;
    }
  }
  return spec->user && !spec->password_file ? g_strdup("a user needs a password: password_file=PATH") : NULL;
}

/* ---- the command ---- */

static const RedisCommand *find_command(Slice name) {
  for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
    if (slice_equal_fold(name, slice_from(commands[i].name))) {
      return &commands[i];
    }
  }
  return NULL;
}

static size_t count_parameters(Slice word) {
  size_t count = 0;
  for (size_t i = 0; i < word.length; i++) {
    count += word.data[i] == '?';
  }
  return count;
}

static char *check_meaning(const RedisSpec *spec, const KeysetShape *shape, size_t parameters) {
  if (parameters == 0) {
    return g_strdup("the command has no parameter: write ? where the key stands");
  }
  if (parameters != shape->part_count) {
    return g_strdup_printf("the command has %zu parameters (?) and a key of the table %zu %s", parameters, shape->part_count,
                           shape->part_count == 1 ? "part" : "parts");
  }
  if (shape->has_value && spec->command->form == REDIS_REPLY_IS_COUNT) {
    return g_strdup_printf("%s brings no value; a table with values needs get, hget or zscore", spec->command->name);
  }
  return NULL;
}

static char *read_command(Slice text, const KeysetShape *shape, RedisSpec *spec) {
  spec->command = find_command(next_word(&text));
  if (!spec->command) {
    return g_strdup("the command must be get, hget, zscore, exists, sismember or hexists");
  }
  size_t count = 0, parameters = 0;
  for (Slice word = next_word(&text); word.length > 0; word = next_word(&text)) {
    if (count < REDIS_WORDS_MAX) {
      spec->words[count] = copy_of(word);
    }
    parameters += count_parameters(word);
    count++;
  }
  if (count != spec->command->words) {
    return g_strdup_printf("expected %s", spec->command->synopsis);
  }
  return check_meaning(spec, shape, parameters);
}

char *redis_spec_parse(const char *text, const KeysetShape *shape, RedisSpec *spec) {
  *spec = (RedisSpec){0};
  const char *separator = strstr(text, ": ");
  if (!separator || separator == text) {
    return g_strdup("expected \"SERVER: COMMAND ...\", such as \"localhost:6379: hget HASH ?\"");
  }
  char *problem = read_server(slice_make(text, (size_t)(separator - text)), spec);
  if (!problem) {
    problem = read_command(slice_from(separator + 2), shape, spec);
  }
  if (problem) {
    redis_spec_clear(spec);
  }
  return problem;
}

void redis_spec_clear(RedisSpec *spec) {
  peer_address_clear(&spec->server);
  g_free(spec->user);
  g_free(spec->password_file);
  for (size_t i = 0; i < REDIS_WORDS_MAX; i++) {
    g_free(spec->words[i]);
  }
  *spec = (RedisSpec){0};
}

char *redis_spec_title(const RedisSpec *spec) {
  g_autofree char *server = peer_address_format(&spec->server);
  GString *title = g_string_new(server);
  if (spec->database) {
    g_string_append_printf(title, " database=%d", (int)spec->database);
  }
  g_string_append_printf(title, ": %s", spec->command->name);
  for (size_t i = 0; i < spec->command->words; i++) {
    g_string_append_printf(title, " %s", spec->words[i]);
  }
  return g_string_free(title, FALSE);
}

/* ---- commands of the protocol ---- */

void redis_append_command(GString *out, const Slice *words, size_t count) {
  const char *texts[REDIS_WORDS_MAX + 1];
  size_t lengths[REDIS_WORDS_MAX + 1];
  char *command = NULL;
  g_assert(count <= G_N_ELEMENTS(texts));
  for (size_t i = 0; i < count; i++) {
    texts[i] = words[i].length ? words[i].data : "";
    lengths[i] = words[i].length;
  }
  long long length = redisFormatCommandArgv(&command, (int)count, texts, lengths);
  if (length < 0) {
    g_error("out of memory");
  }
  g_string_append_len(out, command, (gssize)length);
  redisFreeCommand(command);
}

/* A word with the parts in the place of its parameters; *parts moves on behind those. */
static GString *fill_word(const char *word, const Slice **parts) {
  GString *filled = g_string_new(NULL);
  for (const char *at = word; *at; at++) {
    if (*at != '?') {
      g_string_append_c(filled, *at);
      continue;
    }
    if ((*parts)->length) {
      g_string_append_len(filled, (*parts)->data, (gssize)(*parts)->length);
    }
    (*parts)++;
  }
  return filled;
}

void redis_spec_append(const RedisSpec *spec, const Slice *parts, GString *out) {
  GString *filled[REDIS_WORDS_MAX];
  Slice words[REDIS_WORDS_MAX + 1] = {slice_from(spec->command->name)};
  for (size_t i = 0; i < spec->command->words; i++) {
    filled[i] = fill_word(spec->words[i], &parts);
    words[i + 1] = slice_make(filled[i]->str, filled[i]->len);
  }
  redis_append_command(out, words, spec->command->words + 1);
  for (size_t i = 0; i < spec->command->words; i++) {
    (void)g_string_free(filled[i], TRUE);
  }
}
