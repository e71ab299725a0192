/*
 * literal_automaton.c: Aho-Corasick (literal_automaton.h).
 *
 * States are numbered by depth. The first of them, where texts that hold nothing spend nearly all their time, have a row of all transitions; the others
 * have their edges in one hash table and go back along their failure link where they have none. Bytes are put into classes first: those of one letter in
 * both cases are one, those that no literal has are class 0, which leads to the start from everywhere.
 */
#include "common/rules/literal_automaton.h"

enum { STATES_MAX = 1 << 24, DENSE_CELLS = 64 * 1024, NO_TARGET = UINT32_MAX };

typedef struct Edge {
  uint32_t key; /* state << 8 | class; 0: free, as no edge has class 0 */
  uint32_t to;
} Edge;

typedef struct Edges {
  Edge *slots;
  uint32_t mask;
  unsigned shift;
} Edges;

struct LiteralAutomaton {
  uint8_t classes[256];
  uint32_t class_count; /* with class 0 */
  unsigned row_shift;   /* of a state, to get its row */
  uint32_t dense;       /* states below have rows */
  const uint32_t *rows; /* cells: state << 1, and 1 where it has something to report */
  Edges edges;          /* of the others */
  const uint32_t *fail;
  const uint32_t *report; /* the state itself or the nearest on its failure links that ends a literal; 0: none */
  const uint32_t *first;  /* of a state: its first target, as index of `next` */
  const uint32_t *next, *targets;
};

/* ---- edges ---- */

static uint32_t edge_key(uint32_t state, uint32_t class) {
  return state << 8 | class;
}

static Edge *edge_slot(const Edges *edges, uint32_t key) {
  uint32_t at = (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> edges->shift);
  while (edges->slots[at].key != 0 && edges->slots[at].key != key)
    at = (at + 1) & edges->mask;
  return &edges->slots[at];
}

static void edges_size(Edges *edges, size_t count) {
  unsigned bits = 4;
  while (((size_t)1 << bits) < count * 2)
    bits++;
  edges->mask = (uint32_t)(((uint64_t)1 << bits) - 1);
  edges->shift = 64 - bits;
}

/* ---- building ---- */

/* The tree of the literals, its states numbered as they come. */
typedef struct Tree {
  Edges edges;
  uint32_t count;
  uint32_t *parent;
  uint8_t *class; /* of the edge from the parent */
  uint8_t *depth;
  uint32_t *rank;  /* its number by depth */
  uint32_t *order; /* by rank */
} Tree;

static void number_classes(LiteralAutomaton *automaton, const LiteralEntry *entries, size_t count) {
  automaton->class_count = 1;
  for (size_t i = 0; i < count; i++) {
    for (size_t at = 0; at < entries[i].literal.length; at++) {
      uint8_t *class = &automaton->classes[(uint8_t)entries[i].literal.data[at]];
      if (*class == 0)
        *class = (uint8_t)automaton->class_count++;
    }
  }
  for (int letter = 'a'; letter <= 'z'; letter++)
    automaton->classes[letter - 'a' + 'A'] = automaton->classes[letter];
}

/* Where the literal ends. */
static uint32_t tree_add(Tree *tree, const LiteralAutomaton *automaton, Slice literal) {
  uint32_t state = 0;
  for (size_t at = 0; at < literal.length; at++) {
    uint8_t class = automaton->classes[(uint8_t)literal.data[at]];
    Edge *edge = edge_slot(&tree->edges, edge_key(state, class));
    if (edge->key == 0) {
      *edge = (Edge){edge_key(state, class), tree->count};
      tree->parent[tree->count] = state;
      tree->class[tree->count] = class;
      tree->depth[tree->count] = (uint8_t)MIN(at + 1, (size_t)UINT8_MAX);
      tree->count++;
    }
    state = edge->to;
  }
  return state;
}

/* Counting sort by depth; of the same depth, as they came. */
static void tree_rank(Tree *tree) {
  uint32_t starts[UINT8_MAX + 2] = {0};
  for (uint32_t state = 0; state < tree->count; state++)
    starts[tree->depth[state] + 1]++;
  for (size_t depth = 1; depth < G_N_ELEMENTS(starts); depth++)
    starts[depth] += starts[depth - 1];
  for (uint32_t state = 0; state < tree->count; state++) {
    tree->rank[state] = starts[tree->depth[state]]++;
    tree->order[tree->rank[state]] = state;
  }
}

/* The child by `class` of a state by rank, by rank; 0 when it has none. */
static uint32_t child_of(const Tree *tree, uint32_t state, uint32_t class) {
  const Edge *edge = edge_slot(&tree->edges, edge_key(tree->order[state], class));
  return edge->key != 0 ? tree->rank[edge->to] : 0;
}

/* Where the longest proper end of the state's text leads that is a state. Those of smaller rank are known. */
static uint32_t failure_of(const Tree *tree, const uint32_t *fail, uint32_t state) {
  uint32_t parent = tree->rank[tree->parent[tree->order[state]]];
  uint32_t class = tree->class[tree->order[state]];
  while (parent != 0) {
    parent = fail[parent];
    uint32_t child = child_of(tree, parent, class);
    if (child != 0)
      return child;
  }
  return 0;
}

static uint32_t cell_of(const LiteralAutomaton *automaton, uint32_t state) {
  return state << 1 | (automaton->report[state] != 0);
}

