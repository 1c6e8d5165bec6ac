/* SPDX-License-Identifier: MIT */
/* The list of the header as a table for loops. */
#include "common/model/counter.h"

#include "common/util/macro.h"

#define COUNTER_ROW_(id, field, at, bits, the_kind, the_fold, the_unit, the_metric, the_help)      \
	[COUNTER_##id] = {                                                                         \
		.name = #field,                                                                    \
		.offset = at,                                                                      \
		.size = (bits) / 8,                                                                \
		.kind = COUNTER_KIND_##the_kind,                                                   \
		.fold = COUNTER_FOLD_##the_fold,                                                   \
		.unit = the_unit,                                                                  \
		.metric = the_metric,                                                              \
		.help = the_help,                                                                  \
	},

const struct counter_info counter_table[COUNTER_N] = {COUNTER_LIST(COUNTER_ROW_)};

static int64_t counter_add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void counter_fold_values(int64_t sums[static COUNTER_N], const int64_t values[static COUNTER_N])
{
	for (int i = 0; i < COUNTER_N; i++) {
		switch (counter_table[i].fold) {
		case COUNTER_FOLD_NONE:
			break;
		case COUNTER_FOLD_SUM:
			sums[i] = counter_add(sums[i], values[i]);
			break;
		case COUNTER_FOLD_MAX:
			sums[i] = MAX(sums[i], values[i]);
			break;
		}
	}
}
