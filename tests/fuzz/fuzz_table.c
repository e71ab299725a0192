/*
 * fuzz_table.c: the text of tables. The first byte chooses the shape; what a table lists is found again under its own text, and
 * reading what was listed gives as many entries.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/limits.h"
#include "common/lookup/table_text.h"

static const KeysetShape shapes[] = {
    {.part_count = 1, .parts = {TYPE_NET}},
    {.part_count = 1, .parts = {TYPE_DOMAIN}, .has_value = true, .value = TYPE_ACTION},
    {.part_count = 1, .parts = {TYPE_ADDRESS}},
    {.part_count = 1, .parts = {TYPE_STRING}, .has_value = true, .value = TYPE_LIST},
    {.part_count = 2, .parts = {TYPE_ADDRESS, TYPE_INT}, .has_value = true, .value = TYPE_STRING},
    {.part_count = 1, .parts = {TYPE_ADDRESS}, .exact = true, .has_value = true, .value = TYPE_NET},
    {.part_count = 1, .parts = {TYPE_ADDRESS}, .has_value = true, .value = TYPE_ACTION, .order = KEY_ORDER_POSTFIX},
    {.part_count = 1, .parts = {TYPE_NET}, .order = KEY_ORDER_SENDMAIL, .tag = "connect"},
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
  ResourceFaults faults;
  g_autoptr(Keyset) keyset = table_text_read(shape, "table", slice_make((const char *)data + 1, size - 1), &faults);
  g_assert(faults.told_count == MIN(faults.count, (size_t)RESOURCE_FAULTS_TOLD));
  for (size_t i = 0; i < faults.told_count; i++) {
    const ResourceFault *fault = &faults.told[i];
    g_autofree char *text = resource_fault_text(fault);
    g_assert(fault->offset <= fault->source.text.length || fault->source.text.length == LIMIT_TABLE_LINE);
    for (const char *byte = text; *byte; byte++) {
      g_assert(*byte >= 0x20 && *byte < 0x7f);
    }
  }
  resource_faults_clear(&faults);
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape own = table_text_shape(shape);
  Probe probe = {keyset, keyset_builder_new(&own), arena};
  keyset_each(keyset, check_entry, &probe);
  g_autoptr(Keyset) again = keyset_builder_end(probe.again);
  g_assert(shape->part_count > 1 || shape->has_value || keyset_size(again) == keyset_size(keyset));
  return 0;
}
