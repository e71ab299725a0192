/*
 * test_milter_content.c: what rules at the end of a message read of its content, through the milter's state machine; and what is asked of the MTA for it.
 */
#include "tests/unit/milter_story.h"

#define START "connect 192.0.2.1 mail.example.org\nmail <a@b.test>\nrcpt <c@d.test>\n"
#define MIXED "header Content-Type multipart/mixed;boundary=b\n"

static const Story stories[] = {
    {.name = "header fields by name, of two messages and one that was aborted",
     .rules = "at eom { [s] reject 554 5.7.1 \"{header[\"Subject\"]}\" if header[\"subject\"] ~ /spam/ }",
     .steps = START "header Subject spam!\nheader X-Other spam\neom => reject 554 5.7.1 \"spam!\" [s]\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader Subject ham\neom\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader Subject spam\nabort\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\neom\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader Subject =?utf-8?q?sp=61m?=\neoh\neom => reject 554 5.7.1 \"spam\" [s]"},
    {.name = "without MAIL and RCPT: what follows an end is the next message",
     .rules = "at eom { [n] reject 554 5.7.1 \"{header_count} {received_count} {header_duplicates}\" if header_count > 1 }",
     .steps =
         "header A x\neom\nheader A x\nheader Received x\nheader Subject x\nheader subject x\neom => reject 554 5.7.1 \"4 1 subject\" [n]\n"
         "header A x\neom\nheader A x\neom"},
    {.name = "addresses",
     .rules = "at eom { [f] reject 554 5.7.1 \"{header.from}\" if sender not in header.from }",
     .steps = START "header From X@b.test\neom => reject 554 5.7.1 \"X@b.test\" [f]\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader From x@y.test\nheader from <a@b.test>\neom\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\neom => reject 554 5.7.1 \"message refused by local policy\" [f]"},
    {.name = "attachments, in pieces of any size",
     .rules = "at eom { [exe] reject 554 5.7.1 \"{attachment}\" if any attachment has (name ~ /[.]exe$/ and size > 2) }",
     .steps = START MIXED "eoh\nbody --b\\nContent-Type: a/b; na\nbody me=f.exe\\n\\n\nbody 12\nbody 3\\n--\nbody b--\\n\n"
                          "eom => reject 554 5.7.1 \"f.exe a/b 3\" [exe]\n"
                          "mail <a@b.test>\nrcpt <c@d.test>\n" MIXED "eoh\nbody --b\\nContent-Type:a/b;name=f.exe\\n\\n12\\n--b--\neom\n"
                          "mail <a@b.test>\nrcpt <c@d.test>\neom"},
    {.name = "text, and enough of it",
     .rules = "at eom { [t] reject 554 5.7.1 \"{body_truncated}\" if body ~ /buy/ }",
     .steps = START
     "eoh\nbody hello\\r\\n\nbody buy\neom => reject 554 5.7.1 \"false\" [t]\nmail <a@b.test>\nrcpt <c@d.test>\neoh\nbody bu\neom"},
    {.name = "the size: counted, or what the MTA says",
     .rules = "at eom { [z] reject 552 5.3.4 \"{message_size}\" if message_size > 10 }",
     .steps = START "header A b\nbody 12\neom\nmail <a@b.test>\nrcpt <c@d.test>\nheader A b\nbody 123\neom => reject 552 5.3.4 \"11\" [z]\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader A b\nbody 123\nmacro {msg_size} 10\neom\nmacro {msg_size} 4711\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\neom => reject 552 5.3.4 \"4711\" [z]"},
    {.name = "the header decides: the body is not wanted",
     .rules = "at eom { [s] reject if \"spam\" in header[\"Subject\"]\n [exe] reject 554 5.7.1 \"{attachment}\" if any attachment has "
              "(name ~ /exe$/) }",
     .steps = START MIXED "header Subject spam\neoh\nbody x\nbody y\n"
                          "eom => reject 554 5.7.1 \"message refused by local policy\" [s]\n"
                          "mail <a@b.test>\nrcpt <c@d.test>\n" MIXED "header Subject ham\neoh\n"
                          "body --b\\nContent-Type:a/b;name=x.exe\\n\\n\neom => reject 554 5.7.1 \"x.exe a/b 0\" [exe]"},
    {.name = "a pass decides, whatever the body; effects come once",
     .rules = "at eom { prepend header \"X-A\" \"a\"\n pass if sender == \"a@b.test\"\n [t] reject if body ~ /buy/ }",
     .steps = START "eoh\nbody buy\neom => continue [story.rules:2] header X-A: a\n"
                    "mail <x@b.test>\nrcpt <c@d.test>\neoh\nbody buy\neom => reject 554 5.7.1 \"message refused by local policy\" [t]"},
    {.name = "scores and variables of the early look are those of the end",
     .rules = "at eom { score message 1\n [s] reject 554 5.7.1 \"{score}\" if score >= 2\n [x] reject 554 5.7.1 \"{score} {body}\" if body "
              "~ /buy/\n }",
     .steps = START "eoh\nbody buy\neom => reject 554 5.7.1 \"1 buy\" [x]"},
    {.name = "a rule that needs a look-up waits for the end",
     .rules = "dnslist zen of ip \"zen.test\"\nat eom { [z] reject \"listed\" if client_address in zen\n [t] reject 554 5.7.1 \"t\" if "
              "body ~ /buy/ }",
     .steps = START "eoh\nbody buy\neom => reject 554 5.7.1 \"t\" [t]"},
    {.name = "an accepted message is not looked at, nor one of an accepted session",
     .rules = "at mail { [a] accept message if sender == \"a@b.test\"\n [q] quarantine message \"x\" }\n"
              "at eom { [t] reject 554 5.7.1 \"t\" if body ~ /buy/ }",
     .steps = "connect 192.0.2.1 mail.example.org\nmail <a@b.test> => accept [a]\n"
              "mail <q@b.test> => continue\nrcpt <c@d.test>\nbody buy\neom => reject 554 5.7.1 \"t\" [t]"},
    {.name = "a refused message is not looked at",
     .rules = "at data { [d] reject 554 5.7.1 \"d\" if sender == \"a@b.test\" }\nat eom { [t] reject 554 5.7.1 \"t\" if body ~ /buy/ }",
     .steps = START "data => reject 554 5.7.1 \"d\" [d]\neoh\nbody buy\neom => reject 554 5.7.1 \"d\" [d]"},
    {.name = "a reload comes with the next message",
     .rules =
         "at eom { [a] reject 554 5.7.1 \"{header[\"A\"]}\" if header[\"A\"] is set\n [x] reject if body ~ /x/ and attachment is set }",
     .second = "at eom { [b] reject 554 5.7.1 \"{header[\"B\"]}\" if header[\"B\"] is set\n [y] reject 554 5.7.1 \"y\" if body ~ /y/ }",
     .steps = START "header A a\noffer\nheader B b\neoh\nbody y\neom => reject 554 5.7.1 \"a\" [a]\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader A a\neoh\nbody y\neom => reject 554 5.7.1 \"y\" [y]\n"
                    "mail <a@b.test>\nrcpt <c@d.test>\nheader A a\nheader B b\neoh\nbody y\neom => reject 554 5.7.1 \"b\" [b]"},
    {.name = "rules that read nothing of it",
     .rules = "at eom { [q] quarantine message \"x\" if sender == \"q@b.test\" }",
     .steps = START "header A b\neoh\nbody x\neom\nmail <q@b.test>\nheader A b\neom => continue quarantine x"},
};

