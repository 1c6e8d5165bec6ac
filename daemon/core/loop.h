/* SPDX-License-Identifier: MIT */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/types.h>

#include "common/util/macro.h"

/*
 * The one event loop (sd-event underneath, which no other room sees). Every source has the same
 * priority, so an always-ready client cannot starve a worker's death. Callbacks return nothing:
 * what goes wrong in one is logged and handled there.
 *
 * A source is owned by whoever added it, until loop_source_free (NULL is fine; returns NULL),
 * which may be called inside its own callback.
 */
struct loop;
struct loop_source;

typedef void (*loop_io_fn)(void *userdata, int fd, uint32_t epoll_events);
typedef void (*loop_timer_fn)(void *userdata, int64_t now_ns);
typedef void (*loop_signal_fn)(void *userdata, int signal);
/* info: as of waitid(2), si_code CLD_EXITED, CLD_KILLED or CLD_DUMPED. The child is reaped. */
typedef void (*loop_child_fn)(void *userdata, const siginfo_t *info);
typedef void (*loop_inotify_fn)(void *userdata, const struct inotify_event *event);
typedef void (*loop_defer_fn)(void *userdata);

int loop_new(struct loop **ret_loop) MUST_CHECK;
/* After all its sources are freed. NULL is fine; returns NULL. */
struct loop *loop_free(struct loop *loop);

/* Runs until loop_exit. Returns the code given there, or -errno. May be run again. */
int loop_run(struct loop *loop) MUST_CHECK;
void loop_exit(struct loop *loop, int code);

/* CLOCK_MONOTONIC of the last wake-up; what /healthz calls the loop's age is now - this. */
int64_t loop_last_wakeup_ns(const struct loop *loop);

int loop_add_io(struct loop *loop, int fd, uint32_t epoll_events, loop_io_fn fn, void *userdata,
		struct loop_source **ret_source) MUST_CHECK;

/* Disarmed when made; loop_timer_arm sets the next absolute CLOCK_MONOTONIC time, once. */
int loop_add_timer(struct loop *loop, loop_timer_fn fn, void *userdata,
		   struct loop_source **ret_source) MUST_CHECK;
int loop_timer_arm(struct loop_source *timer, int64_t at_ns) MUST_CHECK;
void loop_timer_disarm(struct loop_source *timer);

/* Blocks the signal in this process and delivers it here. */
int loop_add_signal(struct loop *loop, int signal, loop_signal_fn fn, void *userdata,
		    struct loop_source **ret_source) MUST_CHECK;

/* Waits for the child by its pidfd and reaps it; fires once. */
int loop_add_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *userdata,
		   struct loop_source **ret_source) MUST_CHECK;

/*
 * Reaps the child whenever it ends and tells no one; the loop owns what it needs for that, and
 * gives it a second to end when it is freed. On failure the child is not reaped.
 */
int loop_reap_child(struct loop *loop, pid_t pid) MUST_CHECK;

int loop_add_inotify(struct loop *loop, int dir_fd, uint32_t mask, loop_inotify_fn fn,
		     void *userdata, struct loop_source **ret_source) MUST_CHECK;

/* Calls fn once in the next turn of the loop. */
int loop_add_defer(struct loop *loop, loop_defer_fn fn, void *userdata,
		   struct loop_source **ret_source) MUST_CHECK;

/* Sends WATCHDOG=1 as systemd asks for it; does nothing where there is no watchdog. */
int loop_set_watchdog(struct loop *loop) MUST_CHECK;

struct loop_source *loop_source_free(struct loop_source *source);
void loop_source_freep(struct loop_source **source);
