/* SPDX-License-Identifier: MIT */

/*
 * The way of a row that the scanner does not take: one at a time, by the dialect's table. All
 * rejects are made here, so that code, field and message have one source.
 */
#include <errno.h>
#include <string.h>

#include "daemon/pipe/bits.h"
#include "daemon/pipe/convert_run.h"
#include "daemon/pipe/reject_row.h"

enum { SKIP_BLOCK_BYTES = 64 * 1024 };

/* The column that a field of this file goes to; NULL for one field too many. */
static const char *column_of(const struct convert_run *run, size_t field)
{
	const struct plan_pipe *plan = run->pipe->plan;

	if (run->file->field_of == NULL) {
		return field < plan->n_columns ? plan->columns[field] : NULL;
	}
	for (size_t c = 0; c < plan->n_columns; c++) {
		if (run->file->field_of[c] == field) {
			return plan->columns[c];
		}
	}
	return NULL;
}

static int reject(struct convert_run *run, enum reject_code code, const char *field,
		  const uint8_t *row, size_t len)
{
	const struct reject_row reject_row = {
		.job = run->pipe->job_name,
		.input = run->file->path,
		.line = run->result.end_line,
		.offset = run->result.end,
		.code = code,
		.field = field,
		.bytes = row,
		.len = len,
	};

	reject_row_render(&reject_row, &run->sink->errors);
	run->sink->n_error_lines++;
	run->result.rows++;
	run->result.error++;
	run->result.rejects[code]++;
	return buf_error(&run->sink->errors);
}

static int emit(struct convert_run *run, const uint8_t *row, size_t len)
{
	const struct json_rows rows = {
		.dialect = &run->pipe->dialect,
		.keys = &run->pipe->keys,
		.field_of = run->file->field_of,
	};
	struct buf *out = &run->sink->rows;
	int r = buf_reserve(out, json_emit_bound(&run->pipe->keys, 1, len));

	if (r < 0) {
		return r;
	}

	uint8_t *begin = (uint8_t *)out->data + out->len;

	out->len += (size_t)(json_emit_row(&rows, row, run->converter->field_ends, begin) - begin);
	run->result.rows++;
	run->result.success++;
	return 0;
}

int convert_row_judge(struct convert_run *run, const uint8_t *row, size_t len)
{
	size_t n_columns = run->pipe->plan->n_columns;
	struct dialect_fault fault;

	if (len == 0 && n_columns != 1) {
		return 0;
	}

	size_t n_fields = dialect_split(&run->pipe->dialect, row, len, run->converter->field_ends,
					n_columns, &fault);

	if (fault.is_set) {
		return reject(run, fault.code, column_of(run, fault.field), row, len);
	}
	if (n_fields != n_columns) {
		return reject(run, REJECT_RAGGED, NULL, row, len);
	}
	return emit(run, row, len);
}

/* Rejects the row at result.end, which reaches to the first newline, wherever that is. */
static int reject_endless(struct convert_run *run, enum reject_code code)
{
	uint64_t start = run->result.end;
	size_t len = REJECT_ROW_SHOWN_BYTES + 2; /* a CRLF may follow what just fits */
	struct reader_span span;
	int r = reader_fetch(run->reader, start, start + len, &span);

	if (r < 0) {
		return r;
	}
	len = MIN(len, span.len);

	const uint8_t *newline = memchr(span.bytes, '\n', len);

	if (newline != NULL) {
		len = (size_t)(newline - span.bytes);
		len -= len > 0 && span.bytes[len - 1] == '\r';
	}
	return reject(run, code, NULL, span.bytes, len);
}

/* Advances behind the next newline, or to the file's end, in constant memory. */
static int skip_line(struct convert_run *run)
{
	for (;;) {
		uint64_t at = run->result.end;
		struct reader_span span;
		int r = reader_fetch(run->reader, at, at + SKIP_BLOCK_BYTES, &span);

		if (r < 0) {
			return r;
		}

		size_t len = MIN(span.len, (size_t)SKIP_BLOCK_BYTES);
		const uint8_t *newline = memchr(span.bytes, '\n', len);

		if (newline != NULL) {
			convert_run_advance(run, span.bytes, (size_t)(newline - span.bytes) + 1, 1);
			return 0;
		}
		convert_run_advance(run, span.bytes, len, 0);
		if (run->result.end == run->file->identity.size_bytes) {
			return 0;
		}
		r = convert_run_report(run);
		if (r != 0) {
			return r;
		}
	}
}

/* Whether workers have died too often on the row at result.end. Tells that it comes next. */
static bool must_skip(const struct convert_run *run)
{
	const struct convert_care *care = run->converter->care;

	if (care == NULL) {
		return false;
	}
	care->touch(care, run->result.end);
	for (size_t i = 0; i < care->n_skips; i++) {
		if (care->skips[i] == run->result.end) {
			return true;
		}
	}
	return false;
}

int convert_row_next(struct convert_run *run)
{
	uint64_t start = run->result.end;
	bool is_skipped = must_skip(run);
	struct row_extent extent;
	struct reader_span span;
	int r = row_extent_find(&run->pipe->dialect, run->reader, start, &run->memo, &extent);

	if (r < 0) {
		return r;
	}
	if (!extent.has_end) {
		r = reject_endless(run, is_skipped ? REJECT_CRASH : extent.code);
		return r < 0 ? r : skip_line(run);
	}
	r = reader_fetch(run->reader, start, extent.next, &span);
	if (r < 0) {
		return r;
	}

	size_t len = (size_t)(extent.end - start);

	r = is_skipped ? reject(run, REJECT_CRASH, NULL, span.bytes, len)
		       : convert_row_judge(run, span.bytes, len);
	if (r < 0) {
		return r;
	}

	size_t n_bytes = (size_t)(extent.next - start);

	convert_run_advance(run, span.bytes, n_bytes, bits_count_byte(span.bytes, n_bytes, '\n'));
	return 0;
}
