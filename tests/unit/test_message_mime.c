/*
 * test_message_mime.c: the structure of messages, well-formed and broken: attachments and text, whatever the pieces that the body comes in.
 */
#include <gmime/gmime.h>

#include "common/base/limits.h"
#include "common/message/message_internal.h"
#include "common/smtp/record.h"
#include "tests/unit/message_fixture.h"
#include "tests/unit/unit.h"

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"
#define FFFD "\xef\xbf\xbd"

static const struct {
  const char *message, *attachments, *body;
} cases[] = {
    /* No MIME: text as it is. */
    {"Subject: x\n\nhello\n", "-", "hello\n"},
    {"Subject: x\n\nhello", "-", "hello"},
    {"Subject: x\n\n", "-", "-"},
    {"Subject: x\n", "-", "-"},
    {"\n--b\nx: y\n", "-", "--b\nx: y\n"},
    {"\na\r\nb\rc\r\n\r\n", "-", "a\nb\nc\n\n"},
    {"\n\xc3\xa4 \xe4 \xc3\n", "-", "\xc3\xa4 " FFFD " " FFFD "\n"},
    /* Charsets and transfer encodings. */
    {"Content-Type: text/plain; charset=iso-8859-1\n\nJ\xf6rg\n", "-", "J\xc3\xb6rg\n"},
    {"Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\n\nJ=C3=B6rg =\nx=\n", "-", "J\xc3\xb6rg x"},
    {"Content-Type: text/html; charset=utf-16le\nContent-Transfer-Encoding: base64\n\naABpAOQA\n", "-", "hi\xc3\xa4"},
    {"Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$BF|K\\\x1b(B\n", "-", "\xe6\x97\xa5\xe6\x9c\xac\n"},
    {"Content-Type: text/plain; charset=x-nobody-knows\n\na\xff\n", "-", "a" FFFD "\n"},
    {"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: x-what\n\nhello\n", "-", "hello\n"},
    {"Content-Transfer-Encoding: base64\n\naGVs\nbG8=\n", "-", "hello"},
    {"Content-Transfer-Encoding: base64\n\naGVsbG8\n", "-", "hel"},
    {"Content-Type: text/plain; format=flowed\n\nhi\n", "-", "hi\n"},
    {"Content-Type: garbage\n\nhi\n", "-", "-"},
    {"Content-Type:\n\nhi\n", "-", "hi\n"},
    /* A message that is one file. */
    {"Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\nAAAA\nAAA=\n", "a.zip application/zip 5", "-"},
    {"Content-Disposition: attachment\n\nhello\n", "text/plain 6", "-"},
    {"Content-Type: image/png\n\nhello\n", "-", "-"},
    /* Names. */
    {"Content-Type: APPLICATION/X; name*=utf-8'de'%c3%a4.zip\n\n", "\xc3\xa4.zip application/x 0", "-"},
    {"Content-Type: a/b\nContent-Disposition: inline; filename*0*=iso-8859-1''%e4; filename*1=.exe\n\n", "\xc3\xa4.exe a/b 0", "-"},
    {"Content-Type: a/b; name=\"=?utf-8?q?m=C3=A4il.eml?=\"\n\n", "m\xc3\xa4il.eml a/b 0", "-"},
    {"Content-Type: a/b; name=\"=?utf-8?b?YQ==?= =?utf-8?b?LmV4ZQ==?=\"\n\n", "a.exe a/b 0", "-"},
    {"Content-Type: a/b; name=x.exe\nContent-Disposition: attachment; filename=y.txt\n\n", "y.txt a/b 0", "-"},
    {"Content-Type: a/b; name=\"a b;c\\\".exe\"\n\n", "a b;c\".exe a/b 0", "-"},
    {"Content-Type: a/b; name=caf\xe9.exe\n\n", "caf" FFFD ".exe a/b 0", "-"},
    {"Content-Type: a/b;\n\tname=\"folded\n name.exe\"\n\n", "folded name.exe a/b 0", "-"},
    {"Content-Disposition: ATTACHMENT; FileName=x\nContent-Type: text/plain\n\nabc", "x text/plain 3", "-"},
    {"Content-Type: a/b; name=one\nContent-Type: c/d; name=two\n\n", "one a/b 0", "-"},
    /* A text with a name is shown by mail readers: it is both. */
    {"Content-Type: text/plain; name=a.txt\n\nabc\n", "a.txt text/plain 4", "abc\n"},
    /* Parts. */
    {MIXED "preamble\n--b\n\none\n--b\nContent-Type: text/html\n\n<p>two\n\n--b\nContent-Type: a/b; name=f\n\n12\n34\n--b--\nepilogue\n",
     "f a/b 5", "one\n<p>two\n"},
    {MIXED "\r\n--b\r\nContent-Type: a/b; name=f\r\n\r\n12\r\n34\r\n--b--\r\n", "f a/b 6", "-"},
    {MIXED "--b  \t \nContent-Type: a/b; name=f\n\n1\n--b-- \n--b\n\nno\n", "f a/b 1", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f\n\n--bc\n--\n-b\n---b\n -b\n--b\n\nx\n--b--\n", "f a/b 19", "x"},
    {MIXED "--b\nContent-Type: a/b; name=f\n\n-\r\n--b--\n", "f a/b 1", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f\n\n\n--b--\n", "f a/b 0", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f\n\n\n\n--b--\n", "f a/b 1", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f\n\n--b--\n", "f a/b 0", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f\n--b\nContent-Type: a/b; name=g\n--b--\n", "f a/b 0, g a/b 0", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f\n\nab\rc\r\r\n--b--\n", "f a/b 5", "-"},
    {"Content-Type: multipart/mixed; boundary=\"a b \"\n\n--a b\nContent-Type: a/b; name=f\n\n1\n--a b--\n", "f a/b 1", "-"},
    {"Content-Type: multipart/mixed; boundary=\"b--\"\n\n--b--\nContent-Type: a/b; name=f\n\n1\n--b----\n", "f a/b 1", "-"},
    /* Multiparts within. */
    {MIXED "--b\nContent-Type: multipart/alternative; boundary=\"bb\"\n\n--bb\n\none\n--bb\nContent-Type: a/b; "
           "name=f\n\n1\n--bb--\n\n--b\n\ntwo\n--b--\n",
     "f a/b 1", "one\ntwo"},
    {MIXED
     "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: a/b; name=f\n\n12\n--b\nContent-Type: a/b; name=g\n\n3\n--b--\n",
     "f a/b 2, g a/b 1", "-"},
    /* Broken: no end, no boundary, boundary in the preamble's middle, no header, junk in the header. */
    {MIXED "--b\nContent-Type: a/b; name=f\n\n12\n", "f a/b 3", "-"},
    {MIXED "--b\nContent-Type: a/b; name=f", "f a/b 0", "-"},
    {MIXED "--b", "-", "-"},
    {MIXED "no boundary at all\n", "-", "-"},
    {MIXED "x --b\n--b \n\none\n--b--", "-", "one"},
    {"Content-Type: multipart/mixed\n\n--b\nContent-Type: a/b; name=f\n\n1\n--b--\n", "-", "-"},
    {"Content-Type: multipart/mixed; name=f.exe\n\n1\n", "f.exe multipart/mixed 2", "-"},
    {"Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\none\n----\n", "-", "-"},
    {MIXED "--b\nthis is no field\nContent-Type: a/b;\n name=f\n\n1\n--b--\n", "f a/b 1", "-"},
    {MIXED "--b\nX-\xff\x80: \xff\nContent-Type : a/b; name=f\n\n1\n--b--\n", "f a/b 1", "-"},
    {MIXED "--b\n continued: by nothing\n\none\n--b--\n", "-", "one"},
    /* Messages within. */
    {MIXED "--b\nContent-Type: message/rfc822\n\nSubject: in\n\nhello\n--b--\n", "-", "hello"},
    {MIXED "--b\nContent-Type: message/rfc822; name=m.eml\n\nContent-Type: a/b; name=f\n\n12\n--b\n\nout\n--b--\n",
     "m.eml message/rfc822 29, f a/b 2", "out"},
    {"Content-Type: message/rfc822\nContent-Disposition: attachment\n\nContent-Type: message/rfc822\n\nContent-Type: a/b; name=f\n\n123\n",
     "message/rfc822 61, f a/b 4", "-"},
    {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n"
     "Q29udGVudC1UeXBlOiBhL2I7IG5hbWU9ZgoKMTIzCg==\n",
     "message/rfc822 31, f a/b 4", "-"},
    {"Content-Type: message/global\nContent-Transfer-Encoding: quoted-printable\n\nContent-Type:=20a/b; name=3Df\n\n123\n", "f a/b 4", "-"},
    {"Content-Type: multipart/digest; boundary=b\n\n--b\n\nContent-Type: a/b; name=f\n\n12\n--b\nContent-Type: text/plain\n\nhi\n--b--\n",
     "f a/b 2", "hi"},
    {"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n", "-", "-"},
    {"Content-Type: message/partial; id=x; number=1; name=p\n\nContent-Type: a/b; name=f\n\n1\n", "p message/partial 29", "-"},
};

static const size_t pieces[] = {65536, 1, 2, 3, 5, 7, 11, 64};

static void check_case(Slice text, const char *attachments, const char *body, size_t piece) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  (void)message_feed(message, &message_all_needs, text, piece);
  message_facts(message, session);
  ck_assert_msg(strcmp(message_fact_text(session, FACT_ATTACHMENT), attachments) == 0, "%s\npieces of %zu: %s", text.data, piece,
                message_fact_text(session, FACT_ATTACHMENT));
  ck_assert_msg(strcmp(message_fact_text(session, FACT_BODY), body) == 0, "%s\npieces of %zu: %s", text.data, piece,
                message_fact_text(session, FACT_BODY));
  ck_assert_str_eq(message_fact_text(session, FACT_BODY_TRUNCATED), "false");
}

START_TEST(structure_is_found) {
  for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
    check_case(slice_from(cases[_i].message), cases[_i].attachments, cases[_i].body, pieces[i]);
  }
}
END_TEST

