/*
 * test_message_headers.c: header fields as rules read them: decoded, counted, addresses found.
 */
#include "common/base/limits.h"
#include "common/message/message_internal.h"
#include "common/smtp/record.h"
#include "tests/unit/message_fixture.h"
#include "tests/unit/unit.h"

static const struct {
  const char *raw;   /* behind the colon */
  const char *value; /* header["X"] */
} decodings[] = {
    {" hello", "hello"},
    {"hello", "hello"},
    {"  \t hello \t ", "hello"},
    {"", ""},
    {" ", ""},
    {" a\n b", "a b"},
    {" a\r\n\tb", "a\tb"},
    {" a\n  b\n c", "a  b c"},
    {" a\nb", "a b"},
    {" =?utf-8?q?J=C3=B6rg?=", "J\xc3\xb6rg"},
    {" =?UTF-8?B?SsO2cmc=?= x", "J\xc3\xb6rg x"},
    {" =?iso-8859-1?Q?a_=E4?=", "a \xc3\xa4"},
    {" =?koi8-r?b?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
    /* Blanks between encoded words are no text; between a word and text they are. */
    {" =?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
    {" =?utf-8?q?a?=\n =?utf-8?q?b?=", "ab"},
    {" =?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
    /* A character split over two words, as many mail readers write it. */
    {" =?utf-8?b?w7bD?= =?utf-8?b?tg==?=", "\xc3\xb6\xc3\xb6"},
    {" =?utf-8?b?YQ=?= =?utf-8?b?Yg==?=", "ab"},
    {" =?utf-8?b?w7Y=?= =?utf-8?b?YWJj?= =?utf-8?b?w7Y=?=\n =?utf-8?b?YQ==?= x",
     "\xc3\xb6"
     "abc\xc3\xb6"
     "a x"},
    {" =?iso-8859-1?b?9g==?= =?iso-8859-1?b?9vY=?=\n =?iso-8859-1?b?YQ==?=",
     "\xc3\xb6\xc3\xb6\xc3\xb6"
     "a"},
    /* No words, or broken ones: as they came. */
    {" =?utf-8?q?a", "=?utf-8?q?a"},
    {" =?utf-8?x?a?=", "=?utf-8?x?a?="},
    {" a =? b", "a =? b"},
    {" =??q?abc?=", "=??q?abc?="},
    {" =?x-nobody-knows?q?abc?=", "abc"},
    /* Bytes without a charset. */
    {" J\xc3\xb6rg", "J\xc3\xb6rg"},
    {" J\xf6rg", "J\xef\xbf\xbdrg"},
    {" \xc3", "\xef\xbf\xbd"},
    /* RFC 2231's language in a word. */
    {" =?utf-8*de?q?gr=C3=BCn?=", "gr\xc3\xbcn"},
};

static const char *first_field(Session *session, int field) {
  const Value *list = session_get(session, FACT_HEADER);
  ck_assert_int_eq(list->state, VALUE_SET);
  const ValueRecord *record = list->as.list->items[0].as.record;
  ck_assert_int_eq(record->kind, RECORD_HEADER);
  ck_assert_int_eq(record->fields[field].state, VALUE_SET);
  return slice_to_string(session_arena(session), record->fields[field].as.text);
}

START_TEST(values_are_decoded) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  static const char *const names[] = {"x-test", NULL};
  static const MessageNeeds needs = {.header_names = names};
  message_begin(message, &needs);
  message_header(message, SLICE_LITERAL("X-Other"), SLICE_LITERAL(" no"));
  message_header(message, SLICE_LITERAL("X-Test"), slice_from(decodings[_i].raw));
  message_end_of_headers(message);
  message_facts(message, session);
  ck_assert_uint_eq(session_get(session, FACT_HEADER)->as.list->count, 1);
  ck_assert_str_eq(first_field(session, HEADER_FIELD_NAME), "X-Test");
  ck_assert_str_eq(first_field(session, HEADER_FIELD_VALUE), decodings[_i].value);
}
END_TEST

START_TEST(raw_text_is_as_it_came) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  message_begin(message, &message_all_needs);
  message_header(message, SLICE_LITERAL("Subject"), SLICE_LITERAL(" =?utf-8?q?a?=\n  b "));
  message_facts(message, session);
  ck_assert_str_eq(first_field(session, HEADER_FIELD_RAW), "=?utf-8?q?a?=\n  b ");
  ck_assert_str_eq(first_field(session, HEADER_FIELD_VALUE), "a  b");
}
END_TEST

START_TEST(a_nul_is_no_end) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  message_begin(message, &message_all_needs);
  message_header(message, SLICE_LITERAL("X\0Y"), SLICE_LITERAL(" a\0b =?utf-8?q?c?="));
  message_header(message, SLICE_LITERAL("From"), SLICE_LITERAL(" a@b.test\0, c@d.test"));
  message_facts(message, session);
  ck_assert_str_eq(first_field(session, HEADER_FIELD_NAME), "X\xef\xbf\xbdY");
  ck_assert_str_eq(first_field(session, HEADER_FIELD_VALUE),
                   "a\xef\xbf\xbd"
                   "b c");
  ck_assert_ptr_nonnull(strstr(message_fact_text(session, FACT_HEADER_FROM), "c@d.test"));
}
END_TEST

