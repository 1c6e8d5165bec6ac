/* SPDX-License-Identifier: MIT */
/*
 * strtol and its family skip blanks, accept a sign before an unsigned number and report errors in
 * errno; a digit loop is shorter than their safe use. Only strtod stays, for its exact rounding,
 * behind a check of the notation and in the C locale whatever the program has set.
 */
#include "common/util/num.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/clock.h"

struct num_unit {
	const char *name;
	uint64_t factor;
};

static const struct num_unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"kB", UINT64_C(1000)},
	{"KB", UINT64_C(1000)},
	{"MB", UINT64_C(1000000)},
	{"GB", UINT64_C(1000000000)},
	{"TB", UINT64_C(1000000000000)},
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"TiB", UINT64_C(1) << 40},
};

static const struct num_unit duration_units[] = {
	{"", UINT64_C(1000000000)},
	{"ns", 1},
	{"us", UINT64_C(1000)},
	{"ms", UINT64_C(1000000)},
	{"s", UINT64_C(1000000000)},
	{"m", UINT64_C(60) * 1000000000},
	{"h", UINT64_C(3600) * 1000000000},
	{"d", UINT64_C(86400) * 1000000000},
};

static bool num_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits from *text on, which is left at the first other character. */
static int num_take_digits(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t value = 0;

	if (!num_is_digit(*p)) {
		return -EINVAL;
	}
	for (; num_is_digit(*p); p++) {
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) {
			return -ERANGE;
		}
	}
	*text = p;
	*ret = value;
	return 0;
}

int num_parse_u64(const char *text, uint64_t *ret)
{
	uint64_t value;
	int r = num_take_digits(&text, &value);

	if (r < 0) {
		return r;
	}
	if (*text != '\0') {
		return -EINVAL;
	}
	*ret = value;
	return 0;
}

int num_parse_i64(const char *text, int64_t *ret)
{
	bool negative = text[0] == '-';
	uint64_t magnitude;
	int r = num_parse_u64(text + negative, &magnitude);

	if (r < 0) {
		return r;
	}
	if (magnitude > (uint64_t)INT64_MAX + negative) {
		return -ERANGE;
	}
	*ret = (int64_t)(negative ? -magnitude : magnitude);
	return 0;
}

static const char *num_skip_digits(const char *p)
{
	while (num_is_digit(*p)) {
		p++;
	}
	return p;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static bool num_is_json_number(const char *p)
{
	p += *p == '-';
	if (!num_is_digit(*p)) {
		return false;
	}
	p = *p == '0' ? p + 1 : num_skip_digits(p);
	if (*p == '.') {
		if (!num_is_digit(*++p)) {
			return false;
		}
		p = num_skip_digits(p);
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		if (!num_is_digit(*p)) {
			return false;
		}
		p = num_skip_digits(p);
	}
	return *p == '\0';
}

int num_parse_double(const char *text, double *ret)
{
	locale_t c_locale;
	double value;

	if (!num_is_json_number(text)) {
		return -EINVAL;
	}
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (c_locale == (locale_t)0) {
		return -ENOMEM;
	}
	value = strtod_l(text, NULL, c_locale);
	freelocale(c_locale);
	if (!isfinite(value)) {
		return -ERANGE;
	}
	*ret = value;
	return 0;
}

static int num_parse_with_unit(const char *text, const struct num_unit *units, size_t n_units,
			       uint64_t *ret)
{
	uint64_t value;
	int r = num_take_digits(&text, &value);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(text, units[i].name) == 0) {
			return __builtin_mul_overflow(value, units[i].factor, ret) ? -ERANGE : 0;
		}
	}
	return -EINVAL;
}

int num_parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t bytes;
	int r = num_parse_with_unit(text, size_units, ARRAY_SIZE(size_units), &bytes);

	if (r < 0) {
		return r;
	}
	*ret_bytes = bytes;
	return 0;
}

int num_parse_duration_ns(const char *text, int64_t *ret_ns)
{
	uint64_t ns;
	int r = num_parse_with_unit(text, duration_units, ARRAY_SIZE(duration_units), &ns);

	if (r < 0) {
		return r;
	}
	if (ns > INT64_MAX) {
		return -ERANGE;
	}
	*ret_ns = (int64_t)ns;
	return 0;
}

const char *num_format_size(char text[static NUM_TEXT_SIZE], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	/* 1023.95 would print as 1024.0. */
	while (value >= 1023.95 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, NUM_TEXT_SIZE, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
	return text;
}

const char *num_format_duration_ns(char text[static NUM_TEXT_SIZE], int64_t duration_ns)
{
	int64_t ms = MAX(duration_ns, INT64_C(0)) / CLOCK_NS_PER_MS;
	int64_t s = ms / 1000;

	if (ms < 1000) {
		snprintf(text, NUM_TEXT_SIZE, "%" PRId64 " ms", ms);
	} else if (s < 60) {
		snprintf(text, NUM_TEXT_SIZE, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
	} else if (s < 3600) {
		snprintf(text, NUM_TEXT_SIZE, "%" PRId64 "m %02" PRId64 "s", s / 60, s % 60);
	} else if (s < 86400) {
		snprintf(text, NUM_TEXT_SIZE, "%" PRId64 "h %02" PRId64 "m", s / 3600,
			 s % 3600 / 60);
	} else {
		snprintf(text, NUM_TEXT_SIZE, "%" PRId64 "d %02" PRId64 "h", s / 86400,
			 s % 86400 / 3600);
	}
	return text;
}

const char *num_format_count(char text[static NUM_TEXT_SIZE], uint64_t count)
{
	char reversed[NUM_TEXT_SIZE];
	size_t n = 0, n_digits = 0;

	do {
		if (n_digits > 0 && n_digits % 3 == 0) {
			reversed[n++] = ',';
		}
		reversed[n++] = (char)('0' + count % 10);
		count /= 10;
		n_digits++;
	} while (count > 0);
	for (size_t i = 0; i < n; i++) {
		text[i] = reversed[n - 1 - i];
	}
	text[n] = '\0';
	return text;
}
