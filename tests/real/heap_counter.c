/*
 * heap_counter.c: counts what a program takes from the heap, preloaded into it by test_heap.py, which compiles it; never linked with anything.
 *
 * The environment's HEAP_COUNTER names a file of two 64-bit numbers, mapped while the program runs: what its first thread has taken (malloc and its relatives,
 * realloc included), and what all others have. Only for glibc, whose allocator has second names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *object, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t *counts;

__attribute__((constructor)) static void map_counts(void) {
  const char *path = getenv("HEAP_COUNTER");
  int descriptor = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (descriptor < 0)
    return;
  void *mapped = mmap(NULL, 2 * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  (void)close(descriptor);
  if (mapped != MAP_FAILED)
    counts = mapped;
}

static void count(void) {
  if (counts != NULL)
    atomic_fetch_add(&counts[gettid() != getpid()], 1);
}

void *malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}

void *realloc(void *object, size_t size) {
  count();
  return __libc_realloc(object, size);
}

void *memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}

int posix_memalign(void **object, size_t alignment, size_t size) {
  void *taken = memalign(alignment, size);
  if (taken == NULL)
    return ENOMEM;
  *object = taken;
  return 0;
}
