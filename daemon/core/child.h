/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util/macro.h"

/*
 * Starts a `zooparallel-worker`: fork and exec with exactly the descriptors named, placed from 3
 * on in the order given; 0 is /dev/null, 1 and 2 are the supervisor's stderr. The signal mask and
 * dispositions are reset, the child dies with this process. argv[0] is filled in.
 */
struct child_spec {
	const char *const *argv; /* mode and arguments, NULL-terminated, e.g. {"storage", NULL} */
	const int *fds;
	size_t n_fds;
};

/*
 * Finds the worker's program: beside this executable (uninstalled), else in libexecdir. Returns 0
 * with an O_PATH descriptor that exec uses from then on, or -errno with nothing set.
 */
int child_find_program(int *ret_program_fd) MUST_CHECK;

/*
 * A number that tells one build of the program from another: the checksum of its bytes, never 0.
 * (Libraries that the rows depend on will have to be counted in as they come.) Returns 0 or -errno.
 */
int child_program_id(int program_fd, uint64_t *ret_id) MUST_CHECK;

/*
 * Returns 0 and the pid of a child that has exec'ed, or -errno of the call that failed (EMFILE,
 * EAGAIN, ENOMEM, ENOENT...): a failing exec is told here, not by a child that dies.
 */
int child_spawn(int program_fd, const struct child_spec *spec, pid_t *ret_pid) MUST_CHECK;
