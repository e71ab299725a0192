/*
 * mailaddress.c: mail addresses and domains in normal form.
 *
 * What an MTA sends is nearly always in normal form already: then the result borrows from the text and nothing is allocated.
 */
#include "common/base/mailaddress.h"

#include <idn2.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/base/limits.h"

/* What a byte may be part of. */
enum {
  BYTE_PLAIN = 1,  /* a localpart without quotes: atext (RFC 5322 3.2.3), UTF-8 (RFC 6531), dots wherever they are (MTAs take them) */
  BYTE_DOMAIN = 2, /* a domain in normal form, its dots too */
};

static const uint8_t byte_kinds[256] = {
    ['a' ... 'z'] = BYTE_PLAIN | BYTE_DOMAIN,
    ['0' ... '9'] = BYTE_PLAIN | BYTE_DOMAIN,
    ['.'] = BYTE_PLAIN | BYTE_DOMAIN,
    ['-'] = BYTE_PLAIN | BYTE_DOMAIN,
    ['_'] = BYTE_PLAIN | BYTE_DOMAIN,
    ['A' ... 'Z'] = BYTE_PLAIN,
    [0x80 ... 0xff] = BYTE_PLAIN,
    ['!'] = BYTE_PLAIN,
    ['#' ... '\''] = BYTE_PLAIN,
    ['*'] = BYTE_PLAIN,
    ['+'] = BYTE_PLAIN,
    ['/'] = BYTE_PLAIN,
    ['='] = BYTE_PLAIN,
    ['?'] = BYTE_PLAIN,
    ['^'] = BYTE_PLAIN,
    ['`'] = BYTE_PLAIN,
    ['{' ... '~'] = BYTE_PLAIN,
};

/* How many bytes from `start` on are of this kind. */
static inline size_t run_of(Slice text, size_t start, uint8_t kind) {
  size_t end = start;
  while (end < text.length && (byte_kinds[(unsigned char)text.data[end]] & kind) != 0) {
    end++;
  }
  return end - start;
}

static bool has_controls(Slice text) {
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = (unsigned char)text.data[i];
    if (byte < 0x20 || byte == 0x7f) {
      return true;
    }
  }
  return false;
}

static bool is_plain_localpart(Slice localpart) {
  return localpart.length > 0 && run_of(localpart, 0, BYTE_PLAIN) == localpart.length;
}

#ifdef __SSE2__

/* One bit of the result a byte that no domain in normal form has. */
static inline int not_domain(__m128i bytes) {
  __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(bytes, _mm_set1_epi8('z' + 1)));
  __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('-' - 1)), _mm_cmplt_epi8(bytes, _mm_set1_epi8('9' + 1)));
  __m128i digit_or_dot = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')), digit); /* '-' '.' '/' '0'..'9' follow each other */
  __m128i good = _mm_or_si128(_mm_or_si128(letter, digit_or_dot), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')));
  return _mm_movemask_epi8(good) ^ 0xffff;
}

/* All its bytes are BYTE_DOMAIN: sixteen at a time, the last sixteen perhaps twice. */
static bool is_domain_bytes(Slice text) {
  if (text.length < 8) {
    return run_of(text, 0, BYTE_DOMAIN) == text.length;
  }
  if (text.length < 16) {
    __m128i first = _mm_loadl_epi64((const __m128i *)(const void *)text.data);
    __m128i last = _mm_loadl_epi64((const __m128i *)(const void *)(text.data + text.length - 8));
    return not_domain(_mm_unpacklo_epi64(first, last)) == 0;
  }
  for (size_t at = 0; at + 16 <= text.length; at += 16) {
    if (not_domain(_mm_loadu_si128((const __m128i *)(const void *)(text.data + at))) != 0) {
      return false;
    }
  }
  return not_domain(_mm_loadu_si128((const __m128i *)(const void *)(text.data + text.length - 16))) == 0;
}

#else

static bool is_domain_bytes(Slice text) {
  return run_of(text, 0, BYTE_DOMAIN) == text.length;
}

#endif

/* Nothing to convert: lower-case letters, digits, '-', '_', dots, none at the end. */
static bool is_normal_domain(Slice text) {
  return text.length > 0 && is_domain_bytes(text) && text.data[text.length - 1] != '.';
}

