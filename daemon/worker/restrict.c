/* SPDX-License-Identifier: MIT */
/*
 * Landlock judges paths and the filter calls; neither can do the other's part. The order is the
 * kernel's: both want no_new_privs first, and the filter refuses the calls of Landlock.
 *
 * The storage process moves files from one folder to another, which the first version of Landlock
 * refuses altogether: there it goes without.
 *
 * Under the sanitizers a process reads its own /proc and, for the names in their reports, programs
 * and libraries.
 */
#include "daemon/worker/restrict.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

#include "build_config.h"
#include "common/util/fd.h"
#include "common/util/log.h"

static uint64_t access_of(enum syscall_filter mode)
{
	switch (mode) {
	case SYSCALL_FILTER_CONVERT:
		return landlock_reading;
	case SYSCALL_FILTER_PREPARE:
		return landlock_reading | landlock_listing;
	default:
		return landlock_keeping;
	}
}

/* What may pass is reported by the reason that has the job tried again. */
static enum job_reason reason_of(int error)
{
	bool is_passing = error == -ENOMEM || error == -EMFILE || error == -ENFILE;

	return is_passing ? JOB_REASON_IO_ERROR : JOB_REASON_INTERNAL;
}

static int fail(struct report *report, const char *what, int error)
{
	return report_set(report, reason_of(error),
			  "the worker cannot restrict itself, and refuses to work: %s: %s", what,
			  strerror(-error));
}

#if ZOOPARALLEL_IS_SANITIZED
static int allow_sanitizers(const struct restriction *restriction)
{
	static const char *const folders[] = {"/proc/self", "/usr"};
	static const char program[] = "/proc/self/exe";

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		CLEANUP(fd_closep) int fd = open(folders[i], O_PATH | O_CLOEXEC);
		int r = fd < 0 ? -errno
			       : landlock_allow(&restriction->landlock, fd,
						landlock_reading | landlock_listing);

		if (r < 0) {
			return r;
		}
	}
	CLEANUP(fd_closep) int fd = open(program, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : landlock_allow(&restriction->landlock, fd, landlock_reading);
}
#else
static int allow_sanitizers(const struct restriction *restriction)
{
	return 0;
}
#endif

/* Each job says it once, however many workers it has. */
static int level_of_lack(enum syscall_filter mode)
{
	return mode == SYSCALL_FILTER_PREPARE ? LOG_LEVEL_NOTICE : LOG_LEVEL_DEBUG;
}

int restrict_init(enum syscall_filter mode, struct restriction *ret_restriction,
		  struct report *report)
{
	unsigned min_abi = mode == SYSCALL_FILTER_STORAGE ? LANDLOCK_ABI_THAT_MOVES_FILES : 1;

	*ret_restriction = (struct restriction){.mode = mode, .landlock = LANDLOCK_INIT};
	int r = landlock_open(min_abi, &ret_restriction->landlock);
	if (r == LANDLOCK_IS_MISSING) {
		log_job(level_of_lack(mode), NULL, -1,
			"this kernel has no Landlock: paths are judged by permissions alone");
		return 0;
	}
	if (r == 0) {
		r = allow_sanitizers(ret_restriction);
	}
	if (r < 0) {
		restrict_deinit(ret_restriction);
		return fail(report, "no Landlock rules", r);
	}
	return 0;
}

bool restrict_has_rules(const struct restriction *restriction)
{
	return restriction->landlock.rules_fd >= 0;
}

int restrict_allow(const struct restriction *restriction, int fd, struct report *report)
{
	if (!restrict_has_rules(restriction)) {
		return 0;
	}
	int r = landlock_allow(&restriction->landlock, fd, access_of(restriction->mode));
	return r < 0 ? fail(report, "a Landlock rule", r) : 0;
}

int restrict_enter(struct restriction *restriction, struct report *report)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		return fail(report, "no_new_privs", -errno);
	}
	int r = restrict_has_rules(restriction) ? landlock_enter(&restriction->landlock) : 0;
	if (r < 0) {
		return fail(report, "Landlock", r);
	}
	landlock_close(&restriction->landlock);
	r = syscall_filter_enter(restriction->mode, restriction->refused, restriction->userdata);
	if (r == SYSCALL_FILTER_IS_MISSING) {
		log_job(level_of_lack(restriction->mode), NULL, -1,
			"no filter of system calls: this kernel or this build has none");
		return 0;
	}
	return r < 0 ? fail(report, "the filter of system calls", r) : 0;
}

void restrict_deinit(struct restriction *restriction)
{
	landlock_close(&restriction->landlock);
}
