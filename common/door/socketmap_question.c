/*
 * socketmap_question.c: one question of Sendmail: which phases it is about, and what is said.
 */
#include "common/door/socketmap.h"

#include "common/base/netstring.h"

struct SocketmapQuestion {
  Arena *arena;
  Inquiry *inquiry;
  Phase asked;
  bool is_known;
  bool is_list; /* several addresses: rules that read one could not tell which */
};

SocketmapQuestion *socketmap_question_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables,
                                          const SocketmapRequest *request, const SocketmapOptions *options, Clock *clock) {
  SocketmapQuestion *question = ARENA_NEW(arena, SocketmapQuestion);
  question->arena = arena;
  question->asked = request->phase;
  question->is_known = request->is_known;
  InquiryOptions inquiry = {
      .asked = request->phase,
      .phases = (PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(request->phase)) & options->owned,
      .deadline_ms = options->deadline_ms,
      .match_space = options->match_space,
      .answers = options->answers,
  };
  question->inquiry = inquiry_new(arena, ruleset, session, variables, &inquiry);
  session_reset(session);
  question->is_list = !socketmap_facts(session, request, options);
  inquiry_set_time(question->inquiry, clock);
  return question;
}

Inquiry *socketmap_question_inquiry(SocketmapQuestion *question) {
  return question->inquiry;
}

static bool reads_address(const SocketmapQuestion *question) {
  const bool *facts = inquiry_ruleset(question->inquiry)->phases[question->asked].facts;
  return facts[FACT_RECIPIENT] || facts[FACT_COMMAND];
}

const Verdict *socketmap_question_verdict(SocketmapQuestion *question) {
  static const Slice text = SLICE_LITERAL("One address at a time");
  const Verdict *verdict = inquiry_verdict(question->inquiry);
  if (verdict_refuses(verdict) || !question->is_list || !reads_address(question)) {
    return verdict;
  }
  Verdict *refusal = ARENA_NEW(question->arena, Verdict);
  *refusal = *verdict;
  refusal->outcome = OUTCOME_REJECT;
  refusal->rule = SLICE_EMPTY;
  refusal->reply = (Reply){.code = 501, .enhanced = {5, 5, 4}, .lines = &text, .line_count = 1};
  return refusal;
}

Slice socketmap_question_bytes(SocketmapQuestion *question) {
  const Verdict *verdict = socketmap_question_verdict(question);
  Slice text = socketmap_encode(question->arena, verdict, question->asked, question->is_known);
  return netstring_make(question->arena, &text, 1);
}

static Slice refusal_text(const SocketmapRequest *request) {
  switch (request->kind) {
    case SOCKETMAP_NO_MAP:
      return SLICE_LITERAL("PERM there is no such map");
    case SOCKETMAP_CUT:
      return request->phase == PHASE_UNKNOWN ? SLICE_LITERAL("OK pass") : SLICE_LITERAL("OK refuse \"501 5.5.4 Argument is too long\"");
    case SOCKETMAP_ASKS:
      break;
  }
  g_assert_not_reached();
}

Slice socketmap_refusal_bytes(Arena *arena, const SocketmapRequest *request) {
  Slice text = refusal_text(request);
  return netstring_make(arena, &text, 1);
}
