/* test_decision_log.c: the line of a decision: what is in it, how strangers' text is quoted, and when there is none. */
#include <string.h>
#include <unistd.h>

#include "common/service/decision_log.h"
#include "tests/unit/unit.h"

static Config config;
static Session *session;

static void setup(void) {
  config = (Config){.decisions = DECISIONS_RULED};
  session = session_new(DOOR_POLICY);
  ck_assert(session_set(session, FACT_CLIENT_ADDRESS, SLICE_LITERAL("192.0.2.1")));
  ck_assert(session_set(session, FACT_HELO_NAME, SLICE_LITERAL("mail.example.org")));
  ck_assert(session_set(session, FACT_SENDER, SLICE_LITERAL("a@b.test")));
  ck_assert(session_set(session, FACT_RECIPIENT, SLICE_LITERAL("c@d.test")));
}

static void teardown(void) {
  session_free(session);
}

static Verdict reject(const Slice *text) {
  return (Verdict){.outcome = OUTCOME_REJECT,
                   .phase = PHASE_RCPT,
                   .rule = SLICE_LITERAL("banned"),
                   .reply = {.code = 550, .enhanced = {5, 7, 1}, .lines = text, .line_count = 1}};
}

static void assert_line(const Verdict *verdict, const char *expected) {
  char room[16]; /* so that it grows */
  g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
  decision_line(&line, session, "1.2.3", verdict);
  ck_assert_str_eq(line.text, expected);
}

START_TEST(test_reject) {
  static const Slice text = SLICE_LITERAL("no");
  Verdict verdict = reject(&text);
  ck_assert(session_set(session, FACT_QUEUE_ID, SLICE_LITERAL("57518A84385")));
  assert_line(&verdict,
              "session=1.2.3 queue_id=57518A84385 client=192.0.2.1 helo=mail.example.org sender=a@b.test recipient=c@d.test phase=rcpt "
              "outcome=reject "
              "rule=banned reply=\"550 5.7.1 no\" door=policy");
}
END_TEST

START_TEST(test_quoting) {
  static const Slice text = SLICE_LITERAL("say \"hi\"\r\nrule=forged");
  Verdict verdict = reject(&text);
  ck_assert(session_set(session, FACT_HELO_NAME, SLICE_LITERAL("evil\nsession=0 x")));
  ck_assert(session_set(session, FACT_SENDER, SLICE_LITERAL("")));
  session_unset(session, FACT_RECIPIENT);
  assert_line(&verdict,
              "session=1.2.3 client=192.0.2.1 helo=\"evil\\nsession=0 x\" sender=<> phase=rcpt outcome=reject rule=banned "
              "reply=\"550 5.7.1 say \\\"hi\\\"\\r\\nrule=forged\" door=policy");
}
END_TEST

START_TEST(test_fields) {
  static const struct {
    Slice value;
    const char *field;
  } cases[] = {
      {SLICE_LITERAL("plain@x"), "k=plain@x"},
      {SLICE_LITERAL(""), "k=\"\""},
      {SLICE_LITERAL("a b"), "k=\"a b\""},
      {SLICE_LITERAL("a=b"), "k=\"a=b\""},
      {SLICE_LITERAL("\x1b[31m"), "k=\"\\x1B[31m\""},
      {SLICE_LITERAL("\xc3\xa9"), "k=\"\\xC3\\xA9\""},
      {SLICE_LITERAL("back\\slash"), "k=\"back\\\\slash\""},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    char room[100];
    g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
    log_field(&line, "k", cases[i].value);
    ck_assert_str_eq(line.text, cases[i].field);
  }
}
END_TEST

START_TEST(test_long_values_are_cut) {
  char long_text[1000];
  memset(long_text, 'x', sizeof long_text);
  char room[100];
  g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
  log_field(&line, "k", slice_make(long_text, sizeof long_text));
  ck_assert_uint_lt(line.length, 200);
  ck_assert(g_str_has_suffix(line.text, "...\""));
}
END_TEST

START_TEST(test_levels) {
  Verdict pass = {.outcome = OUTCOME_PASS, .phase = PHASE_RCPT};
  ck_assert(!decision_is_logged(&config, &pass));
  Verdict ruled = pass;
  ruled.rule = SLICE_LITERAL("let-in");
  ck_assert(decision_is_logged(&config, &ruled));
  config.decisions = DECISIONS_ALL;
  assert_line(
      &pass, "session=1.2.3 client=192.0.2.1 helo=mail.example.org sender=a@b.test recipient=c@d.test phase=rcpt outcome=pass door=policy");
}
END_TEST

