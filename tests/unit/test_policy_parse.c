/* test_policy_parse.c: requests of the policy protocol, whole, split, pipelined and malformed. */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/policy.h"
#include "tests/unit/unit.h"

typedef struct Parsed {
  PolicyParse result;
  PolicyRequest request;
  size_t used;
  const char *problem;
  Slice excerpt;
} Parsed;

static Parsed parse(Slice bytes) {
  Parsed parsed = {0};
  PolicyParser parser = {0};
  parsed.result = policy_parse(&parser, bytes, &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt);
  return parsed;
}

#define HEAD "request=smtpd_access_policy\n"
#define RCPT HEAD "protocol_state=RCPT\n"

static void assert_text(Slice slice, const char *text) {
  ck_assert_msg(slice_equal(slice, slice_from(text)), "\"%.*s\" is not \"%s\"", SLICE_ARGS(slice), text);
}

START_TEST(test_whole) {
  static const char text[] = RCPT
      "protocol_name=ESMTP\nclient_address=192.0.2.25\nclient_name=unknown\nsender=\nrecipient=alice+a=b@example.test\ninstance=1.2."
      "3\nsize=500\n"
      "policy_context=ctx\nno_such_attribute=x\nserver_port=25\n\nrest";
  Parsed parsed = parse(slice_from(text));
  ck_assert_int_eq(parsed.result, POLICY_PARSE_REQUEST);
  ck_assert_uint_eq(parsed.used, strlen(text) - 4);
  assert_text(parsed.request.attributes[FACT_CLIENT_ADDRESS], "192.0.2.25");
  assert_text(parsed.request.attributes[FACT_RECIPIENT], "alice+a=b@example.test");
  assert_text(parsed.request.attributes[FACT_INSTANCE], "1.2.3");
  assert_text(parsed.request.attributes[FACT_SERVER_PORT], "25");
  assert_text(parsed.request.size, "500");
  assert_text(parsed.request.policy_context, "ctx");
  ck_assert_ptr_nonnull(parsed.request.attributes[FACT_SENDER].data);
  ck_assert_uint_eq(parsed.request.attributes[FACT_SENDER].length, 0);
  ck_assert_ptr_null(parsed.request.attributes[FACT_HELO_NAME].data);
  ck_assert_int_eq(policy_phase(&parsed.request), PHASE_RCPT);
}
END_TEST

/* Every fact whose row names an attribute of its own arrives, so the table made from fact.def has no holes. */
START_TEST(test_every_attribute) {
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const char *name = fact_info((Fact)fact)->policy_source;
    if (name == NULL || *name == '\0') {
      continue;
    }
    g_autofree char *text = g_strdup_printf(RCPT "%s=value of %d\n\n", name, fact);
    g_autofree char *value = g_strdup_printf("value of %d", fact);
    Parsed parsed = parse(slice_from(text));
    ck_assert_int_eq(parsed.result, POLICY_PARSE_REQUEST);
    if (strcmp(name, "size") == 0) {
      assert_text(parsed.request.size, value);
    } else if (strcmp(name, "policy_context") == 0) {
      assert_text(parsed.request.policy_context, value);
    } else {
      assert_text(parsed.request.attributes[fact], value);
    }
  }
}
END_TEST

static const struct {
  const char *state;
  Phase phase;
} states[] = {{"CONNECT", PHASE_CONNECT}, {"EHLO", PHASE_HELO},      {"HELO", PHASE_HELO},          {"MAIL", PHASE_MAIL},
              {"RCPT", PHASE_RCPT},       {"DATA", PHASE_DATA},      {"END-OF-MESSAGE", PHASE_EOM}, {"VRFY", PHASE_VRFY},
              {"ETRN", PHASE_ETRN},       {"XCLIENT", PHASE_CONNECT}};

