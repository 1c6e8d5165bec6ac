/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/job_view.h"
#include "daemon/http/backend.h"

/* What all jobs and workers add up to at this moment; plain values, nothing borrowed. */

enum live_worker_state {
	LIVE_WORKER_STARTING,
	LIVE_WORKER_RUNNING,
	LIVE_WORKER_EXITED,
	LIVE_WORKER_RESTARTING,
	LIVE_N_WORKER_STATES,
};

extern const char *const live_worker_state_names[LIVE_N_WORKER_STATES];

struct live_progress {
	char name[65]; /* a job's; at most 64 bytes */
	double ratio;
};

struct live_view {
	int64_t jobs[JOB_N_STATES];
	int64_t workers[LIVE_N_WORKER_STATES];
	/* Of the running jobs. */
	int64_t ram_bytes, pss_bytes, peak_ram_bytes;
	int64_t n_invalid_stats; /* workers whose stats file is broken now */
	double items_per_second;
	double heartbeat_age_seconds; /* the greatest */
	double queue_age_seconds;     /* the longest wait of a pending job; 0: none waits */
	size_t n_progress;	      /* one for each name: the newest running job of it */
	struct live_progress progress[NAME_TOTALS_MAX];
};

void live_collect(const struct http_backend *backend, struct live_view *ret_live);

/* Adds one job; they come newest first. Zeros are the empty sum. */
void live_add_job(struct live_view *live, const struct job_view *job);

/* This process, read from the kernel; what cannot be read is 0. */
struct live_process {
	double cpu_seconds;
	double start_time_seconds; /* since 1970 */
	int64_t resident_bytes;
	int64_t n_open_fds, n_max_fds;
};

void live_process_read(struct live_process *ret_process);
