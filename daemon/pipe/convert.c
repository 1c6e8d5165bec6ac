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
#include "daemon/pipe/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/chunk_table.h"
#include "daemon/pipe/bits.h"
#include "daemon/pipe/convert_run.h"
#include "daemon/pipe/parity.h"

#define NORMAL_BATCH_BYTES ((size_t)16 << 10)
#define SMALL_BATCH_BYTES  ((size_t)256)
/* So much is looked at behind the nominal end for the end of the last row, at first. */
#define BATCH_TAIL_BYTES ((size_t)2 << 10)
/* Of output, reserved at a time. */
#define EMIT_STEP_BYTES ((size_t)1 << 20)

#define WINDOW_TAIL_BYTES ((uint64_t)16 << 10)
#define WINDOW_MAX_BYTES  ((uint64_t)1 << 20)

int convert_pipe_new(const char *job_name, const struct pipe_spec *spec,
		     const struct plan_pipe *plan, struct convert_pipe **ret_pipe)
{
	struct convert_pipe *pipe = calloc(1, sizeof(*pipe));

	if (pipe == NULL) {
		return -ENOMEM;
	}
	pipe->job_name = job_name;
	pipe->spec = spec;
	pipe->plan = plan;
	dialect_init(&pipe->dialect, &spec->input);
	if (json_keys_init(&pipe->keys, plan->columns, plan->n_columns) < 0) {
		convert_pipe_free(pipe);
		return -ENOMEM;
	}
	*ret_pipe = pipe;
	return 0;
}

struct convert_pipe *convert_pipe_free(struct convert_pipe *pipe)
{
	if (pipe != NULL) {
		json_keys_deinit(&pipe->keys);
		free(pipe);
	}
	return NULL;
}

size_t convert_window_bytes(uint64_t chunk_size)
{
	/* One byte before the chunk tells whether it begins with a row. */
	return (size_t)(1 + MIN(chunk_size, WINDOW_MAX_BYTES) + WINDOW_TAIL_BYTES);
}

int converter_new(const char *scanner_name, struct converter **ret_converter)
{
	const struct csv_scanner *scanner = csv_scanner_find(scanner_name);
	CLEANUP(free_p) struct converter *converter = calloc(1, sizeof(*converter));
	int r;

	if (scanner == NULL) {
		return -EINVAL;
	}
	if (converter == NULL) {
		return -ENOMEM;
	}
	converter->scanner = scanner;
	r = csv_index_init(&converter->index);
	if (r < 0) {
		return r;
	}
	*ret_converter = TAKE_PTR(converter);
	return 0;
}

struct converter *converter_free(struct converter *converter)
{
	if (converter != NULL) {
		csv_index_deinit(&converter->index);
		free(converter->field_ends);
		free(converter);
	}
	return NULL;
}

void convert_sink_shrink(struct convert_sink *sink)
{
	struct buf *bufs[] = {&sink->rows, &sink->errors};

	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++) {
		if (bufs[i]->len == 0 && bufs[i]->capacity > 2 * (size_t)CONVERT_FLUSH_BYTES) {
			buf_deinit(bufs[i]);
		}
	}
}

int convert_count(const struct convert_pipe *pipe, struct reader *reader, uint64_t begin,
		  uint64_t end, bool *ret_quote_parity, uint64_t *ret_newlines)
{
	struct parity_count count = {0};
	struct reader_span span;

	for (uint64_t at = begin; at < end;) {
		/* With the byte before and the tail, so that one read serves the whole chunk. */
		uint64_t n = MIN(end - at, WINDOW_MAX_BYTES);
		uint64_t from = at - (at > 0);
		int r = reader_fetch(reader, from, at + n + WINDOW_TAIL_BYTES, &span);

		if (r < 0) {
			return r;
		}
		parity_add(&count, &pipe->dialect, span.bytes + (at - from), (size_t)n);
		at += n;
	}
	*ret_quote_parity = count.quote_parity;
	*ret_newlines = count.n_newlines;
	return 0;
}

int convert_guess(const struct convert_pipe *pipe, struct reader *reader, uint64_t begin,
		  uint64_t nominal_end, bool quoted, struct convert_guess *ret_guess)
{
	struct parity_count passed = {0};
	uint64_t limit = MIN(nominal_end + pipe->dialect.max_row_bytes, reader->file_size);
	uint64_t from = begin - (begin > 0);
	struct reader_span span;
	int r = reader_fetch(reader, from, begin + 1, &span);

	if (r < 0) {
		return r;
	}
	if (!quoted && (begin == 0 || span.bytes[0] == '\n')) {
		*ret_guess = (struct convert_guess){.start = begin};
		return 0;
	}
	for (uint64_t at = begin; at < limit;) {
		r = reader_fetch(reader, at, at + NORMAL_BATCH_BYTES, &span);
		if (r < 0) {
			return r;
		}

		size_t len = (size_t)MIN((uint64_t)span.len, limit - at);
		size_t row = parity_find_row(&pipe->dialect, span.bytes, len, &quoted);

		parity_add(&passed, &pipe->dialect, span.bytes, row);
		at += row;
		if (row > 0 && !quoted && span.bytes[row - 1] == '\n') {
			*ret_guess = (struct convert_guess){at, passed.n_newlines};
			return 0;
		}
	}
	*ret_guess = (struct convert_guess){.start = CONVERT_NO_GUESS};
	return 0;
}

