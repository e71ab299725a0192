/*
 * recipient_groups.h: what `group recipients` knows of a message: the value that its first accepted recipient had, for each such rule, and
 * the recipients that were sent away. Values and recipients are kept as seeded hashes. Plain data: {0} is a message without recipients.
 */
#ifndef COMMON_RULES_RECIPIENT_GROUPS_H
#define COMMON_RULES_RECIPIENT_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/limits.h"

typedef struct RecipientGroups {
  bool has_first[LIMIT_GROUP_RULES];
  uint64_t first[LIMIT_GROUP_RULES];
  bool is_proposed[LIMIT_GROUP_RULES]; /* of the recipient at hand, until its answer is known */
  uint64_t proposed[LIMIT_GROUP_RULES];
  uint32_t told_count;
  uint64_t told[LIMIT_GROUP_TOLD];
} RecipientGroups;

/* True when the recipient was sent away before. */
bool recipient_groups_was_told(const RecipientGroups *groups, uint64_t recipient);
/* Past LIMIT_GROUP_TOLD nothing is kept: such a recipient is sent away each time. */
void recipient_groups_tell(RecipientGroups *groups, uint64_t recipient);
/* The value of the recipient at hand, which counts when it is accepted. */
void recipient_groups_propose(RecipientGroups *groups, uint32_t group, uint64_t value);
void recipient_groups_end_recipient(RecipientGroups *groups, bool accepted);

#endif
