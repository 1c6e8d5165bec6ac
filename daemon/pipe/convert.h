/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/model/reject.h"
#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/pipe/parity.h"
#include "daemon/pipe/reader.h"

/*
 * CSV in, JSON lines and error lines out, a chunk at a time. All that a worker needs of this room.
 *
 *	convert_pipe_new()	once for each pipe of the job; immutable
 *	converter_new()		once for each worker: scratch memory
 *	convert_count()		a chunk's newlines and quote parity, to be published
 *	convert_guess()		where its first row probably starts
 *	convert_chunk()		its rows from there; and again, if the guess was wrong
 */
struct convert_pipe;
struct converter;

/*
 * Keeps pointers to `spec` and `plan`, which must outlive it. job_name goes into the error rows.
 * Returns 0 or -ENOMEM. free takes NULL and returns it.
 */
int convert_pipe_new(const char *job_name, const struct pipe_spec *spec,
		     const struct plan_pipe *plan, struct convert_pipe **ret_pipe) MUST_CHECK;
struct convert_pipe *convert_pipe_free(struct convert_pipe *pipe);

/* What a worker's reader should hold for chunks of this size. */
size_t convert_window_bytes(uint64_t chunk_size);

/* scanner_name: of csv_scanner.h, NULL for the best. -EINVAL if there is none, -ENOMEM. */
int converter_new(const char *scanner_name, struct converter **ret_converter) MUST_CHECK;
struct converter *converter_free(struct converter *converter);

/*
 * Careful mode, for rows on which workers have died: one row at a time by the dialect's walker, and
 * no scanner but the portable one. The output is the same but for the rows to skip, which are
 * rejected as `crash` and looked at only as far as their end and what an error row shows.
 */
struct convert_care {
	const uint64_t *skips; /* offsets where such rows start */
	size_t n_skips;
	/* Called before a row is touched, be it an empty line or one to skip. */
	void (*touch)(const struct convert_care *care, uint64_t offset);
	void *user;
};

/* How it goes on from here. Borrowed; NULL, as at first: the fast way. */
void converter_set_care(struct converter *converter, const struct convert_care *care);

/* What a chunk's conversion gave; the numbers of struct chunk_accept. */
struct convert_result {
	uint64_t end;	   /* first byte after its last row */
	uint64_t end_line; /* physical line at `end` */
	uint64_t rows;	   /* = success + error; skipped empty lines are no rows */
	uint64_t success;
	uint64_t error;
	uint64_t rejects[REJECT_N_CODES]; /* sum = error */
	uint32_t flags;			  /* CHUNK_FLAG_*: which budget it has used up */
	/* Of the bytes [nominal_end, end); zeros if end <= nominal_end, and if start >=
	 * nominal_end: then it is what the chunk before says, less the newlines and quotes of this
	 * one. */
	uint64_t overhang_newlines;
	bool overhang_quote_parity;
};

/*
 * Where rows go. The two bufs are the caller's, and reused: convert_chunk() only appends, except
 * that it calls `flush` once a buf holds CONVERT_FLUSH_BYTES or more; flush takes the bytes of both
 * away (sets their len to 0).
 *
 * `progress` is called at least every 64 KiB of input that passes, with the numbers so far.
 *
 * What they return other than 0 ends the conversion and is returned by convert_chunk(): negative
 * for failures, positive for what the caller wants to tell itself ("begin again", "stop").
 */
#define CONVERT_FLUSH_BYTES (4u << 20)

struct convert_sink {
	struct buf rows;
	struct buf errors;
	uint64_t n_error_lines; /* in `errors`; flush sets it to 0, too */
	int (*flush)(struct convert_sink *sink);
	int (*progress)(struct convert_sink *sink, const struct convert_result *so_far);
	void *user;
};

/* Memory for what a sink normally takes before it is flushed. Optional. Returns 0 or -ENOMEM. */
int convert_sink_reserve(struct convert_sink *sink) MUST_CHECK;

/* Frees what a giant row has made the bufs grow to; call it between chunks. */
void convert_sink_shrink(struct convert_sink *sink);

/* Which rows to convert: those that start in [start, nominal_end) of the file. */
struct convert_range {
	size_t file; /* index into the plan's files */
	uint64_t start;
	uint64_t nominal_end;	/* may lie before start: no rows then, end = start */
	uint64_t line_at_start; /* physical line, 1 = first of the file */
	uint64_t row_budget;	/* stops behind this many rows with CHUNK_FLAG_END_OF_LIMIT */
	uint64_t reject_budget; /* behind this many rejects with CHUNK_FLAG_END_OF_REJECTS */
};

/*
 * Newlines and quote parity of the file's bytes [begin, end), which it reads (with some bytes on
 * both sides, which convert_guess() and convert_chunk() then find in the window). Returns as
 * reader_fetch().
 */
int convert_count(const struct converter *converter, const struct convert_pipe *pipe,
		  struct reader *reader, uint64_t begin, uint64_t end,
		  struct parity_count *ret_count) MUST_CHECK;

/*
 * The first row start at or after `begin`, if the byte there is inside quotes or not as `quoted`
 * says, and every quote is a regular one. CONVERT_NO_GUESS if none is found within max_row_bytes
 * behind nominal_end. Returns as reader_fetch().
 */
#define CONVERT_NO_GUESS UINT64_MAX

struct convert_guess {
	uint64_t start;
	uint64_t n_newlines; /* in [begin, start) */
};

int convert_guess(const struct convert_pipe *pipe, struct reader *reader, uint64_t begin,
		  uint64_t nominal_end, bool quoted, struct convert_guess *ret_guess) MUST_CHECK;

/*
 * Converts a range. The result, and the bytes that went into the sink, are a function of the file's
 * bytes, the pipe and the range: never of windows, batches or what was converted before. After
 * CONVERT_NO_GUESS there is nothing to convert: wait for the true start.
 *
 * Returns 0; -ENOMEM; as reader_fetch(); or what flush or progress returned. *ret_result is set in
 * any case to what was reached.
 */
int convert_chunk(struct converter *converter, const struct convert_pipe *pipe,
		  struct reader *reader, const struct convert_range *range,
		  struct convert_sink *sink, struct convert_result *ret_result) MUST_CHECK;