static void fill_rows(Arena *arena, LiteralAutomaton *automaton, const Tree *tree) {
  while ((1u << automaton->row_shift) < automaton->class_count)
    automaton->row_shift++;
  automaton->dense = MIN(tree->count, (uint32_t)(DENSE_CELLS >> automaton->row_shift));
  uint32_t *rows = ARENA_NEW_ARRAY(arena, uint32_t, (size_t)automaton->dense << automaton->row_shift);
  for (uint32_t state = 0; state < automaton->dense; state++) {
    uint32_t *row = rows + ((size_t)state << automaton->row_shift);
    const uint32_t *otherwise = rows + ((size_t)automaton->fail[state] << automaton->row_shift);
    for (uint32_t class = 1; class < automaton->class_count; class ++) {
      uint32_t child = child_of(tree, state, class);
      row[class] = child != 0 || state == 0 ? cell_of(automaton, child) : otherwise[class];
    }
  }
  automaton->rows = rows;
}

static void fill_edges(Arena *arena, LiteralAutomaton *automaton, const Tree *tree) {
  size_t count = 0;
  for (uint32_t state = 1; state < tree->count; state++)
    count += tree->rank[tree->parent[state]] >= automaton->dense;
  edges_size(&automaton->edges, count);
  automaton->edges.slots = ARENA_NEW_ARRAY(arena, Edge, (size_t)automaton->edges.mask + 1);
  for (uint32_t state = 1; state < tree->count; state++) {
    uint32_t parent = tree->rank[tree->parent[state]];
    if (parent < automaton->dense)
      continue;
    uint32_t key = edge_key(parent, tree->class[state]);
    *edge_slot(&automaton->edges, key) = (Edge){key, tree->rank[state]};
  }
}

static void fill_links(Arena *arena, LiteralAutomaton *automaton, const Tree *tree, const uint32_t *ends, const LiteralEntry *entries,
                       size_t count) {
  uint32_t *fail = ARENA_NEW_ARRAY(arena, uint32_t, tree->count), *report = ARENA_NEW_ARRAY(arena, uint32_t, tree->count);
  uint32_t *first = ARENA_NEW_ARRAY(arena, uint32_t, tree->count);
  uint32_t *next = ARENA_NEW_ARRAY(arena, uint32_t, count), *targets = ARENA_NEW_ARRAY(arena, uint32_t, count);
  memset(first, 0xff, tree->count * sizeof *first);
  for (size_t i = count; i-- > 0;) {
    uint32_t state = tree->rank[ends[i]];
    targets[i] = entries[i].target;
    next[i] = first[state];
    first[state] = (uint32_t)i;
  }
  for (uint32_t state = 1; state < tree->count; state++) {
    fail[state] = failure_of(tree, fail, state);
    report[state] = first[state] != NO_TARGET ? state : report[fail[state]];
  }
  automaton->fail = fail;
  automaton->report = report;
  automaton->first = first;
  automaton->next = next;
  automaton->targets = targets;
}

const LiteralAutomaton *literal_automaton_new(Arena *arena, const LiteralEntry *entries, size_t count) {
  size_t bytes = 1;
  for (size_t i = 0; i < count; i++)
    bytes += entries[i].literal.length;
  if (bytes >= STATES_MAX)
    return NULL;
  LiteralAutomaton *automaton = ARENA_NEW(arena, LiteralAutomaton);
  number_classes(automaton, entries, count);
  Tree tree = {.count = 1};
  edges_size(&tree.edges, bytes);
  tree.edges.slots = g_new0(Edge, (size_t)tree.edges.mask + 1);
  tree.parent = g_new0(uint32_t, bytes);
  tree.rank = g_new0(uint32_t, bytes);
  tree.order = g_new0(uint32_t, bytes);
  tree.class = g_new0(uint8_t, bytes);
  tree.depth = g_new0(uint8_t, bytes);
  uint32_t *ends = g_new(uint32_t, count + 1);
  for (size_t i = 0; i < count; i++)
    ends[i] = tree_add(&tree, automaton, entries[i].literal);
  tree_rank(&tree);
  fill_links(arena, automaton, &tree, ends, entries, count);
  fill_rows(arena, automaton, &tree);
  fill_edges(arena, automaton, &tree);
  g_free(ends);
  g_free(tree.depth);
  g_free(tree.class);
  g_free(tree.order);
  g_free(tree.rank);
  g_free(tree.parent);
  g_free(tree.edges.slots);
  return automaton;
}

/* ---- scanning ---- */

static void tell(const LiteralAutomaton *automaton, uint32_t state, LiteralHit hit, void *data) {
  for (uint32_t end = automaton->report[state]; end != 0; end = automaton->report[automaton->fail[end]])
    for (uint32_t i = automaton->first[end]; i != NO_TARGET; i = automaton->next[i])
      hit(data, automaton->targets[i]);
}

/* Behind the states with rows: along an edge, or back until there is one. */
static uint32_t step(const LiteralAutomaton *automaton, uint32_t state, uint32_t class) {
  while (state >= automaton->dense) {
    const Edge *edge = edge_slot(&automaton->edges, edge_key(state, class));
    if (edge->key != 0)
      return cell_of(automaton, edge->to);
    state = automaton->fail[state];
  }
  return automaton->rows[((size_t)state << automaton->row_shift) + class];
}

void literal_automaton_scan(const LiteralAutomaton *automaton, Slice text, LiteralHit hit, void *data) {
  uint32_t cell = 0;
  for (size_t at = 0; at < text.length; at++) {
    uint32_t state = cell >> 1, class = automaton->classes[(uint8_t)text.data[at]];
    cell = state < automaton->dense ? automaton->rows[((size_t)state << automaton->row_shift) + class]
           : class == 0             ? 0
                                    : step(automaton, state, class);
    if ((cell & 1) != 0)
      tell(automaton, cell >> 1, hit, data);
  }
}
