/* test_ip.c: IP addresses and networks. */
#include "tests/unit/unit.h"

#include "common/base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const struct {
  const char *text, *normal; /* normal NULL: no address */
} addresses[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:DB8::0:1", "2001:db8::1"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6::", "1:2:3:4:5:6::"},
    {"::192.0.2.1", "::c000:201"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:201", "192.0.2.1"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"IPv6:2001:db8::25", "2001:db8::25"},
    {"ipv6:::ffff:10.0.0.1", "10.0.0.1"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"", NULL},
    {"IPv6:", NULL},
    {"IPv6:192.0.2.1", NULL},
    {"192.0.2", NULL},
    {"192.0.2.", NULL},
    {".192.0.2.1", NULL},
    {"192.0.2.1.", NULL},
    {"192.0.2.1.1", NULL},
    {"192.0.2.256", NULL},
    {"192.0.2.01", NULL},
    {"192.0.2.-1", NULL},
    {"192.0.2.0001", NULL},
    {"0x7f.0.0.1", NULL},
    {" 192.0.2.1", NULL},
    {"192.0.2.1 ", NULL},
    {"192.0.2.1/32", NULL},
    {"[192.0.2.1]", NULL},
    {"fe80::1%eth0", NULL},
    {"1::2::3", NULL},
    {":::", NULL},
    {":", NULL},
    {"12345::", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"g::", NULL},
    {"localhost", NULL},
};

START_TEST(test_parse) {
  IpAddress address;
  char text[IP_TEXT_MAX];
  bool good = ip_parse(slice_from(addresses[_i].text), &address);
  ck_assert_msg(good == (addresses[_i].normal != NULL), "%s", addresses[_i].text);
  if (good) {
    ck_assert_uint_eq(ip_format(&address, text), strlen(addresses[_i].normal));
    ck_assert_str_eq(text, addresses[_i].normal);
  }
}
END_TEST

static const char *const pieces[] = {":",    "::",   "0",     "1", "f", "00",      "ab",       "2001",      "db8",
                                     "ffff", "FFFF", "12345", "g", ".", "1.2.3.4", "01.2.3.4", "256.1.1.1", "%"};

/* Whatever is put together: read as the C library reads it. */
START_TEST(test_as_inet_pton) {
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  unsigned good = 0;
  for (int i = 0; i < 200000; i++) {
    g_autoptr(GString) text = g_string_new(NULL);
    int count = g_rand_int_range(random, 1, 18);
    for (int piece = 0; piece < count; piece++) {
      bool colon = piece % 2 == 1 && g_rand_int_range(random, 0, 20) > 0;
      g_string_append(text, colon ? ":" : pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces) - (count > 8 ? 7 : 0))]);
    }
    uint8_t bytes[16] = {0};
    int family = inet_pton(AF_INET, text->str, bytes) == 1 ? 4 : inet_pton(AF_INET6, text->str, bytes) == 1 ? 6 : 0;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (family == 6 && memcmp(bytes, mapped, sizeof mapped) == 0) {
      family = 4;
      memmove(bytes, bytes + sizeof mapped, 4);
      memset(bytes + 4, 0, sizeof mapped);
    }
    IpAddress address = {.family = 0};
    ck_assert_msg(ip_parse(slice_make(text->str, text->len), &address) == (family != 0), "%s", text->str);
    ck_assert_msg(address.family == family && memcmp(address.bytes, bytes, sizeof bytes) == 0, "%s", text->str);
    good += family != 0;
  }
  ck_assert_uint_gt(good, 500);
}
END_TEST

START_TEST(test_literal) {
  IpAddress address;
  char text[IP_TEXT_MAX];
  ck_assert(ip_parse_literal(SLICE_LITERAL("[IPv6:2001:db8::25]"), &address));
  (void)ip_format(&address, text);
  ck_assert_str_eq(text, "2001:db8::25");
  ck_assert(ip_parse_literal(SLICE_LITERAL("[192.0.2.1]"), &address));
  static const char *const bad[] = {"192.0.2.1", "[192.0.2.1", "192.0.2.1]", "[]", "[", "]", "", "[[192.0.2.1]]", "[mail.example.org]"};
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    ck_assert_msg(!ip_parse_literal(slice_from(bad[i]), &address), "%s", bad[i]);
  }
  ck_assert(!ip_parse(SLICE_LITERAL("::1\0"), &address));
  ck_assert(!ip_parse(SLICE_LITERAL("127.0.0.1\0"), &address));
}
END_TEST

static const struct {
  const char *text;
  IpNetworkError error;
  const char *normal;
} networks[] = {
    {"192.0.2.0/24", IP_NETWORK_OK, "192.0.2.0/24"},
    {"192.0.2.1", IP_NETWORK_OK, "192.0.2.1/32"},
    {"0.0.0.0/0", IP_NETWORK_OK, "0.0.0.0/0"},
    {"10.128.0.0/9", IP_NETWORK_OK, "10.128.0.0/9"},
    {"192.0.2.254/31", IP_NETWORK_OK, "192.0.2.254/31"},
    {"::/0", IP_NETWORK_OK, "::/0"},
    {"2001:db8::/32", IP_NETWORK_OK, "2001:db8::/32"},
    {"2001:db8::1", IP_NETWORK_OK, "2001:db8::1/128"},
    {"::ffff:192.0.2.0/120", IP_NETWORK_OK, "192.0.2.0/24"},
    {"::ffff:0.0.0.0/96", IP_NETWORK_OK, "0.0.0.0/0"},
    {"::fffe:0:0/95", IP_NETWORK_OK, "::fffe:0:0/95"},
    {"::ffff:0.0.0.0/95", IP_NETWORK_HOST_BITS, "::fffe:0:0/95"},
    {"192.0.2.1/24", IP_NETWORK_HOST_BITS, "192.0.2.0/24"},
    {"10.1.0.0/8", IP_NETWORK_HOST_BITS, "10.0.0.0/8"},
    {"1.0.0.0/0", IP_NETWORK_HOST_BITS, "0.0.0.0/0"},
    {"2001:db8::1/127", IP_NETWORK_HOST_BITS, "2001:db8::/127"},
    {"192.0.2.0/33", IP_NETWORK_BAD_PREFIX, NULL},
    {"2001:db8::/129", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/-0", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/+8", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/08", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/24/24", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/255.255.255.0", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2.0/99999999999999999999", IP_NETWORK_BAD_PREFIX, NULL},
    {"192.0.2/24", IP_NETWORK_NOT_ADDRESS, NULL},
    {"/24", IP_NETWORK_NOT_ADDRESS, NULL},
    {"", IP_NETWORK_NOT_ADDRESS, NULL},
};

