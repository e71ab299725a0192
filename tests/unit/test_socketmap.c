/* test_socketmap.c: requests of socket maps, however they are cut; what becomes of what a stranger says in them; the answers. */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/socketmap.h"
#include "common/lookup/kinds.h"
#include "tests/unit/unit.h"

#define FIELDS "client_address= 192.0.2.1<>client_port= 2525<>client_name= mail.client.example<>"
#define MARK "\x9b"

static SocketmapParse parse(Arena *arena, const char *bytes, size_t length, SocketmapRequest *request, size_t *used, const char **problem) {
  Slice excerpt = SLICE_EMPTY;
  *problem = NULL;
  SocketmapParse result = socketmap_parse(slice_copy(arena, slice_make(bytes, length)), request, used, problem, &excerpt);
  ck_assert_int_eq(result == SOCKETMAP_PARSE_MALFORMED, *problem != NULL);
  return result;
}

static Slice netstring_of(Arena *arena, const char *name, const char *key) {
  return slice_from(arena_printf(arena, "%zu:%s %s,", strlen(name) + 1 + strlen(key), name, key));
}

static SocketmapRequest request_of(Arena *arena, const char *name, const char *key) {
  SocketmapRequest request;
  size_t used;
  const char *problem;
  Slice bytes = netstring_of(arena, name, key);
  Slice copy = slice_copy(arena, bytes);
  Slice excerpt;
  ck_assert_int_eq(socketmap_parse(copy, &request, &used, &problem, &excerpt), SOCKETMAP_PARSE_REQUEST);
  ck_assert_uint_eq(used, bytes.length);
  return request;
}

/* ---- netstrings ---- */

START_TEST(test_any_cut) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice bytes = netstring_of(arena, "mailreeve_vrfy", FIELDS "argument= alice");
  SocketmapRequest request;
  size_t used;
  const char *problem;
  for (size_t length = 0; length < bytes.length; length++) {
    ck_assert_int_eq(parse(arena, bytes.data, length, &request, &used, &problem), SOCKETMAP_PARSE_MORE);
  }
  const char *two = arena_printf(arena, "%.*s%.*s", SLICE_ARGS(bytes), SLICE_ARGS(bytes));
  ck_assert_int_eq(parse(arena, two, 2 * bytes.length, &request, &used, &problem), SOCKETMAP_PARSE_REQUEST);
  ck_assert_uint_eq(used, bytes.length);
}
END_TEST

static const struct {
  const char *bytes;
  const char *problem;
} bad[] = {
    {"x", "no netstring"},
    {":x,", "no netstring"},
    {"-1:x,", "no netstring"},
    {" 1:x,", "no netstring"},
    {"1;x,", "no netstring"},
    {"01:x,", "a length that begins with 0"},
    {"4097:", "a netstring that is too long"},
    {"99999999999999999999999999", "a netstring that is too long"},
    {"3:abcd", "a netstring that does not end in a comma"},
    {"14:mailreeve_vrfy,", "a field without \"=\""},
    {"24:mailreeve_vrfy argument,", NULL}, /* its length is wrong */
    {"23:mailreeve_vrfy argument,", "a field without \"=\""},
    {"26:mailreeve_vrfy service= mx,", "a key without its argument"},
    {"29:mailreeve_vrfy service= mx<>x,", "a field without \"=\""},
};

START_TEST(test_malformed) {
  g_autoptr(Arena) arena = arena_new(0);
  SocketmapRequest request;
  size_t used;
  const char *problem;
  SocketmapParse result = parse(arena, bad[_i].bytes, strlen(bad[_i].bytes), &request, &used, &problem);
  if (bad[_i].problem == NULL) {
    ck_assert_int_eq(result, SOCKETMAP_PARSE_MORE);
  } else {
    ck_assert_int_eq(result, SOCKETMAP_PARSE_MALFORMED);
    ck_assert_str_eq(problem, bad[_i].problem);
  }
}
END_TEST

START_TEST(test_nul) {
  g_autoptr(Arena) arena = arena_new(0);
  static const char bytes[] = "28:mailreeve_vrfy argument= a\0b,";
  SocketmapRequest request;
  size_t used;
  const char *problem;
  ck_assert_int_eq(parse(arena, bytes, sizeof bytes - 1, &request, &used, &problem), SOCKETMAP_PARSE_MALFORMED);
  ck_assert_str_eq(problem, "a NUL byte");
}
END_TEST

/* ---- keys ---- */

