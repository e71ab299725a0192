/*
 * accept.c: no more rules for a recipient, a message or a connection.
 */
#include "common/rules/run.h"

static const ActionArgument arguments[] = {
    {ARGUMENT_WORD, true, false, "recipient message session"},
    {ARGUMENT_END, false, false, NULL},
};

/* Which scope may be accepted where, and what to say instead. */
static const struct {
  const char *word;
  Scope scope;
  PhaseSet phases;
} scopes[] = {
    {"recipient", SCOPE_RECIPIENT, PHASE_BIT(PHASE_RCPT)},
    {"message", SCOPE_MESSAGE, PHASES_MESSAGE &(PhaseSet)~PHASE_BIT(PHASE_RCPT)},
    {"session", SCOPE_SESSION, PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_HELO) | PHASE_BIT(PHASE_MAIL)},
};

static const char *right_form(Phase phase) {
  if (phase == PHASE_RCPT)
    return "write `accept recipient`, or put the rule at mail, data or eom, where it is about the whole message";
  if (phase == PHASE_MAIL)
    return "write `accept message` or `accept session`";
  return (PHASES_SINCE_DATA & PHASE_BIT(phase)) != 0 ? "write `accept message`" : "write `accept session`";
}

static bool tell_scope(Checker *checker, const ActionNode *node, const ArgumentNode *word, size_t index) {
  Phase phase = checker_phase(checker);
  Diagnostics *diagnostics = checker_diagnostics(checker);
  Diagnostic *told;
  if (!word) {
    told = diagnostics_error(diagnostics, node->span, "\"accept\" alone means the recipient, and there is none at %s", phase_name(phase));
    diagnostic_expected(diagnostics, told, "%s", right_form(phase));
    return false;
  }
  if (index == 1 && phase == PHASE_RCPT)
    told = diagnostics_error(diagnostics, word->span, "\"accept message\" at rcpt would exempt the other recipients of the message too");
  else
    told = diagnostics_error(diagnostics, word->span, "\"accept %s\" may not stand at %s", scopes[index].word, phase_name(phase));
  diagnostic_expected(diagnostics, told, "%s", right_form(phase));
  return false;
}

static bool compile(Checker *checker, const ActionNode *node, Rule *rule, void **plan) {
  const ArgumentNode *word = action_argument(node, 0, 0);
  size_t index = 0;
  (void)rule;
  while (word && index < G_N_ELEMENTS(scopes) && !slice_equal(word->word, slice_from(scopes[index].word)))
    index++;
  g_assert(index < G_N_ELEMENTS(scopes)); /* the parser knows the words */
  if (!(scopes[index].phases & PHASE_BIT(checker_phase(checker)))) {
    /* Where no accept may stand at all, that was told. */
    return (node->action->phases & PHASE_BIT(checker_phase(checker))) != 0 ? tell_scope(checker, node, word, index) : false;
  }
  Scope *scope = ARENA_NEW(checker_arena(checker), Scope);
  *scope = scopes[index].scope;
  *plan = scope;
  return true;
}

static void perform(Run *run, const Rule *rule, const void *plan) {
  run_end(run, rule, &(Verdict){.outcome = OUTCOME_ACCEPT, .accept_scope = *(const Scope *)plan});
}

const Action action_accept = {
    .name = "accept",
    .sentence = "no more rules for this recipient, this message or this connection",
    .phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_HELO) | PHASES_MESSAGE,
    .ends_phase = true,
    .doors = DOORS_ALL,
    .arguments = arguments,
    .example = "accept session",
    .compile = compile,
    .perform = perform,
};
