/*
 * message_fixture.h: a message as text, fed as a mail server would: header fields one by one, then the body in pieces.
 */
#ifndef TESTS_UNIT_MESSAGE_FIXTURE_H
#define TESTS_UNIT_MESSAGE_FIXTURE_H

#include "common/message/message.h"

extern const MessageNeeds message_all_needs;
extern const MessageLimits message_usual_limits;

/* `text` with LF or CR LF; what follows its first empty line is the body, fed `piece` bytes at a time. Returns what message_body said last. */
bool message_feed(Message *message, const MessageNeeds *needs, Slice text, size_t piece);
/* The facts as explain prints them; "?" and the reason for unknown ones; "-" for unset. In the session's own arena. */
const char *message_fact_text(Session *session, Fact fact);

#endif