/* An address in normal form, as nearly all are: found out in one pass. */
static bool parse_normal(Slice text, MailAddress *address) {
  size_t at = run_of(text, 0, BYTE_PLAIN);
  if (at == 0 || at == text.length || text.data[at] != '@') {
    return false;
  }
  Slice domain = slice_make(text.data + at + 1, text.length - at - 1);
  if (!is_normal_domain(domain)) {
    return false;
  }
  *address = (MailAddress){text, slice_make(text.data, at), domain};
  return true;
}

/* The same in brackets, as the client wrote it. */
static bool parse_normal_path(Slice text, MailAddress *address) {
  return text.length > 2 && text.data[0] == '<' && text.data[text.length - 1] == '>' &&
         parse_normal(slice_make(text.data + 1, text.length - 2), address);
}

/* Where the domain of a source route's hop ends: behind "[...]" or at ',' or ':'. */
static size_t route_hop_end(Slice text, size_t at) {
  if (at < text.length && text.data[at] == '[') {
    ptrdiff_t close = slice_find(slice_from_offset(text, at), ']');
    return close < 0 ? text.length : at + (size_t)close + 1;
  }
  while (at < text.length && text.data[at] != ',' && text.data[at] != ':' && text.data[at] != '@' && text.data[at] != '"') {
    at++;
  }
  return at;
}

/* "@one,@two:user@domain" -> "user@domain" (RFC 5321 4.1.2 A-d-l); anything else is given back as it is. */
static Slice skip_source_route(Slice text) {
  size_t at = 0;
  while (at < text.length && text.data[at] == '@') {
    at = route_hop_end(text, at + 1);
    if (at >= text.length) {
      return text;
    }
    if (text.data[at] == ':') {
      return slice_from_offset(text, at + 1);
    }
    if (text.data[at] != ',') {
      return text;
    }
    at++;
  }
  return text;
}

/*
 * The last '@' outside quotes, -1 when there is none. `quoted` tells whether there are well-formed quotes; quotes that do not
 * close are ordinary characters. A quoted string begins at the start or after a dot only (RFC 5322 3.2.4, obs-local-part).
 */
static ptrdiff_t find_at(Slice text, bool as_written, bool *quoted) {
  ptrdiff_t at = -1;
  bool open = false;
  *quoted = false;
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i];
    if (byte == '\\' && (open || as_written)) {
      i++;
    } else if (byte == '"' && open) {
      open = false;
    } else if (byte == '"' && (i == 0 || text.data[i - 1] == '.') && at < 0) {
      open = true;
      *quoted = true;
    } else if (byte == '@' && !open) {
      at = (ptrdiff_t)i;
    }
  }
  if (open) {
    *quoted = false;
    return slice_find_last(text, '@');
  }
  return at;
}

/* Without quotes and the backslashes that protect. */
static Slice unquote(Arena *arena, Slice localpart, bool quoted, bool as_written) {
  char *text = arena_alloc_text(arena, localpart.length + 1);
  size_t length = 0;
  bool open = false;
  for (size_t i = 0; i < localpart.length; i++) {
    char byte = localpart.data[i];
    if (byte == '\\' && (open || as_written) && i + 1 < localpart.length) {
      byte = localpart.data[++i];
    } else if (byte == '"' && quoted && (open || i == 0 || localpart.data[i - 1] == '.')) {
      open = !open;
      continue;
    }
    text[length++] = byte;
  }
  text[length] = '\0';
  return slice_make(text, length);
}

static Slice compose(Arena *arena, Slice localpart, Slice domain, bool has_domain) {
  bool plain = is_plain_localpart(localpart);
  char *text = arena_alloc_text(arena, localpart.length * 2 + domain.length + 4);
  size_t length = 0;
  if (!plain) {
    text[length++] = '"';
  }
  for (size_t i = 0; i < localpart.length; i++) {
    if (!plain && (localpart.data[i] == '"' || localpart.data[i] == '\\')) {
      text[length++] = '\\';
    }
    text[length++] = localpart.data[i];
  }
  if (!plain) {
    text[length++] = '"';
  }
  if (has_domain) {
    text[length++] = '@';
    memcpy(text + length, domain.data, domain.length);
    length += domain.length;
  }
  text[length] = '\0';
  return slice_make(text, length);
}

static bool strip_brackets(Slice *text, bool *as_written) {
  bool opens = text->length && text->data[0] == '<';
  bool closes = text->length && text->data[text->length - 1] == '>';
  if (opens != closes || (opens && text->length < 2)) {
    return false;
  }
  *as_written = opens;
  if (opens) {
    *text = slice_make(text->data + 1, text->length - 2);
  }
  return true;
}

