/*
 * test_regex_set.c: which patterns are plain; that no search takes more steps than is told; that a set never says no to what PCRE2 does not say no to,
 * while it is compiled and after, from several threads; that it may go at any time. Without libhs only the former two.
 */
#include "common/rules/regex_set.h"

#include <pthread.h>

#include "common/base/limits.h"
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
    ck_assert_msg(regex_plain_read(slice_from(plain[i]), 64).refusal == NULL, "/%s/ is plain", plain[i]);
  for (size_t i = 0; i < G_N_ELEMENTS(unusual); i++)
    ck_assert_msg(regex_plain_read(slice_from(unusual[i]), 64).refusal != NULL, "/%s/ is not plain", unusual[i]);
  for (size_t i = 0; i < G_N_ELEMENTS(large); i++)
    ck_assert_str_eq(regex_plain_read(slice_from(large[i]), 64).refusal, "it is too long or repeats too much");
}
END_TEST

static Regex *compile(Arena *arena, const char *pattern, bool exact_case) {
  char message[128];
  size_t offset;
  return regex_new(arena, slice_from(pattern), exact_case, false, message, &offset);
}

/* What may take too many steps is for PCRE2 alone; the length up to which it may not. */
START_TEST(steps_are_bounded) {
  static const struct {
    const char *pattern;
    size_t longest;
  } cases[] = {{"^[0-9]+$", 255},
               {"[0-9]{2,}x?[a-f]$", 96},
               {"^[0-9]+[-.][0-9]+[-.][0-9]+", 255},
               {"^(a|b)[0-9]$", 255},
               {"^([a-z]+[a-z]+)+$", 0},
               {"(a+)+[bc]", 0},
               {"^(a|a)+$", 0},
               {"(x*)*y", 0},
               {".*.*.*[0-9]$", 0},
               {"^([a-z0-9]+[.])+[0-9]", 96},
               {"^[a-z]+[0-9]+[a-z]+[0-9]+$", 255}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    size_t longest = 1;
    RegexPlain told = regex_plain(slice_from(cases[i].pattern), &longest);
    ck_assert_msg(longest == cases[i].longest && (told.refusal == NULL) == (longest > 0), "/%s/: %zu", cases[i].pattern, longest);
  }
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

static const char *const bounded_pieces[] = {"a",   "b",     "[ab]",  "[^a]",  ".",      "\\w", "(",  "(?:", ")",   ")+",
                                             ")*",  ")?",    ")*?",   "){2}",  "){0,3}", "a+",  "b*", "b?",  "a??", ".*",
                                             "a*?", "[ab]+", "a{2,}", "[bc]*", "|",      "^",   "$",  "\\b", "b+?", "c?"};

static char *bounded_pattern(GRand *random) {
  GString *pattern = g_string_new(NULL);
  int count = g_rand_int_range(random, 2, 10), open = 0;
  for (int i = 0; i < count; i++) {
    const char *piece = bounded_pieces[g_rand_int_range(random, 0, (gint32)G_N_ELEMENTS(bounded_pieces))];
    if (piece[0] == ')' && open == 0)
      continue;
    open += (piece[0] == '(') - (piece[0] == ')');
    g_string_append(pattern, piece);
  }
  for (; open > 0; open--)
    g_string_append(pattern, g_rand_boolean(random) ? ")+" : ")");
  return g_string_free(pattern, FALSE);
}

static Slice bounded_text(GRand *random, char *text, size_t length) {
  static const char *const kinds[] = {"a", "ab", "aaaaaab", "abc", "aB.\n"};
  const char *bytes = kinds[g_rand_int_range(random, 0, (gint32)G_N_ELEMENTS(kinds))];
  for (size_t i = 0; i < length; i++)
    text[i] = bytes[g_rand_int_range(random, 0, (gint32)strlen(bytes))];
  if (g_rand_boolean(random))
    text[length - 1] = "!\nac"[g_rand_int_range(random, 0, 4)];
  return slice_make(text, length);
}

/* What is told as the bound is set as PCRE2's limit: neither of its two ways of matching meets it, nor another. */
START_TEST(a_bound_is_never_met) {
  static const size_t lengths[] = {1, 2, 5, 12, 30, 64, REGEX_PLAIN_TEXT_MAX};
  GRand *random = g_rand_new_with_seed(14);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  char text[REGEX_PLAIN_TEXT_MAX];
  unsigned compared = 0;
  for (int i = 0; i < ROUNDS * 300; i++) {
    g_autoptr(Arena) arena = arena_new(0);
    g_autofree char *pattern = bounded_pattern(random);
    Regex *regex = compile(arena, pattern, g_rand_boolean(random));
    if (regex == NULL || pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) != 0)
      continue;
    for (size_t k = 0; k < G_N_ELEMENTS(lengths); k++) {
      RegexPlain told = regex_plain_read(slice_from(pattern), lengths[k]);
      bool is_within = told.refusal == NULL && told.steps <= LIMIT_REGEX_STEPS && (lengths[k] < 64 || regex->longest >= lengths[k]);
      for (int t = 0; t < 6 && is_within; t++, compared++) {
        Slice subject = bounded_text(random, text, lengths[k]);
        (void)pcre2_set_match_limit(context, (uint32_t)told.steps);
        int slow = pcre2_match(regex->code, (PCRE2_SPTR)subject.data, subject.length, 0, PCRE2_NO_JIT, data, context);
        int fast = pcre2_match(regex->code, (PCRE2_SPTR)subject.data, subject.length, 0, 0, data, context);
        ck_assert_msg(slow >= PCRE2_ERROR_NOMATCH && fast >= PCRE2_ERROR_NOMATCH, "/%s/ in %.*s: %d, %d, %u steps", pattern,
                      SLICE_ARGS(subject), slow, fast, (unsigned)told.steps);
      }
    }
  }
  ck_assert_uint_gt(compared, ROUNDS * 300);
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
  g_rand_free(random);
}
END_TEST

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

