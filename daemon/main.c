/* SPDX-License-Identifier: MIT */

/*
 * zooparalleld: reads the configuration, opens what it names, wires the rooms together and runs
 * the loop. This is the only file that sees the whole supervisor; whatever decides something lives
 * in a room.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_config.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "common/util/process.h"
#include "common/util/str.h"
#include "daemon/core/arguments.h"
#include "daemon/core/child.h"
#include "daemon/core/config.h"
#include "daemon/core/directories.h"
#include "daemon/core/journal.h"
#include "daemon/core/loop.h"
#include "daemon/core/notify.h"
#include "daemon/core/status_line.h"
#include "daemon/core/storage.h"
#include "daemon/http/endpoints.h"
#include "daemon/http/server.h"
#include "daemon/sched/scheduler.h"
#include "daemon/spool/space.h"
#include "daemon/spool/spool.h"
#include "daemon/spool/submit.h"

#define ONCE_INTERVAL_NS (20 * CLOCK_NS_PER_MS)

struct daemon {
	struct arguments arguments;
	struct config *config;
	struct directories dirs;
	int program_fd;
	int active_dir_fd;
	struct loop *loop;
	struct storage *storage;
	struct scheduler *scheduler;
	struct spool *spool;
	struct server *server;
	struct loop_source *signals[3];
	struct status_line *status;
	struct loop_source *once_timer;
	bool is_ready;
	bool is_stopping;
	bool is_reload_ok;
	struct space space;
};

/* --- what the rooms tell ---------------------------------------------------------------------- */

static bool render_status(void *userdata, char ret_line[static STATUS_LINE_SIZE])
{
	struct daemon *daemon = userdata;
	struct scheduler_summary sum = scheduler_summary(daemon->scheduler);
	char rate[NUM_TEXT_SIZE];

	num_format_count(rate, (uint64_t)sum.rows_per_second);
	snprintf(ret_line, STATUS_LINE_SIZE,
		 "%s%u running, %u pending, %s rows/s; %" PRId64 " completed, %" PRId64 " failed%s",
		 daemon->is_stopping ? "stopping: " : "", sum.n_running, sum.n_pending, rate,
		 sum.n_completed, sum.n_failed,
		 daemon->is_reload_ok ? "" : "; the configuration has an error, see the log");
	return sum.n_running > 0;
}

static void become_ready(struct daemon *daemon)
{
	if (!daemon->is_ready && spool_is_scanned(daemon->spool)) {
		daemon->is_ready = true;
		log_info("ready");
		notify_ready();
		status_line_touch(daemon->status);
	}
}

static void on_changed(void *userdata, const char *id)
{
	struct daemon *daemon = userdata;

	if (daemon->server != NULL) {
		server_job_changed(daemon->server, id);
	}
	if (daemon->spool != NULL) {
		become_ready(daemon);
		status_line_touch(daemon->status);
	}
}

static void spool_next_id(void *userdata, char ret_id[24])
{
	scheduler_next_id(((struct daemon *)userdata)->scheduler, ret_id);
}

static int spool_claimed(void *userdata, const struct spool_claim *claim, char **ret_error)
{
	const struct scheduler_job job = {.id = claim->id,
					  .file_name = claim->file_name,
					  .text = claim->text,
					  .len = claim->len,
					  .uid = claim->uid};

	return scheduler_add(((struct daemon *)userdata)->scheduler, &job, ret_error);
}

static void spool_changed(void *userdata)
{
	become_ready(userdata);
}

static struct spool_callbacks spool_callbacks(struct daemon *daemon)
{
	return (struct spool_callbacks){.next_id = spool_next_id,
					.claimed = spool_claimed,
					.changed = spool_changed,
					.userdata = daemon};
}

static void on_stopped(void *userdata)
{
	struct daemon *daemon = userdata;

	loop_exit(daemon->loop, ARGUMENTS_EXIT_OK);
}

