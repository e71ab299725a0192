/*
 * test_milter_needs.c: what a ruleset asks of the MTA. Steps are written in order: a name is with a reply, in parentheses without; what
 * is missing is declined.
 */
#include "tests/unit/milter_story.h"

typedef struct Case {
  const char *name;
  const char *rules;
  const char *steps;
  const char *macros; /* "step: list; step: list" of those that are not empty */
  const char *delay_reject;
  PhaseSet owned;
} Case;

static const Case cases[] = {
    {"no rules", "define x = 1", "", "", NULL, 0},
    {"rcpt decides: negotiation, RCPT and the end are the only round trips", "at rcpt { reject if recipient == \"a@b.test\" }",
     "(connect) (mail) rcpt", "mail: i; rcpt: i; eom: i", NULL, 0},
    {"helo's name is read at rcpt", "at rcpt { reject if helo_name is unset }", "(connect) (helo) (mail) rcpt", "mail: i; rcpt: i; eom: i",
     NULL, 0},
    {"connect's refusal is held", "at connect { reject if client_address in 192.0.2.0/24 }", "(connect) (mail) rcpt",
     "mail: i; rcpt: i; eom: i", NULL, 0},
    {"connect's refusal is said at MAIL", "at connect { reject if client_address in 192.0.2.0/24 }", "(connect) mail rcpt",
     "mail: i; rcpt: i; eom: i", "mail", 0},
    {"connect's refusal is said at once", "at connect { reject if client_address in 192.0.2.0/24 }", "connect mail rcpt",
     "mail: i; rcpt: i; eom: i", "no", 0},
    {"disconnect needs a reply", "at helo { disconnect if helo_name == \"x\" }", "(connect) helo (mail) rcpt", "mail: i; rcpt: i; eom: i",
     NULL, 0},
    {"mail, data and unknown", "at mail, data, unknown { tempfail }", "(connect) mail data unknown", "mail: i; data: i; eom: i", NULL, 0},
    {"expn", "at expn { reject }", "(connect) (mail) (data) unknown", "mail: i; data: i; eom: i", NULL, 0},
    {"the number of recipients is counted", "at eom { reject if recipient_count > 5 }", "(connect) (mail) (rcpt)",
     "mail: i; rcpt: i; eom: i", NULL, 0},
    {"macros at their step",
     "at rcpt { reject if reverse_client_name is unset and sasl_username is unset and encryption_protocol is unset and service == \"mx\" }",
     "(connect) (mail) rcpt", "connect: {client_ptr} {daemon_name} j; mail: {tls_version} {auth_authen} i; rcpt: i; eom: i", NULL, 0},
    {"TLS at helo", "at helo { reject if encryption_protocol is unset }", "(connect) (helo) (mail) rcpt",
     "helo: {tls_version}; mail: {tls_version} i; rcpt: i; eom: i", NULL, 0},
    {"what the other door answers is not asked for", "at connect, helo, mail, rcpt { reject }\nat data { reject }", "(connect) (mail) data",
     "mail: i; data: i; eom: i", NULL, PHASE_BIT(PHASE_DATA) | PHASE_BIT(PHASE_EOM)},
    {"but for its variables", "at helo { set session.x = helo_name }\nat eom { reject if session.x is unset }", "(connect) (helo) (mail)",
     "mail: i; eom: i", NULL, PHASE_BIT(PHASE_DATA) | PHASE_BIT(PHASE_EOM)},
};

/* In the order of a session; the end is always needed. */
static const struct {
  const char *name;
  MilterEventKind kind;
} names[] = {{"connect", MILTER_CONNECT}, {"helo", MILTER_HELO}, {"mail", MILTER_MAIL}, {"rcpt", MILTER_RCPT},      {"data", MILTER_DATA},
             {"header", MILTER_HEADER},   {"eoh", MILTER_EOH},   {"eom", MILTER_EOM},   {"unknown", MILTER_UNKNOWN}};

static void add_step(GString *text, const char *name, bool needed, bool reply) {
  if (needed) {
    g_string_append_printf(text, reply ? "%s%s" : "%s(%s)", text->len ? " " : "", name);
  }
  ck_assert_msg(needed || !reply, "%s: a reply to a step that is declined", name);
}

static void add_macros(GString *text, const char *name, const char *list) {
  if (list[0]) {
    g_string_append_printf(text, "%s%s: %s", text->len ? "; " : "", name, list);
  }
}

START_TEST(steps_and_macros) {
  const Case *the = &cases[_i];
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, the->rules);
  Story story = {.delay_reject = the->delay_reject, .owned = the->owned};
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  const MilterNeeds *needs = milter_plan_needs(plan);
  g_autoptr(GString) steps = g_string_new(NULL), macros = g_string_new(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    const MilterStep *step = &needs->steps[names[i].kind];
    if (names[i].kind != MILTER_EOM) {
      add_step(steps, names[i].name, step->needed, step->reply);
    }
    add_macros(macros, names[i].name, step->macros);
  }
  ck_assert_msg(strcmp(steps->str, the->steps) == 0, "%s: expected steps %s, got %s", the->name, the->steps, steps->str);
  ck_assert_msg(strcmp(macros->str, the->macros) == 0, "%s: expected macros %s, got %s", the->name, the->macros, macros->str);
  ck_assert(needs->steps[MILTER_EOM].needed && milter_needs_cover(needs, needs));
}
END_TEST

