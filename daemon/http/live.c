/* SPDX-License-Identifier: MIT */
/*
 * One walk over the jobs for both /metrics and the status: the views are valid only while they are
 * handed out, so the sums are taken then and there. Names of running jobs are compared one by one:
 * there are no more of them than max_jobs, and the table has an end.
 */
#include "daemon/http/live.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/process.h"
#include "common/util/str.h"

const char *const live_worker_state_names[LIVE_N_WORKER_STATES] = {
	[LIVE_WORKER_STARTING] = "starting",
	[LIVE_WORKER_RUNNING] = "running",
	[LIVE_WORKER_EXITED] = "exited",
	[LIVE_WORKER_RESTARTING] = "restarting",
};

static void add_worker(struct live_view *live, const struct worker_view *worker)
{
	for (size_t i = 0; i < LIVE_N_WORKER_STATES; i++) {
		if (str_equal(worker->state, live_worker_state_names[i])) {
			live->workers[i]++;
		}
	}
	if (!worker->is_stats_valid) {
		live->n_invalid_stats++;
	} else if (worker->heartbeat_age_seconds > live->heartbeat_age_seconds) {
		live->heartbeat_age_seconds = worker->heartbeat_age_seconds;
	}
}

static void add_progress(struct live_view *live, const char *name, double ratio)
{
	struct live_progress *progress = &live->progress[live->n_progress];

	if (ratio < 0 || live->n_progress == NAME_TOTALS_MAX) {
		return;
	}
	snprintf(progress->name, sizeof(progress->name), "%s", name);
	for (size_t i = 0; i < live->n_progress; i++) {
		if (strcmp(live->progress[i].name, progress->name) == 0) {
			return;
		}
	}
	progress->ratio = ratio;
	live->n_progress++;
}

void live_add_job(struct live_view *live, const struct job_view *job)
{
	live->jobs[job->state]++;
	if (job->state == JOB_STATE_PENDING) {
		live->queue_age_seconds = MAX(live->queue_age_seconds, job->queue_seconds);
	}
	if (job->state != JOB_STATE_RUNNING) {
		return;
	}
	live->ram_bytes += job->ram_bytes;
	live->pss_bytes += job->pss_bytes;
	live->peak_ram_bytes += job->peak_ram_bytes;
	live->items_per_second += job->items_per_second;
	add_progress(live, job->name, job->progress);
	for (size_t i = 0; job->workers != NULL && i < job->n_workers; i++) {
		add_worker(live, &job->workers[i]);
	}
}

static bool on_job(void *userdata, const struct job_view *job)
{
	live_add_job(userdata, job);
	return true;
}

void live_collect(const struct http_backend *backend, struct live_view *ret_live)
{
	memset(ret_live, 0, sizeof(*ret_live));
	backend->for_each_job(backend->ctx, on_job, ret_live);
}

static double seconds_of_clock(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / (double)CLOCK_NS_PER_SEC;
}

static int64_t count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t n = 0;

	if (dir == NULL) {
		return 0;
	}
	while (readdir(dir) != NULL) {
		n++;
	}
	closedir(dir);
	return n - 3; /* ".", ".." and the directory's own */
}

/* Computed once: the difference of two clocks, read one after the other, jitters. */
static double process_start_seconds(void)
{
	static double start;
	uint64_t ticks;

	if (start == 0 && process_start_ticks(0, &ticks) == 0) {
		double age = seconds_of_clock(CLOCK_BOOTTIME) -
			     (double)ticks / (double)sysconf(_SC_CLK_TCK);

		start = seconds_of_clock(CLOCK_REALTIME) - age;
	}
	return start;
}

void live_process_read(struct live_process *ret_process)
{
	struct live_process process = {
		.cpu_seconds = seconds_of_clock(CLOCK_PROCESS_CPUTIME_ID),
		.start_time_seconds = process_start_seconds(),
		.n_open_fds = count_open_fds(),
	};
	struct rlimit limit;

	if (process_resident_bytes(0, &process.resident_bytes) < 0) {
		process.resident_bytes = 0;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		process.n_max_fds = (int64_t)MIN(limit.rlim_cur, (rlim_t)INT64_MAX);
	}
	*ret_process = process;
}
