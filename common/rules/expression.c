/*
 * expression.c: conditions and values: false, true, unknown or open; set, unset, unknown or open.
 *
 * `and` and `or` are Kleene's: the winner (false, true) wins from either side, else open, else unknown with what failed on both sides. So
 * a value never depends on which answers are there yet, only whether it is open does. The right side is read even when the left is open:
 * it may win, and its look-ups may be asked side by side; what was wanted is taken back when a winner makes it needless. The one
 * exception are conditions whose captures or dnslist details somebody reads (run->strict): what holds a match is decided left to
 * right, and right of an open part only look-ups that may be asked ahead are collected. But what makes the whole condition false leaves nobody who reads them.
 */
#include "common/rules/evaluation.h"
#include "common/smtp/record.h"

/* ---- logic ---- */

static Logic logic_not(Logic logic) {
  if (logic.truth == TRUTH_FALSE)
    return LOGIC_TRUE;
  return logic.truth == TRUTH_TRUE ? LOGIC_FALSE : logic;
}

/* Neither is the winner. */
static Logic logic_join(Run *run, Logic first, Logic second) {
  if (first.truth == TRUTH_OPEN || second.truth == TRUTH_OPEN)
    return LOGIC_OPEN;
  if (first.truth == TRUTH_UNKNOWN && second.truth == TRUTH_UNKNOWN) {
    return (Logic){TRUTH_UNKNOWN, failures_union(run->arena, first.failures, second.failures)};
  }
  return first.truth == TRUTH_UNKNOWN ? first : second;
}

static Value value_of_logic(Logic logic) {
  switch (logic.truth) {
    case TRUTH_FALSE:
      return value_bool(false);
    case TRUTH_TRUE:
      return value_bool(true);
    case TRUTH_UNKNOWN:
      return (Value){VALUE_UNKNOWN, TYPE_BOOL, {.failures = logic.failures}};
    case TRUTH_OPEN:
      break;
  }
  return (Value){VALUE_OPEN, TYPE_BOOL, {.number = 0}};
}

/* A value where a condition stands: unset is false. */
static Logic logic_of_value(const Value *value) {
  switch (value->state) {
    case VALUE_UNSET:
      return LOGIC_FALSE;
    case VALUE_SET:
      return logic_of(value->as.truth);
    case VALUE_UNKNOWN:
      return (Logic){TRUTH_UNKNOWN, value->as.failures};
    case VALUE_OPEN:
      break;
  }
  return LOGIC_OPEN;
}

static void trace_expression(Run *run, const Expression *expression, const Value *value) {
  if (run->trace->expression != NULL)
    run->trace->expression(run->trace, expression, value);
}

static Logic decide_collecting(Run *run, const Expression *expression) {
  bool collecting = run->collecting;
  bool details_open = run->details_open;
  run->collecting = true;
  run->details_open = true;
  Value scratch;
  Logic logic = logic_of_value(expression_value(run, expression, &scratch));
  run->collecting = collecting;
  run->details_open = details_open;
  return logic;
}

void expression_collect(Run *run, const Expression *expression) {
  if ((expression->lookup_classes & (1u << LOOKUP_AHEAD)) != 0)
    (void)decide_collecting(run, expression);
}

static bool is_strict(const Run *run, const Expression *expression) {
  return run->strict && expression->has_match;
}

/* ---- and, or ---- */

/* True when the whole is false where the part is. */
static bool is_conjunct(const Expression *part, const Expression *whole) {
  return whole != NULL &&
         (whole == part || (whole->kind == EXPRESSION_AND && (is_conjunct(part, whole->left) || is_conjunct(part, whole->right))));
}

/*
 * Left is open, and what it leaves for others to read must be known before what stands right is. Where that makes the statement's condition false nobody reads it; only what is
 * stateful is asked all the same, as it would be one after the other.
 */
