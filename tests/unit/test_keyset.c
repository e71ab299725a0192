/* test_keyset.c: sets and maps in memory: each key type's way of matching, bad entries with their right forms, and many entries. */
#include "tests/unit/unit.h"

#include "common/ask/keyset.h"

/* A set or map from texts; parts of a tuple and a map's value stand with '|' between them. */
static void add_entry(KeysetBuilder *builder, const KeysetShape *shape, const char *text) {
  g_auto(GStrv) words = g_strsplit(text, "|", -1);
  Slice parts[KEYSET_PARTS_MAX];
  for (size_t i = 0; i < shape->part_count; i++) {
    parts[i] = slice_from(words[i]);
  }
  const char *problem = NULL;
  Slice right_form;
  bool good = keyset_builder_add(builder, parts, slice_from(shape->has_value ? words[shape->part_count] : NULL), &problem, &right_form);
  ck_assert_msg(good, "%s: %s", text, problem ? problem : "");
}

static Keyset *make(const KeysetShape *shape, const char *const *entries) {
  KeysetBuilder *builder = keyset_builder_new(shape);
  for (; *entries; entries++) {
    add_entry(builder, shape, *entries);
  }
  return keyset_builder_end(builder);
}

static Value key_of(Arena *arena, ValueType type, const char *text) {
  Value value;
  const char *problem;
  Slice right_form;
  ck_assert_msg(value_parse(arena, type == TYPE_NET ? TYPE_IP : type, slice_from(text), &value, &problem, &right_form), "%s", text);
  return value;
}

/* One part: the value found, "-" when the key is not there. */
static const char *look_up(Arena *arena, const Keyset *keyset, const char *key) {
  Value found = VALUE_NONE;
  Value value = key_of(arena, keyset_shape(keyset)->parts[0], key);
  return keyset_find(keyset, &value, &found) ? slice_to_string(arena, found.as.text) : "-";
}

static KeysetShape map_of(ValueType type, bool exact) {
  return (KeysetShape){.part_count = 1, .parts = {type}, .exact = exact, .has_value = true, .value = TYPE_STRING};
}

static const char *const network_entries[] = {"0.0.0.0/0|all4",
                                              "10.0.0.0/8|eight",
                                              "10.1.0.0/16|sixteen",
                                              "10.1.2.3|host",
                                              "10.1.2.3/32|twin",
                                              "2001:db8::/32|six",
                                              "2001:db8:1::/48|deeper",
                                              "::ffff:192.0.2.0/120|mapped",
                                              "10.2.0.0/15|odd",
                                              "2001:db8:1:2::3/128|host6",
                                              NULL};

static const struct {
  const char *key, *value;
} network_keys[] = {
    {"10.1.2.3", "host"},         {"10.1.2.4", "sixteen"},       {"10.4.0.1", "eight"},       {"10.3.255.255", "odd"},
    {"11.0.0.0", "all4"},         {"192.0.2.77", "mapped"},      {"::ffff:10.1.2.3", "host"}, {"2001:db8::1", "six"},
    {"2001:db8:1:2::3", "host6"}, {"2001:db8:1:2::4", "deeper"}, {"2001:db9::1", "-"},        {"::1", "-"},
};

START_TEST(test_networks) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_NET, false);
  g_autoptr(Keyset) keyset = make(&shape, network_entries);
  ck_assert_str_eq(look_up(arena, keyset, network_keys[_i].key), network_keys[_i].value);
}
END_TEST

static const char *const domain_entries[] = {"example.org|self",
                                             ".example.org|below",
                                             ".deep.example.org|deeper",
                                             "Sub.Example.ORG.|sub",
                                             ".test|tld",
                                             "b\xC3\xBC"
                                             "cher.example|u",
                                             "[192.0.2.1]|literal",
                                             NULL};

static const struct {
  const char *key, *value;
} domain_keys[] = {
    {"example.org", "self"},
    {"EXAMPLE.org.", "self"},
    {"mail.example.org", "below"},
    {"a.b.c.example.org", "below"},
    {"deep.example.org", "below"},
    {"x.deep.example.org", "deeper"},
    {"sub.example.org", "sub"},
    {"badexample.org", "-"},
    {"org", "-"},
    {"test", "-"},
    {"any.test", "tld"},
    {"xn--bcher-kva.example", "u"},
    {"mail.xn--bcher-kva.example", "-"},
    {"[192.0.2.1]", "literal"},
    {"[192.0.2.2]", "-"},
};