START_TEST(test_names) {
  g_autoptr(Arena) arena = arena_new(0);
  static const struct {
    const char *name;
    SocketmapKind kind;
    Phase phase;
  } rows[] = {
      {"mailreeve_vrfy", SOCKETMAP_ASKS, PHASE_VRFY},     {"mailreeve_expn", SOCKETMAP_ASKS, PHASE_EXPN},
      {"mailreeve_etrn", SOCKETMAP_ASKS, PHASE_ETRN},     {"mailreeve_other", SOCKETMAP_ASKS, PHASE_UNKNOWN},
      {"mailreeve_mail", SOCKETMAP_NO_MAP, PHASE_COUNT},  {"MAILREEVE_VRFY", SOCKETMAP_NO_MAP, PHASE_COUNT},
      {"virtual_aliases", SOCKETMAP_NO_MAP, PHASE_COUNT},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    SocketmapRequest request = request_of(arena, rows[i].name, "argument= x");
    ck_assert_int_eq(request.kind, rows[i].kind);
    ck_assert_int_eq(request.phase, rows[i].phase);
    if (rows[i].kind == SOCKETMAP_ASKS) {
      ck_assert_str_eq(socketmap_name(rows[i].phase), rows[i].name);
    }
  }
  ck_assert_ptr_null(socketmap_name(PHASE_RCPT));
}
END_TEST

/* The client's own words, as Sendmail's tokenizer leaves them: nothing of them becomes another field, or ends one. */
static const struct {
  const char *said;
} hostile[] = {
    {"a<>client_address= 10.0.0.1"}, {"a<>argument= b"},  {"a<>"},       {"<>"},     {"="},
    {"\"<>client_port= 1\""},        {"$&{client_addr}"}, {"%0%1%%"},    {"a\\\"b"}, {"\"a b\"@c"},
    {"\x85\x86\x97\x98\x99"},        {"caf\xc3\xa9"},     {"a\x01\x7f"}, {"1:x,"},
};

START_TEST(test_argument_is_the_rest) {
  g_autoptr(Arena) arena = arena_new(0);
  SocketmapRequest request =
      request_of(arena, "mailreeve_vrfy", arena_printf(arena, FIELDS "no_fact= x<>client_port= 1<>argument= %s", hostile[_i].said));
  ck_assert(slice_equal(request.argument, slice_from(hostile[_i].said)));
  ck_assert(slice_equal(request.values[FACT_CLIENT_ADDRESS], SLICE_LITERAL("192.0.2.1")));
  ck_assert(slice_equal(request.values[FACT_CLIENT_PORT], SLICE_LITERAL("2525")));
  ck_assert(slice_equal(request.values[FACT_CLIENT_NAME], SLICE_LITERAL("mail.client.example")));
  ck_assert_ptr_null(request.values[FACT_HELO_NAME].data);
}
END_TEST

START_TEST(test_cut_key) {
  g_autoptr(Arena) arena = arena_new(0);
  for (size_t length = LIMIT_SOCKETMAP_KEY - 2; length <= LIMIT_SOCKETMAP_KEY + 1; length++) {
    char *key = arena_printf(arena, "argument= %*s", (int)length - 10, "x");
    SocketmapRequest request = request_of(arena, "mailreeve_vrfy", key);
    ck_assert_int_eq(request.kind, length < LIMIT_SOCKETMAP_KEY ? SOCKETMAP_ASKS : SOCKETMAP_CUT);
  }
  /* one that was cut in the middle of a field is no malformed one */
  SocketmapRequest request = request_of(arena, "mailreeve_other", arena_printf(arena, "client_name= %*s", LIMIT_SOCKETMAP_KEY, "x"));
  ck_assert_int_eq(request.kind, SOCKETMAP_CUT);
  ck_assert(slice_equal(socketmap_refusal_bytes(arena, &request), SLICE_LITERAL("7:OK pass,")));
  request.phase = PHASE_VRFY;
  ck_assert(slice_equal(socketmap_refusal_bytes(arena, &request), SLICE_LITERAL("42:OK refuse \"501 5.5.4 Argument is too long\",")));
  request.kind = SOCKETMAP_NO_MAP;
  ck_assert(slice_equal(socketmap_refusal_bytes(arena, &request), SLICE_LITERAL("25:PERM there is no such map,")));
}
END_TEST