static G_GNUC_NO_INLINE Logic decide_behind_open(Run *run, const Expression *expression, const AskMark *mark) {
  bool may_end = expression->kind == EXPRESSION_AND && (expression->left->lookup_classes & (1u << LOOKUP_STATEFUL)) == 0 &&
                 is_conjunct(expression, run->condition);
  if (!may_end) {
    expression_collect(run, expression->right);
    return LOGIC_OPEN;
  }
  if (decide_collecting(run, expression->right).truth != TRUTH_FALSE)
    return LOGIC_OPEN;
  ask_back(run, mark);
  return LOGIC_FALSE;
}

static G_GNUC_NO_INLINE Logic decide_both(Run *run, const Expression *expression, Truth winner) {
  AskMark mark = ask_mark(run);
  Logic left = condition_decide(run, expression->left);
  if (left.truth == winner)
    return left;
  if (left.truth == TRUTH_OPEN && is_strict(run, expression))
    return decide_behind_open(run, expression, &mark);
  Logic right = condition_decide(run, expression->right);
  if (right.truth != winner)
    return logic_join(run, left, right);
  if (left.truth == TRUTH_OPEN)
    ask_back(run, &mark);
  return right;
}

/* ---- one value against another; lists mean any element ---- */

typedef Logic (*Test)(Run *run, const Expression *expression, const Value *left, const Value *right);

static Logic test_compare(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)run;
  CompareOperator operator= expression->as.compare == COMPARE_NOT_EQUAL ? COMPARE_EQUAL : expression->as.compare;
  return logic_of(values_compare(operator, left, right));
}

static Logic test_equal(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)run;
  (void)expression;
  return logic_of(values_compare(COMPARE_EQUAL, left, right));
}

static Logic test_under(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)run;
  (void)expression;
  return logic_of(value_is_under(left, right));
}

static Logic test_in_set(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)run;
  (void)right;
  return logic_of(keyset_find(expression->as.keyset, left, NULL));
}

static Logic test_in_network(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)run;
  (void)right;
  return logic_of(ip_network_contains(&expression->as.network, &left->as.ip));
}

static Logic test_in_range(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)run;
  (void)right;
  return logic_of(value_in_range(left, &expression->as.range->low, &expression->as.range->high));
}

static Logic test_match(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)right;
  return value_matches(run, left, expression->as.regex);
}

static Logic test_in_resource(Run *run, const Expression *expression, const Value *left, const Value *right) {
  (void)right;
  const ResourceUse *use = expression->as.lookup->use;
  if (use->keyset != NULL && run->trace == NULL)
    return logic_of(keyset_find(use->keyset, left, NULL));
  ResourceAnswer answer;
  const Failure *failures = NULL;
  switch (lookup_find(run, use, left, &answer, &failures)) {
    case LOOKUP_ANSWERED:
      return logic_of(answer.state == ANSWER_FOUND);
    case LOOKUP_UNKNOWN:
      return (Logic){TRUTH_UNKNOWN, failures};
    case LOOKUP_OPEN:
      break;
  }
  return LOGIC_OPEN;
}

/* Any of the right's elements, for one left. */
static Logic test_right(Run *run, const Expression *expression, const Value *left, const Value *right, Test test) {
  if (right == NULL || right->type != TYPE_LIST)
    return test(run, expression, left, right);
  Logic any = LOGIC_FALSE;
  for (size_t i = 0; i < right->as.list->count && any.truth != TRUTH_TRUE; i++) {
    Logic one = test(run, expression, left, &right->as.list->items[i]);
    any = one.truth == TRUTH_TRUE ? one : logic_join(run, any, one);
  }
  return any;
}