START_TEST(a_nul_is_a_byte) {
  check_case(SLICE_LITERAL(MIXED "--b\nContent-Type: a/b; name=f\0g\n\n1\0\0\n--b\n\na\0b\n--b--\n"), "f" FFFD "g a/b 3", "a" FFFD "b", 3);
}
END_TEST

START_TEST(records_have_their_fields) {
  g_autoptr(Message) message = message_new(&message_usual_limits);
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  (void)message_feed(message, &message_all_needs, SLICE_LITERAL("Content-Disposition: attachment\n\n12"), 1);
  message_facts(message, session);
  const Value *list = session_get(session, FACT_ATTACHMENT);
  ck_assert_uint_eq(list->as.list->count, 1);
  const ValueRecord *record = list->as.list->items[0].as.record;
  ck_assert_int_eq(record->kind, RECORD_ATTACHMENT);
  ck_assert_int_eq(record->fields[ATTACHMENT_FIELD_NAME].state, VALUE_UNSET);
  ck_assert(slice_equal(record->fields[ATTACHMENT_FIELD_TYPE].as.text, SLICE_LITERAL("text/plain")));
  ck_assert_int_eq(record->fields[ATTACHMENT_FIELD_SIZE].type, TYPE_SIZE);
  ck_assert_int_eq(record->fields[ATTACHMENT_FIELD_SIZE].as.number, 2);
}
END_TEST

