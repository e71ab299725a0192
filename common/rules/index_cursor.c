/*
 * index_cursor.c: reads an index (index.h): asks the structures of each field once, sorts what they say, and goes through it statement by statement.
 */
#include <stdlib.h>

#include "common/rules/evaluation.h"
#include "common/rules/index_access.h"
#include "common/rules/index_internal.h"

enum { FIELDS_AT_ONCE = 8 };

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

/* ---- asking the structures of a field ---- */

static inline bool has_kind(const IndexField *field, KeyKind kind) {
  return (field->kinds & (1u << kind)) != 0;
}

static void find_text(const IndexField *field, KeyKind kind, Slice text, IndexCursor *cursor) {
  if (has_kind(field, kind))
    key_table_find(field->keys, index_hash_text(kind, text), hit, cursor);
}

static G_GNUC_NO_INLINE void find_suffixes(const IndexField *field, Slice domain, IndexCursor *cursor) {
  size_t from = domain.length > field->longest_suffix + 1 ? domain.length - field->longest_suffix - 1 : 0;
  for (size_t i = from; i < domain.length; i++)
    if (domain.data[i] == '.')
      find_text(field, KEY_SUFFIX, slice_from_offset(domain, i + 1), cursor);
}

static G_GNUC_NO_INLINE void find_address(const IndexField *field, const MailAddress *address, IndexCursor *cursor) {
  Slice user, extension;
  bool extended = mail_address_extension(address, &user, &extension);
  if (has_kind(field, KEY_ADDRESS)) {
    uint64_t domain = index_hash_text(KEY_DOMAIN, address->domain);
    key_table_find(field->keys, index_hash_pair(index_hash_text(KEY_USER, address->localpart), domain), hit, cursor);
    if (extended)
      key_table_find(field->keys, index_hash_pair(index_hash_text(KEY_USER, user), domain), hit, cursor);
  }
  find_text(field, KEY_USER, address->localpart, cursor);
  if (extended)
    find_text(field, KEY_USER, user, cursor);
  find_text(field, KEY_DOMAIN, address->domain, cursor);
  if (has_kind(field, KEY_SUFFIX))
    find_suffixes(field, address->domain, cursor);
}

static inline void find_in_text(const IndexField *field, Slice text, IndexCursor *cursor) {
  if (field->literals != NULL)
    literal_matcher_scan(field->literals, text, hit, cursor);
  if (field->regexes != NULL)
    regex_set_scan(field->regexes, text, hit, cursor);
}

/* `hash`: of the whole text, where the field has such keys and the value is a text; NULL for an element of a list. */
static void find_value(const IndexField *field, const Value *value, const uint64_t *hash, IndexCursor *cursor) {
  switch (value->type) {
    case TYPE_STRING:
    case TYPE_DOMAIN:
    case TYPE_ENUM:
      if (has_kind(field, KEY_TEXT))
        key_table_find(field->keys, hash != NULL ? *hash : index_hash_text(KEY_TEXT, value->as.text), hit, cursor);
      if (has_kind(field, KEY_SUFFIX))
        find_suffixes(field, value->as.text, cursor);
      find_in_text(field, value->as.text, cursor);
      return;
    case TYPE_ADDRESS:
      if (field->keys != NULL)
        find_address(field, value->as.address, cursor);
      find_in_text(field, value->as.address->text, cursor);
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
        find_value(field, &value->as.list->items[i], NULL, cursor);
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

/* ---- fields ---- */

/* A field's value, and the hash of its text where that was needed. */
typedef struct Reading {
  const Value *value;
  uint64_t hash;
  Value scratch;
} Reading;

/* Reads the field and sends for what will be looked at first: with many rules it is in far memory. */
static inline void read_field(const IndexField *field, Run *run, Reading *reading) {
  const Value *value = expression_value(run, field->expression, &reading->scratch);
  reading->value = value;
  if (value->state != VALUE_SET)
    return;
  if (value->type == TYPE_IP && field->networks != NULL) {
    network_tree_prefetch(field->networks, &value->as.ip);
  } else if (has_kind(field, KEY_TEXT) && (value->type == TYPE_DOMAIN || value->type == TYPE_STRING || value->type == TYPE_ENUM)) {
    reading->hash = index_hash_text(KEY_TEXT, value->as.text);
    key_table_prefetch(field->keys, reading->hash);
  }
}

static inline void find_field(const IndexField *field, const Reading *reading, IndexCursor *cursor) {
  switch (reading->value->state) {
    case VALUE_UNSET:
      return;
    case VALUE_SET:
      find_value(field, reading->value, &reading->hash, cursor);
      return;
    case VALUE_UNKNOWN:
    case VALUE_OPEN:
      break;
  }
  for (size_t i = 0; i < field->group_count; i++)
    hit(cursor, field->groups[i]);
}

void index_cursor_begin(IndexCursor *cursor, const PhaseIndex *index, Run *run) {
  Reading readings[FIELDS_AT_ONCE];
  bool fact_open = run->fact_open;
  cursor->index = index;
  cursor->candidates = cursor->first;
  cursor->room = INDEX_CANDIDATES_FIRST;
  cursor->count = cursor->at = cursor->always_at = 0;
  cursor->walk_end = 0;
  cursor->arena = run->arena;
  for (size_t from = 0; from < index->field_count; from += FIELDS_AT_ONCE) {
    size_t count = MIN(index->field_count - from, (size_t)FIELDS_AT_ONCE);
    for (size_t i = 0; i < count; i++)
      read_field(&index->fields[from + i], run, &readings[i]);
    for (size_t i = 0; i < count; i++)
      find_field(&index->fields[from + i], &readings[i], cursor);
  }
  if (cursor->count > 1)
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
