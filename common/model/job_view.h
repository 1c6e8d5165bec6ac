/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "common/model/reject.h"
#include "common/model/worker_cause.h"

/*
 * What others may see of a job: plain values, valid only during the call that hands them out.
 * http/ renders it; it never reads the scheduler's own structures. Counters named like the stats
 * file's carry its meaning; times are realtime ns since 1970, 0 = not yet.
 */

struct worker_view {
	uint32_t slot;
	int32_t pid;	     /* 0: none now */
	uint64_t generation; /* restarts of this slot */
	const char *state;   /* "starting", "running", "exited", "restarting" */
	bool is_stats_valid; /* false: the stats file is broken, numbers below are 0 */
	int64_t total_processed, success_count, error_count, filtered;
	int64_t ram_bytes, pss_bytes, peak_ram_bytes;
	int64_t bytes_read, bytes_written;
	int64_t chunks_done, current_chunk;
	int64_t phase; /* enum worker_phase */
	double heartbeat_age_seconds;
};

struct pipe_view {
	const char *input; /* as the spec has them */
	const char *output;
	const char *errors; /* NULL: kept in the job's state */
	int64_t total_processed, success_count, error_count, filtered;
	int64_t bytes_total, bytes_done; /* input, -1 while not known */
};

struct job_view {
	const char *id;
	const char *name;
	enum job_state state;
	enum job_reason reason; /* meaningful once final */
	const char *message;	/* "" or one sentence for people */
	/* "queued", "preparing", "converting", "committing", "closing", "finished", "waiting" for
	 * another attempt */
	const char *phase;
	int priority;
	bool verified; /* its rows add up by accept records */
	/* Accepted rows only: exact, never go back. */
	int64_t accepted_processed, accepted_success, accepted_error, accepted_filtered;
	int64_t rejects[REJECT_N_CODES];
	/* Live: accepted plus confirmed rows in flight, a held maximum. */
	int64_t total_processed, success_count, error_count, filtered;
	int64_t input_bytes_total, input_bytes_done, output_bytes;
	int64_t ram_bytes, pss_bytes, peak_ram_bytes;
	double items_per_second;
	double progress;	 /* 0..1; -1 = not known yet */
	double eta_seconds;	 /* -1 = not known */
	double duration_seconds; /* of the run so far, or in all */
	double queue_seconds;
	int64_t submitted_at_ns, started_at_ns, finished_at_ns;
	uint32_t n_workers; /* planned slots */
	uint32_t n_workers_alive;
	uint32_t n_worker_restarts;
	int64_t worker_exits[WORKER_N_CAUSES];
	size_t n_pipes;
	const struct pipe_view *pipes;
	const struct worker_view *workers; /* n_workers entries; NULL unless running */
};

/*
 * Sums over all jobs of one name (the metrics' label `pipe`), from accepted rows only: they never
 * go back, over deaths, restarts and retention.
 */
struct name_totals_view {
	const char *name; /* a job's; "_other": all beyond the first NAME_TOTALS_MAX - 1 */
	int64_t rows_processed, rows_success, rows_error, rows_filtered;
	int64_t input_bytes, output_bytes;
	int64_t rejects[REJECT_N_CODES];
	int64_t jobs_completed, jobs_failed, jobs_aborted;
	double last_success_timestamp_seconds; /* 0: never */
	double last_failure_timestamp_seconds; /* 0: never */
	int64_t last_rows_processed;	       /* of the last job that ended */
	double last_duration_seconds;
	double last_queue_seconds;
};

#define NAME_TOTALS_MAX 200

struct totals_view {
	size_t n_names;
	const struct name_totals_view *names;
	int64_t worker_exits[WORKER_N_CAUSES];
	int64_t worker_restarts;
	int64_t stats_files_invalid;
	/* Histogram of finished jobs' durations: counts per bound (not cumulative), +Inf last. */
	int64_t duration_counts[13];
	double duration_sum;
};

#define JOB_DURATION_BOUNDS                                                                        \
	{                                                                                          \
		0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 10800, 43200, 86400                        \
	}
#define JOB_DURATION_N_BOUNDS 12

/* Where the daemon's files are and how full they are; sampled outside of a scrape. */
struct area_view {
	const char
		*name; /* "incoming", "active", "done", "failed", "invalid" or a directory's key */
	int64_t n_files;     /* -1: not a spool area */
	int64_t avail_bytes; /* for us, without what is kept for root; -1: not asked */
	int64_t size_bytes;  /* of the file system; -1: not asked */
};
