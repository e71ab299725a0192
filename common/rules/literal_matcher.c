/*
 * literal_matcher.c: four bytes of each literal lead to it, nearly every text is done without reading more (literal_matcher.h).
 *
 * A text is looked at every `stride` bytes, four bytes at a time (a gram). One bit of a filter says whether any literal is known by this gram; most are known
 * by none, and then that was all: the looks do not depend on each other, the filter is small. A gram that is known leads to its literals, which are compared with
 * the text around it. So that none is missed a literal is known by as many grams in a row as the stride is long, wherever in it these stand: they
 * are taken where they are shared with the fewest others, so that "host" is not looked at in every text because of ten thousand names that begin so.
 *
 * What is too short to hold them, and what shares all its grams with many, goes to an automaton (literal_automaton.h).
 */
#include "common/rules/literal_matcher.h"

#include <stdlib.h>

#include "common/rules/literal_automaton.h"

enum { GRAM = 4, STRIDE_MAX = 4, SHARED_MAX = 32, FILTER_BITS_MIN = 12, FILTER_BITS_MAX = 24, BITS_PER_GRAM = 16, BYTES_MAX = 1 << 24 };
enum { FREE = UINT32_MAX };
#define LAST_USE (UINT32_C(1) << 31)

/* A literal that is known by grams. */
typedef struct Known {
  Slice text;
  uint32_t target;
} Known;

typedef struct GramSlot {
  uint32_t gram;
  uint32_t start; /* in `uses`; FREE: none */
} GramSlot;

/* A gram's place in a literal; those of one gram stand in a row, the last with LAST_USE in `known`. */
typedef struct GramUse {
  uint32_t known;
  uint32_t offset;
} GramUse;

struct LiteralMatcher {
  size_t stride;
  uint64_t *filter; /* bits by hash; NULL: all literals are the automaton's */
  unsigned filter_shift;
  unsigned slot_shift;
  uint32_t slot_mask;
  GramSlot *slots;
  GramUse *uses;
  Known *known;
  const LiteralAutomaton *automaton; /* NULL: nothing is left for it */
};

/* The same for both cases of a letter; that other bytes are taken for each other costs a comparison at most. */
static inline uint32_t gram_at(const char *text) {
  uint32_t gram;
  memcpy(&gram, text, sizeof gram);
  return gram | UINT32_C(0x20202020);
}

static inline uint32_t gram_hash(uint32_t gram) {
  return gram * UINT32_C(0x9e3779b1);
}

static unsigned bits_for(size_t count, unsigned least, unsigned most) {
  unsigned bits = least;
  while (bits < most && ((size_t)1 << bits) < count)
    bits++;
  return bits;
}

/* ---- building ---- */

typedef struct Builder {
  const LiteralEntry *entries;
  size_t count;
  size_t stride;
  uint32_t *shared; /* by hash: how many grams */
  unsigned shift;
  uint32_t *windows; /* of an entry: where the grams begin by which it is known; FREE: by none */
} Builder;

/* As long as the shortest literal that holds a gram allows. */
static size_t choose_stride(const LiteralEntry *entries, size_t count) {
  size_t shortest = GRAM + STRIDE_MAX - 1;
  for (size_t i = 0; i < count; i++)
    if (entries[i].literal.length >= GRAM)
      shortest = MIN(shortest, entries[i].literal.length);
  return shortest - GRAM + 1;
}

static inline uint32_t *shared_by(const Builder *builder, const char *gram) {
  return &builder->shared[gram_hash(gram_at(gram)) >> builder->shift];
}

static uint32_t window_load(const Builder *builder, Slice literal, size_t window) {
  uint32_t load = 0;
  for (size_t i = 0; i < builder->stride; i++)
    load = MAX(load, *shared_by(builder, literal.data + window + i));
  return load;
}

