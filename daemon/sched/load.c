/* SPDX-License-Identifier: MIT */
/*
 * What a start makes of what the last daemon left. A job with a result has ended, one with a
 * commit record was being published, one whose receipt has moved on had ended, whatever became of
 * its result, every other one runs again from its input. Reading is done
 * before the loop runs; whatever has to be written or removed goes to the storage process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/sched/commit.h"
#include "daemon/sched/post.h"
#include "daemon/sched/resume.h"
#include "daemon/sched/scheduler_private.h"

#define ERROR_SUFFIX ".error.json"

/* --- one job ---------------------------------------------------------------------------------- */

/* Its end was written, but the daemon died before the receipt had moved. */
static void move_receipt(struct scheduler *scheduler, const struct stored_job *stored)
{
	const struct sched_env *env = &scheduler->env;
	bool is_done = stored->result->state == JOB_STATE_COMPLETED;

	post_rename(env->options.storage, env->active_dir_fd,
		    is_done ? env->done_dir_fd : env->failed_dir_fd, stored->receipt);
}

static int load_ended(struct scheduler *scheduler, struct stored_job *stored)
{
	CLEANUP(job_freep) struct job *job = NULL;

	if (stored->receipt != NULL) {
		move_receipt(scheduler, stored);
	}
	int r = job_new_ended(stored->result, &job);
	if (r < 0) {
		return r;
	}
	stored->result = NULL;
	r = job_list_add(&scheduler->jobs, job);
	if (r < 0) {
		return r;
	}
	TAKE_PTR(job);
	return 0;
}

/* Whoever asked the daemon before has seen all of it. A stop leaves no account of such a job. */
static void hold_result(struct job *job, const struct job_result *result)
{
	struct fold_state counted = {
		.rows = (uint64_t)result->total_processed,
		.success = (uint64_t)result->success_count,
		.error = (uint64_t)result->error_count,
		.filtered = (uint64_t)result->filtered,
		.input_bytes = (uint64_t)result->input_bytes,
		.out_end = (uint64_t)result->output_bytes,
	};

	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		counted.rejects[code] = (uint64_t)result->rejects[code];
	}
	fold_hold(&job->held, &counted);
	job->tally.restarts = result->n_worker_restarts;
	job->tally.stats_files_invalid = result->stats_files_invalid;
	memcpy(job->tally.exits, result->worker_exits, sizeof(job->tally.exits));
}

static int go_on_committing(struct scheduler *scheduler, struct job *job, struct stored_job *stored)
{
	struct run_callbacks callbacks = scheduler_callbacks(scheduler);

	log_job(LOG_LEVEL_NOTICE, job->id, -1,
		"was being published when the daemon ended; publishing the rest");
	job->started_at_ns = stored->commit->result->started_at_ns;
	hold_result(job, stored->commit->result);
	int r = run_new_recovered(&scheduler->env, job, stored->commit, &callbacks, &job->run);
	if (r < 0) {
		return r;
	}
	stored->commit = NULL;
	job_set_state(job, JOB_STATE_RUNNING);
	return 0;
}

/* What cannot be looked at now may be there all the same: the run waits until it can be. */
static int load_committing(struct scheduler *scheduler, struct job *owned,
			   struct stored_job *stored)
{
	CLEANUP(job_freep) struct job *job = owned;
	const struct scheduler_options *options = &scheduler->env.options;
	int found = commit_recover(stored->commit, options->root_fds, options->n_roots);
	bool is_lost = found == -ENOENT;

	if (found < 0 && !is_lost && options->is_once) {
		log_job(LOG_LEVEL_ERROR, job->id, -1,
			"was being published when the daemon ended, and its outputs cannot be "
			"looked at: %s; the job waits for a start that can",
			strerror(-found));
		return 0;
	}
	if (is_lost) {
		failure_set(&job->refusal, JOB_REASON_IO_ERROR,
			    "the daemon ended while the outputs were published, and they are not "
			    "there any more");
	}
	int r = job_list_add(&scheduler->jobs, job);
	if (r < 0) {
		return r;
	}
	struct job *listed = TAKE_PTR(job);
	return is_lost ? 0 : go_on_committing(scheduler, listed, stored);
}

