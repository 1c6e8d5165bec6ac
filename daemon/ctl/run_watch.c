/* SPDX-License-Identifier: MIT */
/*
 * Stopping is a ladder. A cancelled job is over: its temporary outputs are removed, its result is
 * written. A daemon that is merely told to stop keeps its jobs for its next start, which never
 * comes here. So: cancel, then SIGTERM, then SIGKILL, each after the one before has had its time.
 * A second signal from an impatient user takes the next step at once.
 */
#include "daemon/ctl/run_watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "daemon/ctl/api.h"
#include "daemon/ctl/job_info.h"

enum { TICK_MS = 100, ID_SIZE = 64 };

#define ANSWER_TIMEOUT_NS (1 * CLOCK_NS_PER_SEC)
/* A daemon without unfinished jobs ends by itself. */
#define LINGER_NS (10 * CLOCK_NS_PER_SEC)

enum step { STEP_NONE, STEP_CANCEL, STEP_TERM, STEP_KILL };

static const int64_t step_patience_ns[] = {
	[STEP_CANCEL] = 5 * CLOCK_NS_PER_SEC,
	[STEP_TERM] = 10 * CLOCK_NS_PER_SEC,
	[STEP_KILL] = INT64_MAX / 2,
};

struct watching {
	const struct run_watch *watch;
	struct api *api;
	char id[ID_SIZE]; /* "": not seen yet */
	enum run_end end;
	enum step step;
	int64_t next_step_ns; /* when patience ends; only after STEP_NONE */
	int64_t linger_ns;    /* when a finished daemon must have ended; 0: it has not finished */
};

int run_watch_open_signals(void)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || sigprocmask(SIG_BLOCK, &signals, NULL) < 0) {
		return -errno;
	}
	/* Nobody may read what we say; the tree is removed all the same. */
	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	return fd;
}

/*
 * Its only job, as the daemon tells it; a daemon that is not up yet, or gone, is no news. The end
 * is left to the summary.
 */
static void look_at_job(struct watching *watching)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	struct job_info info;

	if (api_get(watching->api, "/api/v1/jobs", ANSWER_TIMEOUT_NS, &reply) < 0 ||
	    job_info_read(json_array_get(json_object_get(reply.body, "jobs"), 0), &info) < 0) {
		return;
	}
	(void)snprintf(watching->id, sizeof(watching->id), "%s", info.id);
	if (!job_state_is_final(info.state)) {
		progress_show(watching->watch->progress, &info);
	} else if (!watching->linger_ns) {
		watching->linger_ns = clock_monotonic_ns() + LINGER_NS;
	}
}

/* 0 if the daemon has taken it. */
static int cancel(struct watching *watching)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	char target[ID_SIZE + 64];
	int r;

	if (!watching->id[0]) {
		look_at_job(watching); /* it may have begun since we last asked */
	}
	if (!watching->id[0]) {
		return -ENOENT;
	}
	(void)snprintf(target, sizeof(target), "/api/v1/jobs/%s/cancel", watching->id);
	r = api_post(watching->api, target, NULL, 0, &reply);
	/* 409: it is committing or has ended, and either leads to a result. */
	return r < 0 || (reply.status >= 300 && reply.status != 409) ? -EPROTO : 0;
}

static void take_next_step(struct watching *watching)
{
	watching->step += watching->step < STEP_KILL;
	if (watching->step == STEP_CANCEL && cancel(watching) < 0) {
		watching->step = STEP_TERM;
	}
	if (watching->step == STEP_TERM) {
		run_daemon_kill(watching->watch->daemon, SIGTERM);
	} else if (watching->step == STEP_KILL) {
		run_daemon_kill(watching->watch->daemon, SIGKILL);
	}
	watching->next_step_ns = clock_monotonic_ns() + step_patience_ns[watching->step];
}

static bool was_signalled(struct watching *watching)
{
	struct signalfd_siginfo info;

	return read(watching->watch->signal_fd, &info, sizeof(info)) == sizeof(info);
}

static void check_clocks(struct watching *watching)
{
	int64_t now_ns = clock_monotonic_ns();

	if (watching->step != STEP_NONE) {
		if (now_ns >= watching->next_step_ns) {
			take_next_step(watching);
		}
	} else if (now_ns >= watching->watch->deadline_ns) {
		watching->end = RUN_END_TIMED_OUT;
		take_next_step(watching);
	} else if (watching->linger_ns && now_ns >= watching->linger_ns) {
		watching->step = STEP_CANCEL;
		take_next_step(watching);
	}
}

static int watch_until_end(struct watching *watching)
{
	struct pollfd fds[] = {
		{.fd = watching->watch->daemon->pid_fd, .events = POLLIN},
		{.fd = watching->watch->signal_fd, .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), TICK_MS) < 0 && errno != EINTR) {
			return -errno;
		}
		if (fds[0].revents) {
			return 0;
		}
		if (was_signalled(watching)) {
			if (watching->step == STEP_NONE) {
				watching->end = RUN_END_INTERRUPTED;
			}
			take_next_step(watching);
		}
		check_clocks(watching);
		look_at_job(watching);
	}
}

int run_watch(const struct run_watch *watch)
{
	CLEANUP(api_closep) struct api *api = NULL;
	struct watching watching = {.watch = watch};
	int r = api_open(watch->socket_path, &api);

	if (r < 0) {
		return r;
	}
	watching.api = api;
	r = watch_until_end(&watching);
	progress_clear(watch->progress);
	if (r < 0) {
		return r;
	}
	run_daemon_reap(watch->daemon);
	return (int)watching.end;
}
