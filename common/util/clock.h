/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#define CLOCK_NS_PER_MS	 INT64_C(1000000)
#define CLOCK_NS_PER_SEC INT64_C(1000000000)

/* For distances: CLOCK_MONOTONIC, the same clock in every process. */
int64_t clock_monotonic_ns(void);

/* For dates: nanoseconds since 1970-01-01 UTC; may jump. */
int64_t clock_realtime_ns(void);

enum { CLOCK_TEXT_SIZE = 32 };

/* RFC 3339, UTC, cut to milliseconds: "2026-11-22T10:15:02.123Z". Gives back `text`. */
const char *clock_format_utc(char text[static CLOCK_TEXT_SIZE], int64_t realtime_ns);