START_TEST(test_states) {
  g_autofree char *text = g_strdup_printf(HEAD "protocol_state=%s\n\n", states[_i].state);
  Parsed parsed = parse(slice_from(text));
  ck_assert_int_eq(parsed.result, POLICY_PARSE_REQUEST);
  ck_assert_int_eq(policy_phase(&parsed.request), states[_i].phase);
}
END_TEST

START_TEST(test_first_of_two_stays) {
  Parsed parsed = parse(SLICE_LITERAL(RCPT "sender=a@b.test\nsender=c@d.test\nprotocol_state=DATA\nrequest=other\n\n"));
  ck_assert_int_eq(parsed.result, POLICY_PARSE_REQUEST);
  assert_text(parsed.request.attributes[FACT_SENDER], "a@b.test");
  ck_assert_int_eq(policy_phase(&parsed.request), PHASE_RCPT);
}
END_TEST

/* Byte by byte, in a buffer that moves each time. */
START_TEST(test_split_anywhere) {
  static const char text[] = RCPT "helo_name=mail.example.org\nsender=a@b.test\nrecipient=c@d.test\nsize=12\npolicy_context=mx\n\n";
  size_t length = strlen(text);
  PolicyParser parser = {0};
  PolicyRequest request;
  size_t used = 0;
  const char *problem = NULL;
  Slice excerpt;
  char *held = NULL;
  for (size_t have = 0; have <= length; have++) {
    char *moved = g_memdup2(text, have ? have : 1);
    PolicyParse result = policy_parse(&parser, slice_make(moved, have), &request, &used, &problem, &excerpt);
    g_free(held);
    held = moved;
    ck_assert_int_eq(result, have == length ? POLICY_PARSE_REQUEST : POLICY_PARSE_MORE);
  }
  ck_assert_uint_eq(used, length);
  assert_text(request.attributes[FACT_HELO_NAME], "mail.example.org");
  assert_text(request.attributes[FACT_RECIPIENT], "c@d.test");
  assert_text(request.size, "12");
  assert_text(request.policy_context, "mx");
  g_free(held);
}
END_TEST

START_TEST(test_pipelined) {
  static const char text[] = RCPT "sender=one@b.test\n\n" RCPT "recipient=two@b.test\n\n";
  Parsed first = parse(slice_from(text));
  ck_assert_int_eq(first.result, POLICY_PARSE_REQUEST);
  assert_text(first.request.attributes[FACT_SENDER], "one@b.test");
  ck_assert_ptr_null(first.request.attributes[FACT_RECIPIENT].data);
  Parsed second = parse(slice_from(text + first.used));
  ck_assert_int_eq(second.result, POLICY_PARSE_REQUEST);
  assert_text(second.request.attributes[FACT_RECIPIENT], "two@b.test");
  ck_assert_ptr_null(second.request.attributes[FACT_SENDER].data);
  ck_assert_uint_eq(first.used + second.used, strlen(text));
}
END_TEST

/* What the last request named is only a guess at what the next one names. */
START_TEST(test_other_order) {
  static const char *const texts[] = {
      RCPT "sender=one@b.test\nrecipient=r@b.test\nsize=1\n\n",
      RCPT "sender=two@b.test\nrecipient=r@b.test\nsize=2\n\n",
      RCPT "recipient=r@b.test\nsender=two@b.test\nsize=2\n\n",
      "protocol_state=RCPT\n" HEAD "size=2\nno_such_attribute=1\nrecipient=r@b.test\nsender=two@b.test\n\n",
      "size=2\n" RCPT "sender=two@b.test\nrecipient=r@b.test\nsender=three@b.test\nsenders=1\nsende=1\n\n",
      RCPT "sender=two@b.test\nsender=three@b.test\nrecipient=r@b.test\nsize=2\nsize=4\n\n",
  };
  PolicyParser parser = {0};
  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    Parsed parsed = {0};
    parsed.result = policy_parse(&parser, slice_from(texts[i]), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt);
    ck_assert_int_eq(parsed.result, POLICY_PARSE_REQUEST);
    ck_assert_uint_eq(parsed.used, strlen(texts[i]));
    assert_text(parsed.request.attributes[FACT_SENDER], i == 0 ? "one@b.test" : "two@b.test");
    assert_text(parsed.request.attributes[FACT_RECIPIENT], "r@b.test");
    assert_text(parsed.request.size, i == 0 ? "1" : "2");
  }
}
END_TEST

