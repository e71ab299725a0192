/*
 * ip.h: IP addresses and networks as values.
 *
 * IPv4-mapped IPv6 addresses (::ffff:192.0.2.1) become IPv4 when they are read. Pure; thread-safe.
 */
#ifndef COMMON_BASE_IP_H
#define COMMON_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/slice.h"

typedef struct IpAddress {
  uint8_t family;    /* 4 or 6; 0 is no address */
  uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest 0 */
} IpAddress;

typedef struct IpNetwork {
  IpAddress address; /* host bits are zero */
  uint8_t prefix;    /* 0..32 or 0..128 */
} IpNetwork;

enum { IP_TEXT_MAX = 46, IP_NETWORK_TEXT_MAX = 50 }; /* buffer sizes, NUL included */

typedef enum IpNetworkError {
  IP_NETWORK_OK,
  IP_NETWORK_NOT_ADDRESS, /* the part before '/' is no address */
  IP_NETWORK_BAD_PREFIX,  /* not a number, or too long for the family */
  IP_NETWORK_HOST_BITS,   /* bits set behind the prefix; *network has them cleared, for the message */
} IpNetworkError;

/* Dotted quad (four decimal numbers, no leading zeros) or RFC 4291 text; "IPv6:" in front (RFC 5321 4.1.3) is accepted; no brackets, no zone. */
bool ip_parse(Slice text, IpAddress *address);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]", as in HELO (RFC 5321 4.1.3). */
bool ip_parse_literal(Slice text, IpAddress *address);
/* An address, or address/prefix. An address alone is /32 or /128. */
IpNetworkError ip_network_parse(Slice text, IpNetwork *network);

/* From a socket's address; an IPv4-mapped one becomes IPv4. False for other families and NULL. *port (may be NULL) is in the host's order. */
bool ip_from_socket(const struct sockaddr *socket_address, IpAddress *address, unsigned *port);

bool ip_equal(const IpAddress *a, const IpAddress *b);
/* IPv4 before IPv6, then by bytes. */
int ip_compare(const IpAddress *a, const IpAddress *b);
bool ip_network_contains(const IpNetwork *network, const IpAddress *address);
bool ip_network_equal(const IpNetwork *a, const IpNetwork *b);
/* The network of `prefix` bits around an address. */
IpNetwork ip_network_of(const IpAddress *address, uint8_t prefix);

/* RFC 5952 text, NUL-terminated; returns its length. */
size_t ip_format(const IpAddress *address, char text[IP_TEXT_MAX]);
size_t ip_network_format(const IpNetwork *network, char text[IP_NETWORK_TEXT_MAX]);
/* "1.2.0.192" or the 32 nibbles "b.a.9...", for DNS lists (RFC 5782); the text lives in the arena. */
Slice ip_reverse(Arena *arena, const IpAddress *address);

#endif
