/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/worker/lane.h"

/* One chunk's way from claimed to written. */

enum chunk_outcome {
	CHUNK_OUTCOME_WRITTEN,
	CHUNK_OUTCOME_GIVE_BACK, /* an earlier chunk is free; nothing was accepted */
	CHUNK_OUTCOME_STOPPED,	 /* the pool is being stopped; nothing was accepted */
};

/*
 * Converts, accepts and writes a chunk that this worker has claimed. Returns an enum chunk_outcome,
 * or -1 with the worker's report set.
 */
int chunk_work(struct worker *worker, struct lane *lane, uint64_t chunk) MUST_CHECK;

/* Before the first chunk. Returns 0 or -ENOMEM. */
int chunk_work_init_sinks(struct worker *worker) MUST_CHECK;
