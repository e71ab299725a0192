/*
 * operators.c: what the operators of the language say of two values that are set.
 *
 * The checker has made the types meet; lists, unset and unknown are expression.c's business.
 */
#include <stddef.h>

#include "common/base/limits.h"
#include "common/rules/evaluation.h"

static double value_number(const Value *value) {
  return value->type == TYPE_DECIMAL ? value->as.decimal : (double)value->as.number;
}

static int order_of(double left, double right) {
  return left < right ? -1 : left > right ? 1 : 0;
}

/* Order of two numbers, whole where both are. */
static int compare_numbers(const Value *left, const Value *right) {
  if (left->type == TYPE_DECIMAL || right->type == TYPE_DECIMAL)
    return order_of(value_number(left), value_number(right));
  return left->as.number < right->as.number ? -1 : left->as.number > right->as.number ? 1 : 0;
}

/* The place of a weekday's name, from 1; 0 for any other name. */
static int weekday_place(Slice name) {
  const char *const *names = fact_info(FACT_WEEKDAY)->enum_names;
  for (int i = 0; names != NULL && names[i] != NULL; i++) {
    if (slice_equal_fold(name, slice_from(names[i])))
      return i + 1;
  }
  return 0;
}

/* What the text of a value is to a comparison of texts. */
static Slice text_of(const Value *value) {
  return value->type == TYPE_ADDRESS ? value->as.address->text : value->as.text;
}

static bool is_text(ValueType type) {
  return type == TYPE_STRING || type == TYPE_DOMAIN || type == TYPE_ENUM || type == TYPE_ADDRESS;
}

static bool texts_equal(const Value *left, const Value *right) {
  if (left->type == TYPE_ADDRESS && right->type == TYPE_ADDRESS)
    return mail_address_equal(left->as.address, right->as.address);
  bool exact = left->type == TYPE_STRING && right->type == TYPE_STRING;
  return exact ? slice_equal(text_of(left), text_of(right)) : slice_equal_fold(text_of(left), text_of(right));
}

static bool values_equal(const Value *left, const Value *right) {
  if (is_text(left->type) && is_text(right->type))
    return texts_equal(left, right);
  if (left->type == TYPE_IP && right->type == TYPE_IP)
    return ip_equal(&left->as.ip, &right->as.ip);
  if (left->type == TYPE_IP && right->type == TYPE_NET)
    return ip_network_contains(&right->as.net, &left->as.ip);
  if (left->type == TYPE_NET && right->type == TYPE_IP)
    return ip_network_contains(&left->as.net, &right->as.ip);
  if (left->type == TYPE_NET && right->type == TYPE_NET)
    return ip_network_equal(&left->as.net, &right->as.net);
  if (left->type == TYPE_BOOL && right->type == TYPE_BOOL)
    return left->as.truth == right->as.truth;
  if (left->type == TYPE_ACTION || right->type == TYPE_ACTION)
    return false;
  return compare_numbers(left, right) == 0;
}

/* Order: numbers, addresses by bytes, weekdays by the week, other texts by bytes. */
static int values_order(const Value *left, const Value *right) {
  if (left->type == TYPE_IP && right->type == TYPE_IP)
    return ip_compare(&left->as.ip, &right->as.ip);
  if (left->type == TYPE_ENUM && right->type == TYPE_ENUM)
    return weekday_place(left->as.text) - weekday_place(right->as.text);
  if (is_text(left->type) && is_text(right->type))
    return slice_compare(text_of(left), text_of(right));
  return compare_numbers(left, right);
}

bool values_compare(CompareOperator operator, const Value * left, const Value *right) {
  switch (operator) {
    case COMPARE_EQUAL:
      return values_equal(left, right);
    case COMPARE_NOT_EQUAL:
      return !values_equal(left, right);
    case COMPARE_LESS:
      return values_order(left, right) < 0;
    case COMPARE_LESS_EQUAL:
      return values_order(left, right) <= 0;
    case COMPARE_GREATER:
      return values_order(left, right) > 0;
    case COMPARE_GREATER_EQUAL:
      return values_order(left, right) >= 0;
  }
  g_assert_not_reached();
}

bool value_in_range(const Value *value, const Value *low, const Value *high) {
  bool from = values_order(value, low) >= 0;
  bool to = values_order(value, high) <= 0;
  bool wraps = (value->type == TYPE_ENUM || value->type == TYPE_TIME) && values_order(low, high) > 0;
  return wraps ? from || to : from && to;
}

bool value_is_under(const Value *value, const Value *parent) {
  if (!is_text(value->type) || !is_text(parent->type))
    return false;
  return domain_is_under(text_of(value), text_of(parent));
}

/* ---- regular expressions ---- */

enum { MATCH_PAIRS = 16, MATCH_SPACE_KEPT = 64 * 1024 };

struct MatchSpace {
  Arena *arena; /* all comes from it and goes with it; NULL: from malloc */
  pcre2_match_data *data;
  pcre2_match_context *context;
  pcre2_jit_stack *stack; /* for long subjects; NULL until there was one, and where an arena owns the space */
  uint32_t pairs;
  bool is_stretched; /* its limits are those of a long subject */
  size_t taken;      /* bytes */
};