START_TEST(test_network) {
  IpNetwork network;
  char text[IP_NETWORK_TEXT_MAX];
  ck_assert_msg(ip_network_parse(slice_from(networks[_i].text), &network) == networks[_i].error, "%s", networks[_i].text);
  if (networks[_i].normal) {
    ck_assert_uint_eq(ip_network_format(&network, text), strlen(networks[_i].normal));
    ck_assert_str_eq(text, networks[_i].normal);
  }
}
END_TEST

static const struct {
  const char *network, *address;
  bool contains;
} members[] = {
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"0.0.0.0/0", "255.1.2.3", true},
    {"0.0.0.0/0", "::1", false},
    {"::/0", "192.0.2.1", false},
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.128/25", "192.0.2.128", true},
    {"2001:db8::/33", "2001:db8:7fff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"2001:db8::1", "2001:db8::1", true},
};

START_TEST(test_contains) {
  IpNetwork network;
  IpAddress address;
  ck_assert_int_eq(ip_network_parse(slice_from(members[_i].network), &network), IP_NETWORK_OK);
  ck_assert(ip_parse(slice_from(members[_i].address), &address));
  ck_assert(ip_network_contains(&network, &address) == members[_i].contains);
  IpNetwork around = ip_network_of(&address, network.prefix);
  ck_assert(ip_network_equal(&around, &network) == members[_i].contains);
}
END_TEST

START_TEST(test_order) {
  IpAddress four, five, six;
  ck_assert(ip_parse(SLICE_LITERAL("192.0.2.4"), &four) && ip_parse(SLICE_LITERAL("192.0.2.5"), &five) &&
            ip_parse(SLICE_LITERAL("::"), &six));
  ck_assert_int_lt(ip_compare(&four, &five), 0);
  ck_assert_int_lt(ip_compare(&five, &six), 0);
  ck_assert_int_gt(ip_compare(&six, &four), 0);
  ck_assert_int_eq(ip_compare(&six, &six), 0);
  IpAddress none = {0};
  IpNetwork all = ip_network_of(&four, 0);
  ck_assert(!ip_network_contains(&all, &none));
  char text[IP_TEXT_MAX];
  ck_assert_uint_eq(ip_format(&none, text), 0);
}
END_TEST

START_TEST(test_reverse) {
  g_autoptr(Arena) arena = arena_new(0);
  IpAddress address;
  ck_assert(ip_parse(SLICE_LITERAL("192.0.2.1"), &address));
  ck_assert(slice_equal(ip_reverse(arena, &address), SLICE_LITERAL("1.2.0.192")));
  ck_assert(ip_parse(SLICE_LITERAL("2001:db8::567:89ab"), &address));
  ck_assert(slice_equal(ip_reverse(arena, &address), SLICE_LITERAL("b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2")));
}
END_TEST

static const struct {
  const char *text; /* as inet_pton takes it */
  const char *told; /* as ip_format tells it */
} socket_rows[] = {{"192.0.2.7", "192.0.2.7"}, {"2001:db8::7", "2001:db8::7"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"::1", "::1"}};

START_TEST(sockets_tell_their_address) {
  struct sockaddr_storage storage = {0};
  struct sockaddr_in *four = (struct sockaddr_in *)(void *)&storage;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&storage;
  if (inet_pton(AF_INET, socket_rows[_i].text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(2525);
  } else {
    ck_assert_int_eq(inet_pton(AF_INET6, socket_rows[_i].text, &six->sin6_addr), 1);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(2525);
  }
  IpAddress address;
  unsigned port = 0;
  char text[IP_TEXT_MAX];
  ck_assert(ip_from_socket((const struct sockaddr *)&storage, &address, &port));
  (void)ip_format(&address, text);
  ck_assert_str_eq(text, socket_rows[_i].told);
  ck_assert_uint_eq(port, 2525);
}
END_TEST

START_TEST(other_sockets_have_no_address) {
  struct sockaddr_storage storage = {.ss_family = AF_UNIX};
  IpAddress address;
  ck_assert(!ip_from_socket((const struct sockaddr *)&storage, &address, NULL));
  ck_assert(!ip_from_socket(NULL, &address, NULL));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, sockets_tell_their_address, 0, G_N_ELEMENTS(socket_rows));
  tcase_add_test(tests, other_sockets_have_no_address);
  tcase_add_loop_test(tests, test_parse, 0, G_N_ELEMENTS(addresses));
  tcase_add_test(tests, test_as_inet_pton);
  tcase_add_test(tests, test_literal);
  tcase_add_loop_test(tests, test_network, 0, G_N_ELEMENTS(networks));
  tcase_add_loop_test(tests, test_contains, 0, G_N_ELEMENTS(members));
  tcase_add_test(tests, test_order);
  tcase_add_test(tests, test_reverse);
}

UNIT_MAIN("ip", add_tests)
