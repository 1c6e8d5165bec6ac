/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the daemon asks for. Starting jobs is start.c's, ended ones are retention.c's,
 * what a start finds is load.c's.
 *
 * Two live jobs must not have one target. The later one is refused when it comes in, whether or
 * not the earlier one runs yet, so what happens does not depend on how busy the daemon is.
 */
#include "daemon/sched/scheduler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/model/job_id.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/core/child.h"
#include "daemon/sched/batch.h"
#include "daemon/sched/outputs.h"
#include "daemon/sched/post.h"
#include "daemon/sched/scheduler_private.h"
#include "daemon/sched/view.h"

void scheduler_notify(struct scheduler *scheduler, const char *id)
{
	if (scheduler->env.options.changed != NULL) {
		scheduler->env.options.changed(scheduler->env.options.userdata, id);
	}
}

/* --- jobs come in ----------------------------------------------------------------------------- */

static void refuse_conflict(const struct scheduler *scheduler, struct job *job)
{
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		const struct job *other = scheduler->jobs.items[i];

		if (other->result != NULL || job->refusal.reason != JOB_REASON_OK) {
			continue;
		}
		const struct target *target = target_list_conflict(&other->targets, &job->targets);
		if (target != NULL) {
			failure_set(&job->refusal, JOB_REASON_OUTPUT_UNWRITABLE,
				    "%s: job %s, which has not ended, writes this file",
				    target->absolute, other->id);
		}
	}
}

int scheduler_enqueue(struct scheduler *scheduler, struct job *job)
{
	refuse_conflict(scheduler, job);
	int r = job_list_add(&scheduler->jobs, job);
	if (r < 0) {
		return r;
	}
	scheduler_kick(scheduler);
	return 0;
}

