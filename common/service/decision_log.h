/*
 * decision_log.h: where a daemon's messages go, and one line for each decision, key=value (logfmt). Thread-safe.
 *
 * Control characters never leave: they stand as \n, \t, \xHH. A message is one line, whatever it holds. A line of usual length is written without an allocation.
 */
#ifndef COMMON_SERVICE_DECISION_LOG_H
#define COMMON_SERVICE_DECISION_LOG_H

#include "common/base/text_buffer.h"
#include "common/service/config.h"
#include "common/smtp/session.h"
#include "common/smtp/verdict.h"

/* Where the daemon's own messages and decisions go. Before this, stderr. `name` must live as long as the process. */
void log_open(const char *name, bool to_stderr);
/* While a daemon starts its user still looks at the terminal: messages to syslog go to stderr too. */
void log_also_to_stderr(bool also);
void log_info(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* A text as it is, but for its controls, which become blanks. */
void log_info_line(TextBuffer *line);
void log_warning(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* A text of several lines (diagnostics), each line a message. */
void log_error_lines(const char *text);
void log_warning_lines(const char *text);
/* At most one line a minute for each key; the next one tells how many were left out. `key` names a place in the program or a resource, never a stranger's text. */
void log_limited(const char *key, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Appends ` key=value` (without the blank at the start), the value quoted when it is empty or holds blanks, quotes, '=' or controls. */
void log_field(TextBuffer *line, const char *key, Slice value);

/*
 * session= queue_id= client= helo= sender= recipient= phase= outcome= rule= reply="..." door= [failed="..."] [effect="..."]; values with blanks or controls are quoted. A decision without a rule and without effects
 * is written at level DECISIONS_ALL only. `log` effects are lines of their own. Failed look-ups are told by log_limited too.
 */
/* False for a decision that the level leaves out. */
bool decision_is_logged(const Config *config, const Verdict *verdict);
void log_decision(const Config *config, Session *session, const char *session_id, const Verdict *verdict);
/* Appends the line of log_decision, without `log` effects, whatever the level is. */
void decision_line(TextBuffer *line, Session *session, const char *session_id, const Verdict *verdict);

#endif
