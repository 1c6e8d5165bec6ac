/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/model/job_view.h"
#include "common/util/macro.h"
#include "daemon/sched/pool.h"

/*
 * What the workers of a pool show of themselves: their stats files, read at each tick, and their
 * proportional memory, which costs far more to ask for, a few workers at a time. A report, not
 * the account: nothing here decides anything.
 */
struct watch;

/* tally and job_id are borrowed. run_dir_fd holds the stats files. */
int watch_new(struct worker_tally *tally, const char *job_id, int run_dir_fd, uint32_t n_slots,
	      struct watch **ret_watch) MUST_CHECK;
struct watch *watch_free(struct watch *watch);

/* Samples all slots now. */
void watch_tick(struct watch *watch, const struct pool *pool, int64_t now_ns);

/* Sums over the workers that live. */
struct watch_memory {
	int64_t ram_bytes, pss_bytes;
	int64_t peak_ram_bytes; /* the most that all slots have reported, over the whole run */
};
struct watch_memory watch_memory(const struct watch *watch);

/* n_slots entries as of the last tick, valid until the next. */
const struct worker_view *watch_views(const struct watch *watch);