START_TEST(a_story_is_told) {
  story_tell(&stories[_i]);
}
END_TEST

/* What is declined, what comes with (parentheses: without) a reply. */
static const struct {
  const char *rules, *steps;
} needs[] = {
    {"at eom { reject if sender == \"x@y.test\" }", ""},
    {"at rcpt { reject if recipient == \"x@y.test\" }", ""},
    {"at eom { reject if header_count > 5 }", "(header)"},
    {"at eom { reject if header[\"A\"] is set }", "(header)"},
    {"at eom { reject if any header has (name == \"A\") }", "(header)"},
    {"at eom { reject if header.to is unset }", "(header)"},
    {"at eom { reject if message_size > 5 }", "(header) (body)"},
    {"at eom { reject if attachment is set }", "(header) (body)"},
    {"at eom { reject if body ~ /x/ }", "(header) (body)"},
    {"at eom { reject if body_truncated }", "(header) (body)"},
    /* What is read at the end may differ: no early look. */
    {"at eom { reject if body ~ /x/ and time < 10:00 }", "(header) (body)"},
    {"at eom { reject if body ~ /x/ and queue_id is set }", "(header) (body)"},
};

START_TEST(content_is_asked_for) {
  static const struct {
    const char *name;
    MilterEventKind kind;
  } names[] = {{"header", MILTER_HEADER}, {"eoh", MILTER_EOH}, {"body", MILTER_BODY}};
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, needs[_i].rules);
  static const Story story = {0};
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  g_autoptr(GString) steps = g_string_new(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    const MilterStep *step = &milter_plan_needs(plan)->steps[names[i].kind];
    ck_assert(!step->reply);
    if (step->needed) {
      g_string_append_printf(steps, "%s(%s)", steps->len ? " " : "", names[i].name);
    }
  }
  ck_assert_str_eq(steps->str, needs[_i].steps);
  options.owned = PHASE_BIT(PHASE_RCPT); /* another door's rules: nothing is asked for */
  g_autoptr(MilterPlan) other = milter_plan_new(ruleset, &options);
  ck_assert(!milter_plan_needs(other)->steps[MILTER_HEADER].needed && !milter_plan_needs(other)->steps[MILTER_BODY].needed);
}
END_TEST

