/* SPDX-License-Identifier: MIT */

/*
 * The frame around a chunk: what is made once, what is found out before its rows are touched, and
 * the loop over its batches (convert_batch.c) with the account of where it stands.
 */
#include "daemon/pipe/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/chunk_table.h"
#include "daemon/pipe/convert_run.h"

#define WINDOW_TAIL_BYTES ((uint64_t)16 << 10)
#define WINDOW_MAX_BYTES  ((uint64_t)1 << 20)
#define GUESS_BLOCK_BYTES ((uint64_t)16 << 10)

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

void converter_set_care(struct converter *converter, const struct convert_care *care)
{
	converter->care = care;
}

int convert_sink_reserve(struct convert_sink *sink)
{
	/* Half as much more for what is asked for in advance, before it is known to be needed. */
	return buf_reserve_huge(&sink->rows, CONVERT_FLUSH_BYTES + CONVERT_FLUSH_BYTES / 2);
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

int convert_count(const struct converter *converter, const struct convert_pipe *pipe,
		  struct reader *reader, uint64_t begin, uint64_t end,
		  struct parity_count *ret_count)
{
	const struct csv_scanner *scanner = converter->care == NULL ? converter->scanner
								    : csv_scanner_find("portable");
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
		scanner->count(&count, &pipe->dialect, span.bytes + (at - from), (size_t)n);
		at += n;
	}
	*ret_count = count;
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
		r = reader_fetch(reader, at, at + GUESS_BLOCK_BYTES, &span);
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

bool convert_run_is_spent(const struct convert_run *run)
{
	return run->result.rows >= run->range->row_budget ||
	       run->result.error >= run->range->reject_budget;
}

int convert_run_flush_if_full(struct convert_run *run)
{
	struct convert_sink *sink = run->sink;
	bool is_full = sink->rows.len >= CONVERT_FLUSH_BYTES ||
		       sink->errors.len >= CONVERT_FLUSH_BYTES;

	return is_full ? sink->flush(sink) : 0;
}

void convert_run_advance(struct convert_run *run, const uint8_t *bytes, size_t len,
			 uint64_t n_newlines)
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
	result->end_line += n_newlines;
	result->end = end;
}

int convert_run_report(struct convert_run *run)
{
	int r = convert_run_flush_if_full(run);

	return r != 0 ? r : run->sink->progress(run->sink, &run->result);
}

static int run_chunk(struct convert_run *run)
{
	uint64_t stop = MIN(run->range->nominal_end, run->file->identity.size_bytes);

	while (run->result.end < stop && !convert_run_is_spent(run)) {
		int r = run->converter->care == NULL ? convert_batch_next(run)
						     : convert_row_next(run);

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
		.batch_bytes = CONVERT_BATCH_BYTES,
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
