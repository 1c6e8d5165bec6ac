/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Who runs next, and with how many workers. Pure.
 *
 * The queue is strictly ordered: greater priority first, then the older job. Its head starts as
 * soon as fewer than max_jobs run and one worker slot is free, and takes what it wants or what is
 * free, whichever is less. Nothing overtakes the head, so a large job waits for one slot only and
 * small ones cannot starve it. Slots are held until the job's last worker is gone; a job that got
 * fewer than it wanted keeps to those.
 */

/* A job as the queue sees it. */
struct queue_entry {
	int priority;
	const char *id; /* sorts by age */
};

struct queue_load {
	unsigned n_running, max_jobs;
	unsigned n_slots_taken, max_workers;
};

/* Whether a runs before b. */
bool queue_is_before(const struct queue_entry *a, const struct queue_entry *b);

/* Slots for a job at the head that wants n_wanted (at least 1); 0: it has to wait. */
unsigned queue_grant(const struct queue_load *load, unsigned n_wanted);
