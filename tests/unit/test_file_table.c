/* test_file_table.c: tables from files: what lines mean, what is refused and how that is told, owners, refreshing, and the plain source. */
#include "tests/unit/table_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/lookup/table_text.h"

static void write_table(const char *text) {
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  ck_assert(g_file_set_contents(path, text, -1, NULL));
  ck_assert_int_eq(g_chmod(path, 0644), 0);
}

static ResourceSpec spec_of(KeysetShape shape) {
  return table_spec("file", "table", shape);
}

static void collect(Slice entry, const Value *value, void *data) {
  GString *seen = data;
  g_string_append_printf(seen, "(%.*s)", SLICE_ARGS(entry));
  if (value) {
    g_string_append_printf(seen, "=(%.*s)", SLICE_ARGS(value_format(arena, value)));
  }
}

/* What a text reads as: "(entry)=(value)(entry)=(value)", then a line for each fault that is told and how many more there are. */
static char *read_as(KeysetShape shape, Slice text) {
  ResourceFaults faults;
  g_autoptr(Keyset) keyset = table_text_read(&shape, "t", text, &faults);
  g_autoptr(GString) seen = g_string_new("");
  keyset_each(keyset, collect, seen);
  for (size_t i = 0; i < faults.told_count; i++) {
    g_autofree char *told = resource_fault_text(&faults.told[i]);
    g_string_append_printf(seen, "%s%s", seen->len ? "\n" : "", told);
  }
  if (faults.count > faults.told_count) {
    g_string_append_printf(seen, "\n%zu more", faults.count - faults.told_count);
  }
  resource_faults_clear(&faults);
  return g_strdup(seen->str);
}

static const struct {
  ValueType key;
  const char *text, *read;
} sets[] = {
    {TYPE_NET, "", ""},
    {TYPE_NET, "\n\n  \n# a comment\n\t# another\n", ""},
    {TYPE_NET, "192.0.2.0/24\n2001:db8::/32\n", "(192.0.2.0/24)(2001:db8::/32)"},
    {TYPE_NET, "192.0.2.0/24", "(192.0.2.0/24)"},
    {TYPE_NET, " 192.0.2.0/24 \t# our office\r\n10.0.0.0/8\r\n", "(192.0.2.0/24)(10.0.0.0/8)"},
    {TYPE_NET,
     "\xEF\xBB\xBF"
     "192.0.2.1\n",
     "(192.0.2.1)"},
    {TYPE_IP, "192.0.2.1\n::1\n", "(192.0.2.1)(::1)"},
    {TYPE_DOMAIN, "example.org\n.example.org\n", "(example.org)(.example.org)"},
    {TYPE_ADDRESS, "<>\na@b.test\n@b.test\nroot@\n.c.test\n", "(<>)(a@b.test)(@b.test)(root@)(.c.test)"},
    {TYPE_ADDRESS, "\"odd local\"@b.test # note\n", "(\"odd local\"@b.test)"},
    {TYPE_ADDRESS, "\"a@b.test\"\n", "(a@b.test)"},
    {TYPE_STRING, "word\n\"two words\"\n\"a \\\"b\\\" \\\\ \\n \\x\"\n", "(word)(two words)(a \"b\" \\ \n \\x)"},
    {TYPE_STRING, "a#b\n\"#c\" #d\n", "(a#b)(#c)"},
    {TYPE_INT, "1\n-2\n", "(1)(-2)"},
    {TYPE_NET, "192.0.2\n10\n10.0.0\n300\n",
     "t:1: \"192.0.2\" is not an IP address or network; write 192.0.2.0/24\nt:2: \"10\" is not an IP address or network; write 10.0.0.0/8\n"
     "t:3: \"10.0.0\" is not an IP address or network; write 10.0.0.0/24\nt:4: \"300\" is not an IP address or network"},
    {TYPE_NET, "192.0.2.1/24\n", "t:1: \"192.0.2.1/24\": host bits are set; write 192.0.2.0/24"},
    {TYPE_DOMAIN, "a.test\n\n*.b.test # all\n",
     "(a.test)\nt:3: \"*.b.test\": '*' is not written in domains; a leading dot means any depth below; write .b.test"},
    {TYPE_DOMAIN, "a.test b.test\n", "t:1: \"b.test\": a set has one entry a line (quote an entry that holds blanks)"},
    {TYPE_STRING, "\"open\n", "t:1: \"\\\"open\": the quote is not closed"},
    {TYPE_STRING, "\"a\\\"\n", "t:1: \"\\\"a\\\\\\\"\": the quote is not closed"},
    {TYPE_INT, "1\nx\n2\ny\n", "(1)(2)\nt:2: \"x\" is not a whole number\nt:4: \"y\" is not a whole number"},
};

