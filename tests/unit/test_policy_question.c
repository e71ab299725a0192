/* test_policy_question.c: which phases a request of Postfix meets, whose verdict is said, and what is remembered of a message. */
#include <string.h>

#include "common/base/limits.h"
#include "common/door/policy.h"
#include "common/lookup/dns.h"
#include "common/lookup/kinds.h"
#include "tests/unit/unit.h"

static Clock *clock_of_test;
static DnsFake *dns;
static ResourceSource *resources;
static Ruleset *ruleset;
static PolicyMemory *memory;
static Session *session;
static Variables *variables;
static Arena *arena;
static PolicyOptions options;

static void setup(void) {
  clock_of_test = clock_manual_new(1790000000);
  dns = dns_fake_new();
  ResourceContext context = {.dns = &dns_fake_backend, .dns_self = dns};
  resources = resource_source_plain_new(&context);
  memory = policy_memory_new(clock_of_test);
  session = session_new(DOOR_POLICY);
  arena = arena_new(0);
  variables = NULL;
  ruleset = NULL;
  options = (PolicyOptions){
      .server_name = "mx.example.test", .service = "mx", .deadline_ms = 8000, .owned = PHASES_ALL, .match_space = match_space_new()};
}

static void teardown(void) {
  arena_free(arena);
  match_space_free(options.match_space);
  variables_free(variables);
  policy_memory_free(memory);
  session_free(session);
  ruleset_unref(ruleset);
  resource_source_plain_free(resources);
  dns_fake_free(dns);
  clock_free(clock_of_test);
}

static Ruleset *load(const char *text) {
  RulesetOptions load_options = {.enabled_doors = DOORS_ALL, .resources = resources, .open_resources = true};
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Ruleset *loaded = ruleset_load_text("test.rules", slice_from(text), NULL, &load_options, diagnostics);
  g_autofree char *said = diagnostics_print(diagnostics);
  ck_assert_msg(loaded != NULL, "%s", said);
  return loaded;
}

static void rules(const char *text) {
  ruleset_unref(ruleset);
  ruleset = load(text);
}

static void run_to_verdict(PolicyQuestion *question) {
  while (policy_question_run(question) == EVALUATION_WAITS) {
    size_t count;
    Question *const *wanted = policy_question_wanted(question, &count);
    bool any = false;
    for (size_t i = 0; i < count; i++) {
      g_autoptr(Answer) answer = dns_fake_answer(dns, slice_make(wanted[i]->key, wanted[i]->key_length));
      if (answer != NULL) {
        policy_question_answer(question, wanted[i], answer);
        any = true;
      }
    }
    if (!any) {
      policy_question_expire(question, "no answer before the deadline");
    }
  }
}

/* The text of a request, with "STATE" first and attributes behind it, each followed by a newline. Its action is compared with `expected`. */
static PolicyQuestion *ask(const char *state, const char *attributes) {
  arena_reset(arena);
  char *text = arena_printf(arena, "request=smtpd_access_policy\nprotocol_state=%s\n%s\n", state, attributes);
  PolicyRequest *request = ARENA_NEW(arena, PolicyRequest);
  PolicyParser parser = {0};
  size_t used;
  const char *problem;
  Slice excerpt;
  ck_assert_int_eq(policy_parse(&parser, slice_from(text), request, &used, &problem, &excerpt), POLICY_PARSE_REQUEST);
  PolicyQuestion *question = policy_question_new(arena, ruleset, session, &variables, memory, request, &options, clock_of_test);
  run_to_verdict(question);
  return question;
}

static void expect_bytes(PolicyQuestion *question, const char *action) {
  Slice bytes = policy_question_bytes(question);
  char *expected = arena_printf(arena, "action=%s\n\n", action);
  ck_assert_msg(slice_equal(bytes, slice_from(expected)), "%.*s is not %s", SLICE_ARGS(bytes), expected);
}

static void expect(const char *state, const char *attributes, const char *action) {
  expect_bytes(ask(state, attributes), action);
}

