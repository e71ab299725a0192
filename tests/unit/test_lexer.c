/* test_lexer.c: tokens, their values and places. */
#include "common/base/diagnostics.h"
#include "common/rules/lexer.h"
#include "tests/unit/unit.h"

typedef struct Lexed {
  Arena *arena;
  Diagnostics *diagnostics;
  Lexer lexer;
} Lexed;

static void lex(Lexed *lexed, const char *text) {
  lexed->arena = arena_new(0);
  lexed->diagnostics = diagnostics_new();
  SourceText *source = ARENA_NEW(lexed->arena, SourceText);
  *source = (SourceText){.name = "t", .text = slice_from(text)};
  lexer_init(&lexed->lexer, lexed->arena, source, lexed->diagnostics);
}

static void done(Lexed *lexed) {
  diagnostics_free(lexed->diagnostics);
  arena_free(lexed->arena);
}

static const struct {
  const char *text;
  TokenKind kind;
  const char *inside; /* the token's text; NULL: the whole */
  int64_t number;
} GOOD[] = {
    {"sender", TOKEN_WORD, NULL, 0},
    {"sender.domain", TOKEN_WORD, NULL, 0},
    {"_x9", TOKEN_WORD, NULL, 0},
    {"face", TOKEN_WORD, NULL, 0},
    {"42", TOKEN_INT, NULL, 42},
    {"007", TOKEN_INT, NULL, 7},
    {"9223372036854775807", TOKEN_INT, NULL, INT64_MAX},
    {"3.25", TOKEN_DECIMAL, NULL, 0},
    {"5.7.1", TOKEN_ENHANCED, NULL, 0},
    {"5.7.123", TOKEN_ENHANCED, NULL, 0},
    {"10M", TOKEN_SIZE, NULL, 10485760},
    {"1K", TOKEN_SIZE, NULL, 1024},
    {"2G", TOKEN_SIZE, NULL, INT64_C(2147483648)},
    {"1T", TOKEN_SIZE, NULL, INT64_C(1099511627776)},
    {"30s", TOKEN_DURATION, NULL, 30},
    {"5m", TOKEN_DURATION, NULL, 300},
    {"2h", TOKEN_DURATION, NULL, 7200},
    {"2d", TOKEN_DURATION, NULL, 172800},
    {"1w", TOKEN_DURATION, NULL, 604800},
    {"09:30", TOKEN_TIME, NULL, 34200},
    {"00:00", TOKEN_TIME, NULL, 0},
    {"23:59", TOKEN_TIME, NULL, 86340},
    {"2026-11-23", TOKEN_DATE, NULL, 20261123},
    {"2024-02-29", TOKEN_DATE, NULL, 20240229},
    {"192.0.2.1", TOKEN_IP, NULL, 0},
    {"192.0.2.0/24", TOKEN_NET, NULL, 0},
    {"0.0.0.0/0", TOKEN_NET, NULL, 0},
    {"2001:db8::1", TOKEN_IP, NULL, 0},
    {"::", TOKEN_IP, NULL, 0},
    {"fe80::1", TOKEN_IP, NULL, 0},
    {"::ffff:192.0.2.1", TOKEN_IP, NULL, 0},
    {"2001:db8::/32", TOKEN_NET, NULL, 0},
    {"<>", TOKEN_NULL_SENDER, NULL, 0},
    {"\"\"", TOKEN_STRING, "", 0},
    {"\"a b\"", TOKEN_STRING, "a b", 0},
    {"\"\\\"\"", TOKEN_STRING, "\\\"", 0},
    {"\"\\\\\"", TOKEN_STRING, "\\\\", 0},
    {"\"{a default \"x}\"}\"", TOKEN_STRING, "{a default \"x}\"}", 0},
    {"\"{{\"", TOKEN_STRING, "{{", 0},
    {"\"}\"", TOKEN_STRING, "}", 0},
    {"\"{ {1} }\"", TOKEN_STRING, "{ {1} }", 0},
    {"/a\\/b/", TOKEN_REGEX, "a\\/b", 0},
    {"/a/i", TOKEN_REGEX, "a", 0},
    {"/a/c", TOKEN_REGEX, "a", 0},
    {"==", TOKEN_EQUAL, NULL, 0},
    {"!=", TOKEN_NOT_EQUAL, NULL, 0},
    {"<", TOKEN_LESS, NULL, 0},
    {"<=", TOKEN_LESS_EQUAL, NULL, 0},
    {">", TOKEN_GREATER, NULL, 0},
    {">=", TOKEN_GREATER_EQUAL, NULL, 0},
    {"~", TOKEN_MATCH, NULL, 0},
    {"!~", TOKEN_NOT_MATCH, NULL, 0},
    {"=", TOKEN_ASSIGN, NULL, 0},
    {"->", TOKEN_ARROW, NULL, 0},
    {"..", TOKEN_RANGE, NULL, 0},
    {".", TOKEN_DOT, NULL, 0},
    {",", TOKEN_COMMA, NULL, 0},
    {"+", TOKEN_PLUS, NULL, 0},
    {"-", TOKEN_MINUS, NULL, 0},
    {"{", TOKEN_OPEN_BRACE, NULL, 0},
    {"}", TOKEN_CLOSE_BRACE, NULL, 0},
    {"(", TOKEN_OPEN_PAREN, NULL, 0},
    {")", TOKEN_CLOSE_PAREN, NULL, 0},
    {"[", TOKEN_OPEN_BRACKET, NULL, 0},
    {"]", TOKEN_CLOSE_BRACKET, NULL, 0},
};