START_TEST(test_commands) {
  g_autoptr(Arena) arena = arena_new(0);
  static const struct {
    const char *said, *command;
    bool is_known;
  } rows[] = {
      {"FOO bar" MARK "5", "FOO bar", false},
      {"NOOP" MARK "2", "NOOP", true},
      {"FOO\"x" MARK "5", "FOO\"x", false},
      {"FOO" MARK "2" MARK "5", "FOO" MARK "2", false},
      {"5", "5", false},
      {MARK "2", "", true},
      {"FOO", "FOO", false},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    SocketmapRequest request = request_of(arena, "mailreeve_other", arena_printf(arena, "argument= %s", rows[i].said));
    ck_assert(slice_equal(request.argument, slice_from(rows[i].command)));
    ck_assert_int_eq(request.is_known, rows[i].is_known);
  }
}
END_TEST

/* ---- facts ---- */

static const SocketmapOptions options = {
    .server_name = "ours.example", .service = "mx", .deadline_ms = LIMIT_DEADLINE_MS, .owned = PHASES_ALL};

static void assert_fact(Arena *arena, Session *session, Fact fact, const char *expected) {
  const Value *value = session_get(session, fact);
  Slice text = value_format(arena, value);
  ck_assert_msg(expected ? slice_equal(text, slice_from(expected)) : value->state == VALUE_UNSET, "%s is %.*s", fact_info(fact)->name,
                SLICE_ARGS(text));
}

START_TEST(test_facts) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Session) session = session_new(DOOR_SOCKETMAP);
  SocketmapRequest request =
      request_of(arena, "mailreeve_etrn",
                 "client_address= IPv6:2001:db8::1<>client_port= 2525<>client_name= [IPv6:2001:db8::1]<>"
                 "server_name= MX.Example<>service= MTA<>encryption_keysize= 256<>ccert_subject=<>argument= @B.Example");
  ck_assert(socketmap_facts(session, &request, &options));
  assert_fact(arena, session, FACT_CLIENT_ADDRESS, "2001:db8::1");
  assert_fact(arena, session, FACT_CLIENT_PORT, "2525");
  assert_fact(arena, session, FACT_CLIENT_NAME, NULL);
  assert_fact(arena, session, FACT_SERVER_NAME, "mx.example");
  assert_fact(arena, session, FACT_SERVICE, "MTA");
  assert_fact(arena, session, FACT_ENCRYPTION_KEYSIZE, "256");
  assert_fact(arena, session, FACT_CCERT_SUBJECT, NULL);
  assert_fact(arena, session, FACT_ETRN_DOMAIN, "b.example");
  session_reset(session);
  request = request_of(arena, "mailreeve_expn", "argument= staff");
  ck_assert(socketmap_facts(session, &request, &options));
  assert_fact(arena, session, FACT_COMMAND, "EXPN staff");
  assert_fact(arena, session, FACT_SERVICE, "mx");
  assert_fact(arena, session, FACT_SERVER_NAME, "ours.example");
}
END_TEST

static const struct {
  const char *said;
  const char *recipient; /* NULL: unset */
  bool one;
} addresses[] = {
    {"alice", "alice", true},
    {"alice@b.example", "alice@b.example", true},
    {"<alice@B.example>", "alice@b.example", true},
    {"Full Name<alice@b.example>", "alice@b.example", true},
    {"\"Name, Full\"<alice@b.example>", "alice@b.example", true},
    {"\"a b\"@c.example", "\"a b\"@c.example", true},
    {"\"a,b\"@c.example", "\"a,b\"@c.example", true},
    {"<>", NULL, true},
    {"", NULL, true},
    {"alice bob", NULL, false},
    {"alice,bob", NULL, false},
    {"<alice@b.example>,<bob@b.example>", NULL, false},
    {"alice,", NULL, false},
    {"a\\,b", NULL, true},
    {"\"a", NULL, true},
    {"\\", NULL, true},
};

START_TEST(test_addresses) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Session) session = session_new(DOOR_SOCKETMAP);
  SocketmapRequest request = request_of(arena, "mailreeve_vrfy", arena_printf(arena, "argument= %s", addresses[_i].said));
  ck_assert_msg(socketmap_facts(session, &request, &options) == addresses[_i].one, "%s", addresses[_i].said);
  if (addresses[_i].recipient != NULL || !addresses[_i].one) {
    assert_fact(arena, session, FACT_RECIPIENT, addresses[_i].recipient);
  }
}
END_TEST

/* ---- answers ---- */

