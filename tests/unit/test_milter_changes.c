/*
 * test_milter_changes.c: what effects on a message come to in calls of the milter protocol, and what a ruleset may need of them.
 */
#include "common/base/limits.h"
#include "common/door/milter_changes.h"
#include "tests/unit/rules_fixture.h"
#include "tests/unit/unit.h"

/* The message: two X-A headers, three Received, no X-None; to two recipients, the first with a name in other case. */
static const HeaderCount headers[] = {{SLICE_LITERAL("x-a"), 2}, {SLICE_LITERAL("Received"), 3}, {SLICE_LITERAL("X-None"), 0}};
static const char *const recipients[] = {"<Ann@Example.org>", "<\"b c\"@example.org>"};

/* Rules of eom, each a line, and the changes, separated by "; ". */
static const struct {
  const char *rules, *changes;
} cases[] = {
    {"log \"x\"", ""},
    {"prepend header \"X-P\" \"1\"\nappend header \"X-P\" \"2\"", "insert X-P: 1; append X-P: 2"},
    {"prepend header \"X-P\" \"caf\303\251\\n{sender}\"", "insert X-P: caf???ann@example.org"},
    {"replace header \"X-A\" \"new\"", "change X-A[2] deleted; change X-A[1] new"},
    {"replace header \"X-A\" 2 \"new\"", "change X-A[2] new"},
    {"replace header \"X-A\" 3 \"new\"\ndelete header \"X-A\" 3", ""},
    {"replace header \"X-A\" last \"\"", "change X-A[2]  "},
    {"replace header \"X-None\" \"new\"\nreplace header \"x-none\" \"newer\"", "append x-none: newer"},
    {"replace header \"X-None\" last \"new\"\ndelete header \"X-None\"", ""},
    {"delete header \"Received\"", "change Received[3] deleted; change Received[2] deleted; change Received[1] deleted"},
    {"delete header \"Received\" 1\ndelete header \"received\" last", "change received[3] deleted; change Received[1] deleted"},
    /* the later word counts, and indexes are those of the client's message */
    {"delete header \"X-A\"\nreplace header \"X-A\" 2 \"kept\"", "change X-A[2] kept; change X-A[1] deleted"},
    {"replace header \"X-A\" 2 \"kept\"\ndelete header \"X-A\"", "change X-A[2] deleted; change X-A[1] deleted"},
    {"prepend header \"X-A\" \"top\"\ndelete header \"X-A\" 1", "change X-A[1] deleted; insert X-A: top"},
    /* recipients */
    {"add recipient \"new@example.org\"\nbcc message \"copy@example.org\"", "to <new@example.org>; to <copy@example.org>"},
    {"add recipient \"ann@example.org\"\nbcc message \"copy@example.org\"\nbcc message \"copy@example.org\"", "to <copy@example.org>"},
    {"remove recipient \"ann@EXAMPLE.org\"", "not to <Ann@Example.org>"},
    {"remove recipient \"stranger@example.org\"", ""},
    {"remove recipient \"ann@example.org\"\nadd recipient \"ann@example.org\"", ""},
    {"add recipient \"new@example.org\"\nremove recipient \"new@example.org\"", ""},
    {"redirect message \"new@example.org\"", "not to <Ann@Example.org>; not to <\"b c\"@example.org>; to <new@example.org>"},
    {"redirect message \"ann@example.org\"", "not to <\"b c\"@example.org>"},
    {"bcc message \"lost@example.org\"\nredirect message \"new@example.org\"\nbcc message \"copy@example.org\"",
     "not to <Ann@Example.org>; not to <\"b c\"@example.org>; to <new@example.org>; to <copy@example.org>"},
    {"redirect message \"one@example.org\"\nredirect message \"two@example.org\"",
     "not to <Ann@Example.org>; not to <\"b c\"@example.org>; to <two@example.org>"},
    {"bcc message \"\\\"x y\\\"@example.org\"", "to <\"x y\"@example.org>"},
    /* the rest */
    {"change sender <>\nquarantine message \"odd\\n\"", "from <>; hold odd?"},
    {"change sender \"new@example.org\"", "from <new@example.org>"},
    {"filter message \"smtp:\"", ""}, /* not in this protocol */
    {"quarantine message \"odd\"\ndelete header \"X-A\" 1\nadd recipient \"new@example.org\"\nappend header \"X-B\" \"b\"",
     "change X-A[1] deleted; to <new@example.org>; hold odd; append X-B: b"},
};

