/*
 * policy_encode.c: a verdict as a policy action. What Postfix makes of each was measured: an action of digits only means OK, so a code always has a text; a
 * text that is not UTF-8 fails the request; controls would be blanks; a reply has one line.
 */
#include "common/door/policy.h"

#include <string.h>

#include "common/base/limits.h"
#include "common/base/text_buffer.h"
#include "common/door/policy_internal.h"
#include "common/rules/check.h"

enum { ACTION_ROOM = 128 + LIMIT_POLICY_TEXT + LIMIT_HEADER_VALUE }; /* more than any action takes */

/* Bytes of the sequence that starts at `text`, with its character; 1 and false for one that is none. */
static bool utf8_next(Slice text, size_t *length, gunichar *character) {
  *character = g_utf8_get_char_validated(text.data, (gssize)text.length);
  if (*character == (gunichar)-1 || *character == (gunichar)-2 || *character == 0) {
    *length = 1;
    return false;
  }
  *length = (size_t)g_unichar_to_utf8(*character, NULL);
  return true;
}

static bool is_control(gunichar character) {
  return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 || character == 0x2029;
}

/* Bytes that stay as they are, at the start of a text. */
static size_t plain_run(Slice text) {
  size_t end = 0;
  while (end < text.length && text.data[end] > ' ' && text.data[end] < 0x7f) {
    end++;
  }
  return end;
}

/* Appends `text` to `out`: controls as blanks, bytes that are not UTF-8 as '?', no blanks at the start, never more than `limit` bytes in `out`. */
static void append_clean(TextBuffer *out, Slice text, size_t start, size_t limit) {
  for (;;) {
    size_t plain = plain_run(text), fits = MIN(plain, limit - out->length);
    text_buffer_add(out, slice_make(text.data, fits));
    text = slice_from_offset(text, plain);
    if (fits < plain || text.length == 0) {
      return;
    }
    size_t length;
    gunichar character;
    bool valid = utf8_next(text, &length, &character);
    bool blank = valid ? is_control(character) || character == ' ' : text.data[0] == '\0';
    size_t written = valid && !blank ? length : 1;
    if (out->length + written > limit) {
      return;
    }
    if (!blank) {
      text_buffer_add(out, valid ? slice_make(text.data, written) : SLICE_LITERAL("?"));
    } else if (out->length > start) {
      text_buffer_add_byte(out, ' ');
    }
    text = slice_from_offset(text, length);
  }
}

static void trim_end(TextBuffer *out, size_t start) {
  while (out->length > start && out->text[out->length - 1] == ' ') {
    text_buffer_truncate(out, out->length - 1);
  }
}

/* Code and class that Postfix takes, whatever the reply holds. */
static unsigned refusal_code(const Verdict *verdict) {
  unsigned code = verdict->reply.code;
  if (code >= 400 && code <= 599) {
    return code;
  }
  return verdict->outcome == OUTCOME_REJECT ? 550 : verdict->outcome == OUTCOME_DISCONNECT ? 421 : 450;
}

/* SYNTAX: code SP class "." subject "." detail SP text. Without an enhanced code Postfix would take N.7.1: said, so that no text is read as one. */
static Slice encode_refusal(Arena *arena, const Verdict *verdict) {
  const Reply *reply = &verdict->reply;
  unsigned code = refusal_code(verdict);
  unsigned subject = reply->enhanced.class_digit ? reply->enhanced.subject : 7,
           detail = reply->enhanced.class_digit ? reply->enhanced.detail : 1;
  char room[ACTION_ROOM];
  g_auto(TextBuffer) buffer = text_buffer_in(room, sizeof room);
  TextBuffer *out = &buffer;
  text_buffer_add_number(out, code);
  text_buffer_add_byte(out, ' ');
  text_buffer_add_number(out, code / 100);
  text_buffer_add_byte(out, '.');
  text_buffer_add_number(out, MIN(subject, 999));
  text_buffer_add_byte(out, '.');
  text_buffer_add_number(out, MIN(detail, 999));
  text_buffer_add_byte(out, ' ');
  size_t start = out->length;
  for (size_t i = 0; i < reply->line_count; i++) {
    if (out->length > start && out->length - start < LIMIT_POLICY_TEXT) {
      text_buffer_add_byte(out, ' ');
    }
    append_clean(out, reply->lines[i], start, start + LIMIT_POLICY_TEXT);
  }
  trim_end(out, start);
  if (out->length == start) {
    uint16_t default_code;
    EnhancedCode default_enhanced;
    Slice text;
    reply_default(verdict->outcome, verdict->phase, &default_code, &default_enhanced, &text);
    append_clean(out, text.length > 0 ? text : SLICE_LITERAL("Refused"), start, start + LIMIT_POLICY_TEXT);
  }
  return slice_copy(arena, text_buffer_slice(out));
}

