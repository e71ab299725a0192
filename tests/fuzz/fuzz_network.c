/* fuzz_network.c: IP addresses and networks: what is read prints as text that reads the same, and IPv4 agrees with inet_pton. */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>

#include "common/base/ip.h"

static void check_address(const IpAddress *address) {
  char text[IP_TEXT_MAX];
  size_t length = ip_format(address, text);
  IpAddress again;
  g_assert(length < IP_TEXT_MAX && length == strlen(text));
  g_assert(ip_parse(slice_from(text), &again) && ip_equal(address, &again));
  g_assert(ip_compare(address, &again) == 0);
  g_autoptr(Arena) arena = arena_new(0);
  g_assert(ip_reverse(arena, address).length >= 7);
}

static void check_network(const IpNetwork *network) {
  char text[IP_NETWORK_TEXT_MAX];
  IpNetwork again;
  g_assert(ip_network_format(network, text) < IP_NETWORK_TEXT_MAX);
  g_assert(ip_network_parse(slice_from(text), &again) == IP_NETWORK_OK && ip_network_equal(network, &again));
  g_assert(ip_network_contains(network, &network->address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Slice text = slice_make((const char *)data, size);
  IpAddress address;
  bool read = ip_parse(text, &address);
  if (read) {
    check_address(&address);
  }
  char copy[64] = "";
  if (size > 0 && size < sizeof copy && !memchr(data, 0, size)) {
    uint8_t oracle[16];
    memcpy(copy, data, size);
    g_assert((inet_pton(AF_INET, copy, oracle) == 1) == (read && address.family == 4 && !strchr(copy, ':')));
  }
  if (ip_parse_literal(text, &address)) {
    check_address(&address);
  }
  IpNetwork network;
  switch (ip_network_parse(text, &network)) {
    case IP_NETWORK_OK:
    case IP_NETWORK_HOST_BITS:
      check_network(&network);
      break;
    case IP_NETWORK_NOT_ADDRESS:
    case IP_NETWORK_BAD_PREFIX:
      break;
  }
  return 0;
}
