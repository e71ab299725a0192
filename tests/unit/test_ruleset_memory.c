/*
 * test_ruleset_memory.c: what a ruleset keeps of its rules once it is loaded. Counted by its arena, so that neither the C library nor the machine has a say.
 */
#include <glib.h>

#include "common/lookup/kinds.h"
#include "common/rules/index.h"
#include "common/rules/program.h"
#include "tests/unit/unit.h"

/*
 * 100,000 rules fit into 150 MiB resident with their regexes as PCRE2 keeps them (some 300 bytes each, outside of the arena) and the rest of the daemon. Of that the
 * arena's part, program and index, is this much for a rule with a label, a text and one condition.
 */
enum { RULES = 4000, BYTES_A_RULE = 640 };

static Ruleset *load(const char *rules, bool keep_tree) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = source, .open_resources = true, .keep_tree = keep_tree};
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Ruleset *ruleset = ruleset_load_text("memory.rules", slice_from(rules), NULL, &options, diagnostics);
  g_autofree char *text = diagnostics_print(diagnostics);
  ck_assert_msg(ruleset != NULL, "%s", text);
  resource_source_plain_free(source);
  return ruleset;
}

/* A quarter each: client address, network, sender domain, regex with a text that must be there. */
static void append_rule(GString *text, unsigned number) {
  unsigned a = number / 256 % 256, b = number % 256;
  g_string_append_printf(text, "  [rule_%u] reject 550 5.7.1 \"refused by rule %u\" if ", number, number);
  switch (number % 4) {
    case 0:
      g_string_append_printf(text, "client_address == 2001:db8:%x::%x\n", a, b);
      return;
    case 1:
      g_string_append_printf(text, "client_address in 198.%u.%u.0/24\n", 18 + a % 2, b);
      return;
    case 2:
      g_string_append_printf(text, "sender.domain == \"sender%u.example\"\n", number);
      return;
    default:
      g_string_append_printf(text, "helo_name ~ /host[0-9]+\\.net%u\\.test$/\n", number);
      return;
  }
}

static char *many_rules(void) {
  GString *text = g_string_new("at rcpt {\n");
  for (unsigned number = 0; number < RULES; number++)
    append_rule(text, number);
  g_string_append(text, "}\n");
  return g_string_free(text, FALSE);
}

START_TEST(a_rule_takes_few_bytes) {
  g_autofree char *rules = many_rules();
  g_autoptr(Ruleset) ruleset = load(rules, false);
  ck_assert_uint_eq(ruleset->rule_count, RULES);
  ck_assert_ptr_nonnull(ruleset->phases[PHASE_RCPT].index);
  size_t bytes = arena_used(ruleset->arena) / RULES;
  ck_assert_msg(bytes <= BYTES_A_RULE, "%zu bytes a rule", bytes);
}
END_TEST

/* The rules once more as text, and what the checker made of them on the way: nothing of it may stay in the program's own arena. */
START_TEST(a_tree_costs_the_program_nothing) {
  g_autofree char *rules = many_rules();
  g_autoptr(Ruleset) without = load(rules, false);
  g_autoptr(Ruleset) with = load(rules, true);
  ck_assert_uint_eq(arena_used(without->arena), arena_used(with->arena));
  ck_assert_uint_gt(arena_used(with->tree->arena), strlen(rules));
}
END_TEST

static const char named[] =
    "table friends of address -> string { \"ann@example.org\" -> \"yes\" }\n"
    "define inside = client_address in 10.0.0.0/8\n"
    "at rcpt {\n"
    "  [first] observe reject 550 \"no {sender} here\" if sender.domain == \"example.net\"\n"
    "  set session.kind = friends[sender] default \"none\"\n"
    "  when inside {\n    score bulk 2 if service in { \"smtp\", \"submission\" }\n  }\n"
    "  tempfail if session.kind == \"x\" and score.bulk > 1\n"
    "}\n";

/* Texts of the program are its own: with the sanitizers' arena a glance into the tree would end the test. */
START_TEST(without_a_tree_all_texts_are_there) {
  g_autoptr(Ruleset) ruleset = load(named, false);
  const PhaseProgram *rcpt = &ruleset->phases[PHASE_RCPT];
  ck_assert_ptr_null(ruleset->tree);
  ck_assert_ptr_null(program_node(ruleset, rcpt->statements[0].condition));
  ck_assert_ptr_null(program_rule_node(ruleset, ruleset->rules[0]));
  ck_assert_ptr_null(program_span(ruleset, PHASE_RCPT, &rcpt->statements[0]).source);
  ck_assert(slice_equal(ruleset->rules[0]->id, SLICE_LITERAL("first")));
  ck_assert_str_eq(ruleset->rules[0]->action_text, "reject 550 \"no {sender} here\"");
  ck_assert(slice_equal(ruleset->rules[1]->id, SLICE_LITERAL("memory.rules:5")));
  ck_assert(slice_equal(ruleset->resources[0]->name, SLICE_LITERAL("friends")));
  ck_assert(slice_equal(ruleset->resources[0]->label, SLICE_LITERAL("table friends")));
  ck_assert(slice_equal(ruleset->variables[0]->name, SLICE_LITERAL("kind")));
  ck_assert(slice_equal(ruleset->score_names[0], SLICE_LITERAL("bulk")));
  ck_assert(slice_equal(rcpt->statements[0].condition->right->as.literal.as.text, SLICE_LITERAL("example.net")));
  ck_assert_int_eq(rcpt->statements[2].kind, STATEMENT_BLOCK);
  ck_assert_str_eq(rcpt->statements[2].place->file, "memory.rules");
  ck_assert_uint_eq(rcpt->statements[2].place->line, 6);
}
END_TEST

START_TEST(with_a_tree_all_places_are_there) {
  g_autoptr(Ruleset) ruleset = load(named, true);
  const PhaseProgram *rcpt = &ruleset->phases[PHASE_RCPT];
  static const unsigned lines[] = {4, 5, 6, 7, 9};
  ck_assert_uint_eq(rcpt->count, G_N_ELEMENTS(lines));
  for (size_t i = 0; i < rcpt->count; i++) {
    unsigned line, column;
    source_position(program_span(ruleset, PHASE_RCPT, &rcpt->statements[i]), &line, &column);
    ck_assert_uint_eq(line, lines[i]);
    if (rcpt->statements[i].rule)
      ck_assert_ptr_nonnull(program_rule_node(ruleset, rcpt->statements[i].rule));
    if (rcpt->statements[i].condition)
      ck_assert_ptr_nonnull(program_node(ruleset, rcpt->statements[i].condition));
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, a_rule_takes_few_bytes);
  tcase_add_test(tests, a_tree_costs_the_program_nothing);
  tcase_add_test(tests, without_a_tree_all_texts_are_there);
  tcase_add_test(tests, with_a_tree_all_places_are_there);
}

UNIT_MAIN("ruleset memory", add_tests)
