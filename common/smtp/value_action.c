/*
 * value_action.c: REJECT, DEFER, 4NN/5NN text, OK, RELAY, digits, DUNNO, DISCARD, HOLD (access(5)), and SKIP, ERROR: and QUARANTINE: of access_db.
 */
#include "common/smtp/value_action.h"

#include "common/smtp/reply.h"

typedef struct ActionWordName {
  Slice name;
  ActionWord word;
} ActionWordName;

static const ActionWordName words[] = {
    {SLICE_LITERAL("REJECT"), ACTION_WORD_REJECT}, {SLICE_LITERAL("DEFER"), ACTION_WORD_TEMPFAIL},
    {SLICE_LITERAL("OK"), ACTION_WORD_PASS},       {SLICE_LITERAL("RELAY"), ACTION_WORD_PASS},
    {SLICE_LITERAL("DUNNO"), ACTION_WORD_NEXT},    {SLICE_LITERAL("DISCARD"), ACTION_WORD_DISCARD},
    {SLICE_LITERAL("HOLD"), ACTION_WORD_HOLD},     {SLICE_LITERAL("SKIP"), ACTION_WORD_NEXT},
};

/* What access(5) has besides. Taking it for something near would be a policy that nobody wrote. */
static const Slice words_of_rules[] = {
    SLICE_LITERAL("BCC"),  SLICE_LITERAL("DEFER_IF_PERMIT"), SLICE_LITERAL("DEFER_IF_REJECT"), SLICE_LITERAL("FILTER"),
    SLICE_LITERAL("INFO"), SLICE_LITERAL("PREPEND"),         SLICE_LITERAL("REDIRECT"),        SLICE_LITERAL("WARN"),
};

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

static bool all_digits(Slice text) {
  for (size_t i = 0; i < text.length; i++) {
    if (!g_ascii_isdigit(text.data[i])) {
      return false;
    }
  }
  return text.length > 0;
}

/* The first word; *rest is what follows, without leading blanks. */
static Slice first_word(Slice text, Slice *rest) {
  size_t length = 0;
  while (length < text.length && !is_blank(text.data[length])) {
    length++;
  }
  *rest = slice_trim(slice_from_offset(text, length));
  return slice_make(text.data, length);
}

/* Takes an enhanced code off the front of the text; its class must fit the outcome's. */
static bool take_enhanced(Slice text, char class_digit, ActionValue *action, const char **problem) {
  Slice rest;
  Slice word = first_word(text, &rest);
  action->text = text;
  if (!enhanced_parse(word, &action->enhanced)) {
    action->enhanced = (EnhancedCode){0};
    return true;
  }
  action->text = rest;
  if (action->enhanced.class_digit != class_digit - '0') {
    *problem = "the class of the enhanced code is not that of the reply";
    return false;
  }
  return true;
}

/* NNN [x.y.z] text */
static bool parse_code(Slice code, Slice text, ActionValue *action, const char **problem) {
  int64_t number;
  if (code.length != 3 || !slice_to_int(code, &number)) {
    *problem = "a reply code has three digits";
    return false;
  }
  const ReplyInfo *info = reply_info((uint16_t)number);
  if (info == NULL) {
    *problem = "this reply code is not in the documented table (mailreeve codes)";
    return false;
  }
  if (info->sender != REPLY_BY_POLICY) {
    *problem = "only the MTA sends this reply code";
    return false;
  }
  action->word = code.data[0] == '4' ? ACTION_WORD_TEMPFAIL : ACTION_WORD_REJECT;
  action->code = (uint16_t)number;
  return take_enhanced(text, code.data[0], action, problem);
}

/* What follows ERROR: in access_db: "550 text", "5.7.1:550 text", also in double quotes. */
static bool parse_error_value(Slice text, ActionValue *action, const char **problem) {
  if (text.length >= 2 && text.data[0] == '"' && text.data[text.length - 1] == '"') {
    text = slice_trim(slice_make(text.data + 1, text.length - 2));
  }
  EnhancedCode enhanced = {0};
  Slice rest;
  bool found;
  Slice before = slice_split(text, ':', &rest, &found);
  if (found && enhanced_parse(before, &enhanced)) {
    text = rest;
  }
  size_t digits = 0;
  while (digits < text.length && g_ascii_isdigit(text.data[digits])) {
    digits++;
  }
  Slice message = slice_from_offset(text, digits);
  if (!slice_is_empty(message) && message.data[0] == ':') {
    message = slice_from_offset(message, 1);
  }
  if (!parse_code(slice_make(text.data, digits), slice_trim(message), action, problem)) {
    return false;
  }
  if (enhanced.class_digit != 0) {
    if (enhanced.class_digit != action->code / 100) {
      *problem = "the class of the enhanced code is not that of the reply";
      return false;
    }
    action->enhanced = enhanced;
  }
  return true;
}

static bool starts_with_fold(Slice text, Slice prefix) {
  return text.length >= prefix.length && slice_equal_fold(slice_make(text.data, prefix.length), prefix);
}

static bool parse_word(Slice word, Slice rest, ActionValue *action, const char **problem) {
  for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
    if (!slice_equal_fold(word, words[i].name)) {
      continue;
    }
    action->word = words[i].word;
    switch (words[i].word) {
      case ACTION_WORD_REJECT:
        return take_enhanced(rest, '5', action, problem);
      case ACTION_WORD_TEMPFAIL:
        return take_enhanced(rest, '4', action, problem);
      case ACTION_WORD_DISCARD:
      case ACTION_WORD_HOLD:
        action->text = rest;
        return true;
      case ACTION_WORD_PASS:
      case ACTION_WORD_NEXT:
        return true; /* access(5) allows a note behind them, which says nothing */
    }
  }
  for (size_t i = 0; i < G_N_ELEMENTS(words_of_rules); i++) {
    if (slice_equal_fold(word, words_of_rules[i])) {
      *problem = "not possible in a table: it needs a rule of its own";
      return false;
    }
  }
  *problem = "not an action: expected REJECT, DEFER, 4NN or 5NN with a text, OK, RELAY, DUNNO, DISCARD or HOLD";
  return false;
}

bool action_value_parse(Slice text, ActionValue *action, const char **problem) {
  *action = (ActionValue){.word = ACTION_WORD_NEXT};
  text = slice_trim(text);
  if (slice_is_empty(text)) {
    *problem = "an action is missing";
    return false;
  }
  if (all_digits(text)) {
    action->word = ACTION_WORD_PASS; /* as in access(5): digits alone are OK, a code needs a text */
    return true;
  }
  if (starts_with_fold(text, SLICE_LITERAL("ERROR:"))) {
    return parse_error_value(slice_trim(slice_from_offset(text, 6)), action, problem);
  }
  if (starts_with_fold(text, SLICE_LITERAL("QUARANTINE:"))) {
    action->word = ACTION_WORD_HOLD;
    action->text = slice_trim(slice_from_offset(text, 11));
    return true;
  }
  Slice rest;
  Slice word = first_word(text, &rest);
  return all_digits(word) ? parse_code(word, rest, action, problem) : parse_word(word, rest, action, problem);
}
