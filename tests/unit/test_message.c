/*
 * test_message.c: a message from begin to reset: what is needed, its size, its text's limit, what is open at the end of the header, and what it costs.
 */
#include <sys/resource.h>

#include "common/base/limits.h"
#include "tests/unit/message_fixture.h"
#include "tests/unit/unit.h"

static const char *const subject[] = {"Subject", NULL};
static const char *const no_names[] = {NULL};

static const struct {
  MessageNeeds needs;
  bool headers, body;
} needs_cases[] = {
    {{0}, false, false},
    {{.header_names = no_names}, false, false},
    {{.all_headers = true}, true, false},
    {{.header_names = subject}, true, false},
    {{.header_count = true}, true, false},
    {{.header_duplicates = true}, true, false},
    {{.header_from = true}, true, false},
    {{.header_sender = true}, true, false},
    {{.header_reply_to = true}, true, false},
    {{.header_to = true}, true, false},
    {{.header_cc = true}, true, false},
    {{.received_count = true}, true, false},
    {{.message_size = true}, true, true},
    {{.attachment = true}, true, true},
    {{.body = true}, true, true},
};

START_TEST(needs_are_few) {
  ck_assert_int_eq(message_needs_headers(&needs_cases[_i].needs), needs_cases[_i].headers);
  ck_assert_int_eq(message_needs_body(&needs_cases[_i].needs), needs_cases[_i].body);
}
END_TEST

static const char whole[] =
    "Received: a\nFrom: f@x.test\nSender: s@x.test\nReply-To: r@x.test\nTo: t@x.test\nCc: c@x.test\nSubject: hi\nSubject: ho\n"
    "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: a/b; name=f\n\n1\n--b--\n";

static const struct {
  Fact fact;
  MessageNeeds needs;
  const char *value;
} single_facts[] = {
    {FACT_HEADER_FROM, {.header_from = true}, "f@x.test"},
    {FACT_HEADER_SENDER, {.header_sender = true}, "s@x.test"},
    {FACT_HEADER_REPLY_TO, {.header_reply_to = true}, "r@x.test"},
    {FACT_HEADER_TO, {.header_to = true}, "t@x.test"},
    {FACT_HEADER_CC, {.header_cc = true}, "c@x.test"},
    {FACT_HEADER, {.header_names = subject}, "Subject hi hi, Subject ho ho"},
    {FACT_HEADER_COUNT, {.header_count = true}, "9"},
    {FACT_HEADER_DUPLICATES, {.header_duplicates = true}, "subject"},
    {FACT_RECEIVED_COUNT, {.received_count = true}, "1"},
    {FACT_MESSAGE_SIZE, {.message_size = true}, "215"},
    {FACT_ATTACHMENT, {.attachment = true}, "f a/b 1"},
    {FACT_BODY, {.body = true}, "text"},
};

START_TEST(only_what_is_needed_is_set) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  (void)message_feed(message, &single_facts[_i].needs, slice_from(whole), 10);
  message_facts(message, session);
  for (Fact fact = 0; fact < FACT_COUNT; fact++) {
    if (fact == single_facts[_i].fact) {
      ck_assert_str_eq(message_fact_text(session, fact), single_facts[_i].value);
    } else if (fact != FACT_BODY_TRUNCATED) {
      ck_assert_str_eq(message_fact_text(session, fact), "-");
    }
  }
  ck_assert_str_eq(message_fact_text(session, FACT_BODY_TRUNCATED), single_facts[_i].needs.body ? "false" : "-");
}
END_TEST

START_TEST(one_message_and_the_next) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  for (int i = 0; i < 3; i++) {
    (void)message_feed(message, &message_all_needs, slice_from(whole), 10);
    if (i == 1) {
      message_reset(message); /* abort */
      ck_assert(!message_body(message, SLICE_LITERAL("x")));
      message_header(message, SLICE_LITERAL("From"), SLICE_LITERAL("a@b.test"));
      message_end_of_headers(message);
    }
    session_reset_message(session);
    message_facts(message, session);
    ck_assert_str_eq(message_fact_text(session, FACT_ATTACHMENT), i == 1 ? "-" : "f a/b 1");
    ck_assert_str_eq(message_fact_text(session, FACT_HEADER_COUNT), i == 1 ? "-" : "9");
  }
  session_reset_message(session);
  (void)message_feed(message, &message_all_needs, SLICE_LITERAL("\nbare\n"), 10);
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_ATTACHMENT), "-");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_DUPLICATES), "-");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "-");
  ck_assert_str_eq(message_fact_text(session, FACT_BODY), "bare\n");
  ck_assert_str_eq(message_fact_text(session, FACT_MESSAGE_SIZE), "7");
}
END_TEST