/* Limits */

static const char *facts_of(Session *session, const MessageLimits *limits, Slice text, Fact fact) {
  g_autoptr(Message) message = message_new(limits);
  session_reset_message(session);
  (void)message_feed(message, &message_all_needs, text, 4096);
  message_facts(message, session);
  const char *told = message_fact_text(session, fact);
  session_reset_message(session);
  return told;
}

START_TEST(parts_have_a_limit) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  for (int parts = LIMIT_MIME_PARTS - 1; parts <= LIMIT_MIME_PARTS + 1; parts++) {
    g_autoptr(GString) text = g_string_new(MIXED);
    for (int i = 1; i < parts; i++) { /* the multipart is one */
      g_string_append(text, "--b\n\n\n");
    }
    g_string_append(text, "--b--\n");
    const char *told = facts_of(session, &message_usual_limits, slice_from(text->str), FACT_ATTACHMENT);
    ck_assert_str_eq(told, parts <= LIMIT_MIME_PARTS ? "-" : "? more than 1000 parts");
    told = facts_of(session, &message_usual_limits, slice_from(text->str), FACT_BODY_TRUNCATED);
    ck_assert_str_eq(told, parts <= LIMIT_MIME_PARTS ? "false" : "true");
  }
}
END_TEST

/* `#` in the header becomes the depth. */
static void nested(GString *text, int depth, const char *header, const char *innermost) {
  g_string_truncate(text, 0);
  for (int i = 0; i < depth; i++) {
    g_autofree char *number = g_strdup_printf("%d", i);
    g_auto(GStrv) words = g_strsplit(header, "#", -1);
    g_autofree char *level = g_strjoinv(number, words);
    g_string_append(text, level);
  }
  g_string_append(text, innermost);
}

