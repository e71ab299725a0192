/*
 * test_regex_set.c: which patterns are plain; that a search which meets a limit is decided for these; that a set never says no to what PCRE2 does not say no to,
 * while it is compiled and after, from several threads; that it may go at any time. Without libhs only the former two.
 */
#include "common/rules/regex_set.h"

#include <pthread.h>

#include "common/rules/regex_plain.h"
#include "tests/unit/unit.h"

/* Sanitizers take ten times as long and more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 4 };
#else
enum { ROUNDS = 20 };
#endif
enum { REGEXES = 80, TEXTS = 300, THREADS = 4, TEXT_MAX = 40 };

static const char *const plain[] = {
    "",       "^$",        "^[0-9]+$", "a|b",   "(a|)b?",     "(?:[a-z][0-9]){3}", "\\d\\D\\w\\W\\s\\S", "\\bx\\B",        "\\A.\\z|\\Z",
    "[^a-]",  "[-a]",      "(?i)[a]",  "x{0,}", "x{3}?",      "[[:alpha:]_]",      "\\x41[\\x41-\\x5a]", "[\\]\\[\\-\\^]", "a b#",
    "[a-c.]", "(a*?b+?)*", "((a)b)?",  "~!@%&", "^.{0,255}$", "[\\d.]+",           "\\.\\/\\-",          "[.*+?(){}|$^]",  "(^|x)y"};
static const char *const unusual[] = {
    "(a)\\1",      "(?=a)",   "(?<!a)b", "(?>a)",  "a++",     "a{2}+", "(?i:a)",  "a(?i)b", "(?x)a",     "\\Qa\\E", "[]a]",  "[^]a]",
    "[[:upper:]]", "[a[b]",   "a{,3}",   "a{",     "(*UTF)a", "\\R",   "\\N{2}",  "\\K",    "\\h",       "\\141",   "[\\b]", "[\\d-z]",
    "\xc3\xa4",    "(?<n>a)", "(?|a|b)", "(?#x)",  "a}",      "]",     "\\o{1}",  "\\x{4}", "^*",        "\\b+",    "\\G",   "(?R)?",
    "(*ACCEPT)a",  "\\xf",    "[\\w-.]", "\\p{L}", "\\cA",    "\\e",   "[[.a.]]", "a***",   "[a\\Qb\\E]"};
static const char *const large[] = {".{300}", "(.{20}){20}", "((.{10}){10}){10}", ".{1,99999}"};

START_TEST(plain_patterns) {
  for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
    ck_assert_msg(regex_plain_refusal(slice_from(plain[i])) == NULL, "/%s/ is plain", plain[i]);
  for (size_t i = 0; i < G_N_ELEMENTS(unusual); i++)
    ck_assert_msg(regex_plain_refusal(slice_from(unusual[i])) != NULL, "/%s/ is not plain", unusual[i]);
  for (size_t i = 0; i < G_N_ELEMENTS(large); i++)
    ck_assert_str_eq(regex_plain_refusal(slice_from(large[i])), "it is too long or repeats too much");
}
END_TEST

static Regex *compile(Arena *arena, const char *pattern, bool exact_case) {
  char message[128];
  size_t offset;
  return regex_new(arena, slice_from(pattern), exact_case, false, message, &offset);
}

/* Of a search without end in a short text, no match is no match; in a long one, and of a regex that is not plain, nobody knows. */
START_TEST(a_limit_is_decided) {
  static const struct {
    const char *pattern;
    unsigned length;
    char last;
    int code;
  } cases[] = {
      {"^([a-z]+[a-z]+)+$", 60, '1', PCRE2_ERROR_NOMATCH},
      {"([a-z]+[a-z]+)+[0-8]", REGEX_DECIDED_MAX, '9', PCRE2_ERROR_NOMATCH},
      {"^([a-z]+[a-z]+)+$", REGEX_DECIDED_MAX + 1, '1', PCRE2_ERROR_MATCHLIMIT},
      {"^(?:[a-z]+[a-z]+)+(?!1)$", 60, '1', PCRE2_ERROR_MATCHLIMIT},
      {"^([a-z]+[a-z]+)+(x|[0-9]|[a-z])[0-9]?$", 60, '.', PCRE2_ERROR_NOMATCH},
      {"(([a-z]+[a-z]+)+|[a-z0-9]+)$", 60, '1', PCRE2_ERROR_MATCHLIMIT},
  };
  g_autoptr(Arena) arena = arena_new(0);
  pcre2_match_data *data = pcre2_match_data_create(8, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  (void)pcre2_set_match_limit(context, 1000);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = g_strnfill(cases[i].length, 'x');
    text[cases[i].length - 1] = cases[i].last;
    const Regex *regex = compile(arena, cases[i].pattern, false);
    ck_assert_ptr_nonnull(regex);
    ck_assert_int_eq(regex_match(regex, slice_from(text), data, context), cases[i].code);
  }
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
}
END_TEST