START_TEST(test_domains) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_DOMAIN, false);
  g_autoptr(Keyset) keyset = make(&shape, domain_entries);
  ck_assert_str_eq(look_up(arena, keyset, domain_keys[_i].key), domain_keys[_i].value);
}
END_TEST

/* Each key meets every form; entries are taken away from the front, so that the order of the forms shows. */
static const char *const address_forms[] = {"user+ext@mail.example.org|1",
                                            "user@mail.example.org|2",
                                            "@mail.example.org|3",
                                            "mail.example.org|4",
                                            ".example.org|5",
                                            ".org|6",
                                            "user+ext@|7",
                                            "user@|8",
                                            NULL};

START_TEST(test_address_order) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_ADDRESS, false);
  g_autoptr(Keyset) keyset = make(&shape, address_forms + _i);
  const char expected[] = {(char)('1' + _i), '\0'};
  ck_assert_str_eq(look_up(arena, keyset, "User+Ext@Mail.Example.org"), expected);
}
END_TEST

static const char *const address_entries[] = {"<>|null",
                                              "alice@example.test|alice",
                                              "@bulk.example|bulk",
                                              "plain.example|plain",
                                              ".below.example|below",
                                              "root@|root",
                                              "\"odd local\"@b.test|odd",
                                              "<Bob@b.test>|bob",
                                              "u@[192.0.2.1]|literal",
                                              "@b\xC3\xBC"
                                              "cher.example|u",
                                              NULL};

static const struct {
  const char *key, *value;
} address_keys[] = {
    {"", "null"},
    {"<>", "null"},
    {"alice@example.test", "alice"},
    {"<ALICE@EXAMPLE.TEST.>", "alice"},
    {"alice+x@example.test", "alice"},
    {"alicex@example.test", "-"},
    {"anyone@bulk.example", "bulk"},
    {"anyone@sub.bulk.example", "-"},
    {"@bulk.example", "bulk"},
    {"x@plain.example", "plain"},
    {"x@sub.plain.example", "-"},
    {"x@a.b.below.example", "below"},
    {"x@below.example", "-"},
    {"root@anywhere.example", "root"},
    {"root+tag@anywhere.example", "root"},
    {"root", "root"},
    {"rooty", "-"},
    {"odd local@b.test", "odd"},
    {"bob@b.test", "bob"},
    {"u@[192.0.2.1]", "literal"},
    {"v@[192.0.2.1]", "-"},
    {"x@xn--bcher-kva.example", "u"},
    {"<\"alice@example.test\">", "-"},
};

START_TEST(test_addresses) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_ADDRESS, false);
  g_autoptr(Keyset) keyset = make(&shape, address_entries);
  ck_assert_str_eq(look_up(arena, keyset, address_keys[_i].key), address_keys[_i].value);
}
END_TEST

START_TEST(test_addresses_exact) {
  static const char *const entries[] = {"alice@example.test|alice", "<>|null", "root@|root", NULL};
  static const struct {
    const char *key, *value;
  } keys[] = {{"alice@example.test", "alice"}, {"alice+x@example.test", "-"}, {"", "null"}, {"root", "root"}, {"root@example.test", "-"}};
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_ADDRESS, true);
  g_autoptr(Keyset) keyset = make(&shape, entries);
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
    ck_assert_str_eq(look_up(arena, keyset, keys[i].key), keys[i].value);
  }
}
END_TEST

static const struct {
  ValueType type;
  const char *entry, *same, *other;
} plain[] = {
    {TYPE_STRING, "Word", "Word", "word"},
    {TYPE_STRING, "two words", "two words", "two  words"},
    {TYPE_STRING, "", "", " "},
    {TYPE_INT, "42", "042", "-42"},
    {TYPE_DECIMAL, "2.5", "2.50", "2.51"},
    {TYPE_SIZE, "1K", "1024", "1000"},
    {TYPE_DURATION, "1h", "60m", "59m"},
    {TYPE_TIME, "09:30", "09:30", "09:31"},
    {TYPE_DATE, "2026-11-23", "2026-11-23", "2026-11-24"},
    {TYPE_BOOL, "true", "yes", "false"},
    {TYPE_ENUM, "PASS", "pass", "fail"},
    {TYPE_IP, "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"},
};

