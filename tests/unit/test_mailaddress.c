/* test_mailaddress.c: mail addresses and domains in normal form. */
#include "tests/unit/unit.h"

#include "common/base/limits.h"
#include "common/base/mailaddress.h"

static const struct {
  const char *written;
  const char *text, *localpart, *domain; /* text NULL: no address */
} addresses[] = {
    {"forouzanb@adelphia.net", "forouzanb@adelphia.net", "forouzanb", "adelphia.net"},
    {"<alice@Example.TEST>", "alice@example.test", "alice", "example.test"},
    {"Alice@example.test.", "Alice@example.test", "Alice", "example.test"},
    {"", "", "", ""},
    {"<>", "", "", ""},
    {"<Postmaster>", "Postmaster", "Postmaster", ""},
    {"alice@", "alice", "alice", ""},
    /* quoted by the client, or unquoted by Postfix: the same */
    {"<\"odd local\"@b.test>", "\"odd local\"@b.test", "odd local", "b.test"},
    {"odd local@b.test", "\"odd local\"@b.test", "odd local", "b.test"},
    {"<\"alice\"@b.test>", "alice@b.test", "alice", "b.test"},
    {"<\"a\\\"b\\\\c\"@b.test>", "\"a\\\"b\\\\c\"@b.test", "a\"b\\c", "b.test"},
    {"a\"b\\c@b.test", "\"a\\\"b\\\\c\"@b.test", "a\"b\\c", "b.test"},
    {"<\"a@b\"@c.test>", "\"a@b\"@c.test", "a@b", "c.test"},
    {"a@b@c.test", "\"a@b\"@c.test", "a@b", "c.test"},
    {"<a\\@b@c.test>", "\"a@b\"@c.test", "a@b", "c.test"},
    {"<\"a b\".\"c\"@d.test>", "\"a b.c\"@d.test", "a b.c", "d.test"},
    {"<a.\"b c\"@d.test>", "\"a.b c\"@d.test", "a.b c", "d.test"},
    {"\"open@d.test", "\"\\\"open\"@d.test", "\"open", "d.test"},
    {"<\"\"@x.test>", "\"\"@x.test", "", "x.test"},
    {"@x.test", "\"\"@x.test", "", "x.test"},
    {"a>b@x.test", "\"a>b\"@x.test", "a>b", "x.test"},
    {"a..b.@x.test", "a..b.@x.test", "a..b.", "x.test"},
    /* source routes */
    {"<@a.test,@b.test:user@c.test>", "user@c.test", "user", "c.test"},
    {"@a.test:user@c.test", "user@c.test", "user", "c.test"},
    {"<@[IPv6:2001:db8::1]:user@c.test>", "user@c.test", "user", "c.test"},
    {"<@a.test:\"x y\"@c.test>", "\"x y\"@c.test", "x y", "c.test"},
    {"<@a.test:>", NULL, NULL, NULL},
    /* address literals */
    {"<postmaster@[192.0.2.1]>", "postmaster@[192.0.2.1]", "postmaster", "[192.0.2.1]"},
    {"<postmaster@[IPv6:2001:DB8::25]>", "postmaster@[ipv6:2001:db8::25]", "postmaster", "[ipv6:2001:db8::25]"},
    /* internationalised */
    {"<j\xC3\xB6rg@b.test>", "j\xC3\xB6rg@b.test", "j\xC3\xB6rg", "b.test"},
    {"user@b\xC3\xBC"
     "cher.example",
     "user@xn--bcher-kva.example", "user", "xn--bcher-kva.example"},
    {"user@B\xC3\x9C"
     "CHER.example.",
     "user@xn--bcher-kva.example", "user", "xn--bcher-kva.example"},
    {"user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example", "user", "xn--bcher-kva.example"},
    {"user@xn--.example", "user@xn--.example", "user", "xn--.example"},
    {"user@B\xC3.example", "user@b\xC3.example", "user", "b\xC3.example"},
    /* no addresses */
    {"<a@b.test", NULL, NULL, NULL},
    {"a@b.test>", NULL, NULL, NULL},
    {"<", NULL, NULL, NULL},
    {">", NULL, NULL, NULL},
    {"a\tb@c.test", NULL, NULL, NULL},
    {"a@b.test\r\n", NULL, NULL, NULL},
    {"a@b.test\x7f", NULL, NULL, NULL},
    {"@", NULL, NULL, NULL},
    {"<\"\">", NULL, NULL, NULL},
};

