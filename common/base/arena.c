/*
 * arena.c: chunks that are filled from both ends: objects from the front, aligned; text from the back, packed.
 *
 * The first chunk stays over a reset, so that a session or message that fits into it never calls malloc again. What is larger than
 * a quarter of the next chunk gets a chunk of its own, so that the rest of the current one is not wasted.
 */
#include "common/base/arena.h"

#include "config.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Of pointers, int64_t and double; nothing here holds a type that wants more. */
enum { FIRST_CHUNK_DEFAULT = 1024, CHUNK_MAX = 1024 * 1024, ALIGNMENT = 8 };

typedef struct Chunk {
  struct Chunk *next;
  size_t size; /* of `bytes` */
  alignas(ALIGNMENT) char bytes[];
} Chunk;

typedef struct ReleaseEntry {
  struct ReleaseEntry *next;
  ArenaRelease release;
  void *object;
} ReleaseEntry;

struct Arena {
  char *front, *back; /* the free part of the current chunk */
  Chunk *first;       /* kept by arena_reset; NULL before the first allocation */
  Chunk *others;      /* freed by arena_reset */
  ReleaseEntry *releases;
  size_t first_size;
  size_t next_size;
  size_t used;
};

Arena *arena_new(size_t first_chunk) {
  Arena *arena = g_new0(Arena, 1);
  arena->first_size = first_chunk ? first_chunk : FIRST_CHUNK_DEFAULT;
  arena->next_size = arena->first_size;
  return arena;
}

static Chunk *chunk_new(size_t size) {
  if (size > SIZE_MAX / 2) {
    g_error("arena: an object of %zu bytes was asked for", size);
  }
  Chunk *chunk = g_malloc(sizeof(Chunk) + size);
  chunk->next = NULL;
  chunk->size = size;
  return chunk;
}

#ifdef ARENA_MALLOC

static bool arena_wants_own_chunk(const Arena *arena, size_t size) {
  (void)arena;
  (void)size;
  return true;
}

#else

static bool arena_wants_own_chunk(const Arena *arena, size_t size) {
  return size > arena->next_size / 4 && (arena->first != NULL || size > arena->first_size);
}

#endif

/* A chunk that holds just one object; the current chunk stays current. */
static char *arena_take_own(Arena *arena, size_t size) {
  Chunk *chunk = chunk_new(size);
  chunk->next = arena->others;
  arena->others = chunk;
  return chunk->bytes;
}

static void arena_grow(Arena *arena) {
  Chunk *chunk = chunk_new(arena->first ? arena->next_size : arena->first_size);
  if (!arena->first) {
    arena->first = chunk;
  } else {
    chunk->next = arena->others;
    arena->others = chunk;
  }
  arena->front = chunk->bytes;
  arena->back = chunk->bytes + chunk->size;
  arena->next_size = MIN(chunk->size * 2, MAX((size_t)CHUNK_MAX, arena->first_size));
}

static void *arena_take(Arena *arena, size_t size) {
  for (;;) {
    size_t padding = (size_t)(-(uintptr_t)arena->front & (ALIGNMENT - 1));
    if (arena->front && (size_t)(arena->back - arena->front) >= padding && (size_t)(arena->back - arena->front) - padding >= size) {
      char *object = arena->front + padding;
      arena->front = object + size;
      return object;
    }
    if (arena_wants_own_chunk(arena, size)) {
      return arena_take_own(arena, size);
    }
    arena_grow(arena);
  }
}

void *arena_alloc(Arena *arena, size_t size) {
  size = size ? size : 1;
  arena->used += size;
  return memset(arena_take(arena, size), 0, size);
}

void *arena_alloc_array(Arena *arena, size_t size, size_t count) {
  if (size && count > SIZE_MAX / 2 / size) {
    g_error("arena: an array of %zu objects of %zu bytes was asked for", count, size);
  }
  return arena_alloc(arena, size * count);
}

char *arena_alloc_text(Arena *arena, size_t size) {
  size = size ? size : 1;
  arena->used += size;
  for (;;) {
    if (arena->front && (size_t)(arena->back - arena->front) >= size) {
      return arena->back -= size;
    }
    if (arena_wants_own_chunk(arena, size)) {
      return arena_take_own(arena, size);
    }
    arena_grow(arena);
  }
}

void arena_on_reset(Arena *arena, ArenaRelease release, void *object) {
  ReleaseEntry *entry = arena_take(arena, sizeof(ReleaseEntry));
  entry->next = arena->releases;
  entry->release = release;
  entry->object = object;
  arena->releases = entry;
}

size_t arena_used(const Arena *arena) {
  return arena->used;
}

void arena_reset(Arena *arena) {
  while (arena->releases) {
    ReleaseEntry *entry = arena->releases;
    arena->releases = entry->next;
    entry->release(entry->object);
  }
  while (arena->others) {
    Chunk *chunk = arena->others;
    arena->others = chunk->next;
    g_free(chunk);
  }
  arena->used = 0;
  if (arena->first) {
    arena->front = arena->first->bytes;
    arena->back = arena->first->bytes + arena->first->size;
    arena->next_size = MIN(arena->first->size * 2, MAX((size_t)CHUNK_MAX, arena->first_size));
  }
}

void arena_free(Arena *arena) {
  if (arena) {
    arena_reset(arena);
    g_free(arena->first);
    g_free(arena);
  }
}

char *arena_printf(Arena *arena, const char *format, ...) {
  char buffer[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  if (length < 0) {
    g_error("arena: a text could not be formatted");
  }
  char *text = arena_alloc_text(arena, (size_t)length + 1);
  if ((size_t)length < sizeof buffer) {
    return memcpy(text, buffer, (size_t)length + 1);
  }
  va_start(arguments, format);
  (void)vsnprintf(text, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return text;
}
