/* SPDX-License-Identifier: MIT */
/* One list of names, so that metrics, API and results count by the same words. */
#include "common/model/worker_cause.h"

#include <assert.h>

const char *worker_cause_name(enum worker_cause cause)
{
	static const char *const names[WORKER_N_CAUSES] = {
		[WORKER_CAUSE_OK] = "ok",
		[WORKER_CAUSE_ERROR] = "error",
		[WORKER_CAUSE_SIGNAL] = "signal",
		[WORKER_CAUSE_OOM] = "oom",
		[WORKER_CAUSE_MEMORY_LIMIT] = "memory_limit",
		[WORKER_CAUSE_STALLED] = "stalled",
	};

	assert(cause < WORKER_N_CAUSES);
	return names[cause];
}
