/*
 * text.c: the text parts of a message, one behind the other: converted to UTF-8, lines ended by LF, cut at the limit.
 *
 * Bytes that came without a charset of their own, or with one that nobody knows, are taken as UTF-8; what is none becomes U+FFFD when the
 * part is over.
 */
#include "common/message/message_internal.h"

static const char replacement[] = "\xef\xbf\xbd";

static bool needs_no_filter(const char *charset) {
  static const char *const names[] = {"utf-8", "utf8", "us-ascii", "ascii"};
  for (size_t i = 0; charset && i < G_N_ELEMENTS(names); i++) {
    if (g_ascii_strcasecmp(charset, names[i]) == 0) {
      return true;
    }
  }
  return charset == NULL;
}

/* False: there is no more room. */
static bool append(BodyText *body, const char *data, size_t length) {
  size_t room = body->limit - body->text->len;
  if (length > room || !budget_take(body->budget, length)) {
    length = MIN(room, MIN(length, body->budget->limit - body->budget->used));
    (void)budget_take(body->budget, length);
    body->truncated = true;
  }
  g_string_append_len(body->text, data, (gssize)length);
  return !body->truncated;
}

/* CR LF, and CR alone, end a line too. */
static void append_lines(BodyText *body, const char *data, size_t length) {
  const char *end = data + length;
  while (data < end && !body->truncated) {
    if (body->after_cr) {
      body->after_cr = false;
      data += *data == '\n';
    }
    const char *cr = data < end ? memchr(data, '\r', (size_t)(end - data)) : NULL;
    if (!append(body, data, (size_t)((cr ? cr : end) - data)) || cr == NULL) {
      return;
    }
    body->after_cr = append(body, "\n", 1);
    data = cr + 1;
  }
}

void body_text_begin_part(BodyText *body, const char *charset) {
  if (body->text == NULL) {
    body->text = g_string_new(NULL);
  }
  body->after_cr = false;
  if (!body->truncated && body->text->len > 0 && body->text->str[body->text->len - 1] != '\n') {
    (void)append(body, "\n", 1);
  }
  body->part_start = body->text->len;
  body->charset = needs_no_filter(charset) ? NULL : g_mime_filter_charset_new(charset, "utf-8");
}

void body_text_write(BodyText *body, const char *data, size_t length) {
  if (body->truncated || length == 0) {
    return;
  }
  if (body->charset) {
    char *out;
    size_t out_length, headroom;
    g_mime_filter_filter(body->charset, (char *)data, length, 0, &out, &out_length, &headroom); /* its input is only read */
    append_lines(body, out, out_length);
  } else {
    append_lines(body, data, length);
  }
}

/* A character that the limit cut is no error of the text's: it is left out. */
static size_t cut_character(const char *text, size_t length) {
  size_t begin = length;
  while (begin > 0 && length - begin < 3 && ((unsigned char)text[begin - 1] & 0xc0) == 0x80) {
    begin--;
  }
  if (begin > 0 && ((unsigned char)text[begin - 1] & 0xc0) == 0xc0 &&
      g_utf8_get_char_validated(text + begin - 1, (gssize)(length - begin + 1)) == (gunichar)-2) {
    return begin - 1;
  }
  return length;
}

/* The part's bytes as UTF-8, still within the limit. */
static void make_valid(BodyText *body) {
  GString *text = body->text;
  const char *at = text->str + body->part_start, *end = text->str + text->len, *bad;
  if (g_utf8_validate_len(at, (gsize)(end - at), NULL)) {
    return;
  }
  g_autoptr(GString) part = g_string_new_len(at, end - at);
  g_string_truncate(text, body->part_start);
  at = part->str;
  end = part->str + (body->truncated ? cut_character(part->str, part->len) : part->len);
  while (!g_utf8_validate_len(at, (gsize)(end - at), &bad) && text->len + (size_t)(bad - at) + strlen(replacement) <= body->limit) {
    g_string_append_len(text, at, bad - at);
    g_string_append(text, replacement);
    at = bad + 1;
  }
  size_t valid = (size_t)(bad - at), room = body->limit - text->len;
  body->truncated = body->truncated || bad < end || valid > room;
  g_string_append_len(text, at, (gssize)MIN(valid, room));
  g_string_truncate(text, cut_character(text->str, text->len));
}

void body_text_end_part(BodyText *body) {
  if (body->charset) {
    char *out, nothing[1] = "";
    size_t out_length, headroom;
    g_mime_filter_complete(body->charset, nothing, 0, 0, &out, &out_length, &headroom);
    append_lines(body, out, out_length);
    g_clear_object(&body->charset);
  }
  make_valid(body);
}

void body_text_clear(BodyText *body) {
  g_clear_object(&body->charset);
  if (body->text) {
    g_string_free(body->text, TRUE);
    body->text = NULL;
  }
  body->truncated = false;
}
