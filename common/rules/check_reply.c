/*
 * check_reply.c: codes, enhanced codes and texts of replies against the documented table, the outcome and the phase; and the defaults.
 */
#include "common/base/limits.h"
#include "common/rules/check_internal.h"

const ArgumentNode *action_argument(const ActionNode *node, size_t spec, size_t nth) {
  for (const ArgumentNode *argument = node->arguments; argument; argument = argument->next)
    if (argument->spec == spec && nth-- == 0)
      return argument;
  return NULL;
}

size_t action_argument_count(const ActionNode *node, size_t spec) {
  size_t count = 0;
  for (const ArgumentNode *argument = node->arguments; argument; argument = argument->next)
    count += argument->spec == spec;
  return count;
}

/* Defaults */

EnhancedCode reply_enhanced(uint16_t code) {
  static const struct {
    uint16_t code, subject, detail;
  } pairs[] = {{421, 7, 0}, {452, 3, 1}, {455, 5, 4}, {500, 5, 2}, {501, 5, 4}, {502, 5, 1}, {503, 5, 1}, {504, 5, 4},
               {521, 3, 2}, {530, 7, 0}, {551, 1, 6}, {552, 2, 2}, {553, 1, 3}, {555, 5, 4}, {556, 1, 10}};
  for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
    if (pairs[i].code == code)
      return (EnhancedCode){(uint8_t)(code / 100), pairs[i].subject, pairs[i].detail};
  return (EnhancedCode){(uint8_t)(code / 100), 7, 1};
}

static const char *reject_text(Phase phase) {
  switch (phase) {
    case PHASE_CONNECT:
      return "client refused by local policy";
    case PHASE_HELO:
      return "host name refused by local policy";
    case PHASE_MAIL:
      return "sender address refused by local policy";
    case PHASE_RCPT:
      return "recipient address refused by local policy";
    case PHASE_DATA:
    case PHASE_EOM:
      return "message refused by local policy";
    case PHASE_VRFY:
    case PHASE_ETRN:
      return "command refused by local policy";
    case PHASE_EXPN:
    case PHASE_UNKNOWN:
      return "command not implemented";
    case PHASE_COUNT:
      break;
  }
  g_assert_not_reached();
}

static uint16_t reject_code(Phase phase) {
  if (phase == PHASE_DATA || phase == PHASE_EOM)
    return 554;
  return phase == PHASE_EXPN || phase == PHASE_UNKNOWN ? 502 : 550;
}

void reply_default(Outcome outcome, Phase phase, uint16_t *code, EnhancedCode *enhanced, Slice *text) {
  switch (outcome) {
    case OUTCOME_REJECT:
      *code = reject_code(phase);
      *enhanced = *code == 502 ? (EnhancedCode){5, 5, 1} : (EnhancedCode){5, 7, 1};
      *text = slice_from(reject_text(phase));
      return;
    case OUTCOME_TEMPFAIL:
      *code = phase == PHASE_RCPT ? 450 : 451;
      *enhanced = (EnhancedCode){4, 7, 1};
      *text = SLICE_LITERAL("not accepted at this time, try again later");
      return;
    case OUTCOME_DISCONNECT:
      *code = 421;
      *enhanced = (EnhancedCode){4, 7, 0};
      *text = SLICE_LITERAL("connection refused by local policy, closing it");
      return;
    case OUTCOME_PASS:
    case OUTCOME_ACCEPT:
    case OUTCOME_DISCARD:
      break;
  }
  g_assert_not_reached(); /* these have no reply */
}

/* Codes */

static const char *outcome_codes(Checker *checker, Outcome outcome) {
  g_autoptr(GString) codes = g_string_new(NULL);
  for (size_t i = 0; i < reply_info_count(); i++) {
    const ReplyInfo *info = reply_info_at(i);
    bool closes = info->code == 421 || info->code == 521, wants_close = outcome == OUTCOME_DISCONNECT;
    bool fits = closes == wants_close && (wants_close || info->code / 100 == (outcome == OUTCOME_TEMPFAIL ? 4 : 5));
    if (info->sender == REPLY_BY_POLICY && fits)
      g_string_append_printf(codes, "%s%u", codes->len ? " " : "", info->code);
  }
  return slice_to_string(checker->scratch, slice_make(codes->str, codes->len));
}

static bool tell_code(Checker *checker, const ArgumentNode *argument, Outcome outcome, const char *why) {
  Diagnostic *told = diagnostics_error(checker->diagnostics, argument->span, "%.*s %s", SLICE_ARGS(argument->word), why);
  diagnostic_expected(checker->diagnostics, told, "expected one of: %s", outcome_codes(checker, outcome));
  return false;
}

static bool tell_class(Checker *checker, const ArgumentNode *argument, Outcome outcome, uint16_t code) {
  const char *right = code == 421 || code == 521 ? "disconnect" : code < 500 ? "tempfail" : "reject";
  Diagnostic *told;
  if (outcome == OUTCOME_DISCONNECT)
    told =
        diagnostics_error(checker->diagnostics, argument->span, "%u does not close the connection, %s does", code, outcome_name(outcome));
  else if (code == 421 || code == 521)
    told = diagnostics_error(checker->diagnostics, argument->span, "%u closes the connection, %s does not", code, outcome_name(outcome));
  else
    told = diagnostics_error(checker->diagnostics, argument->span, "%u is %s, %s answers with a %s code", code,
                             code < 500 ? "a 4xx code" : "a 5xx code", outcome_name(outcome), outcome == OUTCOME_TEMPFAIL ? "4xx" : "5xx");
  diagnostic_expected(checker->diagnostics, told, outcome == OUTCOME_DISCONNECT ? "expected 421 or 521, or `%s %u`" : "write `%s %u`",
                      right, code);
  return false;
}

