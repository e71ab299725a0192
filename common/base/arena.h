/*
 * arena.h: memory with one lifetime.
 *
 * Objects are taken one by one and given back all at once, by arena_reset or arena_free. There are three lifetimes in the
 * product, each with an arena: ruleset, session, message (and a scratch arena for a single run of the rules). An arena keeps
 * release functions too, run in reverse order at reset.
 *
 * Configured with --enable-arena-malloc each object becomes a malloc of its own, so that the address sanitizer sees overruns.
 *
 * Threads: confined; one thread at a time uses an arena. Out of memory ends the process (as in GLib): sizes that a peer
 * chooses must be checked against limits.h before they come here.
 */
#ifndef COMMON_BASE_ARENA_H
#define COMMON_BASE_ARENA_H

#include <stddef.h>

#include <glib.h>

typedef struct Arena Arena;
typedef void (*ArenaRelease)(void *object);

/* `first_chunk` bytes are taken at the first allocation; 0 means a sensible default (1 KiB). Later chunks grow. */
Arena *arena_new(size_t first_chunk);
/* Runs the release functions, keeps the first chunk for re-use. All objects are gone afterwards. */
void arena_reset(Arena *arena);
/* Takes NULL. */
void arena_free(Arena *arena);

/* Zeroed, aligned for pointers, int64_t and double (8 bytes); never NULL; size 0 gives a unique pointer. */
void *arena_alloc(Arena *arena, size_t size);
/* The same for `count` objects of `size` bytes; a product that overflows ends the process. */
void *arena_alloc_array(Arena *arena, size_t size, size_t count);
/* Not zeroed, alignment 1: for text. */
char *arena_alloc_text(Arena *arena, size_t size);
/* `release(object)` is called at reset or free, the last one added first. */
void arena_on_reset(Arena *arena, ArenaRelease release, void *object);
/* Bytes handed out since the last reset (for tests and limits). */
size_t arena_used(const Arena *arena);

#define ARENA_NEW(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define ARENA_NEW_ARRAY(arena, Type, count) ((Type *)arena_alloc_array((arena), sizeof(Type), (size_t)(count)))

char *arena_printf(Arena *arena, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Arena, arena_free)

#endif
