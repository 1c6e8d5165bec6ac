/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "common/util/buf.h"
#include "common/util/macro.h"

/* Other programs: where they are, and what they say. */

/*
 * zooparalleld, beside this program (the build folder) or in ../sbin (an installation). *ret_path
 * is the caller's. 0, -ENOENT, -ENOMEM or -errno.
 */
int program_find_daemon(char **ret_path) MUST_CHECK;

/* What a program has said before it ended. */
struct program_result {
	int status;	/* of waitpid(2) */
	struct buf out; /* its stdout, and its stderr */
	struct buf err;
};

#define PROGRAM_RESULT_INIT ((struct program_result){0})
void program_result_deinit(struct program_result *result);

/*
 * Runs argv (argv[0] is looked for in PATH), its stdin is /dev/null. It is killed when timeout_ns
 * have passed or when it says more than PROGRAM_MAX_BYTES. 0: it has ended by itself; -ENOENT:
 * there is no such program; -ETIMEDOUT, -EFBIG, -ENOMEM or -errno.
 */
enum { PROGRAM_MAX_BYTES = 1024 * 1024 };
int program_run(char *const *argv, int64_t timeout_ns, struct program_result *ret) MUST_CHECK;