/* What postmap and makemap take; tests/real/test_maps.py holds the same against both. */
static const struct {
  KeyOrder order;
  const char *tag, *text, *read;
} entries[] = {
    {KEY_ORDER_POSTFIX, NULL, "# c\n\n192.0.2 REJECT a # b\n", "(192.0.2)=(REJECT a # b)"},
    {KEY_ORDER_POSTFIX, NULL, "Evil.Example\tREJECT\n  all of it\n# c\n\n\tof them\nb.test OK\r\n",
     "(evil.example)=(REJECT  all of it\tof them)(b.test)=(OK)"},
    {KEY_ORDER_POSTFIX, NULL, "\"odd local\"@b.test OK\na\\ b@b.test OK", "(\"odd local\"@b.test)=(OK)(a\\ b@b.test)=(OK)"},
    {KEY_ORDER_POSTFIX, NULL, "a x\na y\nnone\nb z\n",
     "(a)=(x)(b)=(z)\nt:3: the value is missing: a line of a map is a key, a blank and a value"},
    {KEY_ORDER_POSTFIX, NULL, "  a x\nb y\n", "(b)=(y)\nt:1: nothing stands before the line that this one continues"},
    {KEY_ORDER_POSTFIX, NULL, "IPv6:1 x\nTo:a y\n", "(ipv6:1)=(x)(to:a)=(y)"},
    {KEY_ORDER_SENDMAIL, "from", "From:A@b.test REJECT\nTo:a@b.test OK\nb.test\tOK # c\nConnect:IPv6:2001:DB8 OK\nIPv6:2001:DB8 x\n",
     "(from:a@b.test)=(REJECT)(b.test)=(OK # c)(ipv6:2001:db8)=(x)"},
    {KEY_ORDER_SENDMAIL, NULL, "From:a x\na y\n b z\n#c d\n", "(a)=(y)\nt:3: a line begins with a blank"},
    {KEY_ORDER_SENDMAIL, NULL, "\"a b\"@c d\nnone\n",
     "(\"a)=(b\"@c d)\nt:2: the value is missing: a line of a map is a key, a blank and a value"},
};

START_TEST(test_entries) {
  KeysetShape shape = map_of(TYPE_ADDRESS, TYPE_STRING);
  shape.order = entries[_i].order;
  shape.tag = entries[_i].tag;
  g_autofree char *read = read_as(shape, slice_from(entries[_i].text));
  ck_assert_str_eq(read, entries[_i].read);
}
END_TEST

/* A set takes the keys of an access map, whatever their values. */
START_TEST(test_entries_of_a_set) {
  KeysetShape shape = set_of(TYPE_ADDRESS);
  shape.order = KEY_ORDER_POSTFIX;
  g_autofree char *read = read_as(shape, SLICE_LITERAL("a@b REJECT\nc\n"));
  ck_assert_str_eq(read, "(a@b)(c)");
  g_autofree char *line = g_strnfill(LIMIT_TABLE_LINE - 10, 'x');
  g_autofree char *text = g_strdup_printf("%s y\n 12345678\nb\nc\377d x\n", line);
  g_autofree char *long_lines = read_as(shape, slice_from(text));
  ck_assert_str_eq(long_lines, "(b)(c\377d)\nt:1: the line is too long");
}
END_TEST

START_TEST(test_sets) {
  g_autofree char *read = read_as(set_of(sets[_i].key), slice_from(sets[_i].text));
  ck_assert_str_eq(read, sets[_i].read);
}
END_TEST