START_TEST(one_token) {
  const char *inside = GOOD[_i].inside != NULL ? GOOD[_i].inside : GOOD[_i].text;
  Lexed lexed;
  lex(&lexed, GOOD[_i].text);
  Token token = lexer_next(&lexed.lexer);
  ck_assert_int_eq(token.kind, GOOD[_i].kind);
  ck_assert_msg(slice_equal(token.text, slice_from(inside)), "%s", GOOD[_i].text);
  ck_assert_int_eq(token.number, GOOD[_i].number);
  ck_assert_uint_eq(token.span.length, strlen(GOOD[_i].text));
  ck_assert(token.starts_line);
  ck_assert_int_eq(lexer_next(&lexed.lexer).kind, TOKEN_END);
  ck_assert_int_eq(lexer_next(&lexed.lexer).kind, TOKEN_END);
  ck_assert_uint_eq(diagnostics_count(lexed.diagnostics), 0);
  done(&lexed);
}
END_TEST

static const struct {
  const char *text;
  TokenKind kind; /* what it is taken for, so that it is told once */
  const char *message;
} BAD[] = {
    {"\"abc", TOKEN_BAD, "the string that starts here is not closed"},
    {"\"abc\\\"", TOKEN_BAD, "the string that starts here is not closed"},
    {"\"abc\\", TOKEN_BAD, "the string that starts here is not closed"},
    {"\"abc\n\"", TOKEN_BAD, "the string that starts here is not closed"},
    {"\"a{b\"", TOKEN_BAD, "the template that starts here is not closed"},
    {"\"a{b\" c", TOKEN_BAD, "the template that starts here is not closed"},
    {"/abc", TOKEN_BAD, "the regex that starts here is not closed"},
    {"/abc/x", TOKEN_REGEX, "unknown flags \"x\" of a regex"},
    {"/abc/ci", TOKEN_REGEX, "unknown flags \"ci\" of a regex"},
    {"10.0.0.1/8", TOKEN_NET, "\"10.0.0.1/8\" has bits set behind its prefix"},
    {"10.0.0.0/33", TOKEN_NET, "the prefix of \"10.0.0.0/33\" is no number that fits the address"},
    {"10.0.0.256", TOKEN_IP, "\"10.0.0.256\" is no IP address"},
    {"1.2.3.4.5", TOKEN_IP, "\"1.2.3.4.5\" is no IP address"},
    {"10.0/8", TOKEN_NET, "\"10.0/8\" is no IP address"},
    {"1::2::3", TOKEN_IP, "\"1::2::3\" is no IP address"},
    {"2001:db8::1/32", TOKEN_NET, "\"2001:db8::1/32\" has bits set behind its prefix"},
    {"24:00", TOKEN_TIME, "\"24:00\" is no time of day"},
    {"9:30", TOKEN_TIME, "\"9:30\" is no time of day"},
    {"2026-02-29", TOKEN_DATE, "\"2026-02-29\" is no date"},
    {"2026-2-2", TOKEN_DATE, "\"2026-2-2\" is no date"},
    {"10X", TOKEN_INT, "\"10X\" is no number"},
    {"10MB", TOKEN_INT, "\"10MB\" is no number"},
    {"1.5x", TOKEN_DECIMAL, "\"1.5x\" is no number"},
    {"9223372036854775808", TOKEN_INT, "this number is too large"},
    {"9999999999999T", TOKEN_SIZE, "this number is too large"},
    {"my-name", TOKEN_WORD, "a name has no \"-\""},
    {"&&", TOKEN_BAD, "unexpected \"&&\""},
    {"!", TOKEN_BAD, "unexpected \"!\""},
    {"@", TOKEN_BAD, "unexpected \"@\""},
    {"%", TOKEN_BAD, "unexpected character \"%\""},
    {"\xe2\x80\x9c", TOKEN_BAD, "unexpected character \"\xe2\x80\x9c\""},
};