static void stop(struct daemon *daemon, const char *why)
{
	if (daemon->is_stopping) {
		return;
	}
	daemon->is_stopping = true;
	log_info("stopping: %s", why);
	notify_stopping();
	status_line_touch(daemon->status);
	daemon->spool = spool_free(daemon->spool);
	scheduler_stop(daemon->scheduler, on_stopped, daemon);
}

static void on_signal(void *userdata, int signal_number)
{
	stop(userdata, strsignal(signal_number));
}

/* --once: the end is when there is nothing left to do. */
static void on_once_timer(void *userdata, int64_t now_ns)
{
	struct daemon *daemon = userdata;

	if (daemon->is_stopping) {
		return;
	}
	if (daemon->is_ready && spool_is_idle(daemon->spool) &&
	    scheduler_is_idle(daemon->scheduler)) {
		stop(daemon, "all jobs have ended");
		return;
	}
	become_ready(daemon);
	if (loop_timer_arm(daemon->once_timer, now_ns + ONCE_INTERVAL_NS) < 0) {
		stop(daemon, "the timer of --once failed");
	}
}

/* --- views and changes for the HTTP server ---------------------------------------------------- */

static void backend_for_each_job(void *ctx, http_job_fn fn, void *userdata)
{
	scheduler_for_each_job(((struct daemon *)ctx)->scheduler, fn, userdata);
}

static bool backend_with_job(void *ctx, const char *id, http_job_fn fn, void *userdata)
{
	return scheduler_with_job(((struct daemon *)ctx)->scheduler, id, fn, userdata);
}

static const struct totals_view *backend_totals(void *ctx)
{
	return scheduler_totals(((struct daemon *)ctx)->scheduler);
}

static size_t backend_areas(void *ctx, const struct area_view **ret_areas)
{
	struct daemon *daemon = ctx;

	return space_get(&daemon->space, daemon->spool, ret_areas);
}

static int backend_open_rejects(void *ctx, const char *id)
{
	return scheduler_open_rejects(((struct daemon *)ctx)->scheduler, id);
}

static bool backend_is_ready(void *ctx, struct buf *reasons)
{
	struct daemon *daemon = ctx;
	size_t len = reasons->len;

	if (daemon->spool == NULL || !spool_is_scanned(daemon->spool)) {
		buf_add_str(reasons, "the spool has not been scanned yet\n");
	}
	if (daemon->spool != NULL && spool_problem(daemon->spool) != NULL) {
		buf_printf(reasons, "%s\n", spool_problem(daemon->spool));
	}
	if (daemon->dirs.problem != NULL) {
		buf_printf(reasons, "%s\n", daemon->dirs.problem);
	}
	if (daemon->is_stopping) {
		buf_add_str(reasons, "the daemon is stopping\n");
	}
	return reasons->len == len;
}

static bool backend_reload_ok(void *ctx)
{
	return ((struct daemon *)ctx)->is_reload_ok;
}

static void answer(http_result_fn fn, void *userdata, unsigned status, const char *text)
{
	fn(userdata, &(struct http_result){.status = status, .text = text});
}

static int check_spec(const char *text, size_t len, struct spec_error *error)
{
	struct job_spec *spec = NULL;
	int r = job_spec_parse(text, len, &spec, error);

	job_spec_free(spec);
	return r;
}

static void answer_invalid(http_result_fn fn, void *userdata, int status,
			   const struct spec_error *error)
{
	CLEANUP(free_p) char *line = NULL;

	if (status == -EINVAL) {
		status = spec_error_render(error, "spec", &line);
	}
	answer(fn, userdata, line != NULL ? 422 : 503, line != NULL ? line : strerror(-status));
}

/* Who is to be answered once a submission is on disk. */
struct submitter {
	http_result_fn fn;
	void *userdata;
};