static const struct {
  ValueType key, value;
  const char *text, *read;
} maps[] = {
    {TYPE_STRING, TYPE_STRING, "k value to the end\n", "(k)=(value to the end)"},
    {TYPE_STRING, TYPE_STRING, "k  \t value  # note\n", "(k)=(value)"},
    {TYPE_STRING, TYPE_STRING, "k value#3\n", "(k)=(value#3)"},
    {TYPE_STRING, TYPE_STRING, "k \" quoted # \\\"x\\\" \" # note\n", "(k)=( quoted # \"x\" )"},
    {TYPE_STRING, TYPE_STRING, "k \"\"\n", "(k)=()"},
    {TYPE_STRING, TYPE_STRING, "\"two words\" v\r\n", "(two words)=(v)"},
    {TYPE_STRING, TYPE_STRING, "k first\nk second\n", "(k)=(first)"},
    {TYPE_ADDRESS, TYPE_INT, "a@b.test 42\n", "(a@b.test)=(42)"},
    {TYPE_ADDRESS, TYPE_ADDRESS, "a@b.test <C@D.test>\n", "(a@b.test)=(C@d.test)"},
    {TYPE_DOMAIN, TYPE_DOMAIN,
     "a.test B\xC3\x9C"
     "CHER.example\n",
     "(a.test)=(xn--bcher-kva.example)"},
    {TYPE_NET, TYPE_IP, "10.0.0.0/8 2001:DB8::1\n", "(10.0.0.0/8)=(2001:db8::1)"},
    {TYPE_IP, TYPE_NET, "10.0.0.1 192.0.2.0/24\n", "(10.0.0.1)=(192.0.2.0/24)"},
    {TYPE_STRING, TYPE_LIST, "k a, b ,c\n", "(k)=(a, b, c)"},
    {TYPE_STRING, TYPE_STRING, "k\n", "t:1: the value is missing: a line of a map is a key, a blank and a value"},
    {TYPE_STRING, TYPE_STRING, "k # v\n", "t:1: the value is missing: a line of a map is a key, a blank and a value"},
    {TYPE_STRING, TYPE_STRING, "k -> v\n", "t:1: \"-> v\": in a file key and value stand with a blank between them, without '->'"},
    {TYPE_STRING, TYPE_STRING, "k \"v\" w\n", "t:1: \"w\": something stands behind the quoted value"},
    {TYPE_STRING, TYPE_STRING, "k \"v\"#w\n", "t:1: \"#w\": something stands behind the quoted value"},
    {TYPE_STRING, TYPE_STRING, "k \"v\n", "t:1: \"\\\"v\": the quote is not closed"},
    {TYPE_INT, TYPE_INT, "k 1 # x\n", "t:1: \"k\" is not a whole number"},
    {TYPE_STRING, TYPE_INT, "k 1\nl many\n", "(k)=(1)\nt:2: \"many\" is not a whole number"},
};

START_TEST(test_maps) {
  g_autofree char *read = read_as(map_of(maps[_i].key, maps[_i].value), slice_from(maps[_i].text));
  ck_assert_str_eq(read, maps[_i].read);
}
END_TEST

START_TEST(test_action_map) {
  ResourceFaults faults;
  KeysetShape shape = map_of(TYPE_NET, TYPE_ACTION);
  Slice text = SLICE_LITERAL("10.0.0.0/8 550 5.7.1 go \"away\"\n10.1.0.0/16 OK\n192.0.2.1 REJECT\n");
  g_autoptr(Keyset) keyset = table_text_read(&shape, "t", text, &faults);
  ck_assert_uint_eq(faults.count, 0);
  Value key = {VALUE_SET, TYPE_IP, {.number = 0}}, value = VALUE_NONE;
  ck_assert(ip_parse(SLICE_LITERAL("10.9.9.9"), &key.as.ip) && keyset_find(keyset, &key, &value));
  ck_assert_int_eq(value.type, TYPE_ACTION);
  ck_assert_int_eq(value.as.action->word, ACTION_WORD_REJECT);
  ck_assert_int_eq(value.as.action->code, 550);
  ck_assert(slice_equal(value.as.action->text, SLICE_LITERAL("go \"away\"")));
  ck_assert(ip_parse(SLICE_LITERAL("10.1.0.1"), &key.as.ip) && keyset_find(keyset, &key, &value));
  ck_assert_int_eq(value.as.action->word, ACTION_WORD_PASS);
}
END_TEST