/* Which verdicts are certain behind the header: then a large body is not looked at, and what it would have told is unknown. */
static const struct {
  const char *rules;
  bool early;
} early[] = {
    {"at eom { [s] reject if \"spam\" in header[\"Subject\"]\n [t] reject if body ~ /buy/ }", true},
    {"at eom { [t] reject if body ~ /buy/\n [s] reject if \"spam\" in header[\"Subject\"] }", false},
    {"at eom { [t] reject if body ~ /buy/ and \"ham\" in header[\"Subject\"] }", true},
    {"at eom { [t] reject if body ~ /buy/ or \"spam\" in header[\"Subject\"] }", true},
    {"at eom { [t] reject if body ~ /buy/ or \"ham\" in header[\"Subject\"] }", false},
    {"at eom { log \"{body}\"\n pass }", false},
    {"at eom { pass if sender == \"a@b.test\"\n [t] reject if body ~ /buy/ }", true},
    {"at eom {\n[s] observe reject if body ~ /buy/\n[t] reject }", false},
    {"at eom { [t] reject if body ~ /buy/ and sender == \"x@y.test\" }", true},
    {"dnslist zen of ip \"zen.test\"\nat eom { [z] reject if client_address in zen\n [t] reject if body ~ /buy/ }", false},
};

START_TEST(certain_verdicts_need_no_body) {
  static const Story story = {0};
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, early[_i].rules);
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  MilterSession *session = milter_session_new(plan);
  const char *mail[] = {"<a@b.test>", NULL}, *subject[] = {"Subject", "spam", NULL};
  static const size_t sizes[] = {100, 16384, 65535};
  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autofree char *piece = g_strnfill(sizes[i], 'x');
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_MAIL, .arguments = mail});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_HEADER, .arguments = subject});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_BODY, .body = slice_make(piece, sizes[i])});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_BODY, .body = slice_make(piece, sizes[i])});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_EOM});
    ValueState expected = i > 0 && early[_i].early ? VALUE_UNKNOWN : VALUE_SET;
    ck_assert_int_eq(session_get(milter_session_facts(session), FACT_BODY)->state, expected);
  }
  milter_session_free(session);
}
END_TEST

/* The text's limit is the plan's. */
START_TEST(limits_are_those_of_the_plan) {
  static const Story story = {.rules = "at eom { [t] reject 554 5.7.1 \"{body} {body_truncated}\" }"};
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, story.rules);
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  options.message = (MessageLimits){65536, 3};
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  options.message.body_text = 4;
  g_autoptr(MilterPlan) next = milter_plan_new(ruleset, &options);
  MilterSession *session = milter_session_new(plan);
  for (int i = 0; i < 2; i++) {
    const char *mail[] = {"<a@b.test>", NULL};
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_MAIL, .arguments = mail});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_BODY, .body = SLICE_LITERAL("12")});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_BODY, .body = SLICE_LITERAL("345")});
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_EOM});
    ck_assert_str_eq(milter_session_result(session)->lines[0], i == 0 ? "123 true" : "1234 true");
    milter_session_offer_plan(session, next);
  }
  milter_session_free(session);
}
END_TEST

/* Past a limit a list is unknown, and `on error` decides. */
START_TEST(too_many_fields_are_a_temporary_failure) {
  static const char *const rules[] = {"at eom { [l] reject if any header has (name == \"X-Bad\") }",
                                      "at eom { [l] reject if any header has (name == \"X-Bad\") on error skip }"};
  for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
    static const Story story = {0};
    g_autoptr(Registry) registry = story_registry();
    g_autoptr(Ruleset) ruleset = story_rules(registry, rules[i]);
    g_autoptr(Clock) clock = clock_manual_new(0);
    MilterOptions options = story_options(&story, clock);
    g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
    MilterSession *session = milter_session_new(plan);
    const char *field[] = {"X-Many", "1", NULL};
    for (int fields = 0; fields < 10000; fields++) {
      (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_HEADER, .arguments = field});
      ck_assert_int_eq(milter_session_result(session)->action, MILTER_CONTINUE);
    }
    (void)milter_session_event(session, &(MilterEvent){.kind = MILTER_EOM});
    const MilterResult *result = milter_session_result(session);
    ck_assert_int_eq(result->action, i == 0 ? MILTER_TEMPFAIL : MILTER_CONTINUE);
    ck_assert(slice_equal(result->verdict->failures->lookup, SLICE_LITERAL("message")));
    ck_assert(slice_equal(result->verdict->failures->reason, SLICE_LITERAL("more than 1000 header fields")));
    milter_session_free(session);
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, a_story_is_told, 0, G_N_ELEMENTS(stories));
  tcase_add_loop_test(tests, content_is_asked_for, 0, G_N_ELEMENTS(needs));
  tcase_add_loop_test(tests, certain_verdicts_need_no_body, 0, G_N_ELEMENTS(early));
  tcase_add_test(tests, too_many_fields_are_a_temporary_failure);
  tcase_add_test(tests, limits_are_those_of_the_plan);
}

UNIT_MAIN("milter_content", add_tests)
