/*
 * index.h: which statements of a phase may be anything but false, found without reading the others.
 *
 * When rules are compiled, each statement whose condition allows it gets access tests: comparisons of one fact, or of what a pure function makes of it, with
 * literals, sets, inline tables, networks, domains, a text that its regex cannot match without, or a regex that libhs looks for. If none of them is true, the condition is false: not
 * unknown, not open. Per fact there is a hash table, a tree of networks and a matcher of literals; a run asks each
 * of them once and merges what they say with the statements that have no tests, in file order.
 *
 * An index is immutable and lives in the ruleset's arena. A cursor belongs to one run.
 */
#ifndef COMMON_RULES_INDEX_H
#define COMMON_RULES_INDEX_H

#include "common/rules/program.h"
#include "common/rules/run.h"

enum { INDEX_STATEMENTS_MIN = 4, INDEX_BLOCK_WALKED = 16 };

/* Gives an index to each phase with at least `least` statements where one helps. Once, before the program is shared. */
void program_index(Program *program, size_t least);

/*
 * Regexes without a literal are told apart by sets (regex_set.h) that are compiled in the background when they are used; this waits for all of them. The number of
 * sets that are ready. For tests and measuring; one thread at a time, before the program is shared.
 */
size_t program_index_prepare(const Program *program);

enum { INDEX_CANDIDATES_FIRST = 32 };

typedef struct IndexCursor {
  const PhaseIndex *index;
  uint32_t *candidates; /* sorted, each once */
  size_t count, room;
  size_t at, always_at;
  uint32_t walk_end; /* what stands before it is taken one by one: a small block was entered */
  Arena *arena;
  uint32_t first[INDEX_CANDIDATES_FIRST];
} IndexCursor;

/* Reads the facts of the index. What is open or unknown now makes all statements candidates that test it. */
void index_cursor_begin(IndexCursor *cursor, const PhaseIndex *index, Run *run);
/* The next statement at or behind `n` that may be anything but false; NO_STATEMENT when there is none. `n` never goes back. */
uint32_t index_cursor_next(IndexCursor *cursor, uint32_t n);
/* The block at this index is true or open: what is inside comes next. */
void index_cursor_enter(IndexCursor *cursor, uint32_t block);

/* ---- what it costs, for `mailreeve check --cost` ---- */

typedef struct IndexCost {
  size_t statements; /* rules and blocks */
  size_t blocks;
  size_t always; /* they have no access tests: read at each evaluation, but for those ... */
  size_t inside; /* ... of them that are in a block: read when it is entered */
  size_t facts;  /* each is looked up once an evaluation */
  size_t keys, networks, literals;
  size_t regexes; /* without a literal, that sets take */
} IndexCost;

/* A fact that is looked up: its name as rules write it, and what it is held against. */
typedef struct IndexFact {
  const char *name;
  size_t keys, networks, literals, regexes;
} IndexFact;

typedef struct IndexVisitor {
  /* Statements that cannot be indexed, in file order, with the reason (static text); `inside` a block or not. May be NULL. */
  void (*always)(const Statement *statement, bool inside, const char *reason, void *data);
  /* May be NULL. */
  void (*fact)(const IndexFact *fact, void *data);
  void *data;
} IndexVisitor;

/* All phases, also those too small for an index. `visitor` may be NULL. */
IndexCost index_cost(const Program *program, Phase phase, const IndexVisitor *visitor);

#endif
