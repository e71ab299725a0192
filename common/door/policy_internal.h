/*
 * policy_internal.h: between the files of the policy door.
 */
#ifndef COMMON_DOOR_POLICY_INTERNAL_H
#define COMMON_DOOR_POLICY_INTERNAL_H

#include "common/door/policy.h"

/*
 * What a message is remembered under: the seeded hash of its name. Two of the LIMIT_INSTANCES messages meet once in some billions of full tables, and then a header
 * is missing.
 */
typedef struct MemoryKey {
  uint64_t hash;
} MemoryKey;

/* By instance (*is_message true), else by both ends of the connection; false when neither is known: nothing can be remembered. */
bool policy_memory_key(PolicyMemory *memory, const PolicyRequest *request, MemoryKey *key, bool *is_message);
/* The memory is about to be asked about this key: what the processor has to fetch for it is on its way from now on. */
void policy_memory_approach(PolicyMemory *memory, const MemoryKey *key);

/* The ruleset that this message uses: `offered` if it is new. Borrowed until the memory is asked about another message. */
Ruleset *policy_memory_pin(PolicyMemory *memory, const MemoryKey *key, Ruleset *offered);
/* True when `effect` (a hash) was not said for this message yet; from now on it was. */
bool policy_memory_say(PolicyMemory *memory, const MemoryKey *key, uint32_t effect);
void policy_memory_spare(PolicyMemory *memory, const MemoryKey *key);
bool policy_memory_is_spared(PolicyMemory *memory, const MemoryKey *key);
/* Copies what is known of the message's groups; {0} when nothing is. */
void policy_memory_load_groups(PolicyMemory *memory, const MemoryKey *key, RecipientGroups *groups);
void policy_memory_store_groups(PolicyMemory *memory, const MemoryKey *key, const RecipientGroups *groups);

/* This recipient, as Postfix writes it, passed. */
void policy_memory_add_recipient(PolicyMemory *memory, const MemoryKey *key, Slice recipient);
/* Those that passed, in order, copied to the arena; 0 too where not all of them could be kept. */
size_t policy_memory_recipients(PolicyMemory *memory, const MemoryKey *key, Arena *arena, const Slice **recipients);

/* policy_recipients.c: the fact `recipients` at data and eom: what Postfix says of one recipient, else what is remembered, else unknown. `key` may be NULL. */
void policy_recipients_fact(Session *session, const PolicyRequest *request, PolicyMemory *memory, const MemoryKey *key, Arena *arena);

/* The text behind "action=" for a whole-message effect; empty when there is none to say. */
Slice policy_encode_effect(Arena *arena, const Effect *effect);

#endif