START_TEST(bad_token) {
  Lexed lexed;
  lex(&lexed, BAD[_i].text);
  Token token = lexer_next(&lexed.lexer);
  ck_assert_msg(token.kind == BAD[_i].kind, "%s", BAD[_i].text);
  ck_assert_uint_eq(diagnostics_count(lexed.diagnostics), 1);
  ck_assert_str_eq(diagnostics_get(lexed.diagnostics, 0)->message, BAD[_i].message);
  done(&lexed);
}
END_TEST

START_TEST(ranges_are_three_tokens) {
  static const char *const texts[] = {"1..5",     "mon..fri", "09:00..17:00", "2026-11-23..2026-12-24", "192.0.2.1..192.0.2.9",
                                      "::1..::2", "1.5..2.5"};
  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    Lexed lexed;
    lex(&lexed, texts[i]);
    TokenKind low = lexer_next(&lexed.lexer).kind;
    ck_assert_int_eq(lexer_next(&lexed.lexer).kind, TOKEN_RANGE);
    ck_assert_int_eq(lexer_next(&lexed.lexer).kind, low);
    ck_assert_int_eq(lexer_next(&lexed.lexer).kind, TOKEN_END);
    done(&lexed);
  }
}
END_TEST

START_TEST(lines_and_comments) {
  Lexed lexed;
  lex(&lexed, "# one  \r\na b # two\r\n  c\n#three");
  Token a = lexer_next(&lexed.lexer), b = lexer_next(&lexed.lexer), c = lexer_next(&lexed.lexer), end = lexer_next(&lexed.lexer);
  ck_assert(a.starts_line && !b.starts_line && c.starts_line && end.starts_line);
  const CommentNode *comment = lexed.lexer.first_comment;
  ck_assert(slice_equal(comment->text, SLICE_LITERAL("# one")) && comment->own_line);
  comment = comment->next;
  ck_assert(slice_equal(comment->text, SLICE_LITERAL("# two")) && !comment->own_line);
  comment = comment->next;
  ck_assert(slice_equal(comment->text, SLICE_LITERAL("#three")) && comment->own_line);
  ck_assert_ptr_null(comment->next);
  done(&lexed);
}
END_TEST

START_TEST(reserved_words_are_known) {
  size_t count = 0;
  for (; reserved_words()[count] != NULL; count++) {
    ck_assert(word_is_reserved(slice_from(reserved_words()[count])));
  }
  ck_assert_uint_eq(count, 25);
  ck_assert(!word_is_reserved(SLICE_LITERAL("sender")));
  ck_assert(!word_is_reserved(SLICE_LITERAL("i")));
  ck_assert(!word_is_reserved(SLICE_EMPTY));
}
END_TEST

START_TEST(deep_strings_end) {
  GString *text = g_string_new(NULL);
  for (int i = 0; i < 100000; i++) {
    g_string_append(text, "\"{");
  }
  Lexed lexed;
  lex(&lexed, text->str);
  ck_assert_int_eq(lexer_next(&lexed.lexer).kind, TOKEN_BAD);
  ck_assert_uint_eq(diagnostics_count(lexed.diagnostics), 1);
  done(&lexed);
  g_string_free(text, TRUE);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, one_token, 0, G_N_ELEMENTS(GOOD));
  tcase_add_loop_test(tests, bad_token, 0, G_N_ELEMENTS(BAD));
  tcase_add_test(tests, ranges_are_three_tokens);
  tcase_add_test(tests, lines_and_comments);
  tcase_add_test(tests, reserved_words_are_known);
  tcase_add_test(tests, deep_strings_end);
}

UNIT_MAIN("lexer", add_tests)
