/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/ctl/run_tree.h"

/* The zooparalleld of one `zooparallel run`. */
struct run_daemon {
	pid_t pid; /* 0: none */
	int pid_fd;
	int status; /* of waitpid(2), once reaped */
};

#define RUN_DAEMON_INIT ((struct run_daemon){.pid_fd = -1})

/*
 * Starts `zooparalleld --once` of the same build on the tree. It ignores the terminal's signals
 * (a process group of its own), gets SIGTERM if this process dies, and logs into the tree.
 * 0; -ENOENT if there is no zooparalleld beside this program; -errno.
 */
int run_daemon_start(const struct run_tree *tree, const char *data_root, char *const *settings,
		     size_t n_settings, struct run_daemon *ret_daemon) MUST_CHECK;

void run_daemon_kill(const struct run_daemon *daemon, int signal_number);

/* Waits for its end as long as it takes and fills in the status. */
void run_daemon_reap(struct run_daemon *daemon);

/* SIGKILL and reap if it is still there. Fit for CLEANUP. */
void run_daemon_deinit(struct run_daemon *daemon);
