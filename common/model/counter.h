/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * The counters, each declared once: what a worker publishes (the numbers stand at these offsets
 * of its stats file), what the JSON calls it, and its Prometheus name and help. A new counter is
 * a new line here, and a field in struct stats_page, which the compiler compares with this table.
 *
 * X(ID, name, offset, bits, kind, fold, unit, metric, help)
 *
 * `name` is the field of struct stats_page and the JSON key. `metric` is the Prometheus name of
 * the sum over jobs without "zooparallel_" and without "_total", NULL if there is none.
 */
#define COUNTER_LIST(X)                                                                            \
	X(TOTAL_PROCESSED, total_processed, 0, 64, COUNTER, SUM, "rows", "rows_processed",         \
	  "Rows read from the input.")                                                             \
	X(SUCCESS_COUNT, success_count, 8, 64, COUNTER, SUM, "rows", "rows_success",               \
	  "Rows written to the output.")                                                           \
	X(ERROR_COUNT, error_count, 16, 64, COUNTER, SUM, "rows", "rows_error",                    \
	  "Rows rejected with a reason.")                                                          \
	X(RAM_BYTES, ram_bytes, 24, 64, GAUGE, SUM, "bytes", "workers_resident_memory_bytes",      \
	  "Resident memory of the live workers.")                                                  \
	X(IS_FINISHED, is_finished, 32, 32, GAUGE, SUM, "", NULL,                                  \
	  "1 once the worker has nothing more to do.")                                             \
	X(HAS_ERROR, has_error, 36, 32, GAUGE, SUM, "", NULL, "1 once the worker has given up.")   \
	X(BYTES_READ, bytes_read, 40, 64, COUNTER, SUM, "bytes", "input_bytes",                    \
	  "Bytes of input converted.")                                                             \
	X(BYTES_WRITTEN, bytes_written, 48, 64, COUNTER, SUM, "bytes", "output_bytes",             \
	  "Bytes of output written.")                                                              \
	X(HEARTBEAT, heartbeat, 56, 64, GAUGE, MAX, "nanoseconds", NULL,                           \
	  "Monotonic clock at the last progress.")                                                 \
	X(PEAK_RAM_BYTES, peak_ram_bytes, 104, 64, GAUGE, SUM, "bytes",                            \
	  "workers_peak_memory_bytes", "Peak resident memory of the live workers.")                \
	X(FILTERED, filtered, 112, 64, COUNTER, SUM, "rows", "rows_filtered",                      \
	  "Rows dropped on purpose by a hook.")                                                    \
	X(CHUNKS_DONE, chunks_done, 120, 64, COUNTER, SUM, "chunks", NULL,                         \
	  "Chunks that the worker has finished.")                                                  \
	X(CURRENT_CHUNK, current_chunk, 128, 64, GAUGE, NONE, "", NULL,                            \
	  "The chunk in work, -1 if none.")                                                        \
	X(PHASE, phase, 136, 64, GAUGE, NONE, "", NULL,                                            \
	  "What the worker does now (enum stats_phase).")

/* How one number is made of many workers' numbers. */
enum counter_fold {
	COUNTER_FOLD_NONE, /* it means nothing beyond its worker */
	COUNTER_FOLD_SUM,
	COUNTER_FOLD_MAX,
};

enum counter_kind {
	COUNTER_KIND_COUNTER, /* never goes back within one generation of a worker */
	COUNTER_KIND_GAUGE,
};

#define COUNTER_ENUM_(id, ...) COUNTER_##id,
enum counter { COUNTER_LIST(COUNTER_ENUM_) COUNTER_N };
#undef COUNTER_ENUM_

struct counter_info {
	const char *name;
	uint16_t offset; /* in the stats file */
	uint8_t size;	 /* 4 or 8 bytes there, signed */
	enum counter_kind kind;
	enum counter_fold fold;
	const char *unit;   /* "" if it has none */
	const char *metric; /* may be NULL */
	const char *help;
};

extern const struct counter_info counter_table[COUNTER_N];

/*
 * Folds one worker's values into the sums of many (which start as zeros), by the table. Sums stop
 * at INT64_MAX: a worker may write anything into its file.
 */
void counter_fold_values(int64_t sums[static COUNTER_N], const int64_t values[static COUNTER_N]);
