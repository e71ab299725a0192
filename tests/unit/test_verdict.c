/*
 * test_verdict.c: names of outcomes and effects; a copied verdict stands on its own.
 */
#include "common/smtp/verdict.h"

#include "tests/unit/unit.h"

START_TEST(outcomes_have_names) {
  static const char *const names[OUTCOME_COUNT] = {"pass", "accept", "tempfail", "reject", "disconnect", "discard"};
  static const bool refuses[OUTCOME_COUNT] = {false, false, true, true, true, false};
  Verdict verdict = {.outcome = (Outcome)_i};
  ck_assert_str_eq(outcome_name((Outcome)_i), names[_i]);
  ck_assert_int_eq(verdict_refuses(&verdict), refuses[_i]);
}
END_TEST

START_TEST(effects_have_names) {
  ck_assert_int_eq(EFFECT_COUNT, 15);
  ck_assert_str_eq(effect_name(EFFECT_PREPEND_HEADER), "prepend_header");
  ck_assert(effect_is_whole_message(EFFECT_PREPEND_HEADER));
  ck_assert(effect_is_whole_message(EFFECT_QUARANTINE_MESSAGE));
  ck_assert(!effect_is_whole_message(EFFECT_LOG));
  for (int kind = 0; kind < EFFECT_COUNT; kind++) {
    ck_assert_str_ne(effect_sentence((EffectKind)kind), "");
  }
}
END_TEST

static Slice in_arena(Arena *arena, const char *text) {
  return slice_copy(arena, slice_from(text));
}

static bool is(Slice slice, const char *text) {
  return slice_equal(slice, slice_from(text));
}

START_TEST(a_copy_stands_on_its_own) {
  Arena *first = arena_new(0);
  Slice lines[] = {in_arena(first, "one"), in_arena(first, "two")};
  Failure failure = {NULL, in_arena(first, "dnslist zen"), in_arena(first, "SERVFAIL"), 2};
  Effect effects[] = {
      {EFFECT_LOG, in_arena(first, "a"), {.log_text = in_arena(first, "logged")}},
      {EFFECT_DELAY, in_arena(first, "b"), {.delay_ms = 2000}},
      {EFFECT_PREPEND_HEADER, in_arena(first, "c"), {.header = {.name = in_arena(first, "X-A"), .value = in_arena(first, "value")}}},
      {EFFECT_QUARANTINE_MESSAGE, in_arena(first, "d"), {.why = in_arena(first, "odd")}},
      {EFFECT_DELETE_HEADER, in_arena(first, "f"), {.header = {in_arena(first, "X-B"), SLICE_EMPTY, HEADER_LAST}}},
      {EFFECT_REDIRECT_MESSAGE, in_arena(first, "g"), {.address = in_arena(first, "a@b.example")}},
      {EFFECT_FILTER_MESSAGE, in_arena(first, "h"), {.filter = in_arena(first, "smtp:")}},
      {EFFECT_UNDONE, in_arena(first, "i"), {.undone = {in_arena(first, "bcc message"), in_arena(first, "@"), "is no address"}}},
      {EFFECT_OBSERVED, in_arena(first, "e"), {.observed = {OUTCOME_REJECT, {550, {5, 7, 1}, lines, 2}, in_arena(first, "reject")}}},
  };
  Verdict verdict = {.outcome = OUTCOME_REJECT,
                     .phase = PHASE_RCPT,
                     .reply = {554, {5, 7, 1}, lines, 2},
                     .rule = in_arena(first, "banned"),
                     .discard_why = in_arena(first, "why"),
                     .failures = &failure,
                     .effects = effects,
                     .effect_count = 9};
  g_autoptr(Arena) second = arena_new(0);
  Verdict copy = verdict_copy(second, &verdict);
  memset(lines, 0, sizeof lines);
  memset(effects, 0, sizeof effects);
  memset(&failure, 0, sizeof failure);
  arena_free(first);
  ck_assert_int_eq(copy.outcome, OUTCOME_REJECT);
  ck_assert(is(copy.rule, "banned") && is(copy.discard_why, "why"));
  ck_assert_uint_eq(copy.reply.line_count, 2);
  ck_assert(is(copy.reply.lines[0], "one") && is(copy.reply.lines[1], "two"));
  ck_assert(is(copy.failures->lookup, "dnslist zen") && is(copy.failures->reason, "SERVFAIL"));
  ck_assert(is(copy.effects[0].as.log_text, "logged") && is(copy.effects[0].rule, "a"));
  ck_assert_int_eq(copy.effects[1].as.delay_ms, 2000);
  ck_assert(is(copy.effects[2].as.header.name, "X-A") && is(copy.effects[2].as.header.value, "value"));
  ck_assert(is(copy.effects[3].as.why, "odd"));
  ck_assert(is(copy.effects[4].as.header.name, "X-B") && copy.effects[4].as.header.nth == HEADER_LAST);
  ck_assert(is(copy.effects[5].as.address, "a@b.example") && is(copy.effects[6].as.filter, "smtp:"));
  ck_assert(is(copy.effects[7].as.undone.action, "bcc message") && is(copy.effects[7].as.undone.text, "@"));
  ck_assert(is(copy.effects[8].as.observed.action, "reject") && is(copy.effects[8].as.observed.reply.lines[1], "two"));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, outcomes_have_names, 0, OUTCOME_COUNT);
  tcase_add_test(tests, effects_have_names);
  tcase_add_test(tests, a_copy_stands_on_its_own);
}

UNIT_MAIN("verdict", add_tests)
