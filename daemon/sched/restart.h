/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * When a slot whose worker has died gets the next one. Pure.
 *
 * The first restart is at once. What follows is by cause, and counts deaths in a row:
 *
 *	fault	it crashed, left, or could not be started: 1 s, 2 s, 4 s, ... at most 30 s while
 *		this slot finishes no chunk. Three of them during which the whole job has come no
 *		further are the end: the next worker would die as well.
 *	kill	someone killed it: 10 ms, 20 ms, ... at most 1 s. As nobody does that to a job for
 *		ever, only three hundred during which the job has come no further are the end.
 *	charged	it died of the chunk that it was converting: at once, as the chunk's own count
 *		ends that.
 *
 * Delays are give or take a quarter.
 */
enum restart_cause {
	RESTART_CAUSE_FAULT,
	RESTART_CAUSE_KILL,
	RESTART_CAUSE_CHARGED,
	RESTART_N_CAUSES
};

struct restart {
	unsigned n_early[RESTART_N_CAUSES]; /* in a row, without a chunk done by this slot */
	unsigned n_stuck[RESTART_N_CAUSES]; /* in a row, without a chunk done by any slot */
	uint64_t n_done_at_death;
};

/*
 * The delay after failure number n_failures (from 1) in a row: first_ns, doubled each time, at most
 * longest_ns, give or take a quarter. jitter: any number.
 */
int64_t restart_backoff_ns(int64_t first_ns, int64_t longest_ns, unsigned n_failures,
			   uint64_t jitter);

/* A chunk that this slot has converted was taken over. */
void restart_note_progress(struct restart *restart);

/*
 * A worker of the slot has died. n_done: chunks taken over so far in the whole job. Returns the
 * delay, or -1: give up. jitter: any number.
 */
int64_t restart_delay_ns(struct restart *restart, enum restart_cause cause, uint64_t n_done,
			 uint64_t jitter);

/* How many deaths of this cause without a chunk done are the end; 0: it knows none. */
unsigned restart_max_stuck(enum restart_cause cause);
