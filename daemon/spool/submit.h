/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util/macro.h"
#include "daemon/core/storage.h"
#include "daemon/spool/spool.h"

/*
 * A spec that comes over the control socket instead of incoming/: it gets the same pinned copy and
 * the same receipt in active/, both durable, before anybody is told that it was taken.
 */
struct submit_options {
	struct storage *storage;
	int jobs_dir_fd;   /* <state_dir>/jobs */
	int active_dir_fd; /* spool/active */
	struct spool_callbacks callbacks;
	const char *name_hint; /* what the client calls the spec; NULL or a path will do */
	const char *text;
	size_t len;
	uid_t uid;
};

/*
 * status 0: copy and receipt are there and `callbacks.claimed` took the job. -EINVAL: it did not,
 * error says why; another -errno: the storage failed. Then nothing is left behind.
 */
typedef void (*submit_done_fn)(void *userdata, int status, const char *id, const char *error);

/*
 * Copies the options. fn is called once, from the loop, not from in here; never if this fails, or
 * if the storage is freed first.
 */
int submit_start(const struct submit_options *options, submit_done_fn fn,
		 void *userdata) MUST_CHECK;
