/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/pipe/csv_index.h"
#include "daemon/pipe/dialect.h"
#include "daemon/pipe/json_emit.h"
#include "daemon/pipe/parity.h"

/*
 * The inner loops, once for each instruction set. All give the same output for the same bytes; they
 * may differ in which clean fields they mark with CSV_INDEX_CARE.
 */

/* Stage one (csv_index.h). bytes[len .. len + READER_PADDING) must be readable; what they are does
 * not matter. len is at most CSV_INDEX_MAX_BATCH. */
typedef void (*csv_index_fn)(const struct dialect *dialect, const uint8_t *bytes, size_t len,
			     struct csv_index *index);

/*
 * Stage two (json_emit.h). Emits rows from `row` on to `out`, which has room for them, and stops
 * at the first that is not plainly good: another number of fields, a fault, longer than
 * max_row_bytes with its line end. Returns the number of the row where it stopped; *ret_out is the
 * end of what was written.
 */
typedef size_t (*csv_emit_fn)(const struct json_rows *rows, size_t row, uint8_t *out,
			      uint8_t **ret_out);

/* As parity_add(). */
typedef void (*csv_count_fn)(struct parity_count *count, const struct dialect *dialect,
			     const uint8_t *bytes, size_t len);

struct csv_scanner {
	const char *name;
	csv_index_fn index;
	csv_emit_fn emit;
	csv_count_fn count;
};

/* The nth scanner that this processor can run, best first; NULL behind the last. */
const struct csv_scanner *csv_scanner_at(size_t n);

/* "portable", "avx2", "avx512"; the best for NULL and "". NULL if this processor has none such. */
const struct csv_scanner *csv_scanner_find(const char *name);
