/*
 * test_dnslist.c: filters, questions and answers of DNS lists.
 */
#include "tests/unit/unit.h"

#include "common/lookup/code_filter.h"
#include "common/lookup/dns.h"
#include "common/lookup/kinds.h"

static IpAddress address(const char *text) {
  IpAddress parsed;
  ck_assert_msg(ip_parse(slice_from(text), &parsed), "%s", text);
  return parsed;
}

START_TEST(filters_match) {
  static const struct {
    const char *filter, *address; /* filter NULL: none is given */
    bool matches;
  } cases[] = {
      {"127.0.0.2", "127.0.0.2", true},
      {"127.0.0.2", "127.0.0.3", false},
      {"127.0.0.2", "127.0.1.2", false},
      {"127.0.0.[2..11]", "127.0.0.2", true},
      {"127.0.0.[2..11]", "127.0.0.11", true},
      {"127.0.0.[2..11]", "127.0.0.12", false},
      {"127.0.0.[2..11]", "127.0.0.1", false},
      {"127.0.[0..255].[2;4..8]", "127.0.9.2", true},
      {"127.0.[0..255].[2;4..8]", "127.0.255.6", true},
      {"127.0.[0..255].[2;4..8]", "127.0.9.3", false},
      {"127.0.0.[9;2;2]", "127.0.0.9", true},
      {"127.[0;1].0.2", "127.1.0.2", true},
      {"[127].0.0.[2]", "127.0.0.2", true},
      {"127.000.0.02", "127.0.0.2", true},
      {"127.0.0.2", "::7f00:2", false},
      {"[0..255].0.0.[0..255]", "128.0.0.2", false},
      {"127.[0..255].[0..255].[0..255]", "127.255.255.254", false},
      {"127.[0..255].[0..255].[0..255]", "127.255.254.254", true},
      {"127.255.255.254", "127.255.255.254", false},
      {NULL, "127.0.0.0", true},
      {NULL, "127.0.0.2", true},
      {NULL, "127.255.254.1", true},
      {NULL, "127.255.255.0", false},
      {NULL, "127.255.255.255", false},
      {NULL, "126.255.255.255", false},
      {NULL, "192.0.2.1", false},
      {NULL, "2001:db8::1", false},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CodeFilter filter;
    const char *problem = "";
    size_t position;
    if (cases[i].filter) {
      ck_assert_msg(code_filter_parse(slice_from(cases[i].filter), &filter, &problem, &position), "%s: %s", cases[i].filter, problem);
    } else {
      code_filter_any(&filter);
    }
    IpAddress tried = address(cases[i].address);
    ck_assert_msg(code_filter_matches(&filter, &tried) == cases[i].matches, "%s %s", cases[i].filter, cases[i].address);
  }
}
END_TEST

START_TEST(bad_filters_are_told) {
  static const struct {
    const char *filter;
    size_t position;
  } cases[] = {
      {"", 0},
      {"127", 3},
      {"127.0.0", 7},
      {"127.0.0.", 8},
      {"127.0.0.2.3", 9},
      {"127.0.0.256", 8},
      {"127.0.0.x", 8},
      {"127.0.0.[2", 10},
      {"127.0.0.[]", 9},
      {"127.0.0.[2;]", 11},
      {"127.0.0.[2..]", 12},
      {"127.0.0.[2.3]", 11},
      {" 127.0.0.2", 0},
      {"127.0.0.2 ", 9},
      {"127.0.0.[8..4]", 9},
      {"127.0.0.2..11", 9},
      {"127.0.0.2;127.0.0.3", 9},
      {"127.0.0.[2..300]", 12},
      {"127.0.0.[2-4]", 10},
      {"127.0.0.99999999999999999999", 8},
      {"[127.0.0.2]", 5},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CodeFilter filter;
    const char *problem = NULL;
    size_t position = 999;
    ck_assert_msg(!code_filter_parse(slice_from(cases[i].filter), &filter, &problem, &position), "%s", cases[i].filter);
    ck_assert_ptr_nonnull(problem);
    ck_assert_msg(position == cases[i].position, "%s: %s at %zu", cases[i].filter, problem, position);
  }
}
END_TEST

