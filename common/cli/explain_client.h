/*
 * explain_client.h: what the SMTP client sees of a step's refusal, for each mail server that asks through the door: bytes and notes.
 */
#ifndef COMMON_CLI_EXPLAIN_CLIENT_H
#define COMMON_CLI_EXPLAIN_CLIENT_H

#include <jansson.h>

#include "common/cli/story.h"
#include "common/door/reply_compiler.h"

/* What the client has said so far, as replies show it. The texts of the steps must outlive it. */
typedef struct ClientView {
  ReplyContext context;
  const char *first_recipient; /* of the story: it hears what Postfix holds until RCPT TO */
} ClientView;

/* `smtpd_delays`: Postfix's smtpd_delay_reject. */
ClientView client_view_start(const ScenarioStep *story, const char *server_name, bool smtpd_delays);
void client_view_step(ClientView *view, const ScenarioStep *step);

/* An array with an object for each mail server of the door; empty when the step was not refused, or Postfix asks later. */
json_t *client_view_json(const ClientView *view, const ScenarioStep *step, Door door, const StepOutcome *outcome);
void client_view_print(const ClientView *view, const ScenarioStep *step, Door door, const StepOutcome *outcome);

#endif
