/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/sched/batch.h"
#include "daemon/sched/commit.h"
#include "daemon/sched/input_check.h"
#include "daemon/sched/lanes.h"
#include "daemon/sched/outputs.h"
#include "daemon/sched/pool.h"
#include "daemon/sched/prepare.h"
#include "daemon/sched/progress.h"
#include "daemon/sched/run.h"

/* Shared by run.c, run_steps.c (up to the last row), run_end.c (from there on) and recover.c. */

enum run_phase {
	RUN_PHASE_LOCKING,
	RUN_PHASE_SWEEPING,
	RUN_PHASE_PREPARING,
	RUN_PHASE_CONVERTING,
	RUN_PHASE_CHECKING, /* inputs and account */
	RUN_PHASE_SETTLING, /* rejects that stay in the state are made durable */
	RUN_PHASE_COMMITTING,
	RUN_PHASE_CLOSING, /* what is left over is removed, a failure written down */
	RUN_PHASE_ENDED,
	RUN_N_PHASES
};

struct run {
	struct sched_env *env;
	struct job *job;
	struct run_callbacks callbacks;
	enum run_phase phase;
	unsigned n_slots; /* held now */
	bool is_stopping;
	bool is_committed;
	struct failure failure; /* the first one; reason OK: none */

	struct storage *storage; /* its own, for a slow disk here must delay no other job */
	bool is_storage_shared;	 /* or, for one that never started, the state's */
	int job_dir_fd, run_dir_fd, lock_fd, table_fd;
	int spare_fds[2];	   /* for the way out */
	struct loop_source *timer; /* lock retry, then ticks */
	struct loop_source *defer; /* leaves run_new() before anything ends */
	int64_t lock_deadline_ns;

	struct outputs outputs;
	int *output_fds; /* of `outputs`, for the pool */
	struct plan *plan;
	struct lanes lanes;
	struct chunk_table table;
	uint32_t n_workers;
	struct worker_tally tally;
	struct progress progress;
	bool is_finished; /* all rows are in, workers were told */

	struct prepare *prepare;
	struct pool *pool;
	struct watch *watch;
	struct input_check *input_check;
	struct batch *batch;   /* of the step under way */
	struct batch *saving;  /* the result of a job that failed; like closing: */
	struct batch *closing; /* made early: the way out must not fail for lack of memory */
	struct commit *commit;
	struct commit_output *commit_outputs;
	struct commit_options commit_options;
	struct commit_record *recovered;

	struct job_result *result;
	uint64_t finish_sequence; /* 0: none reserved */
};

/* Makes a run that can be closed and no more yet. shared: its storage; NULL: one of its own. */
int run_make(struct sched_env *env, struct job *job, struct storage *shared,
	     const struct run_callbacks *callbacks, struct run **ret_run) MUST_CHECK;

/* On the way out: the descriptors that are needed no more, or were kept for it. */
void run_give_fds(struct run *run);

/* A deferred call: the first step. */
void run_begin(void *userdata);

/* For run_make(): the failure is written down, or not. */
void run_saved(void *userdata, int status);

/* For run_make(): run_close() has ended. */
void run_closed(void *userdata, int status);

/* An earlier run of the job may have left its temporary files: run_close() is to remove them. */
void run_expect_temporaries(struct run *run);

/* All rows are in: checks, publishes, ends. */
void run_conclude(struct run *run);

/* Starts the commit of commit_outputs and result. Returns 0 or -errno. */
int run_publish(struct run *run) MUST_CHECK;

/* Nothing of the run works any more: removes what it leaves, writes the failure down, ends. */
void run_close(struct run *run);

/* Keeps the failure, if it is the first one, and unwinds the run from wherever it is. */
void run_abandon(struct run *run, const struct failure *failure);
