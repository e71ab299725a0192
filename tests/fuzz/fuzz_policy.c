/*
 * fuzz_policy.c: the policy protocol. A request that comes split in any way, behind any other, reads as when it comes at once; its slices lie inside the bytes; its facts can be read;
 * and whatever stands in it, an answer made from it is one line that Postfix understands.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/door/policy.h"

typedef struct Parsed {
  PolicyParse result;
  PolicyRequest request;
  size_t used;
} Parsed;

static Parsed parse_at_once(Slice bytes) {
  Parsed parsed = {0};
  PolicyParser parser = {0};
  const char *problem = NULL;
  Slice excerpt = SLICE_EMPTY;
  parsed.result = policy_parse(&parser, bytes, &parsed.request, &parsed.used, &problem, &excerpt);
  g_assert((parsed.result == POLICY_PARSE_MALFORMED) == (problem != NULL));
  return parsed;
}

/* A parser that has read the same bytes before, and so guesses what they name: rightly, or with a line left out. */
static PolicyParser parser_with_guesses(Slice bytes, bool wrong) {
  PolicyParser parser = {0};
  PolicyRequest request;
  size_t used;
  const char *problem;
  Slice excerpt;
  ptrdiff_t newline = slice_find(bytes, '\n');
  (void)policy_parse(&parser, wrong ? slice_from_offset(bytes, (size_t)(newline + 1)) : bytes, &request, &used, &problem, &excerpt);
  return (PolicyParser){.usual_state = parser.usual_state, .pattern = parser.pattern};
}

/* Steps of a size that the input itself chooses, each in a block of its own, as when a buffer grows and moves. *last is the block that the result points into. */
static Parsed parse_split(Slice bytes, char **last) {
  Parsed parsed = {.result = POLICY_PARSE_MORE};
  PolicyParser parser = parser_with_guesses(bytes, bytes.length % 2 == 1);
  const char *problem = NULL;
  Slice excerpt = SLICE_EMPTY;
  size_t have = 0;
  uint32_t seed = (uint32_t)bytes.length * 2654435761u;
  while (have < bytes.length && parsed.result == POLICY_PARSE_MORE) {
    seed = seed * 1664525u + 1013904223u;
    have += MIN(bytes.length - have, 1 + (seed >> 20) % (1 + bytes.length / 8));
    char *block = g_memdup2(bytes.data, have);
    parsed.result = policy_parse(&parser, slice_make(block, have), &parsed.request, &parsed.used, &problem, &excerpt);
    g_free(*last);
    *last = block;
  }
  return parsed;
}

static void check_slice(Slice slice, Slice bytes) {
  g_assert(slice.data == NULL || (slice.data >= bytes.data && slice.data + slice.length <= bytes.data + bytes.length));
}

static void check_same(const Parsed *once, const Parsed *split, Slice bytes) {
  g_assert(once->result == split->result);
  if (once->result != POLICY_PARSE_REQUEST) {
    return;
  }
  g_assert(once->used == split->used && once->used <= bytes.length && once->request.state == split->request.state);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    check_slice(once->request.attributes[fact], bytes);
    g_assert(slice_equal(once->request.attributes[fact], split->request.attributes[fact]));
    g_assert((once->request.attributes[fact].data == NULL) == (split->request.attributes[fact].data == NULL));
  }
  g_assert(slice_equal(once->request.size, split->request.size));
  g_assert(slice_equal(once->request.policy_context, split->request.policy_context));
}

static void check_facts(PolicyRequest *request) {
  static const PolicyOptions options = {.server_name = "mx.example.test", .deadline_ms = 8000, .owned = PHASES_ALL};
  g_autoptr(Session) session = session_new(DOOR_POLICY);
  policy_facts(session, request, &options);
  for (int fact = 0; fact < FACT_COUNT; fact++) {
    const Value *value = session_get(session, (Fact)fact);
    g_assert(value->state == VALUE_SET || value->state == VALUE_UNSET);
  }
}

static void check_answer(Slice text) {
  g_autoptr(Arena) arena = arena_new(0);
  Verdict verdict = {
      .outcome = OUTCOME_REJECT, .phase = PHASE_RCPT, .reply = {.code = 550, .enhanced = {5, 7, 1}, .lines = &text, .line_count = 1}};
  Effect effect = {.kind = EFFECT_PREPEND_HEADER, .as.header = {.name = text, .value = text}};
  Slice answers[] = {policy_encode(arena, &verdict, NULL, false), policy_encode(arena, &(Verdict){.outcome = OUTCOME_PASS}, &effect, false),
                     policy_encode(arena, &(Verdict){.outcome = OUTCOME_DISCARD, .discard_why = text}, NULL, false)};
  g_assert(slice_starts_with(answers[0], SLICE_LITERAL("550 5.7.1 ")) && answers[0].length > strlen("550 5.7.1 "));
  for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
    g_assert(answers[i].length > 0 && g_utf8_validate(answers[i].data, (gssize)answers[i].length, NULL));
    for (size_t at = 0; at < answers[i].length; at++) {
      g_assert((unsigned char)answers[i].data[at] >= ' ' && answers[i].data[at] != 0x7f);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Slice bytes = slice_make((const char *)data, size);
  check_answer(bytes);
  for (;;) {
    char *last = NULL;
    Parsed once = parse_at_once(bytes);
    Parsed split = parse_split(bytes, &last);
    check_same(&once, &split, bytes);
    g_free(last);
    if (once.result != POLICY_PARSE_REQUEST) {
      return 0;
    }
    check_facts(&once.request);
    bytes = slice_from_offset(bytes, once.used);
  }
}
