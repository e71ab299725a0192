/*
 * message_fixture.c: see the header.
 */
#include "tests/unit/message_fixture.h"

const MessageNeeds message_all_needs = {.all_headers = true,
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
const MessageLimits message_usual_limits = {1024 * 1024, 256 * 1024};

static Slice next_line(Slice *text) {
  Slice rest;
  bool found;
  Slice line = slice_split(*text, '\n', &rest, &found);
  *text = found ? rest : SLICE_EMPTY;
  return line;
}

static bool is_folded(Slice text) {
  return text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t');
}

static Slice without_cr(Slice line) {
  return line.length > 0 && line.data[line.length - 1] == '\r' ? slice_make(line.data, line.length - 1) : line;
}

static Slice feed_header(Message *message, Slice text) {
  while (text.length > 0) {
    Slice field = next_line(&text);
    if (without_cr(field).length == 0) {
      break;
    }
    while (is_folded(text)) {
      Slice line = next_line(&text);
      field.length = (size_t)(line.data + line.length - field.data);
    }
    Slice value;
    bool found;
    Slice name = slice_split(without_cr(field), ':', &value, &found);
    message_header(message, name, value);
  }
  return text;
}

bool message_feed(Message *message, const MessageNeeds *needs, Slice text, size_t piece) {
  (void)g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  message_begin(message, needs);
  Slice body = feed_header(message, text);
  message_end_of_headers(message);
  bool more = true;
  for (size_t at = 0; at < body.length; at += piece) {
    /* In a block of just its size, so that the address sanitizer sees a read beyond it. */
    size_t length = MIN(piece, body.length - at);
    g_autofree char *block = g_malloc(length);
    memcpy(block, body.data + at, length);
    more = message_body(message, slice_make(block, length));
  }
  return more;
}

const char *message_fact_text(Session *session, Fact fact) {
  Arena *arena = session_arena(session);
  const Value *value = session_get(session, fact);
  switch (value->state) {
    case VALUE_UNSET:
      return "-";
    case VALUE_OPEN:
      return "open";
    case VALUE_UNKNOWN:
      return arena_printf(arena, "? %s", slice_to_string(arena, value->as.failures->reason));
    case VALUE_SET:
      return slice_to_string(arena, value_format(arena, value));
  }
  g_assert_not_reached();
}
