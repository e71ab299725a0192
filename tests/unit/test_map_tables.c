/* test_map_tables.c: Postfix's maps: which keys are tried, NULs at their ends, values that are wrong, locks, growth, replacement, damage. */
#include "config.h"

#include "tests/unit/table_fixture.h"

#include <cdb.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lookup/map_guard.h"
#include "common/lookup/map_key.h"

/* ---- building ---- */

/* Pairs of key and value, ending in NULL; `nul`: each with a NUL at its end. */
typedef struct Content {
  const char *const *pairs;
  size_t nul;
  size_t numbered; /* that many more: "key N" -> "value N" */
} Content;

static void put_lmdb(MDB_txn *transaction, MDB_dbi database, const char *key, const char *value, size_t nul) {
  MDB_val name = {strlen(key) + nul, (void *)key};
  MDB_val data = {strlen(value) + nul, (void *)value};
  ck_assert_int_eq(mdb_put(transaction, database, &name, &data, 0), 0);
}

static void write_lmdb_here(const char *path, const Content *content) {
  MDB_env *env;
  MDB_txn *transaction;
  MDB_dbi database;
  ck_assert_int_eq(mdb_env_create(&env), 0);
  ck_assert_int_eq(mdb_env_set_mapsize(env, (size_t)64 << 20), 0);
  ck_assert_int_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0644), 0);
  ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &transaction), 0);
  ck_assert_int_eq(mdb_dbi_open(transaction, NULL, 0, &database), 0);
  ck_assert_int_eq(mdb_drop(transaction, database, 0), 0);
  for (const char *const *pair = content->pairs; *pair; pair += 2) {
    put_lmdb(transaction, database, pair[0], pair[1], content->nul);
  }
  for (size_t i = 0; i < content->numbered; i++) {
    g_autofree char *key = g_strdup_printf("key %zu", i);
    g_autofree char *value = g_strdup_printf("value %zu", i);
    put_lmdb(transaction, database, key, value, content->nul);
  }
  ck_assert_int_eq(mdb_txn_commit(transaction), 0);
  mdb_env_close(env);
}