/* A receipt moves after the end is on disk: a job whose receipt has moved on does not run again. */
static bool has_receipt_moved(const struct scheduler *scheduler, const struct stored_job *stored)
{
	const struct sched_env *env = &scheduler->env;
	CLEANUP(buf_deinit) struct buf name = BUF_INIT;
	struct stat st;

	buf_printf(&name, "%s.%s", stored->id, stored->meta->file_name);
	buf_add_char(&name, '\0');
	return stored->receipt == NULL && buf_error(&name) == 0 &&
	       (fstatat(env->done_dir_fd, name.data, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
		fstatat(env->failed_dir_fd, name.data, &st, AT_SYMLINK_NOFOLLOW) == 0);
}

static void refuse_ended(struct job *job)
{
	job->is_receipt_moved = true;
	failure_set(&job->refusal, JOB_REASON_IO_ERROR,
		    "the receipt says that the job has ended, but its result is lost");
}

/*
 * The daemon died between the claim of an invalid spec and its move to invalid/, or a newer one
 * takes specs no more that an older one took: the same is done about it as by the spool. The copy
 * goes at the next start, when the receipt is out of active/ for sure.
 */
static void refuse_spec(struct scheduler *scheduler, const struct stored_job *stored,
			const char *error)
{
	const struct sched_env *env = &scheduler->env;
	CLEANUP(fd_closep)
	int invalid_dir_fd = openat(env->options.spool_dir_fd, "invalid",
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	char name[NAME_MAX + 1], now[CLOCK_TEXT_SIZE];

	if (stored->receipt == NULL) {
		post_remove_tree(env->options.storage, env->options.jobs_dir_fd, stored->id);
		return;
	}
	snprintf(name, sizeof(name), "%.*s" ERROR_SUFFIX, (int)(NAME_MAX - strlen(ERROR_SUFFIX)),
		 stored->receipt);
	buf_printf(&text, "{\"id\":\"%s\",\"file\":", stored->id);
	buf_add_json_string(&text, stored->meta->file_name, strlen(stored->meta->file_name));
	buf_add_str(&text, ",\"error\":");
	buf_add_json_string(&text, error, strlen(error));
	buf_printf(&text, ",\"refused_at\":\"%s\"}\n", clock_format_utc(now, clock_realtime_ns()));
	if (invalid_dir_fd >= 0 && buf_error(&text) == 0) {
		post_write(env->options.storage, invalid_dir_fd, name, text.data, text.len);
		post_rename(env->options.storage, env->active_dir_fd, invalid_dir_fd,
			    stored->receipt);
	}
}

/* Counts from now on, though the job may have to wait for its turn. */
static int load_resume(struct scheduler *scheduler, struct job *job)
{
	int r = resume_load(&scheduler->env, job->id, false, &job->resume);

	if (r < 0 || job->resume == NULL) {
		return r;
	}
	const struct account *account = &job->resume->account;
	struct fold_state sum = fold_sum(account->lanes, account->n_lanes);

	job->held = account->held;
	fold_hold(&job->held, &sum);
	job->tally = account->tally;
	job->started_at_ns = account->started_at_ns;
	return 0;
}

static int load_unfinished(struct scheduler *scheduler, struct stored_job *stored)
{
	const struct scheduler_options *options = &scheduler->env.options;
	const struct job_source source = {.meta = stored->meta,
					  .text = stored->spec,
					  .len = stored->spec_len,
					  .root_paths = options->root_paths,
					  .n_roots = options->n_roots};
	CLEANUP(job_freep) struct job *job = NULL;
	CLEANUP(free_p) char *error = NULL;
	int r = job_new(&source, &job, &error);

	if (r == -EINVAL) {
		log_job(LOG_LEVEL_ERROR, stored->id, -1,
			"its spec is invalid, so it cannot run: %s", error);
		if (stored->commit == NULL) {
			refuse_spec(scheduler, stored, error);
		}
		return 0;
	}
	if (r < 0) {
		return r;
	}
	job->is_rerun = true;
	r = load_resume(scheduler, job);
	if (r < 0) {
		return r;
	}
	if (stored->commit != NULL) {
		return load_committing(scheduler, TAKE_PTR(job), stored);
	}
	if (has_receipt_moved(scheduler, stored)) {
		refuse_ended(job);
	}
	log_job(LOG_LEVEL_NOTICE, job->id, -1, "%s",
		job->is_receipt_moved ? "had ended, but its result is lost"
		: job->resume != NULL
			? "had not ended when the daemon did; it goes on"
			: "had not ended when the daemon did; it runs again from its input");
	r = scheduler_enqueue(scheduler, job);
	if (r == 0) {
		TAKE_PTR(job);
	}
	return r;
}

static int on_stored(void *userdata, struct stored_job *stored)
{
	struct scheduler *scheduler = userdata;
	char *last_id = history_last_id(scheduler->history);

	if (strcmp(stored->id, last_id) > 0) {
		snprintf(last_id, JOB_ID_SIZE, "%s", stored->id);
	}
	if (stored->result != NULL) {
		return load_ended(scheduler, stored);
	}
	if (stored->is_spec_unreadable) {
		log_job(LOG_LEVEL_ERROR, stored->id, -1,
			"its spec cannot be read; the job waits for a start that can");
		return 0;
	}
	if (stored->spec == NULL || stored->meta == NULL) {
		log_job(LOG_LEVEL_NOTICE, stored->id, -1,
			"was never fully claimed; removing what there is of it");
		post_remove_tree(scheduler->env.options.storage, scheduler->env.options.jobs_dir_fd,
				 stored->id);
		return 0;
	}
	return load_unfinished(scheduler, stored);
}

/* --- all -------------------------------------------------------------------------------------- */

static void fold_loaded(struct scheduler *scheduler)
{
	CLEANUP(free_p)
	struct job **ended = calloc(scheduler->jobs.n_items + 1, sizeof(struct job *));
	size_t n_ended = 0;

	if (ended == NULL) {
		return;
	}
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		if (scheduler->jobs.items[i]->result != NULL) {
			ended[n_ended++] = scheduler->jobs.items[i];
		}
	}
	history_load_results(scheduler->history, ended, n_ended);
}

/* Runtime directories of jobs that are over; those that run again clear their own. */
static int sweep_run_dir(struct scheduler *scheduler)
{
	int dir_fd = scheduler->env.options.run_jobs_dir_fd;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL) {
		int r = -errno;

		fd_close(fd);
		return r;
	}
	while ((entry = readdir(dir)) != NULL) {
		const struct job *job = job_list_find(&scheduler->jobs, entry->d_name);

		if (entry->d_name[0] != '.' && (job == NULL || job->result != NULL)) {
			post_remove_tree(scheduler->env.options.storage, dir_fd, entry->d_name);
		}
	}
	closedir(dir);
	return 0;
}

int scheduler_load(struct scheduler *scheduler)
{
	int r = history_load(scheduler->history);

	if (r < 0) {
		return r;
	}
	r = job_store_load(scheduler->env.options.jobs_dir_fd, scheduler->env.active_dir_fd,
			   on_stored, scheduler);
	if (r < 0) {
		return r;
	}
	fold_loaded(scheduler);
	r = sweep_run_dir(scheduler);
	retention_wake(scheduler);
	scheduler_kick(scheduler);
	return r;
}
