/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/macro.h"
#include "daemon/core/storage.h"

struct config;

/*
 * The directories that the daemon works in, opened once at start. Everything is reached through
 * these descriptors from then on, so a directory that is moved or replaced later is not followed.
 */
struct directories {
	int *roots; /* n_roots data roots, in the configuration's order */
	size_t n_roots;
	char *problem; /* one line about roots that a sandbox keeps read-only, or NULL */
	int spool;
	int state;
	int jobs; /* <state_dir>/jobs */
	int run;
	int run_jobs; /* <run_dir>/jobs */
	/* All of these: the roots, and behind them spool, state and run; shares their memory. */
	struct storage_reach reach;
	/* <state_dir>/lock and <run_dir>/lock, held while we live: one daemon to each. */
	int lock;
	int run_lock;
};

struct directories_error {
	char message[512]; /* one line that names the path and what to do */
};

/*
 * Opens them all and creates those of our own that are missing (spool 0770, state and run 0750; a
 * data root must exist; that jobs may only read there is none of our business, unless it is the
 * unit that keeps them from writing). Returns 0; -EBUSY if another daemon holds the lock; -errno,
 * with a message.
 */
int directories_open(const struct config *config, struct directories *ret_directories,
		     struct directories_error *ret_error) MUST_CHECK;

void directories_close(struct directories *directories);