static Logic test_any(Run *run, const Expression *expression, const Value *left, const Value *right, Test test) {
  if (left->type != TYPE_LIST)
    return test_right(run, expression, left, right, test);
  AskMark mark = ask_mark(run);
  Logic any = LOGIC_FALSE;
  for (size_t i = 0; i < left->as.list->count; i++) {
    if (any.truth == TRUTH_OPEN && is_strict(run, expression))
      return any;
    Logic one = test_right(run, expression, &left->as.list->items[i], right, test);
    if (one.truth == TRUTH_TRUE) {
      if (any.truth == TRUTH_OPEN)
        ask_back(run, &mark);
      return one;
    }
    any = logic_join(run, any, one);
  }
  return any;
}

/* As test_any; most values are no lists. */
static inline Logic test_values(Run *run, const Expression *expression, const Value *left, const Value *right, Test test) {
  if (left->type == TYPE_LIST || (right != NULL && right->type == TYPE_LIST))
    return test_any(run, expression, left, right, test);
  return test(run, expression, left, right);
}

/* What is not there yet holds stateful look-ups back, as any answer that is not. */
static inline const Value *fact_value(Run *run, Fact fact) {
  const Value *value = session_get(run->evaluation->session, fact);
  if (value->state == VALUE_OPEN)
    run->pure_open = run->fact_open = true;
  return value;
}

/* As expression_value; most operands are facts and literals. */
static inline const Value *operand_value(Run *run, const Expression *expression, Value *scratch) {
  if (run->trace == NULL) {
    if (expression->kind == EXPRESSION_FACT)
      return fact_value(run, expression->as.fact);
    if (expression->kind == EXPRESSION_LITERAL)
      return &expression->as.literal;
  }
  return expression_value(run, expression, scratch);
}

static inline Logic decide_one(Run *run, const Expression *expression, Test test) {
  Value scratch;
  const Value *left = operand_value(run, expression->left, &scratch);
  return left->state == VALUE_SET ? test_values(run, expression, left, NULL, test) : logic_of_value(left);
}

/* Unset on either side makes it false, whatever the other is. */
static Logic decide_two(Run *run, const Expression *expression, Test test) {
  AskMark mark = ask_mark(run);
  Value left_scratch, right_scratch;
  const Value *left = operand_value(run, expression->left, &left_scratch);
  if (left->state == VALUE_UNSET)
    return LOGIC_FALSE;
  if (left->state == VALUE_OPEN && is_strict(run, expression)) {
    expression_collect(run, expression->right);
    return LOGIC_OPEN;
  }
  const Value *right = operand_value(run, expression->right, &right_scratch);
  if (left->state == VALUE_SET && right->state == VALUE_SET)
    return test_values(run, expression, left, right, test);
  if (right->state == VALUE_UNSET) {
    if (left->state == VALUE_OPEN)
      ask_back(run, &mark);
    return LOGIC_FALSE;
  }
  Logic first = left->state == VALUE_SET ? LOGIC_TRUE : logic_of_value(left);
  Logic second = right->state == VALUE_SET ? LOGIC_TRUE : logic_of_value(right);
  return logic_join(run, first, second);
}

/* ---- look-ups ---- */

/*
 * The keys of a look-up. SET: all are there; UNSET: one is unset, so nothing can be found; else open or unknown with its failures. As
 * with `and`, unset wins.
 */
static Logic read_keys(Run *run, const Expression *expression, Value *keys, bool *unset) {
  AskMark mark = ask_mark(run);
  Logic state = LOGIC_TRUE;
  *unset = false;
  for (size_t i = 0; i < expression->as.lookup->count; i++) {
    if (state.truth == TRUTH_OPEN && is_strict(run, expression)) {
      expression_collect(run, expression->as.lookup->keys[i]);
      continue;
    }
    const Value *key = operand_value(run, expression->as.lookup->keys[i], &keys[i]);
    if (key->state == VALUE_UNSET) {
      if (state.truth == TRUTH_OPEN)
        ask_back(run, &mark);
      *unset = true;
      return LOGIC_FALSE;
    }
    if (key->state == VALUE_SET) {
      if (key != &keys[i])
        keys[i] = *key;
    } else {
      state = logic_join(run, state, logic_of_value(key));
    }
  }
  return state;
}