START_TEST(test_plain_types) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = {.part_count = 1, .parts = {plain[_i].type}};
  g_autoptr(Keyset) keyset = make(&shape, (const char *const[]){plain[_i].entry, NULL});
  Value same = key_of(arena, plain[_i].type, plain[_i].same), other = key_of(arena, plain[_i].type, plain[_i].other);
  ck_assert(keyset_find(keyset, &same, NULL));
  ck_assert(!keyset_find(keyset, &other, NULL));
}
END_TEST

START_TEST(test_tuples) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = {.part_count = 3, .parts = {TYPE_ADDRESS, TYPE_STRING, TYPE_NET}, .has_value = true, .value = TYPE_INT};
  static const char *const entries[] = {"a@b.test|x|192.0.2.1|1", "<>|x|192.0.2.1|2", "a@b.test||2001:db8::1|3", "a@b.test|xx|192.0.2.1|4",
                                        NULL};
  static const struct {
    const char *address, *text, *ip;
    int64_t value; /* 0: not there */
  } keys[] = {
      {"A@B.test", "x", "192.0.2.1", 1},  {"", "x", "192.0.2.1", 2},         {"a@b.test", "", "2001:db8::1", 3},
      {"a@b.test", "xx", "192.0.2.1", 4}, {"a@b.test", "X", "192.0.2.1", 0}, {"a+x@b.test", "x", "192.0.2.1", 0},
      {"a@b.test", "x", "192.0.2.2", 0},
  };
  g_autoptr(Keyset) keyset = make(&shape, entries);
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
    Value parts[3] = {key_of(arena, TYPE_ADDRESS, keys[i].address), key_of(arena, TYPE_STRING, keys[i].text),
                      key_of(arena, TYPE_NET, keys[i].ip)};
    Value value = VALUE_NONE;
    ck_assert(keyset_find(keyset, parts, &value) == (keys[i].value != 0));
    ck_assert_int_eq(value.as.number, keys[i].value);
  }
}
END_TEST

static const struct {
  ValueType type;
  bool exact;
  const char *entry, *right_form;
} bad_entries[] = {
    {TYPE_NET, false, "192.0.2.1/24", "192.0.2.0/24"},
    {TYPE_NET, false, "example.org", ""},
    {TYPE_NET, false, "", ""},
    {TYPE_IP, false, "192.0.2.0/24", ""},
    {TYPE_DOMAIN, false, "*.example.org", ".example.org"},
    {TYPE_DOMAIN, false,
     "*.B\xC3\xBC"
     "cher.example",
     ".xn--bcher-kva.example"},
    {TYPE_DOMAIN, false, "@example.org", "example.org"},
    {TYPE_DOMAIN, false, "a@example.org", "example.org"},
    {TYPE_DOMAIN, false, "exa mple.org", ""},
    {TYPE_DOMAIN, false, "a..b", ""},
    {TYPE_DOMAIN, false, ".", ""},
    {TYPE_DOMAIN, false, "", ""},
    {TYPE_ADDRESS, false, "", "<>"},
    {TYPE_ADDRESS, false, "*@example.org", "@example.org"},
    {TYPE_ADDRESS, false, "*.example.org", ".example.org"},
    {TYPE_ADDRESS, false, "@*.example.org", ".example.org"},
    {TYPE_ADDRESS, false, "@.example.org", ".example.org"},
    {TYPE_ADDRESS, false, "@", ""},
    {TYPE_ADDRESS, false, "user@exa mple.org", ""},
    {TYPE_ADDRESS, false, "user@.org", ""},
    {TYPE_ADDRESS, false, "<user@example.org", ""},
    {TYPE_ADDRESS, false, "two words", ""},
    {TYPE_ADDRESS, false, "a@b@", ""},
    {TYPE_ADDRESS, true, "@example.org", ""},
    {TYPE_ADDRESS, true, "example.org", ""},
    {TYPE_ADDRESS, true, ".example.org", ""},
    {TYPE_INT, false, "12x", ""},
    {TYPE_INT, false, "", ""},
    {TYPE_LIST, false, "a", ""},
    {TYPE_ACTION, false, "REJECT", ""},
};

