/*
 * test_literals.c: what a regex cannot match without: cases, and the property that a text in which PCRE2 matches holds one of the literals; the matcher that
 * finds them against a plain search; networks against a plain loop.
 */
#include "common/rules/literal_matcher.h"
#include "common/rules/network_tree.h"
#include "common/rules/regex.h"
#include "tests/unit/unit.h"

static const struct {
  const char *pattern, *literals; /* joined by blanks; "" for none */
} cases[] = {
    {"spam", "spam"},
    {"^SPAM\\.example$", "spam.example"},
    {"a|b", ""},
    {"(dsl|dyn|dhcp)-", "dsl dyn dhcp"},
    {"abc?d", "ab"},
    {"ab+cd", "ab"},
    {"x(?:foo|ba)r?", "foo ba"},
    {"[0-9]+\\.pool\\.", ".pool."},
    {"fo{2}bar", "bar"},
    {"(spam)?eggs", "eggs"},
    {"(spam)+", "spam"},
    {"a[.]b", "a.b"},
    {"(?i)Spam", "spam"},
    {"(?x)sp am", ""},
    {"\\Qspam\\E", ""},
    {"(?=spam)x", ""},
    {"(*UTF)spam", ""},
    {"(?R)?spam", ""},
    {"spam(?!eggs)", "spam"},
    {"spam{", ""},
    {"spam{,3}", ""},
    {"sp\\x61m", ""},
    {"(?<name>spam)\\1", "spam"},
    {"(a)(?(1)spam|eggs)", ""},
    {"[[:alpha:]]spam", "spam"},
    {"[]x]spam", "spam"},
    {"[^]x]spam", "spam"},
    {"spam\\bham", "spam"},
    {"sp(?#comment)am", ""},
    {"|spam", ""},
    {"", ""},
    {"(?>spam|ham)", "spam ham"},
    {"spam{0}", "spa"},
    {"a{2}b{2}", ""},
    {"sp.am\\.com", "am.com"},
};

START_TEST(cases_are_as_written) {
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Arena) arena = arena_new(0);
    g_autoptr(GString) found = g_string_new(NULL);
    const Literals *literals = literals_of_pattern(arena, slice_from(cases[i].pattern));
    for (size_t k = 0; literals != NULL && k < literals->count; k++)
      g_string_append_printf(found, "%s%.*s", k > 0 ? " " : "", SLICE_ARGS(literals->items[k]));
    ck_assert_msg(g_str_equal(found->str, cases[i].literals), "/%s/: \"%s\", not \"%s\"", cases[i].pattern, found->str, cases[i].literals);
  }
}
END_TEST

/* Pieces of which patterns are made, so that many of them match and every construct comes. */
static const char *const pieces[] = {
    "a",   "b",     "ab",  "ba",          "B",    ".",     "\\.", "[ab]",  "[^a]", "[a]", "(",         ")",    "(?:",  "|",
    "*",   "+",     "?",   "{2}",         "{1,}", "{0,2}", "^",   "$",     "\\b",  "\\w", "\\d",       "(?i)", "(?=",  "(?!",
    "(?>", "(?<n>", "\\1", "[[:alpha:]]", "[]a]", "{",     "}",   "]",     "\\Q",  "\\E", "(?x)",      " ",    "#",    "(?(1)",
    "\\K", "\\x61", "(?|", "(?#",         "(?<=", "*?",    "++",  "(?-i)", "\\R",  "\\N", "(*ACCEPT)", "\\bb", "(?R)", "\\141"};

static char *random_pattern(GRand *random) {
  GString *pattern = g_string_new(NULL);
  int count = g_rand_int_range(random, 1, 9), open = 0;
  for (int i = 0; i < count; i++) {
    const char *piece = pieces[g_rand_int_range(random, 0, g_rand_boolean(random) ? 22 : (gint32)G_N_ELEMENTS(pieces))];
    open += (piece[0] == '(' && !g_str_has_suffix(piece, ")") && piece[1] != '*') - (piece[0] == ')');
    g_string_append(pattern, piece);
  }
  for (; open > 0; open--)
    g_string_append_c(pattern, ')');
  return g_string_free(pattern, FALSE);
}

static void random_text(GRand *random, char text[24]) {
  static const char bytes[] = "aaabbbAB. cx1#{}]\n";
  int length = g_rand_int_range(random, 0, 23);
  for (int i = 0; i < length; i++)
    text[i] = bytes[g_rand_int_range(random, 0, (gint32)sizeof bytes - 1)];
  text[length] = '\0';
}

