/*
 * test_doors_agree.c: the same session gets the same verdict through both doors. Random rulesets from a stock of rules, random sessions
 * of two messages; each recipient's answer from the milter's machine and from the policy door, asked as Postfix does with its delayed
 * restrictions: once for each recipient.
 */
#include "common/door/policy.h"
#include "tests/unit/milter_story.h"

enum { RULESETS = 400, SESSIONS = 12, RECIPIENTS = 4 };

/* %d: the rule's number, which makes labels and texts unique. */
static const char *const connect_rules[] = {
    "[c%d] reject \"connect %d\" if client_address == 192.0.2.1\n",     "[c%d] tempfail \"connect %d\" if client_address in 192.0.2.2/31\n",
    "[c%d] disconnect \"connect %d\" if client_address == 192.0.2.3\n", "[c%d] accept session if client_address == 192.0.2.4\n",
    "[c%d] set session.x = \"c\" if client_address != 192.0.2.5\n",     "[c%d] score 2\n",
    "[c%d] reject \"connect %d\" if client_address in 192.0.2.0/24\n",  "[c%d] pass if client_address == 192.0.2.5\n",
};
static const char *const helo_rules[] = {
    "[h%d] reject \"helo %d\" if helo_name == \"h1.test\"\n",
    "[h%d] accept session if helo_name == \"h2.test\"\n",
    "[h%d] disconnect \"helo %d\" if helo_name == \"h3.test\"\n",
    "[h%d] score 1 if helo_name != \"h4.test\"\n",
    "[h%d] tempfail \"helo %d\" if session.x is set and helo_name == \"h4.test\"\n",
    "[h%d] pass if helo_name == \"h5.test\"\n",
};
static const char *const mail_rules[] = {
    "[m%d] reject \"mail %d\" if sender == \"s1@a.test\"\n",
    "[m%d] accept message if sender == \"s2@a.test\"\n",
    "[m%d] discard message \"mail\" if sender == \"s3@a.test\"\n",
    "[m%d] score 1 if sender == \"s4@a.test\"\n",
    "[m%d] tempfail \"mail %d\" if sender == <> and score > 1\n",
    "[m%d] set message.z = \"m\" if sender != \"s5@a.test\"\n",
    "[m%d] pass if sender == \"s1@a.test\"\n",
};
static const char *const rcpt_rules[] = {
    "[r%d] accept recipient if recipient.localpart == \"postmaster\"\n",
    "[r%d] reject \"rcpt %d\" if recipient == \"r1@b.test\"\n",
    "[r%d] discard message \"rcpt\" if recipient == \"r2@b.test\"\n",
    "[r%d] tempfail \"rcpt %d\" if score > 3\n",
    "[r%d] reject \"rcpt %d\" if session.y == \"h4.test\" and message.z is set\n",
    "[r%d] accept recipient if session.x is set and message.z is set\n",
    "[r%d] score 1\n",
    "[r%d] pass if recipient == \"r3@b.test\"\n",
    "[r%d] reject \"rcpt %d\" if client_address in zen\n",
    "[r%d] observe accept recipient if recipient == \"r1@b.test\"\n",
};

static void add_phase(GString *text, GRand *random, const char *phase, const char *const *stock, size_t count, int *number) {
  int rules = g_rand_int_range(random, 0, 5);
  if (rules == 0) {
    return;
  }
  g_string_append_printf(text, "at %s {\n", phase);
  for (int i = 0; i < rules; i++) {
    g_auto(GStrv) parts = g_strsplit(stock[g_rand_int_range(random, 0, (gint32)count)], "%d", -1);
    g_autofree char *digits = g_strdup_printf("%d", ++*number);
    g_autofree char *rule = g_strjoinv(digits, parts);
    g_string_append(text, rule);
  }
  g_string_append(text, "}\n");
}