START_TEST(test_bad_entries) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = {.part_count = 1, .parts = {bad_entries[_i].type}, .exact = bad_entries[_i].exact};
  Slice part = slice_from(bad_entries[_i].entry);
  const char *problem = NULL;
  Slice right_form;
  ck_assert_msg(!keyset_entry_is_valid(arena, &shape, &part, &problem, &right_form), "%s", bad_entries[_i].entry);
  KeysetBuilder *builder = keyset_builder_new(&shape);
  ck_assert(!keyset_builder_add(builder, &part, SLICE_EMPTY, &problem, &right_form));
  ck_assert_ptr_nonnull(problem);
  ck_assert_str_eq(slice_to_string(arena, right_form), bad_entries[_i].right_form);
  g_autoptr(Keyset) keyset = keyset_builder_end(builder);
  ck_assert_uint_eq(keyset_size(keyset), 0);
}
END_TEST

START_TEST(test_bad_tuple_parts) {
  static const struct {
    ValueType type;
    const char *part;
  } cases[] = {{TYPE_NET, "192.0.2.0/24"}, {TYPE_DOMAIN, ".example.org"}, {TYPE_ADDRESS, "@example.org"}};
  g_autoptr(Arena) arena = arena_new(0);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    KeysetShape shape = {.part_count = 2, .parts = {TYPE_STRING, cases[i].type}};
    Slice parts[2] = {SLICE_LITERAL("x"), slice_from(cases[i].part)};
    const char *problem = NULL;
    Slice right_form;
    ck_assert_msg(!keyset_entry_is_valid(arena, &shape, parts, &problem, &right_form), "%s", cases[i].part);
    ck_assert_ptr_nonnull(problem);
  }
}
END_TEST

START_TEST(test_bad_value) {
  KeysetShape shape = {.part_count = 1, .parts = {TYPE_STRING}, .has_value = true, .value = TYPE_INT};
  KeysetBuilder *builder = keyset_builder_new(&shape);
  Slice part = SLICE_LITERAL("key");
  const char *problem = NULL;
  Slice right_form;
  ck_assert(!keyset_builder_add(builder, &part, SLICE_LITERAL("many"), &problem, &right_form));
  ck_assert_ptr_nonnull(problem);
  keyset_builder_free(builder);
  keyset_builder_free(NULL);
  keyset_free(NULL);
}
END_TEST

static void collect(Slice entry, const Value *value, void *data) {
  g_string_append_printf(data, "%.*s=%.*s;", SLICE_ARGS(entry), SLICE_ARGS(value->as.text));
}

START_TEST(test_first_stays) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_DOMAIN, false);
  g_autoptr(Keyset) keyset = make(&shape, (const char *const[]){"Example.org.|first", "b.test|b", "example.org|second", NULL});
  ck_assert_uint_eq(keyset_size(keyset), 2);
  ck_assert_str_eq(look_up(arena, keyset, "example.org"), "first");
  g_autoptr(GString) seen = g_string_new("");
  keyset_each(keyset, collect, seen);
  ck_assert_str_eq(seen->str, "Example.org.=first;b.test=b;");
}
END_TEST

START_TEST(test_each_tuple) {
  KeysetShape shape = {.part_count = 2, .parts = {TYPE_ADDRESS, TYPE_ADDRESS}, .has_value = true, .value = TYPE_STRING};
  g_autoptr(Keyset) keyset = make(&shape, (const char *const[]){"a@b.test|c@d.test|v", NULL});
  g_autoptr(GString) seen = g_string_new("");
  keyset_each(keyset, collect, seen);
  ck_assert_str_eq(seen->str, "a@b.test, c@d.test=v;");
}
END_TEST

/* The texts given may go away: the keyset keeps its own. */
START_TEST(test_keeps_its_own) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_ADDRESS, false);
  KeysetBuilder *builder = keyset_builder_new(&shape);
  char text[] = "a@b.test", value[] = "value";
  Slice part = slice_from(text);
  const char *problem;
  Slice right_form;
  ck_assert(keyset_builder_add(builder, &part, slice_from(value), &problem, &right_form));
  memset(text, 'x', sizeof text - 1);
  memset(value, 'x', sizeof value - 1);
  g_autoptr(Keyset) keyset = keyset_builder_end(builder);
  ck_assert_str_eq(look_up(arena, keyset, "a@b.test"), "value");
}
END_TEST

