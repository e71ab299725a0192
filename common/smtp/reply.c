/*
 * reply.c: the tables of reply.def and enhanced.def.
 */
#include "common/smtp/reply.h"

#define AT(symbol) PHASE_BIT(PHASE_##symbol)
#define AT_DATA_AND_END (AT(DATA) | AT(EOM))

static const ReplyInfo replies[] = {
#define REPLY(code, meaning, source, sender, legal, commands) {code, meaning, source, REPLY_BY_##sender, legal, commands},
#include "common/smtp/reply.def"
#undef REPLY
};

static const EnhancedInfo enhanced_codes[] = {
#define ENHANCED(subject, detail, meaning, codes, source) {subject, detail, meaning, codes, source},
#include "common/smtp/enhanced.def"
#undef ENHANCED
};

size_t reply_info_count(void) {
  return G_N_ELEMENTS(replies);
}

const ReplyInfo *reply_info_at(size_t index) {
  return &replies[index];
}

const ReplyInfo *reply_info(uint16_t code) {
  for (size_t i = 0; i < G_N_ELEMENTS(replies); i++) {
    if (replies[i].code == code) {
      return &replies[i];
    }
  }
  return NULL;
}

size_t enhanced_info_count(void) {
  return G_N_ELEMENTS(enhanced_codes);
}

const EnhancedInfo *enhanced_info_at(size_t index) {
  return &enhanced_codes[index];
}

const EnhancedInfo *enhanced_info(EnhancedCode code) {
  for (size_t i = 0; i < G_N_ELEMENTS(enhanced_codes); i++) {
    if (enhanced_codes[i].subject == code.subject && enhanced_codes[i].detail == code.detail) {
      return &enhanced_codes[i];
    }
  }
  return NULL;
}

bool enhanced_pairs_with(EnhancedCode enhanced, uint16_t code) {
  const EnhancedInfo *info = enhanced_info(enhanced);
  if (info == NULL || info->codes[0] == '\0' || strcmp(info->codes, "any") == 0) {
    return true;
  }
  Slice rest = slice_from(info->codes);
  while (!slice_is_empty(rest)) {
    int64_t registered;
    bool found;
    if (slice_to_int(slice_split(rest, ' ', &rest, &found), &registered) && registered == code) {
      return true;
    }
  }
  return false;
}

/* One to three digits without a leading zero. */
static bool parse_part(Slice text, uint16_t *part) {
  int64_t number;
  if (text.length < 1 || text.length > 3 || text.data[0] == '-' || (text.length > 1 && text.data[0] == '0') ||
      !slice_to_int(text, &number)) {
    return false;
  }
  *part = (uint16_t)number;
  return true;
}

bool enhanced_parse(Slice text, EnhancedCode *code) {
  Slice rest, detail;
  bool first, second;
  Slice class_text = slice_split(text, '.', &rest, &first);
  Slice subject = slice_split(rest, '.', &detail, &second);
  EnhancedCode parsed;
  if (!first || !second || class_text.length != 1 || strchr("245", class_text.data[0]) == NULL || class_text.data[0] == '\0' ||
      !parse_part(subject, &parsed.subject) || !parse_part(detail, &parsed.detail)) {
    return false;
  }
  parsed.class_digit = (uint8_t)(class_text.data[0] - '0');
  *code = parsed;
  return true;
}

Slice enhanced_format(Arena *arena, EnhancedCode code) {
  if (code.class_digit == 0) {
    return SLICE_EMPTY;
  }
  return slice_from(arena_printf(arena, "%u.%u.%u", code.class_digit, code.subject, code.detail));
}