static void on_submitted(void *userdata, int status, const char *id, const char *error)
{
	CLEANUP(free_p) struct submitter *submitter = userdata;
	const char *text = error != NULL ? error : strerror(-status);

	if (status < 0) {
		log_warning("submission %s is not accepted: %s", id, text);
		answer(submitter->fn, submitter->userdata, status == -EINVAL ? 422 : 503, text);
		return;
	}
	submitter->fn(submitter->userdata,
		      &(struct http_result){.status = 202, .job_id = id, .text = "accepted"});
}

static void backend_submit(void *ctx, const struct http_submission *submission, http_result_fn fn,
			   void *userdata)
{
	struct daemon *daemon = ctx;
	CLEANUP(free_p) struct submitter *submitter = malloc(sizeof(*submitter));
	struct spec_error error;
	int r = check_spec(submission->text, submission->len, &error);

	if (r < 0 || submitter == NULL) {
		answer_invalid(fn, userdata, r < 0 ? r : -ENOMEM, &error);
		return;
	}
	*submitter = (struct submitter){.fn = fn, .userdata = userdata};
	const struct submit_options options = {.storage = daemon->storage,
					       .jobs_dir_fd = daemon->dirs.jobs,
					       .active_dir_fd = daemon->active_dir_fd,
					       .callbacks = spool_callbacks(daemon),
					       .name_hint = submission->name_hint,
					       .text = submission->text,
					       .len = submission->len,
					       .uid = submission->uid};
	r = submit_start(&options, on_submitted, submitter);
	if (r < 0) {
		answer(fn, userdata, 503, strerror(-r));
		return;
	}
	TAKE_PTR(submitter);
}

static void backend_validate(void *ctx, const char *text, size_t len, http_result_fn fn,
			     void *userdata)
{
	struct spec_error error;
	int r = check_spec(text, len, &error);

	if (r < 0) {
		answer_invalid(fn, userdata, r, &error);
		return;
	}
	answer(fn, userdata, 200, "valid");
}

static void answer_change(int status, const char *id, const char *done, const char *refused,
			  http_result_fn fn, void *userdata)
{
	switch (status) {
	case 0:
		fn(userdata, &(struct http_result){.status = 200, .job_id = id, .text = done});
		break;
	case -ENOENT:
		answer(fn, userdata, 404, "there is no such job");
		break;
	case -EALREADY:
	case -EBUSY:
		answer(fn, userdata, 409, refused);
		break;
	default:
		answer(fn, userdata, 503, strerror(-status));
	}
}

static void backend_cancel(void *ctx, const char *id, http_result_fn fn, void *userdata)
{
	answer_change(scheduler_cancel(((struct daemon *)ctx)->scheduler, id), id, "cancelled",
		      "the job has ended already", fn, userdata);
}

static void backend_forget(void *ctx, const char *id, http_result_fn fn, void *userdata)
{
	answer_change(scheduler_forget(((struct daemon *)ctx)->scheduler, id), id, "forgotten",
		      "the job has not ended; cancel it first", fn, userdata);
}

/* --- options made from the configuration ------------------------------------------------------ */

static struct scheduler_options scheduler_options(struct daemon *daemon)
{
	const struct config *config = daemon->config;

	return (struct scheduler_options){
		.program_fd = daemon->program_fd,
		.root_fds = daemon->dirs.roots,
		.root_paths = config->data_roots.items,
		.n_roots = daemon->dirs.n_roots,
		.jobs_dir_fd = daemon->dirs.jobs,
		.state_dir_fd = daemon->dirs.state,
		.run_jobs_dir_fd = daemon->dirs.run_jobs,
		.spool_dir_fd = daemon->dirs.spool,
		.max_jobs = (unsigned)config->max_jobs,
		.max_workers = (unsigned)config->max_workers,
		.chunk_size_bytes = config->chunk_size_bytes,
		.poll_interval_ns = config->poll_interval_ns,
		.checkpoint_interval_ns = config->checkpoint_interval_ns,
		.is_once = daemon->arguments.is_once,
		.retention_ns = config->retention_ns,
		.storage = daemon->storage,
		.changed = on_changed,
		.userdata = daemon,
	};
}

