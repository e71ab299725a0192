/*
 * socketmap.c: tables that a server of socket maps keeps: a program for an SQL server or LDAP, or one that serves other programs too.
 *
 * The server need not be there when the rules are read: what cannot be found out is the failure of a look-up.
 */
#include "common/lookup/kinds.h"
#include "common/lookup/map_key.h"
#include "common/lookup/map_question.h"
#include "common/lookup/socketmap_client.h"

extern const ResourceKind resource_kind_socketmap;

typedef struct SocketmapTable {
  Resource resource;
  KeysetShape shape;
  char *title;
  SocketmapClient *client;
} SocketmapTable;

/* The name of a map ends at the first blank of a request. */
static bool is_map_name(Slice text) {
  for (size_t i = 0; i < text.length; i++) {
    if (text.data[i] <= ' ' || text.data[i] > '~') {
      return false;
    }
  }
  return text.length > 0;
}

/* "inet:HOST:PORT:MAPNAME" or "unix:/PATH:MAPNAME", as in Postfix's socketmap_table(5). False: *problem says what is wrong, and there is nothing to clear. */
static bool read_spec(const char *text, PeerAddress *address, Slice *map, const char **problem) {
  static const Slice inet = SLICE_LITERAL("inet:"), local = SLICE_LITERAL("unix:");
  Slice spec = slice_from(text);
  ptrdiff_t colon = slice_find_last(spec, ':');
  Slice server = slice_make(text, colon < 0 ? 0 : (size_t)colon);
  bool is_inet = slice_starts_with(server, inet);
  *map = slice_from_offset(spec, (size_t)(colon + 1));
  *problem = "expected \"inet:HOST:PORT:MAPNAME\" or \"unix:/PATH:MAPNAME\"";
  if (!is_inet && !slice_starts_with(server, local)) {
    return false;
  }
  if (!is_map_name(*map)) {
    *problem = "behind the last colon stands the name of the map, without blanks";
    return false;
  }
  server = is_inet ? slice_from_offset(server, inet.length) : server;
  return !(is_inet && slice_starts_with(server, local)) && peer_address_parse(server, 0, address, problem);
}

static char *check(const ResourceSpec *spec) {
  PeerAddress address;
  Slice map;
  const char *problem;
  if (!read_spec(spec->text, &address, &map, &problem)) {
    return g_strdup(problem);
  }
  peer_address_clear(&address);
  if (spec->optional) {
    return g_strdup("a server is never optional: write `on error skip` for one that may be away");
  }
  return map_question_problem(&spec->shape);
}

static Resource *open_table(const ResourceSpec *spec, const ResourceContext *context, GError **error) {
  (void)context;
  PeerAddress address;
  Slice map;
  const char *ignored;
  g_autofree char *problem = check(spec);
  if (problem || !read_spec(spec->text, &address, &map, &ignored)) {
    g_set_error_literal(error, RESOURCE_ERROR, 0, problem);
    return NULL;
  }
  SocketmapTable *table = g_new0(SocketmapTable, 1);
  resource_init(&table->resource, spec);
  table->shape = spec->shape;
  table->title = g_strdup(spec->text);
  table->client = socketmap_client_new(table->title, &address, map, spec->shape.part_count);
  peer_address_clear(&address);
  return &table->resource;
}

static void close_table(Resource *resource) {
  SocketmapTable *table = (SocketmapTable *)resource;
  socketmap_client_close(table->client);
  g_free(table->title);
  g_free(table);
}

/* A tab stands between the parts of a key: one with a tab inside would look like two, and is not asked for. */
static Question *ask(Resource *resource, const Value *keys, Arena *arena) {
  const SocketmapTable *table = (const SocketmapTable *)resource;
  g_autoptr(Question) question = map_question_new(&socketmap_client_backend, table->client, table->title, &table->shape, keys, arena);
  bool unclear = question && table->shape.part_count > 1 && slice_find(map_question_texts(question), '\t') >= 0;
  return unclear ? NULL : g_steal_pointer(&question);
}

static void read_answer(Resource *resource, const Value *keys, const Answer *raw, Arena *arena, ResourceAnswer *answer) {
  (void)keys;
  map_question_read(&((const SocketmapTable *)resource)->shape, raw, arena, answer);
}

const ResourceKind resource_kind_socketmap = {
    .name = "socketmap",
    .sentence = "a server of socket maps (the protocol of Postfix and Sendmail), asked for the key; answers are kept for ten seconds",
    .synopsis = "from socketmap \"inet:HOST:PORT:MAPNAME\" or \"unix:/PATH:MAPNAME\"",
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
