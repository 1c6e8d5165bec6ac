/* SPDX-License-Identifier: MIT */
/*
 * The conversion against the dialect's walker: the same bytes go through the scanner in chunks, and
 * row by row through the table; both must give the same rows, errors and extents. The first bytes
 * of the input choose dialect, columns, chunk size, window and scanner.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/macro.h"
#include "daemon/pipe/convert_run.h"

enum { N_CHOICES = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
	if (!condition) {
		abort();
	}
}

/* Large, and the same for every input. */
static struct converter *converter;

struct setup {
	struct pipe_spec spec;
	char names[4][2];
	char *columns[4];
	char path[2];
	uint32_t field_of[4];
	struct plan_file file;
	struct plan_pipe plan;
	struct convert_pipe *pipe;
	uint64_t chunk_size;
	size_t window_bytes;
};

static void set_up(struct setup *setup, const uint8_t *choices, size_t size)
{
	static const char delimiters[] = ",,;\t\\'a\x01";
	static const char quotes[] = "\"\"\"'\\b\0\0";
	struct input_spec *input = &setup->spec.input;

	input->delimiter = delimiters[choices[0] & 7];
	input->quotechar = quotes[choices[0] >> 3 & 7];
	input->strict = choices[0] >> 6 & 1;
	if (input->quotechar == input->delimiter) {
		input->quotechar = '"';
	}
	input->max_row_bytes = choices[1] < 128 ? choices[1] + 1u : 1 << 20;
	setup->plan.n_columns = 1 + (choices[2] & 3);
	setup->chunk_size = choices[3] < 200 ? choices[3] + 1u : 1 << 20;
	setup->window_bytes = choices[4] + 1u;
	for (uint32_t c = 0; c < 4; c++) {
		memcpy(setup->names[c], (char[]){(char)('w' + c), '\0'}, 2);
		setup->columns[c] = setup->names[c];
		setup->field_of[c] = (c + choices[5]) % (uint32_t)setup->plan.n_columns;
	}
	memcpy(setup->path, "f", 2);
	setup->file.path = setup->path;
	setup->file.identity.size_bytes = size;
	setup->file.field_of = choices[5] & 128 ? setup->field_of : NULL;
	setup->plan.files = &setup->file;
	setup->plan.n_files = 1;
	setup->plan.columns = setup->columns;
	demand(convert_pipe_new("job", &setup->spec, &setup->plan, &setup->pipe) == 0);
	demand(converter != NULL || converter_new(NULL, &converter) == 0);
	converter->scanner = csv_scanner_at(choices[5] >> 5 & 3);
	if (converter->scanner == NULL) {
		converter->scanner = csv_scanner_at(0);
	}
}

static int no_flush(struct convert_sink *sink)
{
	(void)sink;
	return 0;
}

static int no_progress(struct convert_sink *sink, const struct convert_result *so_far)
{
	(void)sink;
	demand(so_far->rows == so_far->success + so_far->error);
	return 0;
}

/* All chunks, one after the other. Returns the line behind the last row. */
static uint64_t convert_chunks(struct setup *setup, struct reader *reader,
			       struct convert_sink *sink)
{
	uint64_t size = setup->file.identity.size_bytes;
	struct convert_range range = {
		.line_at_start = 1, .row_budget = UINT64_MAX, .reject_budget = UINT64_MAX};

	for (uint64_t begin = 0; begin < size; begin += setup->chunk_size) {
		struct convert_result result;

		range.nominal_end = MIN(begin + setup->chunk_size, size);
		demand(convert_chunk(converter, setup->pipe, reader, &range, sink, &result) == 0);
		demand(result.end >= range.start && result.end <= size);
		demand(result.end >= range.nominal_end);
		range.start = result.end;
		range.line_at_start = result.end_line;
	}
	return range.line_at_start;
}

/* The same by the walker alone. */
static uint64_t convert_rows(struct setup *setup, struct reader *reader, struct convert_sink *sink)
{
	const struct convert_range range = {
		.nominal_end = UINT64_MAX, .row_budget = UINT64_MAX, .reject_budget = UINT64_MAX};
	uint32_t field_ends[4];
	struct converter walker = {.field_ends = field_ends, .n_field_ends = 4};
	struct convert_run run = {
		.converter = &walker,
		.pipe = setup->pipe,
		.file = &setup->file,
		.reader = reader,
		.range = &range,
		.sink = sink,
		.result = {.end_line = 1},
	};

	while (run.result.end < setup->file.identity.size_bytes) {
		run.memo = (struct row_memo){0};
		demand(convert_row_next(&run) == 0);
	}
	return run.result.end_line;
}

static void demand_same(const struct buf *a, const struct buf *b)
{
	demand(a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < N_CHOICES) {
		return -1;
	}

	struct setup setup = {.chunk_size = 1};
	struct convert_sink chunks = {.flush = no_flush, .progress = no_progress};
	struct convert_sink rows = chunks;
	CLEANUP(fd_closep) int fd = fd_memfd("input", data + N_CHOICES, size - N_CHOICES);
	struct reader reader;

	set_up(&setup, data, size - N_CHOICES);
	demand(fd >= 0 && reader_init(&reader, setup.window_bytes) == 0);
	reader_open(&reader, fd, size - N_CHOICES);
	demand(convert_chunks(&setup, &reader, &chunks) == convert_rows(&setup, &reader, &rows));
	demand_same(&chunks.rows, &rows.rows);
	demand_same(&chunks.errors, &rows.errors);

	reader_deinit(&reader);
	buf_deinit(&chunks.rows);
	buf_deinit(&chunks.errors);
	buf_deinit(&rows.rows);
	buf_deinit(&rows.errors);
	convert_pipe_free(setup.pipe);
	return 0;
}
