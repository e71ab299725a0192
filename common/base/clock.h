/*
 * clock.h: the only way to the time.
 *
 * A Clock is an interface with two implementations: the system's, and one that tests and scenarios set by hand. Wall time is
 * seconds since 1970 with the zone's offset given beside it (localtime is banned); monotonic time counts nanoseconds. Thread-safe to read; clock_manual_*
 * are for the thread that owns the test.
 */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/base/slice.h"

typedef struct Clock Clock;

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
#define NANOSECONDS_PER_MILLISECOND INT64_C(1000000)

/* A moment of wall time, cut into what rules ask for, in the clock's zone. */
typedef struct ClockMoment {
  int64_t unix_seconds;
  int year, month, day;      /* month 1..12, day 1..31 */
  int second_of_day;         /* 0..86399 */
  int weekday;               /* 1 = Monday .. 7 = Sunday (ISO 8601) */
} ClockMoment;

/* The system's clock in the local zone; lives as long as the process. */
Clock *clock_system(void);
/* A clock that stands at `unix_seconds` (UTC) until moved; free with clock_free. */
Clock *clock_manual_new(int64_t unix_seconds);
void clock_manual_set(Clock *clock, int64_t unix_seconds);
void clock_manual_advance(Clock *clock, int64_t nanoseconds);
void clock_free(Clock *clock);

int64_t clock_monotonic(Clock *clock); /* nanoseconds from an arbitrary start, never backwards */
/* The same, some milliseconds behind at most, and cheaper: for what is asked with each request. */
int64_t clock_monotonic_about(Clock *clock);
int64_t clock_unix(Clock *clock);      /* seconds since 1970-01-01 00:00 UTC */
ClockMoment clock_moment(Clock *clock, int64_t unix_seconds);
/* "YYYY-MM-DD HH:MM[:SS]" in the clock's zone (scenario files); false if it is no such time. */
bool clock_parse(Clock *clock, Slice text, int64_t *unix_seconds);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Clock, clock_free)

#endif