START_TEST(test_tuples) {
  KeysetShape shape = {.part_count = 2, .parts = {TYPE_ADDRESS, TYPE_ADDRESS}};
  g_autofree char *read = read_as(shape, SLICE_LITERAL("a@b.test\tc@d.test\n<>  \"e f\"@g.test # note\n"));
  ck_assert_str_eq(read, "(a@b.test, c@d.test)(<>, \"e f\"@g.test)");
  g_autofree char *missing = read_as(shape, SLICE_LITERAL("a@b.test # c@d.test\n"));
  ck_assert_str_eq(
      missing, "t:1: \"a@b.test # c@d.test\": a part of the key is missing: the parts of a tuple stand on one line with blanks between");
  shape.has_value = true;
  shape.value = TYPE_INT;
  g_autofree char *map = read_as(shape, SLICE_LITERAL("a@b.test c@d.test 7\n"));
  ck_assert_str_eq(map, "(a@b.test, c@d.test)=(7)");
}
END_TEST

START_TEST(test_bytes_and_limits) {
  g_autofree char *nul = read_as(set_of(TYPE_STRING), SLICE_LITERAL("good\nb\0d\n"));
  ck_assert_str_eq(nul, "(good)\nt:2: a NUL byte in the line");
  g_autoptr(GString) line = g_string_new("");
  for (int i = 0; i < LIMIT_TABLE_LINE; i++) {
    g_string_append_c(line, 'x');
  }
  g_autofree char *good = read_as(set_of(TYPE_STRING), slice_make(line->str, line->len));
  ck_assert_uint_eq(strlen(good), LIMIT_TABLE_LINE + 2);
  g_string_append_c(line, 'x');
  g_autofree char *bad = read_as(set_of(TYPE_STRING), slice_make(line->str, line->len));
  ck_assert_str_eq(bad, "t:1: the line is too long");
  g_autoptr(GString) many = g_string_new("");
  for (int i = 0; i < 25; i++) {
    g_string_append(many, "x\n");
  }
  g_autofree char *told = read_as(set_of(TYPE_INT), slice_make(many->str, many->len));
  ck_assert_ptr_nonnull(strstr(told, "\nt:5: "));
  ck_assert_ptr_null(strstr(told, "\nt:6: "));
  ck_assert(g_str_has_suffix(told, "\n20 more"));
}
END_TEST

static const ResourceContext careful_context = {.check_owners = true};

static Resource *open_table(const ResourceSpec *spec, const ResourceContext *context, char **message) {
  g_autoptr(GError) error = NULL;
  Resource *resource = spec->kind->open(spec, context, &error);
  ck_assert((resource == NULL) == (error != NULL));
  *message = error ? g_strdup(error->message) : NULL;
  return resource;
}

static bool has_number(Resource *resource, int64_t number) {
  ResourceVersion *version = resource_pin(resource);
  ResourceAnswer answer;
  Value key = value_int(number);
  resource->kind->find(version, &key, arena, &answer);
  resource_version_unref(version);
  ck_assert(answer.state != ANSWER_FAILED);
  return answer.state == ANSWER_FOUND;
}

START_TEST(test_open_and_refresh) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *message = NULL;
  write_table("1\n");
  g_autoptr(Resource) table = open_table(&spec, &careful_context, &message);
  ck_assert_msg(table != NULL, "%s", message ? message : "");
  ck_assert_str_eq(table->label, "file table");
  ck_assert(has_number(table, 1) && !has_number(table, 2));
  /* the same content keeps the version */
  ResourceVersion *before = resource_pin(table);
  write_table("1\n");
  ck_assert(table->kind->refresh(table, NULL));
  ck_assert_ptr_eq(table->version, before);
  /* a pinned version stays as it was */
  write_table("2\n");
  ck_assert(table->kind->refresh(table, NULL));
  ck_assert(!has_number(table, 1) && has_number(table, 2));
  ResourceAnswer answer;
  Value one = value_int(1);
  table->kind->find(before, &one, arena, &answer);
  ck_assert_int_eq(answer.state, ANSWER_FOUND);
  resource_version_unref(before);
  /* a bad line does not cost the rest */
  write_table("3\nx\n");
  ck_assert(table->kind->refresh(table, NULL));
  ck_assert(!has_number(table, 2) && has_number(table, 3));
  ResourceVersion *faulty = resource_pin(table);
  ck_assert_uint_eq(table->kind->size(faulty), 1);
  ck_assert_uint_eq(table->kind->faults(faulty)->count, 1);
  g_autofree char *fault = resource_fault_text(&table->kind->faults(faulty)->told[0]);
  ck_assert_msg(g_str_has_suffix(fault, "/table:2: \"x\" is not a whole number"), "%s", fault);
  resource_version_unref(faulty);
  /* what has no good line at all is no table, and is told each time */
  write_table("x\ny\n");
  for (int i = 0; i < 2; i++) {
    g_autoptr(GError) none = NULL;
    ck_assert(!table->kind->refresh(table, &none));
    ck_assert_msg(g_str_has_prefix(none->message, "no line of the file can be read: "), "%s", none->message);
    ck_assert(has_number(table, 3));
  }
  write_table("2\n");
  ck_assert(table->kind->refresh(table, NULL));
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  ck_assert_int_eq(g_remove(path), 0);
  g_autoptr(GError) error = NULL;
  ck_assert(!table->kind->refresh(table, &error));
  ck_assert(has_number(table, 2));
}
END_TEST