static void assert_same_request(const Parsed *a, const Parsed *b, const char *text) {
  ck_assert_msg(a->result == b->result && a->used == b->used && a->request.state == b->request.state, "%s", text);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    Slice one = a->request.attributes[fact], other = b->request.attributes[fact];
    ck_assert_msg(slice_equal(one, other) && (one.data == NULL) == (other.data == NULL), "%s in %s", fact_info((Fact)fact)->name, text);
  }
  ck_assert_msg(slice_equal(a->request.size, b->request.size), "%s", text);
  ck_assert_msg(slice_equal(a->request.policy_context, b->request.policy_context), "%s", text);
}

/* Whatever was read before, and wherever the request is split, it reads as it does for a new parser. */
START_TEST(test_after_others) {
  GString *many = g_string_new(RCPT), *endless = g_string_new(RCPT "helo_name=");
  for (int i = 0; i < 60; i++) {
    g_string_append_printf(many, "unknown_attribute_%d=with a value of its own\n", i);
    g_string_append(endless, "a.long.name.");
  }
  g_string_append(many, "sender=a@b.test\n\n");
  g_string_append(endless, "\nsender=a@b.test\nrecipient=\n\n");
  const char *const texts[] = {
      RCPT "client_address=192.0.2.1\nsender=one@b.test\nrecipient=r@b.test\nsize=1\npolicy_context=mx\n\n",
      RCPT "client_address=192.0.2.1\nsender=one@b.test\nrecipient=r@b.test\nsize=1\npolicy_context=mx\n\n",
      RCPT "client_address=192.0.2.100\nsender=o@b.test\nrecipient=r@b.test\nsize=12\npolicy_context=\n\n",
      RCPT "client_address=\nsender=\nrecipient=\nsize=\npolicy_context=submission\n\n",
      RCPT "client_address=192.0.2.1\nsender=one@b.test\nsender=two@b.test\nrecipient=r@b.test\nsize=1\nsize=2\n\n",
      RCPT "client_address=192.0.2.1\nsender=\nsender=three@b.test\nrecipient=r@b.test\nsize=\nsize=3\n\n",
      RCPT "client_address=192.0.2.1\nsender=one@b.test\nrecipients=r@b.test\nsize=1\n\n",
      RCPT "client_address=192.0.2.1\nsender=one@b.test\nrecipient=r@b.test\nrecipient_=1\n\n",
      "protocol_state=DATA\n" HEAD "sender=one@b.test\nrecipient=r@b.test\n\n",
      "protocol_state=DATA\n" HEAD "request=other\nsender=one@b.test\nrecipient=r@b.test\n\n",
      "protocol_state=MAIL\n" HEAD "request=others\nsender=one@b.test\n\n",
      "sender=one@b.test\nprotocol_state=MAIL\n" HEAD "\n",
      HEAD "protocol_state=END-OF-MESSAGE\nsize=100\n\n",
      many->str,
      endless->str,
  };
  for (size_t before = 0; before < G_N_ELEMENTS(texts); before++) {
    PolicyParser learned = {0};
    Parsed first = {0};
    first.result = policy_parse(&learned, slice_from(texts[before]), &first.request, &first.used, &first.problem, &first.excerpt);
    ck_assert_int_eq(first.result, POLICY_PARSE_REQUEST);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
      Parsed expected = parse(slice_from(texts[i]));
      for (size_t split = 0; split <= strlen(texts[i]); split++) {
        PolicyParser parser = learned;
        Parsed parsed = {0};
        parsed.result = policy_parse(&parser, slice_make(texts[i], split), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt);
        if (split < strlen(texts[i])) {
          ck_assert_int_eq(parsed.result, POLICY_PARSE_MORE);
          parsed.result = policy_parse(&parser, slice_from(texts[i]), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt);
        }
        assert_same_request(&parsed, &expected, texts[i]);
      }
    }
  }
  g_string_free(many, TRUE);
  g_string_free(endless, TRUE);
}
END_TEST