#define CLIENT "client_address=192.0.2.66\nclient_port=1234\nserver_address=127.0.0.1\nserver_port=25\n"
#define HELO CLIENT "helo_name=mail.example.org\n"
#define MAIL HELO "sender=a@b.test\n"
#define TO(who, instance) MAIL "recipient=" who "\ninstance=" instance "\n"

/* Each phase says its name, so it shows which of them come. */
static const char each_phase[] =
    "at connect { [c] score 1 }\nat helo { [h] score 10 }\nat mail { [m] score 100 }\nat rcpt { [r] reject 550 \"rcpt {score}\" }\n"
    "at data { [d] reject 554 \"data {score}\" }\nat eom { [e] reject 554 \"eom {score}\" }\nat vrfy { [v] reject 550 \"vrfy {score}\" }\n"
    "at etrn { [t] reject 550 \"etrn {score}\" }\n";

static const struct {
  const char *state, *attributes, *action;
} phases[] = {
    {"CONNECT", CLIENT, "DUNNO"},
    {"HELO", HELO, "DUNNO"},
    {"MAIL", MAIL, "DUNNO"},
    {"RCPT", TO("c@d.test", "1.1"), "550 5.7.1 rcpt 111"},
    {"RCPT", CLIENT "sender=\nrecipient=c@d.test\n", "550 5.7.1 rcpt 101"}, /* no HELO was said */
    {"DATA", MAIL "instance=1.1\n", "554 5.7.1 data 111"},
    {"END-OF-MESSAGE", MAIL "instance=1.1\n", "554 5.7.1 eom 111"},
    {"VRFY", HELO "recipient=c@d.test\n", "550 5.7.1 vrfy 11"},
    {"ETRN", HELO "etrn_domain=d.test\n", "550 5.7.1 etrn 11"},
};

START_TEST(test_phases) {
  rules(each_phase);
  expect(phases[_i].state, phases[_i].attributes, phases[_i].action);
}
END_TEST

START_TEST(test_first_verdict_counts) {
  rules(
      "at connect { [c] reject 550 5.7.1 \"connect\" if client_address == 192.0.2.66 }\nat helo { [h] reject 504 5.5.2 \"helo\" if "
      "helo_name == \"bad\" }\n"
      "at mail { [m] tempfail 450 4.7.1 \"mail\" if sender == <> }\nat rcpt { [r] reject 550 5.1.1 \"rcpt\" if recipient.domain == "
      "\"no.test\" }\n");
  expect("CONNECT", CLIENT, "550 5.7.1 connect");
  expect("EHLO", HELO, "550 5.7.1 connect");
  /* anew for the second recipient and the second message */
  expect("RCPT", TO("one@d.test", "1.1"), "550 5.7.1 connect");
  expect("RCPT", TO("two@d.test", "1.1"), "550 5.7.1 connect");
  expect("RCPT", TO("two@d.test", "1.2"), "550 5.7.1 connect");
  expect("DATA", MAIL "instance=1.1\n", "550 5.7.1 connect");
  expect("RCPT", "client_address=192.0.2.1\nhelo_name=bad\nsender=\nrecipient=x@no.test\n", "504 5.5.2 helo");
  expect("RCPT", "client_address=192.0.2.1\nhelo_name=good\nsender=\nrecipient=x@no.test\n", "450 4.7.1 mail");
  expect("RCPT", "client_address=192.0.2.1\nhelo_name=good\nsender=a@b.test\nrecipient=x@no.test\n", "550 5.1.1 rcpt");
  expect("RCPT", "client_address=192.0.2.1\nhelo_name=good\nsender=a@b.test\nrecipient=x@yes.test\n", "DUNNO");
}
END_TEST

