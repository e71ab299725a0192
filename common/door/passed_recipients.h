/*
 * passed_recipients.h: the recipients of many messages, in cells of one piece of memory that is taken once: a busy policy door allocates nothing for them. Confined: the
 * caller's lock guards all of it.
 */
#ifndef COMMON_DOOR_PASSED_RECIPIENTS_H
#define COMMON_DOOR_PASSED_RECIPIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

/* Of one message. {0}: none. */
typedef struct PassedRecipients {
  uint32_t first, last; /* cells; 0: none */
  uint32_t bytes;       /* of all texts, each ended by NUL */
  uint32_t count;
  bool lost; /* one could not be kept */
} PassedRecipients;

typedef struct RecipientCells RecipientCells;

RecipientCells *recipient_cells_new(void);
void recipient_cells_free(RecipientCells *cells); /* takes NULL */

/* One more; past LIMIT_INSTANCE_RECIPIENTS of a message, LIMIT_ADDRESS and LIMIT_RECIPIENT_MEMORY it is lost. */
void recipient_cells_add(RecipientCells *cells, PassedRecipients *recipients, Slice recipient);
/* In order, copied to the arena; 0 where one was lost. */
size_t recipient_cells_copy(const RecipientCells *cells, const PassedRecipients *recipients, Arena *arena, const Slice **copies);
/* Back to {0}. */
void recipient_cells_forget(RecipientCells *cells, PassedRecipients *recipients);

#endif
