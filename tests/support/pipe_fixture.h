/* SPDX-License-Identifier: MIT */
#pragma once

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/worker_protocol.h"
#include "common/util/fd.h"
#include "common/util/macro.h"
#include "daemon/pipe/convert_run.h"

/* The scanner that this run is about; NULL if the machine cannot run it. */
static inline const struct csv_scanner *pipe_fixture_scanner(void)
{
	return csv_scanner_find(getenv(WORKER_ENV_SCANNER));
}

/*
 * One input in memory and all that it takes to convert it. Fill `input` and `spec`, call
 * pipe_fixture_convert() as often as you like; rows and errors hold what came out.
 */
struct pipe_fixture {
	struct pipe_spec spec;
	const char *input;
	size_t input_len;
	size_t n_columns; /* called a, b, c, ... */
	uint32_t *field_of;
	uint64_t chunk_size;
	size_t window_bytes;
	uint64_t reject_budget;
	const struct csv_scanner *scanner; /* NULL: pipe_fixture_scanner() */
	struct convert_care care;	   /* if it has a `touch` */

	struct buf rows, errors;
	struct convert_result total; /* sums; end, end_line and flags of the last chunk */
	unsigned n_flushes, n_progress;
	int stop_at_progress; /* progress number that returns 7; 0: none */
	int r;		      /* of the last convert_chunk() */
};

static inline struct pipe_fixture pipe_fixture(const char *input, size_t len, size_t n_columns)
{
	return (struct pipe_fixture){
		.spec.input = {.delimiter = ',',
			       .quotechar = '"',
			       .limit = UINT64_MAX,
			       .max_row_bytes = JOB_SPEC_DEFAULT_ROW_BYTES},
		.input = input,
		.input_len = len,
		.n_columns = n_columns,
		.chunk_size = 512 << 10,
		.reject_budget = UINT64_MAX,
	};
}

static inline void pipe_fixture_deinit(struct pipe_fixture *fixture)
{
	buf_deinit(&fixture->rows);
	buf_deinit(&fixture->errors);
}

static inline int pipe_fixture_flush(struct convert_sink *sink)
{
	struct pipe_fixture *fixture = sink->user;

	buf_add(&fixture->rows, sink->rows.data, sink->rows.len);
	buf_add(&fixture->errors, sink->errors.data, sink->errors.len);
	buf_clear(&sink->rows);
	buf_clear(&sink->errors);
	sink->n_error_lines = 0;
	fixture->n_flushes++;
	return 0;
}

static inline int pipe_fixture_progress(struct convert_sink *sink,
					const struct convert_result *so_far)
{
	struct pipe_fixture *fixture = sink->user;

	ck_assert_uint_eq(so_far->rows, so_far->success + so_far->error);
	fixture->n_progress++;
	return (int)fixture->n_progress == fixture->stop_at_progress ? 7 : 0;
}

static inline void pipe_fixture_add(struct pipe_fixture *fixture, const struct convert_result *part)
{
	struct convert_result *total = &fixture->total;

	total->end = part->end;
	total->end_line = part->end_line;
	total->flags = part->flags;
	total->rows += part->rows;
	total->success += part->success;
	total->error += part->error;
	for (size_t i = 0; i < REJECT_N_CODES; i++) {
		total->rejects[i] += part->rejects[i];
	}
}

static inline void pipe_fixture_chunks(struct pipe_fixture *fixture, struct converter *converter,
				       const struct convert_pipe *pipe, struct reader *reader)
{
	struct convert_sink sink = {
		.flush = pipe_fixture_flush,
		.progress = pipe_fixture_progress,
		.user = fixture,
	};
	uint64_t start = 0;
	uint64_t line = 1;

	for (uint64_t begin = 0; begin < fixture->input_len; begin += fixture->chunk_size) {
		struct convert_result result;
		const struct convert_range range = {
			.start = start,
			.line_at_start = line,
			.nominal_end = MIN(begin + fixture->chunk_size,
					   (uint64_t)fixture->input_len),
			.row_budget = fixture->spec.input.limit - fixture->total.rows,
			.reject_budget = fixture->reject_budget - fixture->total.error,
		};

		fixture->r = convert_chunk(converter, pipe, reader, &range, &sink, &result);
		pipe_fixture_flush(&sink);
		pipe_fixture_add(fixture, &result);
		start = result.end;
		line = result.end_line;
		if (fixture->r != 0 || result.flags != 0) {
			break;
		}
	}
	buf_deinit(&sink.rows);
	buf_deinit(&sink.errors);
}

static inline void pipe_fixture_convert(struct pipe_fixture *fixture)
{
	CLEANUP(fd_closep) int fd = fd_memfd("input", fixture->input, fixture->input_len);
	char names[26][2];
	char *columns[26];
	char path[] = "in.csv";
	struct plan_file file = {.path = path, .field_of = fixture->field_of};
	struct plan_pipe plan = {.n_files = 1, .files = &file, .columns = columns};
	struct convert_pipe *pipe;
	struct converter *converter;
	struct reader reader;

	plan.n_columns = fixture->n_columns;
	for (size_t c = 0; c < plan.n_columns; c++) {
		columns[c] = memcpy(names[c], (const char[]){(char)('a' + c), '\0'}, 2);
	}
	file.identity.size_bytes = fixture->input_len;
	fixture->total = (struct convert_result){.end_line = 1};
	fixture->n_flushes = fixture->n_progress = 0;
	buf_clear(&fixture->rows);
	buf_clear(&fixture->errors);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(converter_new(getenv(WORKER_ENV_SCANNER), &converter), 0);
	if (fixture->scanner != NULL) {
		converter->scanner = fixture->scanner;
	}
	converter_set_care(converter, fixture->care.touch != NULL ? &fixture->care : NULL);
	ck_assert_int_eq(convert_pipe_new("job", &fixture->spec, &plan, &pipe), 0);
	ck_assert_int_eq(reader_init(&reader, fixture->window_bytes > 0
						      ? fixture->window_bytes
						      : convert_window_bytes(fixture->chunk_size)),
			 0);
	reader_open(&reader, fd, fixture->input_len);
	pipe_fixture_chunks(fixture, converter, pipe, &reader);
	reader_deinit(&reader);
	convert_pipe_free(pipe);
	converter_free(converter);
}

/* The rows as a string. */
static inline const char *pipe_fixture_rows(struct pipe_fixture *fixture)
{
	pipe_fixture_convert(fixture);
	return buf_terminated(&fixture->rows);
}

/* "line:offset:code:field" of each error line, a blank behind each. */
static inline const char *pipe_fixture_faults(struct pipe_fixture *fixture)
{
	static char text[4096];
	size_t len = 0;

	pipe_fixture_convert(fixture);
	text[0] = '\0';
	for (const char *at = buf_terminated(&fixture->errors); (at = strstr(at, ",\"line\":"));) {
		unsigned long line, offset;
		char code[32], field[32];

		ck_assert_int_eq(sscanf(at,
					",\"line\":%lu,\"offset\":%lu,\"stage\":\"parse\","
					"\"code\":\"%31[a-z_0-9]\",\"field\":%31[^,]",
					&line, &offset, code, field),
				 4);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%lu:%lu:%s:%s ", line,
					offset, code, field);
		at++;
	}
	return text;
}
