/* SPDX-License-Identifier: MIT */
/*
 * A thin coat over sd-event. What it adds: callbacks without a return value (sd-event drops a
 * source whose callback fails, and a daemon that silently stops listening is worse than one that
 * logs), one priority for all, nanoseconds, and children by pidfd.
 *
 * sd_event_add_child() wants SIGCHLD blocked even where it uses pidfds, and inherited by whatever
 * is forked. A pidfd in a plain io source asks for nothing, and waitid(P_PIDFD) cannot take a
 * stranger that got a reused pid.
 *
 * A trampoline never touches its source after the callback: it may be gone by then. sd-event
 * itself keeps a source that is being dispatched.
 */
#include "daemon/core/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/process.h"

#define NS_PER_US    1000
#define LAST_REAP_NS (1 * CLOCK_NS_PER_SEC)

struct loop {
	sd_event *event;
	struct loop_source *reapers; /* of loop_reap_child */
	bool is_exiting;
	int exit_code;
};

struct loop_source {
	struct loop *loop;
	sd_event_source *source;
	union {
		loop_io_fn io;
		loop_timer_fn timer;
		loop_signal_fn signal;
		loop_child_fn child;
		loop_inotify_fn inotify;
		loop_defer_fn defer;
	} fn;
	void *userdata;
	int pidfd;			     /* of a child, else -1 */
	struct loop_source *previous, *next; /* among the reapers */
};

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop) {
		return -ENOMEM;
	}
	int r = sd_event_new(&loop->event);
	if (r < 0) {
		free(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

/*
 * A storage process ends at once when its socket is closed, unless its disk hangs. Not every
 * process 1 reaps what we would leave it (a container's often does not).
 */
static void reap_last(const struct loop_source *reaper, int64_t deadline_ns)
{
	struct pollfd pollfd = {.fd = reaper->pidfd, .events = POLLIN};
	int64_t left_ns = MAX(deadline_ns - clock_monotonic_ns(), INT64_C(0));
	siginfo_t info;
	if (poll(&pollfd, 1, (int)(left_ns / CLOCK_NS_PER_MS)) > 0) {
		waitid(P_PIDFD, (id_t)reaper->pidfd, &info, WEXITED);
	}
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop) {
		return NULL;
	}
	int64_t deadline_ns = clock_monotonic_ns() + LAST_REAP_NS;
	while (loop->reapers) {
		struct loop_source *reaper = loop->reapers;
		loop->reapers = reaper->next;
		reap_last(reaper, deadline_ns);
		loop_source_free(reaper);
	}
	sd_event_unref(loop->event);
	free(loop);
	return NULL;
}

int loop_run(struct loop *loop)
{
	/* Not sd_event_loop(), after which an event loop is finished for good. */
	while (!loop->is_exiting) {
		int r = sd_event_run(loop->event, UINT64_MAX);
		if (r < 0) {
			return r;
		}
	}
	loop->is_exiting = false;
	return loop->exit_code;
}

void loop_exit(struct loop *loop, int code)
{
	loop->is_exiting = true;
	loop->exit_code = code;
}

int64_t loop_last_wakeup_ns(const struct loop *loop)
{
	uint64_t now_us = 0;
	if (sd_event_now(loop->event, CLOCK_MONOTONIC, &now_us) < 0) {
		return clock_monotonic_ns();
	}
	return (int64_t)now_us * NS_PER_US;
}

static int source_new(struct loop *loop, void *userdata, struct loop_source **ret_source)
{
	struct loop_source *source = calloc(1, sizeof(*source));
	if (!source) {
		return -ENOMEM;
	}
	source->loop = loop;
	source->userdata = userdata;
	source->pidfd = -1;
	*ret_source = source;
	return 0;
}

/* Ends every loop_add_*: r is what sd-event said. */
static int source_finish(struct loop_source *source, int r, struct loop_source **ret_source)
{
	if (r < 0) {
		loop_source_free(source);
		return r;
	}
	*ret_source = source;
	return 0;
}

static int on_io(sd_event_source *event_source, int fd, uint32_t epoll_events, void *userdata)
{
	struct loop_source *source = userdata;
	source->fn.io(source->userdata, fd, epoll_events);
	return 0;
}

int loop_add_io(struct loop *loop, int fd, uint32_t epoll_events, loop_io_fn fn, void *userdata,
		struct loop_source **ret_source)
{
	struct loop_source *source = NULL;
	int r = source_new(loop, userdata, &source);
	if (r < 0) {
		return r;
	}
	source->fn.io = fn;
	r = sd_event_add_io(loop->event, &source->source, fd, epoll_events, on_io, source);
	return source_finish(source, r, ret_source);
}

static int on_timer(sd_event_source *event_source, uint64_t at_us, void *userdata)
{
	struct loop_source *source = userdata;
	source->fn.timer(source->userdata, clock_monotonic_ns());
	return 0;
}

int loop_add_timer(struct loop *loop, loop_timer_fn fn, void *userdata,
		   struct loop_source **ret_source)
{
	struct loop_source *source = NULL;
	int r = source_new(loop, userdata, &source);
	if (r < 0) {
		return r;
	}
	source->fn.timer = fn;
	/* An accuracy of 1 us: sd-event's default would let a timer be 250 ms late. */
	r = sd_event_add_time(loop->event, &source->source, CLOCK_MONOTONIC, 0, 1, on_timer,
			      source);
	if (r >= 0) {
		r = sd_event_source_set_enabled(source->source, SD_EVENT_OFF);
	}
	return source_finish(source, r, ret_source);
}

int loop_timer_arm(struct loop_source *timer, int64_t at_ns)
{
	/* Rounded up: a timer never fires before its time. */
	uint64_t at_us = at_ns <= 0 ? 0 : ((uint64_t)at_ns + NS_PER_US - 1) / NS_PER_US;
	int r = sd_event_source_set_time(timer->source, at_us);
	if (r < 0) {
		return r;
	}
	r = sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
	return r < 0 ? r : 0;
}

void loop_timer_disarm(struct loop_source *timer)
{
	(void)sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
}

static int on_signal(sd_event_source *event_source, const struct signalfd_siginfo *info,
		     void *userdata)
{
	struct loop_source *source = userdata;
	source->fn.signal(source->userdata, (int)info->ssi_signo);
	return 0;
}

int loop_add_signal(struct loop *loop, int signal, loop_signal_fn fn, void *userdata,
		    struct loop_source **ret_source)
{
	sigset_t set;
	if (sigemptyset(&set) < 0 || sigaddset(&set, signal) < 0 ||
	    sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
		return -errno;
	}
	struct loop_source *source = NULL;
	int r = source_new(loop, userdata, &source);
	if (r < 0) {
		return r;
	}
	source->fn.signal = fn;
	r = sd_event_add_signal(loop->event, &source->source, signal, on_signal, source);
	return source_finish(source, r, ret_source);
}

/* Reaps. False: the child lives after all. */
static bool child_reap(struct loop_source *source, siginfo_t *ret_info)
{
	*ret_info = (siginfo_t){0};
	if (waitid(P_PIDFD, (id_t)source->pidfd, ret_info, WEXITED | WNOHANG) < 0) {
		/* Someone else has reaped it. All we know is that it ended, and not well. */
		*ret_info = (siginfo_t){.si_signo = SIGCHLD};
		ret_info->si_code = CLD_EXITED;
		ret_info->si_status = 255;
		return true;
	}
	return ret_info->si_pid != 0;
}

static int on_child(sd_event_source *event_source, int fd, uint32_t epoll_events, void *userdata)
{
	struct loop_source *source = userdata;
	siginfo_t info;
	if (!child_reap(source, &info)) {
		return 0;
	}
	(void)sd_event_source_set_enabled(source->source, SD_EVENT_OFF);
	source->fn.child(source->userdata, &info);
	return 0;
}

int loop_add_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *userdata,
		   struct loop_source **ret_source)
{
	struct loop_source *source = NULL;
	int r = source_new(loop, userdata, &source);
	if (r < 0) {
		return r;
	}
	source->fn.child = fn;
	r = process_pidfd_open(pid);
	if (r >= 0) {
		source->pidfd = r;
		r = sd_event_add_io(loop->event, &source->source, source->pidfd, EPOLLIN, on_child,
				    source);
	}
	return source_finish(source, r, ret_source);
}

