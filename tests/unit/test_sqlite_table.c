/* test_sqlite_table.c: tables in SQLite: specs that are refused, keys that are tried, values, failures, replacement, and the end with a query under way. */
#include "tests/unit/table_fixture.h"

#include <sqlite3.h>

static char *path;
static Scheduler *scheduler;

static void set_up(void) {
  table_set_up();
  path = path_of("t.db");
  scheduler = scheduler_new(NULL);
  ck_assert_ptr_nonnull(scheduler);
}

static void tear_down(void) {
  g_clear_pointer(&scheduler, scheduler_free);
  g_clear_pointer(&path, g_free);
  table_tear_down();
}

static void run_sql(const char *file, const char *sql) {
  sqlite3 *database;
  ck_assert_int_eq(sqlite3_open(file, &database), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);
}

static const char content[] =
    "create table t (k text, n integer, v);"
    "insert into t values ('alice', 25, 500), ('@bulk.example', 26, 'REJECT bulk'), ('192.0.2', 27, 'OK'), ('<>', 28, NULL), "
    "('.b.example', 29, 'deep'),"
    "  ('a@b.example', 30, 'twice'), ('o''x', 31, 'quoted');";

static ResourceSpec spec_of(const char *text, KeysetShape shape) {
  return table_spec("sqlite", text, shape);
}

static Resource *open_table(const char *text, KeysetShape shape) {
  ResourceSpec spec = spec_of(text, shape);
  return open_spec(&spec, &plain_context);
}

static const char *take(AnswerBox *box, Resource *resource, const Value *keys) {
  g_autoptr(Answer) answer = wait_answer(box);
  if (!resource) {
    return arena_printf(arena, "failed: %s", answer->reason);
  }
  ResourceAnswer result;
  resource->kind->read(resource, keys, answer, arena, &result);
  return arena_printf(arena, "%s%s", shown(&result), answer->from_cache ? " (kept)" : "");
}

static const char *ask_keys(Resource *resource, const Value *keys) {
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  g_autoptr(Question) question = resource->kind->ask(resource, keys, arena);
  if (!question) {
    return "never";
  }
  scheduler_ask(scheduler, question, box);
  return take(box, resource, keys);
}

static const char *ask(Resource *resource, ValueType type, const char *text) {
  Value key = key_of(type, text);
  return ask_keys(resource, &key);
}

static const struct {
  const char *text, *problem;
  ValueType type;
} bad_specs[] = {
    {"t.db", "expected \"DATABASE: select VALUE from ... where KEY = ?\"", TYPE_STRING},
    {": select v from t where k = ?", "expected \"DATABASE: select VALUE from ... where KEY = ?\"", TYPE_STRING},
    {"t.db: delete from t where k = ?", "the query must be a select", TYPE_STRING},
    {"t.db: selected", "the query must be a select", TYPE_STRING},
    {"t.db: select v from t", "the query has no parameter: write ? where the key stands", TYPE_STRING},
    {"t.db: select v from t where k = ?", "a map has keys of net, ip, domain, address, string or int", TYPE_LIST},
};

START_TEST(test_bad_specs) {
  ResourceSpec spec = spec_of(bad_specs[_i].text, map_of(bad_specs[_i].type, TYPE_STRING));
  g_autofree char *problem = spec.kind->check(&spec);
  ck_assert_str_eq(problem, bad_specs[_i].problem);
  g_autoptr(GError) error = NULL;
  ck_assert_ptr_null(spec.kind->open(&spec, &plain_context, &error));
  ck_assert_str_eq(error->message, problem);
}
END_TEST

static const struct {
  const char *query, *problem;
} bad_queries[] = {
    {"select v from nowhere where k = ?", "no such table: nowhere"},
    {"select v from t where k = ? and n = ?", "the query has 2 parameters (?) and a key of the table 1 part"},
    {"select v from t where k = ?; select 1", "only one query is possible"},
    {"with x as (select ?) delete from t", "the query must be a select"},
    {"select v from t where k = ? or", "incomplete input"},
};

