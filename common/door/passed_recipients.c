/*
 * passed_recipients.c: see the header. The memory is address space until it is used; cells that were given back are used before others.
 */
#include "common/door/passed_recipients.h"

#include "common/base/limits.h"

enum { CELL_BYTES = 60 };

typedef struct Cell {
  uint32_t next; /* of the same message, or free; 0: none */
  char bytes[CELL_BYTES];
} Cell;

enum { CELL_COUNT = LIMIT_RECIPIENT_MEMORY / sizeof(Cell) };

struct RecipientCells {
  Cell *cells;    /* the first one is never used: 0 is no cell */
  uint32_t fresh; /* those from here on were never used */
  uint32_t free;
  uint32_t left; /* how many can be taken */
};

RecipientCells *recipient_cells_new(void) {
  RecipientCells *cells = g_new(RecipientCells, 1);
  *cells = (RecipientCells){.cells = g_new(Cell, CELL_COUNT), .fresh = 1, .left = CELL_COUNT - 1};
  return cells;
}

void recipient_cells_free(RecipientCells *cells) {
  if (cells != NULL) {
    g_free(cells->cells);
    g_free(cells);
  }
}

static uint32_t cell_take(RecipientCells *cells) {
  uint32_t index = cells->free;
  if (index != 0) {
    cells->free = cells->cells[index].next;
  } else {
    index = cells->fresh++;
  }
  cells->cells[index].next = 0;
  cells->left--;
  return index;
}

/* There are cells enough. */
static void append(RecipientCells *cells, PassedRecipients *recipients, Slice text) {
  while (text.length > 0) {
    uint32_t used = recipients->bytes % CELL_BYTES;
    if (used == 0) {
      uint32_t index = cell_take(cells);
      *(recipients->last != 0 ? &cells->cells[recipients->last].next : &recipients->first) = index;
      recipients->last = index;
    }
    size_t length = MIN(text.length, (size_t)(CELL_BYTES - used));
    memcpy(cells->cells[recipients->last].bytes + used, text.data, length);
    recipients->bytes += (uint32_t)length;
    text = slice_from_offset(text, length);
  }
}

void recipient_cells_add(RecipientCells *cells, PassedRecipients *recipients, Slice recipient) {
  bool fits = recipient.length <= LIMIT_ADDRESS && recipient.length / CELL_BYTES + 2 <= cells->left;
  if (recipients->count == LIMIT_INSTANCE_RECIPIENTS || !fits) {
    recipients->lost = true;
    return;
  }
  append(cells, recipients, recipient);
  append(cells, recipients, slice_make("", 1));
  recipients->count++;
}

size_t recipient_cells_copy(const RecipientCells *cells, const PassedRecipients *recipients, Arena *arena, const Slice **copies) {
  if (recipients->lost || recipients->count == 0) {
    return 0;
  }
  char *text = arena_alloc_text(arena, recipients->bytes);
  uint32_t at = 0;
  for (uint32_t index = recipients->first; index != 0; index = cells->cells[index].next) {
    uint32_t length = MIN(recipients->bytes - at, (uint32_t)CELL_BYTES);
    memcpy(text + at, cells->cells[index].bytes, length);
    at += length;
  }
  Slice *slices = ARENA_NEW_ARRAY(arena, Slice, recipients->count);
  for (size_t i = 0; i < recipients->count; i++) {
    slices[i] = slice_from(text);
    text += slices[i].length + 1;
  }
  *copies = slices;
  return recipients->count;
}

void recipient_cells_forget(RecipientCells *cells, PassedRecipients *recipients) {
  if (recipients->first != 0) {
    cells->left += (recipients->bytes + CELL_BYTES - 1) / CELL_BYTES;
    cells->cells[recipients->last].next = cells->free;
    cells->free = recipients->first;
  }
  *recipients = (PassedRecipients){.first = 0};
}
