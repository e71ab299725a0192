/*
 * keyset_entry.h: how entries and keys of a keyset become runs of bytes that are equal when they match. Inside common/ask only.
 *
 * A network is family, prefix and 16 bytes; a domain its normal form (".example.org" with its dot); an address in lower case one of
 * "user@domain", "@domain", "domain", ".parent", "user@" or "<>"; numbers are 8 bytes; a tuple joins its parts, each after its length.
 */
#ifndef COMMON_ASK_KEYSET_ENTRY_H
#define COMMON_ASK_KEYSET_ENTRY_H

#include "common/ask/keyset.h"

/* Bytes in the making: on the stack up to its size, which is what nearly all keys need. */
typedef struct KeyBuffer {
  char *data;
  size_t length, capacity;
  char stack[1536];
} KeyBuffer;

void key_buffer_init(KeyBuffer *buffer);
void key_buffer_clear(KeyBuffer *buffer);
void key_buffer_add(KeyBuffer *buffer, const void *bytes, size_t length);
/* ASCII letters in lower case. */
void key_buffer_add_lower(KeyBuffer *buffer, Slice text);
static inline Slice key_buffer_slice(const KeyBuffer *buffer) {
  return slice_make(buffer->data, buffer->length);
}

/* The forms that entries come in; a keyset remembers which it has, so that others are not probed for. */
typedef enum EntryForm {
  ENTRY_WHOLE,     /* all that is not one of the others */
  ENTRY_AT_DOMAIN, /* "@domain" */
  ENTRY_DOMAIN,    /* "domain", of addresses */
  ENTRY_PARENT,    /* ".parent" */
  ENTRY_USER,      /* "user@" */
} EntryForm;

typedef struct EntryProblem {
  const char **text;
  Slice *right_form;
} EntryProblem;

/* Reads an entry's parts; appends its key to `buffer`. False as keyset_builder_add. */
bool keyset_entry_read(Arena *arena, const KeysetShape *shape, const Slice *parts, KeyBuffer *buffer, EntryForm *form,
                       EntryProblem problem);
/* Appends one part of a key exactly as it is (no prefixes, no parents). */
void keyset_key_add(KeyBuffer *buffer, ValueType type, const Value *value);
/* Appends a part of a tuple. */
void keyset_key_add_part(KeyBuffer *buffer, ValueType type, const Value *value);
void keyset_key_add_network(KeyBuffer *buffer, const IpNetwork *network);
void keyset_key_add_address(KeyBuffer *buffer, const MailAddress *address);

#endif