START_TEST(depth_has_a_limit) {
  static const char *const headers[] = {"Content-Type: multipart/mixed; boundary=b#\n\n--b#\n", "Content-Type: message/rfc822\n\n"};
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
    for (int depth = LIMIT_MIME_DEPTH - 1; depth <= LIMIT_MIME_DEPTH + 1; depth++) {
      nested(text, depth, headers[i], "Content-Type: a/b; name=f\n\n1");
      const char *told = facts_of(session, &message_usual_limits, slice_from(text->str), FACT_ATTACHMENT);
      ck_assert_str_eq(told, depth <= LIMIT_MIME_DEPTH ? "f a/b 1" : "? parts within parts, more than 100 deep");
    }
  }
}
END_TEST

/* Encoded messages within encoded messages: a reader each. */
START_TEST(depth_of_encoded_messages) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autofree char *text = g_strdup("Content-Type: a/b; name=f\n\n1");
  for (int depth = 1; depth <= LIMIT_MIME_ENCODED + 1; depth++) {
    g_autofree char *inner = text;
    g_autofree char *encoded = g_base64_encode((const guchar *)inner, strlen(inner));
    text = g_strdup_printf("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n%s\n", encoded);
    ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(text), FACT_ATTACHMENT),
                     depth <= LIMIT_MIME_ENCODED ? "f a/b 1" : "? encoded messages within each other, more than 8 deep");
  }
  /* One behind the other they are many. */
  g_autoptr(GString) many = g_string_new(MIXED);
  for (int i = 0; i < 2 * LIMIT_MIME_ENCODED; i++) {
    g_string_append(many, "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n\nx\n");
  }
  ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(many->str), FACT_ATTACHMENT), "-");
}
END_TEST

START_TEST(long_boundaries_and_fields) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  for (size_t length = LIMIT_MIME_BOUNDARY - 1; length <= LIMIT_MIME_BOUNDARY + 1; length++) {
    g_autofree char *b = g_strnfill(length, 'b');
    g_autofree char *text =
        g_strdup_printf("Content-Type: multipart/x; boundary=%s\n\n--%s\nContent-Type: a/b; name=f\n\n1\n--%s--  \n", b, b, b);
    ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(text), FACT_ATTACHMENT),
                     length <= LIMIT_MIME_BOUNDARY ? "f a/b 1" : "? a boundary of more than 2048 bytes");
  }
  g_autofree char *name = g_strnfill(LIMIT_MIME_FIELD, 'n');
  g_autofree char *first = g_strdup_printf("Content-Type: a/b; name=%s\n\n1", name);
  g_autofree char *within = g_strdup_printf(MIXED "--b\nX-Long: %s\nContent-Type: a/b; name=%s\n\n1", name, name);
  g_autofree char *other = g_strdup_printf(MIXED "--b\nX-Long: %s%s\nContent-Type: a/b; name=f\n\n1", name, name);
  const char *problem = "? a header field of a part of more than 16384 bytes";
  ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(first), FACT_ATTACHMENT), problem);
  ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(first), FACT_BODY_TRUNCATED), "true");
  ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(within), FACT_ATTACHMENT), problem);
  ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(other), FACT_ATTACHMENT), "f a/b 1");
}
END_TEST

/* A line of any length that begins like a boundary, and one with a long tail of blanks that is one. */
START_TEST(long_lines) {
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autofree char *blanks = g_strnfill(10000, ' ');
  g_autofree char *text = g_strdup_printf(MIXED "--b%s\nContent-Type: a/b; name=f\n\n--c%s\n--b--%s\n", blanks, blanks, blanks);
  ck_assert_str_eq(facts_of(session, &message_usual_limits, slice_from(text), FACT_ATTACHMENT), "f a/b 10003");
}
END_TEST