static G_GNUC_NO_INLINE Logic decide_in_resource(Run *run, const Expression *expression) {
  Value keys[KEYSET_PARTS_MAX];
  bool unset;
  Logic state = read_keys(run, expression, keys, &unset);
  if (state.truth != TRUTH_TRUE)
    return state;
  if (expression->as.lookup->count == 1)
    return test_values(run, expression, &keys[0], NULL, test_in_resource);
  return test_in_resource(run, expression, keys, NULL);
}

static Value value_of_failures(const Expression *expression, const Failure *failures) {
  return (Value){VALUE_UNKNOWN, expression->type, {.failures = failures}};
}

static Value value_open(const Expression *expression) {
  return (Value){VALUE_OPEN, expression->type, {.number = 0}};
}

static Value value_unset(const Expression *expression) {
  return (Value){VALUE_UNSET, expression->type, {.number = 0}};
}

static Value read_resource(Run *run, const Expression *expression, const Value *keys) {
  ResourceAnswer answer;
  const Failure *failures = NULL;
  switch (lookup_find(run, expression->as.lookup->use, keys, &answer, &failures)) {
    case LOOKUP_ANSWERED:
      return answer.state == ANSWER_FOUND ? answer.value : value_unset(expression);
    case LOOKUP_UNKNOWN:
      return value_of_failures(expression, failures);
    case LOOKUP_OPEN:
      break;
  }
  return value_open(expression);
}

/* Of a list as the key: the value of its first element that is there. */
static Value value_of_resource(Run *run, const Expression *expression) {
  Value keys[KEYSET_PARTS_MAX];
  bool unset;
  Logic state = read_keys(run, expression, keys, &unset);
  if (unset)
    return value_unset(expression);
  if (state.truth == TRUTH_OPEN)
    return value_open(expression);
  if (state.truth == TRUTH_UNKNOWN)
    return value_of_failures(expression, state.failures);
  if (expression->as.lookup->count > 1 || keys[0].type != TYPE_LIST)
    return read_resource(run, expression, keys);
  const ValueList *list = keys[0].as.list;
  for (size_t i = 0; i < list->count; i++) {
    Value value = read_resource(run, expression, &list->items[i]);
    if (value.state != VALUE_UNSET)
      return value;
  }
  return value_unset(expression);
}

/* ---- quantifiers ---- */

typedef struct Tally {
  int64_t fitting;
  Logic rest; /* join of what is neither true nor false */
  bool done;  /* decided before the last element */
} Tally;

static void tally_element(Run *run, const Expression *expression, Tally *tally) {
  if (tally->rest.truth == TRUTH_OPEN && is_strict(run, expression)) {
    expression_collect(run, expression->right);
    return;
  }
  Logic one = condition_decide(run, expression->right);
  if (one.truth == TRUTH_TRUE)
    tally->fitting++;
  tally->done = (expression->as.quantifier == QUANTIFIER_ANY && one.truth == TRUTH_TRUE) ||
                (expression->as.quantifier == QUANTIFIER_ALL && one.truth == TRUTH_FALSE);
  if (one.truth == TRUTH_OPEN || one.truth == TRUTH_UNKNOWN)
    tally->rest = logic_join(run, tally->rest, one);
}

static Value value_of_tally(const Expression *expression, const Tally *tally, size_t count) {
  Quantifier quantifier = expression->as.quantifier;
  if (tally->done)
    return value_bool(quantifier == QUANTIFIER_ANY);
  if (tally->rest.truth == TRUTH_OPEN)
    return value_open(expression);
  if (tally->rest.truth == TRUTH_UNKNOWN)
    return value_of_failures(expression, tally->rest.failures);
  if (quantifier == QUANTIFIER_COUNT)
    return value_int(tally->fitting);
  return value_bool(quantifier == QUANTIFIER_ALL && count > 0);
}

