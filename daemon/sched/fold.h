/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/chunk_table.h"
#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/util/macro.h"

/*
 * Taking over what workers have accepted. The chunk table is memory that any worker can scribble
 * on, so every number of an accept record is checked against the plan, the spec and the records
 * before it, and only then added to the supervisor's own account. Pure: no clock, no I/O.
 */

/* What plan and spec fix for one lane. */
struct fold_rules {
	const struct plan *plan;
	const struct plan_pipe *pipe;
	uint64_t limit;		/* rows to read; UINT64_MAX: all */
	uint64_t max_rejects;	/* one more ends the lane; UINT64_MAX: no bound */
	bool keeps_all_rejects; /* an error file; else only the first rejects are written */
	uint64_t row_overhead_max_bytes; /* of an output row, besides its values */
	uint64_t reject_max_bytes;	 /* of an error row */
};

/* The account of a lane: the sum of all records that have been taken over. */
struct fold_state {
	uint64_t n_folded;	/* chunks taken over; the next one to come */
	bool is_ended;		/* all of the lane's rows are in */
	uint32_t end_flags;	/* enum chunk_flag of the chunk that ended it */
	uint64_t end, end_line; /* where the last chunk ended in its file */
	uint64_t rows, success, error, filtered;
	uint64_t rejects[REJECT_N_CODES];
	uint64_t input_bytes;
	uint64_t out_end, err_end; /* accepted bytes of the two files */
	/* Of the last chunk: what the next one's guess must take back (struct chunk_accept). */
	uint32_t overhang_newlines, overhang_quote_parity;
};

/* pipe and plan are borrowed. The plan is checked already (plan_load). */
void fold_init(struct fold_rules *ret_rules, struct fold_state *ret_state, const struct plan *plan,
	       const struct plan_pipe *pipe, const struct pipe_spec *spec);

/*
 * Adds chunk number state->n_folded. Returns 0; or -EPROTO with the state untouched and *ret_fault
 * set to what is wrong with the record, half a sentence ("starts before ...").
 */
int fold_accept(const struct fold_rules *rules, struct fold_state *state,
		const struct chunk_accept *accept, const char **ret_fault) MUST_CHECK;

/*
 * Whether an account that was saved can be one of this lane: -EPROTO if plan and limits exclude it,
 * else 0. What the rules cannot see is kept true by the checksum that it was saved with.
 */
int fold_check_saved(const struct fold_rules *rules, const struct fold_state *state) MUST_CHECK;

/* The record of the last chunk that was taken over, as far as the next one needs it. */
struct chunk_accept fold_last_accept(const struct fold_state *state);

/* Sum of an account's lanes (end, end_line and flags mean nothing in it). */
struct fold_state fold_sum(const struct fold_state *lanes, size_t n_lanes);

/* Raises each counter of `held` to that of `state`; end, end_line and flags mean nothing in it. */
void fold_hold(struct fold_state *held, const struct fold_state *state);