static const struct {
  Outcome outcome;
  Phase phase;
  bool is_known;
  uint16_t code;
  EnhancedCode enhanced;
  const char *lines[3];
  const char *expected;
} answers[] = {
    {OUTCOME_PASS, PHASE_VRFY, false, 0, {0}, {NULL}, "OK pass"},
    {OUTCOME_ACCEPT, PHASE_VRFY, false, 0, {0}, {NULL}, "OK pass"},
    {OUTCOME_REJECT, PHASE_VRFY, false, 550, {5, 1, 1}, {"no such user"}, "OK refuse \"550 5.1.1 no such user\""},
    {OUTCOME_TEMPFAIL, PHASE_ETRN, false, 458, {4, 4, 0}, {"not now"}, "OK defer \"458 4.4.0 not now\""},
    {OUTCOME_REJECT, PHASE_EXPN, false, 550, {0}, {"no"}, "OK refuse \"550 5.7.1 no\""},
    {OUTCOME_REJECT, PHASE_EXPN, false, 550, {4, 7, 1}, {"no"}, "OK refuse \"550 5.7.1 no\""},
    {OUTCOME_REJECT, PHASE_VRFY, false, 550, {5, 7, 1}, {"one", " two "}, "OK refuse \"550 5.7.1 one two\""},
    {OUTCOME_REJECT, PHASE_VRFY, false, 550, {5, 7, 1}, {"say \"x\\y\""}, "OK refuse \"550 5.7.1 say 'x/y'\""},
    {OUTCOME_REJECT, PHASE_VRFY, false, 550, {5, 7, 1}, {"100% %1"}, "OK refuse \"550 5.7.1 100%% %%1\""},
    {OUTCOME_REJECT, PHASE_VRFY, false, 550, {5, 7, 1}, {"caf\xc3\xa9\r\n250 ok\x01"}, "OK refuse \"550 5.7.1 caf?  250 ok?\""},
    {OUTCOME_REJECT, PHASE_VRFY, false, 550, {5, 7, 1}, {"$: <a> (b)"}, "OK refuse \"550 5.7.1 $: <a> (b)\""},
    {OUTCOME_DISCONNECT, PHASE_UNKNOWN, false, 521, {5, 7, 0}, {"bye"}, "OK defer \"421 4.7.0 bye\""},
    {OUTCOME_DISCONNECT, PHASE_UNKNOWN, true, 421, {4, 7, 0}, {"bye"}, "OK defer \"421 4.7.0 bye\""},
    {OUTCOME_DISCONNECT, PHASE_VRFY, false, 521, {5, 7, 0}, {"bye"}, "OK refuse \"521 5.7.0 bye\""},
    {OUTCOME_REJECT, PHASE_UNKNOWN, true, 550, {5, 7, 1}, {"no"}, "OK pass"},
    {OUTCOME_TEMPFAIL, PHASE_UNKNOWN, true, 450, {4, 7, 1}, {"no"}, "OK pass"},
    {OUTCOME_REJECT, PHASE_UNKNOWN, false, 502, {5, 5, 1}, {"no"}, "OK refuse \"502 5.5.1 no\""},
};

START_TEST(test_encode) {
  g_autoptr(Arena) arena = arena_new(0);
  Slice lines[3];
  size_t count = 0;
  while (count < 3 && answers[_i].lines[count] != NULL) {
    lines[count] = slice_from(answers[_i].lines[count]);
    count++;
  }
  Verdict verdict = {
      .outcome = answers[_i].outcome, .phase = answers[_i].phase, .reply = {answers[_i].code, answers[_i].enhanced, lines, count}};
  Slice text = socketmap_encode(arena, &verdict, answers[_i].phase, answers[_i].is_known);
  ck_assert_msg(slice_equal(text, slice_from(answers[_i].expected)), "%.*s is not %s", SLICE_ARGS(text), answers[_i].expected);
}
END_TEST

/* Whatever a reply holds: one token that Sendmail can take, ended by the only other quote. */
START_TEST(test_encode_anything) {
  g_autoptr(Arena) arena = arena_new(0);
  char bytes[1024];
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (char)(i * 7 + i / 256);
  }
  Slice line = slice_make(bytes, sizeof bytes);
  Verdict verdict = {.outcome = OUTCOME_REJECT, .phase = PHASE_VRFY, .reply = {550, {5, 7, 1}, &line, 1}};
  Slice text = socketmap_encode(arena, &verdict, PHASE_VRFY, false);
  size_t quotes = 0, token = 0;
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i];
    ck_assert(byte >= ' ' && byte < 0x7f && byte != '\\');
    quotes += byte == '"';
    token += quotes == 1;
    if (byte == '%') {
      i++;
      ck_assert_int_eq(text.data[i], '%');
    }
  }
  ck_assert_uint_eq(quotes, 2);
  ck_assert_int_eq(text.data[text.length - 1], '"');
  ck_assert_uint_le(token, 240);
  /* and a text of nothing but what is taken away */
  line = SLICE_LITERAL("\x80\x80");
  text = socketmap_encode(arena, &verdict, PHASE_VRFY, false);
  ck_assert(text.length > sizeof "OK refuse \"550 5.7.1 \"");
}
END_TEST