START_TEST(test_parse) {
  g_autoptr(Arena) arena = arena_new(0);
  MailAddress address = {.text = SLICE_LITERAL("untouched")};
  bool good = mail_address_parse(arena, slice_from(addresses[_i].written), &address);
  ck_assert_msg(good == (addresses[_i].text != NULL), "%s", addresses[_i].written);
  if (!good) {
    ck_assert(slice_equal(address.text, SLICE_LITERAL("untouched")));
    return;
  }
  ck_assert_str_eq(slice_to_string(arena, address.text), addresses[_i].text);
  ck_assert_str_eq(slice_to_string(arena, address.localpart), addresses[_i].localpart);
  ck_assert_str_eq(slice_to_string(arena, address.domain), addresses[_i].domain);
  ck_assert(mail_address_is_null(&address) == (addresses[_i].text[0] == '\0'));
  MailAddress again; /* the normal form is its own normal form */
  ck_assert(mail_address_parse(arena, address.text, &again));
  ck_assert(slice_equal(again.text, address.text) && mail_address_equal(&again, &address));
}
END_TEST

START_TEST(test_limits) {
  g_autoptr(Arena) arena = arena_new(0);
  MailAddress address;
  g_autofree char *local = g_strnfill(LIMIT_ADDRESS - 4, 'a');
  ck_assert(mail_address_parse(arena, slice_from(arena_printf(arena, "%s@b.c", local)), &address));
  ck_assert(!mail_address_parse(arena, slice_from(arena_printf(arena, "%saa@b.c", local)), &address));
  ck_assert(!mail_address_parse(arena, SLICE_LITERAL("a\0b@c.test"), &address));
}
END_TEST

START_TEST(test_borrows) {
  g_autoptr(Arena) arena = arena_new(0);
  MailAddress address;
  ck_assert(mail_address_parse(arena, SLICE_LITERAL("<alice+ext@example.test>"), &address));
  ck_assert_uint_eq(arena_used(arena), 0);
}
END_TEST

START_TEST(test_extension) {
  static const struct {
    const char *address, *user, *extension;
  } cases[] = {
      {"alice+ext@example.test", "alice", "ext"}, {"alice+a+b@example.test", "alice", "a+b"}, {"alice+@example.test", "alice", ""},
      {"alice@example.test", NULL, NULL},         {"+ext@example.test", NULL, NULL},          {"", NULL, NULL},
  };
  g_autoptr(Arena) arena = arena_new(0);
  MailAddress address;
  Slice user, extension;
  ck_assert(mail_address_parse(arena, slice_from(cases[_i].address), &address));
  bool found = mail_address_extension(&address, &user, &extension);
  ck_assert(found == (cases[_i].user != NULL));
  if (found) {
    ck_assert(slice_equal(user, slice_from(cases[_i].user)) && slice_equal(extension, slice_from(cases[_i].extension)));
  }
}
END_TEST

START_TEST(test_equal) {
  g_autoptr(Arena) arena = arena_new(0);
  MailAddress a, b, c;
  ck_assert(mail_address_parse(arena,
                               SLICE_LITERAL("Alice@B\xC3\x9C"
                                             "CHER.example"),
                               &a));
  ck_assert(mail_address_parse(arena, SLICE_LITERAL("<alice@xn--bcher-kva.example>"), &b));
  ck_assert(mail_address_parse(arena, SLICE_LITERAL("alice@example.test"), &c));
  ck_assert(mail_address_equal(&a, &b) && !mail_address_equal(&a, &c));
}
END_TEST