/* What was right in the last request may be wrong in this one. */
START_TEST(test_wrong_after_right) {
  static const char right[] = RCPT "sender=a@b.test\n\n";
  static const struct {
    const char *text, *problem;
  } wrong[] = {
      {"request=smtpd_access_policies\nprotocol_state=RCPT\nsender=a@b.test\n\n", "a request other than smtpd_access_policy"},
      {"request=smtpd_access_polic\nprotocol_state=RCPT\nsender=a@b.test\n\n", "a request other than smtpd_access_policy"},
      {HEAD "protocol_state=RCPTS\nsender=a@b.test\n\n", "an unknown protocol_state"},
      {HEAD "protocol_state=RCP\nsender=a@b.test\n\n", "an unknown protocol_state"},
      {HEAD "protocol_states=RCPT\nsender=a@b.test\n\n", "a request without protocol_state"},
      {RCPT "sender\n\n", "a line without \"=\""},
      {RCPT "sender=a@b.test\n.\n", "a line without \"=\""},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
    PolicyParser parser = {0};
    Parsed parsed = {0};
    ck_assert_int_eq(policy_parse(&parser, slice_from(right), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt),
                     POLICY_PARSE_REQUEST);
    ck_assert_int_eq(policy_parse(&parser, slice_from(wrong[i].text), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt),
                     POLICY_PARSE_MALFORMED);
    ck_assert_str_eq(parsed.problem, wrong[i].problem);
  }
}
END_TEST

static const struct {
  Slice text;
  const char *problem, *excerpt;
} malformed[] = {
    {SLICE_LITERAL("GET / HTTP/1.0\r\n"), "a line without \"=\"", "GET / HTTP/1.0\r"},
    {SLICE_LITERAL(HEAD "protocol_state\n"), "a line without \"=\"", "protocol_state"},
    {SLICE_LITERAL(HEAD "sender=a\0b\n\n"), "a NUL byte", ""},
    {SLICE_LITERAL("request=other\n\n"), "a request other than smtpd_access_policy", "request=other"},
    {SLICE_LITERAL("protocol_state=RCPT\n\n"), "a request without request=smtpd_access_policy", "protocol_state=RCPT\n"},
    {SLICE_LITERAL(HEAD "\n"), "a request without protocol_state", HEAD},
    {SLICE_LITERAL(HEAD "protocol_state=BDAT\n\n"), "an unknown protocol_state", "BDAT"},
    {SLICE_LITERAL(HEAD "protocol_state=\n\n"), "an unknown protocol_state", ""},
    {SLICE_LITERAL("\n"), "a request without request=smtpd_access_policy", ""},
    {SLICE_LITERAL(HEAD "protocol_state=RCPT\r\n\r\n"), "a line without \"=\"", "\r"},
};