START_TEST(names_past_the_memory) {
  static const MessageLimits small = {4096, 1024};
  g_autoptr(Session) session = session_new(DOOR_MILTER);
  g_autoptr(GString) text = g_string_new(MIXED);
  g_autofree char *name = g_strnfill(1000, 'n');
  for (int i = 0; i < 4; i++) {
    g_string_append_printf(text, "--b\nContent-Type: a/b; name=%s\n\n1\n", name);
  }
  ck_assert_str_eq(facts_of(session, &small, slice_from(text->str), FACT_ATTACHMENT), "? attachments' names past the limit of 4096 bytes");
}
END_TEST

/* Against GMime's own parser: well-formed messages of any shape, made from a seed. */

typedef struct Shape {
  GRand *random;
  GString *text;
  int serial, parts;
} Shape;

static void append_part(Shape *shape, int depth);

static void append_multipart(Shape *shape, int depth) {
  int boundary = shape->serial++;
  bool digest = g_rand_boolean(shape->random);
  g_string_append_printf(shape->text, "Content-Type: multipart/%s; boundary=\"=_%d\"\n\n", digest ? "digest" : "mixed", boundary);
  if (g_rand_boolean(shape->random)) {
    g_string_append(shape->text, "A preamble\n-- b\n\n");
  }
  for (int i = g_rand_int_range(shape->random, 1, 4); i > 0; i--) {
    g_string_append_printf(shape->text, "--=_%d\n", boundary);
    append_part(shape, depth + 1);
    g_string_append_c(shape->text, '\n');
  }
  g_string_append_printf(shape->text, "--=_%d--\n%s", boundary, g_rand_boolean(shape->random) ? "\nAn epilogue\n" : "");
}

static void append_leaf(Shape *shape) {
  static const char *const types[] = {"application/zip", "image/PNG", "text/plain", "text/html", "application/octet-stream"};
  static const char *const encodings[] = {"7bit", "base64", "quoted-printable"};
  int encoding = g_rand_int_range(shape->random, 0, 3);
  g_string_append_printf(shape->text, "Content-Type: %s; name=\"file %d.bin\"\nContent-Transfer-Encoding: %s\n\n",
                         types[g_rand_int_range(shape->random, 0, 5)], shape->serial++, encodings[encoding]);
  g_autoptr(GString) content = g_string_new(NULL);
  for (int i = g_rand_int_range(shape->random, 0, 200); i > 0; i--) {
    g_string_append_c(content, "abc-- \n\n-.:"[g_rand_int_range(shape->random, 0, 11)]);
  }
  if (encoding == 1) {
    g_autofree char *encoded = g_base64_encode((const guchar *)content->str, content->len);
    g_string_append(shape->text, encoded);
  } else {
    g_string_append(shape->text, content->str);
  }
}

static void append_part(Shape *shape, int depth) {
  shape->parts++;
  int kind = depth > 5 ? 0 : g_rand_int_range(shape->random, 0, 5);
  if (kind == 0 || kind == 1) {
    append_leaf(shape);
  } else if (kind == 2) {
    g_string_append_printf(shape->text, "Content-Type: message/rfc822\nContent-Disposition: inline\n\nSubject: %d\n", shape->serial++);
    append_part(shape, depth + 1);
  } else {
    append_multipart(shape, depth);
  }
}

static void describe(GMimeObject *part, GString *told) {
  if (!GMIME_IS_PART(part)) {
    return;
  }
  g_autofree char *type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(part));
  g_autofree char *lower = g_ascii_strdown(type, -1);
  GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(part));
  GMimeStream *nowhere = g_mime_stream_null_new();
  gint64 size = content ? g_mime_data_wrapper_write_to_stream(content, nowhere) : 0;
  g_object_unref(nowhere);
  const char *name = g_mime_part_get_filename(GMIME_PART(part));
  if (name) {
    g_string_append_printf(told, "%s%s %s %" G_GINT64_FORMAT, told->len > 0 ? ", " : "", name, lower, size);
  }
}