static int flush_if_full(struct convert_sink *sink)
{
	bool is_full = sink->rows.len >= CONVERT_FLUSH_BYTES ||
		       sink->errors.len >= CONVERT_FLUSH_BYTES;

	return is_full ? sink->flush(sink) : 0;
}

static bool is_spent(const struct convert_run *run)
{
	return run->result.rows >= run->range->row_budget ||
	       run->result.error >= run->range->reject_budget;
}

void convert_run_advance(struct convert_run *run, const uint8_t *bytes, size_t len)
{
	struct convert_result *result = &run->result;
	uint64_t nominal_end = run->range->nominal_end;
	uint64_t end = result->end + len;

	if (end > nominal_end) {
		uint64_t n_over = MIN(end - nominal_end, (uint64_t)len);
		struct parity_count over = {
			.n_newlines = result->overhang_newlines,
			.quote_parity = result->overhang_quote_parity,
		};

		parity_add(&over, &run->pipe->dialect, bytes + (len - n_over), (size_t)n_over);
		result->overhang_newlines = over.n_newlines;
		result->overhang_quote_parity = over.quote_parity;
	}
	result->end_line += bits_count_byte(bytes, len, '\n');
	result->end = end;
}

int convert_run_report(struct convert_run *run)
{
	int r = flush_if_full(run->sink);

	return r != 0 ? r : run->sink->progress(run->sink, &run->result);
}

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
	size_t stopped_at = json_emit_rows(rows, *row, (uint8_t *)out->data + out->len, &end);

	out->len = (size_t)(end - (uint8_t *)out->data);
	run->result.rows += stopped_at - *row;
	run->result.success += stopped_at - *row;
	*row = stopped_at;
	return 0;
}

/* Advances to the start of a row of the batch that began at batch_start. */
static uint32_t advance_to(struct convert_run *run, const struct json_rows *rows,
			   uint64_t batch_start, size_t row)
{
	uint32_t row_start = csv_index_row_start(rows->index, row);
	uint32_t from = (uint32_t)(run->result.end - batch_start);

	convert_run_advance(run, rows->bytes + from, row_start - from);
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

static int convert_rows(struct convert_run *run, struct json_rows *rows)
{
	uint64_t batch_start = run->result.end;
	size_t row = 0;

	while (row < rows->index->n_rows && !is_spent(run)) {
		int r = emit_rows(run, rows, &row);

		if (r == 0) {
			r = flush_if_full(run->sink);
		}
		if (r != 0) {
			return r;
		}
		if (row == rows->end_row) {
			continue;
		}

		uint32_t start = advance_to(run, rows, batch_start, row);
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
	advance_to(run, rows, batch_start, row);
	return 0;
}

/* Small batches grow to normal, and beyond it if rows are so long that much is indexed twice. */
static void adapt_batch(struct convert_run *run, size_t n_converted)
{
	bool is_small = run->batch_bytes < NORMAL_BATCH_BYTES;
	bool is_wasteful = n_converted < run->batch_bytes / 2;

	if (is_small || (is_wasteful && run->batch_bytes < CSV_INDEX_MAX_BATCH)) {
		run->batch_bytes *= 2;
	}
}

static int convert_batch(struct convert_run *run)
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
		return convert_row_next(run);
	}

	struct json_rows rows = {
		.dialect = &run->pipe->dialect,
		.keys = &run->pipe->keys,
		.field_of = run->file->field_of,
		.index = &run->converter->index,
		.bytes = span.bytes,
		.start_limit = (uint32_t)MIN(run->range->nominal_end - start, (uint64_t)UINT32_MAX),
		.max_row_bytes = run->pipe->dialect.max_row_bytes,
	};

	adapt_batch(run, csv_index_row_start(rows.index, rows.index->n_rows));
	return convert_rows(run, &rows);
}

static int run_chunk(struct convert_run *run)
{
	uint64_t stop = MIN(run->range->nominal_end, run->file->identity.size_bytes);

	while (run->result.end < stop && !is_spent(run)) {
		int r = convert_batch(run);

		if (r == 0) {
			r = convert_run_report(run);
		}
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static int make_field_ends(struct converter *converter, size_t n_columns)
{
	if (n_columns > converter->n_field_ends) {
		uint32_t *field_ends = realloc(converter->field_ends, n_columns * sizeof(uint32_t));

		if (field_ends == NULL) {
			return -ENOMEM;
		}
		converter->field_ends = field_ends;
		converter->n_field_ends = n_columns;
	}
	return 0;
}

int convert_chunk(struct converter *converter, const struct convert_pipe *pipe,
		  struct reader *reader, const struct convert_range *range,
		  struct convert_sink *sink, struct convert_result *ret_result)
{
	struct convert_run run = {
		.converter = converter,
		.pipe = pipe,
		.file = &pipe->plan->files[range->file],
		.reader = reader,
		.range = range,
		.sink = sink,
		.result = {.end = range->start, .end_line = range->line_at_start},
		.batch_bytes = NORMAL_BATCH_BYTES,
	};
	int r = make_field_ends(converter, pipe->plan->n_columns);

	if (r == 0) {
		r = run_chunk(&run);
	}
	if (run.result.rows == range->row_budget) {
		run.result.flags |= CHUNK_FLAG_END_OF_LIMIT;
	}
	if (run.result.error == range->reject_budget) {
		run.result.flags |= CHUNK_FLAG_END_OF_REJECTS;
	}
	*ret_result = run.result;
	return r;
}
