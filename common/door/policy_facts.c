/*
 * policy_facts.c: attributes of a policy request -> facts of a session.
 */
#include "common/door/policy.h"

/* Postfix says SMTP at EHLO too (it takes ESMTP over only when it answers): the state knows better. Later its word counts. */
static void protocol_name_facts(Session *session, PolicyState state) {
  switch (state) {
    case POLICY_STATE_CONNECT:
      session_unset(session, FACT_PROTOCOL_NAME);
      return;
    case POLICY_STATE_EHLO:
      (void)session_borrow(session, FACT_PROTOCOL_NAME, SLICE_LITERAL("ESMTP"));
      return;
    case POLICY_STATE_HELO:
      (void)session_borrow(session, FACT_PROTOCOL_NAME, SLICE_LITERAL("SMTP"));
      return;
    case POLICY_STATE_MAIL:
    case POLICY_STATE_RCPT:
    case POLICY_STATE_DATA:
    case POLICY_STATE_END_OF_MESSAGE:
    case POLICY_STATE_VRFY:
    case POLICY_STATE_ETRN:
      return;
  }
  g_assert_not_reached();
}

/* The empty sender is the null sender, but only where there is a message. */
static bool state_has_message(PolicyState state) {
  switch (state) {
    case POLICY_STATE_MAIL:
    case POLICY_STATE_RCPT:
    case POLICY_STATE_DATA:
    case POLICY_STATE_END_OF_MESSAGE:
      return true;
    case POLICY_STATE_CONNECT:
    case POLICY_STATE_EHLO:
    case POLICY_STATE_HELO:
    case POLICY_STATE_VRFY:
    case POLICY_STATE_ETRN:
      return false;
  }
  g_assert_not_reached();
}

void policy_facts(Session *session, PolicyRequest *request, const PolicyOptions *options) {
  request->attributes[request->state == POLICY_STATE_END_OF_MESSAGE ? FACT_MESSAGE_SIZE : FACT_SIZE] = request->size;
  request->attributes[FACT_POLICY_CONTEXT] = request->policy_context;
  request->attributes[FACT_SERVICE] = request->policy_context.length > 0 ? request->policy_context : slice_from(options->service);
  request->attributes[FACT_SERVER_NAME] = slice_from(options->server_name);
  session_lend(session, request->attributes);
  if (request->attributes[FACT_SENDER].length == 0 && !state_has_message(request->state)) {
    session_unset(session, FACT_SENDER);
  }
  protocol_name_facts(session, request->state);
}
