/* test_clock.c: wall time in the local zone, and the clock that tests move. */
#include "tests/unit/unit.h"

#include "common/base/clock.h"

static const struct {
  const char *zone;
  int64_t unix_seconds;
  int year, month, day, second_of_day, weekday;
} moments[] = {
    {"UTC", 0, 1970, 1, 1, 0, 4},
    {"UTC", -1, 1969, 12, 31, 86399, 3},
    {"UTC", 951782400, 2000, 2, 29, 0, 2},
    {"UTC", 1795435200, 2026, 11, 23, 43200, 1},
    {"CET-1CEST,M3.5.0,M10.5.0/3", 1795435200, 2026, 11, 23, 46800, 1},
    {"CET-1CEST,M3.5.0,M10.5.0/3", 1774745999, 2026, 3, 29, 7199, 7},  /* the second before summer time */
    {"CET-1CEST,M3.5.0,M10.5.0/3", 1774746000, 2026, 3, 29, 10800, 7}, /* 02:00 became 03:00 */
    {"IST-5:30", 1795435200, 2026, 11, 23, 63000, 1},
    {"PST8PDT,M3.2.0,M11.1.0", 1795420800, 2026, 11, 23, 0, 1},
    {"PST8PDT,M3.2.0,M11.1.0", 1795420799, 2026, 11, 22, 86399, 7},
};

START_TEST(test_moment) {
  g_setenv("TZ", moments[_i].zone, TRUE); /* a process of its own: Check forks */
  ClockMoment moment = clock_moment(clock_system(), moments[_i].unix_seconds);
  ck_assert_int_eq(moment.unix_seconds, moments[_i].unix_seconds);
  ck_assert_int_eq(moment.year, moments[_i].year);
  ck_assert_int_eq(moment.month, moments[_i].month);
  ck_assert_int_eq(moment.day, moments[_i].day);
  ck_assert_int_eq(moment.second_of_day, moments[_i].second_of_day);
  ck_assert_int_eq(moment.weekday, moments[_i].weekday);
}
END_TEST

START_TEST(test_far_moments) {
  g_setenv("TZ", "IST-5:30", TRUE);
  static const int64_t far[] = {INT64_MIN, INT64_MAX, INT64_C(-62135596800), INT64_C(99999999999)};
  for (size_t i = 0; i < G_N_ELEMENTS(far); i++) {
    ClockMoment moment = clock_moment(clock_system(), far[i]);
    ck_assert_int_ge(moment.month, 1);
    ck_assert_int_lt(moment.second_of_day, 86400);
  }
}
END_TEST

START_TEST(test_system) {
  Clock *clock = clock_system();
  int64_t before = clock_monotonic(clock);
  ck_assert_int_ge(clock_monotonic(clock), before);
  ck_assert_int_gt(clock_unix(clock), INT64_C(1700000000));
  clock_free(clock); /* does nothing: it lives as long as the process */
  ck_assert_int_ge(clock_monotonic(clock_system()), before);
}
END_TEST

START_TEST(test_manual) {
  g_autoptr(Clock) clock = clock_manual_new(1000);
  int64_t start = clock_monotonic(clock);
  ck_assert_int_eq(clock_unix(clock), 1000);
  clock_manual_advance(clock, NANOSECONDS_PER_SECOND * 5 / 2);
  ck_assert_int_eq(clock_unix(clock), 1002);
  ck_assert_int_eq(clock_monotonic(clock) - start, NANOSECONDS_PER_SECOND * 5 / 2);
  clock_manual_advance(clock, 500 * NANOSECONDS_PER_MILLISECOND);
  ck_assert_int_eq(clock_unix(clock), 1003);
  int64_t now = clock_monotonic(clock);
  clock_manual_set(clock, 500); /* back: the other one stands */
  ck_assert_int_eq(clock_unix(clock), 500);
  ck_assert_int_eq(clock_monotonic(clock), now);
  clock_manual_set(clock, 510);
  ck_assert_int_eq(clock_monotonic(clock) - now, 10 * NANOSECONDS_PER_SECOND);
  clock_manual_set(clock, INT64_MAX);
  ck_assert_int_ge(clock_monotonic(clock), now);
  ck_assert_int_gt(clock_unix(clock), INT64_C(9000000000));
  clock_manual_set(clock, -1);
  ck_assert_int_eq(clock_unix(clock), -1);
}
END_TEST

START_TEST(test_manual_is_utc) {
  g_setenv("TZ", "IST-5:30", TRUE);
  g_autoptr(Clock) clock = clock_manual_new(0);
  ck_assert_int_eq(clock_moment(clock, 3600).second_of_day, 3600);
}
END_TEST

static const struct {
  const char *text;
  bool good;
  int64_t unix_seconds;
} texts[] = {
    {"1970-01-01 00:00", true, 0},
    {"2026-11-23 12:00:00", true, 1795435200},
    {"2026-11-23 12:00:59", true, 1795435259},
    {"2024-02-29 00:00", true, 1709164800},
    {"2026-02-29 00:00", false, 0},
    {"2026-13-01 00:00", false, 0},
    {"2026-00-01 00:00", false, 0},
    {"2026-01-01 24:00", false, 0},
    {"2026-01-01 00:60", false, 0},
    {"2026-01-01 00:00:60", false, 0},
    {"2026-01-01", false, 0},
    {"2026-01-01T00:00", false, 0},
    {"2026-1-1 0:00", false, 0},
    {"0000-01-01 00:00", false, 0},
    {" 2026-01-01 00:00", false, 0},
    {"2026-01-01 00:00:00 ", false, 0},
    {"", false, 0},
};

START_TEST(test_parse) {
  g_autoptr(Clock) clock = clock_manual_new(0);
  int64_t unix_seconds = 99;
  ck_assert_msg(clock_parse(clock, slice_from(texts[_i].text), &unix_seconds) == texts[_i].good, "%s", texts[_i].text);
  ck_assert_int_eq(unix_seconds, texts[_i].good ? texts[_i].unix_seconds : 99);
}
END_TEST

START_TEST(test_parse_local) {
  g_setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", TRUE);
  int64_t unix_seconds;
  ck_assert(clock_parse(clock_system(), SLICE_LITERAL("2026-11-23 13:00"), &unix_seconds));
  ck_assert_int_eq(unix_seconds, 1795435200);
}
END_TEST

START_TEST(about_now_is_a_little_behind) {
  for (int i = 0; i < 1000; i++) {
    int64_t before = clock_monotonic(clock_system());
    int64_t about = clock_monotonic_about(clock_system());
    int64_t after = clock_monotonic(clock_system());
    ck_assert(about <= after && about >= before - NANOSECONDS_PER_SECOND);
  }
  Clock *clock = clock_manual_new(1790000000);
  ck_assert(clock_monotonic_about(clock) == clock_monotonic(clock));
  clock_free(clock);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, about_now_is_a_little_behind);
  tcase_add_loop_test(tests, test_moment, 0, G_N_ELEMENTS(moments));
  tcase_add_test(tests, test_far_moments);
  tcase_add_test(tests, test_system);
  tcase_add_test(tests, test_manual);
  tcase_add_test(tests, test_manual_is_utc);
  tcase_add_loop_test(tests, test_parse, 0, G_N_ELEMENTS(texts));
  tcase_add_test(tests, test_parse_local);
}

UNIT_MAIN("clock", add_tests)
