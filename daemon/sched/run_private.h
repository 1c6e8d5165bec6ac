/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/sched/account_pages.h"
#include "daemon/sched/batch.h"
#include "daemon/sched/checkpoint.h"
#include "daemon/sched/commit.h"
#include "daemon/sched/input_check.h"
#include "daemon/sched/lanes.h"
#include "daemon/sched/outputs.h"
#include "daemon/sched/pool.h"
#include "daemon/sched/prepare.h"
#include "daemon/sched/progress.h"
#include "daemon/sched/run.h"
#include "daemon/sched/stall.h"

/*
 * Shared by run.c, run_steps.c (up to the last row), run_resume.c (the same, for a job that goes
 * on), run_account.c (what it will go on from), run_limits.c (what a run may take), run_end.c (from
 * the last row on) and recover.c.
 */

#define RUN_TABLE_NAME "chunks" /* in the runtime directory */

enum run_phase {
	RUN_PHASE_LOCKING,
	RUN_PHASE_SWEEPING,
	RUN_PHASE_PREPARING,
	RUN_PHASE_RESUMING,
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
	bool is_retryable;    /* it was started to do the job's work */
	bool is_resumed;      /* from job->resume */
	bool is_started_over; /* what an earlier run has left is gone */
	bool is_retry;	      /* the failure is one that may pass: the job is tried again */
	bool is_sync_lost;    /* what was written since the last checkpoint is not to be trusted */
	struct failure failure; /* the first one; reason OK: none */

	struct storage *storage; /* its own, for a slow disk here must delay no other job */
	bool is_storage_shared;	 /* or, for one that never started, the state's */
	int job_dir_fd, run_dir_fd, lock_fd, table_fd;
	int spare_fds[2];	   /* for the way out */
	struct loop_source *timer; /* lock retry, then ticks, then the last checkpoint's deadline */
	struct loop_source *defer; /* leaves run_new() before anything ends */
	struct loop_source *wall;  /* limits.wall; NULL: none, or it has passed */
	int64_t lock_deadline_ns;

	struct outputs outputs;
	int *output_fds; /* of `outputs`, for the pool */
	struct plan *plan;
	struct lanes lanes;
	struct chunk_table table;
	struct account_pages account; /* open: the job can be gone on with */
	uint64_t account_sequence;
	uint64_t *inodes;	      /* of `outputs`, for the account */
	uint64_t saved_plan_checksum; /* of the plan in the state directory */
	uint64_t n_taken;	      /* chunks that the checkpoint under way has */
	uint64_t n_checkpointed;      /* chunks that the last one on disk has */
	struct checkpoint *checkpoint;
	uint32_t n_workers;
	struct worker_tally tally;
	struct progress progress;
	bool is_finished; /* all rows are in, workers were told */

	struct prepare *prepare;
	struct pool *pool;
	struct watch *watch;
	struct stall stall;
	struct input_check *input_check;
	struct batch *batch;   /* of the step under way */
	struct batch *saving;  /* the result of a job that failed; like closing: */
	struct batch *closing; /* made early: the way out must not fail for lack of memory */
	struct commit *commit;
	struct commit_output *commit_outputs;
	struct commit_options commit_options;
	struct commit_record *recovered;
	int look_error; /* why the outputs of `recovered` could not be looked at, the last time */

	struct job_result *result;
};

/* Makes a run that can be closed and no more yet. shared: its storage; NULL: one of its own. */
int run_make(struct sched_env *env, struct job *job, struct storage *shared,
	     const struct run_callbacks *callbacks, struct run **ret_run) MUST_CHECK;

/* Closes the outputs, and forgets what a commit would make of them. */
void run_drop_outputs(struct run *run);

/* Gives the job its place among those that ended, unless an attempt before has come so far. */
void run_reserve_sequence(struct run *run);

/* On the way out: the descriptors that are needed no more, or were kept for it. */
void run_give_fds(struct run *run);
void run_give_spare_fds(struct run *run);

/* A deferred call: the first step. */
void run_begin(void *userdata);

/* For run_make(): the failure is written down, or not. */
void run_saved(void *userdata, int status);

/* For run_make(): run_close() has ended. */
void run_closed(void *userdata, int status);

/* An earlier run of the job may have left its temporary files: run_close() is to remove them. */
void run_expect_temporaries(struct run *run);

/* --- run_steps.c */

/* Whatever an earlier run has left is removed, then the inputs are prepared. */
void run_start_over(struct run *run);

/*
 * Outputs, plan and lanes are there: makes table and account, starts the workers. old_table: what
 * an earlier run has left, NULL: nothing that counts.
 */
void run_convert(struct run *run, const struct chunk_table *old_table);

int run_make_run_dir(struct run *run) MUST_CHECK;

/* --- run_resume.c: true if the run goes on from what job->resume says, false if it can't. */
bool run_resume(struct run *run);

/* --- run_account.c */

/* Begins to keep the account, from what is accepted by now. */
int run_account_start(struct run *run) MUST_CHECK;
void run_account_save(struct run *run);
int run_checkpoint_start(struct run *run) MUST_CHECK;

/*
 * An output could not be synced: no later sync of it would say so. What a checkpoint has proved is
 * gone on from, nothing else, even if the daemon is killed now.
 */
void run_lose_sync(struct run *run);

/* The records of checkpoints and the plan beside them are of no more use. */
void run_unlink_records(struct run *run, struct batch *batch);

/* No worker is left: keeps what the next run goes on from, and ends. */
void run_suspend(struct run *run);

/* What is accepted, as far as it is known already. */
struct fold_state run_accepted(const struct run *run);
/* --- run_limits.c */

/* limits.wall counts from here. */
int run_limits_begin(struct run *run) MUST_CHECK;

/* Before the pool: its workers will be looked at, */
int run_limits_watch(struct run *run) MUST_CHECK;

/* which this does, in each tick: those that break a limit are killed. May fail the run. */
void run_limits_look(struct run *run, int64_t now_ns);

/* All rows are in: checks, publishes, ends. */
void run_conclude(struct run *run);

/* Starts the commit of commit_outputs and result. Returns 0 or -errno. */
int run_publish(struct run *run) MUST_CHECK;

/* Nothing of the run works any more: removes what it leaves, writes the failure down, ends. */
void run_close(struct run *run);

/* Keeps the failure, if it is the first one, and unwinds the run from wherever it is. */
void run_abandon(struct run *run, const struct failure *failure);

/*
 * The same for -errno of what the run tried ("cannot ..."): reason, unless the error names another
 * (failure_reason_of). Whether a later attempt may help goes by the error.
 */
void run_fail_step(struct run *run, enum job_reason reason, const char *what, int error);