/* Of a single value: a list of one; of unset: an empty one. */
static Value value_of_quantifier(Run *run, const Expression *expression) {
  AskMark mark = ask_mark(run);
  Value scratch;
  const Value *list = expression_value(run, expression->left, &scratch);
  if (list->state == VALUE_OPEN)
    return value_open(expression);
  if (list->state == VALUE_UNKNOWN)
    return value_of_failures(expression, list->as.failures);
  size_t count = list->state == VALUE_UNSET ? 0 : list->type == TYPE_LIST ? list->as.list->count : 1;
  if (expression->right == NULL)
    return value_int((int64_t)count);
  const Value *items = list->state == VALUE_SET && list->type == TYPE_LIST ? list->as.list->items : list;
  ElementFrame frame = {run->element, NULL};
  run->element = &frame;
  Tally tally = {0, LOGIC_FALSE, false};
  for (size_t i = 0; i < count && !tally.done; i++) {
    frame.value = &items[i];
    tally_element(run, expression, &tally);
  }
  run->element = frame.outer;
  if (tally.done && tally.rest.truth == TRUTH_OPEN)
    ask_back(run, &mark);
  return value_of_tally(expression, &tally, count);
}

static const Value *value_of_element(const Run *run, const Expression *expression) {
  const ElementFrame *frame = run->element;
  for (uint32_t level = expression->as.element.level; level > 0; level--)
    frame = frame->outer;
  int field = expression->as.element.field;
  return field < 0 ? frame->value : &frame->value->as.record->fields[field];
}

/* ---- the message ---- */

static bool is_named(const Value *header, Slice name) {
  return slice_equal_fold(header->as.record->fields[HEADER_FIELD_NAME].as.text, name);
}

/* The values of the fields with the name, in the message's order; unset when there are none. */
static Value value_of_header(Run *run, const Expression *expression) {
  const Value *all = fact_value(run, FACT_HEADER);
  if (all->state == VALUE_UNKNOWN)
    return value_of_failures(expression, all->as.failures);
  if (all->state == VALUE_OPEN)
    return value_open(expression);
  if (all->state == VALUE_UNSET)
    return value_unset(expression);
  Slice name = slice_from(expression->as.header.name);
  size_t count = 0;
  for (size_t i = 0; i < all->as.list->count; i++)
    count += is_named(&all->as.list->items[i], name);
  if (count == 0)
    return value_unset(expression);
  Value *items = ARENA_NEW_ARRAY(run->arena, Value, count);
  ValueList *list = ARENA_NEW(run->arena, ValueList);
  for (size_t i = 0; i < all->as.list->count; i++) {
    const Value *header = &all->as.list->items[i];
    if (is_named(header, name))
      items[list->count++] = header->as.record->fields[expression->as.header.raw ? HEADER_FIELD_RAW : HEADER_FIELD_VALUE];
  }
  list->items = items;
  return (Value){VALUE_SET, TYPE_LIST, {.list = list}};
}

/* Without the <> that one door leaves and the other does not. */
static Value value_of_raw(Run *run, const Expression *expression) {
  Slice raw = session_raw(run->evaluation->session, expression->as.fact);
  if (raw.length >= 2 && raw.data[0] == '<' && raw.data[raw.length - 1] == '>')
    raw = slice_make(raw.data + 1, raw.length - 2);
  return raw.length > 0 ? value_text(raw) : value_unset(expression);
}

/* ---- texts ---- */

static Value value_of_capture(Run *run, const Expression *expression) {
  if (run->details_open)
    return value_open(expression);
  const Details *details = &run->details;
  uint32_t group = expression->as.capture;
  if (details->offsets == NULL || group >= details->groups)
    return value_unset(expression);
  PCRE2_SIZE start = details->offsets[2 * group], end = details->offsets[2 * group + 1];
  if (start == PCRE2_UNSET || end < start)
    return value_unset(expression);
  return value_text(slice_make(details->subject.data + start, end - start));
}

