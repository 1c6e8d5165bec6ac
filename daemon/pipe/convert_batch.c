/* SPDX-License-Identifier: MIT */

/*
 * A chunk goes through in batches of about 16 KiB, so that a batch's bytes and its index stay in
 * the cache between the scanner's two stages. A batch begins at a row's start and is indexed
 * afresh, and what it has not finished, the next one begins with. Rows that are not plainly good,
 * and stretches where look-aheads have failed, go one at a time (convert_row.c).
 *
 * The index's extents are the table's but for max_row_bytes. So a longer row ends the batch before
 * it; after that batches start small again, since where one such row is, more may follow and each
 * makes the index behind it worthless.
 */
#include "daemon/pipe/convert_run.h"

#define SMALL_BATCH_BYTES ((size_t)256)
/* So much is looked at behind the nominal end for the end of the last row, at first. */
#define BATCH_TAIL_BYTES ((size_t)2 << 10)
/* Of output, reserved at a time. */
#define EMIT_STEP_BYTES ((size_t)1 << 20)

struct batch {
	struct json_rows rows;
	uint64_t start;
	size_t n_passed; /* its rows before result.end */
};

/* Indexes a batch at result.end. Grows it until it has a row's end, or cannot have one. */
static int index_batch(struct convert_run *run, struct reader_span *ret_span)
{
	struct converter *converter = run->converter;
	uint64_t start = run->result.end;
	uint64_t size = MIN((uint64_t)run->batch_bytes,
			    run->range->nominal_end - start + BATCH_TAIL_BYTES);

	for (;;) {
		int r = reader_fetch(run->reader, start, start + size, ret_span);

		if (r < 0) {
			return r;
		}

		size_t len = MIN(ret_span->len, (size_t)size);

		converter->scanner->index(&run->pipe->dialect, ret_span->bytes, len,
					  &converter->index);
		if (converter->index.n_rows > 0 || len < size || size == CSV_INDEX_MAX_BATCH ||
		    size > run->pipe->dialect.max_row_bytes) {
			return 0;
		}
		size = MIN(2 * size, (uint64_t)CSV_INDEX_MAX_BATCH);
	}
}

/* Emits rows of the batch from *row on until one of them is not plainly good. */
static int emit_rows(struct convert_run *run, struct json_rows *rows, size_t *row)
{
	const struct csv_index *index = rows->index;
	const struct json_keys *keys = rows->keys;
	struct buf *out = &run->sink->rows;
	size_t n = MIN(index->n_rows - *row, EMIT_STEP_BYTES / keys->n_row_bytes + 1);

	n = (size_t)MIN((uint64_t)n, run->range->row_budget - run->result.rows);
	rows->end_row = *row + n;

	size_t n_bytes = csv_index_row_start(index, rows->end_row) -
			 csv_index_row_start(index, *row);
	int r = buf_reserve(out, json_emit_bound(keys, n, n_bytes));

	if (r < 0) {
		return r;
	}

	uint8_t *end;
	uint8_t *begin = (uint8_t *)out->data + out->len;
	size_t stopped_at = run->converter->scanner->emit(rows, *row, begin, &end);

	out->len = (size_t)(end - (uint8_t *)out->data);
	run->result.rows += stopped_at - *row;
	run->result.success += stopped_at - *row;
	*row = stopped_at;
	return 0;
}

/* Advances to the start of a row of the batch. */
static uint32_t advance_to(struct convert_run *run, struct batch *batch, size_t row)
{
	uint32_t row_start = csv_index_row_start(batch->rows.index, row);
	uint32_t from = (uint32_t)(run->result.end - batch->start);
	const uint8_t *bytes = batch->rows.bytes + from;
	struct parity_count passed = {.n_newlines = row - batch->n_passed};

	if (batch->rows.index->has_inner_newlines) {
		passed.n_newlines = 0;
		run->converter->scanner->count(&passed, &run->pipe->dialect, bytes,
					       row_start - from);
	}
	convert_run_advance(run, bytes, row_start - from, passed.n_newlines);
	batch->n_passed = row;
	return row_start;
}

/* The batch's row at result.end, which the emitter has refused. False if it must go alone. */
static int judge_refused(struct convert_run *run, const struct json_rows *rows, size_t row,
			 uint32_t start, bool *ret_is_done)
{
	const uint8_t *bytes = rows->bytes + start;
	size_t len = csv_index_row_start(rows->index, row + 1) - start - 1;

	len -= len > 0 && bytes[len - 1] == '\r';
	if (len > rows->max_row_bytes) {
		*ret_is_done = false;
		return 0;
	}
	*ret_is_done = true;
	return convert_row_judge(run, bytes, len);
}

static int convert_rows(struct convert_run *run, struct batch *batch)
{
	struct json_rows *rows = &batch->rows;
	size_t row = 0;

	while (row < rows->index->n_rows && !convert_run_is_spent(run)) {
		int r = emit_rows(run, rows, &row);

		if (r == 0) {
			r = convert_run_flush_if_full(run);
		}
		if (r != 0) {
			return r;
		}
		if (row == rows->end_row) {
			continue;
		}

		uint32_t start = advance_to(run, batch, row);
		bool is_done;

		if (start >= rows->start_limit) {
			return 0;
		}
		r = judge_refused(run, rows, row, start, &is_done);
		if (r < 0) {
			return r;
		}
		if (!is_done) {
			run->batch_bytes = SMALL_BATCH_BYTES;
			return convert_row_next(run);
		}
		row++;
	}
	advance_to(run, batch, row);
	return 0;
}

/* Small batches grow to normal, and beyond it if rows are so long that much is indexed twice. */
static void adapt_batch(struct convert_run *run, size_t n_converted)
{
	bool is_small = run->batch_bytes < CONVERT_BATCH_BYTES;
	bool is_wasteful = n_converted < run->batch_bytes / 2;

	if (is_small || (is_wasteful && run->batch_bytes < CSV_INDEX_MAX_BATCH)) {
		run->batch_bytes *= 2;
	}
}

int convert_batch_next(struct convert_run *run)
{
	uint64_t start = run->result.end;
	struct reader_span span;
	int r;

	if (start < run->memo.until) {
		return convert_row_next(run);
	}
	r = index_batch(run, &span);
	if (r < 0) {
		return r;
	}
	if (run->converter->index.n_rows == 0) {
		run->batch_bytes = SMALL_BATCH_BYTES;
		return convert_row_next(run);
	}

	uint64_t start_limit = MIN(run->range->nominal_end - start, (uint64_t)UINT32_MAX);
	struct batch batch = {
		.start = start,
		.rows =
			{
				.dialect = &run->pipe->dialect,
				.keys = &run->pipe->keys,
				.field_of = run->file->field_of,
				.index = &run->converter->index,
				.bytes = span.bytes,
				.start_limit = (uint32_t)start_limit,
				.max_row_bytes = run->pipe->dialect.max_row_bytes,
			},
	};

	adapt_batch(run, csv_index_row_start(batch.rows.index, batch.rows.index->n_rows));
	return convert_rows(run, &batch);
}
