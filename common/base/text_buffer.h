/*
 * text_buffer.h: a text that grows at its end, in room that its owner has (usually on the stack) and only past that on the heap: what is said for each request
 * costs no allocation. Confined.
 *
 *     char room[512];
 *     g_auto(TextBuffer) text = text_buffer_in(room, sizeof room);
 */
#ifndef COMMON_BASE_TEXT_BUFFER_H
#define COMMON_BASE_TEXT_BUFFER_H

#include "common/base/slice.h"

typedef struct TextBuffer {
  char *text; /* NUL-terminated */
  size_t length;
  size_t capacity; /* the NUL included */
  char *heap;      /* NULL: it is still in its owner's room */
} TextBuffer;

/* Empty; `room` (of at least one byte) must outlive it. */
TextBuffer text_buffer_in(char *room, size_t size);
void text_buffer_clear(TextBuffer *buffer);

/* Room for so many bytes more, and the NUL behind them. */
void text_buffer_grow(TextBuffer *buffer, size_t more);

static inline void text_buffer_make_room(TextBuffer *buffer, size_t more) {
  if (buffer->capacity - buffer->length <= more) {
    text_buffer_grow(buffer, more);
  }
}

static inline void text_buffer_add(TextBuffer *buffer, Slice text) {
  if (text.length > 0) {
    text_buffer_make_room(buffer, text.length);
    memcpy(buffer->text + buffer->length, text.data, text.length);
    buffer->length += text.length;
    buffer->text[buffer->length] = '\0';
  }
}

static inline void text_buffer_add_byte(TextBuffer *buffer, char byte) {
  text_buffer_make_room(buffer, 1);
  buffer->text[buffer->length++] = byte;
  buffer->text[buffer->length] = '\0';
}

/* Decimal. */
void text_buffer_add_number(TextBuffer *buffer, unsigned number);
void text_buffer_add_format(TextBuffer *buffer, const char *format, ...) G_GNUC_PRINTF(2, 3);
void text_buffer_add_format_list(TextBuffer *buffer, const char *format, va_list arguments) G_GNUC_PRINTF(2, 0);
/* As slice_quote shows it. */
void text_buffer_add_quoted(TextBuffer *buffer, Slice text, size_t limit);
/* Cut to a length that is not greater. */
void text_buffer_truncate(TextBuffer *buffer, size_t length);

static inline Slice text_buffer_slice(const TextBuffer *buffer) {
  return slice_make(buffer->text, buffer->length);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TextBuffer, text_buffer_clear)

#endif