static struct server_options server_options(const struct config *config)
{
	return (struct server_options){
		.tcp_fd = -1,
		.unix_fd = -1,
		.allowed_hosts = config->allowed_hosts.items,
		.n_allowed_hosts = config->allowed_hosts.n_items,
		.expose_rows = config->expose_rows,
		.allowed_uids = config->allowed_users.uids,
		.n_allowed_uids = config->allowed_users.n_uids,
	};
}

static int load_config(const struct arguments *arguments, struct config **ret_config)
{
	struct config_error error;
	const char *path = arguments_config_path(arguments);
	int r = config_load(path, arguments->overrides, arguments->n_overrides, ret_config, &error);
	if (r < 0) {
		log_error("%s", r == -ENOMEM ? strerror(ENOMEM) : error.message);
	}
	return r;
}

static void on_reload(void *userdata, int signal_number)
{
	struct daemon *daemon = userdata;
	struct config *fresh = NULL;

	notify_reloading();
	daemon->is_reload_ok = load_config(&daemon->arguments, &fresh) == 0;
	if (daemon->is_reload_ok) {
		config_adopt(daemon->config, fresh);
		struct scheduler_options sched = scheduler_options(daemon);
		struct server_options server = server_options(daemon->config);

		scheduler_reconfigure(daemon->scheduler, &sched);
		daemon->is_reload_ok = server_set_options(daemon->server, &server) == 0;
	}
	config_free(fresh);
	log_notice("%s", daemon->is_reload_ok ? "the configuration was reloaded"
					      : "the configuration stays as it was");
	notify_ready();
	status_line_touch(daemon->status);
}

/* --- start and end ---------------------------------------------------------------------------- */

static int start_server(struct daemon *daemon)
{
	struct server_options options = server_options(daemon->config);
	struct endpoints endpoints;
	const struct http_backend backend = {
		.ctx = daemon,
		.for_each_job = backend_for_each_job,
		.with_job = backend_with_job,
		.totals = backend_totals,
		.areas = backend_areas,
		.open_rejects = backend_open_rejects,
		.is_ready = backend_is_ready,
		.config_last_reload_ok = backend_reload_ok,
		.submit = backend_submit,
		.validate = backend_validate,
		.cancel = backend_cancel,
		.forget = backend_forget,
	};

	int r = endpoints_open(daemon->config, daemon->dirs.run, &endpoints);
	if (r < 0) {
		return r;
	}
	options.tcp_fd = endpoints.tcp_fd;
	options.unix_fd = endpoints.unix_fd;
	return server_new(daemon->loop, &options, &backend, &daemon->server);
}

static int start_spool(struct daemon *daemon)
{
	const struct spool_options options = {
		.spool_dir_fd = daemon->dirs.spool,
		.jobs_dir_fd = daemon->dirs.jobs,
		.allowed_uids = daemon->config->allowed_users.uids,
		.n_allowed_uids = daemon->config->allowed_users.n_uids,
		.storage = daemon->storage,
		.callbacks = spool_callbacks(daemon),
	};

	space_init(&daemon->space, &daemon->dirs);
	daemon->active_dir_fd = spool_open_area(daemon->dirs.spool, SPOOL_ACTIVE);
	if (daemon->active_dir_fd < 0) {
		return daemon->active_dir_fd;
	}
	return spool_new(daemon->loop, &options, &daemon->spool);
}

static int start_scheduler(struct daemon *daemon)
{
	struct scheduler_options options = scheduler_options(daemon);
	int r = scheduler_new(daemon->loop, &options, &daemon->scheduler);

	return r < 0 ? r : scheduler_load(daemon->scheduler);
}

