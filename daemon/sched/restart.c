/* SPDX-License-Identifier: MIT */
/*
 * Two counts, because they answer two questions. A slot that dies early costs a fork each time,
 * so it is slowed down, whatever the others do. But as long as the job comes forward, a death is
 * no reason to fail it.
 *
 * Each cause has counts of its own, and a patience of its own. Whoever kills workers at random,
 * fifty times a second, often meets one before its first chunk: were that a fault, three such
 * deaths would soon come in a row and fail a good job. Yet there must be an end: the kernel kills a
 * worker for memory by the same signal, and would do so for ever if one row asks for all there is.
 */
#include "daemon/sched/restart.h"

#include <string.h>

#include "common/util/clock.h"
#include "common/util/macro.h"

#define MAX_DOUBLINGS 10u
#define MIN_SPREAD_NS 4

static const struct patience {
	unsigned max_stuck; /* 0: no end here */
	int64_t first_ns, longest_ns;
} patience_with[RESTART_N_CAUSES] = {
	[RESTART_CAUSE_FAULT] = {3, CLOCK_NS_PER_SEC, 30 * CLOCK_NS_PER_SEC},
	[RESTART_CAUSE_KILL] = {300, 10 * CLOCK_NS_PER_MS, CLOCK_NS_PER_SEC},
	[RESTART_CAUSE_CHARGED] = {0},
};

void restart_note_progress(struct restart *restart)
{
	memset(restart->n_early, 0, sizeof(restart->n_early));
	memset(restart->n_stuck, 0, sizeof(restart->n_stuck));
}

int64_t restart_backoff_ns(int64_t first_ns, int64_t longest_ns, unsigned n_failures,
			   uint64_t jitter)
{
	unsigned doublings = MIN(n_failures - 1, MAX_DOUBLINGS);
	int64_t delay = first_ns > longest_ns >> doublings ? longest_ns : first_ns << doublings;

	if (delay < MIN_SPREAD_NS) {
		return delay;
	}
	return delay - delay / 4 + (int64_t)(jitter % (uint64_t)(delay / 2));
}

static int64_t delay_with(const struct patience *patience, unsigned n_early, uint64_t jitter)
{
	if (n_early <= 1 || patience->first_ns == 0) {
		return 0;
	}
	return restart_backoff_ns(patience->first_ns, patience->longest_ns, n_early - 1, jitter);
}

int64_t restart_delay_ns(struct restart *restart, enum restart_cause cause, uint64_t n_done,
			 uint64_t jitter)
{
	const struct patience *patience = &patience_with[cause];

	if (n_done != restart->n_done_at_death) {
		memset(restart->n_stuck, 0, sizeof(restart->n_stuck));
	}
	restart->n_done_at_death = n_done;
	restart->n_early[cause]++;
	restart->n_stuck[cause]++;
	if (patience->max_stuck > 0 && restart->n_stuck[cause] >= patience->max_stuck) {
		return -1;
	}
	return delay_with(patience, restart->n_early[cause], jitter);
}

unsigned restart_max_stuck(enum restart_cause cause)
{
	return patience_with[cause].max_stuck;
}
