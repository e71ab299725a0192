/*
 * regex.c: compiling and matching regular expressions (regex.h). Thread-safe: what becomes hot is compiled aside and put in place at one stroke.
 */
#include "common/rules/regex.h"

#include "common/rules/regex_plain.h"

enum { HOT_MATCHES = 64 };

static bool has_machine_code(const pcre2_code *code) {
  size_t size = 0;
  (void)pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &size);
  return size > 0;
}

static void release(void *object) {
  Regex *regex = object;
  pcre2_code_free(g_atomic_pointer_get(&regex->hot));
  pcre2_code_free(regex->code);
}

Regex *regex_new(Arena *arena, Slice pattern, bool exact_case, bool at_once, char message[128], size_t *offset) {
  int error;
  uint32_t options = PCRE2_DOTALL | (exact_case ? 0 : PCRE2_CASELESS), all_options = 0;
  PCRE2_SPTR bytes = (PCRE2_SPTR)(pattern.length > 0 ? pattern.data : "");
  pcre2_code *code = pcre2_compile(bytes, pattern.length, options, &error, offset, NULL);
  if (code == NULL) {
    (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)message, 128);
    return NULL;
  }
  /* Where the system forbids it (write and execute), matching goes on without. */
  if (at_once)
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  Regex *regex = ARENA_NEW(arena, Regex);
  regex->code = code;
  regex->pattern = slice_copy(arena, pattern);
  regex->exact_case = exact_case;
  regex->literals = literals_of_pattern(arena, pattern);
  if (regex->literals == NULL) {
    RegexPlain plain = regex_plain(pattern, &regex->longest);
    regex->unusual = plain.refusal;
    regex->size = plain.size;
  }
  (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &regex->captures);
  (void)pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &all_options);
  regex->is_utf = (all_options & PCRE2_UTF) != 0;
  regex->runs_directly = at_once && !regex->is_utf && has_machine_code(code);
  arena_on_reset(arena, release, regex);
  return regex;
}

/* Once: the thread whose match was the last one too many. */
static void heat(Regex *regex) {
  pcre2_code *hot = pcre2_code_copy(regex->code);
  if (hot != NULL && pcre2_jit_compile(hot, PCRE2_JIT_COMPLETE) == 0 && has_machine_code(hot))
    g_atomic_pointer_set(&regex->hot, hot);
  else
    pcre2_code_free(hot);
}

/* The count, and the code that comes of it, are what is not fixed in a ruleset. */
static const pcre2_code *hot_code(const Regex *regex) {
  Regex *counted = (Regex *)(uintptr_t)regex;
  const pcre2_code *hot = g_atomic_pointer_get(&counted->hot);
  if (hot != NULL || g_atomic_int_get(&counted->matches) >= HOT_MATCHES)
    return hot;
  if (g_atomic_int_add(&counted->matches, 1) == HOT_MATCHES - 1)
    heat(counted);
  return g_atomic_pointer_get(&counted->hot);
}

static bool is_limit(int code) {
  return code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT || code == PCRE2_ERROR_HEAPLIMIT ||
         code == PCRE2_ERROR_JIT_STACKLIMIT;
}

/* Past a limit: true when there is no match for sure. */
static bool is_out_of_question(const Regex *regex, Slice text) {
  return regex->literals != NULL && !literals_found(regex->literals, text);
}

int regex_match(const Regex *regex, Slice text, pcre2_match_data *data, pcre2_match_context *context) {
  PCRE2_SPTR bytes = (PCRE2_SPTR)(text.length > 0 ? text.data : "");
  const pcre2_code *hot = regex->runs_directly ? regex->code : regex->is_utf ? NULL : hot_code(regex);
  int code = hot != NULL ? pcre2_jit_match(hot, bytes, text.length, 0, 0, data, context)
                         : pcre2_match(regex->code, bytes, text.length, 0, 0, data, context);
  if (code < 0 && is_limit(code) && is_out_of_question(regex, text))
    return PCRE2_ERROR_NOMATCH;
  return code;
}
