/* SPDX-License-Identifier: MIT */
/*
 * A plain number is refused: whoever writes 60 may mean seconds or milliseconds. In a string, as
 * in the configuration, the unit is there to be seen.
 */
#include "common/model/spec_quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/util/clock.h"
#include "common/util/num.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* From the largest on. */
static const struct unit size_units[] = {
	{"TiB", INT64_C(1) << 40},
	{"GiB", INT64_C(1) << 30},
	{"MiB", INT64_C(1) << 20},
	{"KiB", INT64_C(1) << 10},
	{"B", 1},
};

static const struct unit duration_units[] = {
	{"d", 86400 * CLOCK_NS_PER_SEC}, {"h", 3600 * CLOCK_NS_PER_SEC},
	{"m", 60 * CLOCK_NS_PER_SEC},	 {"s", CLOCK_NS_PER_SEC},
	{"ms", CLOCK_NS_PER_MS},	 {"ns", 1},
};

/* Exact, as it can be written in a spec: "32MiB", and "0" for nothing. */
static const char *write_exact(char text[static NUM_TEXT_SIZE], int64_t value,
			       const struct unit *unit)
{
	while (unit->factor > 1 && (value < unit->factor || value % unit->factor != 0)) {
		unit++;
	}
	snprintf(text, NUM_TEXT_SIZE, "%" PRId64 "%s", value / unit->factor,
		 value > 0 ? unit->name : "");
	return text;
}

static int fail_range(struct spec_reader *reader, const struct spec_key *key,
		      const struct unit *units)
{
	char min[NUM_TEXT_SIZE], max[NUM_TEXT_SIZE];

	return spec_fail(reader, "must be from \"%s\" to \"%s\"", write_exact(min, key->min, units),
			 write_exact(max, key->max, units));
}

int spec_quantity_size(struct spec_reader *reader, const json_t *value, const struct spec_key *key,
		       void *ret_field)
{
	uint64_t bytes;
	int r = spec_check_type(reader, value, JSON_STRING, "a size like \"256MiB\"");

	if (r < 0) {
		return r;
	}
	r = num_parse_size(json_string_value(value), &bytes);
	if (r == -EINVAL) {
		return spec_fail(reader, "must be a size like \"256MiB\"");
	}
	if (r < 0 || bytes < (uint64_t)key->min || bytes > (uint64_t)key->max) {
		return fail_range(reader, key, size_units);
	}
	*(uint64_t *)ret_field = bytes;
	return 0;
}

int spec_quantity_duration(struct spec_reader *reader, const json_t *value,
			   const struct spec_key *key, void *ret_field)
{
	int64_t ns;
	int r = spec_check_type(reader, value, JSON_STRING, "a duration like \"90s\"");

	if (r < 0) {
		return r;
	}
	r = num_parse_duration_ns(json_string_value(value), &ns);
	if (r == -EINVAL) {
		return spec_fail(reader, "must be a duration like \"90s\"");
	}
	if (r < 0 || ns < key->min || ns > key->max) {
		return fail_range(reader, key, duration_units);
	}
	*(int64_t *)ret_field = ns;
	return 0;
}

int spec_quantity_size_or_none(struct spec_reader *reader, const json_t *value,
			       const struct spec_key *key, void *ret_field)
{
	if (json_is_null(value)) {
		*(uint64_t *)ret_field = 0;
		return 0;
	}
	return spec_quantity_size(reader, value, key, ret_field);
}

int spec_quantity_duration_or_none(struct spec_reader *reader, const json_t *value,
				   const struct spec_key *key, void *ret_field)
{
	if (json_is_null(value)) {
		*(int64_t *)ret_field = 0;
		return 0;
	}
	return spec_quantity_duration(reader, value, key, ret_field);
}
