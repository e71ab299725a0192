/*
 * recipient_groups.c: see the header.
 */
#include "common/rules/recipient_groups.h"

bool recipient_groups_was_told(const RecipientGroups *groups, uint64_t recipient) {
  for (uint32_t i = 0; i < groups->told_count; i++)
    if (groups->told[i] == recipient)
      return true;
  return false;
}

void recipient_groups_tell(RecipientGroups *groups, uint64_t recipient) {
  if (groups->told_count < LIMIT_GROUP_TOLD)
    groups->told[groups->told_count++] = recipient;
}

void recipient_groups_propose(RecipientGroups *groups, uint32_t group, uint64_t value) {
  groups->is_proposed[group] = true;
  groups->proposed[group] = value;
}

void recipient_groups_end_recipient(RecipientGroups *groups, bool accepted) {
  for (uint32_t group = 0; group < LIMIT_GROUP_RULES; group++) {
    if (accepted && groups->is_proposed[group] && !groups->has_first[group]) {
      groups->has_first[group] = true;
      groups->first[group] = groups->proposed[group];
    }
    groups->is_proposed[group] = false;
  }
}