/* ---- a set against PCRE2 ---- */

static const char *const pieces[] = {
    "a",   "B",    "b",     ".",     "\\.",  "[ab]",   "[^a]",     "[b-y]", "\\w",    "\\d",          "\\s",    "\\W", "\\S", "\\D",
    "\\b", "\\B",  "^",     "$",     "\\A",  "\\z",    "\\Z",      "\\n",   "(",      "(?:",          ")",      "|",   "*",   "+",
    "?",   "*?",   "+?",    "{2}",   "{1,}", "{0,2}",  "{2,5}?",   "\\x41", "-",      "[[:alpha:]]",  "[.-]",   " ",   "1",   "@",
    "_",   "(a|)", "(^|a)", "(b|$)", "\\t",  "[^\\w]", "[\\s\\d]", "#",     "[a\\]]", "[[:punct:]x]", "(?:.|)", ","};

static char *random_pattern(GRand *random) {
  GString *pattern = g_string_new(g_rand_int_range(random, 0, 10) ? NULL : "(?i)");
  int count = g_rand_int_range(random, 1, 8), open = 0;
  for (int i = 0; i < count; i++) {
    const char *piece = pieces[g_rand_int_range(random, 0, (gint32)G_N_ELEMENTS(pieces))];
    open += (strcmp(piece, "(") == 0 || strcmp(piece, "(?:") == 0) - (strcmp(piece, ")") == 0);
    g_string_append(pattern, piece);
  }
  for (; open > 0; open--)
    g_string_append_c(pattern, ')');
  return g_string_free(pattern, FALSE);
}

static Slice random_text(GRand *random, char text[TEXT_MAX]) {
  static const char bytes[] = "aaabbbAABB..  cyz1290#@_-,\n\n\t\r\v\f";
  int length = g_rand_int_range(random, 0, g_rand_boolean(random) ? 5 : TEXT_MAX);
  for (int i = 0; i < length; i++)
    text[i] =
        g_rand_int_range(random, 0, 12) ? bytes[g_rand_int_range(random, 0, (gint32)sizeof bytes)] : (char)g_rand_int_range(random, 0, 256);
  return slice_make(text, (size_t)length);
}

/* Regexes that sets take, compiled and entered; each is a target. */
static size_t make_regexes(GRand *random, Arena *arena, RegexSetEntry entries[REGEXES]) {
  size_t count = 0;
  for (int tries = 0; tries < 40 * REGEXES && count < REGEXES; tries++) {
    g_autofree char *pattern = random_pattern(random);
    Regex *regex = compile(arena, pattern, g_rand_boolean(random));
    if (regex != NULL && regex->literals == NULL && regex_set_refusal(regex, false) == NULL) {
      entries[count] = (RegexSetEntry){regex, (uint32_t)count};
      count++;
    }
  }
  return count;
}

static void note(void *data, uint32_t target) {
  ((bool *)data)[target] = true;
}

/* The number of regexes that the set could tell do not match. Where PCRE2 meets its limit, it does not say. */
static unsigned compare(RegexSet *set, const RegexSetEntry *entries, size_t count, Slice text, pcre2_match_data *data,
                        pcre2_match_context *context) {
  bool found[REGEXES] = {false};
  unsigned spared = 0;
  regex_set_scan(set, text, note, found);
  for (size_t i = 0; i < count; i++) {
    spared += !found[i];
    if (found[i])
      continue;
    int code = pcre2_match(entries[i].regex->code, (PCRE2_SPTR)text.data, text.length, 0, 0, data, context);
    ck_assert_msg(code == PCRE2_ERROR_NOMATCH || code == PCRE2_ERROR_MATCHLIMIT, "/%.*s/%s in a text of %zu bytes: %d",
                  SLICE_ARGS(entries[i].regex->pattern), entries[i].regex->exact_case ? "c" : "", text.length, code);
  }
  return spared;
}

