/* SPDX-License-Identifier: MIT */
#pragma once

/* Why a worker process ended: the label `cause` of zooparallel_worker_exits_total. */
enum worker_cause {
	/* Nothing was left to do, or the daemon has ended it because the job is over or stops. */
	WORKER_CAUSE_OK,
	WORKER_CAUSE_ERROR,	   /* by itself, before its work was done */
	WORKER_CAUSE_SIGNAL,	   /* by a signal that was not the daemon's */
	WORKER_CAUSE_OOM,	   /* by the kernel, for lack of memory */
	WORKER_CAUSE_MEMORY_LIMIT, /* it took more than limits.memory_per_worker */
	WORKER_CAUSE_STALLED,	   /* the daemon has killed it: no sign of life for limits.stall */
	WORKER_N_CAUSES
};

/* "memory_limit". Never NULL. */
const char *worker_cause_name(enum worker_cause cause);