static int add_events(struct daemon *daemon)
{
	struct loop *loop = daemon->loop;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int r;

	sigaction(SIGPIPE, &ignore, NULL);
	if ((r = loop_add_signal(loop, SIGTERM, on_signal, daemon, &daemon->signals[0])) < 0 ||
	    (r = loop_add_signal(loop, SIGINT, on_signal, daemon, &daemon->signals[1])) < 0 ||
	    (r = loop_add_signal(loop, SIGHUP, on_reload, daemon, &daemon->signals[2])) < 0 ||
	    (r = status_line_new(loop, render_status, daemon, &daemon->status)) < 0 ||
	    (r = loop_set_watchdog(loop)) < 0) {
		return r;
	}
	if (!daemon->arguments.is_once) {
		return 0;
	}
	r = loop_add_timer(loop, on_once_timer, daemon, &daemon->once_timer);
	return r < 0 ? r : loop_timer_arm(daemon->once_timer, clock_monotonic_ns());
}

static int start(struct daemon *daemon)
{
	struct directories_error error;
	int r = directories_open(daemon->config, &daemon->dirs, &error);

	if (r < 0) {
		log_error("%s", error.message);
		return r;
	}
	if (daemon->dirs.problem != NULL) {
		log_warning("%s", daemon->dirs.problem);
	}
	if ((r = child_find_program(&daemon->program_fd)) < 0) {
		log_error("cannot find zooparallel-worker beside zooparalleld or in %s: %s",
			  ZOOPARALLEL_LIBEXECDIR, strerror(-r));
		return r;
	}
	if ((r = loop_new(&daemon->loop)) < 0 || (r = add_events(daemon)) < 0 ||
	    (r = storage_new(daemon->loop, daemon->program_fd, &daemon->dirs.reach,
			     &daemon->storage)) < 0 ||
	    (r = start_scheduler(daemon)) < 0 || (r = start_spool(daemon)) < 0 ||
	    (r = start_server(daemon)) < 0) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	return 0;
}

static void end(struct daemon *daemon)
{
	if (daemon->server != NULL) {
		endpoints_remove(daemon->dirs.run);
	}
	daemon->server = server_free(daemon->server);
	daemon->spool = spool_free(daemon->spool);
	daemon->scheduler = scheduler_free(daemon->scheduler);
	daemon->storage = storage_free(daemon->storage);
	for (size_t i = 0; i < ARRAY_SIZE(daemon->signals); i++) {
		daemon->signals[i] = loop_source_free(daemon->signals[i]);
	}
	daemon->status = status_line_free(daemon->status);
	daemon->once_timer = loop_source_free(daemon->once_timer);
	daemon->loop = loop_free(daemon->loop);
	fd_close(daemon->active_dir_fd);
	fd_close(daemon->program_fd);
	directories_close(&daemon->dirs);
	daemon->config = config_free(daemon->config);
}

static int run(struct daemon *daemon)
{
	if (load_config(&daemon->arguments, &daemon->config) < 0) {
		return ARGUMENTS_EXIT_USAGE;
	}
	int code = ARGUMENTS_EXIT_FAILED;
	int r = process_raise_file_limit();
	if (r < 0) {
		log_warning("cannot raise RLIMIT_NOFILE: %s", strerror(-r));
	}
	if (start(daemon) == 0) {
		log_info("zooparalleld " ZOOPARALLEL_VERSION " serves %s",
			 daemon->config->spool_dir);
		r = loop_run(daemon->loop);
		if (r < 0) {
			log_error("the event loop failed: %s", strerror(-r));
		}
		code = r < 0 ? ARGUMENTS_EXIT_FAILED : r;
	}
	end(daemon);
	return code;
}

int main(int argc, char **argv)
{
	struct daemon daemon = {.program_fd = -1,
				.active_dir_fd = -1,
				.is_reload_ok = true,
				.dirs = {.spool = -1,
					 .state = -1,
					 .jobs = -1,
					 .run = -1,
					 .run_jobs = -1,
					 .lock = -1,
					 .run_lock = -1}};
	int code = arguments_parse(argc, argv, &daemon.arguments);

	if (code != ARGUMENTS_RUN) {
		return code;
	}
	journal_install();
	return run(&daemon);
}