START_TEST(a_message_in_mid_part_is_reset) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  for (size_t length = 0; length < sizeof whole; length++) {
    (void)message_feed(message, &message_all_needs, slice_make(whole, length), 7);
    if (length % 2) {
      message_reset(message);
    }
  }
}
END_TEST

static const struct {
  const char *name, *value, *body;
  int64_t size;
} sizes[] = {
    {NULL, NULL, "", 2},
    {NULL, NULL, "12345", 7},
    {"A", " b", "", 8},
    {"A", "b", "", 8},       /* without the blank, which is counted none the less */
    {"A", " b\n c", "", 12}, /* a line end is CR LF on the wire */
    {"A", " b\r\n c", "\r\n", 14},
};

START_TEST(size_is_that_of_the_wire) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  static const MessageNeeds needs = {.message_size = true};
  message_begin(message, &needs);
  if (sizes[_i].name) {
    message_header(message, slice_from(sizes[_i].name), slice_from(sizes[_i].value));
  }
  message_end_of_headers(message);
  ck_assert(message_body(message, slice_from(sizes[_i].body)));
  message_facts(message, session);
  ck_assert_int_eq(session_get(session, FACT_MESSAGE_SIZE)->type, TYPE_SIZE);
  ck_assert_int_eq(session_get(session, FACT_MESSAGE_SIZE)->as.number, sizes[_i].size);
  session_reset_message(session);
  ck_assert(session_set(session, FACT_MESSAGE_SIZE, SLICE_LITERAL("4711"))); /* {msg_size} */
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_MESSAGE_SIZE), "4711");
}
END_TEST

START_TEST(the_body_is_open_behind_the_header) {
  static const Fact of_body[] = {FACT_ATTACHMENT, FACT_BODY, FACT_BODY_TRUNCATED, FACT_MESSAGE_SIZE};
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  message_begin(message, &message_all_needs);
  message_header(message, SLICE_LITERAL("From"), SLICE_LITERAL(" f@x.test"));
  message_end_of_headers(message);
  message_header_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "f@x.test");
  for (size_t i = 0; i < G_N_ELEMENTS(of_body); i++) {
    ck_assert_str_eq(message_fact_text(session, of_body[i]), "open");
  }
  (void)message_body(message, SLICE_LITERAL("hi"));
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "f@x.test");
  ck_assert_str_eq(message_fact_text(session, FACT_BODY), "hi");
  ck_assert_str_eq(message_fact_text(session, FACT_BODY_TRUNCATED), "false");
  ck_assert_str_eq(message_fact_text(session, FACT_ATTACHMENT), "-");
  ck_assert_str_eq(message_fact_text(session, FACT_MESSAGE_SIZE), "20");
}
END_TEST

/* The text's limit */

static const struct {
  const char *body;
  size_t limit;
  const char *text, *truncated;
} cuts[] = {
    {"12345678", 9, "12345678", "false"},
    {"12345678", 8, "12345678", "false"},
    {"12345678", 7, "1234567", "true"},
    {"12345678", 0, "-", "true"},
    {"a\r\nb\r\n", 4, "a\nb\n", "false"},
    {"a\r\nb\r\n", 3, "a\nb", "true"},
    {"a\xc3\xa4z", 3, "a\xc3\xa4", "true"},
    {"a\xc3\xa4z", 2, "a", "true"}, /* never half a character */
    {"a\xe2\x82\xac", 3, "a", "true"},
    {"a\xffz", 5, "a\xef\xbf\xbdz", "false"},
    {"a\xffz", 4, "a\xef\xbf\xbd", "true"}, /* what replaces a byte is longer than it */
    {"a\xffz", 3, "a", "true"},
    {"\xff\xff\xff\xff", 6, "\xef\xbf\xbd\xef\xbf\xbd", "true"},
};

