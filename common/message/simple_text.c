/*
 * simple_text.c: the forms that nearly all header texts have, read without GMime: `Name <user@example.com>, user@example.com`, and words of
 * RFC 2047 in UTF-8.
 *
 * GMime makes objects, lists and copies of all that it reads; here nothing is made but the result. What is not plainly one of these forms
 * (comments, groups, escapes, other charsets, bytes that are no ASCII, mistakes) is left to it; a test holds that both read the same.
 */
#include "common/message/message_internal.h"

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

static bool is_one_of(char byte, const char *bytes) {
  return g_ascii_isalnum(byte) || (byte != '\0' && strchr(bytes, byte) != NULL);
}

/* Blanks, and line ends in front of one: false when a line ends in another way. */
static bool skip_fold(Slice *text) {
  size_t at = 0;
  while (at < text->length && is_white(text->data[at])) {
    bool cr = text->data[at] == '\r';
    at += cr;
    bool lf = at < text->length && text->data[at] == '\n';
    if (cr && !lf) {
      return false;
    }
    at++;
    if (lf && (at == text->length || !is_blank(text->data[at]))) {
      return false;
    }
  }
  *text = slice_from_offset(*text, at);
  return true;
}

/* Addresses */

/* Dots only between other bytes of a local part or domain. */
static Slice take_dotted(Slice *text, const char *bytes) {
  size_t length = 0;
  while (length < text->length && (is_one_of(text->data[length], bytes) || (text->data[length] == '.' && length > 0 &&
                                                                            text->data[length - 1] != '.' && length + 1 < text->length))) {
    length++;
  }
  Slice taken = slice_make(text->data, length > 0 && text->data[length - 1] == '.' ? 0 : length);
  *text = slice_from_offset(*text, taken.length);
  return taken;
}

/* A domain of IDNA is one that GMime may show in another form. */
static bool is_plain_domain(Slice domain) {
  for (size_t i = 0; i + 4 <= domain.length; i++) {
    if (slice_equal_fold(slice_make(domain.data + i, 4), SLICE_LITERAL("xn--"))) {
      return false;
    }
  }
  return domain.length > 0;
}

static bool take_address(Slice *text, Slice *address) {
  const char *begin = text->data;
  if (take_dotted(text, "_+-=/").length == 0 || text->length == 0 || text->data[0] != '@') {
    return false;
  }
  *text = slice_from_offset(*text, 1);
  Slice domain = take_dotted(text, "-");
  *address = slice_make(begin, (size_t)(text->data - begin));
  return is_plain_domain(domain);
}

static bool skip_quoted(Slice *text) {
  size_t at = 1;
  while (at < text->length && text->data[at] >= ' ' && text->data[at] < 0x7f && text->data[at] != '"' && text->data[at] != '\\') {
    at++;
  }
  if (at == text->length || text->data[at] != '"') {
    return false;
  }
  *text = slice_from_offset(*text, at + 1);
  return true;
}

/* The name in front of `<`: words and quoted texts. A dot ends an initial. */
static bool skip_name(Slice *text) {
  while (text->length > 0 && text->data[0] != '<') {
    size_t word = 0;
    while (word < text->length && (is_one_of(text->data[word], "!#$%&'*+-/=?^_`{|}~") ||
                                   (text->data[word] == '.' && word > 0 && g_ascii_isalnum(text->data[word - 1])))) {
      word++;
    }
    *text = slice_from_offset(*text, word);
    bool is_quoted = word == 0 && text->length > 0 && text->data[0] == '"';
    if ((word == 0 && !is_quoted) || (is_quoted && !skip_quoted(text)) || !skip_fold(text)) {
      return false;
    }
  }
  return text->length > 0;
}

static bool take_mailbox(Slice *text, Slice *address) {
  Slice rest = *text;
  if (take_address(&rest, address) && skip_fold(&rest) && (rest.length == 0 || rest.data[0] == ',')) {
    *text = rest;
    return true;
  }
  if (!skip_name(text)) {
    return false;
  }
  *text = slice_from_offset(*text, 1);
  if (!take_address(text, address) || text->length == 0 || text->data[0] != '>') {
    return false;
  }
  *text = slice_from_offset(*text, 1);
  return skip_fold(text) && (text->length == 0 || text->data[0] == ',');
}