static void print_change(GString *text, const MilterChange *change) {
  g_string_append(text, text->len > 0 ? "; " : "");
  switch (change->kind) {
    case MILTER_CHANGE_HEADER:
      g_string_append_printf(text, "change %s[%d] %s", change->name, change->index, change->value ? change->value : "deleted");
      return;
    case MILTER_ADD_HEADER:
      g_string_append_printf(text, "append %s: %s", change->name, change->value);
      return;
    case MILTER_INSERT_HEADER:
      g_string_append_printf(text, "insert %s: %s", change->name, change->value);
      return;
    case MILTER_DELETE_RECIPIENT:
      g_string_append_printf(text, "not to %s", change->value);
      return;
    case MILTER_ADD_RECIPIENT:
      g_string_append_printf(text, "to %s", change->value);
      return;
    case MILTER_CHANGE_SENDER:
      g_string_append_printf(text, "from %s", change->value);
      return;
    case MILTER_QUARANTINE:
      g_string_append_printf(text, "hold %s", change->value);
      return;
  }
}

START_TEST(effects_become_changes) {
  g_autofree char *rules = g_strdup_printf("at eom {\n%s\n}\n", cases[_i].rules);
  Fixture *fixture = fixture_new(rules);
  fixture_facts(fixture, "client_address=192.0.2.1 sender=ann@example.org");
  (void)fixture_run(fixture, PHASE_EOM);
  const Verdict *verdict = fixture_verdict(fixture);
  MilterMessage message = {recipients, G_N_ELEMENTS(recipients), headers, G_N_ELEMENTS(headers)};
  g_autoptr(Arena) arena = arena_new(0);
  size_t count;
  const MilterChange *changes = milter_changes(arena, verdict->effects, verdict->effect_count, &message, &count);
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; i < count; i++) {
    ck_assert(changes[i].rule.length > 0);
    print_change(text, &changes[i]);
  }
  ck_assert_msg(strcmp(text->str, cases[_i].changes) == 0, "%s\n  expected %s\n  got      %s", cases[_i].rules, cases[_i].changes,
                text->str);
  fixture_free(fixture);
}
END_TEST

START_TEST(many_headers_of_a_name) {
  static const HeaderCount many[] = {{SLICE_LITERAL("X-Many"), 100000}};
  Effect effects[2] = {{.kind = EFFECT_REPLACE_HEADER, .rule = SLICE_LITERAL("a")},
                       {.kind = EFFECT_DELETE_HEADER, .rule = SLICE_LITERAL("b")}};
  effects[0].as.header.name = effects[1].as.header.name = SLICE_LITERAL("X-Many");
  g_autoptr(Arena) arena = arena_new(0);
  size_t count;
  const MilterChange *changes = milter_changes(arena, effects, 2, &(MilterMessage){.headers = many, .header_count = 1}, &count);
  ck_assert_uint_eq(count, 100000);
  ck_assert_int_eq(changes[0].index, 100000);
  ck_assert_int_eq(changes[99999].index, 1);
  ck_assert_ptr_null(changes[99999].value);
}
END_TEST