static void on_reaped(void *userdata, const siginfo_t *info)
{
	struct loop_source *reaper = userdata;
	if (reaper->previous) {
		reaper->previous->next = reaper->next;
	} else {
		reaper->loop->reapers = reaper->next;
	}
	if (reaper->next) {
		reaper->next->previous = reaper->previous;
	}
	loop_source_free(reaper);
}

int loop_reap_child(struct loop *loop, pid_t pid)
{
	struct loop_source *reaper = NULL;
	int r = loop_add_child(loop, pid, on_reaped, NULL, &reaper);
	if (r < 0) {
		return r;
	}
	reaper->userdata = reaper;
	reaper->next = loop->reapers;
	if (reaper->next) {
		reaper->next->previous = reaper;
	}
	loop->reapers = reaper;
	return 0;
}

static int on_inotify(sd_event_source *event_source, const struct inotify_event *event,
		      void *userdata)
{
	struct loop_source *source = userdata;
	source->fn.inotify(source->userdata, event);
	return 0;
}

int loop_add_inotify(struct loop *loop, int dir_fd, uint32_t mask, loop_inotify_fn fn,
		     void *userdata, struct loop_source **ret_source)
{
	struct loop_source *source = NULL;
	int r = source_new(loop, userdata, &source);
	if (r < 0) {
		return r;
	}
	source->fn.inotify = fn;
	r = sd_event_add_inotify_fd(loop->event, &source->source, dir_fd, mask, on_inotify, source);
	return source_finish(source, r, ret_source);
}

static int on_defer(sd_event_source *event_source, void *userdata)
{
	struct loop_source *source = userdata;
	source->fn.defer(source->userdata);
	return 0;
}

int loop_add_defer(struct loop *loop, loop_defer_fn fn, void *userdata,
		   struct loop_source **ret_source)
{
	struct loop_source *source = NULL;
	int r = source_new(loop, userdata, &source);
	if (r < 0) {
		return r;
	}
	source->fn.defer = fn;
	r = sd_event_add_defer(loop->event, &source->source, on_defer, source);
	return source_finish(source, r, ret_source);
}

int loop_set_watchdog(struct loop *loop)
{
	int r = sd_event_set_watchdog(loop->event, 1);
	return r < 0 ? r : 0;
}

struct loop_source *loop_source_free(struct loop_source *source)
{
	if (!source) {
		return NULL;
	}
	sd_event_source_disable_unref(source->source);
	fd_close(source->pidfd);
	free(source);
	return NULL;
}

void loop_source_freep(struct loop_source **source)
{
	*source = loop_source_free(*source);
}
