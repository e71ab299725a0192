/*
 * clock.c: the system's clock in the local zone, and one that is moved by hand (UTC).
 */
#include "common/base/clock.h"

#include <pthread.h>
#include <time.h>

/* Linux has it. */
#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

struct Clock {
  bool manual;
  pthread_mutex_t lock; /* guards what follows; manual clocks only */
  int64_t unix_nanoseconds;
  int64_t monotonic;
};

/* What GDateTime and 64 bits of nanoseconds can both hold: the years 1 to 2262. */
static const int64_t unix_min = INT64_C(-62135596800);
static const int64_t unix_max = INT64_MAX / NANOSECONDS_PER_SECOND;

static const Clock system_clock = {.manual = false};

Clock *clock_system(void) {
  return (Clock *)&system_clock; /* never written: it has no state */
}

static int64_t clamp_to_nanoseconds(int64_t unix_seconds) {
  return CLAMP(unix_seconds, -unix_max, unix_max) * NANOSECONDS_PER_SECOND;
}

Clock *clock_manual_new(int64_t unix_seconds) {
  Clock *clock = g_new0(Clock, 1);
  clock->manual = true;
  clock->unix_nanoseconds = clamp_to_nanoseconds(unix_seconds);
  clock->monotonic = NANOSECONDS_PER_SECOND;
  (void)pthread_mutex_init(&clock->lock, NULL);
  return clock;
}

void clock_free(Clock *clock) {
  if (clock && clock->manual) {
    (void)pthread_mutex_destroy(&clock->lock);
    g_free(clock);
  }
}

/* Setting the wall clock forward lets the same time pass on the monotonic one; setting it back does not turn that one back. */
void clock_manual_set(Clock *clock, int64_t unix_seconds) {
  g_assert(clock->manual);
  (void)pthread_mutex_lock(&clock->lock);
  int64_t target = clamp_to_nanoseconds(unix_seconds);
  int64_t passed;
  if (!__builtin_sub_overflow(target, clock->unix_nanoseconds, &passed) && passed > 0 && clock->monotonic <= INT64_MAX - passed) {
    clock->monotonic += passed;
  }
  clock->unix_nanoseconds = target;
  (void)pthread_mutex_unlock(&clock->lock);
}

void clock_manual_advance(Clock *clock, int64_t nanoseconds) {
  g_assert(clock->manual && nanoseconds >= 0);
  (void)pthread_mutex_lock(&clock->lock);
  g_assert(clock->monotonic <= INT64_MAX - nanoseconds);
  clock->monotonic += nanoseconds;
  if (__builtin_add_overflow(clock->unix_nanoseconds, nanoseconds, &clock->unix_nanoseconds)) {
    clock->unix_nanoseconds = INT64_MAX;
  }
  (void)pthread_mutex_unlock(&clock->lock);
}

static int64_t read_system(clockid_t id) {
  struct timespec now;
  int outcome = clock_gettime(id, &now);
  g_assert(outcome == 0);
  return (int64_t)now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

int64_t clock_monotonic(Clock *clock) {
  if (!clock->manual) {
    return read_system(CLOCK_MONOTONIC);
  }
  (void)pthread_mutex_lock(&clock->lock);
  int64_t now = clock->monotonic;
  (void)pthread_mutex_unlock(&clock->lock);
  return now;
}

int64_t clock_monotonic_about(Clock *clock) {
  return clock->manual ? clock_monotonic(clock) : read_system(CLOCK_MONOTONIC_COARSE);
}

int64_t clock_unix(Clock *clock) {
  int64_t now;
  if (clock->manual) {
    (void)pthread_mutex_lock(&clock->lock);
    now = clock->unix_nanoseconds;
    (void)pthread_mutex_unlock(&clock->lock);
  } else {
    now = read_system(CLOCK_REALTIME);
  }
  int64_t seconds = now / NANOSECONDS_PER_SECOND;
  return now % NANOSECONDS_PER_SECOND < 0 ? seconds - 1 : seconds;
}

static GTimeZone *clock_zone(Clock *clock) {
  return clock->manual ? g_time_zone_new_utc() : g_time_zone_new_local();
}

ClockMoment clock_moment(Clock *clock, int64_t unix_seconds) {
  g_autoptr(GTimeZone) zone = clock_zone(clock);
  /* A day off both ends, so that no zone leaves the range. */
  int64_t within = CLAMP(unix_seconds, unix_min + 86400, unix_max - 86400);
  g_autoptr(GDateTime) universal = g_date_time_new_from_unix_utc(within);
  g_autoptr(GDateTime) local = g_date_time_to_timezone(universal, zone);
  g_assert(local != NULL);
  ClockMoment moment = {.unix_seconds = unix_seconds, .weekday = g_date_time_get_day_of_week(local)};
  g_date_time_get_ymd(local, &moment.year, &moment.month, &moment.day);
  moment.second_of_day = g_date_time_get_hour(local) * 3600 + g_date_time_get_minute(local) * 60 + g_date_time_get_second(local);
  return moment;
}

/* Reads `text` against a pattern in which '0' stands for a digit; the numbers between other bytes go to `numbers` in order. */
static bool read_numbers(Slice text, const char *pattern, int *numbers) {
  size_t length = strlen(pattern);
  if (text.length != length) {
    return false;
  }
  int *number = numbers;
  *number = 0;
  for (size_t i = 0; i < length; i++) {
    if (pattern[i] != '0') {
      if (text.data[i] != pattern[i]) {
        return false;
      }
      *++number = 0;
    } else if (!g_ascii_isdigit(text.data[i])) {
      return false;
    } else {
      *number = *number * 10 + text.data[i] - '0';
    }
  }
  return true;
}

bool clock_parse(Clock *clock, Slice text, int64_t *unix_seconds) {
  int numbers[6] = {0};
  if (!read_numbers(text, "0000-00-00 00:00:00", numbers)) {
    numbers[5] = 0;
    if (!read_numbers(text, "0000-00-00 00:00", numbers)) {
      return false;
    }
  }
  g_autoptr(GTimeZone) zone = clock_zone(clock);
  g_autoptr(GDateTime) moment = g_date_time_new(zone, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]);
  if (!moment) {
    return false;
  }
  *unix_seconds = g_date_time_to_unix(moment);
  return true;
}