static const ResourceKind *dnslist(void) {
  const ResourceKind *kind = resource_kind_find(SLICE_LITERAL("dnslist"));
  ck_assert_ptr_nonnull(kind);
  return kind;
}

static ResourceSpec list_spec(const char *zone, const char *codes, ValueType type) {
  return (ResourceSpec){
      .kind = dnslist(), .name = "zen", .text = zone, .directory = "/", .codes = codes, .shape = {.part_count = 1, .parts = {type}}};
}

START_TEST(specs_are_checked) {
  static const struct {
    const char *zone, *codes, *problem; /* problem: a part of it; NULL: none */
  } cases[] = {
      {"zen.example.org", NULL, NULL},
      {"Zen.Example.Org.", "127.0.0.[2..11]", NULL},
      {"", NULL, "empty"},
      {"not a zone", NULL, "domain name"},
      {"zen", NULL, "domain name"},
      {"zen..example.org", NULL, "domain name"},
      {"zen.example.org", "127.0.0.x", "(at character 9)"},
      {"zen.example.org", "10.0.0.1", "can never match"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    ResourceSpec spec = list_spec(cases[i].zone, cases[i].codes, TYPE_IP);
    g_autofree char *problem = dnslist()->check(&spec);
    ck_assert_msg((problem == NULL) == (cases[i].problem == NULL), "%s: %s", cases[i].zone, problem);
    if (problem) {
      ck_assert_msg(strstr(problem, cases[i].problem) != NULL, "%s", problem);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(Resource) list = dnslist()->open(&spec, NULL, &error);
    ck_assert_int_eq(list == NULL, problem != NULL);
    ck_assert_int_eq(error == NULL, problem == NULL);
  }
  ResourceSpec of_int = list_spec("zen.example.org", NULL, TYPE_INT);
  g_autofree char *problem = dnslist()->check(&of_int);
  ck_assert_ptr_nonnull(problem);
}
END_TEST

static Value domain_value(const char *text) {
  return (Value){VALUE_SET, TYPE_DOMAIN, {.text = slice_from(text)}};
}

static Value ip_value(const char *text) {
  return (Value){VALUE_SET, TYPE_IP, {.ip = address(text)}};
}

static Resource *open_list(DnsFake *fake, const char *zone, const char *codes, ValueType type) {
  ResourceSpec spec = list_spec(zone, codes, type);
  ResourceContext context = {.dns = &dns_fake_backend, .dns_self = fake};
  Resource *list = dnslist()->open(&spec, &context, NULL);
  ck_assert_ptr_nonnull(list);
  return list;
}

START_TEST(questions_are_names_under_the_zone) {
  g_autoptr(DnsFake) fake = dns_fake_new();
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Resource) of_ip = open_list(fake, "Zen.Example.org", NULL, TYPE_IP);
  g_autoptr(Resource) of_domain = open_list(fake, "dbl.example.org", NULL, TYPE_DOMAIN);
  char label[64], just[256], over[256];
  memset(label, 'a', 63);
  label[63] = '\0';
  /* 253 bytes with ".dbl.example.org" (16): 237 = 3 * 64 + 45. */
  (void)g_snprintf(just, sizeof just, "%s.%s.%s.%.45s", label, label, label, label);
  (void)g_snprintf(over, sizeof over, "%s.%s.%s.%.46s", label, label, label, label);
  const struct {
    Value key;
    Resource *list;
    const char *front; /* NULL: there is nothing to ask */
  } cases[] = {
      {ip_value("192.0.2.99"), of_ip, "99.2.0.192"},
      {ip_value("2001:db8::1"), of_ip, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"},
      {domain_value("Spam.Example.NET."), of_domain, "spam.example.net"},
      {domain_value(just), of_domain, just},
      {domain_value(over), of_domain, NULL},
      {domain_value(""), of_domain, NULL},
      {domain_value("[192.0.2.1]"), of_domain, NULL},
      {domain_value("192.0.2.1"), of_domain, NULL},
      {domain_value("a b.example"), of_domain, NULL},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Question) question = dnslist()->ask(cases[i].list, &cases[i].key, arena);
    g_autoptr(Question) text = dnslist()->ask_text(cases[i].list, &cases[i].key, arena);
    ck_assert_msg((question == NULL) == (cases[i].front == NULL), "case %zu", i);
    ck_assert_int_eq(text == NULL, question == NULL);
    if (question) {
      const char *zone = cases[i].list == of_ip ? "zen.example.org" : "dbl.example.org";
      ck_assert_str_eq(question->key, arena_printf(arena, "%s.%s A", cases[i].front, zone));
      ck_assert_str_eq(text->key, arena_printf(arena, "%s.%s TXT", cases[i].front, zone));
      ck_assert_int_eq(question->lookup_class, LOOKUP_AHEAD);
    }
  }
}
END_TEST

START_TEST(lists_on_one_zone_ask_one_question) {
  g_autoptr(DnsFake) fake = dns_fake_new();
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Resource) all = open_list(fake, "zen.example.org", NULL, TYPE_IP);
  g_autoptr(Resource) some = open_list(fake, "zen.example.org", "127.0.0.[4..7]", TYPE_IP);
  ck_assert_str_ne(all->identity, some->identity);
  Value key = ip_value("192.0.2.99");
  g_autoptr(Question) first = dnslist()->ask(all, &key, arena);
  g_autoptr(Question) second = dnslist()->ask(some, &key, arena);
  ck_assert(question_equal(first, second));
}
END_TEST

