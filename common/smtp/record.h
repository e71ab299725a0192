/*
 * record.h: elements of lists that have several values of their own: a header field, an attachment; record.def has one row for each value.
 */
#ifndef COMMON_SMTP_RECORD_H
#define COMMON_SMTP_RECORD_H

#include "common/smtp/value.h"

/* Places of the fields in a record: HEADER_FIELD_NAME, ATTACHMENT_FIELD_SIZE ... */
enum {
#define RECORD(symbol, name, sentence) symbol##_RECORD_BEGINS, symbol##_RECORD_FIRST = -1,
#define FIELD(record, symbol, name, type, sentence) record##_FIELD_##symbol,
#include "common/smtp/record.def"
#undef RECORD
#undef FIELD
};

typedef struct RecordField {
  const char *name;
  ValueType type;
  const char *sentence;
} RecordField;

const char *record_name(RecordKind kind); /* "attachment" */
const char *record_sentence(RecordKind kind);
size_t record_field_count(RecordKind kind);
/* `place` is below the count. */
const RecordField *record_field(RecordKind kind, size_t place);
/* The field's place; -1 when the kind has none of that name. */
int record_field_index(RecordKind kind, Slice name);

#endif