/* Not zeroed: an interpreted match wants 20 KB that it writes itself. */
static void *match_alloc(size_t size, void *data) {
  MatchSpace *space = data;
  space->taken += size;
  if (space->arena == NULL)
    return g_try_malloc(size);
  const uintptr_t alignment = _Alignof(max_align_t);
  uintptr_t start = (uintptr_t)arena_alloc_text(space->arena, size + alignment - 1);
  return (void *)((start + alignment - 1) & ~(alignment - 1));
}

static void match_free(void *block, void *data) {
  const MatchSpace *space = data;
  if (space->arena == NULL)
    g_free(block);
}

MatchSpace *match_space_new(void) {
  return g_new0(MatchSpace, 1);
}

static void match_space_clear(MatchSpace *space) {
  pcre2_match_data_free(space->data);
  pcre2_match_context_free(space->context);
  pcre2_jit_stack_free(space->stack);
  space->data = NULL;
  space->context = NULL;
  space->stack = NULL;
  space->is_stretched = false;
  space->taken = 0;
}

void match_space_free(MatchSpace *space) {
  if (space == NULL)
    return;
  match_space_clear(space);
  g_free(space);
}

static void match_space_fill(MatchSpace *space, uint32_t pairs) {
  match_space_clear(space);
  pcre2_general_context *general = pcre2_general_context_create(match_alloc, match_free, space);
  space->data = general != NULL ? pcre2_match_data_create(pairs, general) : NULL;
  space->context = general != NULL ? pcre2_match_context_create(general) : NULL;
  if (space->data == NULL || space->context == NULL)
    g_error("out of memory for a regular expression");
  pcre2_general_context_free(general);
  space->pairs = pairs;
  (void)pcre2_set_match_limit(space->context, LIMIT_REGEX_STEPS);
  (void)pcre2_set_depth_limit(space->context, LIMIT_REGEX_DEPTH);
  (void)pcre2_set_heap_limit(space->context, LIMIT_REGEX_HEAP_KIB);
}

static MatchSpace *match_space_of(Evaluation *evaluation, const Regex *regex) {
  if (evaluation->match_space == NULL) {
    evaluation->match_space = ARENA_NEW(evaluation->arena, MatchSpace);
    evaluation->match_space->arena = evaluation->arena;
  }
  MatchSpace *space = evaluation->match_space;
  if (space->data == NULL || space->pairs < regex->captures + 1)
    match_space_fill(space, MAX(regex->captures + 1, (uint32_t)MATCH_PAIRS));
  return space;
}

/* The limits are for facts. The text of a message may be longer and gets more, in proportion. */
static void match_space_stretch(MatchSpace *space, size_t length) {
  bool is_long = length > LIMIT_FACT;
  if (!is_long && !space->is_stretched)
    return;
  space->is_stretched = is_long;
  (void)pcre2_set_match_limit(space->context, LIMIT_REGEX_STEPS + (is_long ? (uint32_t)length * LIMIT_REGEX_STEPS_BYTE : 0));
  if (!is_long || space->arena != NULL || space->stack != NULL)
    return;
  space->stack = pcre2_jit_stack_create(32 * 1024, LIMIT_REGEX_STACK, NULL);
  pcre2_jit_stack_assign(space->context, NULL, space->stack); /* without one: the 32 KiB that it has anyway */
}

/* What a match at the limits has taken is not kept for the small ones to come. */
static void match_space_done(MatchSpace *space) {
  if (space->arena == NULL && space->taken > MATCH_SPACE_KEPT)
    match_space_clear(space);
}

static void remember_captures(Run *run, const MatchSpace *space, Slice subject, uint32_t groups) {
  if (!run->strict || run->details_open)
    return;
  const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(space->data);
  PCRE2_SIZE *copy = ARENA_NEW_ARRAY(run->arena, PCRE2_SIZE, 2 * (size_t)groups);
  memcpy(copy, offsets, 2 * (size_t)groups * sizeof(*copy));
  run->details.subject = subject;
  run->details.offsets = copy;
  run->details.groups = groups;
}

static Slice match_problem(Run *run, int code) {
  bool limit = code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT || code == PCRE2_ERROR_HEAPLIMIT ||
               code == PCRE2_ERROR_JIT_STACKLIMIT;
  if (limit)
    return SLICE_LITERAL("match limit exceeded");
  PCRE2_UCHAR text[128];
  if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
    return SLICE_LITERAL("cannot be matched");
  return slice_copy(run->arena, slice_from((const char *)text));
}

/* Past a limit nobody knows whether it matches: a stranger's text must not get past a rule that way, so it is as with a dead table (on error says otherwise). */
Logic value_matches(Run *run, const Value *value, const Regex *regex) {
  Slice subject = is_text(value->type) ? text_of(value) : value_format(run->arena, value);
  MatchSpace *space = match_space_of(run->evaluation, regex);
  match_space_stretch(space, subject.length);
  int code = regex_match(regex, subject, space->data, space->context);
  if (code >= 0)
    remember_captures(run, space, subject, regex->captures + 1);
  match_space_done(space);
  if (code >= 0)
    return LOGIC_TRUE;
  if (code == PCRE2_ERROR_NOMATCH)
    return LOGIC_FALSE;
  const char *name = arena_printf(run->arena, "regex /%.*s/", SLICE_ARGS(regex->pattern));
  return (Logic){TRUTH_UNKNOWN, run_failure(run, slice_from(name), match_problem(run, code), ON_ERROR_TEMPFAIL)};
}
