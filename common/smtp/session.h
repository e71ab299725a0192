/*
 * session.h: what is known about one SMTP session: the facts, by scope.
 *
 * A door sets facts as raw text; they are read as typed values, converted when first asked for. Three ways to keep the text:
 * session_set copies it into the scope's arena, session_borrow keeps the slice, session_lend looks into the door's own table when somebody asks
 * (the policy door: the request outlives the evaluation, and rules read few of its facts).
 * Facts that no one set are unset. Time facts come from the session's clock and are fixed by session_set_time.
 *
 * Confined: one thread at a time.
 */
#ifndef COMMON_SMTP_SESSION_H
#define COMMON_SMTP_SESSION_H

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/smtp/fact.h"

typedef struct Session Session;

/* `door` is the one it came through. The session owns its arenas. */
Session *session_new(Door door);
void session_free(Session *session);

Door session_door(const Session *session);
Arena *session_arena(Session *session);    /* lives as long as the session */
Arena *session_message_arena(Session *session); /* until session_reset_message */

/* Empty and sentinel texts become unset, as the fact's row says. Text over LIMIT_FACT (LIMIT_ADDRESS) makes the fact unset and returns false. */
bool session_set(Session *session, Fact fact, Slice raw);
bool session_borrow(Session *session, Fact fact, Slice raw);
/*
 * From now on, facts that nobody sets or unsets are as in `texts`: FACT_COUNT of them, by fact, data NULL where nothing is known; each as by session_borrow.
 * Borrowed until session_reset. To an empty session.
 */
void session_lend(Session *session, const Slice *texts);
/* A typed value (tests, derived values); copied. It may be unknown, with its failures, or open; unset is as session_unset. */
void session_set_value(Session *session, Fact fact, const Value *value);
/* The same without a copy: what the value points to is borrowed until the fact's scope is reset. session_raw tells nothing of it. */
void session_borrow_value(Session *session, Fact fact, const Value *value);
/* A value of type ip or a number: nothing is copied, and its text is made only when session_raw is asked for it. */
void session_set_scalar(Session *session, Fact fact, Value value);
void session_unset(Session *session, Fact fact);
/* Never NULL. A text is VALUE_SET, or VALUE_UNSET when it cannot be read as the fact's type; a typed value is as it was given. */
const Value *session_get(Session *session, Fact fact);
/* What the MTA said, before normalising; empty when it said nothing (or a sentinel). A text that cannot be read as the fact's type is still told here. */
Slice session_raw(Session *session, Fact fact);

/* Fixes what `time`, `date` and `weekday` read. */
void session_set_time(Session *session, const ClockMoment *moment);

void session_reset_recipient(Session *session); /* recipient facts become unset */
void session_reset_message(Session *session);   /* message and recipient facts too; empties the message arena */
void session_reset(Session *session);           /* all of it, both arenas: as new */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Session, session_free)

#endif
