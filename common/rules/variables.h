/*
 * variables.h: what rules keep between phases: variables and scores of the session, the message, the recipient.
 *
 * Belongs to a session, holds the ruleset that it is for. Confined, as the session is. An evaluation reads it, works on a copy and writes it back by
 * evaluation_commit.
 */
#ifndef COMMON_RULES_VARIABLES_H
#define COMMON_RULES_VARIABLES_H

#include "common/rules/program.h"

typedef struct Variables Variables;

/* Holds a reference to the ruleset. Own memory; texts of values are kept in it. */
Variables *variables_new(Ruleset *ruleset);
void variables_free(Variables *variables);
Ruleset *variables_ruleset(const Variables *variables);
/* Another ruleset: session variables and scores go on by name (and type), the rest is dropped. For the next MAIL. */
void variables_rebind(Variables *variables, Ruleset *ruleset);

/* The recipient's answer went out. Accepted: its score counts for later phases (the largest does). Recipient variables go. */
void variables_end_recipient(Variables *variables, bool accepted);
void variables_reset_message(Variables *variables);
/* A second HELO: what the helo rules scored goes. */
void variables_forget_phase(Variables *variables, Phase phase);
void variables_reset(Variables *variables);

/* Sum for a score name (index or SCORE_TOTAL): session, message, and the recipient's (or the largest of the accepted ones). */
double variables_score(const Variables *variables, uint32_t score);
Value variables_get(const Variables *variables, const VariableInfo *info);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Variables, variables_free)

#endif