START_TEST(test_accept_ends) {
  rules(
      "at connect { accept session if client_address == 192.0.2.1 }\nat mail { accept message if sender == \"ok@b.test\" }\n"
      "at rcpt { [all] reject 550 \"no\" }\nat eom { [e] reject 554 \"no\" }\n");
  expect("RCPT", "client_address=192.0.2.1\nsender=a@b.test\nrecipient=x@d.test\n", "DUNNO");
  expect("END-OF-MESSAGE", "client_address=192.0.2.1\nsender=a@b.test\n", "DUNNO");
  expect("RCPT", CLIENT "sender=ok@b.test\nrecipient=x@d.test\n", "DUNNO");
  expect("RCPT", CLIENT "sender=a@b.test\nrecipient=x@d.test\n", "550 5.7.1 no");
  options.accept_is_ok = true;
  expect("RCPT", "client_address=192.0.2.1\nsender=a@b.test\nrecipient=x@d.test\n", "OK");
}
END_TEST

static const char sparing[] =
    "dnslist zen of ip \"zen.test\"\n"
    "at connect { [c] reject 550 5.7.1 \"connect\" if client_address == 192.0.2.66\n  [bye] disconnect 421 \"bye\" if client_address == "
    "192.0.2.67 }\n"
    "at helo { [h] reject 504 5.5.2 \"helo\" if helo_name == \"bad\" }\nat mail { [m] reject 550 \"mail\" if sender == \"evil@b.test\" }\n"
    "at rcpt { accept recipient if recipient.localpart == \"postmaster\"\n  [z] reject 550 \"listed\" if client_address in zen\n"
    "  accept recipient if recipient.localpart == \"late\" }\n";

START_TEST(test_held_refusals) {
  rules(sparing);
  expect("RCPT", TO("user@d.test", "1.1"), "550 5.7.1 connect");
  expect("RCPT", TO("postmaster@d.test", "1.1"), "DUNNO");
  /* behind a look-up: not spared, and nothing was looked up */
  dns_fake_silence(dns, SLICE_LITERAL("66.2.0.192.zen.test"));
  expect("RCPT", TO("late@d.test", "1.2"), "550 5.7.1 connect");
  /* what mail refuses is refused */
  expect("RCPT", HELO "sender=evil@b.test\nrecipient=postmaster@d.test\ninstance=1.3\n", "550 5.7.1 connect");
  /* helo is held too */
  expect("RCPT", "client_address=192.0.2.1\nhelo_name=bad\nsender=a@b.test\nrecipient=postmaster@d.test\n", "DUNNO");
  expect("RCPT", "client_address=192.0.2.1\nhelo_name=bad\nsender=a@b.test\nrecipient=user@d.test\n", "504 5.5.2 helo");
  /* said at once: never held */
  expect("RCPT", "client_address=192.0.2.67\nsender=a@b.test\nrecipient=postmaster@d.test\n", "421 4.7.0 bye");
  /* and where it is asked without a recipient, the refusal stands */
  expect("CONNECT", CLIENT, "550 5.7.1 connect");
  expect("MAIL", MAIL, "550 5.7.1 connect");
}
END_TEST

START_TEST(test_spared_message_goes_on) {
  rules(sparing);
  expect("DATA", MAIL "instance=2.1\n", "550 5.7.1 connect");
  expect("RCPT", TO("postmaster@d.test", "2.1"), "DUNNO");
  expect("DATA", MAIL "instance=2.1\n", "DUNNO");
  expect("END-OF-MESSAGE", MAIL "instance=2.1\n", "DUNNO");
  expect("RCPT", TO("user@d.test", "2.1"), "550 5.7.1 connect");
  expect("DATA", MAIL "instance=2.2\n", "550 5.7.1 connect");
}
END_TEST