static Value value_of_listing(Run *run, const Expression *expression) {
  if (run->details_open)
    return value_open(expression);
  const Details *details = &run->details;
  if (details->list == NULL)
    return value_unset(expression);
  Slice text = SLICE_EMPTY;
  const Failure *failures = NULL;
  switch (expression->as.detail) {
    case DNSLIST_ZONE:
      text = details->listed.zone;
      break;
    case DNSLIST_CODE:
      text = details->listed.code;
      break;
    case DNSLIST_TEXT: {
      LookupState state = lookup_text(run, &text, &failures);
      if (state == LOOKUP_OPEN)
        return value_open(expression);
      if (state == LOOKUP_UNKNOWN)
        return value_of_failures(expression, failures);
      break;
    }
  }
  return text.length > 0 ? value_text(text) : value_unset(expression);
}

/* The parts joined; *rest is what of them is open or unknown. Unknown stands as "?". */
static Slice join_parts(Run *run, const Expression *expression, Logic *rest) {
  size_t count = expression->as.parts.count;
  Slice *texts = ARENA_NEW_ARRAY(run->arena, Slice, count);
  size_t length = 0;
  for (size_t i = 0; i < count; i++) {
    Value scratch;
    const Value *part = expression_value(run, expression->as.parts.items[i], &scratch);
    if (part->state == VALUE_OPEN || part->state == VALUE_UNKNOWN)
      *rest = logic_join(run, *rest, logic_of_value(part));
    if (part->state == VALUE_SET && part->type == TYPE_STRING) {
      texts[i] = part->as.text;
    } else if (part->state != VALUE_OPEN) {
      texts[i] = value_format(run->arena, part);
    }
    length += texts[i].length;
  }
  char *joined = arena_alloc_text(run->arena, length + 1);
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (texts[i].length > 0)
      memcpy(joined + at, texts[i].data, texts[i].length);
    at += texts[i].length;
  }
  joined[at] = '\0';
  return slice_make(joined, length);
}

static Value value_of_template(Run *run, const Expression *expression) {
  Logic rest = LOGIC_FALSE;
  Slice text = join_parts(run, expression, &rest);
  if (rest.truth == TRUTH_OPEN)
    return value_open(expression);
  if (rest.truth == TRUTH_UNKNOWN)
    return value_of_failures(expression, rest.failures);
  return value_text(text);
}

Slice expression_text(Run *run, const Expression *expression) {
  if (expression->kind == EXPRESSION_TEMPLATE) {
    Logic rest = LOGIC_FALSE;
    Slice text = join_parts(run, expression, &rest);
    if (rest.truth == TRUTH_UNKNOWN)
      run_tell_failures(run, rest.failures);
    return text;
  }
  Value scratch;
  const Value *value = expression_value(run, expression, &scratch);
  if (value->state == VALUE_UNKNOWN)
    run_tell_failures(run, value->as.failures);
  return value->state == VALUE_SET && value->type == TYPE_STRING ? value->as.text : value_format(run->arena, value);
}

/* ---- values ---- */

/* Of each element. */
static G_GNUC_NO_INLINE Value value_of_elements(Run *run, const Function *function, const ValueList *from) {
  Value *items = ARENA_NEW_ARRAY(run->arena, Value, from->count);
  ValueList *list = ARENA_NEW(run->arena, ValueList);
  for (size_t i = 0; i < from->count; i++) {
    Value item = function->apply(run->arena, &from->items[i]);
    if (item.state == VALUE_SET)
      items[list->count++] = item;
  }
  list->items = items;
  return (Value){VALUE_SET, TYPE_LIST, {.list = list}};
}

