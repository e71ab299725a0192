/*
 * test_functions.c: functions of values: what each gives, and that each example is one of the language.
 */
#include "common/lookup/kinds.h"
#include "common/rules/program.h"
#include "tests/unit/unit.h"

typedef struct Case {
  const char *name;
  ValueType input;
  const char *text;
  const char *result; /* "" is unset */
} Case;

static const Case cases[] = {
    {"localpart", TYPE_ADDRESS, "Bob+list@Example.ORG", "Bob+list"},
    {"localpart", TYPE_ADDRESS, "\"bob smith\"@example.org", "bob smith"},
    {"localpart", TYPE_ADDRESS, "postmaster", "postmaster"},
    {"localpart", TYPE_ADDRESS, "<>", ""},
    {"extension", TYPE_ADDRESS, "bob+list@example.org", "list"},
    {"extension", TYPE_ADDRESS, "bob+a+b@example.org", "a+b"},
    {"extension", TYPE_ADDRESS, "bob@example.org", ""},
    {"extension", TYPE_ADDRESS, "<>", ""},
    {"domain", TYPE_ADDRESS, "bob@Example.ORG", "example.org"},
    {"domain", TYPE_ADDRESS, "bob@[192.0.2.1]", "[192.0.2.1]"},
    {"domain", TYPE_ADDRESS,
     "bob@b\xc3\xbc"
     "cher.example",
     "xn--bcher-kva.example"},
    {"domain", TYPE_ADDRESS, "postmaster", ""},
    {"domain", TYPE_ADDRESS, "<>", ""},
    {"literal", TYPE_DOMAIN, "[192.0.2.1]", "192.0.2.1"},
    {"literal", TYPE_DOMAIN, "[ipv6:2001:db8::1]", "2001:db8::1"},
    {"literal", TYPE_DOMAIN, "mail.example.org", ""},
};

static Value input_of(Arena *arena, const Case *row) {
  if (row->input == TYPE_DOMAIN) /* a host name as a door hands it over */
    return (Value){VALUE_SET, TYPE_DOMAIN, {.text = domain_normalize(arena, slice_from(row->text))}};
  Value value;
  const char *problem;
  Slice right_form;
  ck_assert_msg(value_parse(arena, row->input, slice_from(row->text), &value, &problem, &right_form), "%s", row->text);
  return value;
}

START_TEST(gives_its_result) {
  const Case *row = &cases[_i];
  g_autoptr(Arena) arena = arena_new(0);
  const Function *function = function_find(slice_from(row->name), row->input);
  ck_assert_ptr_nonnull(function);
  Value input = input_of(arena, row);
  Value result = function->apply(arena, &input);
  ck_assert_int_eq(result.state, *row->result ? VALUE_SET : VALUE_UNSET);
  if (result.state == VALUE_SET)
    ck_assert_int_eq(result.type, function->output);
  ck_assert_str_eq(slice_to_string(arena, value_format(arena, &result)), row->result);
}
END_TEST

START_TEST(is_found_by_name_and_type) {
  ck_assert_ptr_null(function_find(SLICE_LITERAL("domain"), TYPE_IP));
  ck_assert_ptr_null(function_find(SLICE_LITERAL("domian"), TYPE_ADDRESS));
  ck_assert_ptr_nonnull(function_find(SLICE_LITERAL("domain"), TYPE_ADDRESS));
}
END_TEST

START_TEST(has_an_example_that_compiles) {
  ResourceContext context = {0};
  ResourceSource *source = resource_source_plain_new(&context);
  RulesetOptions options = {.enabled_doors = DOORS_ALL, .resources = source};
  size_t tested = 0;
  for (const Function *const *function = functions_all(); *function; function++, tested++) {
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    g_autofree char *rules = g_strdup_printf("at rcpt { [x] log \"x\" if %s is set }\n", (*function)->example);
    Ruleset *ruleset = ruleset_load_text("x.rules", slice_from(rules), NULL, &options, diagnostics);
    ck_assert_msg(ruleset != NULL, "%s", (*function)->example);
    ck_assert_str_ne((*function)->sentence, "");
    ruleset_unref(ruleset);
  }
  ck_assert_uint_eq(tested, 4);
  resource_source_plain_free(source);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, gives_its_result, 0, G_N_ELEMENTS(cases));
  tcase_add_test(tests, is_found_by_name_and_type);
  tcase_add_test(tests, has_an_example_that_compiles);
}

UNIT_MAIN("functions", add_tests)
