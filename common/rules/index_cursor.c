/*
 * index_cursor.c: reads an index (index.h): asks the structures of each field once, sorts what they say, and goes through it statement by statement.
 */
#include <stdlib.h>

#include "common/rules/evaluation.h"
#include "common/rules/index_access.h"
#include "common/rules/index_internal.h"

static int compare_numbers(const void *a, const void *b) {
  uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
  return one < two ? -1 : one > two;
}

static void sort_candidates(IndexCursor *cursor) {
  uint32_t *items = cursor->candidates;
  if (cursor->count > INDEX_CANDIDATES_FIRST) {
    qsort(items, cursor->count, sizeof *items, compare_numbers);
  } else {
    for (size_t i = 1; i < cursor->count; i++) {
      uint32_t item = items[i];
      size_t at = i;
      for (; at > 0 && items[at - 1] > item; at--)
        items[at] = items[at - 1];
      items[at] = item;
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < cursor->count; i++)
    if (kept == 0 || items[kept - 1] != items[i])
      items[kept++] = items[i];
  cursor->count = kept;
}

/* A text may hold the same literal thousands of times: doubles go before more room is taken. */
static void make_room(IndexCursor *cursor) {
  sort_candidates(cursor);
  if (cursor->count <= cursor->room / 2)
    return;
  uint32_t *larger = ARENA_NEW_ARRAY(cursor->arena, uint32_t, cursor->room * 2);
  memcpy(larger, cursor->candidates, cursor->count * sizeof *larger);
  cursor->candidates = larger;
  cursor->room *= 2;
}

static void hit(void *data, uint32_t group) {
  IndexCursor *cursor = data;
  const PhaseIndex *index = cursor->index;
  for (uint32_t i = index->group_start[group]; i < index->group_start[group + 1]; i++) {
    if (cursor->count == cursor->room)
      make_room(cursor);
    cursor->candidates[cursor->count++] = index->members[i];
  }
}

static void find_text(const IndexField *field, KeyKind kind, Slice text, IndexCursor *cursor) {
  if ((field->kinds & (1u << kind)) != 0)
    key_table_find(field->keys, index_hash_text(kind, text), hit, cursor);
}

static void find_suffixes(const IndexField *field, Slice domain, IndexCursor *cursor) {
  if ((field->kinds & (1u << KEY_SUFFIX)) == 0)
    return;
  size_t from = domain.length > field->longest_suffix + 1 ? domain.length - field->longest_suffix - 1 : 0;
  for (size_t i = from; i < domain.length; i++)
    if (domain.data[i] == '.')
      find_text(field, KEY_SUFFIX, slice_from_offset(domain, i + 1), cursor);
}

static void find_address(const IndexField *field, const MailAddress *address, IndexCursor *cursor) {
  Slice user, extension;
  bool extended = mail_address_extension(address, &user, &extension);
  if ((field->kinds & (1u << KEY_ADDRESS)) != 0) {
    uint64_t domain = index_hash_text(KEY_DOMAIN, address->domain);
    key_table_find(field->keys, index_hash_pair(index_hash_text(KEY_USER, address->localpart), domain), hit, cursor);
    if (extended)
      key_table_find(field->keys, index_hash_pair(index_hash_text(KEY_USER, user), domain), hit, cursor);
  }
  find_text(field, KEY_USER, address->localpart, cursor);
  if (extended)
    find_text(field, KEY_USER, user, cursor);
  find_text(field, KEY_DOMAIN, address->domain, cursor);
  find_suffixes(field, address->domain, cursor);
}

static void find_value(const IndexField *field, const Value *value, IndexCursor *cursor) {
  switch (value->type) {
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      find_text(field, KEY_TEXT, value->as.text, cursor);
      find_suffixes(field, value->as.text, cursor);
      if (field->literals != NULL)
        literal_matcher_scan(field->literals, value->as.text, hit, cursor);
      if (field->regexes != NULL)
        regex_set_scan(field->regexes, value->as.text, hit, cursor);
      return;
    case TYPE_ADDRESS:
      find_address(field, value->as.address, cursor);
      if (field->literals != NULL)
        literal_matcher_scan(field->literals, value->as.address->text, hit, cursor);
      if (field->regexes != NULL)
        regex_set_scan(field->regexes, value->as.address->text, hit, cursor);
      return;
    case TYPE_IP:
      if (field->networks != NULL)
        network_tree_find(field->networks, &value->as.ip, hit, cursor);
      return;
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_SIZE:
    case TYPE_DURATION:
    case TYPE_TIME:
    case TYPE_DATE:
      if (field->keys != NULL)
        key_table_find(field->keys, index_hash_number(access_number(value)), hit, cursor);
      return;
    case TYPE_LIST:
      for (size_t i = 0; i < value->as.list->count; i++)
        find_value(field, &value->as.list->items[i], cursor);
      return;
    case TYPE_NET:
    case TYPE_BOOL:
    case TYPE_ACTION:
    case TYPE_RECORD:
    case TYPE_COUNT:
      break;
  }
  g_assert_not_reached(); /* the checker made the types meet */
}

static void find_field(const IndexField *field, Run *run, IndexCursor *cursor) {
  Value scratch;
  const Value *value = expression_value(run, field->expression, &scratch);
  switch (value->state) {
    case VALUE_UNSET:
      return;
    case VALUE_SET:
      find_value(field, value, cursor);
      return;
    case VALUE_UNKNOWN:
    case VALUE_OPEN:
      break;
  }
  for (size_t i = 0; i < field->group_count; i++)
    hit(cursor, field->groups[i]);
}

void index_cursor_begin(IndexCursor *cursor, const PhaseIndex *index, Run *run) {
  bool fact_open = run->fact_open;
  cursor->index = index;
  cursor->candidates = cursor->first;
  cursor->room = INDEX_CANDIDATES_FIRST;
  cursor->count = cursor->at = cursor->always_at = 0;
  cursor->walk_end = 0;
  cursor->arena = run->arena;
  for (size_t i = 0; i < index->field_count; i++)
    find_field(&index->fields[i], run, cursor);
  sort_candidates(cursor);
  run->fact_open = fact_open; /* that a statement waits for a fact is said where it is met */
}

/* The first place from `at` on whose number is at least `n`: near first, then by halves. */
static size_t advance(const uint32_t *numbers, size_t count, size_t at, uint32_t n) {
  size_t stride = 1;
  while (at < count && numbers[at] < n) {
    size_t high = at;
    while (high < count && numbers[high] < n) {
      at = high + 1;
      high += stride;
      stride *= 2;
    }
    stride = 1;
  }
  return at;
}

/* The outermost block around a statement that begins at or behind `n`, where the cursor is: it was no candidate, so it is false. */
static uint32_t false_block(const PhaseIndex *index, uint32_t statement, uint32_t n) {
  uint32_t outermost = NO_STATEMENT;
  for (uint32_t block = index->statements[statement].parent; block != NO_STATEMENT && block >= n; block = index->statements[block].parent)
    outermost = block;
  return outermost;
}

uint32_t index_cursor_next(IndexCursor *cursor, uint32_t n) {
  const PhaseIndex *index = cursor->index;
  for (;;) {
    if (n >= index->count)
      return NO_STATEMENT;
    if (n < cursor->walk_end)
      return n;
    cursor->at = advance(cursor->candidates, cursor->count, cursor->at, n);
    cursor->always_at = advance(index->always, index->always_count, cursor->always_at, n);
    uint32_t next = cursor->at < cursor->count ? cursor->candidates[cursor->at] : NO_STATEMENT;
    if (cursor->always_at < index->always_count && index->always[cursor->always_at] < next)
      next = index->always[cursor->always_at];
    uint32_t block = next != NO_STATEMENT ? false_block(index, next, n) : NO_STATEMENT;
    if (block == NO_STATEMENT)
      return next;
    n = index->statements[block].end;
  }
}

void index_cursor_enter(IndexCursor *cursor, uint32_t block) {
  if (cursor->index->walked[block / 8] & (1u << block % 8))
    cursor->walk_end = MAX(cursor->walk_end, cursor->index->statements[block].end);
}
