/*
 * network_tree.h: which of many networks contain an address; all of them, IPv4 and IPv6. Made once, then immutable: thread-safe.
 */
#ifndef COMMON_RULES_NETWORK_TREE_H
#define COMMON_RULES_NETWORK_TREE_H

#include "common/base/ip.h"

typedef struct NetworkTree NetworkTree;

typedef struct NetworkEntry {
  IpNetwork network;
  uint32_t target; /* what is told of addresses inside */
} NetworkEntry;

/* Sorts `entries`; the tree lives in the arena. */
const NetworkTree *network_tree_new(Arena *arena, NetworkEntry *entries, size_t count);

/* Fetches the memory that network_tree_find will read first: for whoever has other things to do in the meantime. */
void network_tree_prefetch(const NetworkTree *tree, const IpAddress *address);

typedef void (*NetworkHit)(void *data, uint32_t target);
/* Tells the targets of all networks around the address, the longest prefix first. */
void network_tree_find(const NetworkTree *tree, const IpAddress *address, NetworkHit hit, void *data);

#endif