static G_GNUC_NO_INLINE Value value_of_function(Run *run, const Expression *expression) {
  Value scratch;
  const Value *input = operand_value(run, expression->left, &scratch);
  const Function *function = expression->as.function;
  if (input->state == VALUE_SET)
    return input->type != TYPE_LIST || function->input == TYPE_LIST ? function->apply(run->arena, input)
                                                                    : value_of_elements(run, function, input->as.list);
  if (input->state == VALUE_UNKNOWN)
    return value_of_failures(expression, input->as.failures);
  return input->state == VALUE_OPEN ? value_open(expression) : value_unset(expression);
}

static G_GNUC_NO_INLINE Logic decide_is_set(Run *run, const Expression *expression) {
  Value scratch;
  const Value *value = operand_value(run, expression->left, &scratch);
  if (value->state != VALUE_SET)
    return logic_of_value(value);
  return logic_of(value->type != TYPE_LIST || value->as.list->count > 0);
}

static const Value *plain_value(Run *run, const Expression *expression, Value *scratch);

static G_GNUC_NO_INLINE Logic decide_value(Run *run, const Expression *expression) {
  Value scratch;
  return logic_of_value(plain_value(run, expression, &scratch));
}

/* Each a function of its own, so that condition_decide_plain is a jump and the test is known where it is called. */

static G_GNUC_NO_INLINE Logic decide_not(Run *run, const Expression *expression) {
  return logic_not(condition_decide(run, expression->left));
}

static G_GNUC_NO_INLINE Logic decide_in_set(Run *run, const Expression *expression) {
  return decide_one(run, expression, test_in_set);
}

static G_GNUC_NO_INLINE Logic decide_in_network(Run *run, const Expression *expression) {
  return decide_one(run, expression, test_in_network);
}

static G_GNUC_NO_INLINE Logic decide_in_range(Run *run, const Expression *expression) {
  return decide_one(run, expression, test_in_range);
}

static G_GNUC_NO_INLINE Logic decide_match(Run *run, const Expression *expression) {
  return decide_one(run, expression, test_match);
}

static G_GNUC_NO_INLINE Logic decide_in_list(Run *run, const Expression *expression) {
  return decide_two(run, expression, test_equal);
}

static G_GNUC_NO_INLINE Logic decide_under(Run *run, const Expression *expression) {
  return decide_two(run, expression, test_under);
}

static G_GNUC_NO_INLINE Logic decide_compare(Run *run, const Expression *expression) {
  Logic logic = decide_two(run, expression, test_compare);
  return expression->as.compare == COMPARE_NOT_EQUAL ? logic_not(logic) : logic;
}

Logic condition_decide_plain(Run *run, const Expression *expression) {
  switch (expression->kind) {
    case EXPRESSION_NOT:
      return decide_not(run, expression);
    case EXPRESSION_AND:
      return decide_both(run, expression, TRUTH_FALSE);
    case EXPRESSION_OR:
      return decide_both(run, expression, TRUTH_TRUE);
    case EXPRESSION_COMPARE:
      return decide_compare(run, expression);
    case EXPRESSION_IN_SET:
      return decide_in_set(run, expression);
    case EXPRESSION_IN_NETWORK:
      return decide_in_network(run, expression);
    case EXPRESSION_IN_RANGE:
      return decide_in_range(run, expression);
    case EXPRESSION_IN_RESOURCE:
      return decide_in_resource(run, expression);
    case EXPRESSION_IN_LIST:
      return decide_in_list(run, expression);
    case EXPRESSION_MATCH:
      return decide_match(run, expression);
    case EXPRESSION_UNDER:
      return decide_under(run, expression);
    case EXPRESSION_IS_SET:
      return decide_is_set(run, expression);
    case EXPRESSION_LITERAL:
    case EXPRESSION_FACT:
    case EXPRESSION_RAW:
    case EXPRESSION_HEADER:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_SCORE:
    case EXPRESSION_FUNCTION:
    case EXPRESSION_TEMPLATE:
    case EXPRESSION_CAPTURE:
    case EXPRESSION_DNSLIST:
    case EXPRESSION_ELEMENT:
    case EXPRESSION_QUANTIFIER:
    case EXPRESSION_VALUE_OF:
    case EXPRESSION_DEFAULT:
      break;
  }
  return decide_value(run, expression);
}