START_TEST(only_so_many_are_kept) {
  g_autoptr(GArray) kept = g_array_new(FALSE, FALSE, sizeof(Effect));
  g_autoptr(Arena) arena = arena_new(0);
  char address[32];
  Effect effects[] = {
      {.kind = EFFECT_REMOVE_RECIPIENT, .rule = SLICE_LITERAL("a")},
      {.kind = EFFECT_APPEND_HEADER, .rule = SLICE_LITERAL("b"), .as.header = {.name = SLICE_LITERAL("X"), .value = SLICE_LITERAL("x")}},
      {.kind = EFFECT_LOG, .rule = SLICE_LITERAL("c")}};
  Verdict verdict = {.outcome = OUTCOME_PASS, .effects = effects, .effect_count = G_N_ELEMENTS(effects)};
  for (int i = 1; i < LIMIT_MESSAGE_EFFECTS; i++) {
    (void)g_snprintf(address, sizeof address, "a%d@b.test", i);
    effects[0].as.address = slice_from(address);
    ck_assert(milter_keep_effects(kept, arena, &verdict));
    ck_assert(milter_keep_effects(kept, arena, &verdict));
  }
  ck_assert_uint_eq(kept->len, LIMIT_MESSAGE_EFFECTS); /* the header once */
  ck_assert(slice_equal(g_array_index(kept, Effect, 0).as.address, SLICE_LITERAL("a1@b.test")));
  ck_assert(milter_keep_effects(kept, arena, &verdict));
  effects[0].as.address = SLICE_LITERAL("one@too.many");
  ck_assert(!milter_keep_effects(kept, arena, &verdict));
}
END_TEST

START_TEST(a_ruleset_tells_what_it_may_need) {
  Fixture *fixture = fixture_new(
      "at rcpt {\n[a] observe delete header \"X-Observed\"\n[b] delete header \"X-A\" if sender == <>\n"
      "[c] redirect message \"a@example.org\"\n}\n"
      "at eom {\n[d] replace header \"x-a\" \"b\"\n[e] replace header \"Subject\" last \"c\"\n[f] delay 1s\n}\n");
  const Ruleset *ruleset = fixture_ruleset(fixture);
  EffectSet at_rcpt = EFFECT_BIT(EFFECT_DELETE_HEADER) | EFFECT_BIT(EFFECT_REDIRECT_MESSAGE);
  ck_assert_uint_eq(milter_effects(ruleset, PHASE_BIT(PHASE_RCPT)), at_rcpt);
  ck_assert_uint_eq(milter_effects(ruleset, PHASES_MESSAGE), at_rcpt | EFFECT_BIT(EFFECT_REPLACE_HEADER) | EFFECT_BIT(EFFECT_DELAY));
  ck_assert_uint_eq(milter_effects(ruleset, PHASE_BIT(PHASE_MAIL)), 0);
  g_autoptr(Arena) arena = arena_new(0);
  size_t count;
  HeaderCount *names = milter_changed_headers(arena, ruleset, PHASES_MESSAGE, &count);
  ck_assert_uint_eq(count, 2);
  ck_assert(slice_equal(names[0].name, SLICE_LITERAL("X-A")) && slice_equal(names[1].name, SLICE_LITERAL("Subject")));
  milter_count_header(names, count, SLICE_LITERAL("SUBJECT"));
  milter_count_header(names, count, SLICE_LITERAL("X-B"));
  ck_assert_int_eq(names[0].count, 0);
  ck_assert_int_eq(names[1].count, 1);
  (void)milter_changed_headers(arena, ruleset, PHASE_BIT(PHASE_EOM), &count);
  ck_assert_uint_eq(count, 2);
  (void)milter_changed_headers(arena, ruleset, PHASE_BIT(PHASE_DATA), &count);
  ck_assert_uint_eq(count, 0);
  fixture_free(fixture);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, effects_become_changes, 0, G_N_ELEMENTS(cases));
  tcase_add_test(tests, many_headers_of_a_name);
  tcase_add_test(tests, only_so_many_are_kept);
  tcase_add_test(tests, a_ruleset_tells_what_it_may_need);
}

UNIT_MAIN("milter_changes", add_tests)