static uint32_t choose_window(const Builder *builder, Slice literal) {
  size_t best = 0;
  uint32_t least = UINT32_MAX;
  for (size_t window = 0; window + builder->stride - 1 + GRAM <= literal.length; window++) {
    uint32_t load = window_load(builder, literal, window);
    if (load < least) {
      least = load;
      best = window;
    }
  }
  return (uint32_t)best;
}

/* First by how often a gram is anywhere in the literals; then what was chosen is counted, and the crowded ones are left out. */
static size_t choose_windows(Builder *builder) {
  size_t kept = 0;
  for (size_t i = 0; i < builder->count; i++)
    for (size_t at = 0; at + GRAM <= builder->entries[i].literal.length; at++)
      ++*shared_by(builder, builder->entries[i].literal.data + at);
  for (size_t i = 0; i < builder->count; i++)
    builder->windows[i] = builder->entries[i].literal.length < GRAM ? FREE : choose_window(builder, builder->entries[i].literal);
  memset(builder->shared, 0, sizeof *builder->shared << (32 - builder->shift));
  for (size_t i = 0; i < builder->count; i++)
    for (size_t at = 0; builder->windows[i] != FREE && at < builder->stride; at++)
      ++*shared_by(builder, builder->entries[i].literal.data + builder->windows[i] + at);
  for (size_t i = 0; i < builder->count; i++) {
    if (builder->windows[i] != FREE && window_load(builder, builder->entries[i].literal, builder->windows[i]) > SHARED_MAX)
      builder->windows[i] = FREE;
    kept += builder->windows[i] != FREE;
  }
  return kept;
}

typedef struct GramEntry {
  uint32_t gram;
  GramUse use;
} GramEntry;

static int compare_grams(const void *a, const void *b) {
  const GramEntry *one = a, *two = b;
  if (one->gram != two->gram)
    return one->gram < two->gram ? -1 : 1;
  return one->use.known < two->use.known ? -1 : one->use.known > two->use.known;
}

/* Copies the literals that are known by grams; these, sorted. */
static GramEntry *fill_known(Arena *arena, LiteralMatcher *matcher, const Builder *builder, size_t kept) {
  GramEntry *grams = g_new(GramEntry, kept * builder->stride);
  size_t gram_count = 0;
  uint32_t number = 0;
  matcher->known = ARENA_NEW_ARRAY(arena, Known, kept);
  for (size_t i = 0; i < builder->count; i++) {
    if (builder->windows[i] == FREE)
      continue;
    Slice text = slice_copy(arena, builder->entries[i].literal);
    for (uint32_t at = 0; at < builder->stride; at++) {
      uint32_t offset = builder->windows[i] + at;
      grams[gram_count++] = (GramEntry){gram_at(text.data + offset), {number, offset}};
    }
    matcher->known[number++] = (Known){text, builder->entries[i].target};
  }
  qsort(grams, gram_count, sizeof *grams, compare_grams);
  return grams;
}

static void fill_grams(Arena *arena, LiteralMatcher *matcher, const GramEntry *grams, size_t count) {
  unsigned filter_bits = bits_for(count * BITS_PER_GRAM, FILTER_BITS_MIN, FILTER_BITS_MAX), slot_bits = bits_for(count * 2, 2, 31);
  matcher->filter_shift = 32 - filter_bits;
  matcher->filter = ARENA_NEW_ARRAY(arena, uint64_t, ((size_t)1 << filter_bits) / 64);
  matcher->slot_shift = 32 - slot_bits;
  matcher->slot_mask = (UINT32_C(1) << slot_bits) - 1;
  matcher->slots = ARENA_NEW_ARRAY(arena, GramSlot, (size_t)1 << slot_bits);
  memset(matcher->slots, 0xff, sizeof *matcher->slots << slot_bits);
  matcher->uses = ARENA_NEW_ARRAY(arena, GramUse, count);
  for (size_t i = 0; i < count; i++) {
    bool last = i + 1 == count || grams[i + 1].gram != grams[i].gram;
    matcher->uses[i] = (GramUse){grams[i].use.known | (last ? LAST_USE : 0), grams[i].use.offset};
    if (i > 0 && grams[i - 1].gram == grams[i].gram)
      continue;
    uint32_t hash = gram_hash(grams[i].gram), bit = hash >> matcher->filter_shift, at = hash >> matcher->slot_shift;
    matcher->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    while (matcher->slots[at].start != FREE)
      at = (at + 1) & matcher->slot_mask;
    matcher->slots[at] = (GramSlot){grams[i].gram, (uint32_t)i};
  }
}