static char *as_gmime_sees_it(const GString *text) {
  GMimeStream *stream = g_mime_stream_mem_new_with_buffer(text->str, text->len);
  GMimeParser *parser = g_mime_parser_new_with_stream(stream);
  GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
  GString *told = g_string_new(NULL);
  GMimePartIter *iterator = g_mime_part_iter_new(GMIME_OBJECT(message));
  do {
    describe(g_mime_part_iter_get_current(iterator), told);
  } while (g_mime_part_iter_next(iterator));
  g_mime_part_iter_free(iterator);
  g_object_unref(message);
  g_object_unref(parser);
  g_object_unref(stream);
  return g_string_free(told, told->len == 0);
}

START_TEST(gmime_sees_the_same) {
  g_mime_init();
  GRand *random = g_rand_new_with_seed(20260302);
  size_t longest = 0;
  for (int i = 0; i < 2000; i++) {
    g_autoptr(GString) text = g_string_new("Subject: any\n");
    Shape shape = {random, text, 0, 0};
    append_part(&shape, 0);
    g_autofree char *expected = as_gmime_sees_it(text);
    g_autoptr(Message) message = message_new(&message_usual_limits);
    g_autoptr(Session) session = session_new(DOOR_MILTER);
    (void)message_feed(message, &message_all_needs, slice_from(text->str), (size_t)g_rand_int_range(random, 1, 100));
    message_facts(message, session);
    const char *told = message_fact_text(session, FACT_ATTACHMENT);
    ck_assert_msg(strcmp(told, expected ? expected : "-") == 0, "%s\n---\ngmime: %s\nours:  %s", text->str, expected, told);
    longest = MAX(longest, strlen(told));
  }
  ck_assert_uint_gt(longest, 500);
  g_rand_free(random);
}
END_TEST

/* Fields of random pieces, simple and not: what part_read makes of them is what GMime does. */

static char *random_field(GRand *random, const char *value) {
  static const char *const names[] = {"boundary", "charset", "NAME", "filename", "x", "name*", "name*0", "format"};
  static const char *const values[] = {
      "abc",     "\"a b\"",    "\"a;b=c\"", "\"a\\\"b\"",  "utf-8", "=?utf-8?q?a?=", "\"=?utf-8?q?=C3=A4?=\"", "",     "\"\"",
      "\" a \"", "\"unclosed", "a/b",       "utf-8''%41b", "a'b",   "x.exe",         "\"caf\xc3\xa9\"",        "a(b)", "b@c"};
  static const char *const blanks[] = {"", " ", "\t", "\r\n ", "  "};
  GString *field = g_string_new(value);
  for (int i = g_rand_int_range(random, 0, 4); i > 0; i--) {
    g_string_append_printf(field, "%s;%s%s%s=%s%s", blanks[g_rand_int_range(random, 0, 5)], blanks[g_rand_int_range(random, 0, 5)],
                           names[g_rand_int_range(random, 0, 8)], blanks[g_rand_int_range(random, 0, 3)],
                           blanks[g_rand_int_range(random, 0, 3)], values[g_rand_int_range(random, 0, G_N_ELEMENTS(values))]);
  }
  return g_string_free(field, FALSE);
}

static const char *known(const char *text) {
  return text && *text ? text : NULL;
}

