/* SPDX-License-Identifier: MIT */
/*
 * What a dead `prepare` leaves is thrown away, and so is a plan that does not load: both are the
 * same fault, a worker that did not do its work. A plan that says why the inputs cannot be used is
 * none; it is the answer.
 */
#include "daemon/sched/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/model/worker_protocol.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/process.h"
#include "daemon/core/child.h"
#include "daemon/sched/plan_file.h"
#include "daemon/sched/restart.h"

#define NUMBER_SIZE  24
#define N_FIXED_ARGS 2
#define LOOK_NS	     (250 * CLOCK_NS_PER_MS)

struct prepare {
	struct prepare_options options;
	struct loop_source *child, *timer;
	pid_t pid;
	unsigned n_deaths[RESTART_N_CAUSES];
	unsigned n_looks_stopped; /* in a row, the process stood still */
	struct worker_kill kill;
	bool is_stopped; /* by our caller */
};

static int spawn(struct prepare *prepare);

static void finish(struct prepare *prepare, struct plan *plan, const struct failure *failure)
{
	prepare->options.fn(prepare->options.userdata, plan, failure);
}

static void finish_failed(struct prepare *prepare, enum job_reason reason, const char *message)
{
	struct failure failure;

	failure_set(&failure, reason, "%s", message);
	finish(prepare, NULL, &failure);
}

static int load_plan(const struct prepare_options *options, struct plan **ret_plan)
{
	CLEANUP(plan_freep) struct plan *plan = NULL;
	int r = plan_file_read(options->run_dir_fd, options->spec->n_pipes,
			       options->env->options.n_roots, &plan);

	if (r < 0) {
		return r;
	}
	if (plan->failure == JOB_REASON_OK && plan->chunk_size != options->chunk_size_bytes) {
		return -EINVAL;
	}
	*ret_plan = TAKE_PTR(plan);
	return 0;
}

static void take_plan(struct prepare *prepare, struct plan *plan)
{
	if (plan->failure == JOB_REASON_OK) {
		finish(prepare, plan, NULL);
		return;
	}
	struct failure failure;

	failure_set(&failure, plan->failure, "%s",
		    plan->message != NULL ? plan->message : "the input cannot be used");
	plan_free(plan);
	finish(prepare, NULL, &failure);
}

/* As often as a slot of the pool may die without progress, by the same causes. */
static void try_again(struct prepare *prepare, enum restart_cause cause,
		      const struct worker_end *end)
{
	const char *id = prepare->options.job_id;

	if (++prepare->n_deaths[cause] >= restart_max_stuck(cause)) {
		struct failure failure;

		failure_set(&failure, worker_end_reason(end->cause),
			    "the worker that prepares the inputs %s, %u times", end->what,
			    prepare->n_deaths[cause]);
		finish(prepare, NULL, &failure);
		return;
	}
	log_job(LOG_LEVEL_WARNING, id, -1,
		"the worker that prepares the inputs %s; starting it again", end->what);
	prepare->options.tally->restarts++;
	int r = spawn(prepare);
	if (r < 0) {
		finish_failed(prepare, JOB_REASON_INTERNAL, strerror(-r));
	}
}

static void on_child(void *userdata, const siginfo_t *info)
{
	struct prepare *prepare = userdata;
	struct plan *plan = NULL;
	struct worker_end end;

	prepare->child = loop_source_free(prepare->child);
	prepare->timer = loop_source_free(prepare->timer);
	prepare->pid = 0;
	worker_end_judge(info, &prepare->kill, &prepare->options.env->oom, &end);
	prepare->options.tally->exits[end.cause]++;
	if (prepare->is_stopped) {
		finish_failed(prepare, JOB_REASON_CANCELLED, "stopped");
		return;
	}
	if (worker_end_is_refused(info)) {
		struct failure failure;

		failure_set(&failure, JOB_REASON_INTERNAL,
			    "the worker that prepares the inputs %s; the log names it", end.what);
		finish(prepare, NULL, &failure);
		return;
	}
	if (worker_end_is_exit(info, WORKER_EXIT_OK)) {
		int r = load_plan(&prepare->options, &plan);

		if (r == 0) {
			take_plan(prepare, plan);
			return;
		}
		log_job(LOG_LEVEL_WARNING, prepare->options.job_id, -1,
			"the plan that was prepared cannot be used: %s", strerror(-r));
	}
	try_again(prepare,
		  worker_end_is_fault(info, &end) ? RESTART_CAUSE_FAULT : RESTART_CAUSE_KILL, &end);
}

static void kill_worker(struct prepare *prepare, enum worker_cause cause, const char *what)
{
	prepare->kill = (struct worker_kill){.is_sent = true, .cause = cause};
	snprintf(prepare->kill.what, sizeof(prepare->kill.what), "%s", what);
	kill(prepare->pid, SIGKILL);
}