START_TEST(test_effects_and_failures) {
  static const Slice text = SLICE_LITERAL("would");
  static const Effect effects[] = {
      {.kind = EFFECT_PREPEND_HEADER,
       .rule = SLICE_LITERAL("stamp"),
       .as.header = {.name = SLICE_LITERAL("X-A"), .value = SLICE_LITERAL("b\nc")}},
      {.kind = EFFECT_LOG, .rule = SLICE_LITERAL("note"), .as.log_text = SLICE_LITERAL("hello")},
      {.kind = EFFECT_DELAY, .rule = SLICE_LITERAL("slow"), .as.delay_ms = 1500},
      {.kind = EFFECT_QUARANTINE_MESSAGE, .rule = SLICE_LITERAL("hold"), .as.why = SLICE_LITERAL("odd")},
      {.kind = EFFECT_DELETE_HEADER, .rule = SLICE_LITERAL("del"), .as.header = {.name = SLICE_LITERAL("X-B"), .nth = HEADER_LAST}},
      {.kind = EFFECT_REPLACE_HEADER, .rule = SLICE_LITERAL("rep"), .as.header = {SLICE_LITERAL("X-C"), SLICE_LITERAL("c"), 2}},
      {.kind = EFFECT_CHANGE_SENDER, .rule = SLICE_LITERAL("null"), .as.address = SLICE_EMPTY},
      {.kind = EFFECT_BCC_MESSAGE, .rule = SLICE_LITERAL("copy"), .as.address = SLICE_LITERAL("a@b.test")},
      {.kind = EFFECT_FILTER_MESSAGE, .rule = SLICE_LITERAL("via"), .as.filter = SLICE_LITERAL("smtp:")},
      {.kind = EFFECT_UNDONE,
       .rule = SLICE_LITERAL("bad"),
       .as.undone = {SLICE_LITERAL("bcc message"), SLICE_LITERAL("@\n"), "is no address"}},
      {.kind = EFFECT_OBSERVED,
       .rule = SLICE_LITERAL("try"),
       .as.observed = {OUTCOME_REJECT, {.code = 550, .enhanced = {5, 7, 1}, .lines = &text, .line_count = 1}, SLICE_LITERAL("reject")}},
  };
  static const Failure second = {NULL, SLICE_LITERAL("dnslist two"), SLICE_LITERAL("timed out"), 0};
  static const Failure first = {&second, SLICE_LITERAL("dnslist zen"), SLICE_LITERAL("SERVFAIL"), 0};
  Verdict verdict = {
      .outcome = OUTCOME_PASS, .phase = PHASE_RCPT, .effects = effects, .effect_count = G_N_ELEMENTS(effects), .failures = &first};
  session_reset(session);
  char room[100];
  g_auto(TextBuffer) line = text_buffer_in(room, sizeof room);
  decision_line(&line, session, "s", &verdict);
  ck_assert_str_eq(line.text,
                   "session=s phase=rcpt outcome=pass door=policy failed=\"dnslist zen: SERVFAIL; dnslist two: timed out\" "
                   "effect=\"prepend_header X-A: b\\nc [stamp]\" effect=\"delay 1500ms [slow]\" effect=\"quarantine_message odd [hold]\" "
                   "effect=\"delete_header X-B last [del]\" effect=\"replace_header X-C 2: c [rep]\" effect=\"change_sender <> [null]\" "
                   "effect=\"bcc_message <a@b.test> [copy]\" effect=\"filter_message smtp: [via]\" "
                   "effect=\"undone bcc message: is no address: @\\n [bad]\" "
                   "effect=\"observed reject: 550 5.7.1 would [try]\"");
}
END_TEST

/* What really arrives on stderr. */
static char *stderr_of(void (*write_log)(void)) {
  int ends[2], saved = dup(STDERR_FILENO);
  ck_assert_int_eq(pipe(ends), 0);
  ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
  write_log();
  (void)dup2(saved, STDERR_FILENO);
  (void)close(saved);
  (void)close(ends[1]);
  char text[4096];
  ssize_t length = read(ends[0], text, sizeof text - 1);
  (void)close(ends[0]);
  return g_strndup(text, length > 0 ? (gsize)length : 0);
}

static void write_messages(void) {
  log_open("mailreeve-policyd", true);
  log_info("one %s", "two\nthree\x1b[0m");
  log_warning("careful");
  log_error("bad");
  log_error_lines("first\nsecond\n");
}

static void write_limited(void) {
  for (int i = 0; i < 5; i++) {
    log_limited("key a", "said %d", i);
  }
  log_limited("key b", "other");
}

static void write_decision(void) {
  static const Slice text = SLICE_LITERAL("no");
  static const Effect note = {.kind = EFFECT_LOG, .rule = SLICE_LITERAL("note"), .as.log_text = SLICE_LITERAL("see this")};
  Verdict verdict = reject(&text);
  verdict.effects = &note;
  verdict.effect_count = 1;
  session_reset(session);
  log_decision(&config, session, "s", &verdict);
}

START_TEST(test_messages) {
  g_autofree char *text = stderr_of(write_messages);
  ck_assert_str_eq(text,
                   "mailreeve-policyd: one two three [0m\nmailreeve-policyd: warning: careful\nmailreeve-policyd: error: bad\n"
                   "mailreeve-policyd: first\nmailreeve-policyd: second\n");
  g_autofree char *limited = stderr_of(write_limited);
  ck_assert_str_eq(limited, "mailreeve-policyd: warning: said 0\nmailreeve-policyd: warning: other\n");
  g_autofree char *decision = stderr_of(write_decision);
  ck_assert_str_eq(decision,
                   "mailreeve-policyd: session=s phase=rcpt rule=note log=\"see this\"\n"
                   "mailreeve-policyd: session=s phase=rcpt outcome=reject rule=banned reply=\"550 5.7.1 no\" door=policy\n");
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, test_reject);
  tcase_add_test(tests, test_quoting);
  tcase_add_test(tests, test_fields);
  tcase_add_test(tests, test_long_values_are_cut);
  tcase_add_test(tests, test_levels);
  tcase_add_test(tests, test_effects_and_failures);
  tcase_add_test(tests, test_messages);
}

UNIT_MAIN("decision_log", add_tests)