START_TEST(fields_are_as_gmime_reads_them) {
  static const char *const types[] = {"text/plain", "Multipart/MIXED", "a/b ", " a/b", "application/x-y.z+q", "message/RFC822", "a / b"};
  static const char *const dispositions[] = {"attachment", "INLINE", " attachment ", "x"};
  GRand *random = g_rand_new_with_seed(20260303);
  size_t named = 0;
  g_mime_init();
  for (int i = 0; i < 20000; i++) {
    g_autofree char *type = random_field(random, types[g_rand_int_range(random, 0, G_N_ELEMENTS(types))]);
    g_autofree char *disposition = random_field(random, dispositions[g_rand_int_range(random, 0, G_N_ELEMENTS(dispositions))]);
    g_autofree char *type_line = header_unfold(slice_trim(slice_from(type)));
    g_autofree char *disposition_line = header_unfold(slice_trim(slice_from(disposition)));
    GMimeContentType *content_type = g_mime_content_type_parse(message_parser_options(), type_line);
    GMimeContentDisposition *content_disposition = g_mime_content_disposition_parse(message_parser_options(), disposition_line);
    g_autofree char *mime_type = g_mime_content_type_get_mime_type(content_type);
    g_autofree char *lower = g_ascii_strdown(mime_type, -1);
    const char *filename = known(g_mime_content_disposition_get_parameter(content_disposition, "filename"));
    const char *name = filename ? filename : known(g_mime_content_type_get_parameter(content_type, "name"));
    PartHeader header = {{[PART_TYPE] = slice_from(type), [PART_DISPOSITION] = slice_from(disposition)}};
    Part part;
    part_read(&part, &header, false);
    ck_assert_msg(strcmp(part.type, lower) == 0, "%s: %s, not %s", type, part.type, lower);
    ck_assert_msg(g_strcmp0(part.name, name) == 0, "%s: %s: %s, not %s", type, disposition, part.name, name);
    const char *charset = known(g_mime_content_type_get_parameter(content_type, "charset"));
    ck_assert_msg(g_strcmp0(part.charset, charset) == 0, "%s: %s, not %s", type, part.charset, charset);
    const char *boundary = part.is_multipart ? known(g_mime_content_type_get_parameter(content_type, "boundary")) : NULL;
    ck_assert_msg(g_strcmp0(part.boundary, boundary) == 0, "%s: %s, not %s", type, part.boundary, boundary);
    ck_assert_int_eq(part.is_put_aside, g_mime_content_disposition_is_attachment(content_disposition));
    named += part.name != NULL;
    part_clear(&part);
    g_object_unref(content_type);
    g_object_unref(content_disposition);
  }
  ck_assert_uint_gt(named, 5000);
  g_rand_free(random);
}
END_TEST

/* Base64 that is only counted: well-formed as much as was encoded, else what there is. */
static const struct {
  const char *content, *size;
} counted[] = {
    {"", "0"},    {"AAAA", "3"}, {"AAA=", "2"}, {"AA==", "1"},     {"AAA", "2"},         {"AA", "1"},    {"A", "0"},
    {"AA=", "1"}, {"A=A=", "0"}, {"====", "0"}, {"AA==AA==", "2"}, {"A A\r\nA-.A", "3"}, {"AAAA=", "3"}, {"AAAA====AAAA", "6"},
};

START_TEST(base64_is_counted) {
  for (size_t piece = 1; piece < 8; piece++) {
    g_autofree char *text = g_strdup_printf("Content-Type: a/b; name=f\nContent-Transfer-Encoding: base64\n\n%s", counted[_i].content);
    g_autofree char *expected = g_strdup_printf("f a/b %s", counted[_i].size);
    check_case(slice_from(text), expected, "-", piece);
  }
}
END_TEST

START_TEST(base64_is_counted_as_encoded) {
  GRand *random = g_rand_new_with_seed(20260304);
  for (int i = 0; i < 1000; i++) {
    guchar bytes[200];
    gsize length = (gsize)g_rand_int_range(random, 0, sizeof bytes);
    for (gsize k = 0; k < length; k++) {
      bytes[k] = (guchar)g_rand_int(random);
    }
    g_autofree char *encoded = g_base64_encode(bytes, length);
    g_autofree char *text = g_strdup_printf("Content-Type: a/b; name=f\nContent-Transfer-Encoding: base64\n\n%.60s\r\n%s\r\n", encoded,
                                            strlen(encoded) > 60 ? encoded + 60 : "");
    g_autofree char *expected = g_strdup_printf("f a/b %zu", length);
    check_case(slice_from(text), expected, "-", (size_t)g_rand_int_range(random, 1, 100));
  }
  g_rand_free(random);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, structure_is_found, 0, G_N_ELEMENTS(cases));
  tcase_add_test(tests, a_nul_is_a_byte);
  tcase_add_test(tests, records_have_their_fields);
  tcase_add_test(tests, parts_have_a_limit);
  tcase_add_test(tests, depth_has_a_limit);
  tcase_add_test(tests, depth_of_encoded_messages);
  tcase_add_test(tests, long_boundaries_and_fields);
  tcase_add_test(tests, long_lines);
  tcase_add_test(tests, names_past_the_memory);
  tcase_add_test(tests, gmime_sees_the_same);
  tcase_add_test(tests, fields_are_as_gmime_reads_them);
  tcase_add_loop_test(tests, base64_is_counted, 0, G_N_ELEMENTS(counted));
  tcase_add_test(tests, base64_is_counted_as_encoded);
}

UNIT_MAIN("message_mime", add_tests)
