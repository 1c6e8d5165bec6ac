/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/ctl/progress.h"
#include "daemon/ctl/run_daemon.h"

/* Watches a private daemon until it has ended, and stops it early where that is wanted. */

struct run_watch {
	struct run_daemon *daemon;
	struct progress *progress;
	const char *socket_path;
	int signal_fd;	     /* of the signals that mean "stop" */
	int64_t deadline_ns; /* CLOCK_MONOTONIC; INT64_MAX: none */
};

/* Why it was stopped, if it was. */
enum run_end {
	RUN_END_BY_ITSELF,
	RUN_END_INTERRUPTED,
	RUN_END_TIMED_OUT,
};

/*
 * Blocks the signals that mean "stop" and gives a signalfd (CLOEXEC) for them, or -errno. Before
 * anything that must not be left behind.
 */
int run_watch_open_signals(void) MUST_CHECK;

/* The daemon is reaped when this returns. An enum run_end or -errno. */
int run_watch(const struct run_watch *watch) MUST_CHECK;
