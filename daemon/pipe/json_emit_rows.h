/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/pipe/json_emit_value.h"

/*
 * The emitter's inner loop, for csv_kernel.c. Most fields are short and clean: copy a key, copy a
 * value. One predicted branch on the index's flag leads to the careful path. A row with a fault is
 * given back whole: what is wrong with it, only the dialect's walker says.
 */
static inline uint8_t *json_put_value(const struct json_rows *rows, const uint8_t *field,
				      size_t len, uint32_t flags, uint8_t *out)
{
	if (UNLIKELY(flags & CSV_INDEX_CARE)) {
		return json_put_careful(rows->dialect, field, len, rows->index->is_valid_utf8, out);
	}

	bool is_quoted = (flags & CSV_INDEX_QUOTED) != 0; /* no branch: files mix both */

	return json_put(out, field + is_quoted, len - 2 * (size_t)is_quoted);
}

/* The values of one row, whose first field begins at `start`. NULL if one has a fault. */
static inline __attribute__((always_inline)) uint8_t *json_put_row(const struct json_rows *rows,
								   const uint32_t *ends,
								   uint32_t start, uint8_t *out,
								   const bool is_permuted)
{
	size_t n_columns = rows->keys->n_columns;
	uint32_t from = start;

	for (size_t c = 0; c < n_columns; c++) {
		size_t f = is_permuted ? rows->field_of[c] : c;
		uint32_t end = ends[f] & CSV_INDEX_OFFSET;

		if (is_permuted) {
			from = f == 0 ? start : (ends[f - 1] & CSV_INDEX_OFFSET) + 1;
		}

		size_t len = end - from;

		if (f + 1 == n_columns) {
			len -= len > 0 && rows->bytes[end - 1] == '\r';
		}
		out = json_put_key(rows->keys, c, out);
		out = json_put_value(rows, rows->bytes + from, len, ends[f], out);
		if (UNLIKELY(out == NULL)) {
			return NULL;
		}
		from = end + 1;
	}
	return json_put_key(rows->keys, n_columns, out);
}

/* Contract: csv_emit_fn. */
static inline __attribute__((always_inline)) size_t json_put_rows(const struct json_rows *rows,
								  size_t row, uint8_t *out,
								  uint8_t **ret_out,
								  const bool is_permuted)
{
	const struct csv_index *index = rows->index;
	size_t n_columns = rows->keys->n_columns;
	uint32_t start = csv_index_row_start(index, row);
	uint32_t first = row == 0 ? 0 : index->row_ends[row - 1];

	for (; row < rows->end_row; row++) {
		const uint32_t *ends = index->field_ends + first;
		uint32_t behind = index->row_ends[row];
		uint32_t end = index->field_ends[behind - 1] & CSV_INDEX_OFFSET;

		if (UNLIKELY(behind - first != n_columns || start >= rows->start_limit ||
			     end - start > rows->max_row_bytes)) {
			break;
		}

		uint8_t *next_out = json_put_row(rows, ends, start, out, is_permuted);

		if (UNLIKELY(next_out == NULL)) {
			break;
		}
		out = next_out;
		start = end + 1;
		first = behind;
	}
	*ret_out = out;
	return row;
}
