/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_spec.h"
#include "common/model/job_view.h"
#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"

/*
 * All jobs of this daemon: the queue (priority, then age), the slots that running jobs share
 * (max_jobs, max_workers), their runs, and what is kept of the finished ones.
 */
struct scheduler;

struct scheduler_options {
	int program_fd;	     /* zooparallel-worker */
	const int *root_fds; /* data roots, O_PATH directories; paths in root_paths */
	char *const *root_paths;
	size_t n_roots;
	int jobs_dir_fd; /* <state_dir>/jobs */
	int state_dir_fd;
	int run_jobs_dir_fd; /* <run_dir>/jobs */
	int spool_dir_fd;
	unsigned max_jobs, max_workers;
	uint64_t chunk_size_bytes;
	int64_t poll_interval_ns, checkpoint_interval_ns;
	int64_t retention_ns;
	bool is_once;		 /* there is no next start: a stop leaves no temporary files */
	struct storage *storage; /* of the state directory, shared with the spool */
	/* A job changed its state, or all numbers may have (id NULL). */
	void (*changed)(void *userdata, const char *id);
	void *userdata;
};

int scheduler_new(struct loop *loop, const struct scheduler_options *options,
		  struct scheduler **ret_scheduler) MUST_CHECK;

/* Loads jobs and counters from the state directory; unfinished jobs are queued or finished. */
int scheduler_load(struct scheduler *scheduler) MUST_CHECK;

/*
 * Stops giving out chunks, kills every pool, keeps unfinished jobs for the next start; calls
 * fn when the last process is gone. Blocks on nothing.
 */
void scheduler_stop(struct scheduler *scheduler, void (*fn)(void *userdata), void *userdata);
struct scheduler *scheduler_free(struct scheduler *scheduler);

void scheduler_next_id(struct scheduler *scheduler, char ret_id[24]);

struct scheduler_job {
	const char *id;
	const char *file_name; /* receipt is ID.file_name */
	const char *text;      /* jobs/ID/spec.json holds the same */
	size_t len;
	uid_t uid;
};

/* Takes a job whose spec is pinned already. -EINVAL: *ret_error says why (malloc'ed, one line). */
int scheduler_add(struct scheduler *scheduler, const struct scheduler_job *job,
		  char **ret_error) MUST_CHECK;

/* 0; -ENOENT; -EALREADY if it has ended. */
int scheduler_cancel(struct scheduler *scheduler, const char *id) MUST_CHECK;
/* Removes a finished job and its files: 0; -ENOENT; -EBUSY if it has not ended. */
int scheduler_forget(struct scheduler *scheduler, const char *id) MUST_CHECK;

typedef bool (*scheduler_job_fn)(void *userdata, const struct job_view *job);
void scheduler_for_each_job(struct scheduler *scheduler, scheduler_job_fn fn, void *userdata);
bool scheduler_with_job(struct scheduler *scheduler, const char *id, scheduler_job_fn fn,
			void *userdata);
const struct totals_view *scheduler_totals(struct scheduler *scheduler);
int scheduler_open_rejects(struct scheduler *scheduler, const char *id); /* fd or -errno */

/* No job is pending or running (for --once). */
bool scheduler_is_idle(const struct scheduler *scheduler);

struct scheduler_summary {
	unsigned n_running, n_pending;
	int64_t n_completed, n_failed; /* ever, as the counters of finished jobs have them */
	double rows_per_second;
};

/* For STATUS= lines. */
struct scheduler_summary scheduler_summary(struct scheduler *scheduler);

/* After a reload: max_jobs, max_workers, both intervals, retention_ns, chunk_size of new jobs. */
void scheduler_reconfigure(struct scheduler *scheduler, const struct scheduler_options *options);
