/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/pipe/convert.h"
#include "daemon/pipe/csv_index.h"
#include "daemon/pipe/csv_scanner.h"
#include "daemon/pipe/dialect.h"
#include "daemon/pipe/json_emit.h"
#include "daemon/pipe/row_extent.h"

/* Inside of convert.h: what the conversion of a chunk works with. */

struct convert_pipe {
	const char *job_name;
	const struct pipe_spec *spec;
	const struct plan_pipe *plan;
	struct dialect dialect;
	struct json_keys keys;
};

struct converter {
	const struct csv_scanner *scanner;
	const struct convert_care *care; /* NULL: not in careful mode */
	struct csv_index index;
	uint32_t *field_ends; /* of one row, for dialect_split() */
	size_t n_field_ends;
};

struct convert_run {
	struct converter *converter;
	const struct convert_pipe *pipe;
	const struct plan_file *file;
	struct reader *reader;
	const struct convert_range *range;
	struct convert_sink *sink;
	struct convert_result result; /* end and end_line say how far it has come */
	struct row_memo memo;
	size_t batch_bytes;
};

/* What a batch has at first, and mostly. */
#define CONVERT_BATCH_BYTES ((size_t)16 << 10)

/* Whether one of the budgets is used up. */
bool convert_run_is_spent(const struct convert_run *run);

/* Moves on behind bytes[0..len), which are those at result.end; n_newlines are among them. */
void convert_run_advance(struct convert_run *run, const uint8_t *bytes, size_t len,
			 uint64_t n_newlines);

/* Empties the bufs if one is full; the second also reports progress. Return as convert_chunk(). */
int convert_run_flush_if_full(struct convert_run *run) MUST_CHECK;
int convert_run_report(struct convert_run *run) MUST_CHECK;

/*
 * Judges the row at result.end by the dialect's walker: skips it (an empty line), emits or rejects
 * it. row[0..len) is without its line end. Does not advance. Returns 0 or -ENOMEM.
 */
int convert_row_judge(struct convert_run *run, const uint8_t *row, size_t len) MUST_CHECK;

/*
 * Finds the end of the row at result.end, judges it, and advances behind it. In careful mode the
 * row is told first, and rejected unseen if it is to be skipped.
 */
int convert_row_next(struct convert_run *run) MUST_CHECK;

/* Converts the rows from result.end on: some, or one, or skips an empty line. */
int convert_batch_next(struct convert_run *run) MUST_CHECK;