START_TEST(test_effects_once_a_message) {
  rules(
      "at mail { [first] prepend header \"X-One\" \"1\" }\nat rcpt { [no] reject 550 \"no\" if recipient == \"no@d.test\"\n"
      "[second] prepend header \"X-Two\" \"{recipient}\" }\n");
  expect("RCPT", TO("no@d.test", "3.1"), "550 5.7.1 no"); /* a refusal says no effect, and it is not used up */
  expect("RCPT", TO("one@d.test", "3.1"), "PREPEND X-One: 1");
  expect("RCPT", TO("one@d.test", "3.1"), "PREPEND X-Two: one@d.test");
  expect("RCPT", TO("two@d.test", "3.1"), "DUNNO");
  expect("DATA", MAIL "instance=3.1\n", "DUNNO");
  expect("RCPT", TO("one@d.test", "3.2"), "PREPEND X-One: 1"); /* another message */
  /* where Postfix does not take it, it is neither said nor used up */
  expect("END-OF-MESSAGE", MAIL "instance=3.3\n", "DUNNO");
  expect("DATA", MAIL "instance=3.3\n", "PREPEND X-One: 1");
}
END_TEST

/* REDIRECT, BCC and FILTER as headers: once a message, one in an answer; a copy to each address. Not where Postfix leaves them alone. */
START_TEST(test_changes) {
  rules(
      "at rcpt {\n[f] filter message \"smtp:\"\n[c] bcc message \"{recipient.localpart}@copy.test\"\n[s] append header \"X\" \"x\"\n}\n"
      "at data { [r] redirect message \"r@d.test\" }\nat eom { [b] bcc message \"big@d.test\"\n[p] prepend header \"X\" \"late\" }\n"
      "at vrfy { reject \"vrfy\" }");
  expect("RCPT", TO("a@d.test", "9.1"), "FILTER smtp:");
  expect("RCPT", TO("b@d.test", "9.1"), "BCC b@copy.test");
  expect("RCPT", TO("b@d.test", "9.1"), "DUNNO");
  expect("RCPT", TO("a@d.test", "9.1"), "BCC a@copy.test");
  expect("DATA", MAIL "instance=9.1\n", "REDIRECT r@d.test");
  expect("END-OF-MESSAGE", MAIL "instance=9.1\n", "BCC big@d.test");
  expect("END-OF-MESSAGE", MAIL "instance=9.1\n", "DUNNO");
  expect("RCPT", TO("a@d.test", "9.2"), "FILTER smtp:");
}
END_TEST

static const char sent_away[] = "452 4.5.3 one group of recipients a message: send this one in a message of its own";

/* A message's group is that of its first accepted recipient; nobody is sent away twice. */
START_TEST(test_groups) {
  rules(
      "at connect { [c] reject \"connect\" if client_address == 203.0.113.9 }\n"
      "at rcpt {\n[full] tempfail 452 4.2.2 \"full\" if recipient.localpart == \"full\"\n[g] group recipients by recipient.domain\n"
      "[no] reject \"no\" if recipient.localpart == \"no\"\n}\nat data { pass }");
  expect("RCPT", TO("full@z.test", "8.1"), "452 4.2.2 full");
  expect("RCPT", TO("no@z.test", "8.1"), "550 5.7.1 no");
  expect("RCPT", TO("a@d.test", "8.1"), "DUNNO");
  expect("RCPT", TO("b@z.test", "8.1"), sent_away);
  expect("DATA", MAIL "instance=8.1\n", "DUNNO");
  expect("RCPT", TO("b@D.test", "8.1"), "DUNNO");
  expect("RCPT", TO("B@z.test", "8.1"), "DUNNO");
  expect("RCPT", TO("c@z.test", "8.1"), sent_away);
  expect("RCPT", TO("b@z.test", "8.2"), "DUNNO"); /* another message */
  expect("RCPT", TO("a@d.test", "8.2"), sent_away);
  /* a refusal before the rcpt rules leaves what is known */
  expect("RCPT", "client_address=203.0.113.9\nsender=a@b.test\nrecipient=q@q.test\ninstance=8.2\n", "550 5.7.1 connect");
  expect("RCPT", TO("a@d.test", "8.2"), "DUNNO");
  expect("RCPT", TO("e@d.test", "8.2"), sent_away);
  /* without an instance there is no message to be of */
  expect("RCPT", MAIL "recipient=a@d.test\n", "DUNNO");
  expect("RCPT", MAIL "recipient=b@z.test\n", "DUNNO");
}
END_TEST