START_TEST(text_is_cut_at_its_limit) {
  for (size_t piece = 1; piece < 9; piece++) {
    const MessageLimits limits = {65536, cuts[_i].limit};
    g_autoptr(Message) message = message_new(&limits);
    g_autoptr(Session) session = session_new(DOOR_MILTER);
    static const MessageNeeds needs = {.body = true};
    g_autofree char *text = g_strdup_printf("\n%s", cuts[_i].body);
    (void)message_feed(message, &needs, slice_from(text), piece);
    message_facts(message, session);
    ck_assert_str_eq(message_fact_text(session, FACT_BODY), cuts[_i].text);
    ck_assert_str_eq(message_fact_text(session, FACT_BODY_TRUNCATED), cuts[_i].truncated);
  }
}
END_TEST

START_TEST(the_rest_is_not_wanted) {
  static const MessageLimits limits = {65536, 100};
  static const MessageNeeds body = {.body = true}, both = {.body = true, .attachment = true}, size = {.body = true, .message_size = true};
  static const MessageNeeds headers = {.all_headers = true};
  g_autoptr(Message) message = message_new(&limits);
  g_autofree char *text = g_strdup_printf("\n%0*d\n", 101, 0);
  ck_assert(message_feed(message, &body, slice_make(text, 100), 10));
  ck_assert(!message_feed(message, &body, slice_from(text), 10));
  ck_assert(message_feed(message, &both, slice_from(text), 10));
  ck_assert(message_feed(message, &size, slice_from(text), 10));
  ck_assert(!message_feed(message, &headers, slice_from(text), 10));
}
END_TEST

START_TEST(text_past_the_memory_is_cut_too) {
  static const MessageLimits limits = {1000, 65536};
  g_autoptr(Message) message = message_new(&limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  static const MessageNeeds needs = {.body = true};
  g_autofree char *text = g_strdup_printf("\n%0*d\n", 2000, 0);
  (void)message_feed(message, &needs, slice_from(text), 100);
  message_facts(message, session);
  ck_assert_uint_eq(session_get(session, FACT_BODY)->as.text.length, 1000);
  ck_assert_str_eq(message_fact_text(session, FACT_BODY_TRUNCATED), "true");
}
END_TEST

/* Memory. Sanitizers keep what was freed: there the figures say nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_ALLOCATOR 1
#endif
#endif

#ifndef HAS_OWN_ALLOCATOR

enum { MEBIBYTE = 1024 * 1024, LARGE = 50 * MEBIBYTE };

static const struct {
  const char *name, *header, *start, *repeated;
} floods[] = {
    {"a file in base64", "multipart/mixed; boundary=b", "--b\nContent-Type: a/b; name=f\nContent-Transfer-Encoding: base64\n\n",
     "UEsDBBQAAAAIAOl6c1oAAAAAAAAAAAAAAAAJAAAAZmlsZS5iaW7t0DEBAAAAwqD1T20JT4hAYcCA\n"},
    {"text", "text/plain", "", "hello, this is a line of an ordinary letter\r\n"},
    {"text that is no UTF-8", "text/plain", "", "\xff\xfe\xe4 \xc3\n"},
    {"text in another charset", "text/plain; charset=iso-2022-jp", "", "\x1b$BF|K\\\x1b(B\n"},
    {"a preamble", "multipart/mixed; boundary=b", "", "this is no part\n"},
    {"an epilogue", "multipart/mixed; boundary=b", "--b\n\n\n--b--\n", "this is no part\n"},
    {"a multipart without boundary", "multipart/mixed", "", "this is no part\n"},
    {"parts", "multipart/mixed; boundary=b", "", "--b\n\n\n"},
    {"named parts", "multipart/mixed; boundary=b", "", "--b\nContent-Type: a/b; name=ffffffffffffffffffffffffffffffffffffffffff\n\n\n"},
    {"multiparts", "multipart/mixed; boundary=b", "", "--b\nContent-Type: multipart/mixed; boundary=b\n\n"},
    {"messages", "message/rfc822", "", "Content-Type: message/rfc822\n\n"},
    {"messages in quoted-printable", "message/rfc822", "", "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"},
    {"a part's header", "multipart/mixed; boundary=b", "--b\n", "X-Field: value\n"},
    {"a part's header field", "multipart/mixed; boundary=b", "--b\nContent-Type: a/b; name=", "xxxxxxxxxxxxxxxxxxxxxxx"},
    {"another field of a part", "multipart/mixed; boundary=b", "--b\nX-Any: ", "xxxxxxxxxxxxxxxxxxxxxxx"},
    {"almost boundaries", "multipart/mixed; boundary=b", "--b\n\n", "--\n--c\n"},
    {"a boundary with a tail", "multipart/mixed; boundary=b", "--b", "                    "},
    {"a line without an end", "text/plain", "", "----------------------"},
};

static long peak_kib(void) {
  struct rusage usage;
  ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
  return usage.ru_maxrss;
}

static void flood(Message *message, Session *session, size_t which, size_t total) {
  g_autoptr(GString) block = g_string_new(NULL);
  while (block->len < 65536) {
    g_string_append(block, floods[which].repeated);
  }
  message_begin(message, &message_all_needs);
  message_header(message, SLICE_LITERAL("Content-Type"), slice_from(floods[which].header));
  message_end_of_headers(message);
  (void)message_body(message, slice_from(floods[which].start));
  for (size_t fed = 0; fed < total; fed += block->len) {
    (void)message_body(message, slice_make(block->str, block->len));
  }
  message_facts(message, session);
}

/* The first message, a small one, brings what GMime and iconv set up once; both come in the process of this case alone. */
START_TEST(large_messages_cost_no_memory) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  flood(message, session, (size_t)_i, 1000);
  message_reset(message);
  session_reset_message(session);
  long before = peak_kib();
  flood(message, session, (size_t)_i, LARGE);
  long cost = peak_kib() - before;
  ck_assert_msg(cost <= (long)(message_usual_limits.memory + MEBIBYTE) / 1024, "%s: %ld KiB", floods[_i].name, cost);
  ck_assert_int_gt(session_get(session, FACT_MESSAGE_SIZE)->as.number, LARGE);
}
END_TEST