/* ---- questions ---- */

static const struct {
  const char *name, *key, *expected;
} questions[] = {
    {"mailreeve_vrfy", FIELDS "argument= alice", "OK pass"},
    {"mailreeve_vrfy", FIELDS "argument= root", "OK refuse \"550 5.1.1 no root\""},
    {"mailreeve_vrfy", FIELDS "argument= root alice", "OK refuse \"501 5.5.4 One address at a time\""},
    {"mailreeve_vrfy", "client_address= 192.0.2.66<>argument= alice", "OK refuse \"550 5.7.1 listed\""},
    {"mailreeve_expn", FIELDS "argument= staff", "OK defer \"450 4.7.1 not EXPN staff\""},
    {"mailreeve_expn", FIELDS "argument= staff,x", "OK refuse \"501 5.5.4 One address at a time\""},
    {"mailreeve_etrn", FIELDS "argument= b,c", "OK pass"},
    {"mailreeve_other", FIELDS "argument= WIZ" MARK "5", "OK refuse \"502 5.5.1 WIZ\""},
    {"mailreeve_other", FIELDS "argument= WIZ" MARK "2", "OK pass"},
    {"mailreeve_other", "client_address= 192.0.2.67<>argument= NOOP" MARK "2", "OK defer \"421 4.7.0 go\""},
};

START_TEST(test_questions) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Session) session = session_new(DOOR_SOCKETMAP);
  ResourceContext context = {0};
  ResourceSource *resources = resource_source_plain_new(&context);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  RulesetOptions load = {.enabled_doors = DOORS_ALL, .resources = resources, .open_resources = true};
  Ruleset *ruleset =
      ruleset_load_text("test.rules",
                        SLICE_LITERAL("at connect {\n"
                                      "  [listed] reject 550 5.7.1 \"listed\" if client_address == 192.0.2.66\n"
                                      "  [go] disconnect 421 4.7.0 \"go\" if client_address == 192.0.2.67\n}\n"
                                      "at vrfy { [root] reject 550 5.1.1 \"no {recipient}\" if recipient.localpart == \"root\" }\n"
                                      "at expn { [staff] tempfail 450 4.7.1 \"not {command}\" if command == \"EXPN staff\" }\n"
                                      "at unknown { [wiz] reject 502 5.5.1 \"{command}\" if command == \"WIZ\" }\n"),
                        NULL, &load, diagnostics);
  ck_assert_ptr_nonnull(ruleset);
  g_autoptr(Clock) clock = clock_manual_new(1790000000);
  Variables *variables = NULL;
  for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
    Arena *inner = arena_new(0);
    SocketmapRequest request = request_of(arena, questions[i].name, questions[i].key);
    SocketmapQuestion *question = socketmap_question_new(inner, ruleset, session, &variables, &request, &options, clock);
    ck_assert_int_eq(inquiry_run(socketmap_question_inquiry(question)), EVALUATION_DECIDED);
    Slice bytes = socketmap_question_bytes(question);
    char *expected = arena_printf(inner, "%zu:%s,", strlen(questions[i].expected), questions[i].expected);
    ck_assert_msg(slice_equal(bytes, slice_from(expected)), "%s: %.*s is not %s", questions[i].key, SLICE_ARGS(bytes), expected);
    arena_free(inner);
  }
  variables_free(variables);
  ruleset_unref(ruleset);
  resource_source_plain_free(resources);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, test_any_cut);
  tcase_add_loop_test(tests, test_malformed, 0, G_N_ELEMENTS(bad));
  tcase_add_test(tests, test_nul);
  tcase_add_test(tests, test_names);
  tcase_add_loop_test(tests, test_argument_is_the_rest, 0, G_N_ELEMENTS(hostile));
  tcase_add_test(tests, test_cut_key);
  tcase_add_test(tests, test_commands);
  tcase_add_test(tests, test_facts);
  tcase_add_loop_test(tests, test_addresses, 0, G_N_ELEMENTS(addresses));
  tcase_add_loop_test(tests, test_encode, 0, G_N_ELEMENTS(answers));
  tcase_add_test(tests, test_encode_anything);
  tcase_add_test(tests, test_questions);
}

UNIT_MAIN("socketmap", add_tests)
