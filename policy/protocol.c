/*
 * protocol.c: the policy protocol and socket maps, as a connection needs them.
 */
#include "policy/protocol.h"

#include "common/ask/scheduler.h"
#include "common/service/decision_log.h"
#include "policy/connection.h"

static const char *ends_of(const Connection *connection, Slice address, Slice port) {
  return arena_printf(connection->work->arena, "%.*s:%.*s", SLICE_ARGS(address), SLICE_ARGS(port));
}

/* ---- The policy protocol ---- */

static RequestParse policy_read(Request *request, Slice bytes, size_t *used, const char **problem, Slice *excerpt) {
  switch (policy_parse(&request->policy.parser, bytes, &request->policy.request, used, problem, excerpt)) {
    case POLICY_PARSE_MORE:
      return REQUEST_MORE;
    case POLICY_PARSE_REQUEST:
      return REQUEST_READ;
    case POLICY_PARSE_MALFORMED:
      return REQUEST_MALFORMED;
  }
  g_assert_not_reached();
}

static Asked policy_ask(Connection *connection, Slice *answer) {
  (void)answer;
  Server *server = connection->server;
  Work *work = connection->work;
  const Config *config = daemon_config(server->daemon);
  PolicyOptions options = {
      .accept_is_ok = config->accept_is_ok,
      .server_name = config->server_name,
      .service = listener_service(connection->port->listener),
      .deadline_ms = config->deadline_ms,
      .owned = server->owned[DOOR_POLICY],
      .match_space = work->match_space,
      .answers = scheduler_answers(daemon_scheduler(server->daemon)),
  };
  return (Asked){.policy =
                     policy_question_new(work->arena, server_ruleset(server), work->sessions[DOOR_POLICY], &work->variables, server->memory,
                                         &connection->request.policy.request, &options, daemon_clock(server->daemon))};
}

static EvaluationState policy_run(Asked asked) {
  return policy_question_run(asked.policy);
}

static Question *const *policy_wanted(Asked asked, size_t *count) {
  return policy_question_wanted(asked.policy, count);
}

static void policy_take(Asked asked, const Question *question, Answer *answer) {
  policy_question_answer(asked.policy, question, answer);
}

static void policy_expire(Asked asked, const char *reason) {
  policy_question_expire(asked.policy, reason);
}

static const Verdict *policy_verdict(Asked asked) {
  return policy_question_verdict(asked.policy);
}

static int64_t policy_delay_ms(Asked asked) {
  return policy_question_delay_ms(asked.policy);
}

static Slice policy_bytes(Asked asked) {
  return policy_question_bytes(asked.policy);
}

/* The instance; where Postfix gives none, the client's end of the connection. */
static const char *policy_session_id(const Connection *connection) {
  const Slice *attributes = connection->request.policy.request.attributes;
  if (attributes[FACT_INSTANCE].length > 0) {
    return slice_to_string(connection->work->arena, attributes[FACT_INSTANCE]);
  }
  return ends_of(connection, attributes[FACT_CLIENT_ADDRESS], attributes[FACT_CLIENT_PORT]);
}

static const Protocol policy_protocol = {
    .door = DOOR_POLICY,
    .parse = policy_read,
    .ask = policy_ask,
    .run = policy_run,
    .wanted = policy_wanted,
    .take = policy_take,
    .expire = policy_expire,
    .verdict = policy_verdict,
    .delay_ms = policy_delay_ms,
    .bytes = policy_bytes,
    .session_id = policy_session_id,
};

/* ---- Socket maps ---- */

static RequestParse socketmap_read(Request *request, Slice bytes, size_t *used, const char **problem, Slice *excerpt) {
  switch (socketmap_parse(bytes, &request->socketmap, used, problem, excerpt)) {
    case SOCKETMAP_PARSE_MORE:
      return REQUEST_MORE;
    case SOCKETMAP_PARSE_REQUEST:
      return REQUEST_READ;
    case SOCKETMAP_PARSE_MALFORMED:
      return REQUEST_MALFORMED;
  }
  g_assert_not_reached();
}

static Asked socketmap_ask(Connection *connection, Slice *answer) {
  Server *server = connection->server;
  Work *work = connection->work;
  const SocketmapRequest *request = &connection->request.socketmap;
  if (request->kind != SOCKETMAP_ASKS) {
    log_limited("socket map", "a question on %s that rules cannot answer: %s", listener_address(connection->port->listener),
                request->kind == SOCKETMAP_CUT ? "its key is too long" : "there is no map of its name");
    *answer = socketmap_refusal_bytes(work->arena, request);
    return (Asked){.any = NULL};
  }
  const Config *config = daemon_config(server->daemon);
  SocketmapOptions options = {
      .server_name = config->server_name,
      .service = listener_service(connection->port->listener),
      .deadline_ms = config->deadline_ms,
      .owned = server->owned[DOOR_SOCKETMAP],
      .match_space = work->match_space,
      .answers = scheduler_answers(daemon_scheduler(server->daemon)),
  };
  return (Asked){.socketmap = socketmap_question_new(work->arena, server_ruleset(server), work->sessions[DOOR_SOCKETMAP], &work->variables,
                                                     request, &options, daemon_clock(server->daemon))};
}

static EvaluationState socketmap_run(Asked asked) {
  return inquiry_run(socketmap_question_inquiry(asked.socketmap));
}

static Question *const *socketmap_wanted(Asked asked, size_t *count) {
  return inquiry_wanted(socketmap_question_inquiry(asked.socketmap), count);
}

static void socketmap_take(Asked asked, const Question *question, Answer *answer) {
  inquiry_answer(socketmap_question_inquiry(asked.socketmap), question, answer);
}

static void socketmap_expire(Asked asked, const char *reason) {
  inquiry_expire(socketmap_question_inquiry(asked.socketmap), reason);
}

static const Verdict *socketmap_verdict(Asked asked) {
  return socketmap_question_verdict(asked.socketmap);
}

static int64_t socketmap_delay_ms(Asked asked) {
  return inquiry_delay_ms(socketmap_question_inquiry(asked.socketmap));
}

static Slice socketmap_bytes(Asked asked) {
  return socketmap_question_bytes(asked.socketmap);
}

static const char *socketmap_session_id(const Connection *connection) {
  const Slice *values = connection->request.socketmap.values;
  return ends_of(connection, values[FACT_CLIENT_ADDRESS], values[FACT_CLIENT_PORT]);
}

static const Protocol socketmap_protocol = {
    .door = DOOR_SOCKETMAP,
    .parse = socketmap_read,
    .ask = socketmap_ask,
    .run = socketmap_run,
    .wanted = socketmap_wanted,
    .take = socketmap_take,
    .expire = socketmap_expire,
    .verdict = socketmap_verdict,
    .delay_ms = socketmap_delay_ms,
    .bytes = socketmap_bytes,
    .session_id = socketmap_session_id,
};

const Protocol *protocol_of(Door door) {
  switch (door) {
    case DOOR_POLICY:
      return &policy_protocol;
    case DOOR_SOCKETMAP:
      return &socketmap_protocol;
    case DOOR_MILTER:
    case DOOR_COUNT:
      break;
  }
  g_assert_not_reached();
}
