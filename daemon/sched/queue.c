/* SPDX-License-Identifier: MIT */
/*
 * A job's ID is the time it came in, so age needs no clock of its own. The limits may shrink below
 * what runs already (a reload): then nothing starts until enough has ended.
 */
#include "daemon/sched/queue.h"

#include <string.h>

#include "common/util/macro.h"

bool queue_is_before(const struct queue_entry *a, const struct queue_entry *b)
{
	if (a->priority != b->priority) {
		return a->priority > b->priority;
	}
	return strcmp(a->id, b->id) < 0;
}

unsigned queue_grant(const struct queue_load *load, unsigned n_wanted)
{
	if (load->n_running >= load->max_jobs || load->n_slots_taken >= load->max_workers) {
		return 0;
	}
	return MIN(MAX(n_wanted, 1u), load->max_workers - load->n_slots_taken);
}
