/* SPDX-License-Identifier: MIT */

/*
 * Converts one headerless file, chunk after chunk as a single worker would, for comparisons with
 * other parsers and for measuring. Prints what it did as key=value words.
 *
 *	pipe_convert [-d DELIMITER] [-q QUOTE|none] [-s] [-n COLUMNS] [-c CHUNK] [-m MAX_ROW]
 *		     [-l LIMIT] [-r MAX_REJECTS] [-w WINDOW] [-b REPEATS] [-k SCANNER]
 *		     [-C] [-x OFFSET]... INPUT ROWS ERRORS
 *
 * -C is careful mode, -x the same with a row to skip.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/model/chunk_table.h"
#include "common/util/fd.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "daemon/pipe/convert.h"

struct job {
	struct pipe_spec spec;
	struct plan_file file;
	struct plan_pipe plan;
	uint64_t chunk_size;
	uint64_t max_rejects;
	uint64_t window;
	uint64_t n_repeats;
	const char *scanner_name;
	int in_fd, rows_fd, errors_fd;
	bool is_careful;
	uint64_t skips[8];
	size_t n_skips;

	/* What came out. */
	uint64_t rows, success, error, n_wrong_guesses, n_bytes, n_lines, n_pieces, n_touched;
	uint32_t flags;
};

static int flush(struct convert_sink *sink)
{
	struct job *job = sink->user;
	int r = fd_write_all(job->rows_fd, sink->rows.data, sink->rows.len);

	if (r == 0) {
		r = fd_write_all(job->errors_fd, sink->errors.data, sink->errors.len);
	}
	job->n_bytes += sink->rows.len;
	job->n_pieces++;
	buf_clear(&sink->rows);
	buf_clear(&sink->errors);
	sink->n_error_lines = 0;
	return r;
}

static int progress(struct convert_sink *sink, const struct convert_result *so_far)
{
	return so_far->rows == so_far->success + so_far->error ? 0 : -EINVAL;
}

static void touch(const struct convert_care *care, uint64_t offset)
{
	struct job *job = care->user;

	job->n_touched++;
}

/* Checks the guess for the chunk that follows `range`, as a worker that only knows parities. */
static int check_guess(struct job *job, const struct converter *converter,
		       const struct convert_pipe *pipe, struct reader *reader, uint64_t begin,
		       const struct convert_range *range)
{
	struct convert_guess guess;
	struct parity_count count = {0};
	int r = convert_count(converter, pipe, reader, range->start, begin, &count);

	if (r < 0 || range->start >= range->nominal_end) {
		return r;
	}
	r = convert_guess(pipe, reader, begin, range->nominal_end, count.quote_parity, &guess);
	if (r < 0) {
		return r;
	}
	job->n_wrong_guesses += guess.start != range->start && range->start > begin;
	return 0;
}

static int convert_file(struct job *job, struct converter *converter, struct convert_pipe *pipe,
			struct reader *reader, struct convert_sink *sink)
{
	uint64_t size = job->file.identity.size_bytes;
	struct convert_range range = {.line_at_start = 1};

	for (uint64_t begin = 0; begin < size; begin += job->chunk_size) {
		struct convert_result result;
		struct parity_count count;

		range.nominal_end = MIN(begin + job->chunk_size, size);
		range.row_budget = job->spec.input.limit - job->rows;
		range.reject_budget = job->max_rejects - job->error;

		int r = convert_count(converter, pipe, reader, begin, range.nominal_end, &count);

		if (r == 0 && job->chunk_size < 4096) {
			r = check_guess(job, converter, pipe, reader, begin, &range);
		}
		if (r == 0) {
			r = convert_chunk(converter, pipe, reader, &range, sink, &result);
		}
		if (r == 0) {
			r = flush(sink);
		}
		if (r < 0) {
			return r;
		}
		job->rows += result.rows;
		job->success += result.success;
		job->error += result.error;
		job->flags |= result.flags;
		job->n_lines = result.end_line;
		range.start = result.end;
		range.line_at_start = result.end_line;
		if (result.flags != 0) {
			break;
		}
	}
	return 0;
}