/* Sanitizers look at each byte of them, and take ten times as long and more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { PATTERNS = 6000 };
#else
enum { PATTERNS = 60000 };
#endif

START_TEST(a_match_holds_a_literal) {
  GRand *random = g_rand_new_with_seed(7);
  g_autoptr(Arena) arena = arena_new(0);
  pcre2_match_data *data = pcre2_match_data_create(32, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  (void)pcre2_set_match_limit(context, 100000);
  unsigned with_literals = 0, matches = 0;
  for (int round = 0; round < PATTERNS; round++) {
    g_autofree char *pattern = random_pattern(random);
    char message[128], text[24];
    size_t offset;
    arena_reset(arena);
    const Regex *regex = regex_new(arena, slice_from(pattern), g_rand_boolean(random), false, message, &offset);
    if (regex == NULL || regex->literals == NULL)
      continue;
    with_literals++;
    for (int i = 0; i < 20; i++) {
      random_text(random, text);
      if (pcre2_match(regex->code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, context) < 0)
        continue;
      matches++;
      ck_assert_msg(literals_found(regex->literals, slice_from(text)), "/%s/ matches \"%s\", which lacks \"%.*s\"", pattern, text,
                    SLICE_ARGS(regex->literals->items[0]));
    }
  }
  ck_assert_uint_gt(with_literals, PATTERNS / 20);
  ck_assert_uint_gt(matches, PATTERNS / 20);
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
  g_rand_free(random);
}
END_TEST

/* A search without end in a text that lacks what must be there is no match, not a failure. */
START_TEST(a_limit_counts_only_with_the_literal) {
  g_autoptr(Arena) arena = arena_new(0);
  char message[128];
  size_t offset;
  pcre2_match_data *data = pcre2_match_data_create(32, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  (void)pcre2_set_match_limit(context, 1000);
  const Regex *regex = regex_new(arena, SLICE_LITERAL("(x+x+)+[ye]?(evil|e.)vil"), false, false, message, &offset);
  ck_assert_ptr_nonnull(regex);
  ck_assert_ptr_nonnull(regex->literals);
  ck_assert_int_eq(regex_match(regex, SLICE_LITERAL("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxv.l"), data, context), PCRE2_ERROR_NOMATCH);
  ck_assert_int_eq(regex_match(regex, SLICE_LITERAL("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxzvil"), data, context), PCRE2_ERROR_MATCHLIMIT);
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
}
END_TEST

/* Many matches make machine code of it, which says the same. */
START_TEST(a_hot_regex_says_the_same) {
  g_autoptr(Arena) arena = arena_new(0);
  char message[128];
  size_t offset;
  pcre2_match_data *data = pcre2_match_data_create(32, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  Regex *regex = regex_new(arena, SLICE_LITERAL("^(mail)[0-9]+\\."), false, false, message, &offset);
  for (int i = 0; i < 500; i++) {
    ck_assert_int_eq(regex_match(regex, SLICE_LITERAL("MAIL77.example"), data, context), 2);
    ck_assert_int_eq(regex_match(regex, SLICE_LITERAL("mailx.example"), data, context), PCRE2_ERROR_NOMATCH);
  }
  uint32_t has_jit = 0;
  (void)pcre2_config(PCRE2_CONFIG_JIT, &has_jit);
  ck_assert(has_jit == 0 || g_atomic_pointer_get(&regex->hot) != NULL);
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
}
END_TEST

static void note(void *data, uint32_t target) {
  ((bool *)data)[target] = true;
}

START_TEST(the_matcher_finds_what_a_search_finds) {
  enum { LITERALS = 300 };
  GRand *random = g_rand_new_with_seed(3);
  for (int round = 0; round < 200; round++) {
    g_autoptr(Arena) arena = arena_new(0);
    LiteralEntry entries[LITERALS];
    size_t count = (size_t)g_rand_int_range(random, 1, LITERALS);
    for (size_t i = 0; i < count; i++) {
      char text[24];
      do
        random_text(random, text);
      while (text[0] == '\0');
      Slice literal = slice_from(text);
      literal.length = MIN(literal.length, (size_t)(1 + round % 8));
      entries[i] = (LiteralEntry){slice_lower(arena, literal), (uint32_t)i};
    }
    const LiteralMatcher *matcher = literal_matcher_new(arena, entries, count);
    for (int i = 0; i < 50; i++) {
      char text[24];
      bool found[LITERALS] = {false};
      random_text(random, text);
      literal_matcher_scan(matcher, slice_from(text), note, found);
      for (size_t k = 0; k < count; k++) {
        const Literals one = {1, &entries[k].literal};
        ck_assert_msg(found[k] == literals_found(&one, slice_from(text)), "\"%.*s\" in \"%s\"", SLICE_ARGS(entries[k].literal), text);
      }
    }
  }
  g_rand_free(random);
}
END_TEST

/* Thousands of literals of few letters: most share their four bytes with many others, more than the hash table takes: those go into the automaton. */
START_TEST(the_matcher_finds_literals_in_a_crowd) {
  enum { LITERALS = 3000, TEXTS = 40, TEXT_LENGTH = 40 };
  GRand *random = g_rand_new_with_seed((guint32)(9 + _i));
  g_autoptr(Arena) arena = arena_new(0);
  LiteralEntry *entries = ARENA_NEW_ARRAY(arena, LiteralEntry, LITERALS);
  int letters = 2 + _i % 4, shortest = 1 + _i % 8;
  for (size_t i = 0; i < LITERALS; i++) {
    size_t length = (size_t)(shortest + g_rand_int_range(random, 0, 6));
    char *text = arena_alloc_text(arena, length);
    for (size_t k = 0; k < length; k++)
      text[k] = (char)('a' + g_rand_int_range(random, 0, letters));
    entries[i] = (LiteralEntry){slice_make(text, length), (uint32_t)i};
  }
  const LiteralMatcher *matcher = literal_matcher_new(arena, entries, LITERALS);
  size_t hits = 0;
  for (int i = 0; i < TEXTS; i++) {
    char text[TEXT_LENGTH];
    bool found[LITERALS] = {false};
    size_t length = (size_t)g_rand_int_range(random, 0, TEXT_LENGTH);
    for (size_t k = 0; k < length; k++)
      text[k] = (char)((g_rand_boolean(random) ? 'a' : 'A') + g_rand_int_range(random, 0, letters));
    literal_matcher_scan(matcher, slice_make(text, length), note, found);
    for (size_t k = 0; k < LITERALS; k++) {
      const Literals one = {1, &entries[k].literal};
      bool holds = literals_found(&one, slice_make(text, length));
      ck_assert_msg(found[entries[k].target] == holds, "\"%.*s\" in \"%.*s\"", SLICE_ARGS(entries[k].literal), (int)length, text);
      hits += holds;
    }
  }
  ck_assert_uint_gt(hits, 0);
  g_rand_free(random);
}
END_TEST

static IpAddress random_address(GRand *random) {
  IpAddress address = {.family = g_rand_boolean(random) ? 4 : 6};
  for (int i = 0; i < (address.family == 4 ? 4 : 16); i++)
    address.bytes[i] = (uint8_t)(g_rand_int_range(random, 0, 4) ? (g_rand_boolean(random) ? 0 : 255) : g_rand_int_range(random, 0, 256));
  return address;
}

START_TEST(the_tree_finds_all_networks) {
  enum { NETWORKS = 200 };
  GRand *random = g_rand_new_with_seed(5);
  for (int round = 0; round < 300; round++) {
    g_autoptr(Arena) arena = arena_new(0);
    NetworkEntry entries[NETWORKS];
    IpNetwork networks[NETWORKS];
    size_t count = (size_t)g_rand_int_range(random, 1, NETWORKS);
    for (size_t i = 0; i < count; i++) {
      IpAddress address = random_address(random);
      networks[i] = ip_network_of(&address, (uint8_t)g_rand_int_range(random, 0, address.family == 4 ? 33 : 129));
      entries[i] = (NetworkEntry){networks[i], (uint32_t)i};
    }
    const NetworkTree *tree = network_tree_new(arena, entries, count);
    for (int i = 0; i < 200; i++) {
      IpAddress address = i % 2 ? random_address(random) : networks[(size_t)i % count].address;
      bool found[NETWORKS] = {false};
      network_tree_find(tree, &address, note, found);
      for (size_t k = 0; k < count; k++)
        ck_assert(found[k] == ip_network_contains(&networks[k], &address));
    }
  }
  g_rand_free(random);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, cases_are_as_written);
  tcase_add_test(tests, a_match_holds_a_literal);
  tcase_add_test(tests, a_limit_counts_only_with_the_literal);
  tcase_add_test(tests, a_hot_regex_says_the_same);
  tcase_add_test(tests, the_matcher_finds_what_a_search_finds);
  tcase_add_loop_test(tests, the_matcher_finds_literals_in_a_crowd, 0, 12);
  tcase_add_test(tests, the_tree_finds_all_networks);
}

UNIT_MAIN("literals", add_tests)
