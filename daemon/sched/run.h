/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/job_view.h"
#include "common/util/macro.h"
#include "daemon/sched/env.h"
#include "daemon/sched/fold.h"
#include "daemon/sched/job.h"
#include "daemon/sched/progress.h"
#include "daemon/sched/watch.h"

/*
 * One run of one job: lock, sweep what an earlier run left, prepare, convert, check, commit; or,
 * wherever it fails, stop what still works and clean up. Asynchronous from end to end.
 */
struct run;

struct run_callbacks {
	/* The number of this end, among all ends; asked for at most once a job. */
	uint64_t (*reserve_sequence)(void *userdata);
	/* run_n_slots() has become less. */
	void (*slots_freed)(void *userdata);
	/*
	 * The run is over, nothing of it is left on disk or alive; job->unsaved says whether its
	 * end is written down. result: how the job ended, now
	 * the receiver's; NULL: the run was stopped and the job goes on at the next start. The
	 * receiver frees the run, in here if it likes.
	 */
	void (*ended)(void *userdata, struct job *job, struct job_result *result);
	void *userdata;
};

/* Starts the job with n_slots slots at most. Fails only for lack of memory or descriptors. */
int run_new(struct sched_env *env, struct job *job, unsigned n_slots,
	    const struct run_callbacks *callbacks, struct run **ret_run) MUST_CHECK;

/*
 * Goes on with a job that was cut off while COMMITTING; record, which it takes over on success,
 * says how far it was. Waits as long as its outputs cannot be looked at; ends as failed if they are
 * lost (commit_recover()).
 */
int run_new_recovered(struct sched_env *env, struct job *job, struct commit_record *record,
		      const struct run_callbacks *callbacks, struct run **ret_run) MUST_CHECK;

/*
 * Writes down that the job has failed before it could start. The shared storage does it, since many
 * jobs may be cancelled at once.
 */
int run_new_refused(struct sched_env *env, struct job *job, const struct failure *failure,
		    const struct run_callbacks *callbacks, struct run **ret_run) MUST_CHECK;

/* Fails the run. 0; -EALREADY if it is too late: it is being published or has failed already. */
int run_fail(struct run *run, const struct failure *failure) MUST_CHECK;

/*
 * Ends the run without an end for the job, unless it was cancelled; a commit under way is left for
 * the next start.
 */
void run_stop(struct run *run);

struct run *run_free(struct run *run);

/* Worker slots that it holds. */
unsigned run_n_slots(const struct run *run);

/* What may be seen of a run; pointers are valid until the loop goes on. */
struct run_info {
	const char *phase;		/* as in struct job_view */
	struct fold_state sum;		/* accepted */
	struct progress progress;	/* live */
	const struct plan *plan;	/* NULL until prepared */
	const struct fold_state *lanes; /* of each pipe; NULL until prepared */
	struct watch_memory memory;
	uint32_t n_workers, n_workers_alive;
	struct worker_tally tally;
	int64_t ended_at_ns; /* the job has ended but for the tidying up; 0: not yet */
	const struct worker_view *workers; /* NULL, or n_workers entries */
};
struct run_info run_info(const struct run *run);

/* A copy of the first rejects that are accepted by now: an fd of whole lines, or -errno. */
int run_open_rejects(const struct run *run) MUST_CHECK;