/* What rules may do to a message is asked for, and what it takes to do it. */
static const struct {
  const char *rules, *steps, *flags;
  PhaseSet owned;
} changing[] = {
    {"at eom { tempfail }", "(connect) (mail)", "", 0},
    {"at eom {\n[o] observe prepend header \"X\" \"x\"\n}", "(connect) (mail)", "", 0},
    {"at rcpt { prepend header \"X\" \"x\" }", "(connect) (mail) rcpt", "add-headers", 0},
    {"at eom { append header \"X\" \"x\" }", "(connect) (mail)", "add-headers", 0},
    {"at eom { replace header \"X\" \"x\" }", "(connect) (mail) (header)", "add-headers change-headers", 0},
    {"at mail { delete header \"X\" last }", "(connect) mail (header)", "change-headers", 0},
    {"at eom { add recipient \"a@b.test\"\nbcc message \"c@b.test\" }", "(connect) (mail)", "add-recipients", 0},
    {"at eom { remove recipient \"a@b.test\" }", "(connect) (mail) (rcpt)", "delete-recipients", 0},
    {"at eom { redirect message \"a@b.test\" }", "(connect) (mail) (rcpt)", "add-recipients delete-recipients", 0},
    {"at data { change sender <> }", "(connect) (mail) data", "change-sender", 0},
    {"at eom { quarantine message \"x\" }", "(connect) (mail)", "quarantine", 0},
    {"table t of domain -> action { \"b.test\" -> \"HOLD\" }\nat eom { check t[sender.domain] }", "(connect) (mail)", "quarantine", 0},
    {"at rcpt { delete header \"X\" }\nat eom { quarantine message \"x\" }", "(connect) (mail)", "quarantine", PHASE_BIT(PHASE_EOM)},
};

START_TEST(changes_of_messages_need_flags) {
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) ruleset = story_rules(registry, changing[_i].rules);
  Story story = {.owned = changing[_i].owned};
  g_autoptr(Clock) clock = clock_manual_new(0);
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) plan = milter_plan_new(ruleset, &options);
  const MilterNeeds *needs = milter_plan_needs(plan);
  g_autoptr(GString) steps = g_string_new(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    if (names[i].kind != MILTER_EOM) {
      add_step(steps, names[i].name, needs->steps[names[i].kind].needed, needs->steps[names[i].kind].reply);
    }
  }
  g_autofree char *flags = g_strconcat(needs->add_headers ? " add-headers" : "", needs->change_headers ? " change-headers" : "",
                                       needs->add_recipients ? " add-recipients" : "", needs->delete_recipients ? " delete-recipients" : "",
                                       needs->change_sender ? " change-sender" : "", needs->quarantine ? " quarantine" : "", NULL);
  ck_assert_str_eq(steps->str, changing[_i].steps);
  ck_assert_str_eq(g_strchug(flags), changing[_i].flags);
  g_autoptr(Ruleset) none = story_rules(registry, "at eom { tempfail }");
  g_autoptr(MilterPlan) none_plan = milter_plan_new(none, &options);
  ck_assert_int_eq(milter_needs_cover(milter_plan_needs(none_plan), needs), changing[_i].flags[0] == '\0');
  ck_assert(milter_needs_cover(needs, needs));
}
END_TEST

START_TEST(a_reloaded_ruleset_may_need_more) {
  g_autoptr(Registry) registry = story_registry();
  g_autoptr(Ruleset) few = story_rules(registry, "at rcpt { reject if recipient == \"a@b.test\" }");
  g_autoptr(Ruleset) more = story_rules(registry, "at rcpt { reject if sasl_username is unset }");
  g_autoptr(Ruleset) step = story_rules(registry, "at rcpt, data { reject }");
  g_autoptr(Clock) clock = clock_manual_new(0);
  Story story = {.owned = 0};
  MilterOptions options = story_options(&story, clock);
  g_autoptr(MilterPlan) few_plan = milter_plan_new(few, &options);
  g_autoptr(MilterPlan) more_plan = milter_plan_new(more, &options);
  g_autoptr(MilterPlan) step_plan = milter_plan_new(step, &options);
  const MilterNeeds *few_needs = milter_plan_needs(few_plan), *more_needs = milter_plan_needs(more_plan),
                    *step_needs = milter_plan_needs(step_plan);
  ck_assert(milter_needs_cover(more_needs, few_needs));
  ck_assert(!milter_needs_cover(few_needs, more_needs));
  ck_assert(milter_needs_cover(step_needs, few_needs));
  ck_assert(!milter_needs_cover(few_needs, step_needs));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, steps_and_macros, 0, (int)G_N_ELEMENTS(cases));
  tcase_add_loop_test(tests, changes_of_messages_need_flags, 0, (int)G_N_ELEMENTS(changing));
  tcase_add_test(tests, a_reloaded_ruleset_may_need_more);
}

UNIT_MAIN("milter_needs", add_tests)