START_TEST(answers_are_judged) {
  static const struct {
    const char *codes, *records; /* addresses with blanks between; "" is not found */
    AnswerState state;
    const char *said; /* the code, or the reason */
  } cases[] = {
      {NULL, "", ANSWER_NOT_FOUND, NULL},
      {NULL, "127.0.0.2", ANSWER_FOUND, "127.0.0.2"},
      {NULL, "127.0.0.4 127.0.0.2", ANSWER_FOUND, "127.0.0.4"},
      {NULL, "127.255.255.254", ANSWER_FAILED, "list refuses to answer: 127.255.255.254"},
      {"127.0.0.[2..11]", "127.255.255.252", ANSWER_FAILED, "list refuses to answer: 127.255.255.252"},
      {"127.[0..255].[0..255].[0..255]", "127.255.255.254", ANSWER_FAILED, "list refuses to answer: 127.255.255.254"},
      {NULL, "127.255.255.254 127.0.0.3", ANSWER_FOUND, "127.0.0.3"},
      {"127.0.0.2", "127.255.255.254 127.0.0.3", ANSWER_FAILED, "list refuses to answer: 127.255.255.254"},
      {NULL, "192.0.2.80", ANSWER_FAILED, "answer outside 127.0.0.0/8"},
      {"127.0.0.2", "192.0.2.80", ANSWER_FAILED, "answer outside 127.0.0.0/8"},
      {NULL, "192.0.2.80 127.0.0.2", ANSWER_FOUND, "127.0.0.2"},
      {"127.0.0.[4..7]", "127.0.0.2", ANSWER_NOT_FOUND, NULL},
      {"127.0.0.[4..7]", "127.0.0.2 127.0.0.5", ANSWER_FOUND, "127.0.0.5"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DnsFake) fake = dns_fake_new();
    g_autoptr(Arena) arena = arena_new(0);
    g_autoptr(Resource) list = open_list(fake, "zen.example.org", cases[i].codes, TYPE_IP);
    g_auto(GStrv) records = g_strsplit(cases[i].records, " ", 0);
    for (char **record = records; *record && **record; record++) {
      ck_assert(dns_fake_add(fake, SLICE_LITERAL("1.2.0.192.zen.example.org"), "A", slice_from(*record)));
    }
    Value key = ip_value("192.0.2.1");
    g_autoptr(Question) question = dnslist()->ask(list, &key, arena);
    g_autoptr(Answer) raw = dns_fake_answer(fake, slice_from(question->key));
    ResourceAnswer answer;
    dnslist()->read(list, &key, raw, arena, &answer);
    ck_assert_msg(answer.state == cases[i].state, "case %zu", i);
    if (answer.state == ANSWER_FOUND) {
      ck_assert_msg(slice_equal(answer.code, slice_from(cases[i].said)), "case %zu", i);
      ck_assert(slice_equal(answer.zone, SLICE_LITERAL("zen.example.org")));
    } else if (answer.state == ANSWER_FAILED) {
      ck_assert_str_eq(answer.reason, cases[i].said);
    }
  }
}
END_TEST

