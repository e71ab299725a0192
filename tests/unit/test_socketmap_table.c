/* test_socketmap_table.c: tables of socket maps without a server: netstrings, replies, specs, the questions that are asked, and the ends of a table and of its scheduler. */
#include "tests/unit/table_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/netstring.h"
#include "common/lookup/map_question.h"
#include "common/lookup/socketmap_client_reply.h"

/* ---- netstrings and replies ---- */

START_TEST(test_netstring_is_made_and_read) {
  const Slice parts[] = {SLICE_LITERAL("map"), SLICE_LITERAL(" "), SLICE_EMPTY, SLICE_LITERAL("k\0y")};
  Slice bytes = netstring_make(arena, parts, G_N_ELEMENTS(parts));
  ck_assert(slice_equal(bytes, SLICE_LITERAL("7:map k\0y,")));
  ck_assert(slice_equal(netstring_make(arena, NULL, 0), SLICE_LITERAL("0:,")));
  Slice payload, excerpt;
  size_t used;
  const char *problem;
  ck_assert_int_eq(netstring_read(bytes, 7, &payload, &used, &problem, &excerpt), NETSTRING_WHOLE);
  ck_assert(slice_equal(payload, SLICE_LITERAL("map k\0y")));
  ck_assert_uint_eq(used, bytes.length);
  ck_assert_int_eq(netstring_read(bytes, 6, &payload, &used, &problem, &excerpt), NETSTRING_BAD);
  for (size_t have = 0; have < bytes.length; have++) {
    ck_assert_int_eq(netstring_read(slice_make(bytes.data, have), 7, &payload, &used, &problem, &excerpt), NETSTRING_MORE);
  }
}
END_TEST

static const struct {
  const char *bytes;
  SocketmapReplyParse result;
  AnswerState state;
  const char *text; /* the value or the reason */
} replies[] = {
    {"", SOCKETMAP_REPLY_MORE, ANSWER_FAILED, ""},
    {"5:OK ab", SOCKETMAP_REPLY_MORE, ANSWER_FAILED, ""},
    {"5:OK ab,", SOCKETMAP_REPLY_WHOLE, ANSWER_FOUND, "ab"},
    {"8:OK  a  b,", SOCKETMAP_REPLY_WHOLE, ANSWER_FOUND, " a  b"},
    {"3:OK ,", SOCKETMAP_REPLY_WHOLE, ANSWER_FOUND, ""},
    {"2:OK,", SOCKETMAP_REPLY_WHOLE, ANSWER_FOUND, ""},
    {"9:NOTFOUND ,", SOCKETMAP_REPLY_WHOLE, ANSWER_NOT_FOUND, ""},
    {"8:NOTFOUND,", SOCKETMAP_REPLY_WHOLE, ANSWER_NOT_FOUND, ""},
    {"9:TEMP down,", SOCKETMAP_REPLY_WHOLE, ANSWER_FAILED, "TEMP: down"},
    {"8:TIMEOUT ,", SOCKETMAP_REPLY_WHOLE, ANSWER_FAILED, "TIMEOUT"},
    {"9:PERM a\r\n\x80,", SOCKETMAP_REPLY_WHOLE, ANSWER_FAILED, "PERM: a\\r\\n\\x80"},
    {"4:ok a,", SOCKETMAP_REPLY_BAD, ANSWER_FAILED, "a reply that is none of OK, NOTFOUND, TEMP, TIMEOUT and PERM: ok a"},
    {"0:,", SOCKETMAP_REPLY_BAD, ANSWER_FAILED, "a reply that is none of OK, NOTFOUND, TEMP, TIMEOUT and PERM"},
    {"HTTP/1.1 400", SOCKETMAP_REPLY_BAD, ANSWER_FAILED, "no netstring: HTTP/1.1 400"},
    {"3:OK x", SOCKETMAP_REPLY_BAD, ANSWER_FAILED, "a netstring that does not end in a comma: x"},
    {"100001", SOCKETMAP_REPLY_BAD, ANSWER_FAILED, "a netstring that is too long: 100001"},
    {"100000:", SOCKETMAP_REPLY_MORE, ANSWER_FAILED, ""},
};