static char *random_rules(GRand *random) {
  GString *text = g_string_new("dnslist zen of ip \"zen.test\" on error tempfail\n");
  int number = 0;
  /* Declares the variables for every draw: no session has this name. Each HELO sets session.y: of the first only refusals and scores go. */
  g_string_append(text,
                  "at connect { set session.x = \"n\" if server_name == \"never.test\" }\nat helo { set session.y = helo_name if "
                  "server_name == \"never.test\" }\n"
                  "at mail { set message.z = \"n\" if server_name == \"never.test\" }\n");
  add_phase(text, random, "connect", connect_rules, G_N_ELEMENTS(connect_rules), &number);
  add_phase(text, random, "helo", helo_rules, G_N_ELEMENTS(helo_rules), &number);
  add_phase(text, random, "mail", mail_rules, G_N_ELEMENTS(mail_rules), &number);
  add_phase(text, random, "rcpt", rcpt_rules, G_N_ELEMENTS(rcpt_rules), &number);
  return g_string_free(text, FALSE);
}

/* What a client gets for a recipient: "taken", or the reply with the rule behind it. */
static char *answer_text(Arena *arena, const Verdict *verdict, bool refused) {
  if (!refused) {
    return g_strdup("taken");
  }
  MilterResult result = milter_encode(arena, verdict, verdict->phase);
  return g_strdup_printf("%s %s %s [%.*s]", result.code, result.enhanced, result.lines[0], SLICE_ARGS(verdict->rule));
}

/* ---- The policy door ---- */

typedef struct PolicySide {
  Arena *arena;
  Session *session;
  Variables *variables;
  PolicyMemory *memory;
  Ruleset *ruleset;
  Clock *clock;
} PolicySide;

static char *ask_policy(PolicySide *side, const char *address, const char *helo, const char *sender, const char *recipient, int message) {
  arena_reset(side->arena);
  const char *text = arena_printf(
      side->arena,
      "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=%s\nclient_port=40000\nclient_name=mail.test\n"
      "helo_name=%s\nsender=%s\nrecipient=%s\ninstance=1.2.3.%d\n\n",
      address, helo, sender, recipient, message);
  PolicyParser parser = {0};
  PolicyRequest *request = ARENA_NEW(side->arena, PolicyRequest);
  size_t used;
  const char *problem;
  Slice excerpt;
  ck_assert_int_eq(policy_parse(&parser, slice_from(text), request, &used, &problem, &excerpt), POLICY_PARSE_REQUEST);
  PolicyOptions options = {.server_name = "mx.example.test", .deadline_ms = 8000, .owned = PHASES_ALL};
  PolicyQuestion *question =
      policy_question_new(side->arena, side->ruleset, side->session, &side->variables, side->memory, request, &options, side->clock);
  while (policy_question_run(question) == EVALUATION_WAITS) {
    size_t count;
    Question *const *wanted = policy_question_wanted(question, &count);
    for (size_t i = 0; i < count; i++) {
      g_autoptr(Answer) answer = answer_new(ANSWER_NOT_FOUND, NULL, 0);
      policy_question_answer(question, wanted[i], answer);
    }
  }
  const Verdict *verdict = policy_question_verdict(question);
  return answer_text(side->arena, verdict, verdict_refuses(verdict));
}

/* ---- The milter ---- */

static const MilterResult *tell_milter(StoryTeller *teller, MilterEventKind kind, const char *argument, const char *address) {
  const char *arguments[] = {argument, NULL};
  IpAddress ip;
  MilterEvent event = {.kind = kind, .arguments = arguments};
  if (address) {
    ck_assert(ip_parse(slice_from(address), &ip));
    event.address = &ip;
    event.port = 40000;
  }
  story_event(teller, &event);
  return milter_session_result(teller->session);
}

static char *ask_milter(StoryTeller *teller, Arena *arena, MilterEventKind kind, const char *argument) {
  const MilterResult *result = tell_milter(teller, kind, argument, NULL);
  return answer_text(arena, result->verdict, result->has_reply);
}

/* ---- Sessions ---- */

typedef struct Draw {
  char address[16], first_helo[16], helo[16];
  char sender[2][16];
  const char *recipients[2][RECIPIENTS];
} Draw;

