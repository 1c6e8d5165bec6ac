/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/chunk_table.h"
#include "common/util/macro.h"
#include "daemon/sched/failure.h"
#include "daemon/sched/fold.h"
#include "daemon/sched/progress.h"

/* The accounts of all lanes of a run, one for each pipe, kept up with the chunk table. */
struct lanes {
	size_t n_lanes;
	struct fold_rules *rules;
	struct fold_state *states;
	uint64_t *folded; /* states[i].n_folded, for chunk_table_free_slot() */
	const struct plan *plan;
};

/* plan and spec are borrowed; the plan has the spec's pipes. */
int lanes_init(struct lanes *ret_lanes, const struct plan *plan,
	       const struct job_spec *spec) MUST_CHECK;
void lanes_deinit(struct lanes *lanes);

/*
 * Goes on from accounts that were saved, before anything is taken over. Returns 0, or -EPROTO with
 * nothing changed if they cannot be those of this plan and spec.
 */
int lanes_resume(struct lanes *lanes, const struct fold_state *states, size_t n_states) MUST_CHECK;

/* Told of each chunk that was taken over, with the slot that converted it. */
typedef void (*lanes_folded_fn)(void *userdata, uint32_t slot);

/*
 * Takes over all chunks that are written, lane by lane, and ends a lane in the table as its account
 * ends. Returns 0, or -EPROTO with *ret_failure if a record cannot be true.
 */
int lanes_fold(struct lanes *lanes, struct chunk_table *table, lanes_folded_fn fn, void *userdata,
	       struct failure *ret_failure) MUST_CHECK;

/* Every row of every lane is in; or one lane has met too many rejects. */
bool lanes_are_ended(const struct lanes *lanes);
bool lanes_exceed_rejects(const struct lanes *lanes);

/* Sum of all lanes (end, end_line and flags mean nothing in it). */
struct fold_state lanes_sum(const struct lanes *lanes);

/* How much of the input is taken over, 0..1. */
double lanes_ratio(const struct lanes *lanes);

/* How far the account is, with the chunks that are accepted but not taken over yet. */
void lanes_live(const struct lanes *lanes, const struct chunk_table *table,
		struct progress_rows *ret_rows, double *ret_ratio);
