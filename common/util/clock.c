/* SPDX-License-Identifier: MIT */
/* clock_gettime(2) goes through the vDSO: some 20 ns, so every caller may ask for itself. */
#include "common/util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static int64_t clock_read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now); /* fails for unknown clocks only */
	return now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

const char *clock_format_utc(char text[static CLOCK_TEXT_SIZE], int64_t realtime_ns)
{
	int64_t ns = realtime_ns % CLOCK_NS_PER_SEC;
	time_t seconds = realtime_ns / CLOCK_NS_PER_SEC;
	char date[CLOCK_TEXT_SIZE - sizeof(".123Z")];
	struct tm tm;

	if (ns < 0) {
		ns += CLOCK_NS_PER_SEC;
		seconds--;
	}
	gmtime_r(&seconds, &tm); /* 64 bits of nanoseconds end in the year 2262 */
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, CLOCK_TEXT_SIZE, "%s.%03" PRId64 "Z", date, ns / CLOCK_NS_PER_MS);
	return text;
}
