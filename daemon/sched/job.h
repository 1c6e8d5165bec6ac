/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/model/job_spec.h"
#include "common/model/job_state.h"
#include "common/util/macro.h"
#include "daemon/sched/failure.h"
#include "daemon/sched/fold.h"
#include "daemon/sched/job_store.h"
#include "daemon/sched/target.h"
#include "daemon/sched/worker_end.h"

struct resume;
struct run;

enum { JOB_ID_SIZE = 24 };

/* Whether a job that has ended has so on disk too. */
enum job_unsaved {
	JOB_SAVED,
	JOB_UNSAVED,		/* its result could not be written; tried again */
	JOB_LEFT_TO_NEXT_START, /* as COMMIT_UNSYNCED says */
};

/*
 * One job, from the moment it is known until it is forgotten. While it lives, spec and targets are
 * there; while it runs, `run` is; once it has ended, only `result` is left of it.
 */
struct job {
	char id[JOB_ID_SIZE];
	char *name;
	char *receipt; /* in the spool: ID.file_name */
	enum job_state state;
	int priority;
	int64_t submitted_at_ns, started_at_ns; /* realtime; 0: not yet */

	struct job_spec *spec;
	struct target_list targets;
	struct failure refusal; /* known before it could start; reason OK: none */
	bool is_rerun;		/* a run under this ID was cut off: it may have left files */
	bool is_receipt_moved;	/* an end was on its way to the disk before */
	struct resume *resume;	/* what the next run goes on from; NULL: from the input */
	/* The most that was ever accepted, field by field: counters show no less. */
	struct fold_state held;
	struct worker_tally tally; /* of the runs before */
	bool is_retry_wanted;	   /* by the run that has ended just now */
	bool is_live_lost;	   /* a failed sync: only a checkpoint is to be gone on from */
	unsigned n_attempts;	   /* in a row that came no further */
	int64_t retry_at_ns;	   /* monotonic; not started before */
	/* Reserved by a run, for whichever run ends the job: others wait for it. 0: none yet. */
	uint64_t finish_sequence;
	struct run *run;

	struct job_result *result;
	enum job_unsaved unsaved;
	size_t place;		   /* of its name in the counters' base, from 1; 0: none yet */
	bool is_folded;		   /* the result is part of the counters' base */
	struct job *next_unfolded; /* while it waits for that */
	bool is_forgotten;	   /* no longer shown; removed as soon as that loses nothing */
};

/* What a job is made of; all borrowed. */
struct job_source {
	const struct job_meta *meta;
	const char *text; /* the spec */
	size_t len;
	char *const *root_paths; /* the data roots */
	size_t n_roots;
};

/*
 * Makes a pending job of a spec's text. meta gives ID, file name and time. Returns 0; -EINVAL with
 * *ret_error (one line, malloc'ed) if the spec is invalid; -ENOMEM. A spec whose paths are denied
 * is a job with a refusal.
 */
int job_new(const struct job_source *source, struct job **ret_job, char **ret_error) MUST_CHECK;

/* A job that has ended, from its result, which the job takes over. */
int job_new_ended(struct job_result *result, struct job **ret_job) MUST_CHECK;

/* Nothing of its run may be left. */
struct job *job_free(struct job *job);
void job_freep(struct job **job);

/* Changes the state; the life cycle's table is asserted. */
void job_set_state(struct job *job, enum job_state state);

/* The job has ended with this result, which it takes over; what only a live job needs is freed. */
void job_end(struct job *job, struct job_result *result);

/*
 * A result with all that is known of the job before it runs, made early so that its end, for lack
 * of memory too, needs none. NULL: no memory.
 */
struct job_result *job_make_result(const struct job *job);

/* Fills in how the job ended, now. failure->reason OK: completed. */
void job_conclude(const struct job *job, struct job_result *result, const struct failure *failure,
		  uint64_t finish_sequence);

/* All jobs, sorted by ID, which is by age. */
struct job_list {
	struct job **items;
	size_t n_items, capacity;
};

int job_list_add(struct job_list *list, struct job *job) MUST_CHECK;
struct job *job_list_find(const struct job_list *list, const char *id);
void job_list_remove(struct job_list *list, const struct job *job);