static Draw random_session(GRand *random) {
  static const char *const recipients[] = {"postmaster@b.test", "r1@b.test", "r2@b.test", "r3@b.test"};
  static const int first_names[] = {1, 4, 5}; /* neither `accept session` nor `disconnect`: those are for good in the milter */
  Draw draw;
  g_snprintf(draw.address, sizeof draw.address, "192.0.2.%d", g_rand_int_range(random, 1, 6));
  g_snprintf(draw.first_helo, sizeof draw.first_helo, "h%d.test", first_names[g_rand_int_range(random, 0, 3)]);
  g_snprintf(draw.helo, sizeof draw.helo, "h%d.test", g_rand_int_range(random, 1, 6));
  for (int message = 0; message < 2; message++) {
    int number = g_rand_int_range(random, 0, 6);
    if (number == 0) {
      draw.sender[message][0] = '\0';
    } else {
      g_snprintf(draw.sender[message], sizeof draw.sender[message], "s%d@a.test", number);
    }
    for (int i = 0; i < RECIPIENTS; i++) {
      draw.recipients[message][i] = recipients[g_rand_int_range(random, 0, (gint32)G_N_ELEMENTS(recipients))];
    }
  }
  return draw;
}

static void compare_message(StoryTeller *teller, PolicySide *policy, const Draw *draw, int message, bool session_accepted, int number,
                            const char *rules) {
  g_autoptr(Arena) arena = arena_new(0);
  bool accepted = session_accepted;
  g_autofree char *mail = NULL;
  if (!accepted) {
    mail = ask_milter(teller, arena, MILTER_MAIL, draw->sender[message]);
    accepted = milter_session_result(teller->session)->action == MILTER_ACCEPT; /* the MTA asks no more about this message */
  }
  for (int i = 0; i < RECIPIENTS; i++) {
    g_autofree char *expected =
        ask_policy(policy, draw->address, draw->helo, draw->sender[message], draw->recipients[message][i], number * 2 + message);
    g_autofree char *got = accepted                     ? g_strdup("taken")
                           : strcmp(mail, "taken") != 0 ? g_strdup(mail)
                                                        : ask_milter(teller, arena, MILTER_RCPT, draw->recipients[message][i]);
    ck_assert_msg(strcmp(expected, got) == 0, "%s %s %s <%s> <%s>\n  policy %s\n  milter %s\n%s", draw->address, draw->first_helo,
                  draw->helo, draw->sender[message], draw->recipients[message][i], expected, got, rules);
  }
  if (!session_accepted) {
    (void)tell_milter(teller, MILTER_ABORT, NULL, NULL);
  }
}

static void compare_session(StoryTeller *teller, PolicySide *policy, const Draw *draw, int number, const char *rules) {
  bool accepted = tell_milter(teller, MILTER_CONNECT, "mail.test", draw->address)->action == MILTER_ACCEPT;
  accepted = accepted || tell_milter(teller, MILTER_HELO, draw->first_helo, NULL)->action == MILTER_ACCEPT;
  accepted = accepted || tell_milter(teller, MILTER_HELO, draw->helo, NULL)->action == MILTER_ACCEPT;
  for (int message = 0; message < 2; message++) {
    compare_message(teller, policy, draw, message, accepted, number, rules);
  }
}

START_TEST(each_recipient_gets_the_same_answer) {
  GRand *random = g_rand_new_with_seed(20261123);
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Clock) clock = clock_manual_new(1700000000);
  for (int i = 0; i < RULESETS; i++) {
    g_autofree char *rules = random_rules(random);
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = registry_source(registry), .open_resources = true};
    g_autoptr(Ruleset) ruleset = ruleset_load_text("random.rules", slice_from(rules), ".", &options, diagnostics);
    g_autofree char *problems = diagnostics_print(diagnostics);
    ck_assert_msg(ruleset != NULL, "%s\n%s", problems, rules);
    Story story = {.name = "random"};
    StoryTeller teller = {.story = &story, .clock = clock, .macros = g_hash_table_new(g_str_hash, g_str_equal)};
    MilterOptions milter_options = story_options(&story, clock);
    PolicySide policy = {
        .arena = arena_new(0), .session = session_new(DOOR_POLICY), .memory = policy_memory_new(clock), .ruleset = ruleset, .clock = clock};
    for (int k = 0; k < SESSIONS; k++) {
      Draw draw = random_session(random);
      g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &milter_options);
      teller.session = milter_session_new(plan);
      compare_session(&teller, &policy, &draw, k, rules);
      milter_session_free(teller.session);
    }
    arena_free(policy.arena);
    variables_free(policy.variables);
    session_free(policy.session);
    policy_memory_free(policy.memory);
    g_hash_table_destroy(teller.macros);
  }
  g_rand_free(random);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, each_recipient_gets_the_same_answer);
}

UNIT_MAIN("doors_agree", add_tests)