static const struct {
  const char *raw, *addresses;
} address_cases[] = {
    {"a@b.test", "a@b.test"},
    {"<a@b.test>", "a@b.test"},
    {"Ann <A@B.TEST>", "A@b.test"},
    {"\"Doe, Ann\" <a@b.test>, c@d.test", "a@b.test, c@d.test"},
    {"a@b.test,\n c@d.test", "a@b.test, c@d.test"},
    {"a@b.test (Ann), (no, one) c@d.test", "a@b.test, c@d.test"},
    {"=?utf-8?q?J=C3=B6rg_=3Cx=40y.test=3E?= <a@b.test>", "a@b.test"},
    {"\"a b\"@c.test", "\"a b\"@c.test"},
    {"friends: a@b.test, Bob <c@d.test>;, e@f.test", "a@b.test, c@d.test, e@f.test"},
    {"undisclosed-recipients:;", "-"},
    {"root", "root"},
    {"", "-"},
    {"<>", "-"},
    {",, ,", "-"},
    {"a@m\xc3\xbcller.test", "a@xn--mller-kva.test"},
    {"<@relay.test:a@b.test>", "a@b.test"},
    {"a@b.test; c@d.test", "a@b.test"}, /* no separator of RFC 5322 outside a group */
    {"(((((", "-"},
    {"a@[192.0.2.1]", "a@[192.0.2.1]"},
};

START_TEST(addresses_are_found) {
  static const Fact facts[] = {FACT_HEADER_FROM, FACT_HEADER_SENDER, FACT_HEADER_REPLY_TO, FACT_HEADER_TO, FACT_HEADER_CC};
  static const char *const names[] = {"from", "SENDER", "Reply-To", "To", "Cc"};
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
    session_reset_message(session);
    message_begin(message, &message_all_needs);
    message_header(message, slice_from(names[i]), slice_from(address_cases[_i].raw));
    message_facts(message, session);
    for (size_t k = 0; k < G_N_ELEMENTS(facts); k++) {
      ck_assert_str_eq(message_fact_text(session, facts[k]), k == i ? address_cases[_i].addresses : "-");
    }
  }
}
END_TEST

static const char *as_gmime_finds(Arena *arena, Slice raw) {
  g_autofree char *text = header_unfold(slice_trim(raw));
  InternetAddressList *list = internet_address_list_parse(message_parser_options(), text);
  const char *told = "";
  for (int i = 0; list && i < internet_address_list_length(list); i++) {
    InternetAddress *one = internet_address_list_get_address(list, i);
    MailAddress address;
    const char *mailbox = INTERNET_ADDRESS_IS_MAILBOX(one) ? internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one)) : NULL;
    if (mailbox && mail_address_parse(arena, slice_from(mailbox), &address) && !mail_address_is_null(&address)) {
      told = arena_printf(arena, "%s%s%.*s", told, *told ? ", " : "", SLICE_ARGS(address.text));
    }
  }
  g_clear_object(&list);
  return *told ? told : "-";
}