START_TEST(test_replies) {
  SocketmapReply reply;
  size_t used;
  ck_assert_int_eq(socketmap_reply_parse(slice_from(replies[_i].bytes), &reply, &used), replies[_i].result);
  ck_assert_int_eq(reply.state, replies[_i].state);
  Slice text = reply.state == ANSWER_FOUND ? reply.value : slice_from(reply.reason);
  ck_assert_msg(slice_equal(text, slice_from(replies[_i].text)), "%.*s", SLICE_ARGS(text));
  if (replies[_i].result == SOCKETMAP_REPLY_WHOLE) {
    ck_assert_uint_eq(used, strlen(replies[_i].bytes));
  }
}
END_TEST

START_TEST(test_long_reason_is_cut) {
  g_autoptr(GString) text = g_string_new("5005:TEMP ");
  for (int i = 0; i < 5000; i++) {
    g_string_append_c(text, '\x01');
  }
  g_string_append_c(text, ',');
  SocketmapReply reply;
  size_t used;
  ck_assert_int_eq(socketmap_reply_parse(slice_make(text->str, text->len), &reply, &used), SOCKETMAP_REPLY_WHOLE);
  ck_assert(g_str_has_prefix(reply.reason, "TEMP: \\x01\\x01"));
  ck_assert_uint_lt(strlen(reply.reason), 5 * (size_t)LIMIT_QUOTE);
}
END_TEST

/* ---- specs ---- */

static ResourceSpec spec_of(const char *text, KeysetShape shape) {
  return table_spec("socketmap", text, shape);
}

static const char form[] = "expected \"inet:HOST:PORT:MAPNAME\" or \"unix:/PATH:MAPNAME\"";
static const char name[] = "behind the last colon stands the name of the map, without blanks";
static const char long_path[] =
    "unix:/abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij:m";