START_TEST(test_domain) {
  static const struct {
    const char *written, *normal;
    bool valid;
  } cases[] = {
      {"example.org", "example.org", true},
      {"EXAMPLE.org.", "example.org", true},
      {"localhost", "localhost", true},
      {"_dmarc.example.org", "_dmarc.example.org", true},
      {"xn--bcher-kva.example", "xn--bcher-kva.example", true},
      {"\xE4\xBE\x8B\xE3\x81\x88\xE3\x80\x82\xE3\x83\x86\xE3\x82\xB9\xE3\x83\x88", "xn--r8jz45g.xn--zckzah", true},
      {"", "", false},
      {".", ".", false},
      {"example..org", "example..org", false},
      {".example.org", ".example.org", false},
      {"example.org..", "example.org..", false},
      {"exa mple.org", "exa mple.org", false},
      {"[192.0.2.1]", "[192.0.2.1]", false},
      {"*.example.org", "*.example.org", false},
  };
  g_autoptr(Arena) arena = arena_new(0);
  Slice normal = domain_normalize(arena, slice_from(cases[_i].written));
  ck_assert_str_eq(slice_to_string(arena, normal), cases[_i].normal);
  ck_assert_msg(domain_is_valid(normal) == cases[_i].valid, "%s", cases[_i].written);
}
END_TEST

static bool is_kept(char byte) {
  return g_ascii_islower(byte) || g_ascii_isdigit(byte) || byte == '-' || byte == '_' || byte == '.';
}

/* Each byte at each place of a name of each length: what is in normal form is borrowed, all else is seen. */
START_TEST(test_domain_bytes) {
  g_autoptr(Arena) arena = arena_new(0);
  for (size_t length = 2; length <= 40; length++) {
    for (size_t place = 0; place + 1 < length; place++) {
      for (int byte = 1; byte < 0x80; byte++) {
        char *name = g_strnfill(length, 'a');
        name[place] = (char)byte;
        g_autofree char *lower = g_ascii_strdown(name, -1);
        Slice normal = domain_normalize(arena, slice_from(name));
        ck_assert(slice_equal(normal, slice_from(lower)));
        MailAddress address;
        g_autofree char *written = g_strconcat("a@", name, NULL);
        bool borrows = mail_address_parse(arena, slice_from(written), &address) && address.domain.data == written + 2;
        ck_assert_msg(!is_kept((char)byte) || borrows, "%s", name);
        ck_assert_msg(!g_ascii_isupper(byte) || !borrows, "%s", name);
        g_free(name);
        arena_reset(arena);
      }
    }
  }
}
END_TEST

START_TEST(test_domain_lengths) {
  g_autoptr(Arena) arena = arena_new(0);
  g_autofree char *label = g_strnfill(63, 'a');
  ck_assert(domain_is_valid(slice_from(label)));
  ck_assert(!domain_is_valid(slice_from(arena_printf(arena, "%sa", label))));
  ck_assert(domain_is_valid(slice_from(arena_printf(arena, "%s.%s.%s.%s", label, label, label, label))));
  ck_assert(!domain_is_valid(slice_from(arena_printf(arena, "%s.%s.%s.%s.a", label, label, label, label))));
}
END_TEST

START_TEST(test_under) {
  static const struct {
    const char *domain, *parent;
    bool under;
  } cases[] = {
      {"example.org", "example.org", true},
      {"mail.example.org", "example.org", true},
      {"a.b.example.org", "example.org", true},
      {"badexample.org", "example.org", false},
      {"org", "example.org", false},
      {"example.org", "", false},
      {"", "", false},
      {"example.org", "org", true},
  };
  ck_assert(domain_is_under(slice_from(cases[_i].domain), slice_from(cases[_i].parent)) == cases[_i].under);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, test_parse, 0, G_N_ELEMENTS(addresses));
  tcase_add_test(tests, test_limits);
  tcase_add_test(tests, test_borrows);
  tcase_add_loop_test(tests, test_extension, 0, 6);
  tcase_add_test(tests, test_equal);
  tcase_add_loop_test(tests, test_domain, 0, 14);
  tcase_add_test(tests, test_domain_bytes);
  tcase_add_test(tests, test_domain_lengths);
  tcase_add_loop_test(tests, test_under, 0, 8);
}

UNIT_MAIN("mailaddress", add_tests)
