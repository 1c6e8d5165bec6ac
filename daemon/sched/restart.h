/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * When a slot whose worker has died gets the next one. Pure.
 *
 * The first restart is at once. A worker that dies again before it has finished a chunk waits
 * 1 s, 2 s, 4 s, ... at most 30 s, give or take a quarter. Three such deaths in a row during which
 * the whole job has come no further are the end: the next worker would die as well.
 */
#define RESTART_MAX_STUCK_DEATHS 3

struct restart {
	unsigned n_early_deaths; /* in a row, without a chunk done by this slot */
	unsigned n_stuck_deaths; /* in a row, without a chunk done by any slot */
	uint64_t n_done_at_death;
};

/*
 * The delay after failure number n_failures (from 1) in a row: base_ns, doubled each time, at most
 * 30 s (or base_ns), give or take a quarter. jitter: any number.
 */
int64_t restart_backoff_ns(int64_t base_ns, unsigned n_failures, uint64_t jitter);

/* A chunk that this slot has converted was taken over. */
void restart_note_progress(struct restart *restart);

/* It dies while it waits for another's chunk: whatever that is, it is not what stops the job. */
void restart_note_innocent(struct restart *restart);

/*
 * A worker of the slot has died. n_done: chunks taken over so far in the whole job. Returns the
 * delay, or -1: give up. jitter: any number.
 */
int64_t restart_delay_ns(struct restart *restart, uint64_t n_done, uint64_t jitter);
