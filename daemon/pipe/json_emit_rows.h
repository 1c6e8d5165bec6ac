/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/pipe/json_emit_value.h"

/*
 * The emitter's inner loop, for csv_kernel.c. Most fields are short and clean: copy a key, copy a
 * value. One predicted branch on the index's flag leads to the careful path. A row with a fault is
 * given back whole: what is wrong with it, only the dialect's walker says.
 */

/* What a row's fields need, out of json_rows: in registers, where no store to the output can be
 * taken to change it. */
struct json_frame {
	const uint8_t *key_bytes;
	const struct json_key *keys;
	size_t n_columns;
	const uint32_t *field_of;
	const uint8_t *bytes;
};

/* The values of one row, whose first field begins at `start`. NULL if one has a fault. */
static inline __attribute__((always_inline)) uint8_t *
json_put_row(const struct json_rows *rows, const struct json_frame frame, const uint32_t *ends,
	     uint32_t start, uint8_t *out, const bool is_permuted)
{
	const uint8_t *key = frame.key_bytes;
	uint32_t from = start;

	for (size_t c = 0; c < frame.n_columns; c++) {
		size_t f = is_permuted ? frame.field_of[c] : c;
		uint32_t end_and_flags = ends[f];
		uint32_t end = end_and_flags & CSV_INDEX_OFFSET;

		if (is_permuted) {
			from = f == 0 ? start : (ends[f - 1] & CSV_INDEX_OFFSET) + 1;
		}

		size_t len = end - from;

		if (f + 1 == frame.n_columns) {
			len -= len > 0 && frame.bytes[end - 1] == '\r';
		}
		out = json_put(out, key, frame.keys[c].len);
		key += frame.keys[c].len;
		if (UNLIKELY(end_and_flags & CSV_INDEX_CARE)) {
			out = json_put_careful(rows->dialect, frame.bytes + from, len,
					       rows->index->is_valid_utf8, out);
			if (UNLIKELY(out == NULL)) {
				return NULL;
			}
		} else {
			/* No branch: files mix both. */
			bool is_quoted = (end_and_flags & CSV_INDEX_QUOTED) != 0;

			out = json_put(out, frame.bytes + from + is_quoted,
				       len - 2 * (size_t)is_quoted);
		}
		from = end + 1;
	}
	return json_put(out, key, frame.keys[frame.n_columns].len);
}

/*
 * The same for a row in which no field has a flag, whose fields are in the columns' order, and for
 * keys of one step each. It is what most rows are, and half the instructions.
 */
static inline __attribute__((always_inline)) uint8_t *
json_put_plain_row(const struct json_frame frame, const uint32_t *ends, uint32_t start,
		   uint8_t *out)
{
	const uint8_t *key = frame.key_bytes;
	size_t last = frame.n_columns - 1;
	const uint8_t *from = frame.bytes + start;

	for (size_t c = 0; c < last; c++) {
		const uint8_t *end = frame.bytes + ends[c];

		simd_copy(out, key);
		out = json_put(out + frame.keys[c].len, from, (size_t)(end - from));
		key += frame.keys[c].len;
		from = end + 1;
	}

	size_t len = (size_t)(frame.bytes + ends[last] - from);

	len -= len > 0 && from[len - 1] == '\r';
	simd_copy(out, key);
	out = json_put(out + frame.keys[last].len, from, len);
	simd_copy(out, key + frame.keys[last].len);
	return out + frame.keys[frame.n_columns].len;
}

/* Contract: csv_emit_fn. */
static inline __attribute__((always_inline)) size_t json_put_rows(const struct json_rows *rows,
								  size_t row, uint8_t *out,
								  uint8_t **ret_out,
								  const bool is_permuted)
{
	const struct csv_index index = *rows->index;
	const struct json_frame frame = {
		.key_bytes = rows->keys->bytes,
		.keys = rows->keys->keys,
		.n_columns = rows->keys->n_columns,
		.field_of = rows->field_of,
		.bytes = rows->bytes,
	};
	uint32_t start_limit = rows->start_limit;
	uint64_t max_row_bytes = rows->max_row_bytes;
	size_t end_row = rows->end_row;
	bool has_plain_rows = !is_permuted && rows->keys->longest <= SIMD_COPY_BYTES;
	uint32_t start = csv_index_row_start(&index, row);
	uint32_t first = csv_index_row_first(&index, row);

	for (; row < end_row; row++) {
		const uint32_t *ends = index.field_ends + first;
		uint32_t behind = index.row_ends[row] & ~CSV_INDEX_FLAGGED;
		uint32_t end = index.field_ends[behind - 1] & CSV_INDEX_OFFSET;

		if (UNLIKELY(behind - first != frame.n_columns || start >= start_limit ||
			     end - start > max_row_bytes)) {
			break;
		}

		if (has_plain_rows && index.row_ends[row] == behind) {
			out = json_put_plain_row(frame, ends, start, out);
		} else {
			uint8_t *next_out = json_put_row(rows, frame, ends, start, out,
							 is_permuted);

			if (UNLIKELY(next_out == NULL)) {
				break;
			}
			out = next_out;
		}
		start = end + 1;
		first = behind;
	}
	*ret_out = out;
	return row;
}