/* Watching: nothing is read before two looks in a row have seen the same. */
static ResourceNews look(Resource *table, int times) {
  ResourceNews news = RESOURCE_NEWS_NONE;
  for (int i = 0; i < times && news == RESOURCE_NEWS_NONE; i++) {
    g_autoptr(GError) error = NULL;
    news = table->kind->watch(table, &error);
    ck_assert((error != NULL) == (news == RESOURCE_NEWS_FAILED));
  }
  return news;
}

static void put_in_place(const char *text) {
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_watch) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *message = NULL;
  write_table("1\n");
  g_autoptr(Resource) table = open_table(&spec, &careful_context, &message);
  ResourceVersion *first = table->version;
  ck_assert_int_eq(look(table, 5), RESOURCE_NEWS_NONE);
  write_table("1\n2\n");
  ck_assert_int_eq(look(table, 1), RESOURCE_NEWS_NONE);
  ck_assert(!has_number(table, 2));
  put_in_place("1\n3\n33\n"); /* not at rest yet */
  ck_assert_int_eq(look(table, 1), RESOURCE_NEWS_NONE);
  ck_assert_int_eq(look(table, 1), RESOURCE_NEWS_CONTENT);
  ck_assert(has_number(table, 33) && !has_number(table, 2));
  ck_assert_ptr_ne(table->version, first);
  /* another file with the same content is no news */
  ResourceVersion *before = table->version;
  write_table("1\n3\n33\n");
  ck_assert_int_eq(look(table, 5), RESOURCE_NEWS_NONE);
  ck_assert_ptr_eq(table->version, before);
  /* a bad line does not cost the rest */
  put_in_place("4\nfour\n5\n");
  ck_assert_int_eq(look(table, 3), RESOURCE_NEWS_CONTENT);
  ck_assert(has_number(table, 4) && has_number(table, 5));
  ck_assert_uint_eq(table->kind->faults(table->version)->count, 1);
}
END_TEST

/* Never at rest: read in the end. */
START_TEST(test_watch_restless) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *message = NULL;
  g_autoptr(GString) text = g_string_new("1\n");
  write_table(text->str);
  g_autoptr(Resource) table = open_table(&spec, &careful_context, &message);
  ResourceNews news = RESOURCE_NEWS_NONE;
  int looks = 0;
  for (; looks < 20 && news == RESOURCE_NEWS_NONE; looks++) {
    g_string_append_printf(text, "%d\n", looks + 100);
    put_in_place(text->str);
    news = look(table, 1);
  }
  ck_assert_int_eq(news, RESOURCE_NEWS_CONTENT);
  ck_assert_int_gt(looks, 5);
  ck_assert(has_number(table, 100));
}
END_TEST

static void put_bad(int which, const char *path) {
  switch (which) {
    case 0:
      put_in_place("7\n8");
      return;
    case 1:
      put_in_place("");
      return;
    case 2:
      put_in_place("<html>\nnot found\n");
      return;
    case 3:
      ck_assert_int_eq(g_remove(path), 0);
      return;
    default:
      ck_assert_int_eq(g_chmod(path, 0666), 0);
      return;
  }
}

