/*
 * decision_log.h: one line for each decision, key=value (logfmt), to syslog or stderr. Thread-safe.
 */
#ifndef COMMON_SERVICE_DECISION_LOG_H
#define COMMON_SERVICE_DECISION_LOG_H

#include "common/service/config.h"
#include "common/smtp/session.h"
#include "common/smtp/verdict.h"

/* Where the daemon's own messages and decisions go. Before this, stderr. */
void log_open(const char *name, bool to_stderr);
void log_info(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_warning(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* At most one line a minute for each key; the next one tells how many were left out. */
void log_limited(const char *key, const char *format, ...) G_GNUC_PRINTF(2, 3);

/*
 * session= queue_id= client= helo= sender= recipient= phase= outcome= rule= reply="..." door= [failed="..."] [effect=...]; values with blanks or controls are quoted. A decision without a rule and without effects
 * is written at level DECISIONS_ALL only. Failed look-ups are told by log_limited too.
 */
void log_decision(const Config *config, Session *session, const char *session_id, const Verdict *verdict);

#endif