/* Who wants the file is only the next start, which can do without (the receipt says as much). */
static void save_meta(struct scheduler *scheduler, const struct job_meta *meta)
{
	const struct scheduler_options *options = &scheduler->env.options;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(fd_closep)
	int dir_fd = openat(options->jobs_dir_fd, meta->id,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	job_meta_render(meta, &text);
	if (dir_fd >= 0 && buf_error(&text) == 0) {
		post_write(options->storage, dir_fd, "meta.json", text.data, text.len);
	}
}

static int make_meta(const struct scheduler_job *job, struct job_meta **ret_meta)
{
	struct job_meta *meta = calloc(1, sizeof(*meta));

	if (meta == NULL) {
		return -ENOMEM;
	}
	meta->id = strdup(job->id);
	meta->file_name = strdup(job->file_name);
	meta->uid = job->uid;
	meta->submitted_at_ns = clock_realtime_ns();
	if (meta->id == NULL || meta->file_name == NULL) {
		job_meta_free(meta);
		return -ENOMEM;
	}
	*ret_meta = meta;
	return 0;
}

static int add_job(struct scheduler *scheduler, const struct job_meta *meta,
		   const struct scheduler_job *submitted, char **ret_error)
{
	const struct scheduler_options *options = &scheduler->env.options;
	const struct job_source source = {.meta = meta,
					  .text = submitted->text,
					  .len = submitted->len,
					  .root_paths = options->root_paths,
					  .n_roots = options->n_roots};
	CLEANUP(job_freep) struct job *job = NULL;
	int r = job_new(&source, &job, ret_error);

	if (r == 0) {
		r = scheduler_enqueue(scheduler, job);
	}
	if (r < 0) {
		return r;
	}
	log_job(LOG_LEVEL_INFO, job->id, -1, "%s: queued, priority %d", job->name, job->priority);
	TAKE_PTR(job);
	return 0;
}

int scheduler_add(struct scheduler *scheduler, const struct scheduler_job *job, char **ret_error)
{
	struct job_meta *meta = NULL;
	int r = make_meta(job, &meta);

	if (r < 0) {
		return r;
	}
	r = add_job(scheduler, meta, job, ret_error);
	if (r == 0) {
		save_meta(scheduler, meta);
		scheduler_notify(scheduler, job->id);
	}
	job_meta_free(meta);
	return r;
}

void scheduler_next_id(struct scheduler *scheduler, char ret_id[24])
{
	char *last_id = history_last_id(scheduler->history);

	job_id_next(last_id, clock_realtime_ns());
	memcpy(ret_id, last_id, JOB_ID_SIZE);
}

/* --- what people ask for ---------------------------------------------------------------------- */

static struct job *find_shown(const struct scheduler *scheduler, const char *id)
{
	struct job *job = job_list_find(&scheduler->jobs, id);

	return job != NULL && !job->is_forgotten ? job : NULL;
}

int scheduler_cancel(struct scheduler *scheduler, const char *id)
{
	struct job *job = find_shown(scheduler, id);
	struct failure failure;

	if (job == NULL) {
		return -ENOENT;
	}
	if (job->result != NULL) {
		return -EALREADY;
	}
	failure_set(&failure, JOB_REASON_CANCELLED, "cancelled %s",
		    job->state == JOB_STATE_PENDING ? "before it started" : "while it ran");
	if (job->run != NULL) {
		return run_fail(job->run, &failure);
	}
	if (job->refusal.reason == JOB_REASON_OK) {
		job->refusal = failure;
	}
	job->retry_at_ns = 0;
	scheduler_kick(scheduler);
	return 0;
}

int scheduler_forget(struct scheduler *scheduler, const char *id)
{
	struct job *job = find_shown(scheduler, id);

	if (job == NULL) {
		return -ENOENT;
	}
	if (job->result == NULL) {
		return -EBUSY;
	}
	job->is_forgotten = true;
	retention_wake(scheduler);
	scheduler_notify(scheduler, id);
	return 0;
}

void scheduler_for_each_job(struct scheduler *scheduler, scheduler_job_fn fn, void *userdata)
{
	struct view_room room;
	struct job_view view;

	for (size_t i = scheduler->jobs.n_items; i-- > 0;) {
		const struct job *job = scheduler->jobs.items[i];

		if (job->is_forgotten) {
			continue;
		}
		view_of_job(job, &room, &view);
		if (!fn(userdata, &view)) {
			return;
		}
	}
}

bool scheduler_with_job(struct scheduler *scheduler, const char *id, scheduler_job_fn fn,
			void *userdata)
{
	const struct job *job = find_shown(scheduler, id);
	struct view_room room;
	struct job_view view;

	if (job == NULL) {
		return false;
	}
	view_of_job(job, &room, &view);
	fn(userdata, &view);
	return true;
}

const struct totals_view *scheduler_totals(struct scheduler *scheduler)
{
	static const struct totals_view none;
	const struct totals_view *totals = history_totals(scheduler->history, &scheduler->jobs);

	return totals != NULL ? totals : &none;
}

/* The first file of rejects that is not empty. */
static int open_kept_rejects(int job_dir_fd, size_t n_pipes)
{
	char name[OUTPUTS_NAME_SIZE];
	struct stat st;

	for (size_t pipe = 0; pipe < n_pipes; pipe++) {
		outputs_rejects_name(pipe, name);
		if (fstatat(job_dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0) {
			int fd = openat(job_dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

			return fd < 0 ? -errno : fd;
		}
	}
	return fd_memfd("rejects", "", 0);
}

int scheduler_open_rejects(struct scheduler *scheduler, const char *id)
{
	const struct job *job = find_shown(scheduler, id);

	if (job == NULL) {
		return -ENOENT;
	}
	if (job->result == NULL) {
		return job->run != NULL ? run_open_rejects(job->run) : fd_memfd("rejects", "", 0);
	}
	CLEANUP(fd_closep)
	int job_dir_fd = openat(scheduler->env.options.jobs_dir_fd, id,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (job_dir_fd < 0) {
		return -errno;
	}
	return open_kept_rejects(job_dir_fd, job->result->n_pipes);
}

bool scheduler_is_idle(const struct scheduler *scheduler)
{
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		if (scheduler->jobs.items[i]->result == NULL) {
			return false;
		}
	}
	return true;
}

struct scheduler_summary scheduler_summary(struct scheduler *scheduler)
{
	const struct totals_view *totals = scheduler_totals(scheduler);
	struct scheduler_summary summary = {0};

	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		const struct job *job = scheduler->jobs.items[i];

		summary.n_running += job->state == JOB_STATE_RUNNING;
		summary.n_pending += job->state == JOB_STATE_PENDING;
		if (job->run != NULL) {
			summary.rows_per_second += run_info(job->run).progress.rows_per_second;
		}
	}
	for (size_t i = 0; i < totals->n_names; i++) {
		summary.n_completed += totals->names[i].jobs_completed;
		summary.n_failed += totals->names[i].jobs_failed;
	}
	return summary;
}

void scheduler_reconfigure(struct scheduler *scheduler, const struct scheduler_options *options)
{
	struct scheduler_options *kept = &scheduler->env.options;

	kept->max_jobs = options->max_jobs;
	kept->max_workers = options->max_workers;
	kept->poll_interval_ns = options->poll_interval_ns;
	kept->checkpoint_interval_ns = options->checkpoint_interval_ns;
	kept->retention_ns = options->retention_ns;
	kept->chunk_size_bytes = options->chunk_size_bytes;
	scheduler_kick(scheduler);
	retention_wake(scheduler);
	scheduler_notify(scheduler, NULL);
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_area(int spool_dir_fd, const char *name, int *ret_fd)
{
	if (mkdirat(spool_dir_fd, name, 0770) < 0 && errno != EEXIST) {
		return -errno;
	}
	*ret_fd = openat(spool_dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? -errno : 0;
}

static int open_areas(struct sched_env *env)
{
	int r = open_area(env->options.spool_dir_fd, "active", &env->active_dir_fd);

	if (r == 0) {
		r = open_area(env->options.spool_dir_fd, "done", &env->done_dir_fd);
	}
	if (r == 0) {
		r = open_area(env->options.spool_dir_fd, "failed", &env->failed_dir_fd);
	}
	return r;
}

/* Without it no run counts as one of this boot: jobs go on from their checkpoints. */
static void read_boot_id(struct sched_env *env)
{
	CLEANUP(fd_closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, env->boot_id, sizeof(env->boot_id) - 1);

	if (n <= 0) {
		log_warning("cannot read the boot id: %s", strerror(errno));
		return;
	}
	env->boot_id[strcspn(env->boot_id, "\n")] = '\0';
}

static void read_build_id(struct sched_env *env)
{
	int r = child_program_id(env->options.program_fd, &env->build_id);

	if (r < 0) {
		log_warning("cannot read the worker's program: %s", strerror(-r));
	}
}

static int init(struct scheduler *scheduler)
{
	long n_processors = sysconf(_SC_NPROCESSORS_ONLN);
	int r = open_areas(&scheduler->env);

	read_boot_id(&scheduler->env);
	read_build_id(&scheduler->env);
	scheduler->online_processors = n_processors > 0 ? (unsigned)n_processors : 1;
	if (r == 0) {
		r = history_new(&scheduler->env, &scheduler->history);
	}
	if (r == 0) {
		r = loop_add_timer(scheduler->env.loop, scheduler_on_retry, scheduler,
				   &scheduler->retry);
	}
	return r < 0 ? r : retention_init(scheduler);
}

int scheduler_new(struct loop *loop, const struct scheduler_options *options,
		  struct scheduler **ret_scheduler)
{
	struct scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (scheduler == NULL) {
		return -ENOMEM;
	}
	scheduler->env = (struct sched_env){
		.loop = loop,
		.options = *options,
		.active_dir_fd = -1,
		.done_dir_fd = -1,
		.failed_dir_fd = -1,
	};
	scheduler->saving_dir_fd = -1;
	oom_init(&scheduler->env.oom);
	int r = init(scheduler);
	if (r < 0) {
		scheduler_free(scheduler);
		return r;
	}
	*ret_scheduler = scheduler;
	return 0;
}

void scheduler_stop(struct scheduler *scheduler, void (*fn)(void *userdata), void *userdata)
{
	scheduler->is_stopping = true;
	scheduler->stop_fn = fn;
	scheduler->stop_userdata = userdata;
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		if (scheduler->jobs.items[i]->run != NULL) {
			run_stop(scheduler->jobs.items[i]->run);
		}
	}
	scheduler_check_stopped(scheduler);
}

struct scheduler *scheduler_free(struct scheduler *scheduler)
{
	if (scheduler == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < scheduler->jobs.n_items; i++) {
		run_free(scheduler->jobs.items[i]->run);
		job_free(scheduler->jobs.items[i]);
	}
	free(scheduler->jobs.items);
	history_free(scheduler->history);
	batch_free(scheduler->saving);
	fd_close(scheduler->saving_dir_fd);
	loop_source_free(scheduler->kick);
	loop_source_free(scheduler->retry);
	loop_source_free(scheduler->housekeeping);
	loop_source_free(scheduler->stopped);
	fd_close(scheduler->env.active_dir_fd);
	fd_close(scheduler->env.done_dir_fd);
	fd_close(scheduler->env.failed_dir_fd);
	oom_deinit(&scheduler->env.oom);
	free(scheduler);
	return NULL;
}