bool mail_address_parse(Arena *arena, Slice text, MailAddress *address) {
  bool as_written;
  if (text.length <= LIMIT_ADDRESS && (parse_normal_path(text, address) || parse_normal(text, address))) {
    return true;
  }
  if (text.length > LIMIT_ADDRESS || has_controls(text) || !strip_brackets(&text, &as_written)) {
    return false;
  }
  if (text.length == 0) {
    *address = (MailAddress){SLICE_LITERAL(""), SLICE_LITERAL(""), SLICE_LITERAL("")};
    return true;
  }
  text = skip_source_route(text);
  if (text.length == 0) {
    return false; /* a route to nowhere is not the null sender */
  }
  bool quoted;
  ptrdiff_t at = find_at(text, as_written, &quoted);
  Slice localpart = at < 0 ? text : slice_make(text.data, (size_t)at);
  Slice written_domain = at < 0 ? SLICE_EMPTY : slice_from_offset(text, (size_t)at + 1);
  Slice domain = written_domain.length ? domain_normalize(arena, written_domain) : SLICE_LITERAL("");
  bool changed = quoted || (as_written && slice_find(localpart, '\\') >= 0);
  if (changed) {
    localpart = unquote(arena, localpart, quoted, as_written);
  }
  if (localpart.length == 0 && domain.length == 0) {
    return false;
  }
  bool same = !changed && domain.length && domain.data == written_domain.data && is_plain_localpart(localpart);
  MailAddress result = {.localpart = localpart, .domain = domain};
  if (same) {
    result.text = slice_make(text.data, localpart.length + 1 + domain.length);
  } else {
    result.text = compose(arena, localpart, domain, domain.length > 0);
  }
  *address = result;
  return true;
}

bool mail_address_is_null(const MailAddress *address) {
  return address->localpart.length == 0 && address->domain.length == 0;
}

bool mail_address_equal(const MailAddress *a, const MailAddress *b) {
  return slice_equal_fold(a->localpart, b->localpart) && slice_equal_fold(a->domain, b->domain);
}

bool mail_address_extension(const MailAddress *address, Slice *user, Slice *extension) {
  ptrdiff_t plus = slice_find(address->localpart, '+');
  if (plus <= 0) {
    return false;
  }
  *user = slice_make(address->localpart.data, (size_t)plus);
  *extension = slice_from_offset(address->localpart, (size_t)plus + 1);
  return true;
}

/* One trailing dot is the root; more are left, so that such a name is seen as the nonsense that it is. */
static Slice without_root_dot(Slice text) {
  if (text.length > 1 && text.data[text.length - 1] == '.' && text.data[text.length - 2] != '.') {
    text.length--;
  }
  return text;
}

/*
 * ASCII needs no libidn2: an A-label's normal form is itself in lower case, and what is no valid A-label is kept so too. Addresses
 * longer than any domain are not worth the conversion either.
 */
Slice domain_normalize(Arena *arena, Slice text) {
  if (is_normal_domain(text)) {
    return text;
  }
  bool lower = true, ascii = true, has_nul = false;
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = (unsigned char)text.data[i];
    lower = lower && !g_ascii_isupper((char)byte);
    ascii = ascii && byte < 0x80;
    has_nul = has_nul || byte == 0;
  }
  if (ascii || has_nul || text.length > LIMIT_ADDRESS) {
    Slice trimmed = without_root_dot(text);
    return lower ? trimmed : slice_lower(arena, trimmed);
  }
  char *ascii_text = NULL;
  const char *utf8 = slice_to_string(arena, text);
  int outcome = idn2_to_ascii_8z(utf8, &ascii_text, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  Slice result = outcome == IDN2_OK ? slice_copy(arena, slice_from(ascii_text)) : slice_lower(arena, text);
  idn2_free(ascii_text);
  return without_root_dot(result);
}

bool domain_is_valid(Slice text) {
  size_t label = 0;
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i];
    if (byte == '.') {
      if (label == 0) {
        return false;
      }
      label = 0;
    } else if (!(g_ascii_islower(byte) || g_ascii_isdigit(byte) || byte == '-' || byte == '_') || ++label > 63) {
      return false;
    }
  }
  return label > 0 && text.length <= 255;
}

bool domain_is_under(Slice domain, Slice parent) {
  if (parent.length == 0 || !slice_ends_with_fold(domain, parent)) {
    return false;
  }
  return domain.length == parent.length || domain.data[domain.length - parent.length - 1] == '.';
}
