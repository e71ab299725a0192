/*
 * text_buffer.c: see the header.
 */
#include "common/base/text_buffer.h"

#include <stdio.h>

TextBuffer text_buffer_in(char *room, size_t size) {
  g_assert(size > 0);
  room[0] = '\0';
  return (TextBuffer){.text = room, .capacity = size};
}

void text_buffer_clear(TextBuffer *buffer) {
  g_clear_pointer(&buffer->heap, g_free);
  *buffer = (TextBuffer){.text = NULL};
}

void text_buffer_grow(TextBuffer *buffer, size_t more) {
  if (more > SIZE_MAX / 4 || buffer->length > SIZE_MAX / 4) {
    g_error("text buffer: %zu bytes more were asked for", more);
  }
  size_t capacity = MAX(buffer->capacity * 2, buffer->length + more + 1);
  char *larger = g_realloc(buffer->heap, capacity);
  if (buffer->heap == NULL) {
    memcpy(larger, buffer->text, buffer->length + 1);
  }
  buffer->text = buffer->heap = larger;
  buffer->capacity = capacity;
}

void text_buffer_add_number(TextBuffer *buffer, unsigned number) {
  char digits[3 * sizeof number];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  text_buffer_add(buffer, slice_make(digits + at, sizeof digits - at));
}

void text_buffer_add_format_list(TextBuffer *buffer, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(buffer->text + buffer->length, buffer->capacity - buffer->length, format, arguments);
  if (length < 0) {
    g_error("text buffer: a text could not be formatted");
  }
  if ((size_t)length >= buffer->capacity - buffer->length) {
    text_buffer_make_room(buffer, (size_t)length);
    (void)vsnprintf(buffer->text + buffer->length, buffer->capacity - buffer->length, format, again);
  }
  va_end(again);
  buffer->length += (size_t)length;
}

void text_buffer_add_format(TextBuffer *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  text_buffer_add_format_list(buffer, format, arguments);
  va_end(arguments);
}

void text_buffer_add_quoted(TextBuffer *buffer, Slice text, size_t limit) {
  size_t length = slice_quoted_length(text, limit);
  text_buffer_make_room(buffer, length);
  slice_quote_into(text, limit, buffer->text + buffer->length);
  buffer->length += length;
  buffer->text[buffer->length] = '\0';
}

void text_buffer_truncate(TextBuffer *buffer, size_t length) {
  g_assert(length <= buffer->length);
  buffer->length = length;
  buffer->text[length] = '\0';
}