/* Of this process: what others do on the machine does not count. */
static double cpu_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int run(struct job *job)
{
	struct converter *converter;
	struct convert_pipe *pipe;
	struct reader reader;
	struct convert_sink sink = {.flush = flush, .progress = progress, .user = job};
	const struct convert_care care = {
		.skips = job->skips, .n_skips = job->n_skips, .touch = touch, .user = job};
	int r = converter_new(job->scanner_name, &converter);

	if (r == 0) {
		converter_set_care(converter, job->is_careful ? &care : NULL);
		r = convert_sink_reserve(&sink);
	}
	if (r == 0) {
		r = convert_pipe_new("job", &job->spec, &job->plan, &pipe);
	}
	if (r == 0) {
		r = reader_init(&reader, job->window > 0 ? job->window
							 : convert_window_bytes(job->chunk_size));
	}
	if (r < 0) {
		return r;
	}
	for (uint64_t i = 0; r == 0 && i < job->n_repeats; i++) {
		double start = cpu_seconds();

		job->rows = job->success = job->error = job->n_bytes = 0;
		if (lseek(job->rows_fd, 0, SEEK_SET) == 0) {
			lseek(job->errors_fd, 0, SEEK_SET);
		}
		reader_open(&reader, job->in_fd, job->file.identity.size_bytes);
		r = convert_file(job, converter, pipe, &reader, &sink);

		double rate = 1e-6 / (cpu_seconds() - start);

		if (job->n_repeats > 1) {
			printf("in=%.0f out=%.0f MB per CPU second\n",
			       (double)job->file.identity.size_bytes * rate,
			       (double)job->n_bytes * rate);
		}
	}
	converter_free(converter);
	convert_pipe_free(pipe);
	reader_deinit(&reader);
	buf_deinit(&sink.rows);
	buf_deinit(&sink.errors);
	return r;
}

static int add_skip(struct job *job)
{
	job->is_careful = true;
	if (job->n_skips == ARRAY_SIZE(job->skips)) {
		return -E2BIG;
	}
	return num_parse_u64(optarg, &job->skips[job->n_skips++]);
}

static int parse_options(struct job *job, int argc, char **argv)
{
	uint64_t n_columns = 1;
	int option, r = 0;

	while (r == 0 && (option = getopt(argc, argv, "d:q:sn:c:m:l:r:w:b:k:Cx:")) != -1) {
		uint64_t *numbers[256] = {
			['n'] = &n_columns,
			['c'] = &job->chunk_size,
			['m'] = &job->spec.input.max_row_bytes,
			['l'] = &job->spec.input.limit,
			['r'] = &job->max_rejects,
			['w'] = &job->window,
			['b'] = &job->n_repeats,
		};

		if (option == 's') {
			job->spec.input.strict = true;
		} else if (option == 'C') {
			job->is_careful = true;
		} else if (option == 'x') {
			r = add_skip(job);
		} else if (option == 'k') {
			job->scanner_name = optarg;
		} else if (option == 'd') {
			job->spec.input.delimiter = optarg[0];
		} else if (option == 'q') {
			job->spec.input.quotechar = strcmp(optarg, "none") == 0 ? 0 : optarg[0];
		} else if (numbers[option & 255] != NULL) {
			r = num_parse_u64(optarg, numbers[option & 255]);
		} else {
			r = -EINVAL;
		}
	}
	job->plan.n_columns = n_columns;
	return r < 0 || argc - optind != 3 ? -EINVAL : 0;
}

static int make_columns(struct plan_pipe *plan)
{
	plan->columns = calloc(plan->n_columns, sizeof(*plan->columns));
	for (size_t c = 0; plan->columns != NULL && c < plan->n_columns; c++) {
		if (asprintf(&plan->columns[c], "column_%zu", c + 1) < 0) {
			return -ENOMEM;
		}
	}
	return plan->columns != NULL ? 0 : -ENOMEM;
}

static void free_columns(struct plan_pipe *plan)
{
	for (size_t c = 0; c < plan->n_columns; c++) {
		free(plan->columns[c]);
	}
	free(plan->columns);
}

int main(int argc, char **argv)
{
	struct job job = {
		.spec.input = {.delimiter = ',',
			       .quotechar = '"',
			       .limit = UINT64_MAX,
			       .max_row_bytes = JOB_SPEC_DEFAULT_ROW_BYTES},
		.chunk_size = 512 << 10,
		.max_rejects = UINT64_MAX,
		.n_repeats = 1,
	};

	if (parse_options(&job, argc, argv) < 0) {
		return 2;
	}
	job.in_fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	job.rows_fd = open(argv[optind + 1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	job.errors_fd = open(argv[optind + 2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	job.file.path = argv[optind];
	job.plan.files = &job.file;
	job.plan.n_files = 1;
	if (job.in_fd < 0 || job.rows_fd < 0 || job.errors_fd < 0 ||
	    plan_identity_of(job.in_fd, &job.file.identity) < 0 || make_columns(&job.plan) < 0) {
		perror("pipe_convert");
		return 1;
	}

	int r = run(&job);

	printf("r=%d rows=%" PRIu64 " success=%" PRIu64 " error=%" PRIu64 " lines=%" PRIu64
	       " flags=%u wrong_guesses=%" PRIu64 " touched=%" PRIu64 "\n",
	       r, job.rows, job.success, job.error, job.n_lines, job.flags, job.n_wrong_guesses,
	       job.n_touched);
	free_columns(&job.plan);
	return r < 0;
}
