/*
 * test_dns_fake.c: DNS from a script, asked directly and through the scheduler; payloads.
 */
#include "tests/unit/unit.h"

#include "common/lookup/dns.h"

static void expect_state(DnsFake *fake, const char *key, AnswerState state, const char *reason) {
  g_autoptr(Answer) answer = dns_fake_answer(fake, slice_from(key));
  ck_assert_msg(answer != NULL, "%s is silent", key);
  ck_assert_msg(answer->state == state, "%s", key);
  if (reason) {
    ck_assert_str_eq(answer->reason, reason);
  }
}

START_TEST(payloads_keep_their_records) {
  const Slice records[] = {SLICE_LITERAL("\x7f\0\0\x02"), SLICE_EMPTY, SLICE_LITERAL("some text")};
  g_autoptr(GBytes) payload = dns_payload_from(records, G_N_ELEMENTS(records));
  ck_assert_uint_eq(dns_payload_count(payload), 3);
  for (size_t i = 0; i < G_N_ELEMENTS(records); i++) {
    ck_assert(slice_equal(dns_payload_get(payload, i), records[i]));
  }
  ck_assert(slice_is_empty(dns_payload_get(payload, 3)));
  g_autoptr(GBytes) none = dns_payload_from(NULL, 0);
  ck_assert_uint_eq(dns_payload_count(none), 0);
  ck_assert_uint_eq(dns_payload_count(NULL), 0);
}
END_TEST

/* Bytes that are no payload: what is whole is read, the rest is not. */
START_TEST(cut_payloads_end_early) {
  static const struct {
    const char *bytes;
    size_t length, count;
  } cases[] = {{"", 0, 0}, {"\0", 1, 0}, {"\0\x04xyz", 5, 0}, {"\0\x01x\0\x02y", 6, 1}, {"\xff\xff", 2, 0}, {"\0\0", 2, 1}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GBytes) payload = g_bytes_new(cases[i].bytes, cases[i].length);
    ck_assert_uint_eq(dns_payload_count(payload), cases[i].count);
  }
}
END_TEST

START_TEST(the_script_is_followed) {
  g_autoptr(DnsFake) fake = dns_fake_new();
  expect_state(fake, "any.test A", ANSWER_NOT_FOUND, NULL);
  ck_assert(dns_fake_add(fake, SLICE_LITERAL("Host.Test."), "A", SLICE_LITERAL("192.0.2.1")));
  ck_assert(dns_fake_add(fake, SLICE_LITERAL("host.test"), "A", SLICE_LITERAL("192.0.2.2")));
  ck_assert(dns_fake_add(fake, SLICE_LITERAL("host.test"), "TXT", SLICE_LITERAL("a text")));
  ck_assert(!dns_fake_add(fake, SLICE_LITERAL("host.test"), "A", SLICE_LITERAL("2001:db8::1")));
  ck_assert(!dns_fake_add(fake, SLICE_LITERAL("host.test"), "AAAA", SLICE_LITERAL("192.0.2.1")));
  ck_assert(!dns_fake_add(fake, SLICE_LITERAL("host.test"), "MX", SLICE_LITERAL("host.test")));
  expect_state(fake, "host.test AAAA", ANSWER_NOT_FOUND, NULL);
  g_autoptr(Answer) addresses = dns_fake_answer(fake, SLICE_LITERAL("host.test A"));
  ck_assert_int_eq(addresses->state, ANSWER_FOUND);
  ck_assert_uint_gt(addresses->ttl_seconds, 0);
  ck_assert_uint_eq(dns_payload_count(addresses->payload), 2);
  ck_assert(slice_equal(dns_payload_get(addresses->payload, 1), SLICE_LITERAL("\xc0\x00\x02\x02")));
  g_autoptr(Answer) text = dns_fake_answer(fake, SLICE_LITERAL("host.test TXT"));
  ck_assert(slice_equal(dns_payload_get(text->payload, 0), SLICE_LITERAL("a text")));
  dns_fake_fail(fake, SLICE_LITERAL("broken.test"), "SERVFAIL");
  dns_fake_fail(fake, SLICE_LITERAL("broken.test"), "timed out");
  expect_state(fake, "broken.test TXT", ANSWER_FAILED, "timed out");
  dns_fake_silence(fake, SLICE_LITERAL("dead.test"));
  ck_assert_ptr_null(dns_fake_answer(fake, SLICE_LITERAL("dead.test A")));
  expect_state(fake, "nonsense", ANSWER_FAILED, NULL);
  dns_fake_clear(fake);
  expect_state(fake, "host.test A", ANSWER_NOT_FOUND, NULL);
  expect_state(fake, "dead.test A", ANSWER_NOT_FOUND, NULL);
}
END_TEST

START_TEST(it_is_a_backend) {
  g_autoptr(DnsFake) fake = dns_fake_new();
  ck_assert(dns_fake_add(fake, SLICE_LITERAL("host.test"), "AAAA", SLICE_LITERAL("2001:db8::1")));
  dns_fake_silence(fake, SLICE_LITERAL("dead.test"));
  Scheduler *scheduler = scheduler_new(NULL);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  g_autoptr(Question) dead = question_new(&dns_fake_backend, fake, LOOKUP_AHEAD, SLICE_LITERAL("dead.test A"));
  g_autoptr(Question) host = question_new(&dns_fake_backend, fake, LOOKUP_AHEAD, SLICE_LITERAL("host.test AAAA"));
  scheduler_ask(scheduler, dead, box);
  scheduler_ask(scheduler, host, box);
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr(Question) question = NULL;
    g_autoptr(Answer) answer = NULL;
    ck_assert(answer_box_wait(box, G_MAXINT64));
    ck_assert(answer_box_take(box, &question, &answer));
    ck_assert_ptr_eq(question, i == 0 ? host : dead);
    ck_assert_int_eq(answer->state, i == 0 ? ANSWER_FOUND : ANSWER_FAILED);
    if (i == 0) {
      scheduler_free(scheduler); /* the silent one gets "stopping" */
    }
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, payloads_keep_their_records);
  tcase_add_test(tests, cut_payloads_end_early);
  tcase_add_test(tests, the_script_is_followed);
  tcase_add_test(tests, it_is_a_backend);
}

UNIT_MAIN("dns_fake", add_tests)