START_TEST(failures_keep_their_reason) {
  g_autoptr(DnsFake) fake = dns_fake_new();
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Resource) list = open_list(fake, "zen.example.org", NULL, TYPE_IP);
  Value key = ip_value("192.0.2.1");
  ResourceAnswer answer;
  Answer *raw = answer_new_failed("SERVFAIL");
  dnslist()->read(list, &key, raw, arena, &answer);
  ck_assert(slice_is_empty(dnslist()->read_text(list, raw, arena)));
  answer_unref(raw);
  ck_assert_int_eq(answer.state, ANSWER_FAILED);
  ck_assert_str_eq(answer.reason, "SERVFAIL");
}
END_TEST

START_TEST(texts_are_made_fit_for_replies) {
  g_autoptr(DnsFake) fake = dns_fake_new();
  g_autoptr(Arena) arena = arena_new(0);
  g_autoptr(Resource) list = open_list(fake, "zen.example.org", NULL, TYPE_IP);
  const Slice records[] = {SLICE_LITERAL("listed,\r\nsee"), SLICE_LITERAL("https://zen.example.org/\0\xc3")};
  g_autoptr(GBytes) payload = dns_payload_from(records, G_N_ELEMENTS(records));
  g_autoptr(Answer) raw = answer_new(ANSWER_FOUND, payload, 60);
  Slice text = dnslist()->read_text(list, raw, arena);
  ck_assert_msg(slice_equal(text, SLICE_LITERAL("listed,??see https://zen.example.org/??")), "%.*s", SLICE_ARGS(text));
  char huge[5000];
  memset(huge, 'x', sizeof huge);
  const Slice long_record = slice_make(huge, sizeof huge);
  g_autoptr(GBytes) long_payload = dns_payload_from(&long_record, 1);
  g_autoptr(Answer) long_raw = answer_new(ANSWER_FOUND, long_payload, 60);
  ck_assert_uint_eq(dnslist()->read_text(list, long_raw, arena).length, 400);
}
END_TEST

START_TEST(without_a_resolver_it_fails) {
  g_autoptr(Arena) arena = arena_new(0);
  ResourceSpec spec = list_spec("zen.example.org", NULL, TYPE_IP);
  g_autoptr(Resource) list = dnslist()->open(&spec, NULL, NULL);
  Value key = ip_value("192.0.2.1");
  g_autoptr(Question) question = dnslist()->ask(list, &key, arena);
  g_autoptr(Scheduler) scheduler = scheduler_new(NULL);
  g_autoptr(AnswerBox) box = answer_box_new(NULL, NULL);
  scheduler_ask(scheduler, question, box);
  ck_assert(answer_box_wait(box, G_MAXINT64));
  g_autoptr(Question) asked = NULL;
  g_autoptr(Answer) answer = NULL;
  ck_assert(answer_box_take(box, &asked, &answer));
  ck_assert_str_eq(answer->reason, "there is no resolver");
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, filters_match);
  tcase_add_test(tests, bad_filters_are_told);
  tcase_add_test(tests, specs_are_checked);
  tcase_add_test(tests, questions_are_names_under_the_zone);
  tcase_add_test(tests, lists_on_one_zone_ask_one_question);
  tcase_add_test(tests, answers_are_judged);
  tcase_add_test(tests, failures_keep_their_reason);
  tcase_add_test(tests, texts_are_made_fit_for_replies);
  tcase_add_test(tests, without_a_resolver_it_fails);
}

UNIT_MAIN("dnslist", add_tests)