static const struct {
  const char *name, *value;
} header_floods[] = {
    {"X-Plain", "just a text that says a little of nothing much"},
    {"X-Short", "1"},
    {"X-Words", "=?utf-8?q?a?= =?utf-8?q?b?= =?iso-8859-1?q?=E4?= =?utf-8?b?w7bDtg==?="},
    {"X-Bytes", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
    {"To", "a@b.test, c@d.test, Ann <e@f.test>, g: h@i.test;, \"j\" <k@l.test>"},
    {"Cc", "<a@b><a@b><a@b><a@b><a@b><a@b>"},
    {"From", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"},
};

/* Ten thousand fields, and then one as long as can be. */
START_TEST(large_headers_cost_no_memory) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  Slice name = slice_from(header_floods[_i].name), value = slice_from(header_floods[_i].value);
  g_autoptr(GString) longest = g_string_new(NULL);
  while (longest->len < 60000) {
    g_string_append(longest, header_floods[_i].value);
    g_string_append(longest, ", ");
  }
  long before = 0;
  for (int round = 0; round < 3; round++) {
    message_begin(message, &message_all_needs);
    for (int i = 0; i < (round == 1 ? 10000 : 1); i++) {
      message_header(message, name, value);
    }
    for (int i = 0; i < (round == 2 ? 10 : 0); i++) {
      message_header(message, name, slice_from(longest->str));
    }
    session_reset_message(session);
    message_facts(message, session);
    before = round == 0 ? peak_kib() : before;
  }
  long cost = peak_kib() - before;
  ck_assert_msg(cost <= (long)(message_usual_limits.memory + MEBIBYTE) / 1024, "%s: %ld KiB", header_floods[_i].name, cost);
}
END_TEST

static void add_memory_tests(TCase *tests) {
  tcase_add_loop_test(tests, large_messages_cost_no_memory, 0, G_N_ELEMENTS(floods));
  tcase_add_loop_test(tests, large_headers_cost_no_memory, 0, G_N_ELEMENTS(header_floods));
}

#else

static void add_memory_tests(TCase *tests) {
  (void)tests;
}

#endif

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, needs_are_few, 0, G_N_ELEMENTS(needs_cases));
  tcase_add_loop_test(tests, only_what_is_needed_is_set, 0, G_N_ELEMENTS(single_facts));
  tcase_add_test(tests, one_message_and_the_next);
  tcase_add_test(tests, a_message_in_mid_part_is_reset);
  tcase_add_loop_test(tests, size_is_that_of_the_wire, 0, G_N_ELEMENTS(sizes));
  tcase_add_test(tests, the_body_is_open_behind_the_header);
  tcase_add_loop_test(tests, text_is_cut_at_its_limit, 0, G_N_ELEMENTS(cuts));
  tcase_add_test(tests, the_rest_is_not_wanted);
  tcase_add_test(tests, text_past_the_memory_is_cut_too);
  add_memory_tests(tests);
}

UNIT_MAIN("message", add_tests)
