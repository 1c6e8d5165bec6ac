/* SPDX-License-Identifier: MIT */
/*
 * Two counts, because they answer two questions. A slot that dies early costs a fork each time,
 * so it is slowed down, whatever the others do. But as long as the job comes forward, a death is
 * no reason to fail it: whoever kills workers at random must not be able to.
 */
#include "daemon/sched/restart.h"

#include "common/util/clock.h"
#include "common/util/macro.h"

#define MAX_DELAY_NS  (30 * CLOCK_NS_PER_SEC)
#define MAX_DOUBLINGS 10u
#define MIN_SPREAD_NS 4

void restart_note_progress(struct restart *restart)
{
	restart->n_early_deaths = 0;
	restart->n_stuck_deaths = 0;
}

void restart_note_innocent(struct restart *restart)
{
	restart->n_stuck_deaths = 0;
}

int64_t restart_backoff_ns(int64_t base_ns, unsigned n_failures, uint64_t jitter)
{
	unsigned doublings = MIN(n_failures - 1, MAX_DOUBLINGS);
	int64_t most = MAX(MAX_DELAY_NS, base_ns);
	int64_t delay = base_ns > most >> doublings ? most : base_ns << doublings;

	if (delay < MIN_SPREAD_NS) {
		return delay;
	}
	return delay - delay / 4 + (int64_t)(jitter % (uint64_t)(delay / 2));
}

static int64_t delay_of(unsigned n_early_deaths, uint64_t jitter)
{
	return n_early_deaths <= 1
		       ? 0
		       : restart_backoff_ns(CLOCK_NS_PER_SEC, n_early_deaths - 1, jitter);
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
	return delay_of(restart->n_early_deaths, jitter);
}