START_TEST(test_bad_queries) {
  run_sql(path, content);
  g_autofree char *text = g_strdup_printf("t.db: %s", bad_queries[_i].query);
  ResourceSpec spec = spec_of(text, map_of(TYPE_STRING, TYPE_STRING));
  g_autoptr(GError) error = NULL;
  ck_assert_ptr_null(spec.kind->open(&spec, &plain_context, &error));
  g_autofree char *expected = g_strdup_printf("%s: %s", path, bad_queries[_i].problem);
  ck_assert_str_eq(error->message, expected);
}
END_TEST

static const struct {
  ValueType key, value;
  const char *column, *text, *answer;
} finds[] = {
    {TYPE_STRING, TYPE_INT, "k", "alice", "alice=500"},
    {TYPE_STRING, TYPE_STRING, "k", "alice", "alice=500"},
    {TYPE_STRING, TYPE_INT, "k", "Alice", "-"},
    {TYPE_STRING, TYPE_STRING, "k", "o'x", "o'x=quoted"},
    {TYPE_STRING, TYPE_STRING, "k", "' or '1' = '1", "-"},
    {TYPE_STRING, TYPE_STRING, "k", "", "-"},
    {TYPE_STRING, TYPE_STRING, "k", "<>", "-"},
    {TYPE_INT, TYPE_STRING, "n", "25", "25=500"},
    {TYPE_INT, TYPE_STRING, "n", "24", "-"},
    {TYPE_ADDRESS, TYPE_ACTION, "k", "Any@BULK.example", "@bulk.example=REJECT bulk"},
    {TYPE_ADDRESS, TYPE_STRING, "k", "x@a.b.example", ".b.example=deep"},
    {TYPE_ADDRESS, TYPE_STRING, "k", "A+tag@B.example", "a@b.example=twice"},
    {TYPE_NET, TYPE_ACTION, "k", "192.0.2.1", "192.0.2=OK"},
    {TYPE_IP, TYPE_ACTION, "k", "192.0.2.1", "-"},
    {TYPE_DOMAIN, TYPE_STRING, "k", "c.b.example", ".b.example=deep"},
    {TYPE_STRING, TYPE_INT, "k", ".b.example", "failed: the value of \".b.example\" is \"deep\": not a whole number"},
};

START_TEST(test_find) {
  run_sql(path, content);
  g_autofree char *text = g_strdup_printf("t.db: SELECT v FROM t WHERE %s = ?;", finds[_i].column);
  g_autoptr(Resource) table = open_table(text, map_of(finds[_i].key, finds[_i].value));
  ck_assert_str_eq(ask(table, finds[_i].key, finds[_i].text), finds[_i].answer);
}
END_TEST

START_TEST(test_sets_tuples_and_kept_answers) {
  run_sql(path, content);
  g_autoptr(Resource) set = open_table("t.db: select v from t where k = ?", (KeysetShape){.part_count = 1, .parts = {TYPE_STRING}});
  ck_assert_str_eq(ask(set, TYPE_STRING, "<>"), "<>="); /* a row is enough */
  ck_assert_str_eq(ask(set, TYPE_STRING, "<>"), "<>= (kept)");
  ck_assert_str_eq(ask(set, TYPE_STRING, "none"), "-");
  ck_assert_str_eq(ask(set, TYPE_STRING, "none"), "- (kept)");
  KeysetShape shape = {.part_count = 2, .parts = {TYPE_ADDRESS, TYPE_INT}, .has_value = true, .value = TYPE_STRING};
  g_autoptr(Resource) tuples = open_table("t.db: select v from t where k = ? and n = ?", shape);
  Value keys[] = {key_of(TYPE_ADDRESS, "A@b.example"), value_int(30)};
  ck_assert_str_eq(ask_keys(tuples, keys), "a@b.example, 30=twice");
  keys[0] = key_of(TYPE_ADDRESS, "a+x@b.example"); /* parts compare whole */
  ck_assert_str_eq(ask_keys(tuples, keys), "-");
  Value nul = value_text(slice_make("a\0b", 3));
  ck_assert_str_eq(ask_keys(set, &nul), "never");
  ResourceSpec exact = spec_of("t.db: select v from t where k = ?", map_of(TYPE_ADDRESS, TYPE_STRING));
  exact.shape.exact = true;
  g_autoptr(Resource) whole = exact.kind->open(&exact, &plain_context, NULL);
  ck_assert_str_eq(ask(whole, TYPE_ADDRESS, "any@bulk.example"), "-");
}
END_TEST

