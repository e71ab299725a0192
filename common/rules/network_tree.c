/*
 * network_tree.c: networks are disjoint or one inside the other, so they are a tree, and their borders cut the addresses into pieces that each have one
 * innermost network. The pieces are sorted: finding an address is a search among them, the networks around it are the way to the root.
 */
#include "common/rules/network_tree.h"

#include <stdlib.h>

enum { NO_NODE = UINT32_MAX };

/* An address as a number; of IPv4 the first 32 bits of `high`. */
typedef struct Place {
  uint64_t high, low;
} Place;

typedef struct Node {
  uint32_t parent; /* the network around it, or NO_NODE; equal networks are each other's parents */
  uint32_t target;
} Node;

typedef struct Family {
  Place *borders;  /* sorted */
  uint32_t *inner; /* from this border on: the innermost network, or NO_NODE */
  size_t count;
  Node *nodes;
} Family;

struct NetworkTree {
  Family families[2];
};

static Place place_of(const uint8_t bytes[16]) {
  Place place = {0, 0};
  for (int i = 0; i < 8; i++) {
    place.high = place.high << 8 | bytes[i];
    place.low = place.low << 8 | bytes[i + 8];
  }
  return place;
}

static inline bool is_before(Place a, Place b) {
  return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* The last address of a network; IPv4's fills the rest with ones too, which no address has and no border falls into. */
static Place last_of(const IpNetwork *network) {
  Place last = place_of(network->address.bytes);
  unsigned prefix = network->prefix;
  last.high |= prefix >= 64 ? 0 : UINT64_MAX >> prefix;
  last.low |= prefix >= 128 ? 0 : prefix <= 64 ? UINT64_MAX : UINT64_MAX >> (prefix - 64);
  return last;
}

/* By family, first address, and the larger network first. */
static int compare_entries(const void *a, const void *b) {
  const NetworkEntry *one = a, *two = b;
  int order = ip_compare(&one->network.address, &two->network.address);
  if (order != 0)
    return order;
  return (int)one->network.prefix - (int)two->network.prefix;
}

static void add_border(Family *family, Place place, uint32_t inner) {
  if (family->count > 0) {
    Place last = family->borders[family->count - 1];
    if (last.high == place.high && last.low == place.low)
      family->count--;
  }
  family->borders[family->count] = place;
  family->inner[family->count++] = inner;
}

/* Behind the end of a network the one around it goes on. */
static void close_network(Family *family, const NetworkEntry *entry, uint32_t around) {
  Place end = last_of(&entry->network);
  end.low++;
  end.high += end.low == 0;
  if (end.high != 0 || end.low != 0)
    add_border(family, end, around);
}

static void fill_family(Arena *arena, Family *family, const NetworkEntry *entries, size_t count) {
  family->borders = ARENA_NEW_ARRAY(arena, Place, 2 * count + 1);
  family->inner = ARENA_NEW_ARRAY(arena, uint32_t, 2 * count + 1);
  family->nodes = ARENA_NEW_ARRAY(arena, Node, count);
  uint32_t open = NO_NODE;
  for (uint32_t i = 0; i <= count; i++) {
    Place start = i < count ? place_of(entries[i].network.address.bytes) : (Place){0, 0};
    while (open != NO_NODE && (i == count || is_before(last_of(&entries[open].network), start))) {
      uint32_t around = family->nodes[open].parent;
      close_network(family, &entries[open], around);
      open = around;
    }
    if (i == count)
      break;
    family->nodes[i] = (Node){open, entries[i].target};
    add_border(family, start, i);
    open = i;
  }
}

const NetworkTree *network_tree_new(Arena *arena, NetworkEntry *entries, size_t count) {
  NetworkTree *tree = ARENA_NEW(arena, NetworkTree);
  qsort(entries, count, sizeof *entries, compare_entries);
  size_t old = 0;
  while (old < count && entries[old].network.address.family == 4)
    old++;
  fill_family(arena, &tree->families[0], entries, old);
  fill_family(arena, &tree->families[1], entries + old, count - old);
  return tree;
}

void network_tree_find(const NetworkTree *tree, const IpAddress *address, NetworkHit hit, void *data) {
  const Family *family = &tree->families[address->family == 4 ? 0 : 1];
  Place place = place_of(address->bytes);
  size_t low = 0, high = family->count; /* the borders at or before the address are those below `low` */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (is_before(place, family->borders[middle]))
      high = middle;
    else
      low = middle + 1;
  }
  for (uint32_t node = low > 0 ? family->inner[low - 1] : NO_NODE; node != NO_NODE; node = family->nodes[node].parent)
    hit(data, family->nodes[node].target);
}