static const struct {
  const char *text, *problem; /* NULL: good */
} specs[] = {
    {"inet:127.0.0.1:5000:users", NULL},
    {"inet:maps.example.org:5000:users", NULL},
    {"inet:[::1]:5000:users", NULL},
    {"unix:/run/maps:users", NULL},
    {"unix:/run/a:b:users", NULL},
    {"users", form},
    {"inet:users", form},
    {"tcp:127.0.0.1:5000:users", form},
    {"inet:unix:/run/maps:users", form},
    {"inet:127.0.0.1:5000:", name},
    {"inet:127.0.0.1:5000:a b", name},
    {"inet:127.0.0.1:users", "the port is missing"},
    {"inet:127.0.0.1:0:users", "the port is not a number of 1 to 65535"},
    {"inet:127.0.0.1:smtp:users", "the port is not a number of 1 to 65535"},
    {"inet:a b:25:users", "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"unix:run/maps:users", "the path of a unix socket begins with /"},
    {long_path, "the path of the unix socket is too long"},
};

START_TEST(test_specs) {
  ResourceSpec spec = spec_of(specs[_i].text, map_of(TYPE_STRING, TYPE_STRING));
  g_autofree char *problem = spec.kind->check(&spec);
  ck_assert_pstr_eq(problem, specs[_i].problem);
  g_autoptr(GError) error = NULL;
  g_autoptr(Resource) table = spec.kind->open(&spec, &(ResourceContext){0}, &error);
  ck_assert((table != NULL) == (specs[_i].problem == NULL));
  if (specs[_i].problem) {
    ck_assert_str_eq(error->message, specs[_i].problem);
  }
}
END_TEST

START_TEST(test_optional_and_types) {
  ResourceSpec spec = spec_of("unix:/run/maps:users", map_of(TYPE_LIST, TYPE_STRING));
  g_autofree char *type = spec.kind->check(&spec);
  ck_assert_str_eq(type, "a map has keys of net, ip, domain, address, string or int");
  spec = spec_of("unix:/run/maps:users", map_of(TYPE_STRING, TYPE_STRING));
  spec.optional = true;
  g_autofree char *optional = spec.kind->check(&spec);
  ck_assert_str_eq(optional, "a server is never optional: write `on error skip` for one that may be away");
}
END_TEST

/* ---- questions ---- */

/* The texts of a question, each with '|' behind it. */
static const char *texts_of(const KeysetShape *shape, const Value *keys) {
  ResourceSpec spec = spec_of("unix:/run/maps:users", *shape);
  g_autoptr(Resource) table = spec.kind->open(&spec, &(ResourceContext){0}, NULL);
  g_autoptr(Question) question = spec.kind->ask(table, keys, arena);
  if (!question) {
    return "never";
  }
  Slice texts = slice_copy(arena, map_question_texts(question));
  char *bytes = (char *)texts.data;
  for (size_t i = 0; i < texts.length; i++) {
    bytes[i] = bytes[i] == '\0' ? '|' : bytes[i];
  }
  return bytes;
}

START_TEST(test_keys) {
  static const struct {
    ValueType type;
    const char *key, *texts;
  } rows[] = {
      {TYPE_ADDRESS, "U+x@A.b.Example", "u+x@a.b.example|u@a.b.example|@a.b.example|a.b.example|.b.example|.example|u+x@|u@|"},
      {TYPE_DOMAIN, "A.Example", "a.example|.example|"},
      {TYPE_NET, "192.0.2.1", "192.0.2.1|192.0.2|192.0|192|"},
      {TYPE_IP, "2001:DB8::1", "2001:db8::1|"},
      {TYPE_STRING, "Two words", "Two words|"},
      {TYPE_INT, "25", "25|"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    KeysetShape shape = map_of(rows[i].type, TYPE_STRING);
    Value key = key_of(rows[i].type, rows[i].key);
    ck_assert_str_eq(texts_of(&shape, &key), rows[i].texts);
  }
  KeysetShape pair = {.part_count = 2, .parts = {TYPE_STRING, TYPE_ADDRESS}};
  Value keys[] = {key_of(TYPE_STRING, "A b"), key_of(TYPE_ADDRESS, "U@X.example")};
  ck_assert_str_eq(texts_of(&pair, keys), "A b|u@x.example|");
  keys[0] = value_text(SLICE_LITERAL("a\tb")); /* it would look like two parts */
  ck_assert_str_eq(texts_of(&pair, keys), "never");
  KeysetShape one = map_of(TYPE_STRING, TYPE_STRING);
  ck_assert_str_eq(texts_of(&one, keys), "a\tb|");
  keys[0] = value_text(SLICE_LITERAL("a\0b"));
  ck_assert_str_eq(texts_of(&one, keys), "never");
  /* in the order of the mail servers */
  KeysetShape foreign = map_of(TYPE_ADDRESS, TYPE_STRING);
  Value sender = key_of(TYPE_ADDRESS, "U@x.example");
  foreign.order = KEY_ORDER_POSTFIX;
  ck_assert_str_eq(texts_of(&foreign, &sender), "u@x.example|x.example|example|u@|");
  foreign.order = KEY_ORDER_SENDMAIL;
  foreign.tag = "from";
  ck_assert_str_eq(texts_of(&foreign, &sender), "from:u@x.example|u@x.example|from:u@|u@|from:x.example|x.example|from:example|example|");
  foreign.parts[0] = TYPE_STRING;
  keys[0] = value_text(SLICE_LITERAL("Ab"));
  ck_assert_str_eq(texts_of(&foreign, keys), "from:ab|ab|");
}
END_TEST

/* ---- ends ---- */

static const char *reason_of(AnswerBox *box) {
  g_autoptr(Answer) answer = wait_answer(box);
  ck_assert_int_eq(answer->state, ANSWER_FAILED);
  return arena_printf(arena, "%s", answer->reason);
}

static Question *ask(Resource *table, const char *text) {
  Value key = key_of(TYPE_STRING, text);
  return table->kind->ask(table, &key, arena);
}

START_TEST(test_nobody_there) {
  Scheduler *scheduler = scheduler_new(NULL);
  ResourceSpec spec = spec_of("unix:/nowhere/maps:users", map_of(TYPE_STRING, TYPE_STRING));
  Resource *table = spec.kind->open(&spec, &(ResourceContext){0}, NULL);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < 3; i++) { /* the second ones come while the server is left alone */
    g_autoptr(Question) question = ask(table, i == 0 ? "a" : i == 1 ? "b" : "c");
    scheduler_ask(scheduler, question, box);
    ck_assert_str_eq(reason_of(box), "unix:/nowhere/maps:users: cannot connect: no such file or directory");
  }
  resource_unref(table);
  scheduler_free(scheduler);
}
END_TEST

/* A socket that listens and never takes a connection: questions wait. */
static int silent_server(char **spec) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {g_htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  int server = socket(AF_INET, SOCK_STREAM, 0);
  ck_assert_int_eq(bind(server, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(server, 8), 0);
  ck_assert_int_eq(getsockname(server, (struct sockaddr *)&address, &length), 0);
  *spec = g_strdup_printf("inet:127.0.0.1:%u:users", g_ntohs(address.sin_port));
  return server;
}

/* The table is closed, or its scheduler stops, while questions are under way: all are answered. */
START_TEST(test_closed_under_way) {
  g_autofree char *text = NULL;
  int server = silent_server(&text);
  Scheduler *scheduler = scheduler_new(NULL);
  ResourceSpec spec = spec_of(text, map_of(TYPE_STRING, TYPE_STRING));
  Resource *table = spec.kind->open(&spec, &(ResourceContext){0}, NULL);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < 6; i++) {
    g_autofree char *key = g_strdup_printf("k%d", i);
    g_autoptr(Question) question = ask(table, key);
    scheduler_ask(scheduler, question, box);
  }
  g_autoptr(Question) late = ask(table, "late");
  bool scheduler_first = _i == 1;
  if (scheduler_first) {
    scheduler_free(scheduler);
  }
  resource_unref(table);
  g_autofree char *closed = g_strdup_printf("%s: the table was closed", text);
  g_autofree char *stopping = g_strdup_printf("%s: stopping", text);
  for (int i = 0; i < 6; i++) {
    const char *reason = reason_of(box);
    ck_assert_msg(scheduler_first ? g_str_equal(reason, stopping) || g_str_equal(reason, "stopping")
                                  : g_str_equal(reason, closed) || g_str_equal(reason, "the table was closed"),
                  "%s", reason);
  }
  if (!scheduler_first) { /* a question may outlive its table */
    scheduler_ask(scheduler, late, box);
    ck_assert_str_eq(reason_of(box), "the table was closed");
    scheduler_free(scheduler);
  }
  (void)close(server);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, table_set_up, table_tear_down);
  tcase_add_test(tests, test_netstring_is_made_and_read);
  tcase_add_loop_test(tests, test_replies, 0, (int)G_N_ELEMENTS(replies));
  tcase_add_test(tests, test_long_reason_is_cut);
  tcase_add_loop_test(tests, test_specs, 0, (int)G_N_ELEMENTS(specs));
  tcase_add_test(tests, test_optional_and_types);
  tcase_add_test(tests, test_keys);
  tcase_add_test(tests, test_nobody_there);
  tcase_add_loop_test(tests, test_closed_under_way, 0, 2);
}

UNIT_MAIN("socketmap_table", add_tests)
