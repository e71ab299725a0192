/*
 * map_guard.h: reading files that are mapped into memory and may be cut off, or filled with garbage, while they are read.
 *
 * A page of a mapping that its file does not have any more is SIGBUS, and a wrong offset in a damaged file SIGSEGV: either would end the process, and checking the size beforehand
 * leaves a gap. Inside of map_guard_run() they end the reading only. What is guarded reads and copies; it takes no lock and allocates nothing but from an arena. Any thread; a fault
 * outside of it ends the process as ever. The handlers are installed with the first use.
 */
#ifndef COMMON_LOOKUP_MAP_GUARD_H
#define COMMON_LOOKUP_MAP_GUARD_H

#include <stdbool.h>

/* True: `body` came to its end. False: it was left in the middle. Not nested. */
bool map_guard_run(void (*body)(void *self), void *self);
/* Leaves the body that this thread is in, if any: for libraries that would abort. */
void map_guard_leave(void);

#endif