static Logic decide_traced(Run *run, const Expression *expression) {
  Logic logic = condition_decide_plain(run, expression);
  Value value = value_of_logic(logic);
  trace_expression(run, expression, &value);
  return logic;
}

Logic condition_decide(Run *run, const Expression *expression) {
  return run->trace == NULL ? condition_decide_plain(run, expression) : decide_traced(run, expression);
}

static const Value *plain_value(Run *run, const Expression *expression, Value *scratch) {
  switch (expression->kind) {
    case EXPRESSION_LITERAL:
      return &expression->as.literal;
    case EXPRESSION_FACT:
      return fact_value(run, expression->as.fact);
    case EXPRESSION_RAW:
      *scratch = value_of_raw(run, expression);
      return scratch;
    case EXPRESSION_HEADER:
      *scratch = value_of_header(run, expression);
      return scratch;
    case EXPRESSION_VARIABLE:
      if (!run->variables_open)
        return run_variable(run, expression->as.variable);
      *scratch = value_open(expression);
      return scratch;
    case EXPRESSION_SCORE:
      *scratch = run->variables_open ? value_open(expression)
                                     : (Value){VALUE_SET, TYPE_DECIMAL, {.decimal = run_total(run, expression->as.score)}};
      return scratch;
    case EXPRESSION_FUNCTION:
      *scratch = value_of_function(run, expression);
      return scratch;
    case EXPRESSION_TEMPLATE:
      *scratch = value_of_template(run, expression);
      return scratch;
    case EXPRESSION_CAPTURE:
      *scratch = value_of_capture(run, expression);
      return scratch;
    case EXPRESSION_DNSLIST:
      *scratch = value_of_listing(run, expression);
      return scratch;
    case EXPRESSION_ELEMENT:
      return value_of_element(run, expression);
    case EXPRESSION_QUANTIFIER:
      *scratch = value_of_quantifier(run, expression);
      return scratch;
    case EXPRESSION_VALUE_OF:
      *scratch = value_of_resource(run, expression);
      return scratch;
    case EXPRESSION_DEFAULT: {
      const Value *value = expression_value(run, expression->left, scratch);
      return value->state == VALUE_UNSET ? expression_value(run, expression->right, scratch) : value;
    }
    case EXPRESSION_NOT:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_COMPARE:
    case EXPRESSION_IN_SET:
    case EXPRESSION_IN_NETWORK:
    case EXPRESSION_IN_RANGE:
    case EXPRESSION_IN_RESOURCE:
    case EXPRESSION_IN_LIST:
    case EXPRESSION_MATCH:
    case EXPRESSION_UNDER:
    case EXPRESSION_IS_SET:
      break;
  }
  *scratch = value_of_logic(condition_decide_plain(run, expression));
  return scratch;
}

static const Value *traced_value(Run *run, const Expression *expression, Value *scratch) {
  const Value *value = plain_value(run, expression, scratch);
  trace_expression(run, expression, value);
  return value;
}

/* Facts, and what a function makes of one, are nearly all that is read: they do not pay for the others. */
const Value *expression_value(Run *run, const Expression *expression, Value *scratch) {
  if (run->trace != NULL)
    return traced_value(run, expression, scratch);
  if (expression->kind == EXPRESSION_FACT)
    return fact_value(run, expression->as.fact);
  if (expression->kind == EXPRESSION_FUNCTION) {
    *scratch = value_of_function(run, expression);
    return scratch;
  }
  return plain_value(run, expression, scratch);
}
