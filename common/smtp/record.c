/*
 * record.c: the table of record.def.
 */
#include "common/smtp/record.h"

/* Every row in order; a record's own row stands in front of its fields and has no type. */
typedef struct RecordRow {
  bool is_record;
  RecordField field;
} RecordRow;

static const RecordRow rows[] = {
#define RECORD(symbol, name, sentence) {true, {#name, TYPE_RECORD, sentence}},
#define FIELD(record, symbol, name, type, sentence) {false, {#name, TYPE_##type, sentence}},
#include "common/smtp/record.def"
#undef RECORD
#undef FIELD
};

static const RecordRow *record_row(RecordKind kind) {
  size_t place = 0;
  for (int before = (int)kind; !rows[place].is_record || before > 0; place++) {
    before -= rows[place].is_record;
  }
  return &rows[place];
}

const char *record_name(RecordKind kind) {
  return record_row(kind)->field.name;
}

const char *record_sentence(RecordKind kind) {
  return record_row(kind)->field.sentence;
}

size_t record_field_count(RecordKind kind) {
  const RecordRow *first = record_row(kind) + 1;
  size_t count = 0;
  while (first + count < rows + G_N_ELEMENTS(rows) && !first[count].is_record) {
    count++;
  }
  return count;
}

const RecordField *record_field(RecordKind kind, size_t place) {
  return &record_row(kind)[1 + place].field;
}

int record_field_index(RecordKind kind, Slice name) {
  for (size_t i = 0; i < record_field_count(kind); i++) {
    if (slice_equal(name, slice_from(record_field(kind, i)->name))) {
      return (int)i;
    }
  }
  return -1;
}
