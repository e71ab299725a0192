/*
 * network_tree.c: networks are disjoint or one inside the other, so they are a tree, and their borders cut the addresses into pieces that each have one
 * innermost network. The pieces are sorted: finding an address is finding its piece, the networks around it are the way to the root.
 *
 * The pieces of a hundred thousand networks do not fit into a processor's near memory, and a search by halves waits for it at each step. So the range from
 * the first border to the last is cut into as many equal sectors as there are pieces, at most, and a table says where the pieces of each begin: one look into the
 * table, one at the two or three pieces of the sector. Where networks are crowded, a sector is searched by halves.
 */
#include "common/rules/network_tree.h"

#include <stdlib.h>

enum { NO_NODE = UINT32_MAX, READ_IN_A_ROW = 8 };

/* An address as a number; of IPv4 the first 32 bits of `high`. */
typedef struct Place {
  uint64_t high, low;
} Place;

/* From its border to the next one. */
typedef struct Piece {
  uint64_t high;  /* of the border */
  uint32_t inner; /* the innermost network, or NO_NODE */
} Piece;

typedef struct Node {
  uint32_t parent; /* the network around it, or NO_NODE; equal networks are each other's parents */
  uint32_t target;
} Node;

typedef struct Family {
  Piece *pieces; /* sorted */
  uint64_t *low; /* of their borders; NULL: all 0, as with IPv4 and with networks of IPv6 down to /64 */
  size_t count;
  uint32_t *sectors; /* the first piece of each; one more for the end */
  size_t sector_count;
  unsigned shift; /* of what is behind the first border, to get its sector */
  Node *nodes;
} Family;

struct NetworkTree {
  Family families[2];
};

static inline Place place_of(const uint8_t bytes[16]) {
  Place place;
  memcpy(&place, bytes, sizeof place);
  return (Place){GUINT64_FROM_BE(place.high), GUINT64_FROM_BE(place.low)};
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

/* ---- building ---- */

static inline bool piece_begins_at(const Family *family, size_t at, Place place) {
  return family->pieces[at].high == place.high && (family->low != NULL ? family->low[at] : 0) == place.low;
}

static void add_piece(Family *family, Place place, uint32_t inner) {
  if (family->count > 0 && piece_begins_at(family, family->count - 1, place))
    family->count--;
  family->pieces[family->count] = (Piece){place.high, inner};
  if (family->low != NULL)
    family->low[family->count] = place.low;
  family->count++;
}

/* Behind the end of a network the one around it goes on. */
static void close_network(Family *family, const NetworkEntry *entry, uint32_t around) {
  Place end = last_of(&entry->network);
  end.low++;
  end.high += end.low == 0;
  if (end.high != 0 || end.low != 0)
    add_piece(family, end, around);
}

static void fill_pieces(Family *family, const NetworkEntry *entries, size_t count) {
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
    add_piece(family, start, i);
    open = i;
  }
}

static inline size_t sector_of(const Family *family, uint64_t high) {
  return (size_t)((high - family->pieces[0].high) >> family->shift);
}

static void fill_sectors(Arena *arena, Family *family) {
  uint64_t last = family->pieces[family->count - 1].high;
  while (family->shift < 63 && sector_of(family, last) >= family->count)
    family->shift++;
  family->sector_count = sector_of(family, last) + 1;
  family->sectors = ARENA_NEW_ARRAY(arena, uint32_t, family->sector_count + 1);
  size_t piece = 0;
  for (size_t sector = 0; sector < family->sector_count; sector++) {
    while (sector_of(family, family->pieces[piece].high) < sector)
      piece++;
    family->sectors[sector] = (uint32_t)piece;
  }
  family->sectors[family->sector_count] = (uint32_t)family->count;
}

static void fill_family(Arena *arena, Family *family, const NetworkEntry *entries, size_t count) {
  bool has_low = false;
  for (size_t i = 0; i < count && !has_low; i++)
    has_low = entries[i].network.address.family == 6 && entries[i].network.prefix > 64;
  if (count == 0)
    return;
  family->pieces = ARENA_NEW_ARRAY(arena, Piece, 2 * count);
  if (has_low)
    family->low = ARENA_NEW_ARRAY(arena, uint64_t, 2 * count);
  family->nodes = ARENA_NEW_ARRAY(arena, Node, count);
  fill_pieces(family, entries, count);
  fill_sectors(arena, family);
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

/* ---- finding ---- */

static inline bool lies_before(const Family *family, Place place, size_t piece) {
  uint64_t high = family->pieces[piece].high;
  return place.high < high || (place.high == high && family->low != NULL && place.low < family->low[piece]);
}

static inline const Family *family_of(const NetworkTree *tree, const IpAddress *address) {
  return &tree->families[address->family == 4 ? 0 : 1];
}

/* The number of pieces that begin at or before the place. */
static inline size_t pieces_before(const Family *family, Place place) {
  if (family->count == 0 || place.high < family->pieces[0].high)
    return 0;
  size_t sector = MIN(sector_of(family, place.high), family->sector_count - 1);
  size_t low = family->sectors[sector], high = family->sectors[sector + 1];
  while (high - low > READ_IN_A_ROW) {
    size_t middle = low + (high - low) / 2;
    if (lies_before(family, place, middle))
      high = middle;
    else
      low = middle + 1;
  }
  while (low < high && !lies_before(family, place, low))
    low++;
  return low;
}

void network_tree_prefetch(const NetworkTree *tree, const IpAddress *address) {
  const Family *family = family_of(tree, address);
  Place place = place_of(address->bytes);
  if (family->count > 0 && place.high >= family->pieces[0].high)
    __builtin_prefetch(&family->sectors[MIN(sector_of(family, place.high), family->sector_count - 1)]);
}

void network_tree_find(const NetworkTree *tree, const IpAddress *address, NetworkHit hit, void *data) {
  const Family *family = family_of(tree, address);
  size_t before = pieces_before(family, place_of(address->bytes));
  for (uint32_t node = before > 0 ? family->pieces[before - 1].inner : NO_NODE; node != NO_NODE; node = family->nodes[node].parent)
    hit(data, family->nodes[node].target);
}
