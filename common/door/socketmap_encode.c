/*
 * socketmap_encode.c: a verdict as the answer of a socket map. What Sendmail 8.17 makes of each was measured: the text is one quoted token, of which a token over
 * 256 bytes fails the ruleset; `%` begins an argument of the map; bytes over 0x7f lose their eighth bit in a reply.
 */
#include <string.h>

#include "common/base/limits.h"
#include "common/base/text_buffer.h"
#include "common/door/socketmap.h"
#include "common/rules/check.h"

enum { CODE_CLOSING = 421, REPLY_ROOM = 64 + 2 * LIMIT_SOCKETMAP_TEXT }; /* the room: more than any answer takes */

static char clean_byte(char byte) {
  if (byte == '"') {
    return '\'';
  }
  if (byte == '\\') {
    return '/';
  }
  if (byte == '\t' || byte == '\n' || byte == '\r') {
    return ' ';
  }
  return byte >= ' ' && byte < 0x7f ? byte : '?';
}

/* Bytes of one character of UTF-8 stand for one '?'. */
static bool is_continuation(char byte) {
  return ((unsigned char)byte & 0xc0) == 0x80;
}

/* As many characters as fit: the doubled '%' counts as one, as Sendmail's token has it. */
static void append_line(TextBuffer *out, Slice line, size_t *room) {
  for (size_t i = 0; i<line.length && * room> 0; i++) {
    if (is_continuation(line.data[i])) {
      continue;
    }
    char byte = clean_byte(line.data[i]);
    text_buffer_add_byte(out, byte);
    if (byte == '%') {
      text_buffer_add_byte(out, '%');
    }
    (*room)--;
  }
}

static void append_text(TextBuffer *out, const Verdict *verdict) {
  size_t room = LIMIT_SOCKETMAP_TEXT, start = out->length;
  for (size_t i = 0; i < verdict->reply.line_count; i++) {
    if (i > 0 && room > 0) {
      append_line(out, SLICE_LITERAL(" "), &room);
    }
    append_line(out, slice_trim(verdict->reply.lines[i]), &room);
  }
  while (out->length > start && out->text[out->length - 1] == ' ') {
    text_buffer_truncate(out, out->length - 1);
  }
  if (out->length == start) {
    uint16_t code;
    EnhancedCode enhanced;
    Slice text;
    reply_default(verdict->outcome, verdict->phase, &code, &enhanced, &text);
    append_line(out, text.length > 0 ? text : SLICE_LITERAL("Refused"), &room);
  }
}

/* The code that is said: of the verdict's class, whatever the reply holds. */
static unsigned reply_code(const Verdict *verdict, Phase asked) {
  unsigned code = verdict->reply.code;
  bool temporary = verdict->outcome == OUTCOME_TEMPFAIL;
  if (verdict->outcome == OUTCOME_DISCONNECT) {
    return asked == PHASE_UNKNOWN || (code != 421 && code != 521) ? CODE_CLOSING : code;
  }
  if (temporary) {
    return code >= 400 && code < 500 ? code : 451;
  }
  return code >= 500 && code < 600 ? code : 550;
}

static Slice encode_refusal(Arena *arena, const Verdict *verdict, Phase asked) {
  const EnhancedCode *enhanced = &verdict->reply.enhanced;
  unsigned code = reply_code(verdict, asked);
  unsigned subject = enhanced->class_digit ? enhanced->subject : 7, detail = enhanced->class_digit ? enhanced->detail : 1;
  char room[REPLY_ROOM];
  g_auto(TextBuffer) buffer = text_buffer_in(room, sizeof room);
  TextBuffer *out = &buffer;
  text_buffer_add_format(out, "OK %s \"%u %u.%u.%u ", code < 500 ? "defer" : "refuse", code, code / 100, MIN(subject, 999),
                         MIN(detail, 999));
  append_text(out, verdict);
  text_buffer_add_byte(out, '"');
  return slice_copy(arena, text_buffer_slice(out));
}

Slice socketmap_encode(Arena *arena, const Verdict *verdict, Phase asked, bool is_known) {
  switch (verdict->outcome) {
    case OUTCOME_TEMPFAIL:
    case OUTCOME_REJECT:
      return is_known ? SLICE_LITERAL("OK pass") : encode_refusal(arena, verdict, asked);
    case OUTCOME_DISCONNECT:
      return encode_refusal(arena, verdict, asked);
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
    case OUTCOME_DISCARD:
      return SLICE_LITERAL("OK pass");
  }
  g_assert_not_reached();
}