/* Fields of random pieces, simple and not: the addresses are those that GMime finds. */
START_TEST(addresses_are_those_of_gmime) {
  static const char *const pieces[] = {"Ann",
                                       " ",
                                       " ",
                                       "<",
                                       ">",
                                       "a",
                                       "@",
                                       "b.test",
                                       ".",
                                       "=?utf-8?q?x=40?=",
                                       "O'Neil",
                                       "-",
                                       "_",
                                       "+x",
                                       "c@d.test",
                                       "<e@f.test>",
                                       "<e@f.test>",
                                       ",",
                                       "\"q\"",
                                       "{",
                                       "\xc3\xa4",
                                       ", ",
                                       "\"q, r.\" ",
                                       "\r\n ",
                                       "\n",
                                       "Q. ",
                                       "x.y",
                                       "'",
                                       "\"\"",
                                       "\"a\\\"b\"",
                                       "(c)",
                                       "a@b.test",
                                       " <h-i+j@xn--k.test>",
                                       "c@d"};
  GRand *random = g_rand_new_with_seed(20260305);
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  size_t found = 0;
  for (int i = 0; i < 20000; i++) {
    g_autoptr(GString) field = g_string_new(NULL);
    for (int k = g_rand_int_range(random, 1, 8); k > 0; k--) {
      g_string_append(field, pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces))]);
    }
    session_reset_message(session);
    message_begin(message, &message_all_needs);
    message_header(message, SLICE_LITERAL("From"), slice_from(field->str));
    message_facts(message, session);
    const char *from = message_fact_text(session, FACT_HEADER_FROM);
    const char *expected = as_gmime_finds(session_arena(session), slice_from(field->str));
    ck_assert_msg(strcmp(from, expected) == 0, "%s: %s, not %s", field->str, from, expected);
    found += strcmp(from, "-") != 0;
    session_reset(session);
  }
  ck_assert_uint_gt(found, 2000);
  g_rand_free(random);
}
END_TEST

static const char *as_gmime_decodes(Arena *arena, Slice raw) {
  g_autofree char *text = header_unfold(slice_trim(raw));
  g_autofree char *decoded = g_mime_utils_header_decode_text(message_parser_options(), text);
  return slice_to_string(arena, text_as_utf8(arena, slice_trim(slice_from(strstr(text, "=?") ? decoded : text))));
}

/* The same of encoded words. */
START_TEST(texts_are_decoded_as_gmime_does) {
  static const char *const pieces[] = {"=?utf-8?q?",
                                       "=?UTF-8?B?",
                                       "=?utf-8?b?",
                                       "?=",
                                       "?= ",
                                       "?=",
                                       "SsO2cmc=",
                                       "YQ==",
                                       "YWJj",
                                       "YWI",
                                       "w7bD",
                                       "a",
                                       "_",
                                       "=20",
                                       "=C3=B6",
                                       "=C3",
                                       "=e4",
                                       "=",
                                       "?",
                                       " ",
                                       "\n ",
                                       "\r\n\t",
                                       "\t",
                                       "x",
                                       "=?iso-8859-1?q?=E4?=",
                                       "=?utf-8?q?a?=",
                                       "=?utf-8?b?w7Y=?= ",
                                       "\xc3\xa4",
                                       "=?",
                                       "=00",
                                       "=0a",
                                       "=?utf-8?q?=3D=3F?="};
  GRand *random = g_rand_new_with_seed(20260306);
  g_autoptr(Arena) arena = arena_new(0);
  size_t decoded = 0;
  for (int i = 0; i < 50000; i++) {
    g_autoptr(GString) field = g_string_new(NULL);
    for (int k = g_rand_int_range(random, 1, 8); k > 0; k--) {
      g_string_append(field, pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces))]);
    }
    Slice raw = slice_trim(slice_from(field->str)), simple;
    const char *expected = as_gmime_decodes(arena, raw), *text = slice_to_string(arena, header_decode(arena, raw));
    ck_assert_msg(strcmp(text, expected) == 0, "%s: '%s', not '%s'", field->str, text, expected);
    decoded += strstr(field->str, "=?") != NULL && simple_encoded_words(arena, raw, &simple);
    arena_reset(arena);
  }
  ck_assert_uint_gt(decoded, 1000);
  g_rand_free(random);
}
END_TEST

