/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/chunk_table.h"
#include "common/model/job_spec.h"
#include "common/model/job_state.h"
#include "common/model/plan.h"
#include "common/model/stats_file.h"
#include "common/util/macro.h"
#include "daemon/pipe/convert.h"
#include "daemon/pipe/reader.h"
#include "daemon/worker/chain.h"
#include "daemon/worker/report.h"
#include "daemon/worker/restrict.h"

/* One pipe as one worker sees it: where its rows come from and where they go. */
struct lane {
	struct chain chain;
	const struct pipe_spec *spec;
	struct convert_pipe *pipe;
	int root_fd;   /* data root of the inputs, borrowed */
	int rows_fd;   /* temporary output file, inherited */
	int errors_fd; /* the same for rejects */
	int input_fd;  /* the input that is open now, or -1 */
	size_t input_file;
	unsigned n_wrong_guesses; /* running */
};

/* What all chunks of this worker share: the process's own state, no more than one of it. */
struct worker {
	uint32_t slot;
	uint64_t memory_limit_bytes; /* limits.memory_per_worker; 0: none */
	struct chunk_table table;
	struct stats_page *page;
	struct stats_progress progress; /* of this generation, redone rows included */
	int statm_fd;			/* of this process; none is fine */
	int64_t next_ram_at_ns;
	int64_t chunks_done;
	struct converter *converter;
	struct reader reader;
	struct convert_sink sinks[2]; /* the guess, and the other one where guesses go wrong */
	struct report report;
};

/*
 * Has the restriction leave the lane's inputs to be opened: the very files that the plan means, or,
 * if they are many, what lies in their folders. Returns 0, or -1 with the worker's report set.
 */
int lane_allow_inputs(const struct lane *lane, struct worker *worker,
		      const struct restriction *restriction) MUST_CHECK;

/*
 * Makes the reader read file `file` of the lane's plan; opens it if it is not the one that is
 * open, and compares its identity with the plan's. Returns 0, or -1 with the worker's report set.
 */
int lane_open_input(struct lane *lane, struct worker *worker, size_t file) MUST_CHECK;

/* Writes to the lane's rows (or errors) at offset. Returns 0, or -1 with the report set. */
int lane_write(struct lane *lane, struct worker *worker, bool is_errors, const struct buf *bytes,
	       uint64_t offset) MUST_CHECK;

void lane_deinit(struct lane *lane);
