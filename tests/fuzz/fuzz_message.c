/*
 * fuzz_message.c: a message's header fields and body, in pieces. The first line of the input holds the sizes of the pieces of the body,
 * numbers that are used over and over; what follows is the message.
 *
 * Promises: the facts are the same whatever the pieces; every text is UTF-8 without NUL; nothing is kept past the limits.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/message/message.h"
#include "common/smtp/record.h"

static const MessageNeeds needs = {.all_headers = true,
                                   .header_count = true,
                                   .header_duplicates = true,
                                   .header_from = true,
                                   .header_sender = true,
                                   .header_reply_to = true,
                                   .header_to = true,
                                   .header_cc = true,
                                   .received_count = true,
                                   .message_size = true,
                                   .attachment = true,
                                   .body = true};
static const MessageLimits limits = {16384, 1000};
static const Fact facts[] = {FACT_HEADER,     FACT_HEADER_FROM,  FACT_HEADER_SENDER,     FACT_HEADER_REPLY_TO, FACT_HEADER_TO,
                             FACT_HEADER_CC,  FACT_HEADER_COUNT, FACT_HEADER_DUPLICATES, FACT_RECEIVED_COUNT,  FACT_MESSAGE_SIZE,
                             FACT_ATTACHMENT, FACT_BODY,         FACT_BODY_TRUNCATED};

static Slice next_line(Slice *text) {
  Slice rest;
  bool found;
  Slice line = slice_split(*text, '\n', &rest, &found);
  *text = found ? rest : SLICE_EMPTY;
  return line;
}

static Slice feed_header(Message *message, Slice text) {
  while (text.length > 0) {
    Slice field = next_line(&text);
    if (slice_trim(field).length == 0) {
      break;
    }
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
      Slice line = next_line(&text);
      field.length = (size_t)(line.data + line.length - field.data);
    }
    Slice value;
    bool found;
    Slice name = slice_split(field, ':', &value, &found);
    message_header(message, name, value);
  }
  message_end_of_headers(message);
  return text;
}

static size_t piece_size(Slice sizes, size_t which) {
  size_t length = 1;
  Slice rest = sizes;
  bool more = true;
  for (size_t i = 0; more && i <= which; i++) {
    int64_t number;
    Slice word = slice_split(rest, ' ', &rest, &more);
    length = slice_to_int(word, &number) && number > 0 ? (size_t)MIN(number, 1 << 20) : 1;
  }
  return length;
}

static void feed(Message *message, Slice text, Slice sizes) {
  message_begin(message, &needs);
  Slice body = feed_header(message, text);
  for (size_t at = 0, i = 0; at < body.length; i++) {
    size_t length = MIN(piece_size(sizes, i % 8), body.length - at);
    g_autofree char *block = g_malloc(length);
    memcpy(block, body.data + at, length);
    (void)message_body(message, slice_make(block, length));
    at += length;
  }
}

static void check_value(const Value *value);

static void check_record(const ValueRecord *record) {
  for (size_t i = 0; i < record_field_count(record->kind); i++) {
    check_value(&record->fields[i]);
  }
}

static void check_value(const Value *value) {
  g_assert(value->state != VALUE_OPEN);
  if (value->state == VALUE_UNKNOWN) {
    g_assert(value->as.failures != NULL && value->as.failures->reason.length > 0 && value->as.failures->on_error == ON_ERROR_TEMPFAIL);
  } else if (value->state == VALUE_SET && value->type == TYPE_STRING) {
    g_assert(g_utf8_validate_len(value->as.text.data ? value->as.text.data : "", value->as.text.length, NULL));
  } else if (value->state == VALUE_SET && value->type == TYPE_LIST) {
    g_assert(value->as.list->count > 0 && value->as.list->count <= LIMIT_HEADER_FIELDS);
    for (size_t i = 0; i < value->as.list->count; i++) {
      check_value(&value->as.list->items[i]);
    }
  } else if (value->state == VALUE_SET && value->type == TYPE_RECORD) {
    check_record(value->as.record);
  } else if (value->state == VALUE_SET && value->type == TYPE_ADDRESS) {
    g_assert(!mail_address_is_null(value->as.address));
  } else if (value->state == VALUE_SET && value->type != TYPE_BOOL) {
    g_assert(value->as.number >= 0);
  }
}

static Slice told(Arena *arena, Session *session, Fact fact) {
  const Value *value = session_get(session, fact);
  check_value(value);
  return value->state == VALUE_UNKNOWN ? value->as.failures->reason : value_format(arena, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Slice text = slice_make((const char *)data, size);
  Slice sizes = next_line(&text);
  g_autoptr(Message) whole = message_new(&limits), pieces = message_new(&limits);
  g_autoptr(Session) of_whole = session_new(DOOR_MILTER), of_pieces = session_new(DOOR_MILTER);
  g_autoptr(Arena) arena = arena_new(0);
  feed(whole, text, SLICE_LITERAL("1000000"));
  message_facts(whole, of_whole);
  feed(pieces, text, sizes);
  message_header_facts(pieces, of_pieces);
  message_facts(pieces, of_pieces);
  for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
    g_assert(slice_equal(told(arena, of_whole, facts[i]), told(arena, of_pieces, facts[i])));
  }
  g_assert(session_get(of_whole, FACT_BODY)->state != VALUE_SET || session_get(of_whole, FACT_BODY)->as.text.length <= limits.body_text);
  message_reset(pieces);
  session_reset_message(of_pieces);
  message_facts(pieces, of_pieces);
  g_assert(session_get(of_pieces, FACT_HEADER_COUNT)->state == VALUE_UNSET);
  return 0;
}