START_TEST(addresses_of_all_fields) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  (void)message_feed(message, &message_all_needs, SLICE_LITERAL("To: a@b.test\nTo: \nto : c@d.test, e@f.test\nCc: g@h.test\n\n"), 1);
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_TO), "a@b.test, c@d.test, e@f.test");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_CC), "g@h.test");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_DUPLICATES), "to");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_COUNT), "4");
}
END_TEST

static const struct {
  const char *header, *duplicates, *count, *received;
} counts[] = {
    {"", "-", "0", "0"},
    {"Received: x\nReceived: y\nSubject: z\n", "-", "3", "2"},
    {"Date: 1\nDATE: 2\nSubject: a\nX: b\nX: c\nsubject: d\nsubject: e\n", "date, subject", "7", "0"},
    {"From: a\nSender: a\nReply-To: a\nTo: a\nCc: a\nBcc: a\nMessage-ID: a\nIn-Reply-To: a\nReferences: a\nSubject: a\nDate: a\n", "-",
     "11", "0"},
    {"Bcc: a\nBcc: a\nMessage-ID: a\nMessage-Id: a\nIn-Reply-To: a\nIn-Reply-To: a\nReferences: a\nReferences: b\n",
     "bcc, message-id, in-reply-to, references", "8", "0"},
};

START_TEST(fields_are_counted) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  static const MessageNeeds needs = {.header_count = true, .header_duplicates = true, .received_count = true};
  ck_assert(message_needs_headers(&needs) && !message_needs_body(&needs));
  (void)message_feed(message, &needs, slice_from(counts[_i].header), 1);
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_DUPLICATES), counts[_i].duplicates);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_COUNT), counts[_i].count);
  ck_assert_str_eq(message_fact_text(session, FACT_RECEIVED_COUNT), counts[_i].received);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER), "-");
}
END_TEST

/* Limits */

static void feed_fields(Message *message, const char *name, const char *value, size_t count) {
  for (size_t i = 0; i < count; i++) {
    message_header(message, slice_from(name), slice_from(value));
  }
}

START_TEST(ten_thousand_fields) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  message_begin(message, &message_all_needs);
  feed_fields(message, "X-Many", "1", 10000);
  message_header(message, SLICE_LITERAL("From"), SLICE_LITERAL("a@b.test"));
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER), "? more than 1000 header fields");
  ck_assert_int_eq(session_get(session, FACT_HEADER)->as.failures->on_error, ON_ERROR_TEMPFAIL);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "? more than 1000 header fields");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_TO), "-");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_COUNT), "10001");
  /* Those that no one reads are not kept: the others are told. */
  static const char *const names[] = {"Subject", NULL};
  static const MessageNeeds few = {.header_names = names, .header_from = true, .header_count = true};
  session_reset_message(session);
  message_begin(message, &few);
  feed_fields(message, "X-Many", "1", 10000);
  message_header(message, SLICE_LITERAL("From"), SLICE_LITERAL("a@b.test"));
  message_header(message, SLICE_LITERAL("subject"), SLICE_LITERAL("hi"));
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER), "subject hi hi");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "a@b.test");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_COUNT), "10002");
}
END_TEST

