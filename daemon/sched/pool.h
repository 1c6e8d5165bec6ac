/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/chunk_table.h"
#include "common/model/plan.h"
#include "common/util/macro.h"
#include "daemon/sched/env.h"
#include "daemon/sched/failure.h"
#include "daemon/sched/worker_end.h"

/*
 * The workers of one job, a slot each: started, awaited, started again after a death, until there
 * is nothing left to claim or the pool is stopped. Whichever way it ends, its last worker has been
 * reaped when `ended` is called.
 */
struct pool;

struct pool_options {
	struct sched_env *env;
	const char *job_id;
	const char *job_name;
	const struct plan *plan;
	uint32_t n_slots;
	uint32_t attempts; /* workers that a chunk may cost, and then a row of it; at least 1 */
	struct chunk_table *table;
	const uint64_t *folded; /* chunks taken over, one number for each lane, kept current */
	int job_dir_fd;		/* holds spec.json */
	int run_dir_fd;		/* holds plan.json; stats files come here */
	int table_fd, lock_fd;
	const int *output_fds; /* two for each pipe */
	size_t n_output_fds;
	struct worker_tally *tally;  /* counts go here */
	uint64_t memory_limit_bytes; /* of each worker; 0: none */

	/* A worker is gone: take over what it has written, before its death is judged. */
	void (*reaped)(void *userdata);
	/*
	 * The last worker is gone. reason OK: nothing was left to claim. Called once, from the
	 * loop; the pool may be freed in here.
	 */
	void (*ended)(void *userdata, const struct failure *failure);
	void *userdata;
};

enum pool_slot_state {
	POOL_SLOT_RUNNING,
	POOL_SLOT_RESTARTING, /* waits for its turn to start, or for its backoff */
	POOL_SLOT_EXITED,
};

struct pool_slot_info {
	enum pool_slot_state state;
	pid_t pid; /* 0: none */
	uint32_t generation;
	bool was_started; /* there has been a worker, or an attempt at one */
};

/* Starts all slots (at least one): the first now, the others from the loop, one in each turn.
 * options are copied, what they point to is borrowed. */
int pool_new(const struct pool_options *options, struct pool **ret_pool) MUST_CHECK;

/*
 * Stops the pool: workers are told, and killed after grace_ns. failure (copied) is what `ended`
 * gets, unless the pool was failing already.
 */
void pool_stop(struct pool *pool, const struct failure *failure, int64_t grace_ns);

/* All rows are in: workers find nothing more to do. Whoever stays nevertheless is killed. */
void pool_finish(struct pool *pool);

/*
 * Kills the slot's worker, if it has one and was not killed before. cause and what are counted and
 * told as its end (struct worker_end), once it has been reaped.
 */
void pool_kill(struct pool *pool, uint32_t slot, enum worker_cause cause, const char *what);

/* A chunk that this slot has converted was taken over. */
void pool_note_progress(struct pool *pool, uint32_t slot);

struct pool_slot_info pool_slot(const struct pool *pool, uint32_t slot);
uint32_t pool_n_alive(const struct pool *pool);

/* "worker-3.stats" */
enum { POOL_STATS_NAME_SIZE = 32 };
void pool_stats_name(uint32_t slot, char ret_name[static POOL_STATS_NAME_SIZE]);

/* `ended` must have been called. */
struct pool *pool_free(struct pool *pool);
