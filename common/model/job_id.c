/* SPDX-License-Identifier: MIT */
/*
 * A job's ID is the time at which it was given, to the millisecond, so that names sort by age.
 * The clock may stand still or go back; an ID may not.
 */
#include "common/model/job_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/util/clock.h"

#define ID_PATTERN "ddddddddTdddddddddZ"
#define ID_LEN	   (sizeof(ID_PATTERN) - 1)
#define MAX_MS	   INT64_C(253402300799999) /* the end of year 9999 */

bool job_id_is_valid(const char *text)
{
	for (size_t i = 0; i < ID_LEN; i++) {
		char c = text[i];
		if (ID_PATTERN[i] == 'd' ? c < '0' || c > '9' : c != ID_PATTERN[i]) {
			return false;
		}
	}
	return text[ID_LEN] == '\0';
}

static void id_format(int64_t ms, char ret_id[24])
{
	struct tm tm;
	time_t seconds = (time_t)(ms / 1000);
	gmtime_r(&seconds, &tm);
	/* The remainders change nothing; they tell the compiler that all fits. */
	snprintf(ret_id, 24, "%04u%02u%02uT%02u%02u%02u%03uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100, (unsigned)(ms % 1000) % 1000);
}

static int digits(const char *text, size_t n)
{
	int value = 0;
	for (size_t i = 0; i < n; i++) {
		value = 10 * value + (text[i] - '0');
	}
	return value;
}

static int64_t id_ms(const char *id)
{
	struct tm tm = {.tm_year = digits(id, 4) - 1900,
			.tm_mon = digits(id + 4, 2) - 1,
			.tm_mday = digits(id + 6, 2),
			.tm_hour = digits(id + 9, 2),
			.tm_min = digits(id + 11, 2),
			.tm_sec = digits(id + 13, 2)};
	return (int64_t)timegm(&tm) * 1000 + digits(id + 15, 3);
}

void job_id_next(char last_id[24], int64_t realtime_ns)
{
	int64_t ms = realtime_ns / CLOCK_NS_PER_MS;
	if (ms < 0 || ms > MAX_MS) {
		ms = 0;
	}
	if (job_id_is_valid(last_id) && id_ms(last_id) >= ms) {
		ms = id_ms(last_id) + 1;
	}
	id_format(ms, last_id);
}
