/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/util/macro.h"

/* A pidfd (CLOEXEC) or -errno. */
int process_pidfd_open(pid_t pid) MUST_CHECK;

/*
 * The functions below read /proc; pid 0 is the caller itself. -ESRCH: no such process (or it is
 * gone, all but its entry); -EPROTO: the text is not as proc(5) says.
 */

/* Field 22 of /proc/PID/stat: clock ticks from boot to the start. With the pid it names a process.
 */
int process_start_ticks(pid_t pid, uint64_t *ret_ticks) MUST_CHECK;

/* Field 3 of /proc/PID/stat: 'R', 'S', 'D', 'T' (stopped by a signal), ... */
int process_state(pid_t pid, char *ret_state) MUST_CHECK;

/* The resident set, from /proc/PID/statm; some 10 us. */
int process_resident_bytes(pid_t pid, int64_t *ret_bytes) MUST_CHECK;

/*
 * The same of this process, from its statm that was opened before, for who may open nothing any
 * more. process_resident_open: a descriptor or -errno.
 */
int process_resident_open(void) MUST_CHECK;
int process_resident_read(int statm_fd, int64_t *ret_bytes) MUST_CHECK;

/* The proportional set (shared pages divided by their users), from smaps_rollup; some 100 us. */
int process_proportional_bytes(pid_t pid, int64_t *ret_bytes) MUST_CHECK;

enum { PROCESS_BOOT_ID_SIZE = 37 };

/* The kernel's name of this boot: 36 characters and a NUL. */
int process_boot_id(char ret_id[static PROCESS_BOOT_ID_SIZE]) MUST_CHECK;

/*
 * Raises the soft limit of open files to the hard one: that is the administrator's, while the soft
 * one only guards users of select(2). 0 or -errno.
 */
int process_raise_file_limit(void) MUST_CHECK;