/* Half written, no table, not there, not ours alone: told once, and the old content stays. */
START_TEST(test_watch_bad) {
  static const char *const told[] = {"/table: the last line has no end, and had one: half written?",
                                     "/table: the file is empty, and was not: half written? (a comment line makes a table empty)",
                                     "/table:1: \"<html>\" is not a whole number", "/table: No such file or directory",
                                     "/table: the file can be written by others (chmod go-w)"};
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *message = NULL, *path = g_build_filename(folder, "table", NULL);
  write_table("7\n");
  g_autoptr(Resource) table = open_table(&spec, &careful_context, &message);
  ResourceVersion *before = table->version;
  ck_assert_int_eq(look(table, 3), RESOURCE_NEWS_NONE);
  put_bad(_i, path);
  g_autoptr(GError) error = NULL;
  ck_assert_int_eq(table->kind->watch(table, &error), RESOURCE_NEWS_NONE);
  ck_assert_int_eq(table->kind->watch(table, &error), RESOURCE_NEWS_FAILED);
  ck_assert_msg(g_str_has_suffix(error->message, told[_i]), "%s", error->message);
  ck_assert_int_eq(look(table, 5), RESOURCE_NEWS_NONE);
  ck_assert_ptr_eq(table->version, before);
  write_table("7\n");
  ck_assert_int_eq(look(table, 5), RESOURCE_NEWS_WELL);
  ck_assert_ptr_eq(table->version, before);
  write_table("# empty on purpose\n");
  ck_assert_int_eq(look(table, 5), RESOURCE_NEWS_CONTENT);
  ck_assert(!has_number(table, 7));
}
END_TEST

/* A file that never had an end of its last line goes on without; so does a link that is turned to another file. */
START_TEST(test_watch_habits) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *message = NULL, *path = g_build_filename(folder, "table", NULL), *other = g_build_filename(folder, "other", NULL);
  write_table("1\n2");
  g_autoptr(Resource) table = open_table(&spec, &careful_context, &message);
  put_in_place("1\n2\n3");
  ck_assert_int_eq(look(table, 3), RESOURCE_NEWS_CONTENT);
  ck_assert(has_number(table, 3));
  ck_assert(g_file_set_contents(other, "9\n", -1, NULL));
  ck_assert_int_eq(g_chmod(other, 0644), 0);
  ck_assert_int_eq(g_remove(path), 0);
  ck_assert_int_eq(symlink("other", path), 0);
  ck_assert_int_eq(look(table, 3), RESOURCE_NEWS_CONTENT);
  ck_assert(has_number(table, 9) && !has_number(table, 3));
}
END_TEST

START_TEST(test_missing_and_optional) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *message = NULL;
  ck_assert_ptr_null(open_table(&spec, &plain_context, &message));
  ck_assert_msg(g_str_has_suffix(message, "/table: No such file or directory"), "%s", message);
  g_clear_pointer(&message, g_free);
  spec.optional = true;
  g_autoptr(Resource) table = open_table(&spec, &plain_context, &message);
  ck_assert_ptr_nonnull(table);
  ck_assert(!has_number(table, 1));
  write_table("1\n");
  ck_assert(table->kind->refresh(table, NULL) && has_number(table, 1));
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  ck_assert_int_eq(g_remove(path), 0);
  ck_assert(table->kind->refresh(table, NULL) && !has_number(table, 1));
  ck_assert(table->kind->refresh(table, NULL) && !has_number(table, 1));
  write_table("1\n"); /* as it was before it went away */
  ck_assert(table->kind->refresh(table, NULL) && has_number(table, 1));
}
END_TEST

START_TEST(test_owners) {
  static const struct {
    mode_t mode;
    bool good;
  } cases[] = {{0600, true}, {0644, true}, {0664, false}, {0646, false}, {0666, false}};
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *message = NULL;
    write_table("1\n");
    ck_assert_int_eq(g_chmod(path, cases[i].mode), 0);
    g_autoptr(Resource) careful = open_table(&spec, &careful_context, &message);
    ck_assert_msg((careful != NULL) == cases[i].good, "%o", (unsigned)cases[i].mode);
    ck_assert(cases[i].good || strstr(message, "chmod go-w"));
    g_autofree char *ignored = NULL;
    g_autoptr(Resource) plain = open_table(&spec, &plain_context, &ignored);
    ck_assert_ptr_nonnull(plain);
  }
}
END_TEST

START_TEST(test_foreign_owner) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  g_autofree char *message = NULL;
  write_table("1\n");
  if (geteuid() != 0 || chown(path, 65534, (gid_t)-1) != 0) {
    return; /* only root can make a file of another user */
  }
  ck_assert_ptr_null(open_table(&spec, &careful_context, &message));
  ck_assert_ptr_nonnull(strstr(message, "belongs to another user"));
}
END_TEST

