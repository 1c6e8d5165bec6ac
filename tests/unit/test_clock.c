/* SPDX-License-Identifier: MIT */
#include "common/util/clock.h"

#include <check.h>
#include <time.h>

#include "tests/support/unit.h"

START_TEST(the_monotonic_clock_goes_forward)
{
	int64_t last = clock_monotonic_ns();

	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_monotonic_ns();

		ck_assert_int_ge(now, last);
		last = now;
	}
}
END_TEST

START_TEST(the_realtime_clock_agrees_with_time)
{
	int64_t before = time(NULL), now = clock_realtime_ns() / CLOCK_NS_PER_SEC;

	ck_assert_int_ge(now, before);
	ck_assert_int_le(now, time(NULL) + 1);
}
END_TEST

START_TEST(dates_are_rfc_3339_in_utc_cut_to_milliseconds)
{
	char text[CLOCK_TEXT_SIZE];

	ck_assert_str_eq(clock_format_utc(text, 0), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(clock_format_utc(text, INT64_C(1795342502123999999)),
			 "2026-11-22T10:15:02.123Z");
	ck_assert_str_eq(clock_format_utc(text, INT64_C(951782399999000000)),
			 "2000-02-28T23:59:59.999Z");
	ck_assert_str_eq(clock_format_utc(text, -1), "1969-12-31T23:59:59.999Z");
	ck_assert_str_eq(clock_format_utc(text, INT64_MAX), "2262-04-11T23:47:16.854Z");
	ck_assert_str_eq(clock_format_utc(text, INT64_MIN), "1677-09-21T00:12:43.145Z");
}
END_TEST

UNIT_MAIN(the_monotonic_clock_goes_forward, the_realtime_clock_agrees_with_time,
	  dates_are_rfc_3339_in_utc_cut_to_milliseconds)
