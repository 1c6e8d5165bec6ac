/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/sched/failure.h"
#include "daemon/sched/pool.h"

/*
 * What a worker's death means for the chunk that it was converting. Only for deaths that can be
 * the rows' fault: a crash (worker_end_is_fault()), or a kill by us for what it did. A SIGKILL out
 * of nowhere proves nothing, however often it comes.
 */
enum blame {
	BLAME_NOBODY,  /* it was converting nothing */
	BLAME_CHUNK,   /* charged; the chunk is to be done again, with more care if need be */
	BLAME_GIVE_UP, /* charged, and the job ends here: *ret_failure says why */
};

/* Call it once the slot's process was reaped and before what it held is freed. */
enum blame blame_death(const struct pool_options *pool, uint32_t slot,
		       const struct worker_end *death, struct failure *ret_failure) MUST_CHECK;
