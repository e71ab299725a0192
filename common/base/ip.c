/*
 * ip.c: IP addresses and networks. Reading and writing are hot: by hand, nothing allocates.
 */
#include "common/base/ip.h"

#include <netinet/in.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int family_bits(const IpAddress *address) {
  return address->family == 4 ? 32 : 128;
}

static inline unsigned decimal_digit(char byte) {
  return (unsigned)(unsigned char)byte - '0'; /* over 9: it is none */
}

/* One to three digits without leading zeros, up to 255. */
static inline const char *parse_octet(const char *at, const char *end, uint8_t *octet) {
  unsigned number = at < end ? decimal_digit(*at++) : 10, digit;
  if (number > 9) {
    return NULL;
  }
  if (number != 0 && at < end && (digit = decimal_digit(*at)) <= 9) {
    number = number * 10 + digit;
    at++;
    if (at < end && (digit = decimal_digit(*at)) <= 9) {
      number = number * 10 + digit;
      at++;
    }
  }
  *octet = (uint8_t)number;
  return number <= 255 ? at : NULL;
}

static bool parse_quad(Slice text, IpAddress *address) {
  enum { SHORTEST = sizeof "0.0.0.0" - 1 };
  if (text.length < SHORTEST || decimal_digit(text.data[0]) > 9) {
    return false;
  }
  const char *at = text.data, *end = text.data + text.length;
  IpAddress result = {.family = 4};
  for (int part = 0; part < 4; part++) {
    if (part > 0 && (at == end || *at++ != '.')) {
      return false;
    }
    at = parse_octet(at, end, &result.bytes[part]);
    if (at == NULL) {
      return false;
    }
  }
  if (at != end) {
    return false;
  }
  *address = result;
  return true;
}

/* What a byte is worth as a hexadecimal digit, and one more; 0: it is none. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11,
    ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* Up to four hexadecimal digits; those that are not there are left to the caller. */
static inline const char *parse_group(const char *at, const char *end, unsigned *group) {
  const char *limit = end - at > 4 ? at + 4 : end;
  unsigned digit;
  for (*group = 0; at < limit && (digit = hex_digits[(unsigned char)*at]) != 0; at++) {
    *group = *group << 4 | (digit - 1);
  }
  return at;
}

/* What stands behind "::" goes to the end. */
static bool spread_gap(uint8_t bytes[16], size_t filled, size_t gap) {
  if (filled == 16) {
    return false; /* "::" is at least one group */
  }
  memmove(bytes + 16 - (filled - gap), bytes + gap, filled - gap);
  memset(bytes + gap, 0, 16 - filled);
  return true;
}

/* RFC 4291 2.2, without the step from IPv4-mapped to IPv4. */
static bool parse_colons(Slice text, IpAddress *address) {
  enum { NO_GAP = 17 };
  if (text.length < 2 || (text.data[0] == ':' && text.data[1] != ':')) {
    return false;
  }
  const char *at = text.data, *end = text.data + text.length;
  IpAddress result = {.family = 6}, quad;
  size_t filled = 0, gap = NO_GAP;
  if (*at == ':') {
    gap = 0;
    at += 2;
  }
  while (at < end) {
    unsigned group;
    const char *start = at;
    at = parse_group(at, end, &group);
    if (at < end && *at == '.') {
      if (filled > 12 || !parse_quad(slice_make(start, (size_t)(end - start)), &quad)) {
        return false;
      }
      memcpy(result.bytes + filled, quad.bytes, 4);
      filled += 4;
      break;
    }
    if (at == start || filled == 16) {
      return false;
    }
    result.bytes[filled++] = (uint8_t)(group >> 8);
    result.bytes[filled++] = (uint8_t)group;
    if (at == end) {
      break;
    }
    if (*at++ != ':' || at == end) {
      return false;
    }
    if (*at == ':') {
      if (gap != NO_GAP) {
        return false;
      }
      gap = filled;
      at++;
    }
  }
  if (gap != NO_GAP ? !spread_gap(result.bytes, filled, gap) : filled != 16) {
    return false;
  }
  *address = result;
  return true;
}

static bool is_mapped(const IpAddress *address) {
  return address->family == 6 && memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static void unmap(IpAddress *address) {
  IpAddress result = {.family = 4};
  memcpy(result.bytes, address->bytes + sizeof mapped_prefix, 4);
  *address = result;
}

static bool parse_unmapped(Slice text, IpAddress *address) {
  const Slice tag = SLICE_LITERAL("IPv6:");
  if (parse_quad(text, address)) {
    return true;
  }
  if (text.length > tag.length && slice_equal_fold(slice_make(text.data, tag.length), tag)) {
    return parse_colons(slice_from_offset(text, tag.length), address);
  }
  return parse_colons(text, address);
}

bool ip_parse(Slice text, IpAddress *address) {
  if (!parse_unmapped(text, address)) {
    return false;
  }
  if (is_mapped(address)) {
    unmap(address);
  }
  return true;
}

bool ip_parse_literal(Slice text, IpAddress *address) {
  if (text.length < 2 || text.data[0] != '[' || text.data[text.length - 1] != ']') {
    return false;
  }
  return ip_parse(slice_make(text.data + 1, text.length - 2), address);
}

static bool parse_prefix(Slice text, int limit, int *prefix) {
  int64_t number;
  if (text.length > 3 || (text.length > 1 && text.data[0] == '0') || !slice_to_int(text, &number) || number < 0 || number > limit ||
      text.data[0] == '-') {
    return false;
  }
  *prefix = (int)number;
  return true;
}

IpNetworkError ip_network_parse(Slice text, IpNetwork *network) {
  Slice prefix_text;
  bool has_prefix;
  Slice address_text = slice_split(text, '/', &prefix_text, &has_prefix);
  IpAddress address;
  if (!parse_unmapped(address_text, &address)) {
    return IP_NETWORK_NOT_ADDRESS;
  }
  int prefix = family_bits(&address);
  if (has_prefix && !parse_prefix(prefix_text, prefix, &prefix)) {
    return IP_NETWORK_BAD_PREFIX;
  }
  if (is_mapped(&address) && prefix >= 96) {
    unmap(&address);
    prefix -= 96;
  }
  *network = ip_network_of(&address, (uint8_t)prefix);
  return ip_equal(&network->address, &address) ? IP_NETWORK_OK : IP_NETWORK_HOST_BITS;
}

bool ip_from_socket(const struct sockaddr *socket_address, IpAddress *address, unsigned *port) {
  if (socket_address == NULL) {
    return false;
  }
  IpAddress result = {0};
  in_port_t network_port;
  if (socket_address->sa_family == AF_INET) {
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)socket_address;
    result.family = 4;
    memcpy(result.bytes, &four->sin_addr, 4);
    network_port = four->sin_port;
  } else if (socket_address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)socket_address;
    result.family = 6;
    memcpy(result.bytes, &six->sin6_addr, 16);
    network_port = six->sin6_port;
  } else {
    return false;
  }
  if (is_mapped(&result)) {
    unmap(&result);
  }
  *address = result;
  if (port != NULL) {
    *port = ntohs(network_port);
  }
  return true;
}

