/*
 * variables.h: what rules keep between phases: variables and scores of the session, the message, the recipient.
 *
 * Belongs to a session, holds the ruleset that it is for. Confined, as the session is. An evaluation reads it, works on a copy and writes
 * it back by evaluation_commit.
 */
#ifndef COMMON_RULES_VARIABLES_H
#define COMMON_RULES_VARIABLES_H

#include "common/rules/program.h"
#include "common/rules/recipient_groups.h"

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

/*
 * Sum for a score name (index or SCORE_TOTAL): session, message, and the recipient's (or the largest of the accepted ones, when the last
 * evaluation that was committed was not at rcpt).
 */
double variables_score(const Variables *variables, uint32_t score);
Value variables_get(const Variables *variables, const VariableInfo *info);

/* ---- for the evaluator ---- */

/* What one rule added to one score. */
typedef struct Contribution {
  const Rule *rule; /* NULL: of a ruleset before this one */
  uint32_t name;    /* index in program->score_names */
  Scope scope;
  Phase phase; /* whose rules added it */
  double amount;
} Contribution;

/* As variables_score, as rules of this phase read it. */
double variables_score_at(const Variables *variables, uint32_t score, Phase phase);
/* The value of a slot: never NULL, borrowed until the slot is written. */
const Value *variables_slot(const Variables *variables, Scope scope, uint32_t slot);
/* True when the rule has added to this score in the running instance of the scope. */
bool variables_has_scored(const Variables *variables, const Rule *rule, Scope scope, uint32_t name);
void variables_put(Variables *variables, Scope scope, uint32_t slot, const Value *value);
void variables_add_score(Variables *variables, const Contribution *contribution);
/* From now on variables_score reads as rules of this phase do. */
void variables_set_phase(Variables *variables, Phase phase);
/* Of the message: for evaluations, and for a door that has to keep them elsewhere. Never NULL. */
RecipientGroups *variables_groups(Variables *variables);
/* A copy whose texts (failures included) live in the arena; strings are cut to LIMIT_VARIABLE. */
Value variables_copy_value(Arena *arena, const Value *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Variables, variables_free)

#endif
