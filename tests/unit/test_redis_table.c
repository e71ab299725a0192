/* test_redis_table.c: tables in Redis: specs that are refused, commands as they are sent, replies in all their forms, connections that break, and the end with questions under way. */
#include "tests/unit/table_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/lookup/redis_client.h"

static char *path;
static Scheduler *scheduler;

static void set_up(void) {
  table_set_up();
  path = path_of("redis.sock");
  scheduler = scheduler_new(NULL);
  ck_assert_ptr_nonnull(scheduler);
}

static void tear_down(void) {
  g_clear_pointer(&scheduler, scheduler_free);
  g_clear_pointer(&path, g_free);
  table_tear_down();
}

static ResourceSpec spec_of(const char *text, KeysetShape shape) {
  return table_spec("redis", text, shape);
}

/* ---- addresses of servers ---- */

static const struct {
  const char *text, *shown, *problem;
} addresses[] = {
    {"localhost", "localhost:6379", NULL},
    {"redis.example.org:7000", "redis.example.org:7000", NULL},
    {"192.0.2.1", "192.0.2.1:6379", NULL},
    {"192.0.2.1:65535", "192.0.2.1:65535", NULL},
    {"::1", "[::1]:6379", NULL},
    {"[2001:db8::1]", "[2001:db8::1]:6379", NULL},
    {"[2001:db8::1]:6380", "[2001:db8::1]:6380", NULL},
    {"unix:/run/redis/redis.sock", "unix:/run/redis/redis.sock", NULL},
    {"", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {":6379", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"host:", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"ho/st", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"[2001:db8::1", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"[192.0.2.1]:1", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"[::1]6379", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"[::1]:", NULL, "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH"},
    {"host:0", NULL, "the port is not a number of 1 to 65535"},
    {"host:65536", NULL, "the port is not a number of 1 to 65535"},
    {"host:http", NULL, "the port is not a number of 1 to 65535"},
    {"unix:", NULL, "the path of a unix socket begins with /"},
    {"unix:redis.sock", NULL, "the path of a unix socket begins with /"},
    {"unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678", NULL,
     "the path of the unix socket is too long"},
};

START_TEST(test_addresses) {
  PeerAddress address;
  const char *problem = NULL;
  bool good = peer_address_parse(slice_from(addresses[_i].text), 6379, &address, &problem);
  ck_assert_int_eq(good, addresses[_i].problem == NULL);
  if (!good) {
    ck_assert_str_eq(problem, addresses[_i].problem);
    return;
  }
  g_autofree char *shown = peer_address_format(&address);
  ck_assert_str_eq(shown, addresses[_i].shown);
  peer_address_clear(&address);
}
END_TEST

START_TEST(test_port_needed) {
  PeerAddress address;
  const char *problem;
  ck_assert(!peer_address_parse(SLICE_LITERAL("localhost"), 0, &address, &problem));
  ck_assert_str_eq(problem, "the port is missing");
}
END_TEST

/* ---- specs ---- */

#define FORM "expected \"SERVER: COMMAND ...\", such as \"localhost:6379: hget HASH ?\""
#define COMMANDS "the command must be get, hget, zscore, exists, sismember or hexists"

static const struct {
  const char *text, *problem;
  bool is_map;
  ValueType type;
} bad_specs[] = {
    {"localhost", FORM, true, TYPE_STRING},
    {": get ?", FORM, true, TYPE_STRING},
    {"local/host: get ?", "a server is HOST:PORT, [IPV6]:PORT or unix:/PATH", true, TYPE_STRING},
    {"localhost database=-1: get ?", "a database has a number of 0 to 65535", true, TYPE_STRING},
    {"localhost database=: get ?", "\"database=\" is none of database=N, user=NAME and password_file=PATH", true, TYPE_STRING},
    {"localhost password=x: get ?", "\"password=x\" is none of database=N, user=NAME and password_file=PATH", true, TYPE_STRING},
    {"localhost 3: get ?", "\"3\" is none of database=N, user=NAME and password_file=PATH", true, TYPE_STRING},
    {"localhost user=x: get ?", "a user needs a password: password_file=PATH", true, TYPE_STRING},
    {"localhost: ", COMMANDS, true, TYPE_STRING},
    {"localhost: flushall", COMMANDS, true, TYPE_STRING},
    {"localhost: get", "expected get KEY", true, TYPE_STRING},
    {"localhost: get a ?", "expected get KEY", true, TYPE_STRING},
    {"localhost: sismember ? ? ?", "expected sismember SET MEMBER", false, TYPE_STRING},
    {"localhost: get a", "the command has no parameter: write ? where the key stands", true, TYPE_STRING},
    {"localhost: hget ? ?", "the command has 2 parameters (?) and a key of the table 1 part", true, TYPE_STRING},
    {"localhost: exists ?", "exists brings no value; a table with values needs get, hget or zscore", true, TYPE_STRING},
    {"localhost: get ?", "a map has keys of net, ip, domain, address, string or int", true, TYPE_LIST},
};

START_TEST(test_bad_specs) {
  KeysetShape shape = bad_specs[_i].is_map ? map_of(bad_specs[_i].type, TYPE_STRING) : set_of(bad_specs[_i].type);
  ResourceSpec spec = spec_of(bad_specs[_i].text, shape);
  ResourceContext context = {0};
  g_autofree char *problem = spec.kind->check(&spec);
  ck_assert_str_eq(problem, bad_specs[_i].problem);
  g_autoptr(GError) error = NULL;
  ck_assert_ptr_null(spec.kind->open(&spec, &context, &error));
  ck_assert_str_eq(error->message, problem);
}
END_TEST

static const struct {
  const char *text, *title, *sent;
  size_t parts;
} specs[] = {
    {"localhost: get ?", "localhost:6379: get ?", "*2\r\n$3\r\nget\r\n$3\r\nK\r\n\r\n", 1},
    {"localhost database=2 user=u password_file=p:  GET  user:?  ", "localhost:6379 database=2: get user:?",
     "*2\r\n$3\r\nget\r\n$8\r\nuser:K\r\n\r\n", 1},
    {"unix:/s: hget quota <?>", "unix:/s: hget quota <?>", "*3\r\n$4\r\nhget\r\n$5\r\nquota\r\n$5\r\n<K\r\n>\r\n", 1},
    {"localhost: sismember deny:? ?", "localhost:6379: sismember deny:? ?", "*3\r\n$9\r\nsismember\r\n$8\r\ndeny:K\r\n\r\n$0\r\n\r\n", 2},
    {"localhost: exists ?/?", "localhost:6379: exists ?/?", "*2\r\n$6\r\nexists\r\n$4\r\nK\r\n/\r\n", 2},
};

/* What goes in for a ? stays one word, whatever it holds. */
START_TEST(test_commands) {
  KeysetShape shape = {.part_count = specs[_i].parts, .parts = {TYPE_STRING, TYPE_STRING}};
  Slice parts[] = {SLICE_LITERAL("K\r\n"), SLICE_EMPTY};
  RedisSpec spec;
  g_autofree char *problem = redis_spec_parse(specs[_i].text, &shape, &spec);
  ck_assert_msg(problem == NULL, "%s", problem);
  g_autofree char *title = redis_spec_title(&spec);
  ck_assert_str_eq(title, specs[_i].title);
  g_autoptr(GString) sent = g_string_new(NULL);
  redis_spec_append(&spec, parts, sent);
  ck_assert_str_eq(sent->str, specs[_i].sent);
  redis_spec_clear(&spec);
}
END_TEST

/* ---- a server with a script ---- */

/* What comes is `expected`, then `reply` is sent, and the connection is closed where it says so. */
typedef struct Exchange {
  const char *expected; /* NULL: the end of the script */
  const char *reply;
  bool hang_up, byte_by_byte;
} Exchange;

typedef struct FakeServer {
  int listening;
  const Exchange *script;
  GThread *thread;
  char *problem;
} FakeServer;

static bool expect(FakeServer *server, int client, const char *expected) {
  g_autofree char *text = g_strdup(expected);
  size_t length = strlen(expected), got = 0;
  while (got < length) {
    ssize_t count = read(client, text + got, length - got);
    if (count <= 0) {
      server->problem = g_strdup_printf("the connection ended in front of %s", expected);
      return false;
    }
    got += (size_t)count;
  }
  if (memcmp(text, expected, length) != 0) {
    server->problem = g_strdup_printf("got %s for %s", text, expected);
    return false;
  }
  return true;
}

/* As far as the client takes it. */
static void say(int client, const Exchange *exchange) {
  size_t length = strlen(exchange->reply), step = exchange->byte_by_byte ? 1 : length;
  for (size_t at = 0; at < length && send(client, exchange->reply + at, step, MSG_NOSIGNAL) > 0; at += step) {
  }
}

static gpointer serve(gpointer data) {
  FakeServer *server = data;
  int client = -1;
  for (const Exchange *exchange = server->script; exchange->expected; exchange++) {
    if (client < 0) {
      client = accept(server->listening, NULL, NULL);
    }
    if (!expect(server, client, exchange->expected)) {
      break;
    }
    say(client, exchange);
    if (exchange->hang_up) {
      (void)close(client);
      client = -1;
    }
  }
  char byte;
  while (client >= 0 && read(client, &byte, 1) > 0) {
  }
  if (client >= 0) {
    (void)close(client);
  }
  return NULL;
}

static void server_start(FakeServer *server, const Exchange *script) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  *server = (FakeServer){.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .script = script};
  ck_assert_int_eq(bind(server->listening, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(server->listening, 5), 0);
  server->thread = g_thread_new("server", serve, server);
}

/* When the client has gone. */
static void server_end(FakeServer *server) {
  (void)g_thread_join(server->thread);
  (void)close(server->listening);
  ck_assert_msg(server->problem == NULL, "%s", server->problem);
}

/* ---- asking it ---- */

static Resource *open_table(const char *options, const char *command, KeysetShape shape) {
  ResourceContext context = {.check_owners = true};
  g_autofree char *text = g_strdup_printf("unix:%s%s: %s", path, options, command);
  ResourceSpec spec = spec_of(text, shape);
  return open_spec(&spec, &context);
}

static const char *take(AnswerBox *box, Resource *resource) {
  g_autoptr(Answer) answer = wait_answer(box);
  if (!resource) {
    return arena_printf(arena, "failed: %s", answer->reason);
  }
  ResourceAnswer result;
  resource->kind->read(resource, NULL, answer, arena, &result);
  return shown(&result);
}

static void send_question(Resource *resource, ValueType type, const char *text, AnswerBox *box) {
  Value key = key_of(type, text);
  g_autoptr(Question) question = resource->kind->ask(resource, &key, arena);
  ck_assert_ptr_nonnull(question);
  scheduler_ask(scheduler, question, box);
}

static const char *ask(Resource *resource, ValueType type, const char *text) {
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  send_question(resource, type, text, box);
  return take(box, resource);
}

#define GET(length, key) "*2\r\n$3\r\nget\r\n$" length "\r\n" key "\r\n"
#define GET_A GET("1", "a")
#define EXISTS_A "*2\r\n$6\r\nexists\r\n$1\r\na\r\n"
#define BROKEN "failed: the server does not speak the protocol of Redis"

static const struct {
  const char *command, *sent, *reply, *answer;
  bool is_map;
} replies[] = {
    {"get ?", GET_A, "$3\r\n500\r\n", "a=500", true},
    {"get ?", GET_A, "$-1\r\n", "-", true},
    {"get ?", GET_A, "$0\r\n\r\n", "failed: the value of \"a\" is \"\": not a whole number", true},
    {"get ?", GET_A, "$4\r\nmany\r\n", "failed: the value of \"a\" is \"many\": not a whole number", true},
    {"get ?", GET_A, "$4\r\nmany\r\n", "a=", false},
    {"get ?", GET_A, "-WRONGTYPE Operation\t\x01\r\n", "failed: WRONGTYPE Operation??", true},
    {"get ?", GET_A, "-MOVED 3999 127.0.0.1:6381\r\n", "failed: MOVED 3999 127.0.0.1:6381", true},
    {"get ?", GET_A, "-LOADING Redis is loading the dataset in memory\r\n", "failed: LOADING Redis is loading the dataset in memory", true},
    {"get ?", GET_A, "-NOAUTH Authentication required.\r\n", "failed: NOAUTH Authentication required.", true},
    {"get ?", GET_A, ":1\r\n", "failed: the reply is none to the command", true},
    {"exists ?", EXISTS_A, ":1\r\n", "a=", false},
    {"exists ?", EXISTS_A, ":0\r\n", "-", false},
    {"exists ?", EXISTS_A, "$1\r\n1\r\n", "failed: the reply is none to the command", false},
    {"exists ?", EXISTS_A, "*1\r\n:1\r\n", "failed: the reply is too long or none to the command", false},
    {"exists ?", EXISTS_A, "*2147483647\r\n", "failed: the reply is too long or none to the command", false},
    {"exists ?", EXISTS_A, "HTTP/1.1 400 Bad Request\r\n", "failed: the reply is too long or none to the command", false},
    {"exists ?", EXISTS_A, ":one\r\n", BROKEN, false},
    {"get ?", GET_A, "$-2\r\n", BROKEN, true},
};

START_TEST(test_replies) {
  for (int byte_by_byte = 0; byte_by_byte < 2; byte_by_byte++) {
    const Exchange script[] = {{replies[_i].sent, replies[_i].reply, .byte_by_byte = byte_by_byte}, {0}};
    FakeServer server;
    server_start(&server, script);
    Resource *table = open_table("", replies[_i].command, replies[_i].is_map ? map_of(TYPE_STRING, TYPE_INT) : set_of(TYPE_STRING));
    ck_assert_str_eq(ask(table, TYPE_STRING, "a"), replies[_i].answer);
    resource_unref(table);
    server_end(&server);
    (void)g_remove(path);
  }
}
END_TEST

/* All texts of a key go out together, and the first in order that is there answers, whatever comes behind it. */
START_TEST(test_order) {
  static const char all[] = GET("11", "u@b.example") GET("10", "@b.example") GET("9", "b.example") GET("8", ".example") GET("2", "u@");
  static const char other[] = GET("11", "v@b.example") GET("10", "@b.example") GET("9", "b.example") GET("8", ".example") GET("2", "v@");
  static const char third[] = GET("11", "w@b.example") GET("10", "@b.example") GET("9", "b.example") GET("8", ".example") GET("2", "w@");
  const Exchange script[] = {
      {all, "$-1\r\n$3\r\none\r\n$3\r\ntwo\r\n-WRONGTYPE\r\n$-1\r\n", .byte_by_byte = true},
      {other, "$-1\r\n$-1\r\n-WRONGTYPE\r\n$3\r\ntwo\r\n$-1\r\n", false, false},
      {third, "$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n", false, false},
      {0},
  };
  FakeServer server;
  server_start(&server, script);
  Resource *table = open_table("", "get ?", map_of(TYPE_ADDRESS, TYPE_STRING));
  ck_assert_str_eq(ask(table, TYPE_ADDRESS, "U@B.example"), "@b.example=one");
  ck_assert_str_eq(ask(table, TYPE_ADDRESS, "v@b.example"), "failed: WRONGTYPE");
  ck_assert_str_eq(ask(table, TYPE_ADDRESS, "w@b.example"), "-");
  resource_unref(table);
  server_end(&server);
}
END_TEST

/* A connection that ends is made anew, and what was under way is asked again, but not twice. */
START_TEST(test_broken_connections) {
  const Exchange script[] = {
      {GET_A, "$1\r\n1\r\n", false, false}, {GET("1", "b"), "$1\r\n", .hang_up = true}, {GET("1", "b"), "$1\r\n2\r\n", false, false},
      {GET("1", "c"), "", .hang_up = true}, {GET("1", "c"), "", .hang_up = true},       {0},
  };
  FakeServer server;
  server_start(&server, script);
  Resource *table = open_table("", "get ?", map_of(TYPE_STRING, TYPE_INT));
  ck_assert_str_eq(ask(table, TYPE_STRING, "a"), "a=1");
  ck_assert_str_eq(ask(table, TYPE_STRING, "b"), "b=2");
  ck_assert_str_eq(ask(table, TYPE_STRING, "c"), "failed: the server closed the connection");
  resource_unref(table);
  server_end(&server);
}
END_TEST

static void write_password(const char *text, int mode) {
  g_autofree char *password = g_build_filename(folder, "password", NULL);
  ck_assert(g_file_set_contents(password, text, -1, NULL));
  ck_assert_int_eq(g_chmod(password, mode), 0);
}

#define AUTH_SELECT(length, password) "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$" length "\r\n" password "\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n"

/* The password goes out first, a reload brings another, and a refusal of it is told without what the server says: it may repeat what it was sent. */
START_TEST(test_password) {
  const Exchange script[] = {
      {AUTH_SELECT("6", "secret"), "+OK\r\n+OK\r\n", false, false},
      {GET_A, "$1\r\n1\r\n", .hang_up = true},
      {AUTH_SELECT("5", "other"), "-WRONGPASS not other\r\n", .hang_up = true},
      {AUTH_SELECT("5", "other"), "+OK\r\n-ERR DB index is out of range\r\n", .hang_up = true},
      {0},
  };
  const char *options = " user=u password_file=password database=7";
  FakeServer server;
  server_start(&server, script);
  write_password("secret\nnot this\n", 0600);
  Resource *table = open_table(options, "get ?", map_of(TYPE_STRING, TYPE_INT));
  ck_assert_str_eq(ask(table, TYPE_STRING, "a"), "a=1");
  write_password("other\n", 0600);
  ck_assert(table->kind->refresh(table, NULL));
  ck_assert_str_eq(ask(table, TYPE_STRING, "b"), "failed: the server refuses the password: WRONGPASS");
  resource_unref(table);
  table = open_table(options, "get ?", map_of(TYPE_STRING, TYPE_INT));
  ck_assert_str_eq(ask(table, TYPE_STRING, "c"), "failed: the server refuses the database: ERR");
  resource_unref(table);
  server_end(&server);
}
END_TEST

static const struct {
  const char *content, *problem;
  int mode;
} bad_passwords[] = {
    {NULL, "No such file or directory", 0},
    {"", "the first line is no password", 0600},
    {"\nsecret\n", "the first line is no password", 0600},
    {"secret", "the file of a password can be read by others (chmod o-r)", 0644},
    {"secret", "the file can be written by others (chmod go-w)", 0620},
};

START_TEST(test_bad_passwords) {
  ResourceContext context = {.check_owners = true};
  ResourceSpec spec = spec_of("localhost password_file=password: get ?", map_of(TYPE_STRING, TYPE_INT));
  g_autoptr(GError) error = NULL;
  if (bad_passwords[_i].content) {
    write_password(bad_passwords[_i].content, bad_passwords[_i].mode);
  }
  ck_assert_ptr_null(spec.kind->open(&spec, &context, &error));
  g_autofree char *expected = g_strdup_printf("%s/password: %s", folder, bad_passwords[_i].problem);
  ck_assert_str_eq(error->message, expected);
}
END_TEST

static char *told;

static void tell(const char *label, const char *text) {
  g_free(told);
  told = g_strdup_printf("%s: %s", label, text);
}

/* A server that is not there when the table is opened, or refuses what will be asked, is told of; one that answers is not. */
START_TEST(test_told_at_start) {
  static const struct {
    const char *reply, *told;
  } cases[] = {
      {"$-1\r\n", NULL},
      {"-WRONGTYPE no text\r\n", "WRONGTYPE no text; look-ups fail until it answers"},
      {"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required.; look-ups fail until it answers"},
      {NULL, "No such file or directory; look-ups fail until it answers"},
  };
  ResourceContext context = {.tell = tell};
  g_autofree char *text = g_strdup_printf("unix:%s: get user:?", path);
  ResourceSpec spec = spec_of(text, map_of(TYPE_STRING, TYPE_INT));
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const Exchange script[] = {{GET("5", "user:"), cases[i].reply, false, false}, {0}};
    FakeServer server;
    if (cases[i].reply) {
      server_start(&server, script);
    }
    g_clear_pointer(&told, g_free);
    g_autoptr(Resource) table = spec.kind->open(&spec, &context, NULL);
    ck_assert_ptr_nonnull(table);
    g_autofree char *expected = cases[i].told ? g_strdup_printf("redis %s: %s", text, cases[i].told) : NULL;
    ck_assert_pstr_eq(told, expected);
    if (cases[i].reply) {
      server_end(&server);
      (void)g_remove(path);
    }
  }
  g_clear_pointer(&told, g_free);
}
END_TEST