/* connect and helo refusals are held and said at rcpt, so what is listed there is good too. */
static bool is_listed(const ReplyInfo *info, Phase phase, Outcome outcome) {
  PhaseSet said = PHASE_BIT(phase);
  if ((phase == PHASE_CONNECT || phase == PHASE_HELO) && outcome != OUTCOME_DISCONNECT)
    said |= PHASE_BIT(PHASE_RCPT);
  return (info->legal & said) != 0;
}

static bool check_code(Checker *checker, const ArgumentNode *argument, Outcome outcome, uint16_t *code) {
  int64_t number = 0;
  bool is_number = slice_to_int(argument->word, &number) && number >= 0 && number <= 999;
  const ReplyInfo *info = is_number ? reply_info((uint16_t)number) : NULL;
  if (is_number && number >= 200 && number < 400)
    return tell_code(checker, argument, outcome, "is the MTA's to send, not a rule's");
  if (!info)
    return tell_code(checker, argument, outcome, "is not in the documented table of reply codes");
  if (info->sender == REPLY_BY_MTA)
    return tell_code(checker, argument, outcome, "is sent by the MTA only");
  *code = (uint16_t)number;
  bool closes = *code == 421 || *code == 521;
  bool fits = outcome == OUTCOME_DISCONNECT ? closes : !closes && *code / 100 == (outcome == OUTCOME_TEMPFAIL ? 4 : 5);
  if (!fits)
    return tell_class(checker, argument, outcome, *code);
  if (!is_listed(info, checker->phase, outcome)) {
    Diagnostic *told = diagnostics_warning(checker->diagnostics, argument->span, "RFC 5321 does not list %u as a reply to %s", *code,
                                           phase_command(checker->phase));
    diagnostic_expected(checker->diagnostics, told, "it is listed at: %s", info->commands);
  }
  return true;
}

static bool check_enhanced(Checker *checker, const ArgumentNode *argument, const ArgumentNode *code_argument, uint16_t code,
                           EnhancedCode *enhanced) {
  if (!enhanced_parse(argument->word, enhanced)) {
    Diagnostic *told =
        diagnostics_error(checker->diagnostics, argument->span, "\"%.*s\" is not an enhanced status code", SLICE_ARGS(argument->word));
    diagnostic_expected(checker->diagnostics, told, "expected class.subject.detail as in RFC 3463: 5.7.1");
    return false;
  }
  if (enhanced->class_digit != code / 100) {
    Diagnostic *told = diagnostics_error(checker->diagnostics, argument->span, "%.*s contradicts %u: its class is %u",
                                         SLICE_ARGS(argument->word), code, enhanced->class_digit);
    if (code_argument)
      diagnostic_also(checker->diagnostics, told, code_argument->span, "the code");
    diagnostic_expected(checker->diagnostics, told, "write %u.%u.%u", code / 100, enhanced->subject, enhanced->detail);
    return false;
  }
  if (checker_pedantic(checker) && !enhanced_pairs_with(*enhanced, code)) {
    Diagnostic *told =
        diagnostics_warning(checker->diagnostics, argument->span, "RFC 5248 does not pair %.*s with %u", SLICE_ARGS(argument->word), code);
    diagnostic_expected(checker->diagnostics, told, "it is registered with: %s", enhanced_info(*enhanced)->codes);
  }
  return true;
}

/* Texts */

static bool check_lines(Checker *checker, const ActionNode *node, size_t text_spec, ReplyPlan *plan) {
  size_t count = action_argument_count(node, text_spec);
  const Expression **lines = ARENA_NEW_ARRAY(checker->arena, const Expression *, count);
  bool good = true;
  for (size_t i = 0; i < count; i++) {
    const ArgumentNode *argument = action_argument(node, text_spec, i);
    if (i == LIMIT_REPLY_LINES) {
      Diagnostic *told = diagnostics_error(checker->diagnostics, argument->span, "a reply has at most %d lines", LIMIT_REPLY_LINES);
      diagnostic_expected(checker->diagnostics, told, "expected fewer texts");
      return false;
    }
    lines[i] = check_template(checker, argument->expression);
    good &= lines[i] != NULL;
    if (lines[i] && lines[i]->kind == EXPRESSION_LITERAL && slice_is_empty(slice_trim(lines[i]->as.literal.as.text))) {
      Diagnostic *told = diagnostics_error(checker->diagnostics, argument->span, "the text of a reply cannot be empty");
      diagnostic_expected(checker->diagnostics, told, "expected a text, or none at all for the default");
      good = false;
    }
  }
  plan->lines = lines;
  plan->line_count = count;
  return good;
}

bool check_reply(Checker *checker, const ActionNode *node, size_t code_spec, size_t enhanced_spec, size_t text_spec, Outcome outcome,
                 ReplyPlan *plan) {
  const ArgumentNode *code = action_argument(node, code_spec, 0), *enhanced = action_argument(node, enhanced_spec, 0);
  Slice text;
  reply_default(outcome, checker->phase, &plan->code, &plan->enhanced, &text);
  bool good = !code || check_code(checker, code, outcome, &plan->code);
  if (good && code)
    plan->enhanced = reply_enhanced(plan->code);
  if (good && enhanced)
    good = check_enhanced(checker, enhanced, code, plan->code, &plan->enhanced);
  return check_lines(checker, node, text_spec, plan) && good;
}