/* Only so many are remembered; a further one is sent away each time. */
START_TEST(test_groups_are_bounded) {
  rules("at rcpt { [g] group recipients by recipient.domain }");
  expect("RCPT", TO("a@d.test", "8.3"), "DUNNO");
  char attributes[256];
  for (int i = 0; i <= LIMIT_GROUP_TOLD; i++) {
    (void)snprintf(attributes, sizeof attributes, MAIL "recipient=a%d@z.test\ninstance=8.3\n", i);
    expect("RCPT", attributes, sent_away);
  }
  expect("RCPT", attributes, sent_away);
  expect("RCPT", TO("a0@z.test", "8.3"), "DUNNO");
}
END_TEST

START_TEST(test_without_instance) {
  rules("at mail { [first] prepend header \"X-One\" \"1\" }\n");
  expect("MAIL", MAIL, "PREPEND X-One: 1");
  expect("MAIL", MAIL, "DUNNO");
  expect("MAIL", "client_address=192.0.2.66\nclient_port=1235\nserver_address=127.0.0.1\nserver_port=25\nsender=a@b.test\n",
         "PREPEND X-One: 1");
  /* an old Postfix says no port: all connections of the client would be one, so nothing is remembered */
  expect("MAIL", "client_address=192.0.2.66\nsender=a@b.test\n", "PREPEND X-One: 1");
  expect("MAIL", "client_address=192.0.2.66\nsender=a@b.test\n", "PREPEND X-One: 1");
}
END_TEST

START_TEST(test_discard_and_hold) {
  rules("at rcpt { [d] discard message \"junk\" if sender == \"junk@b.test\"\n[q] quarantine message \"look\" }\n");
  expect("RCPT", HELO "sender=junk@b.test\nrecipient=x@d.test\ninstance=4.1\n", "DISCARD junk");
  expect("RCPT", HELO "sender=junk@b.test\nrecipient=y@d.test\ninstance=4.1\n", "DUNNO");
  expect("RCPT", TO("x@d.test", "4.2"), "HOLD look");
  expect("RCPT", TO("y@d.test", "4.2"), "DUNNO");
}
END_TEST

START_TEST(test_owned) {
  rules(each_phase);
  options.owned = PHASES_ALL & (PhaseSet)~PHASES_SINCE_DATA;
  expect("DATA", MAIL "instance=1.1\n", "DUNNO");
  expect("END-OF-MESSAGE", MAIL "instance=1.1\n", "DUNNO");
  expect("RCPT", TO("c@d.test", "1.1"), "550 5.7.1 rcpt 111");
}
END_TEST

START_TEST(test_delay) {
  rules(
      "at connect { [a] delay 2s }\nat rcpt { [b] delay 3s\n[c] delay 7s if recipient == \"slow@d.test\"\n[r] reject 550 \"no\" if "
      "recipient == \"no@d.test\" }\n");
  ck_assert_int_eq(policy_question_delay_ms(ask("RCPT", TO("x@d.test", "5.1"))), 5000);
  ck_assert_int_eq(policy_question_delay_ms(ask("RCPT", TO("no@d.test", "5.1"))), 5000);
  ck_assert_int_eq(policy_question_delay_ms(ask("RCPT", TO("slow@d.test", "5.1"))), 8000);
  ck_assert_int_eq(policy_question_delay_ms(ask("CONNECT", CLIENT)), 2000);
}
END_TEST

