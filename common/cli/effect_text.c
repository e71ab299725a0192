/*
 * effect_text.c: effects as words.
 */
#include "common/cli/effect_text.h"

void effect_text_quote(GString *out, Slice text) {
  g_string_append(out, " \"");
  for (size_t i = 0; i < text.length; i++) {
    if (text.data[i] == '"' || text.data[i] == '\\') {
      g_string_append_c(out, '\\');
    }
    g_string_append_c(out, text.data[i]);
  }
  g_string_append_c(out, '"');
}

static const char *words(Arena *arena, const char *word, Slice first, const Slice *second) {
  g_autoptr(GString) text = g_string_new(word);
  effect_text_quote(text, first);
  if (second) {
    effect_text_quote(text, *second);
  }
  return slice_to_string(arena, slice_make(text->str, text->len));
}

static const char *header_words(Arena *arena, const char *word, const Effect *effect, const Slice *value) {
  g_autoptr(GString) text = g_string_new(word);
  effect_text_quote(text, effect->as.header.name);
  if (effect->as.header.nth == HEADER_LAST) {
    g_string_append(text, " last");
  } else if (effect->as.header.nth != HEADER_ALL) {
    g_string_append_printf(text, " %d", effect->as.header.nth);
  }
  if (value) {
    effect_text_quote(text, *value);
  }
  return slice_to_string(arena, slice_make(text->str, text->len));
}

static const char *address_words(Arena *arena, const char *word, Slice address) {
  return words(arena, word, address.length > 0 ? address : SLICE_LITERAL("<>"), NULL);
}

const char *effect_text_delay(Arena *arena, int64_t milliseconds) {
  return milliseconds % 1000 == 0 ? arena_printf(arena, "delay %" G_GINT64_FORMAT "s", milliseconds / 1000)
                                  : arena_printf(arena, "delay %" G_GINT64_FORMAT "ms", milliseconds);
}

const char *effect_text(Arena *arena, const Effect *effect) {
  switch (effect->kind) {
    case EFFECT_LOG:
      return words(arena, "log", effect->as.log_text, NULL);
    case EFFECT_DELAY:
      return effect_text_delay(arena, effect->as.delay_ms);
    case EFFECT_PREPEND_HEADER:
      return words(arena, "prepend header", effect->as.header.name, &effect->as.header.value);
    case EFFECT_APPEND_HEADER:
      return words(arena, "append header", effect->as.header.name, &effect->as.header.value);
    case EFFECT_REPLACE_HEADER:
      return header_words(arena, "replace header", effect, &effect->as.header.value);
    case EFFECT_DELETE_HEADER:
      return header_words(arena, "delete header", effect, NULL);
    case EFFECT_ADD_RECIPIENT:
      return address_words(arena, "add recipient", effect->as.address);
    case EFFECT_REMOVE_RECIPIENT:
      return address_words(arena, "remove recipient", effect->as.address);
    case EFFECT_CHANGE_SENDER:
      return address_words(arena, "change sender", effect->as.address);
    case EFFECT_REDIRECT_MESSAGE:
      return address_words(arena, "redirect", effect->as.address);
    case EFFECT_BCC_MESSAGE:
      return address_words(arena, "bcc", effect->as.address);
    case EFFECT_FILTER_MESSAGE:
      return words(arena, "filter", effect->as.filter, NULL);
    case EFFECT_QUARANTINE_MESSAGE:
      return words(arena, "quarantine", effect->as.why, NULL);
    case EFFECT_UNDONE:
      return arena_printf(arena, "undone %.*s", SLICE_ARGS(effect->rule));
    case EFFECT_OBSERVED:
      return arena_printf(arena, "observed %.*s", SLICE_ARGS(effect->rule));
  }
  g_assert_not_reached();
}

const char *failure_text(Arena *arena, const Failure *failure) {
  return words(arena, "failed", failure->lookup, NULL);
}
