/*
 * fuzz_socketmap.c: socket maps. A request that comes in pieces reads as when it comes at once; its slices lie inside the bytes; its facts can be read, and what a client said is
 * all behind the first `argument`; whatever stands in it, an answer made from it is one netstring with one token of Sendmail's.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/base/limits.h"
#include "common/door/socketmap.h"

typedef struct Parsed {
  SocketmapParse result;
  SocketmapRequest request;
  size_t used;
  const char *problem;
  Slice excerpt;
} Parsed;

static Parsed parse(Slice bytes) {
  Parsed parsed = {.excerpt = SLICE_EMPTY};
  parsed.result = socketmap_parse(bytes, &parsed.request, &parsed.used, &parsed.problem, &parsed.excerpt);
  g_assert((parsed.result == SOCKETMAP_PARSE_MALFORMED) == (parsed.problem != NULL));
  return parsed;
}

static void check_slice(Slice slice, Slice bytes) {
  g_assert(slice.data == NULL || slice.length == 0 || (slice.data >= bytes.data && slice.data + slice.length <= bytes.data + bytes.length));
}

/* Fewer bytes are not enough, or already too bad. */
static void check_pieces(Slice bytes, const Parsed *whole) {
  size_t step = 1 + bytes.length / 64;
  for (size_t have = 0; have < bytes.length; have += step) {
    Parsed part = parse(slice_make(bytes.data, have));
    if (whole->result == SOCKETMAP_PARSE_REQUEST && have < whole->used) {
      g_assert(part.result == SOCKETMAP_PARSE_MORE);
    } else if (whole->result == SOCKETMAP_PARSE_MORE) {
      g_assert(part.result == SOCKETMAP_PARSE_MORE);
    }
  }
}

static void check_facts(const SocketmapRequest *request) {
  static const SocketmapOptions options = {.server_name = "mx.example.test", .deadline_ms = 8000, .owned = PHASES_ALL};
  g_autoptr(Session) session = session_new(DOOR_SOCKETMAP);
  (void)socketmap_facts(session, request, &options);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const Value *value = session_get(session, (Fact)fact);
    g_assert(value->state == VALUE_SET || value->state == VALUE_UNSET);
  }
}

/* OK WORD "CODE ENHANCED text" */
static void check_answer(Slice text) {
  g_autoptr(Arena) arena = arena_new(0);
  Verdict verdict = {
      .outcome = OUTCOME_REJECT, .phase = PHASE_VRFY, .reply = {.code = 550, .enhanced = {5, 7, 1}, .lines = &text, .line_count = 1}};
  Slice answer = socketmap_encode(arena, &verdict, PHASE_VRFY, false);
  static const Slice start = SLICE_LITERAL("OK refuse \"550 5.7.1 ");
  g_assert(slice_starts_with(answer, start) && answer.length > start.length + 1);
  g_assert(answer.length <= start.length + 2 * (size_t)LIMIT_SOCKETMAP_TEXT + 1);
  g_assert(answer.data[answer.length - 1] == '"');
  for (size_t i = start.length; i + 1 < answer.length; i++) {
    g_assert(answer.data[i] >= ' ' && answer.data[i] < 0x7f && answer.data[i] != '"' && answer.data[i] != '\\');
    if (answer.data[i] == '%') {
      i++;
      g_assert(i + 1 < answer.length && answer.data[i] == '%');
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Slice bytes = slice_make((const char *)data, size);
  check_answer(bytes);
  for (;;) {
    Parsed whole = parse(bytes);
    check_pieces(bytes, &whole);
    check_slice(whole.excerpt, bytes);
    if (whole.result != SOCKETMAP_PARSE_REQUEST) {
      return 0;
    }
    g_assert(whole.used <= bytes.length);
    if (whole.request.kind == SOCKETMAP_ASKS) {
      check_slice(whole.request.argument, bytes);
      for (int fact = 0; fact < FACT_COUNT; fact++) {
        check_slice(whole.request.values[fact], bytes);
      }
      check_facts(&whole.request);
    }
    bytes = slice_from_offset(bytes, whole.used);
  }
}