/* What it does gives no signs of life, but whether someone has stopped it the kernel knows. */
static void on_look(void *userdata, int64_t now_ns)
{
	struct prepare *prepare = userdata;
	int64_t stall_ns = prepare->options.spec->limits.stall_ns;
	char state = '?';

	if (process_state(prepare->pid, &state) < 0 || (state != 'T' && state != 't')) {
		prepare->n_looks_stopped = 0;
	} else if (++prepare->n_looks_stopped * LOOK_NS > stall_ns && !prepare->kill.is_sent) {
		kill_worker(prepare, WORKER_CAUSE_STALLED,
			    "was stopped for longer than limits.stall allows and was killed");
	}
	int r = loop_timer_arm(prepare->timer, clock_monotonic_ns() + LOOK_NS);
	if (r < 0) {
		log_job(LOG_LEVEL_WARNING, prepare->options.job_id, -1, "cannot set a timer: %s",
			strerror(-r));
	}
}

static int start_looking(struct prepare *prepare)
{
	prepare->n_looks_stopped = 0;
	int r = loop_add_timer(prepare->options.env->loop, on_look, prepare, &prepare->timer);
	return r < 0 ? r : loop_timer_arm(prepare->timer, clock_monotonic_ns() + LOOK_NS);
}

static int open_plan(const struct prepare *prepare)
{
	int dir_fd = prepare->options.run_dir_fd;

	if (unlinkat(dir_fd, PLAN_FILE_NAME, 0) < 0 && errno != ENOENT) {
		return -errno;
	}
	int fd = openat(dir_fd, PLAN_FILE_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
	return fd < 0 ? -errno : fd;
}

static int spawn_with(struct prepare *prepare, int spec_fd, int plan_fd)
{
	const struct scheduler_options *options = &prepare->options.env->options;
	CLEANUP(free_p)
	const char **argv = calloc(options->n_roots + N_FIXED_ARGS + 1, sizeof(*argv));
	CLEANUP(free_p) int *fds = calloc(options->n_roots + 2, sizeof(*fds));
	char chunk_size[NUMBER_SIZE];

	if (argv == NULL || fds == NULL) {
		return -ENOMEM;
	}
	snprintf(chunk_size, sizeof(chunk_size), "%" PRIu64, prepare->options.chunk_size_bytes);
	argv[0] = "prepare";
	argv[1] = chunk_size;
	fds[0] = spec_fd;
	fds[1] = plan_fd;
	for (size_t i = 0; i < options->n_roots; i++) {
		argv[N_FIXED_ARGS + i] = options->root_paths[i];
		fds[2 + i] = options->root_fds[i];
	}
	struct child_spec child = {.argv = argv, .fds = fds, .n_fds = options->n_roots + 2};
	return child_spawn(options->program_fd, &child, &prepare->pid);
}

static int spawn(struct prepare *prepare)
{
	CLEANUP(fd_closep) int plan_fd = open_plan(prepare);
	CLEANUP(fd_closep)
	int spec_fd = openat(prepare->options.job_dir_fd, "spec.json",
			     O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (spec_fd < 0) {
		return -errno;
	}
	if (plan_fd < 0) {
		return plan_fd;
	}
	int r = spawn_with(prepare, spec_fd, plan_fd);
	if (r < 0) {
		return r;
	}
	prepare->kill = (struct worker_kill){0};
	r = loop_add_child(prepare->options.env->loop, prepare->pid, on_child, prepare,
			   &prepare->child);
	if (r == 0) {
		r = start_looking(prepare);
	}
	if (r < 0) {
		prepare->child = loop_source_free(prepare->child);
		prepare->timer = loop_source_free(prepare->timer);
		kill(prepare->pid, SIGKILL);
		waitpid(prepare->pid, NULL, 0);
		prepare->pid = 0;
	}
	return r;
}

int prepare_start(const struct prepare_options *options, struct prepare **ret_prepare)
{
	struct prepare *prepare = calloc(1, sizeof(*prepare));

	if (prepare == NULL) {
		return -ENOMEM;
	}
	prepare->options = *options;
	int r = spawn(prepare);
	if (r < 0) {
		free(prepare);
		return r;
	}
	*ret_prepare = prepare;
	return 0;
}

void prepare_stop(struct prepare *prepare)
{
	prepare->is_stopped = true;
	kill_worker(prepare, WORKER_CAUSE_OK, "");
}

struct prepare *prepare_free(struct prepare *prepare)
{
	if (prepare != NULL) {
		loop_source_free(prepare->child);
		loop_source_free(prepare->timer);
		free(prepare);
	}
	return NULL;
}
