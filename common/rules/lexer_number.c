/*
 * lexer_number.c: tokens that start with a digit: numbers, sizes, durations, times, dates, enhanced codes, IPv4 addresses; and IPv6
 * addresses.
 *
 * What looks like one but is wrong (host bits, 25:00, 10X) is told here and still gives a token of its kind, so that it is told once.
 */
#include "common/base/limits.h"
#include "common/rules/lexer.h"
#include "common/rules/source.h"

typedef struct Unit {
  char letter;
  TokenKind kind;
  int64_t factor;
} Unit;

static const Unit UNITS[] = {
    {'K', TOKEN_SIZE, INT64_C(1) << 10},
    {'M', TOKEN_SIZE, INT64_C(1) << 20},
    {'G', TOKEN_SIZE, INT64_C(1) << 30},
    {'T', TOKEN_SIZE, INT64_C(1) << 40},
    {'s', TOKEN_DURATION, 1},
    {'m', TOKEN_DURATION, 60},
    {'h', TOKEN_DURATION, 3600},
    {'d', TOKEN_DURATION, 86400},
    {'w', TOKEN_DURATION, 604800},
};

static char byte_at(const Lexer *lexer, size_t index) {
  return index < lexer->end ? lexer->source->text.data[index] : '\0';
}

static size_t skip_digits(const Lexer *lexer, size_t position) {
  while (g_ascii_isdigit(byte_at(lexer, position))) {
    position++;
  }
  return position;
}

/* Behind letters, digits, '_' and what glues them: the rest of a thing that is told as a whole. */
static size_t skip_junk(const Lexer *lexer, size_t position) {
  while (g_ascii_isalnum(byte_at(lexer, position)) || byte_at(lexer, position) == '_') {
    position++;
  }
  return position;
}

/* The run of hex digits, colons and single dots from here. */
static size_t address_end(const Lexer *lexer, size_t position, unsigned *colons) {
  *colons = 0;
  for (;; position++) {
    char byte = byte_at(lexer, position);
    if (byte == ':') {
      (*colons)++;
    } else if (!g_ascii_isxdigit(byte) && (byte != '.' || !g_ascii_isxdigit(byte_at(lexer, position + 1)))) {
      return position;
    }
  }
}

bool lexer_looks_like_ipv6(const Lexer *lexer) {
  char byte = byte_at(lexer, lexer->position);
  if (!g_ascii_isxdigit(byte) && byte != ':') {
    return false;
  }
  unsigned colons = 0;
  size_t end = address_end(lexer, lexer->position, &colons);
  return colons >= 2 && end > lexer->position;
}

/* An address or network from the token's start to `end`, where "/prefix" may follow. */
static void lex_network(Lexer *lexer, Token *token, size_t end) {
  size_t start = token->span.offset;
  bool has_prefix = byte_at(lexer, end) == '/' && g_ascii_isdigit(byte_at(lexer, end + 1));
  if (has_prefix) {
    end = skip_digits(lexer, end + 1);
  }
  size_t junk = skip_junk(lexer, end);
  lexer_finish(lexer, token, has_prefix ? TOKEN_NET : TOKEN_IP, junk);
  IpNetworkError problem = ip_network_parse(token->text, &token->net);
  char right[IP_NETWORK_TEXT_MAX];
  Diagnostic *diagnostic;
  switch (problem) {
    case IP_NETWORK_OK:
      return;
    case IP_NETWORK_NOT_ADDRESS:
      diagnostic = lexer_error(lexer, start, junk, "\"%.*s\" is no IP address", SLICE_ARGS(token->text));
      lexer_expected(lexer, diagnostic, "an address such as 192.0.2.1 or 2001:db8::1, or a network such as 192.0.2.0/24");
      break;
    case IP_NETWORK_BAD_PREFIX:
      diagnostic = lexer_error(lexer, start, junk, "the prefix of \"%.*s\" is no number that fits the address", SLICE_ARGS(token->text));
      lexer_expected(lexer, diagnostic, "0 to 32 for IPv4, 0 to 128 for IPv6");
      break;
    case IP_NETWORK_HOST_BITS:
      (void)ip_network_format(&token->net, right);
      diagnostic = lexer_error(lexer, start, junk, "\"%.*s\" has bits set behind its prefix", SLICE_ARGS(token->text));
      lexer_expected(lexer, diagnostic, "%s, or a longer prefix", right);
      return;
  }
  token->net = (IpNetwork){.address = {.family = 4}, .prefix = 32};
}

void lexer_ipv6(Lexer *lexer, Token *token) {
  unsigned colons = 0;
  lex_network(lexer, token, address_end(lexer, token->span.offset, &colons));
}