START_TEST(test_no_server) {
  g_autoptr(Resource) table = open_table("", "get ?", map_of(TYPE_STRING, TYPE_INT));
  ck_assert_str_eq(ask(table, TYPE_STRING, "a"), "failed: cannot connect: no such file or directory");
  ck_assert_str_eq(ask(table, TYPE_STRING, "b"), "failed: cannot connect: no such file or directory"); /* in the back-off */
}
END_TEST

/* The table is closed while questions are under way: all are answered. */
START_TEST(test_closed_under_way) {
  const Exchange script[] = {{GET("1", "0"), "", false, false}, {0}};
  FakeServer server;
  server_start(&server, script);
  Resource *table = open_table("", "get ?", map_of(TYPE_INT, TYPE_INT));
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  for (int i = 0; i < 5; i++) {
    send_question(table, TYPE_INT, arena_printf(arena, "%d", i), box);
  }
  resource_unref(table);
  for (int i = 0; i < 5; i++) {
    ck_assert_str_eq(take(box, NULL), "failed: the table was closed");
  }
  /* Nobody need be there: the questions may not have come as far as a connection. */
  (void)shutdown(server.listening, SHUT_RDWR);
  (void)g_thread_join(server.thread);
  (void)close(server.listening);
  g_free(server.problem);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, test_addresses, 0, (int)G_N_ELEMENTS(addresses));
  tcase_add_test(tests, test_port_needed);
  tcase_add_loop_test(tests, test_bad_specs, 0, (int)G_N_ELEMENTS(bad_specs));
  tcase_add_loop_test(tests, test_commands, 0, (int)G_N_ELEMENTS(specs));
  tcase_add_loop_test(tests, test_replies, 0, (int)G_N_ELEMENTS(replies));
  tcase_add_test(tests, test_order);
  tcase_add_test(tests, test_broken_connections);
  tcase_add_test(tests, test_password);
  tcase_add_loop_test(tests, test_bad_passwords, 0, (int)G_N_ELEMENTS(bad_passwords));
  tcase_add_test(tests, test_told_at_start);
  tcase_add_test(tests, test_no_server);
  tcase_add_test(tests, test_closed_under_way);
}

UNIT_MAIN("redis_table", add_tests)