bool ip_equal(const IpAddress *a, const IpAddress *b) {
  return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int ip_compare(const IpAddress *a, const IpAddress *b) {
  if (a->family != b->family) {
    return a->family < b->family ? -1 : 1;
  }
  return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool ip_network_contains(const IpNetwork *network, const IpAddress *address) {
  if (network->address.family != address->family || address->family == 0) {
    return false;
  }
  size_t whole = network->prefix / 8;
  unsigned bits = network->prefix % 8;
  if (memcmp(network->address.bytes, address->bytes, whole) != 0) {
    return false;
  }
  return bits == 0 || (network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - bits) == 0;
}

bool ip_network_equal(const IpNetwork *a, const IpNetwork *b) {
  return a->prefix == b->prefix && ip_equal(&a->address, &b->address);
}

IpNetwork ip_network_of(const IpAddress *address, uint8_t prefix) {
  IpNetwork network = {.address = *address, .prefix = MIN(prefix, (uint8_t)family_bits(address))};
  size_t whole = network.prefix / 8;
  if (whole < sizeof network.address.bytes) {
    network.address.bytes[whole] &= (uint8_t)(0xff00 >> network.prefix % 8);
    memset(network.address.bytes + whole + 1, 0, sizeof network.address.bytes - whole - 1);
  }
  return network;
}

static size_t format_number(unsigned number, unsigned base, char *text) {
  char digits[8];
  size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number);
  for (size_t i = 0; i < count; i++) {
    text[i] = digits[count - 1 - i];
  }
  return count;
}

static size_t format_quad(const uint8_t *bytes, char *text) {
  size_t at = 0;
  for (int i = 0; i < 4; i++) {
    if (i > 0) {
      text[at++] = '.';
    }
    at += format_number(bytes[i], 10, text + at);
  }
  text[at] = '\0';
  return at;
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 4.2); *length 0 when there is none. */
static int longest_zero_run(const unsigned groups[8], int *length) {
  int best = 0;
  *length = 0;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[end] == 0) {
      end++;
    }
    if (end - i >= 2 && end - i > *length) {
      best = i;
      *length = end - i;
    }
    i = end + 1;
  }
  return best;
}

static size_t format_colons(const uint8_t *bytes, char *text) {
  unsigned groups[8];
  for (int i = 0; i < 8; i++) {
    groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
  }
  int run_length;
  int run = longest_zero_run(groups, &run_length);
  size_t at = 0;
  for (int i = 0; i < 8; i++) {
    if (run_length && i == run) {
      text[at++] = ':';
      text[at++] = ':';
      i += run_length - 1;
      continue;
    }
    if (i > 0 && text[at - 1] != ':') {
      text[at++] = ':';
    }
    at += format_number(groups[i], 16, text + at);
  }
  text[at] = '\0';
  return at;
}

size_t ip_format(const IpAddress *address, char text[IP_TEXT_MAX]) {
  if (address->family == 4) {
    return format_quad(address->bytes, text);
  }
  if (address->family == 6) {
    return format_colons(address->bytes, text);
  }
  text[0] = '\0';
  return 0;
}

size_t ip_network_format(const IpNetwork *network, char text[IP_NETWORK_TEXT_MAX]) {
  size_t at = ip_format(&network->address, text);
  text[at++] = '/';
  at += format_number(network->prefix, 10, text + at);
  text[at] = '\0';
  return at;
}

Slice ip_reverse(Arena *arena, const IpAddress *address) {
  char *text = arena_alloc_text(arena, 64);
  size_t at = 0;
  if (address->family == 4) {
    const uint8_t reversed[4] = {address->bytes[3], address->bytes[2], address->bytes[1], address->bytes[0]};
    return slice_make(text, format_quad(reversed, text));
  }
  for (int i = 15; i >= 0 && address->family == 6; i--) {
    text[at++] = "0123456789abcdef"[address->bytes[i] & 15];
    text[at++] = '.';
    text[at++] = "0123456789abcdef"[address->bytes[i] >> 4];
    text[at++] = '.';
  }
  at = at ? at - 1 : 0;
  text[at] = '\0';
  return slice_make(text, at);
}