/* Each is malformed in the same way for a parser that has just read a good request. */
START_TEST(test_malformed) {
  Parsed parsed = parse(malformed[_i].text);
  PolicyParser parser = {0};
  Parsed second = {0};
  static const char good[] = RCPT "sender=a@b.test\n\n";
  ck_assert_int_eq(policy_parse(&parser, slice_from(good), &second.request, &second.used, &second.problem, &second.excerpt),
                   POLICY_PARSE_REQUEST);
  ck_assert_int_eq(policy_parse(&parser, malformed[_i].text, &second.request, &second.used, &second.problem, &second.excerpt),
                   POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(second.problem, malformed[_i].problem);
  ck_assert_int_eq(parsed.result, POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(parsed.problem, malformed[_i].problem);
  ck_assert_msg(slice_starts_with(parsed.excerpt, slice_from(malformed[_i].excerpt)), "excerpt %.*s", SLICE_ARGS(parsed.excerpt));
}
END_TEST

static GString *request_with_line(size_t value_length) {
  GString *text = g_string_new(RCPT "sender=");
  for (size_t i = 0; i < value_length; i++) {
    g_string_append_c(text, 'x');
  }
  return text;
}

START_TEST(test_line_limit) {
  size_t name = strlen("sender=");
  g_autoptr(GString) fits = request_with_line(LIMIT_POLICY_LINE - name);
  g_string_append(fits, "\n\n");
  ck_assert_int_eq(parse(slice_make(fits->str, fits->len)).result, POLICY_PARSE_REQUEST);
  g_autoptr(GString) over = request_with_line(LIMIT_POLICY_LINE - name + 1);
  Parsed parsed = parse(slice_make(over->str, over->len)); /* refused before its end comes */
  ck_assert_int_eq(parsed.result, POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(parsed.problem, "a line that is too long");
  /* Also in the line of which the last request had the same name. */
  PolicyParser parser = {0};
  ck_assert_int_eq(policy_parse(&parser, slice_make(fits->str, fits->len), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt),
                   POLICY_PARSE_REQUEST);
  g_string_append(over, "\n\n");
  ck_assert_int_eq(policy_parse(&parser, slice_make(over->str, over->len), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt),
                   POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(parsed.problem, "a line that is too long");
}
END_TEST

START_TEST(test_request_limit) {
  g_autoptr(GString) text = g_string_new(RCPT);
  while (text->len <= LIMIT_POLICY_REQUEST) {
    g_string_append(text, "x=");
    for (int i = 0; i < 8000; i++) {
      g_string_append_c(text, 'y');
    }
    g_string_append_c(text, '\n');
  }
  Parsed parsed = parse(slice_make(text->str, text->len));
  ck_assert_int_eq(parsed.result, POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(parsed.problem, "a request that is too long");
}
END_TEST

START_TEST(test_attribute_limit) {
  g_autoptr(GString) text = g_string_new(RCPT);
  for (int i = 2; i < LIMIT_POLICY_ATTRIBUTES; i++) {
    g_string_append_printf(text, "x%d=\n", i);
  }
  g_autofree char *fits = g_strconcat(text->str, "\n", NULL);
  ck_assert_int_eq(parse(slice_from(fits)).result, POLICY_PARSE_REQUEST);
  g_string_append(text, "one=more\n");
  Parsed parsed = parse(slice_make(text->str, text->len));
  ck_assert_int_eq(parsed.result, POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(parsed.problem, "a request with too many attributes");
  g_autoptr(GString) known = g_string_new(RCPT);
  for (int i = 2; i < LIMIT_POLICY_ATTRIBUTES; i++) {
    g_string_append(known, "sender=\n");
  }
  g_autofree char *known_fits = g_strconcat(known->str, "\n", NULL);
  g_string_append(known, "sender=\n\n");
  PolicyParser parser = {0};
  ck_assert_int_eq(policy_parse(&parser, slice_from(known_fits), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt),
                   POLICY_PARSE_REQUEST);
  ck_assert_int_eq(
      policy_parse(&parser, slice_make(known->str, known->len), &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt),
      POLICY_PARSE_MALFORMED);
  ck_assert_str_eq(parsed.problem, "a request with too many attributes");
}
END_TEST

/* What the state says about the facts. */
static Session *facts_of(Parsed *parsed) {
  static const PolicyOptions options = {.server_name = "mx.example.test", .service = "mx", .deadline_ms = 8000, .owned = PHASES_ALL};
  Session *session = session_new(DOOR_POLICY);
  policy_facts(session, &parsed->request, &options);
  return session;
}

static void assert_fact(Session *session, Fact fact, const char *text) {
  g_autoptr(Arena) arena = arena_new(0);
  const Value *value = session_get(session, fact);
  ck_assert_int_eq(value->state, text ? VALUE_SET : VALUE_UNSET);
  if (text != NULL) {
    assert_text(value_format(arena, value), text);
  }
}

START_TEST(test_facts_rcpt) {
  Parsed parsed =
      parse(SLICE_LITERAL(RCPT "protocol_name=ESMTP\nclient_name=unknown\nclient_address=192.0.2.1\nsender=\nrecipient=A@B.Test\nsize=500\n"
                               "recipient_count=0\nstress=\n\n"));
  g_autoptr(Session) session = facts_of(&parsed);
  assert_fact(session, FACT_CLIENT_ADDRESS, "192.0.2.1");
  assert_fact(session, FACT_CLIENT_NAME, NULL);
  assert_fact(session, FACT_PROTOCOL_NAME, "esmtp");
  ck_assert_int_eq(session_get(session, FACT_SENDER)->state, VALUE_SET); /* the null sender is an address */
  assert_fact(session, FACT_RECIPIENT, "A@b.test");
  ck_assert_int_eq(session_get(session, FACT_SIZE)->as.number, 500);
  assert_fact(session, FACT_MESSAGE_SIZE, NULL);
  assert_fact(session, FACT_RECIPIENT_COUNT, NULL);
  assert_fact(session, FACT_SERVICE, "mx");
  assert_fact(session, FACT_POLICY_CONTEXT, NULL);
  assert_fact(session, FACT_SERVER_NAME, "mx.example.test");
}
END_TEST

START_TEST(test_facts_by_state) {
  Parsed eom =
      parse(SLICE_LITERAL(HEAD "protocol_state=END-OF-MESSAGE\nsender=a@b.test\nsize=312\nrecipient_count=2\npolicy_context=in\n\n"));
  g_autoptr(Session) at_eom = facts_of(&eom);
  ck_assert_int_eq(session_get(at_eom, FACT_MESSAGE_SIZE)->as.number, 312);
  assert_fact(at_eom, FACT_SIZE, NULL);
  assert_fact(at_eom, FACT_RECIPIENT_COUNT, "2");
  assert_fact(at_eom, FACT_SERVICE, "in");
  assert_fact(at_eom, FACT_POLICY_CONTEXT, "in");
  /* Postfix calls both SMTP at this state */
  Parsed ehlo = parse(SLICE_LITERAL(HEAD "protocol_state=EHLO\nprotocol_name=SMTP\nhelo_name=x.test\nsender=\n\n"));
  g_autoptr(Session) at_ehlo = facts_of(&ehlo);
  assert_fact(at_ehlo, FACT_PROTOCOL_NAME, "esmtp");
  assert_fact(at_ehlo, FACT_SENDER, NULL);
  Parsed helo = parse(SLICE_LITERAL(HEAD "protocol_state=HELO\nprotocol_name=SMTP\nhelo_name=x.test\n\n"));
  g_autoptr(Session) at_helo = facts_of(&helo);
  assert_fact(at_helo, FACT_PROTOCOL_NAME, "smtp");
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, test_whole);
  tcase_add_test(tests, test_every_attribute);
  tcase_add_loop_test(tests, test_states, 0, G_N_ELEMENTS(states));
  tcase_add_test(tests, test_first_of_two_stays);
  tcase_add_test(tests, test_split_anywhere);
  tcase_add_test(tests, test_pipelined);
  tcase_add_test(tests, test_other_order);
  tcase_add_test(tests, test_after_others);
  tcase_add_test(tests, test_wrong_after_right);
  tcase_add_loop_test(tests, test_malformed, 0, G_N_ELEMENTS(malformed));
  tcase_add_test(tests, test_line_limit);
  tcase_add_test(tests, test_request_limit);
  tcase_add_test(tests, test_attribute_limit);
  tcase_add_test(tests, test_facts_rcpt);
  tcase_add_test(tests, test_facts_by_state);
}

UNIT_MAIN("policy_parse", add_tests)
