/*
 * fuzz_table.c: the text of tables. The first byte chooses the shape; what a table lists is found again under its own text, and
 * reading what was listed gives as many entries.
 */
#include "tests/fuzz/fuzz.h"

#include "common/lookup/table_text.h"

static const KeysetShape shapes[] = {
    {.part_count = 1, .parts = {TYPE_NET}},
    {.part_count = 1, .parts = {TYPE_DOMAIN}, .has_value = true, .value = TYPE_ACTION},
    {.part_count = 1, .parts = {TYPE_ADDRESS}},
    {.part_count = 1, .parts = {TYPE_STRING}, .has_value = true, .value = TYPE_LIST},
    {.part_count = 2, .parts = {TYPE_ADDRESS, TYPE_INT}, .has_value = true, .value = TYPE_STRING},
    {.part_count = 1, .parts = {TYPE_ADDRESS}, .exact = true, .has_value = true, .value = TYPE_NET},
};

typedef struct Probe {
  const Keyset *keyset;
  KeysetBuilder *again;
  Arena *arena;
} Probe;

static void check_entry(Slice entry, const Value *value, void *data) {
  Probe *probe = data;
  const KeysetShape *shape = keyset_shape(probe->keyset);
  Value key;
  const char *problem;
  Slice right_form;
  (void)value;
  if (shape->part_count > 1 || shape->has_value) {
    return;
  }
  g_assert(keyset_builder_add(probe->again, &entry, SLICE_EMPTY, &problem, &right_form));
  ValueType type = shape->parts[0] == TYPE_NET ? TYPE_IP : shape->parts[0];
  if (value_parse(probe->arena, type, entry, &key, &problem, &right_form) && (type != TYPE_ADDRESS || key.as.address->domain.length)) {
    g_assert(keyset_find(probe->keyset, &key, NULL));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const KeysetShape *shape = &shapes[data[0] % G_N_ELEMENTS(shapes)];
  g_autofree char *message = NULL;
  g_autoptr(Keyset) keyset = table_text_read(shape, "table", slice_make((const char *)data + 1, size - 1), &message);
  g_assert((keyset == NULL) == (message != NULL));
  if (message) {
    for (const char *byte = message; *byte; byte++) {
      g_assert((*byte >= 0x20 && *byte < 0x7f) || *byte == '\n');
    }
    return 0;
  }
  g_autoptr(Arena) arena = arena_new(0);
  Probe probe = {keyset, keyset_builder_new(shape), arena};
  keyset_each(keyset, check_entry, &probe);
  g_autoptr(Keyset) again = keyset_builder_end(probe.again);
  g_assert(shape->part_count > 1 || shape->has_value || keyset_size(again) == keyset_size(keyset));
  return 0;
}
