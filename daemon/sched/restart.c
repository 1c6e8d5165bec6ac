/* SPDX-License-Identifier: MIT */
/*
 * Two counts, because they answer two questions. A slot that dies early costs a fork each time,
 * so it is slowed down, whatever the others do. But as long as the job comes forward, a death is
 * no reason to fail it: whoever kills workers at random must not be able to.
 */
#include "daemon/sched/restart.h"

#include "common/util/clock.h"
#include "common/util/macro.h"

#define MAX_DELAY_SECONDS INT64_C(30)

void restart_note_progress(struct restart *restart)
{
	restart->n_early_deaths = 0;
	restart->n_stuck_deaths = 0;
}

void restart_note_innocent(struct restart *restart)
{
	restart->n_stuck_deaths = 0;
}

static int64_t backoff_ns(unsigned n_early_deaths, uint64_t jitter)
{
	if (n_early_deaths <= 1) {
		return 0;
	}
	unsigned doublings = MIN(n_early_deaths - 2, 10u);
	int64_t delay = MIN(INT64_C(1) << doublings, MAX_DELAY_SECONDS) * CLOCK_NS_PER_SEC;

	return delay - delay / 4 + (int64_t)(jitter % (uint64_t)(delay / 2));
}

int64_t restart_delay_ns(struct restart *restart, uint64_t n_done, uint64_t jitter)
{
	if (n_done != restart->n_done_at_death) {
		restart->n_stuck_deaths = 0;
	}
	restart->n_done_at_death = n_done;
	restart->n_early_deaths++;
	restart->n_stuck_deaths++;
	if (restart->n_stuck_deaths >= RESTART_MAX_STUCK_DEATHS) {
		return -1;
	}
	return backoff_ns(restart->n_early_deaths, jitter);
}
