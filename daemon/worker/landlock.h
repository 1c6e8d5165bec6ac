/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/macro.h"

/*
 * Landlock (landlock(7)): a process gives up rights for good, all those of ours that the running
 * kernel knows. What a ruleset does not allow is refused: a path with EACCES, a connection with
 * EACCES, a signal to a process outside with EPERM. Descriptors that are open already stay as they
 * are.
 */

enum { LANDLOCK_IS_MISSING = 1 };

struct landlock {
	int rules_fd;	 /* -1: there are none */
	uint64_t access; /* what the rules are about, LANDLOCK_ACCESS_FS_* */
};

#define LANDLOCK_INIT                                                                              \
	{                                                                                          \
		.rules_fd = -1                                                                     \
	}

/* Until then a file could not be moved from one folder to another, whatever was allowed. */
#define LANDLOCK_ABI_THAT_MOVES_FILES 2

/* What may be allowed; bits of struct landlock_path_beneath_attr. */
extern const uint64_t landlock_reading; /* of files */
extern const uint64_t landlock_listing; /* of folders */
extern const uint64_t landlock_keeping; /* all but to run programs and to control devices */

/*
 * An empty ruleset: it allows nothing. Returns 0, -errno, or LANDLOCK_IS_MISSING if the kernel has
 * no Landlock or one that is older than min_abi.
 */
int landlock_open(unsigned min_abi, struct landlock *ret_landlock) MUST_CHECK;

/* Allows `access` to the file fd, or below the folder fd (O_PATH is enough). 0 or -errno. */
int landlock_allow(const struct landlock *landlock, int fd, uint64_t access) MUST_CHECK;

/* From here on the rules hold; needs no_new_privs. 0 or -errno. */
int landlock_enter(const struct landlock *landlock) MUST_CHECK;

void landlock_close(struct landlock *landlock);