START_TEST(test_lookups) {
  rules(
      "dnslist zen of ip \"zen.test\" on error tempfail\nat connect { [z] reject 550 5.7.1 \"{dnslist.code}\" if client_address in zen }\n"
      "at rcpt { [r] reject 550 5.7.1 \"rcpt\" if client_address in zen }\n");
  dns_fake_add(dns, SLICE_LITERAL("66.2.0.192.zen.test"), "A", SLICE_LITERAL("127.0.0.2"));
  expect("RCPT", TO("x@d.test", "6.1"), "550 5.7.1 127.0.0.2");
  expect("RCPT", "client_address=192.0.2.1\nsender=a@b.test\nrecipient=x@d.test\n", "DUNNO");
  dns_fake_fail(dns, SLICE_LITERAL("2.2.0.192.zen.test"), "SERVFAIL");
  PolicyQuestion *failed = ask("RCPT", "client_address=192.0.2.2\nsender=a@b.test\nrecipient=x@d.test\n");
  const Verdict *verdict = policy_question_verdict(failed);
  ck_assert_int_eq(verdict->outcome, OUTCOME_TEMPFAIL);
  ck_assert(verdict->by_failure);
  ck_assert(slice_equal(verdict->failures->reason, SLICE_LITERAL("SERVFAIL")));
  Slice bytes = policy_question_bytes(failed);
  ck_assert_msg(slice_starts_with(bytes, SLICE_LITERAL("action=451 4.3.0 ")), "%.*s", SLICE_ARGS(bytes));
}
END_TEST

/* The deadline ends the waiting of this phase and of those that follow. */
START_TEST(test_deadline) {
  rules(
      "dnslist zen of ip \"zen.test\" on error skip\nat connect { [z] reject 550 \"c\" if client_address in zen }\n"
      "at mail { [y] reject 550 \"m\" if client_address in zen }\nat rcpt { [r] reject 550 5.7.1 \"rcpt\" if sender == \"a@b.test\" }\n");
  dns_fake_silence(dns, SLICE_LITERAL("66.2.0.192.zen.test"));
  PolicyQuestion *question = ask("RCPT", TO("x@d.test", "7.1"));
  const Verdict *verdict = policy_question_verdict(question);
  ck_assert_int_eq(verdict->outcome, OUTCOME_REJECT);
  ck_assert(slice_equal(verdict->rule, SLICE_LITERAL("r")));
  ck_assert_ptr_nonnull(verdict->failures);
  ck_assert(slice_equal(verdict->failures->reason, SLICE_LITERAL("no answer before the deadline")));
  expect_bytes(question, "550 5.7.1 rcpt");
}
END_TEST

START_TEST(test_message_keeps_its_ruleset) {
  rules("at rcpt { [old] reject 550 \"old\" }\n");
  expect("RCPT", TO("x@d.test", "8.1"), "550 5.7.1 old");
  rules("at rcpt { [new] reject 550 \"new\" }\n");
  expect("RCPT", TO("y@d.test", "8.1"), "550 5.7.1 old");
  expect("RCPT", TO("x@d.test", "8.2"), "550 5.7.1 new");
  clock_manual_advance(clock_of_test, (LIMIT_INSTANCE_SECONDS + 1) * NANOSECONDS_PER_SECOND);
  expect("RCPT", TO("z@d.test", "8.1"), "550 5.7.1 new"); /* forgotten */
}
END_TEST

START_TEST(test_variables_do_not_stay) {
  rules("at rcpt { [n] reject 550 \"twice\" if session.seen == true\n[s] set session.seen = true }\n");
  expect("RCPT", TO("x@d.test", "9.1"), "DUNNO");
  expect("RCPT", TO("x@d.test", "9.1"), "DUNNO");
}
END_TEST

START_TEST(test_time_is_read) {
  rules("at rcpt { [t] reject 550 \"{date}\" if date == 2026-09-21 }\n");
  expect("RCPT", TO("x@d.test", "9.2"), "550 5.7.1 2026-09-21");
}
END_TEST