/* In a process of its own, as postmap is: a file must not be open twice in one. */
static void write_lmdb(const char *path, const Content *content) {
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    write_lmdb_here(path, content);
    _exit(0);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void write_cdb(const char *path, const Content *content) {
  struct cdb_make make;
  int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  ck_assert_int_ge(descriptor, 0);
  ck_assert_int_eq(cdb_make_start(&make, descriptor), 0);
  for (const char *const *pair = content->pairs; *pair; pair += 2) {
    ck_assert_int_eq(
        cdb_make_add(&make, pair[0], (unsigned)(strlen(pair[0]) + content->nul), pair[1], (unsigned)(strlen(pair[1]) + content->nul)), 0);
  }
  for (size_t i = 0; i < content->numbered; i++) {
    g_autofree char *key = g_strdup_printf("key %zu", i);
    g_autofree char *value = g_strdup_printf("value %zu", i);
    ck_assert_int_eq(cdb_make_add(&make, key, (unsigned)(strlen(key) + content->nul), value, (unsigned)(strlen(value) + content->nul)), 0);
  }
  ck_assert_int_eq(cdb_make_finish(&make), 0);
  ck_assert_int_eq(close(descriptor), 0);
}

static const struct MapKind {
  const char *kind, *file, *of_empty, *of_cut_off;
  void (*write)(const char *path, const Content *content);
} map_kinds[] = {{"lmdb", "map.lmdb", "the file is empty", "failed: the file became shorter", write_lmdb},
                 {"cdb", "map.cdb", "not a cdb database, or only a part of one", "failed: the file was written over", write_cdb}};

static void write_map(const struct MapKind *kind, const Content *content) {
  g_autofree char *path = path_of(kind->file);
  kind->write(path, content);
}

/* As postmap cdb: and those who are careful do it. */
static void replace_map(const struct MapKind *kind, const Content *content) {
  g_autofree char *path = path_of(kind->file);
  g_autofree char *other = path_of("new");
  kind->write(other, content);
  ck_assert_int_eq(g_rename(other, path), 0);
}

/* ---- asking ---- */

static ResourceSpec spec_of(const char *kind, KeysetShape shape) {
  return table_spec(kind, "map", shape);
}

static Resource *open_map(const char *kind, KeysetShape shape) {
  ResourceSpec spec = spec_of(kind, shape);
  return open_spec(&spec, &plain_context);
}

/* The message of an open that fails. */
static char *open_fails(const ResourceSpec *spec, const ResourceContext *context) {
  g_autoptr(GError) error = NULL;
  ck_assert_ptr_null(spec->kind->open(spec, context, &error));
  return g_strdup(error->message);
}

/* "ENTRY=VALUE", "-" when it is not there, "failed: REASON". */
static const char *ask(Resource *resource, ValueType type, const char *text) {
  ResourceAnswer answer;
  Value key = key_of(type, text);
  ResourceVersion *version = resource_pin(resource);
  resource->kind->find(version, &key, arena, &answer);
  resource_version_unref(version);
  return shown(&answer);
}

static bool collect(void *self, Slice text) {
  g_string_append_printf(self, "%s%.*s", ((GString *)self)->len ? " " : "", SLICE_ARGS(text));
  return false;
}

static const struct {
  ValueType type;
  bool exact;
  const char *key, *tried;
} orders[] = {
    {TYPE_NET, false, "192.0.2.1", "192.0.2.1 192.0.2 192.0 192"},
    {TYPE_NET, false, "2001:db8::1", "2001:db8::1 2001:db8: 2001:db8 2001"},
    {TYPE_NET, false, "::1", "::1 :"},
    {TYPE_IP, false, "192.0.2.1", "192.0.2.1"},
    {TYPE_IP, false, "2001:DB8:0::1", "2001:db8::1"},
    {TYPE_DOMAIN, false, "A.b.Example", "a.b.example .b.example .example"},
    {TYPE_ADDRESS, false, "User+Tag@Mail.Example",
     "user+tag@mail.example user@mail.example @mail.example mail.example .example user+tag@ user@"},
    {TYPE_ADDRESS, false, "user@mail.example", "user@mail.example @mail.example mail.example .example user@"},
    {TYPE_ADDRESS, false, "user+tag", "user+tag@ user@"},
    {TYPE_ADDRESS, false, "\"a b\"@c.example", "a b@c.example \"a b\"@c.example @c.example c.example .example a b@"},
    {TYPE_ADDRESS, false, "a@[192.0.2.1]", "a@[192.0.2.1] @[192.0.2.1] [192.0.2.1] a@"},
    {TYPE_ADDRESS, false, "<>", "<>"},
    {TYPE_ADDRESS, true, "User+Tag@Mail.Example", "user+tag@mail.example"},
    {TYPE_STRING, false, "Two Words", "Two Words two words"},
    {TYPE_STRING, false, "words", "words"},
    {TYPE_INT, false, "-25", "-25"},
};

START_TEST(test_order) {
  KeysetShape shape = {.part_count = 1, .parts = {orders[_i].type}, .exact = orders[_i].exact};
  Value key = key_of(orders[_i].type, orders[_i].key);
  g_autoptr(GString) tried = g_string_new("");
  ck_assert(!map_key_each(&shape, &key, arena, collect, tried));
  ck_assert_str_eq(tried->str, orders[_i].tried);
}
END_TEST

static const struct {
  KeyOrder order;
  const char *tag;
  ValueType type;
  const char *key, *tried;
} foreign_orders[] = {
    {KEY_ORDER_POSTFIX, NULL, TYPE_NET, "192.0.2.1", "192.0.2.1 192.0.2 192.0 192"},
    {KEY_ORDER_POSTFIX, NULL, TYPE_DOMAIN, "A.b.Example", "a.b.example b.example example"},
    {KEY_ORDER_POSTFIX, NULL, TYPE_DOMAIN, "[192.0.2.1]", "[192.0.2.1]"},
    {KEY_ORDER_POSTFIX, NULL, TYPE_ADDRESS, "User+Tag@Mail.Example",
     "user+tag@mail.example user@mail.example mail.example example user+tag@ user@"},
    {KEY_ORDER_POSTFIX, NULL, TYPE_ADDRESS, "<>", "<>"},
    {KEY_ORDER_POSTFIX, NULL, TYPE_ADDRESS, "\"a b\"@c.example", "a b@c.example \"a b\"@c.example c.example example a b@"},
    {KEY_ORDER_POSTFIX, NULL, TYPE_STRING, "Two", "Two two"},
    {KEY_ORDER_SENDMAIL, "connect", TYPE_NET, "192.0.2.1",
     "connect:192.0.2.1 192.0.2.1 connect:192.0.2 192.0.2 connect:192.0 192.0 connect:192 192"},
    {KEY_ORDER_SENDMAIL, NULL, TYPE_NET, "2001:db8::1",
     "ipv6:2001:db8:0:0:0:0:0:1 ipv6:2001:db8::1 ipv6:2001:db8:0:0:0:0:0 ipv6:2001:db8:0:0:0:0 ipv6:2001:db8:0:0:0 ipv6:2001:db8:0:0 "
     "ipv6:2001:db8:0 ipv6:2001:db8 ipv6:2001 ipv6"},
    {KEY_ORDER_SENDMAIL, "connect", TYPE_IP, "192.0.2.1", "connect:192.0.2.1 192.0.2.1"},
    {KEY_ORDER_SENDMAIL, "connect", TYPE_DOMAIN, "A.b.Example",
     "connect:a.b.example a.b.example connect:b.example b.example connect:example example"},
    {KEY_ORDER_SENDMAIL, NULL, TYPE_ADDRESS, "User+Tag@Mail.Example",
     "user+tag@mail.example user+*@mail.example user@mail.example user+tag@ user+*@ user@ mail.example example"},
    {KEY_ORDER_SENDMAIL, "from", TYPE_ADDRESS, "u@d", "from:u@d u@d from:u@ u@ from:d d"},
    {KEY_ORDER_SENDMAIL, "from", TYPE_ADDRESS, "<>", ""},
    {KEY_ORDER_SENDMAIL, "x", TYPE_STRING, "Ab", "x:ab ab"},
    {KEY_ORDER_SENDMAIL, "x", TYPE_INT, "7", "x:7 7"},
};

START_TEST(test_foreign_order) {
  KeysetShape shape = {
      .part_count = 1, .parts = {foreign_orders[_i].type}, .order = foreign_orders[_i].order, .tag = foreign_orders[_i].tag};
  Value key = key_of(foreign_orders[_i].type, foreign_orders[_i].key);
  g_autoptr(GString) tried = g_string_new("");
  ck_assert(!map_key_each(&shape, &key, arena, collect, tried));
  ck_assert_str_eq(tried->str, foreign_orders[_i].tried);
}
END_TEST

START_TEST(test_impossible_keys) {
  KeysetShape tuple = {.part_count = 2, .parts = {TYPE_ADDRESS, TYPE_ADDRESS}};
  KeysetShape list = {.part_count = 1, .parts = {TYPE_LIST}};
  for (size_t i = 0; i < G_N_ELEMENTS(map_kinds); i++) {
    ResourceSpec spec = spec_of(map_kinds[i].kind, tuple);
    g_autofree char *problem = spec.kind->check(&spec);
    ck_assert_str_eq(problem, "a map has one text for a key: keys of several parts are not possible");
    g_autofree char *message = open_fails(&spec, &plain_context);
    ck_assert_str_eq(message, problem);
    spec.shape = list;
    g_autofree char *other = spec.kind->check(&spec);
    ck_assert_str_eq(other, "a map has keys of net, ip, domain, address, string or int");
    spec.shape = map_of(TYPE_STRING, TYPE_STRING);
    spec.text = "";
    g_autofree char *nameless = spec.kind->check(&spec);
    ck_assert_str_eq(nameless, "the name of the file is missing");
  }
}
END_TEST

static const char *const access_pairs[] = {
    "192.0.2",         "REJECT no", "192.0.2.7", "OK", "2001:db8", "DUNNO", "@bulk.example", "REJECT bulk", ".evil.example",
    "450 4.7.1 later", "root@",     "HOLD",      "<>", "OK",       "bad",   "REJECTED",      NULL,
};

/* Both formats, with NULs and without. */
START_TEST(test_find) {
  Content content = {access_pairs, (size_t)_i & 1, 0};
  const struct MapKind *kind = &map_kinds[_i >> 1];
  write_map(kind, &content);
  g_autoptr(Resource) nets = open_map(kind->kind, map_of(TYPE_NET, TYPE_ACTION));
  ck_assert_str_eq(ask(nets, TYPE_NET, "192.0.2.1"), "192.0.2=REJECT no");
  ck_assert_str_eq(ask(nets, TYPE_NET, "192.0.2.7"), "192.0.2.7=OK");
  ck_assert_str_eq(ask(nets, TYPE_NET, "192.0.3.1"), "-");
  ck_assert_str_eq(ask(nets, TYPE_NET, "2001:db8:1::1"), "2001:db8=DUNNO");
  g_autoptr(Resource) addresses = open_map(kind->kind, map_of(TYPE_ADDRESS, TYPE_ACTION));
  ck_assert_str_eq(ask(addresses, TYPE_ADDRESS, "A@BULK.example"), "@bulk.example=REJECT bulk");
  ck_assert_str_eq(ask(addresses, TYPE_ADDRESS, "a@x.evil.example"), ".evil.example=450 4.7.1 later");
  ck_assert_str_eq(ask(addresses, TYPE_ADDRESS, "a@evil.example"), "-");
  ck_assert_str_eq(ask(addresses, TYPE_ADDRESS, "root+x@any.example"), "root@=HOLD");
  ck_assert_str_eq(ask(addresses, TYPE_ADDRESS, "<>"), "<>=OK");
  g_autoptr(Resource) strings = open_map(kind->kind, map_of(TYPE_STRING, TYPE_ACTION));
  ck_assert_str_eq(ask(strings, TYPE_STRING, "BAD"),
                   "failed: the value of \"bad\" is \"REJECTED\": not an action: expected REJECT, DEFER, 4NN or 5NN with a text, OK, "
                   "RELAY, DUNNO, DISCARD or HOLD");
  ck_assert_str_eq(ask(strings, TYPE_STRING, ""), "-");
  g_autofree char *long_key = g_strnfill(600, 'x'); /* longer than LMDB's keys can be */
  ck_assert_str_eq(ask(strings, TYPE_STRING, long_key), "-");
  /* without a type of values only the key counts */
  g_autoptr(Resource) set = open_map(kind->kind, (KeysetShape){.part_count = 1, .parts = {TYPE_STRING}});
  ck_assert_str_eq(ask(set, TYPE_STRING, "BAD"), "bad=");
}
END_TEST

static const char *const one[] = {"k", "one", NULL};
static const char *const two[] = {"k", "two", NULL};

START_TEST(test_replaced) {
  const struct MapKind *kind = &map_kinds[_i];
  write_map(kind, &(Content){one, 0, 0});
  g_autoptr(Resource) map = open_map(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  ResourceVersion *before = resource_pin(map);
  replace_map(kind, &(Content){two, 0, 0});
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  /* what a phase has pinned stays as it was */
  ResourceAnswer answer;
  Value key = key_of(TYPE_STRING, "k");
  map->kind->find(before, &key, arena, &answer);
  ck_assert_str_eq(slice_to_string(arena, answer.value.as.text), "one");
  resource_version_unref(before);
  /* gone, or no map at all: the old one stays */
  g_autofree char *path = path_of(kind->file);
  ck_assert_int_eq(g_remove(path), 0);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  g_autoptr(GError) error = NULL;
  ck_assert(!map->kind->refresh(map, &error));
  ck_assert(g_str_has_suffix(error->message, ": No such file or directory"));
  ck_assert(g_file_set_contents(path, "half a", -1, NULL));
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  g_autoptr(GError) second = NULL;
  ck_assert(!map->kind->refresh(map, &second));
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  replace_map(kind, &(Content){one, 0, 0});
  ck_assert(map->kind->refresh(map, NULL));
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
}
END_TEST

static unsigned told;

static void count_told(const char *label, const char *text) {
  ck_assert_ptr_nonnull(strstr(label, "map"));
  ck_assert_ptr_nonnull(text);
  told++;
}

/* A bad file is told of once, not at each look-up. */
START_TEST(test_told_once) {
  const struct MapKind *kind = &map_kinds[_i];
  g_autoptr(GError) error = NULL;
  ResourceSpec spec = spec_of(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  ResourceContext context = {.tell = count_told};
  told = 0;
  write_map(kind, &(Content){one, 0, 0});
  g_autoptr(Resource) map = spec.kind->open(&spec, &context, &error);
  ck_assert_ptr_nonnull(map);
  g_autofree char *path = path_of(kind->file);
  ck_assert(g_file_set_contents(path, "half a", -1, NULL));
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  ck_assert_uint_eq(told, 1);
  ck_assert_int_eq(g_remove(path), 0);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  ck_assert_uint_eq(told, 2);
  replace_map(kind, &(Content){two, 0, 0});
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  ck_assert_uint_eq(told, 2);
}
END_TEST

START_TEST(test_missing_and_optional) {
  const struct MapKind *kind = &map_kinds[_i];
  ResourceSpec spec = spec_of(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  g_autofree char *message = open_fails(&spec, &plain_context);
  g_autofree char *expected = g_strdup_printf("/%s: No such file or directory", kind->file);
  ck_assert_msg(g_str_has_suffix(message, expected), "%s", message);
  spec.optional = true;
  g_autoptr(Resource) map = spec.kind->open(&spec, &plain_context, NULL);
  ck_assert_ptr_nonnull(map);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "-");
  replace_map(kind, &(Content){one, 0, 0});
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  g_autofree char *path = path_of(kind->file);
  ck_assert_int_eq(g_remove(path), 0);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "-");
  ck_assert(map->kind->refresh(map, NULL));
  replace_map(kind, &(Content){two, 0, 0});
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
}
END_TEST

START_TEST(test_unusable) {
  const struct MapKind *kind = &map_kinds[_i];
  ResourceSpec spec = spec_of(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  g_autofree char *path = path_of(kind->file);
  g_autofree char *garbage = g_strnfill(20000, 'x');
  ck_assert(g_file_set_contents(path, "", 0, NULL));
  g_autofree char *empty = open_fails(&spec, &plain_context);
  ck_assert_msg(g_str_has_suffix(empty, kind->of_empty), "%s", empty);
  ck_assert(g_file_set_contents(path, garbage, -1, NULL));
  ResourceContext careful = {.check_owners = true};
  ck_assert_int_eq(g_chmod(path, 0666), 0);
  g_autofree char *open_to_all = open_fails(&spec, &careful);
  ck_assert_msg(g_str_has_suffix(open_to_all, "the file can be written by others (chmod go-w)"), "%s", open_to_all);
  ck_assert_int_eq(g_remove(path), 0);
  ck_assert_int_eq(g_mkdir(path, 0755), 0);
  g_autofree char *directory = open_fails(&spec, &plain_context);
  ck_assert_msg(g_str_has_suffix(directory, "not an ordinary file"), "%s", directory);
  ck_assert_int_eq(g_rmdir(path), 0);
}
END_TEST

/* Cut off under its name: a failure, and not the end of the process. */
START_TEST(test_cut_off) {
  const struct MapKind *kind = &map_kinds[_i];
  write_map(kind, &(Content){one, 0, 0});
  g_autoptr(Resource) map = open_map(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  g_autofree char *path = path_of(kind->file);
  ck_assert_int_eq(truncate(path, 100), 0);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), kind->of_cut_off);
}
END_TEST

/* Nor can it be seen beforehand: all is gone under a file of the same size and time. */
START_TEST(test_emptied) {
  const struct MapKind *kind = &map_kinds[_i];
  write_map(kind, &(Content){one, 0, 20000});
  g_autofree char *path = path_of(kind->file);
  struct stat status;
  ck_assert_int_eq(stat(path, &status), 0);
  g_autoptr(Resource) map = open_map(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  ck_assert_str_eq(ask(map, TYPE_STRING, "key 19999"), "key 19999=value 19999");
  /* a hole has the size and the time that the file had */
  ck_assert_int_eq(truncate(path, 0), 0);
  ck_assert_int_eq(truncate(path, status.st_size), 0);
  const struct timespec times[2] = {status.st_atim, status.st_mtim};
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
  const char *answer = ask(map, TYPE_STRING, "key 19999");
  ck_assert_msg(g_str_equal(answer, "-") || g_str_has_prefix(answer, "failed: "), "%s", answer);
}
END_TEST

static char *contents_of(const char *path, gsize *length) {
  char *bytes;
  ck_assert(g_file_get_contents(path, &bytes, length, NULL));
  return bytes;
}

/* The same file gets another content, from a place on. */
static void write_over(const char *path, const char *bytes, gsize length, gsize from) {
  int descriptor = open(path, O_WRONLY | O_CLOEXEC);
  ck_assert_int_ge(descriptor, 0);
  ck_assert_int_eq(pwrite(descriptor, bytes + from, length - from, (off_t)from), (ssize_t)(length - from));
  ck_assert_int_eq(close(descriptor), 0);
}

/* As cp does it. */
static void copy_over(const char *path, const char *bytes, gsize length, gsize from) {
  ck_assert(from > 0 || truncate(path, 0) == 0);
  write_over(path, bytes, length, from);
}

/* Slowly, and by a smaller one: what is half there is a failure, told once, and all of it counts. */
START_TEST(test_copied_over) {
  const struct MapKind *kind = &map_kinds[_i];
  ResourceSpec spec = spec_of(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  ResourceContext context = {.tell = count_told};
  gsize length;
  g_autofree char *path = path_of(kind->file);
  write_map(kind, &(Content){two, 0, 2000});
  g_autofree char *bytes = contents_of(path, &length);
  ck_assert_int_eq(g_remove(path), 0);
  write_map(kind, &(Content){one, 0, 20000});
  told = 0;
  g_autoptr(Resource) map = spec.kind->open(&spec, &context, NULL);
  ck_assert_ptr_nonnull(map);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  for (gsize part = 1; part < 10; part++) {
    copy_over(path, bytes, length * part / 10, part > 1 ? length * (part - 1) / 10 : 0);
    const char *answer = ask(map, TYPE_STRING, "k");
    ck_assert_msg(g_str_has_prefix(answer, "failed: "), "%s", answer);
  }
  ck_assert_uint_ge(told, 1);
  ck_assert_uint_le(told, 2);
  copy_over(path, bytes, length, length * 9 / 10);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  ck_assert_str_eq(ask(map, TYPE_STRING, "key 1999"), "key 1999=value 1999");
  ck_assert_str_eq(ask(map, TYPE_STRING, "key 2000"), "-");
}
END_TEST

/* For the leak sanitizer: a look-up that is left while LMDB begins its transaction loses that, as begin_guarded() in lmdb.c says. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
  return "leak:mdb_txn_begin";
}

enum { CUTS = 3000 };

typedef struct Cutting {
  const char *path, *bytes;
  gsize length;
  gint over; /* atomic */
} Cutting;

static gpointer cut_often(gpointer data) {
  Cutting *cutting = data;
  int descriptor = open(cutting->path, O_RDWR | O_CLOEXEC);
  ck_assert_int_ge(descriptor, 0);
  for (int i = 0; i < CUTS; i++) {
    ck_assert_int_eq(ftruncate(descriptor, 0), 0);
    ck_assert_int_eq(pwrite(descriptor, cutting->bytes, cutting->length, 0), (ssize_t)cutting->length);
  }
  ck_assert_int_eq(close(descriptor), 0);
  g_atomic_int_set(&cutting->over, 1);
  return NULL;
}

/* At any moment of opening and looking up. */
START_TEST(test_cut_off_meanwhile) {
  const struct MapKind *kind = &map_kinds[_i];
  g_autofree char *path = path_of(kind->file);
  Cutting cutting = {.path = path};
  write_map(kind, &(Content){one, 0, 300});
  g_autofree char *bytes = contents_of(path, &cutting.length);
  cutting.bytes = bytes;
  g_autoptr(Resource) map = open_map(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  GThread *thread = g_thread_new("cut", cut_often, &cutting);
  while (!g_atomic_int_get(&cutting.over)) {
    const char *answer = ask(map, TYPE_STRING, "key 299");
    ck_assert_msg(g_str_equal(answer, "key 299=value 299") || g_str_equal(answer, "-") || g_str_has_prefix(answer, "failed: "), "%s",
                  answer);
    arena_reset(arena);
  }
  g_thread_join(thread);
  ck_assert_str_eq(ask(map, TYPE_STRING, "key 299"), "key 299=value 299");
}
END_TEST

enum { DAMAGES = 300 };

/* Bytes of garbage, from a seed: whatever is answered, the process lives, before and after it opens the file anew. */
START_TEST(test_damage) {
  const struct MapKind *kind = &map_kinds[_i];
  gsize length;
  g_autofree char *path = path_of(kind->file);
  write_map(kind, &(Content){one, 0, 300});
  g_autofree char *good = contents_of(path, &length);
  g_autoptr(GRand) random = g_rand_new_with_seed(20261124);
  g_autoptr(Resource) map = open_map(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  unsigned failed = 0;
  for (int i = 0; i < DAMAGES; i++) {
    g_autofree char *bytes = g_memdup2(good, length);
    for (int spots = g_rand_int_range(random, 1, 40); spots > 0; spots--) {
      bytes[g_rand_int_range(random, 0, (gint32)length)] = (char)g_rand_int(random);
    }
    write_over(path, bytes, length, 0);
    for (int k = 0; k < 20; k++) {
      const char *key = arena_printf(arena, "key %d", g_rand_int_range(random, 0, 320));
      failed += g_str_has_prefix(ask(map, TYPE_STRING, key), "failed: ");
    }
    if (i % 10 == 0) {
      ResourceSpec spec = spec_of(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
      Resource *other = spec.kind->open(&spec, &plain_context, NULL);
      resource_unref(other);
    }
  }
  ck_assert_uint_gt(failed, 0);
  copy_over(path, good, length, 0);
  ck_assert_str_eq(ask(map, TYPE_STRING, "key 299"), "key 299=value 299");
}
END_TEST

/* ---- the guard ---- */

static void read_byte(void *self) {
  volatile const char *byte = self;
  (void)*byte;
}

static void leave(void *self) {
  (void)self;
  map_guard_leave();
  ck_abort_msg("not left");
}

static gpointer read_missing_page(gpointer data) {
  return GINT_TO_POINTER(map_guard_run(read_byte, data) ? 2 : 1);
}

/* In this thread and in one that has all signals blocked; outside of it a fault is what it always was. */
START_TEST(test_guard) {
  g_autofree char *path = path_of("page");
  ck_assert(g_file_set_contents(path, "x", 1, NULL));
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  char *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, descriptor, 0);
  ck_assert(page != MAP_FAILED);
  ck_assert(map_guard_run(read_byte, page));
  ck_assert_int_eq(ftruncate(descriptor, 0), 0);
  for (int i = 0; i < 3; i++) {
    ck_assert(!map_guard_run(read_byte, page));
  }
  sigset_t all, before;
  (void)sigfillset(&all);
  ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
  ck_assert_int_eq(GPOINTER_TO_INT(g_thread_join(g_thread_new("blocked", read_missing_page, page))), 1);
  ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  ck_assert(!map_guard_run(leave, NULL));
  map_guard_leave(); /* nothing to leave */
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    read_byte(page);
    _exit(0);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
  ck_assert_int_eq(munmap(page, 1), 0);
  ck_assert_int_eq(close(descriptor), 0);
}
END_TEST

START_TEST(test_lmdb_grows_in_place) {
  const struct MapKind *kind = &map_kinds[0];
  write_map(kind, &(Content){one, 0, 0});
  g_autoptr(Resource) map = open_map("lmdb", map_of(TYPE_STRING, TYPE_STRING));
  g_autoptr(Resource) other = open_map("lmdb", (KeysetShape){.part_count = 1, .parts = {TYPE_STRING}});
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  write_map(kind, &(Content){two, 1, 100000});
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=two");
  ck_assert_str_eq(ask(map, TYPE_STRING, "key 99999"), "key 99999=value 99999");
  ck_assert_str_eq(ask(other, TYPE_STRING, "key 99999"), "key 99999=");
}
END_TEST

/* Locks that a look-up takes and leaves; a writer that holds the file makes it fail. */
START_TEST(test_lmdb_locks) {
  const struct MapKind *kind = &map_kinds[0];
  write_map(kind, &(Content){one, 0, 0});
  g_autoptr(Resource) map = open_map("lmdb", map_of(TYPE_STRING, TYPE_STRING));
  g_autofree char *path = path_of(kind->file);
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  struct flock alone = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  ck_assert_int_eq(fcntl(descriptor, F_OFD_SETLK, &alone), 0); /* nothing is left from opening */
  for (int i = 0; i < 3; i++) {
    ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "failed: it is being written");
  }
  struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  ck_assert_int_eq(fcntl(descriptor, F_OFD_SETLK, &none), 0);
  ck_assert_str_eq(ask(map, TYPE_STRING, "k"), "k=one");
  ck_assert_int_eq(fcntl(descriptor, F_OFD_SETLK, &alone), 0); /* nothing is left from looking up */
  ck_assert_int_eq(close(descriptor), 0);
}
END_TEST

enum { THREADS = 4, ASKED = 8000 };

typedef struct Asking {
  Resource *map;
  gint asked; /* atomic */
} Asking;

static gpointer ask_often(gpointer data) {
  g_autoptr(Arena) own = arena_new(0);
  Asking *asking = data;
  Resource *map = asking->map;
  size_t found = 0;
  for (int i = 0; i < ASKED / THREADS; i++) {
    ResourceAnswer answer;
    Value key = value_text(SLICE_LITERAL("k"));
    ResourceVersion *version = resource_pin(map);
    map->kind->find(version, &key, own, &answer);
    resource_version_unref(version);
    found += answer.state == ANSWER_FOUND;
    arena_reset(own);
    g_atomic_int_inc(&asking->asked);
  }
  return GSIZE_TO_POINTER(found);
}

/* From many threads, while the file is replaced. */
START_TEST(test_threads) {
  const struct MapKind *kind = &map_kinds[_i];
  write_map(kind, &(Content){one, 0, 0});
  g_autoptr(Resource) map = open_map(kind->kind, map_of(TYPE_STRING, TYPE_STRING));
  /* Made before: a process that has threads should not fork. */
  char *made[20];
  for (size_t i = 0; i < G_N_ELEMENTS(made); i++) {
    g_autofree char *name = g_strdup_printf("made-%zu", i);
    made[i] = path_of(name);
    kind->write(made[i], &(Content){i & 1 ? one : two, 0, 0});
  }
  GThread *threads[THREADS];
  Asking asking = {.map = map};
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
    threads[i] = g_thread_new("ask", ask_often, &asking);
  }
  g_autofree char *path = path_of(kind->file);
  for (size_t i = 0; i < G_N_ELEMENTS(made); i++) {
    ck_assert_int_eq(g_rename(made[i], path), 0);
    g_free(made[i]);
    gint asked = g_atomic_int_get(&asking.asked); /* the next one comes when some have been asked of this one */
    while (g_atomic_int_get(&asking.asked) < ASKED && g_atomic_int_get(&asking.asked) < asked + 100) {
      g_thread_yield();
    }
  }
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
    ck_assert_uint_eq(GPOINTER_TO_SIZE(g_thread_join(threads[i])), ASKED / THREADS);
  }
}
END_TEST

static void add_tests(TCase *tests) {
  int kinds = (int)G_N_ELEMENTS(map_kinds);
  tcase_add_checked_fixture(tests, table_set_up, table_tear_down);
  tcase_add_loop_test(tests, test_order, 0, (int)G_N_ELEMENTS(orders));
  tcase_add_loop_test(tests, test_foreign_order, 0, (int)G_N_ELEMENTS(foreign_orders));
  tcase_add_test(tests, test_impossible_keys);
  tcase_add_loop_test(tests, test_find, 0, kinds * 2);
  tcase_add_loop_test(tests, test_replaced, 0, kinds);
  tcase_add_loop_test(tests, test_told_once, 0, kinds);
  tcase_add_loop_test(tests, test_missing_and_optional, 0, kinds);
  tcase_add_loop_test(tests, test_unusable, 0, kinds);
  tcase_add_loop_test(tests, test_cut_off, 0, kinds);
  tcase_add_loop_test(tests, test_emptied, 0, kinds);
  tcase_add_loop_test(tests, test_copied_over, 0, kinds);
  tcase_add_loop_test(tests, test_cut_off_meanwhile, 0, kinds);
  tcase_add_loop_test(tests, test_damage, 0, kinds);
  tcase_add_test(tests, test_guard);
  tcase_add_test(tests, test_lmdb_grows_in_place);
  tcase_add_test(tests, test_lmdb_locks);
  tcase_add_loop_test(tests, test_threads, 0, kinds);
}

UNIT_MAIN("map_tables", add_tests)