/* What no gram leads to. False when there is too much of it. */
static bool fill_automaton(Arena *arena, LiteralMatcher *matcher, const Builder *builder, size_t left) {
  if (left == 0)
    return true;
  LiteralEntry *entries = g_new(LiteralEntry, left);
  size_t count = 0;
  for (size_t i = 0; i < builder->count; i++)
    if (builder->windows[i] == FREE)
      entries[count++] = builder->entries[i];
  matcher->automaton = literal_automaton_new(arena, entries, count);
  g_free(entries);
  return matcher->automaton != NULL;
}

const LiteralMatcher *literal_matcher_new(Arena *arena, const LiteralEntry *entries, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++)
    bytes += entries[i].literal.length;
  if (bytes >= BYTES_MAX)
    return NULL;
  unsigned bits = bits_for(bytes * 2, 8, 24);
  Builder builder = {.entries = entries, .count = count, .stride = choose_stride(entries, count), .shift = 32 - bits};
  builder.shared = g_new0(uint32_t, (size_t)1 << bits);
  builder.windows = g_new(uint32_t, count);
  LiteralMatcher *matcher = ARENA_NEW(arena, LiteralMatcher);
  matcher->stride = builder.stride;
  size_t kept = choose_windows(&builder);
  if (kept > 0) {
    GramEntry *grams = fill_known(arena, matcher, &builder, kept);
    fill_grams(arena, matcher, grams, kept * builder.stride);
    g_free(grams);
  }
  bool good = fill_automaton(arena, matcher, &builder, count - kept);
  g_free(builder.windows);
  g_free(builder.shared);
  return good ? matcher : NULL;
}

/* ---- scanning ---- */

/* The filter knows the gram: its literals, compared with the text around it. */
static G_GNUC_NO_INLINE void find_around(const LiteralMatcher *matcher, Slice text, size_t at, uint32_t gram, LiteralHit hit, void *data) {
  uint32_t slot = gram_hash(gram) >> matcher->slot_shift;
  while (matcher->slots[slot].gram != gram || matcher->slots[slot].start == FREE) {
    if (matcher->slots[slot].start == FREE)
      return;
    slot = (slot + 1) & matcher->slot_mask;
  }
  const GramUse *use = &matcher->uses[matcher->slots[slot].start];
  for (bool last = false; !last; use++) {
    last = (use->known & LAST_USE) != 0;
    const Known *known = &matcher->known[use->known & ~LAST_USE];
    if (use->offset <= at && at - use->offset + known->text.length <= text.length &&
        slice_equal_fold(known->text, slice_make(text.data + at - use->offset, known->text.length)))
      hit(data, known->target);
  }
}

void literal_matcher_scan(const LiteralMatcher *matcher, Slice text, LiteralHit hit, void *data) {
  const uint64_t *filter = matcher->filter;
  for (size_t at = 0; filter != NULL && at + GRAM <= text.length; at += matcher->stride) {
    uint32_t gram = gram_at(text.data + at), bit = gram_hash(gram) >> matcher->filter_shift;
    if ((filter[bit / 64] >> bit % 64 & 1) != 0)
      find_around(matcher, text, at, gram, hit, data);
  }
  if (matcher->automaton != NULL)
    literal_automaton_scan(matcher->automaton, text, hit, data);
}