START_TEST(a_set_says_no_only_where_pcre2_does) {
  if (regex_set_engine() == NULL)
    return;
  GRand *random = g_rand_new_with_seed(11);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  (void)pcre2_set_match_limit(context, 2000);
  unsigned spared = 0;
  for (int round = 0; round < ROUNDS; round++) {
    g_autoptr(Arena) arena = arena_new(0);
    RegexSetEntry entries[REGEXES];
    size_t count = make_regexes(random, arena, entries);
    ck_assert_uint_gt(count, REGEXES / 2);
    RegexSet *set = regex_set_new(arena, entries, count);
    char text[TEXT_MAX];
    ck_assert_uint_eq(compare(set, entries, count, random_text(random, text), data, context), 0);
    ck_assert(regex_set_prepare(set));
    for (int i = 0; i < TEXTS; i++)
      spared += compare(set, entries, count, random_text(random, text), data, context);
    for (int byte = 0; byte < 256; byte++) {
      text[0] = (char)byte;
      spared += compare(set, entries, count, slice_make(text, 1), data, context);
    }
  }
  ck_assert_uint_gt(spared, (unsigned)ROUNDS * REGEXES * TEXTS / 10);
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
  g_rand_free(random);
}
END_TEST

/* What is empty, and what is longer than a limit is decided for, is for PCRE2 alone. */
START_TEST(some_texts_are_not_scanned) {
  if (regex_set_engine() == NULL)
    return;
  g_autoptr(Arena) arena = arena_new(0);
  const RegexSetEntry entry = {compile(arena, "^[0-9]+$", false), 0};
  RegexSet *set = regex_set_new(arena, &entry, 1);
  g_autofree char *text = g_strnfill(REGEX_DECIDED_MAX + 1, 'x');
  ck_assert(regex_set_prepare(set));
  for (size_t length = 0; length <= REGEX_DECIDED_MAX + 1; length++) {
    bool found = false;
    regex_set_scan(set, slice_make(text, length), note, &found);
    ck_assert(found == (length == 0 || length > REGEX_DECIDED_MAX));
  }
}
END_TEST

typedef struct Scanner {
  RegexSet *set;
  const RegexSetEntry *entries;
  size_t count;
  guint32 seed;
  unsigned spared, wrong;
} Scanner;

static void *scan_much(void *of) {
  Scanner *scanner = of;
  GRand *random = g_rand_new_with_seed(scanner->seed);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  (void)pcre2_set_match_limit(context, 2000);
  char text[TEXT_MAX];
  for (int i = 0; i < 3 * TEXTS; i++) {
    bool found[REGEXES] = {false};
    Slice slice = random_text(random, text);
    regex_set_scan(scanner->set, slice, note, found);
    for (size_t k = 0; k < scanner->count; k++) {
      scanner->spared += !found[k];
      scanner->wrong +=
          !found[k] && pcre2_match(scanner->entries[k].regex->code, (PCRE2_SPTR)slice.data, slice.length, 0, 0, data, context) >= 0;
    }
  }
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
  g_rand_free(random);
  return NULL;
}

/* Threads scan while the set is compiled, which their scans have begun, and when it is ready. */
START_TEST(threads_share_a_set) {
  if (regex_set_engine() == NULL)
    return;
  GRand *random = g_rand_new_with_seed(12);
  g_autoptr(Arena) arena = arena_new(0);
  RegexSetEntry entries[REGEXES];
  size_t count = make_regexes(random, arena, entries);
  RegexSet *set = regex_set_new(arena, entries, count);
  unsigned spared = 0;
  for (int round = 0; round < 2; round++) {
    pthread_t threads[THREADS];
    Scanner scanners[THREADS];
    for (int i = 0; i < THREADS; i++) {
      scanners[i] = (Scanner){set, entries, count, (guint32)i + 1, 0, 0};
      ck_assert_int_eq(pthread_create(&threads[i], NULL, scan_much, &scanners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
      ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
      ck_assert_uint_eq(scanners[i].wrong, 0);
      spared += scanners[i].spared;
    }
    ck_assert(regex_set_prepare(set));
  }
  ck_assert_uint_gt(spared, 0);
  g_rand_free(random);
}
END_TEST

START_TEST(a_set_may_go_while_it_is_compiled) {
  if (regex_set_engine() == NULL)
    return;
  GRand *random = g_rand_new_with_seed(13);
  for (int scans = 0; scans < 80; scans += 20) {
    Arena *arena = arena_new(0);
    RegexSetEntry entries[REGEXES];
    size_t count = make_regexes(random, arena, entries);
    RegexSet *set = regex_set_new(arena, entries, count);
    bool found[REGEXES] = {false};
    for (int i = 0; i < scans; i++)
      regex_set_scan(set, SLICE_LITERAL("a.b"), note, found);
    arena_free(arena);
  }
  g_rand_free(random);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, plain_patterns);
  tcase_add_test(tests, a_limit_is_decided);
  tcase_add_test(tests, a_set_says_no_only_where_pcre2_does);
  tcase_add_test(tests, some_texts_are_not_scanned);
  tcase_add_test(tests, threads_share_a_set);
  tcase_add_test(tests, a_set_may_go_while_it_is_compiled);
}

UNIT_MAIN("regex sets", add_tests)