START_TEST(a_field_as_long_as_can_be) {
  for (size_t length = LIMIT_HEADER_FIELD - 1; length <= LIMIT_HEADER_FIELD + 1; length++) {
    g_autoptr(Message) message = message_new(&message_usual_limits);
    g_autoptr(Session) session = session_new(DOOR_MILTER);
    g_autofree char *value = g_strnfill(length - strlen("From"), 'a');
    message_begin(message, &message_all_needs);
    message_header(message, SLICE_LITERAL("From"), slice_from(value));
    message_facts(message, session);
    bool fits = length <= LIMIT_HEADER_FIELD;
    ck_assert_int_eq(session_get(session, FACT_HEADER)->state, fits ? VALUE_SET : VALUE_UNKNOWN);
    if (!fits) {
      ck_assert_str_eq(message_fact_text(session, FACT_HEADER), "? a header field of more than 65536 bytes");
      ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "? a header field of more than 65536 bytes");
    }
  }
}
END_TEST

START_TEST(fields_past_the_memory) {
  static const MessageLimits small = {4096, 1024};
  g_autoptr(Message) message = message_new(&small);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autofree char *value = g_strnfill(1000, 'a');
  message_begin(message, &message_all_needs);
  feed_fields(message, "X", value, 4);
  message_facts(message, session);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER), "? more than 4096 bytes of header fields");
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_FROM), "-");
}
END_TEST

START_TEST(too_many_addresses) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autoptr(GString) value = g_string_new(NULL);
  for (int i = 0; i < LIMIT_HEADER_ADDRESSES; i++) {
    g_string_append_printf(value, "a%d@b.test, ", i);
  }
  message_begin(message, &message_all_needs);
  message_header(message, SLICE_LITERAL("To"), slice_from(value->str));
  message_header(message, SLICE_LITERAL("Cc"), slice_from(value->str));
  message_header(message, SLICE_LITERAL("Cc"), SLICE_LITERAL("one@more.test"));
  message_facts(message, session);
  ck_assert_uint_eq(session_get(session, FACT_HEADER_TO)->as.list->count, LIMIT_HEADER_ADDRESSES);
  ck_assert_str_eq(message_fact_text(session, FACT_HEADER_CC), "? more than 1000 addresses in a header field");
}
END_TEST

/* GMime's parser calls itself for each of them. */
START_TEST(groups_within_groups) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  for (size_t count = 10; count <= 30000; count *= 10) {
    g_autoptr(GString) value = g_string_new(NULL);
    for (size_t i = 0; i < count; i++) {
      g_string_append(value, "a:");
    }
    message_begin(message, &message_all_needs);
    message_header(message, SLICE_LITERAL("To"), slice_from(value->str));
    session_reset_message(session);
    message_facts(message, session);
    ck_assert_int_eq(session_get(session, FACT_HEADER_TO)->state, count > LIMIT_HEADER_ADDRESSES ? VALUE_UNKNOWN : VALUE_UNSET);
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, values_are_decoded, 0, G_N_ELEMENTS(decodings));
  tcase_add_test(tests, raw_text_is_as_it_came);
  tcase_add_test(tests, a_nul_is_no_end);
  tcase_add_loop_test(tests, addresses_are_found, 0, G_N_ELEMENTS(address_cases));
  tcase_add_test(tests, addresses_are_those_of_gmime);
  tcase_add_test(tests, texts_are_decoded_as_gmime_does);
  tcase_add_test(tests, addresses_of_all_fields);
  tcase_add_loop_test(tests, fields_are_counted, 0, G_N_ELEMENTS(counts));
  tcase_add_test(tests, ten_thousand_fields);
  tcase_add_test(tests, a_field_as_long_as_can_be);
  tcase_add_test(tests, fields_past_the_memory);
  tcase_add_test(tests, too_many_addresses);
  tcase_add_test(tests, groups_within_groups);
}

UNIT_MAIN("message_headers", add_tests)