bool simple_addresses(Slice raw, Slice *addresses, size_t room, size_t *count) {
  Slice text = slice_trim(raw);
  for (*count = 0; *count < room; text = slice_from_offset(text, 1)) {
    if (!skip_fold(&text) || !take_mailbox(&text, &addresses[*count])) {
      return false;
    }
    ++*count;
    if (text.length == 0) {
      return true;
    }
  }
  return false;
}

/* Encoded words */

typedef struct Decoded {
  char *text;
  size_t length;
} Decoded;

static void append(Decoded *decoded, Slice text) {
  memcpy(decoded->text + decoded->length, text.data, text.length);
  decoded->length += text.length;
}

static bool decode_q(Slice text, Decoded *decoded) {
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i] == '_' ? ' ' : text.data[i];
    if (byte == '=') {
      int high = i + 2 < text.length ? g_ascii_xdigit_value(text.data[i + 1]) : -1;
      int low = i + 2 < text.length ? g_ascii_xdigit_value(text.data[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return false;
      }
      byte = (char)(high << 4 | low);
      i += 2;
    }
    decoded->text[decoded->length++] = byte;
  }
  return true;
}

static int letter_value(char byte) {
  return byte >= 'A' && byte <= 'Z'   ? byte - 'A'
         : byte >= 'a' && byte <= 'z' ? byte - 'a' + 26
         : byte >= '0' && byte <= '9' ? byte - '0' + 52
         : byte == '+'                ? 62
         : byte == '/'                ? 63
                                      : -1;
}

static bool decode_b(Slice text, Decoded *decoded) {
  if (text.length % 4 != 0) {
    return false;
  }
  size_t letters = text.length;
  while (letters > 0 && text.length - letters < 2 && text.data[letters - 1] == '=') {
    letters--;
  }
  unsigned bits = 0;
  for (size_t i = 0; i < letters; i++) {
    int value = letter_value(text.data[i]);
    if (value < 0) {
      return false;
    }
    bits = (bits << 6 | (unsigned)value) & 0xffffff;
    if (i % 4 > 0) {
      decoded->text[decoded->length++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
  }
  return true;
}

/* `word` is all of it, from "=?" on. */
static bool decode_word(Slice word, Decoded *decoded) {
  static const char begin[] = "=?utf-8?";
  const size_t length = sizeof begin - 1;
  if (word.length < length + 5 || !slice_equal_fold(slice_make(word.data, length), slice_make(begin, length)) ||
      word.data[length + 1] != '?' || word.data[word.length - 2] != '?' || word.data[word.length - 1] != '=') {
    return false;
  }
  Slice text = slice_make(word.data + length + 2, word.length - length - 4);
  char how = g_ascii_tolower(word.data[length]);
  size_t from = decoded->length;
  return slice_find(text, '?') < 0 && ((how == 'q' && decode_q(text, decoded)) || (how == 'b' && decode_b(text, decoded))) &&
         g_utf8_validate_len(decoded->text + from, decoded->length - from, NULL);
}

static Slice take_visible(Slice *text, bool *has_encoded) {
  size_t length = 0;
  *has_encoded = false;
  while (length < text->length && text->data[length] > ' ' && text->data[length] < 0x7f) {
    *has_encoded = *has_encoded || (text->data[length] == '?' && length > 0 && text->data[length - 1] == '=');
    length++;
  }
  Slice word = slice_make(text->data, length);
  *text = slice_from_offset(*text, length);
  return word;
}

bool simple_encoded_words(Arena *arena, Slice raw, Slice *result) {
  Slice text = slice_trim(raw);
  Decoded decoded = {arena_alloc_text(arena, text.length), 0};
  bool was_encoded = false;
  while (text.length > 0) {
    Slice blanks = text;
    if (!skip_fold(&text)) {
      return false;
    }
    blanks.length -= text.length;
    bool is_encoded;
    Slice word = take_visible(&text, &is_encoded);
    if (word.length == 0) {
      return false;
    }
    for (size_t i = 0; i < blanks.length && !(was_encoded && is_encoded); i++) {
      if (is_blank(blanks.data[i])) {
        append(&decoded, slice_make(blanks.data + i, 1));
      }
    }
    if (!is_encoded) {
      append(&decoded, word);
    } else if (!decode_word(word, &decoded)) {
      return false;
    }
    was_encoded = is_encoded;
  }
  *result = slice_make(decoded.text, decoded.length);
  return true;
}