START_TEST(test_many) {
  enum { COUNT = 50000 };
  KeysetShape shape = {.part_count = 1, .parts = {_i == 0 ? TYPE_ADDRESS : TYPE_NET}};
  KeysetBuilder *builder = keyset_builder_new(&shape);
  const char *problem;
  Slice right_form;
  char text[64];
  for (int i = 0; i < COUNT * 2; i++) { /* each twice */
    int n = i % COUNT;
    (void)g_snprintf(text, sizeof text, _i == 0 ? "user%d@host%d.example" : "10.%d.%d.0/24", _i == 0 ? n : n >> 8, n & 255);
    Slice part = slice_from(text);
    ck_assert(keyset_builder_add(builder, &part, SLICE_EMPTY, &problem, &right_form));
  }
  g_autoptr(Keyset) keyset = keyset_builder_end(builder);
  ck_assert_uint_eq(keyset_size(keyset), COUNT);
  g_autoptr(Arena) arena = arena_new(0);
  for (int n = 0; n < COUNT; n++) {
    arena_reset(arena);
    (void)g_snprintf(text, sizeof text, _i == 0 ? "user%d@host%d.example" : "10.%d.%d.77", _i == 0 ? n : n >> 8, n & 255);
    Value key = key_of(arena, shape.parts[0], text);
    ck_assert(keyset_find(keyset, &key, NULL));
    (void)g_snprintf(text, sizeof text, _i == 0 ? "user%d@other%d.example" : "11.%d.%d.77", _i == 0 ? n : n >> 8, n & 255);
    key = key_of(arena, shape.parts[0], text);
    ck_assert(!keyset_find(keyset, &key, NULL));
  }
}
END_TEST

START_TEST(test_hostile_keys) {
  g_autoptr(Arena) arena = arena_new(0);
  KeysetShape shape = map_of(TYPE_ADDRESS, false);
  g_autoptr(Keyset) keyset = make(&shape, (const char *const[]){".example|e", "@x.test|x", "user@|u", NULL});
  g_autofree char *dots = g_strnfill(900, '.');
  ck_assert_str_eq(look_up(arena, keyset, arena_printf(arena, "a@%s.example", dots)), "e");
  ck_assert_str_eq(look_up(arena, keyset, arena_printf(arena, "%s@x.test", dots)), "x");
  ck_assert_str_eq(look_up(arena, keyset, arena_printf(arena, "user+%s@y.test", dots)), "u");
  ck_assert_str_eq(look_up(arena, keyset, arena_printf(arena, "a@%s", dots)), "-");
  /* A fact of any length that is no address at all. */
  g_autofree char *local = g_strnfill(100000, 'a');
  MailAddress address = {.text = slice_from(local), .localpart = slice_from(local), .domain = SLICE_LITERAL("x.test")};
  Value key = {VALUE_SET, TYPE_ADDRESS, {.address = &address}};
  ck_assert(keyset_find(keyset, &key, NULL));
}
END_TEST

START_TEST(test_empty) {
  g_autoptr(Arena) arena = arena_new(0);
  for (ValueType type = TYPE_IP; type <= TYPE_DOMAIN; type++) {
    KeysetShape shape = {.part_count = 1, .parts = {type}};
    g_autoptr(Keyset) keyset = make(&shape, (const char *const[]){NULL});
    const char *const keys[] = {
        [TYPE_IP] = "192.0.2.1", [TYPE_NET] = "::1", [TYPE_STRING] = "", [TYPE_ADDRESS] = "a@b", [TYPE_DOMAIN] = "b"};
    Value key = key_of(arena, type, keys[type]);
    ck_assert(!keyset_find(keyset, &key, NULL));
  }
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, test_networks, 0, G_N_ELEMENTS(network_keys));
  tcase_add_loop_test(tests, test_domains, 0, G_N_ELEMENTS(domain_keys));
  tcase_add_loop_test(tests, test_address_order, 0, 8);
  tcase_add_loop_test(tests, test_addresses, 0, G_N_ELEMENTS(address_keys));
  tcase_add_test(tests, test_addresses_exact);
  tcase_add_loop_test(tests, test_plain_types, 0, G_N_ELEMENTS(plain));
  tcase_add_test(tests, test_tuples);
  tcase_add_loop_test(tests, test_bad_entries, 0, G_N_ELEMENTS(bad_entries));
  tcase_add_test(tests, test_bad_tuple_parts);
  tcase_add_test(tests, test_bad_value);
  tcase_add_test(tests, test_first_stays);
  tcase_add_test(tests, test_each_tuple);
  tcase_add_test(tests, test_keeps_its_own);
  tcase_add_loop_test(tests, test_many, 0, 2);
  tcase_add_test(tests, test_hostile_keys);
  tcase_add_test(tests, test_empty);
}

UNIT_MAIN("keyset", add_tests)