/* SYNTAX: HH:MM */
static void lex_time(Lexer *lexer, Token *token, size_t colon) {
  size_t start = token->span.offset;
  size_t end = skip_junk(lexer, colon + 1);
  lexer_finish(lexer, token, TOKEN_TIME, end);
  int64_t hour = 0, minute = 0;
  bool good = colon - start == 2 && end - colon == 3 && slice_to_int(slice_make(token->text.data, 2), &hour) &&
              slice_to_int(slice_make(token->text.data + 3, 2), &minute) && hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
  if (!good) {
    Diagnostic *diagnostic = lexer_error(lexer, start, end, "\"%.*s\" is no time of day", SLICE_ARGS(token->text));
    lexer_expected(lexer, diagnostic, "HH:MM, from 00:00 to 23:59");
    hour = minute = 0;
  }
  token->number = hour * 3600 + minute * 60;
}

static bool looks_like_date(const Lexer *lexer, size_t start, size_t end) {
  return end - start == 4 && byte_at(lexer, end) == '-' && g_ascii_isdigit(byte_at(lexer, end + 1));
}

/* SYNTAX: YYYY-MM-DD */
static void lex_date(Lexer *lexer, Token *token) {
  size_t start = token->span.offset;
  size_t end = start;
  while (g_ascii_isalnum(byte_at(lexer, end)) || (byte_at(lexer, end) == '-' && g_ascii_isdigit(byte_at(lexer, end + 1)))) {
    end++;
  }
  lexer_finish(lexer, token, TOKEN_DATE, end);
  int64_t year = 0, month = 0, day = 0;
  bool good = token->text.length == 10 && token->text.data[7] == '-' && slice_to_int(slice_make(token->text.data, 4), &year) &&
              slice_to_int(slice_make(token->text.data + 5, 2), &month) && slice_to_int(slice_make(token->text.data + 8, 2), &day) &&
              day >= 1 && month >= 1 && year >= 1 && g_date_valid_dmy((GDateDay)day, (GDateMonth)month, (GDateYear)year);
  if (!good) {
    Diagnostic *diagnostic = lexer_error(lexer, start, end, "\"%.*s\" is no date", SLICE_ARGS(token->text));
    lexer_expected(lexer, diagnostic, "YYYY-MM-DD, a day of the calendar");
    year = 1970, month = 1, day = 1;
  }
  token->number = year * 10000 + month * 100 + day;
}

static void tell_unit(Lexer *lexer, const Token *token) {
  Diagnostic *diagnostic =
      lexer_error(lexer, token->span.offset, token->span.offset + token->span.length, "\"%.*s\" is no number", SLICE_ARGS(token->text));
  lexer_expected(lexer, diagnostic, "digits; for a size with K, M, G or T behind them (10M), for a duration with s, m, h, d or w (5m)");
}

/* Digits from the token's start to `digits`, and perhaps one letter. */
static void lex_whole(Lexer *lexer, Token *token, size_t digits) {
  size_t start = token->span.offset;
  size_t end = skip_junk(lexer, digits);
  const Unit *unit = NULL;
  for (size_t i = 0; i < G_N_ELEMENTS(UNITS) && end == digits + 1; i++) {
    unit = byte_at(lexer, digits) == UNITS[i].letter ? &UNITS[i] : unit;
  }
  lexer_finish(lexer, token, unit != NULL ? unit->kind : TOKEN_INT, end);
  if (unit == NULL && end > digits) {
    tell_unit(lexer, token);
    return;
  }
  int64_t factor = unit != NULL ? unit->factor : 1;
  if (!slice_to_int(slice_make(token->text.data, digits - start), &token->number) || token->number > INT64_MAX / factor) {
    (void)lexer_error(lexer, start, end, "this number is too large");
    token->number = 0;
    return;
  }
  token->number *= factor;
}

static void lex_decimal(Lexer *lexer, Token *token, size_t end) {
  size_t junk = skip_junk(lexer, end);
  lexer_finish(lexer, token, TOKEN_DECIMAL, junk);
  if (junk != end) {
    tell_unit(lexer, token);
    return;
  }
  g_autofree char *text = g_strndup(token->text.data, token->text.length);
  token->decimal = g_ascii_strtod(text, NULL);
}

void lexer_number(Lexer *lexer, Token *token) {
  size_t start = token->span.offset;
  size_t end = skip_digits(lexer, start);
  if (byte_at(lexer, end) == ':') {
    lex_time(lexer, token, end);
    return;
  }
  if (looks_like_date(lexer, start, end)) {
    lex_date(lexer, token);
    return;
  }
  unsigned dots = 0;
  size_t first = end;
  while (byte_at(lexer, end) == '.' && g_ascii_isdigit(byte_at(lexer, end + 1))) {
    end = skip_digits(lexer, end + 1);
    dots++;
  }
  bool has_prefix = byte_at(lexer, end) == '/' && g_ascii_isdigit(byte_at(lexer, end + 1));
  if (dots >= 3 || has_prefix) {
    lex_network(lexer, token, end);
  } else if (dots == 0) {
    lex_whole(lexer, token, first);
  } else if (dots == 1) {
    lex_decimal(lexer, token, end);
  } else {
    lexer_finish(lexer, token, TOKEN_ENHANCED, skip_junk(lexer, end));
  }
}