/* DISCARD and HOLD: the word, and a text if there is one. */
static Slice encode_word(Arena *arena, const char *word, Slice text) {
  char room[ACTION_ROOM];
  g_auto(TextBuffer) buffer = text_buffer_in(room, sizeof room);
  TextBuffer *out = &buffer;
  text_buffer_add(out, slice_from(word));
  text_buffer_add_byte(out, ' ');
  append_clean(out, text, out->length, out->length + LIMIT_POLICY_TEXT);
  trim_end(out, 0);
  return slice_copy(arena, text_buffer_slice(out));
}

/* REDIRECT, BCC and FILTER: cut or changed it would be another's address, so it is whole or nothing. */
static Slice encode_target(Arena *arena, const char *word, Slice target) {
  for (size_t i = 0; i < target.length; i++) {
    if ((unsigned char)target.data[i] < 0x20 || target.data[i] == 0x7f) {
      return SLICE_EMPTY;
    }
  }
  if (target.length == 0 || target.length > LIMIT_ADDRESS || !g_utf8_validate(target.data, (gssize)target.length, NULL)) {
    return SLICE_EMPTY;
  }
  return slice_from(arena_printf(arena, "%s %.*s", word, SLICE_ARGS(target)));
}

/* Empty when nothing of the name may stand in a header. */
static Slice encode_prepend(Arena *arena, Slice name, Slice value) {
  char room[ACTION_ROOM];
  g_auto(TextBuffer) buffer = text_buffer_in(room, sizeof room);
  TextBuffer *out = &buffer;
  text_buffer_add(out, SLICE_LITERAL("PREPEND "));
  size_t start = out->length;
  for (size_t i = 0; i < name.length && out->length - start < LIMIT_POLICY_TEXT; i++) {
    if (name.data[i] > ' ' && name.data[i] < 0x7f && name.data[i] != ':') {
      text_buffer_add_byte(out, name.data[i]);
    }
  }
  if (out->length == start) {
    return SLICE_EMPTY;
  }
  text_buffer_add(out, SLICE_LITERAL(": "));
  append_clean(out, value, out->length, out->length + LIMIT_HEADER_VALUE);
  trim_end(out, start);
  return slice_copy(arena, text_buffer_slice(out));
}

Slice policy_encode_effect(Arena *arena, const Effect *effect) {
  switch (effect->kind) {
    case EFFECT_PREPEND_HEADER:
      return encode_prepend(arena, effect->as.header.name, effect->as.header.value);
    case EFFECT_QUARANTINE_MESSAGE:
      return encode_word(arena, "HOLD", effect->as.why);
    case EFFECT_REDIRECT_MESSAGE:
      return encode_target(arena, "REDIRECT", effect->as.address);
    case EFFECT_BCC_MESSAGE:
      return encode_target(arena, "BCC", effect->as.address);
    case EFFECT_FILTER_MESSAGE:
      return encode_target(arena, "FILTER", effect->as.filter);
    case EFFECT_APPEND_HEADER:
    case EFFECT_REPLACE_HEADER:
    case EFFECT_DELETE_HEADER:
    case EFFECT_ADD_RECIPIENT:
    case EFFECT_REMOVE_RECIPIENT:
    case EFFECT_CHANGE_SENDER:
    case EFFECT_UNDONE:
    case EFFECT_LOG:
    case EFFECT_DELAY:
    case EFFECT_OBSERVED:
      return SLICE_EMPTY;
  }
  g_assert_not_reached();
}

Slice policy_encode(Arena *arena, const Verdict *verdict, const Effect *effect, bool accept_is_ok) {
  switch (verdict->outcome) {
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
    case OUTCOME_DISCONNECT:
      return encode_refusal(arena, verdict);
    case OUTCOME_DISCARD:
      return encode_word(arena, "DISCARD", verdict->discard_why);
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
      break;
  }
  Slice said = effect ? policy_encode_effect(arena, effect) : SLICE_EMPTY;
  if (said.length > 0) {
    return said;
  }
  return verdict->outcome == OUTCOME_ACCEPT && accept_is_ok ? SLICE_LITERAL("OK") : SLICE_LITERAL("DUNNO");
}
