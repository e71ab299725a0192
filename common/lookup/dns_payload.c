/*
 * dns_payload.c: the records of a DNS answer in one run of bytes.
 */
#include "common/lookup/dns.h"

enum { LENGTH_BYTES = 2 };

GBytes *dns_payload_from(const Slice *records, size_t count) {
  GByteArray *bytes = g_byte_array_new();
  for (size_t i = 0; i < count; i++) {
    size_t length = MIN(records[i].length, UINT16_MAX);
    uint8_t prefix[LENGTH_BYTES] = {(uint8_t)(length >> 8), (uint8_t)length};
    g_byte_array_append(bytes, prefix, LENGTH_BYTES);
    if (length > 0) {
      g_byte_array_append(bytes, (const guint8 *)records[i].data, (guint)length);
    }
  }
  return g_byte_array_free_to_bytes(bytes);
}

/* The record at *offset, which then moves behind it; false at the end, and at a record that is cut. */
static bool next_record(GBytes *payload, size_t *offset, Slice *record) {
  gsize size = 0;
  const uint8_t *data = g_bytes_get_data(payload, &size);
  if (size - *offset < LENGTH_BYTES) {
    return false;
  }
  size_t length = (size_t)data[*offset] << 8 | data[*offset + 1];
  if (size - *offset - LENGTH_BYTES < length) {
    return false;
  }
  *record = slice_make((const char *)data + *offset + LENGTH_BYTES, length);
  *offset += LENGTH_BYTES + length;
  return true;
}

size_t dns_payload_count(GBytes *payload) {
  size_t count = 0, offset = 0;
  Slice record;
  while (payload && next_record(payload, &offset, &record)) {
    count++;
  }
  return count;
}

Slice dns_payload_get(GBytes *payload, size_t index) {
  size_t offset = 0;
  Slice record = SLICE_EMPTY;
  for (size_t i = 0; i <= index; i++) {
    if (!next_record(payload, &offset, &record)) {
      return SLICE_EMPTY;
    }
  }
  return record;
}