/* The number of regexes that the set could tell do not match. PCRE2 meets no limit there. */
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
    ck_assert_msg(code == PCRE2_ERROR_NOMATCH, "/%.*s/%s in a text of %zu bytes: %d", SLICE_ARGS(entries[i].regex->pattern),
                  entries[i].regex->exact_case ? "c" : "", text.length, code);
  }
  return spared;
}

START_TEST(a_set_says_no_only_where_pcre2_does) {
  if (regex_set_engine() == NULL)
    return;
  GRand *random = g_rand_new_with_seed(11);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  (void)pcre2_set_match_limit(context, LIMIT_REGEX_STEPS);
  unsigned spared = 0;
  for (int round = 0; round < ROUNDS / 2; round++) {
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
  ck_assert_uint_gt(spared, (unsigned)ROUNDS * REGEXES * TEXTS / 20);
  pcre2_match_context_free(context);
  pcre2_match_data_free(data);
  g_rand_free(random);
}
END_TEST

/* What is empty, and what is longer than the search is bounded for, is for PCRE2 alone. */
START_TEST(some_texts_are_not_scanned) {
  if (regex_set_engine() == NULL)
    return;
  g_autoptr(Arena) arena = arena_new(0);
  RegexSetEntry entries[2] = {{compile(arena, "^([a-z0-9]+[.])+[0-9]", false), 0}, {compile(arena, "^[0-9]+$", false), 1}};
  char text[REGEX_PLAIN_TEXT_MAX + 1];
  memset(text, '!', sizeof text);
  for (size_t count = 1; count <= 2; count++) {
    RegexSet *set = regex_set_new(arena, entries, count);
    ck_assert(regex_set_prepare(set));
    for (size_t length = 0; length <= sizeof text; length++) {
      bool found[2] = {false, false};
      regex_set_scan(set, slice_make(text, length), note, found);
      ck_assert(found[0] == (length == 0 || length > entries[0].regex->longest));
    }
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
  (void)pcre2_set_match_limit(context, LIMIT_REGEX_STEPS);
  char text[TEXT_MAX];
  for (int i = 0; i < 3 * TEXTS; i++) {
    bool found[REGEXES] = {false};
    Slice slice = random_text(random, text);
    regex_set_scan(scanner->set, slice, note, found);
    for (size_t k = 0; k < scanner->count; k++) {
      scanner->spared += !found[k];
      scanner->wrong += !found[k] && pcre2_match(scanner->entries[k].regex->code, (PCRE2_SPTR)slice.data, slice.length, 0, 0, data,
                                                 context) != PCRE2_ERROR_NOMATCH;
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
  tcase_add_test(tests, steps_are_bounded);
  tcase_add_test(tests, a_bound_is_never_met);
  tcase_add_test(tests, a_set_says_no_only_where_pcre2_does);
  tcase_add_test(tests, some_texts_are_not_scanned);
  tcase_add_test(tests, threads_share_a_set);
  tcase_add_test(tests, a_set_may_go_while_it_is_compiled);
}

UNIT_MAIN("regex sets", add_tests)
