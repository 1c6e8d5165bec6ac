/* SPDX-License-Identifier: MIT */
#include "common/model/counter.h"

#include <check.h>
#include <string.h>

#include "tests/support/unit.h"

START_TEST(the_first_forty_bytes_read_as_qqqqii)
{
	static const struct {
		const char *name;
		int offset, size;
	} head[] = {{"total_processed", 0, 8}, {"success_count", 8, 8}, {"error_count", 16, 8},
		    {"ram_bytes", 24, 8},      {"is_finished", 32, 4},	{"has_error", 36, 4}};

	for (size_t k = 0; k < ARRAY_SIZE(head); k++) {
		ck_assert_str_eq(counter_table[k].name, head[k].name);
		ck_assert_int_eq(counter_table[k].offset, head[k].offset);
		ck_assert_int_eq(counter_table[k].size, head[k].size);
	}
}
END_TEST

START_TEST(no_two_counters_share_a_name_or_a_byte)
{
	for (int i = 0; i < COUNTER_N; i++) {
		const struct counter_info *counter = &counter_table[i];

		ck_assert_uint_eq(counter->offset % counter->size, 0);
		ck_assert_uint_gt(strlen(counter->help), 0);
		for (int k = 0; k < i; k++) {
			const struct counter_info *other = &counter_table[k];

			ck_assert_str_ne(counter->name, other->name);
			ck_assert_uint_ge(counter->offset, other->offset + other->size);
			ck_assert(counter->metric == NULL || other->metric == NULL ||
				  strcmp(counter->metric, other->metric) != 0);
		}
	}
}
END_TEST

START_TEST(folding_sums_and_takes_the_latest_heartbeat)
{
	int64_t sums[COUNTER_N] = {0}, values[COUNTER_N];

	for (int i = 0; i < COUNTER_N; i++) {
		values[i] = i + 1;
	}
	counter_fold_values(sums, values);
	values[COUNTER_HEARTBEAT] = 3;
	counter_fold_values(sums, values);
	for (int i = 0; i < COUNTER_N; i++) {
		static const int factors[] = {
			[COUNTER_FOLD_NONE] = 0, [COUNTER_FOLD_SUM] = 2, [COUNTER_FOLD_MAX] = 1};

		ck_assert_int_eq(sums[i], factors[counter_table[i].fold] * (i + 1));
	}
	ck_assert_int_eq(counter_table[COUNTER_HEARTBEAT].fold, COUNTER_FOLD_MAX);
	ck_assert_int_eq(counter_table[COUNTER_PHASE].fold, COUNTER_FOLD_NONE);
}
END_TEST

START_TEST(a_sum_stops_at_its_limit)
{
	int64_t sums[COUNTER_N] = {0}, values[COUNTER_N] = {0};

	values[COUNTER_BYTES_READ] = INT64_MAX - 1;
	for (int i = 0; i < 3; i++) {
		counter_fold_values(sums, values);
	}
	ck_assert_int_eq(sums[COUNTER_BYTES_READ], INT64_MAX);
}
END_TEST

UNIT_MAIN(the_first_forty_bytes_read_as_qqqqii, no_two_counters_share_a_name_or_a_byte,
	  folding_sums_and_takes_the_latest_heartbeat, a_sum_stops_at_its_limit)
