/*
 * network_tree.c: networks are disjoint or one inside the other, so they are a tree, and their borders cut the addresses into pieces that each have one
 * innermost network. The pieces are sorted: finding an address is finding its piece, the networks around it are the way to the root.
 *
 * The pieces of a hundred thousand networks do not fit into a processor's near memory, and a search by halves waits for it at each step. So the range from
 * the first border to the last is cut into as many equal sectors as there are pieces, at most, and a table says where the pieces of each begin: one look into the
 * table, one at the two or three pieces of the sector. Where networks are crowded, a sector is searched by halves. Before that a filter, small enough to stay
 * near, tells of sixteen times as many parts of the range whether a network lies in or around them: most addresses are in none, and are done with one look.
 */
#include "common/rules/network_tree.h"

#include <stdlib.h>

enum { NO_NODE = UINT32_MAX, READ_IN_A_ROW = 8, PARTS_OF_SECTOR = 16 };

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
  uint64_t first;    /* border's high half */
  uint32_t *sectors; /* the first piece of each; one more for the end */
  size_t sector_count;
  unsigned shift; /* of what is behind the first border, to get its sector */
  uint64_t *filter;
  uint64_t filter_count; /* parts */
  unsigned filter_shift; /* of what is behind the first border, to get its part */
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

/* The least shift that makes at most `most` of a range. */
static unsigned shift_for(uint64_t range, uint64_t most) {
  unsigned shift = 0;
  while (shift < 63 && range >> shift >= most)
    shift++;
  return shift;
}

static void fill_sectors(Arena *arena, Family *family) {
  uint64_t range = family->pieces[family->count - 1].high - family->first;
  family->shift = shift_for(range, family->count);
  family->sector_count = (size_t)(range >> family->shift) + 1;
  family->sectors = ARENA_NEW_ARRAY(arena, uint32_t, family->sector_count + 1);
  size_t piece = 0;
  for (size_t sector = 0; sector < family->sector_count; sector++) {
    while ((family->pieces[piece].high - family->first) >> family->shift < sector)
      piece++;
    family->sectors[sector] = (uint32_t)piece;
  }
  family->sectors[family->sector_count] = (uint32_t)family->count;
}

/* Behind the last border is either nothing or the rest of a network that ends with the last address: both are asked of the pieces. */
static void fill_filter(Arena *arena, Family *family) {
  uint64_t range = family->pieces[family->count - 1].high - family->first;
  family->filter_shift = shift_for(range, (uint64_t)family->count * PARTS_OF_SECTOR);
  family->filter_count = (range >> family->filter_shift) + 1;
  family->filter = ARENA_NEW_ARRAY(arena, uint64_t, family->filter_count / 64 + 1);
  for (size_t i = 0; i < family->count; i++) {
    if (family->pieces[i].inner == NO_NODE)
      continue;
    uint64_t from = (family->pieces[i].high - family->first) >> family->filter_shift, to = from;
    if (i + 1 < family->count)
      to = (family->pieces[i + 1].high - family->first) >> family->filter_shift;
    for (uint64_t part = from; part <= to; part++)
      family->filter[part / 64] |= UINT64_C(1) << part % 64;
  }
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
  family->first = family->pieces[0].high;
  fill_sectors(arena, family);
  fill_filter(arena, family);
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

/* The number of pieces that begin at or before the place, which is not before the first. */
static inline size_t pieces_before(const Family *family, Place place) {
  uint64_t sector = (place.high - family->first) >> family->shift;
  if (sector >= family->sector_count)
    return family->count;
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
  uint64_t part = (place_of(address->bytes).high - family->first) >> family->filter_shift;
  if (part < family->filter_count)
    __builtin_prefetch(&family->filter[part / 64]);
}

void network_tree_find(const NetworkTree *tree, const IpAddress *address, NetworkHit hit, void *data) {
  const Family *family = family_of(tree, address);
  Place place = place_of(address->bytes);
  uint64_t part = (place.high - family->first) >> family->filter_shift;
  if (place.high < family->first || family->count == 0 ||
      (part < family->filter_count && (family->filter[part / 64] >> part % 64 & 1) == 0))
    return;
  size_t before = pieces_before(family, place);
  for (uint32_t node = before > 0 ? family->pieces[before - 1].inner : NO_NODE; node != NO_NODE; node = family->nodes[node].parent)
    hit(data, family->nodes[node].target);
}