START_TEST(test_memory_is_bounded) {
  rules("at rcpt { [p] prepend header \"X\" \"y\" }\n");
  for (unsigned i = 0; i < LIMIT_INSTANCES + 1000; i++) {
    char attributes[100];
    (void)snprintf(attributes, sizeof attributes, "sender=\nrecipient=x@d.test\ninstance=m.%u\n", i);
    expect("RCPT", attributes, "PREPEND X: y");
  }
  ck_assert_uint_eq(policy_memory_count(memory), LIMIT_INSTANCES);
  expect("RCPT", "sender=\nrecipient=x@d.test\ninstance=m.66000\n", "DUNNO");
  expect("RCPT", "sender=\nrecipient=x@d.test\ninstance=m.0\n", "PREPEND X: y"); /* the oldest are forgotten */
}
END_TEST

static void expect_prepend(const char *instance, const char *action) {
  char attributes[100];
  (void)snprintf(attributes, sizeof attributes, "sender=\nrecipient=x@d.test\ninstance=%s\n", instance);
  expect("RCPT", attributes, action);
}

/* A message that was used again stays, one that came after it and was not goes. */
START_TEST(test_longest_unused_goes_first) {
  rules("at rcpt { [p] prepend header \"X\" \"y\" }\n");
  expect_prepend("first", "PREPEND X: y");
  expect_prepend("second", "PREPEND X: y");
  clock_manual_advance(clock_of_test, 2 * NANOSECONDS_PER_SECOND);
  expect_prepend("first", "DUNNO");
  for (unsigned i = 0; i + 1 < LIMIT_INSTANCES; i++) {
    char instance[20];
    (void)snprintf(instance, sizeof instance, "m.%u", i);
    expect_prepend(instance, "PREPEND X: y");
  }
  ck_assert_uint_eq(policy_memory_count(memory), LIMIT_INSTANCES);
  clock_manual_advance(clock_of_test, 2 * NANOSECONDS_PER_SECOND);
  expect_prepend("first", "DUNNO");
  expect_prepend("second", "PREPEND X: y");
}
END_TEST

/* Keys that are cut must not meet. */
START_TEST(test_long_instances) {
  rules("at rcpt { [p] prepend header \"X\" \"y\" }\n");
  char attributes[1000], same[300];
  memset(same, 'i', sizeof same - 1);
  same[sizeof same - 1] = '\0';
  for (int i = 0; i < 10; i++) {
    (void)snprintf(attributes, sizeof attributes, "sender=\nrecipient=x@d.test\ninstance=%s%d\n", same, i);
    expect("RCPT", attributes, "PREPEND X: y");
    expect("RCPT", attributes, "DUNNO");
  }
}
END_TEST

#define UNKNOWN "451 4.3.0 temporary failure: try again later"
#define COUNTED(number, instance) MAIL "recipient=\nrecipient_count=" number "\ninstance=" instance "\n"

/* `recipients` at data and eom: those that passed at rcpt, where their number is Postfix's. */
START_TEST(test_recipients) {
  rules(
      "at rcpt { [no] reject 550 5.1.1 \"no\" if recipient.localpart == \"no\" }\n"
      "at data { [all] reject 554 5.7.1 \"{recipients}\" if all recipients has (recipient.domain == \"d.test\") }\n"
      "at eom { [known] reject 554 5.7.1 \"known\" if recipients is set }\n");
  expect("DATA", MAIL "recipient=only@d.test\nrecipient_count=1\ninstance=1.0\n", "554 5.7.1 only@d.test");
  expect("RCPT", TO("One@D.test", "1.1"), "DUNNO");
  expect("DATA", COUNTED("1", "1.1"), "554 5.7.1 One@d.test");
  expect("RCPT", TO("no@d.test", "1.1"), "550 5.1.1 no");
  expect("RCPT", TO("other@d.test", "1.2"), "DUNNO"); /* of another message */
  expect("RCPT", TO("a b@d.test", "1.1"), "DUNNO");
  expect("DATA", COUNTED("2", "1.1"), "554 5.7.1 One@d.test, \"a b\"@d.test");
  expect("END-OF-MESSAGE", COUNTED("2", "1.1"), "554 5.7.1 known");
  expect("RCPT", TO("three@e.test", "1.1"), "DUNNO");
  expect("DATA", COUNTED("3", "1.1"), "DUNNO");
  expect("DATA", COUNTED("2", "1.1"), UNKNOWN); /* somebody else refused one of them: which is not known */
  expect("END-OF-MESSAGE", COUNTED("4", "1.1"), UNKNOWN);
  expect("DATA", COUNTED("2", "1.9"), UNKNOWN);
  expect("DATA", COUNTED("2", ""), UNKNOWN);
  expect("DATA", COUNTED("0", "1.1"), "DUNNO");
  PolicyQuestion *question = ask("DATA", COUNTED("2", "1.1"));
  const Failure *failure = policy_question_verdict(question)->failures;
  ck_assert(slice_equal(failure->lookup, SLICE_LITERAL("recipients")) &&
            slice_equal(failure->reason, SLICE_LITERAL("not all recipients are known")));
}
END_TEST