START_TEST(test_missing_optional_and_replaced) {
  const char *text = "t.db: select v from t where k = ?";
  ResourceSpec spec = spec_of(text, map_of(TYPE_STRING, TYPE_STRING));
  g_autoptr(GError) error = NULL;
  ck_assert_ptr_null(spec.kind->open(&spec, &plain_context, &error));
  ck_assert(g_str_has_suffix(error->message, "/t.db: No such file or directory"));
  spec.optional = true;
  g_autoptr(Resource) table = spec.kind->open(&spec, &plain_context, NULL);
  ck_assert_ptr_nonnull(table);
  ck_assert_str_eq(ask(table, TYPE_STRING, "a"), "-");
  run_sql(path, "create table t (k, v); insert into t values ('a', 'one'), ('b', 'one')");
  ck_assert_str_eq(ask(table, TYPE_STRING, "a"), "a=one");
  g_autofree char *other = g_build_filename(folder, "new.db", NULL);
  run_sql(other, "create table t (k, v); insert into t values ('a', 'two'), ('b', 'two')");
  ck_assert_int_eq(g_rename(other, path), 0);
  ck_assert_str_eq(ask(table, TYPE_STRING, "b"), "b=two");
  ck_assert_str_eq(ask(table, TYPE_STRING, "a"), "a=one (kept)");
}
END_TEST

START_TEST(test_failures) {
  run_sql(path, content);
  g_autoptr(Resource) table = open_table("t.db: select v from t where k = ?", map_of(TYPE_STRING, TYPE_STRING));
  sqlite3 *writer;
  ck_assert_int_eq(sqlite3_open(path, &writer), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(writer, "begin exclusive", NULL, NULL, NULL), SQLITE_OK);
  g_autofree char *locked = g_strdup_printf("failed: %s: database is locked", path);
  ck_assert_str_eq(ask(table, TYPE_STRING, "alice"), locked);
  ck_assert_int_eq(sqlite3_exec(writer, "rollback", NULL, NULL, NULL), SQLITE_OK);
  g_autofree char *still = g_strconcat(locked, " (kept)", NULL);
  ck_assert_str_eq(ask(table, TYPE_STRING, "alice"), still);
  ck_assert_str_eq(ask(table, TYPE_STRING, "o'x"), "o'x=quoted");
  ck_assert_int_eq(sqlite3_exec(writer, "drop table t", NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_close(writer), SQLITE_OK);
  ck_assert(g_str_has_suffix(ask(table, TYPE_STRING, "x"), "no such table: t"));
  /* no database at all */
  ck_assert(g_file_set_contents(
      path, "this is a text and not a database; it is long enough to have a header ........................................", -1, NULL));
  g_autofree char *expected = g_strdup_printf("failed: %s: file is not a database", path);
  ck_assert_str_eq(ask(table, TYPE_STRING, "y"), expected);
}
END_TEST

/* The table is closed while queries that would never end are under way and others wait: all are answered. */
START_TEST(test_closed_under_way) {
  run_sql(path, content);
  Resource *table =
      open_table("t.db: with recursive r(n) as (select 1 union all select n + 1 from r) select n from r where n < 0 and n = ?",
                 map_of(TYPE_INT, TYPE_INT));
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < 5; i++) {
    Value key = value_int(i);
    g_autoptr(Question) question = table->kind->ask(table, &key, arena);
    scheduler_ask(scheduler, question, box);
  }
  resource_unref(table);
  for (int i = 0; i < 5; i++) {
    const char *answer = take(box, NULL, NULL);
    ck_assert_msg(g_str_equal(answer, "failed: the query takes too long") || g_str_equal(answer, "failed: the table was closed"), "%s",
                  answer);
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, test_bad_specs, 0, (int)G_N_ELEMENTS(bad_specs));
  tcase_add_loop_test(tests, test_bad_queries, 0, (int)G_N_ELEMENTS(bad_queries));
  tcase_add_loop_test(tests, test_find, 0, (int)G_N_ELEMENTS(finds));
  tcase_add_test(tests, test_sets_tuples_and_kept_answers);
  tcase_add_test(tests, test_missing_optional_and_replaced);
  tcase_add_test(tests, test_failures);
  tcase_add_test(tests, test_closed_under_way);
}

UNIT_MAIN("sqlite_table", add_tests)