START_TEST(test_not_a_file) {
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autofree char *path = g_build_filename(folder, "table", NULL);
  g_autofree char *message = NULL, *again = NULL, *empty = NULL;
  ck_assert_int_eq(mkfifo(path, 0600), 0); /* would hold up a careless open */
  ck_assert_ptr_null(open_table(&spec, &plain_context, &message));
  ck_assert_ptr_nonnull(strstr(message, "not an ordinary file"));
  spec.text = ".";
  ck_assert_ptr_null(open_table(&spec, &plain_context, &again));
  ck_assert_ptr_nonnull(strstr(again, "not an ordinary file"));
  spec.text = "";
  ck_assert_ptr_null(open_table(&spec, &plain_context, &empty));
  ck_assert_str_eq(empty, "the name of the file is missing");
}
END_TEST

START_TEST(test_identity) {
  ResourceSpec one = spec_of(set_of(TYPE_INT)), two = one;
  g_autofree char *first = resource_identity(&one);
  two.name = "other";
  g_autofree char *dotted = g_build_filename(folder, ".", NULL);
  two.directory = dotted;
  g_autofree char *same = resource_identity(&two);
  ck_assert_str_eq(first, same);
  ResourceSpec others[] = {one, one, one, one, one, one, one, one, one};
  others[0].text = "table2";
  others[1].directory = "/elsewhere";
  others[2].optional = true;
  others[3].shape = set_of(TYPE_STRING);
  others[4].shape = map_of(TYPE_INT, TYPE_INT);
  others[5].shape.exact = true;
  others[6].codes = "";
  others[7].shape.order = KEY_ORDER_SENDMAIL;
  others[8].shape.tag = "from";
  for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
    g_autofree char *identity = resource_identity(&others[i]);
    ck_assert_str_ne(first, identity);
  }
}
END_TEST

START_TEST(test_plain_source) {
  ResourceSource *source = resource_source_plain_new(&plain_context);
  ResourceSpec spec = spec_of(set_of(TYPE_INT));
  g_autoptr(GError) error = NULL;
  ck_assert_ptr_eq(source->find_kind(source, SLICE_LITERAL("file")), spec.kind);
  ck_assert_ptr_null(source->find_kind(source, SLICE_LITERAL("File")));
  ck_assert(g_strv_contains((const char *const *)source->kind_names(source), "file"));
  ck_assert(!g_strv_contains((const char *const *)source->kind_names(source), "dnslist"));
  ck_assert_ptr_null(source->open(source, &spec, &error));
  ck_assert_ptr_nonnull(error);
  write_table("1\n");
  g_autoptr(Resource) one = source->open(source, &spec, NULL);
  g_autoptr(Resource) two = source->open(source, &spec, NULL);
  ck_assert_ptr_nonnull(one);
  ck_assert_ptr_eq(one, two);
  resource_source_plain_free(source);
  resource_source_plain_free(NULL);
  ck_assert(has_number(one, 1)); /* lives on */
  ck_assert_str_eq(error_behaviour_name(one->kind->on_error), "tempfail");
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, table_set_up, table_tear_down);
  tcase_add_loop_test(tests, test_sets, 0, G_N_ELEMENTS(sets));
  tcase_add_loop_test(tests, test_maps, 0, G_N_ELEMENTS(maps));
  tcase_add_loop_test(tests, test_entries, 0, G_N_ELEMENTS(entries));
  tcase_add_test(tests, test_entries_of_a_set);
  tcase_add_test(tests, test_action_map);
  tcase_add_test(tests, test_tuples);
  tcase_add_test(tests, test_bytes_and_limits);
  tcase_add_test(tests, test_open_and_refresh);
  tcase_add_test(tests, test_watch);
  tcase_add_test(tests, test_watch_restless);
  tcase_add_loop_test(tests, test_watch_bad, 0, 5);
  tcase_add_test(tests, test_watch_habits);
  tcase_add_test(tests, test_missing_and_optional);
  tcase_add_test(tests, test_owners);
  tcase_add_test(tests, test_foreign_owner);
  tcase_add_test(tests, test_not_a_file);
  tcase_add_test(tests, test_identity);
  tcase_add_test(tests, test_plain_source);
}

UNIT_MAIN("file_table", add_tests)