/* No rule of this door reads them: nothing is kept. */
START_TEST(test_recipients_nobody_reads) {
  rules("at rcpt { [x] log \"x\" }\nat data { [all] log \"y\" if count recipients > 1 }\n");
  options.owned = PHASES_ALL & ~PHASES_SINCE_DATA;
  expect("RCPT", TO("a@d.test", "1.1"), "DUNNO");
  expect("RCPT", TO("b@d.test", "1.1"), "DUNNO");
  options.owned = PHASES_ALL;
  const Verdict *verdict = policy_question_verdict(ask("DATA", COUNTED("2", "1.1")));
  ck_assert(verdict->outcome == OUTCOME_TEMPFAIL && verdict->by_failure);
}
END_TEST

START_TEST(test_recipients_are_bounded) {
  rules("at data { [many] reject 554 5.7.1 \"{count recipients}\" if count recipients > 1 }\n");
  char attributes[400];
  for (int i = 1; i <= LIMIT_INSTANCE_RECIPIENTS; i++) {
    (void)snprintf(attributes, sizeof attributes, TO("r%d@d.test", "1.1"), i);
    expect("RCPT", attributes, "DUNNO");
  }
  (void)snprintf(attributes, sizeof attributes, COUNTED("%d", "1.1"), LIMIT_INSTANCE_RECIPIENTS);
  expect("DATA", attributes, "554 5.7.1 1000");
  expect("RCPT", TO("more@d.test", "1.1"), "DUNNO");
  expect("DATA", attributes, UNKNOWN);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_loop_test(tests, test_phases, 0, G_N_ELEMENTS(phases));
  tcase_add_test(tests, test_first_verdict_counts);
  tcase_add_test(tests, test_accept_ends);
  tcase_add_test(tests, test_held_refusals);
  tcase_add_test(tests, test_spared_message_goes_on);
  tcase_add_test(tests, test_effects_once_a_message);
  tcase_add_test(tests, test_changes);
  tcase_add_test(tests, test_groups);
  tcase_add_test(tests, test_groups_are_bounded);
  tcase_add_test(tests, test_without_instance);
  tcase_add_test(tests, test_discard_and_hold);
  tcase_add_test(tests, test_owned);
  tcase_add_test(tests, test_delay);
  tcase_add_test(tests, test_lookups);
  tcase_add_test(tests, test_deadline);
  tcase_add_test(tests, test_message_keeps_its_ruleset);
  tcase_add_test(tests, test_variables_do_not_stay);
  tcase_add_test(tests, test_time_is_read);
  tcase_add_test(tests, test_memory_is_bounded);
  tcase_add_test(tests, test_longest_unused_goes_first);
  tcase_add_test(tests, test_long_instances);
  tcase_add_test(tests, test_recipients);
  tcase_add_test(tests, test_recipients_nobody_reads);
  tcase_add_test(tests, test_recipients_are_bounded);
}

UNIT_MAIN("policy_question", add_tests)
