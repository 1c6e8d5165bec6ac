/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Calls of the storage process that fail: syncs of the folder "data" of the fixture, and renames
 * to a name that is stuck. The process is this program, so functions of it stand before those of
 * the C library.
 */
#include "tests/support/storage_killer.h"

#include <sys/syscall.h>

#define SYNC_ENV      "ZOOPARALLEL_TEST_SYNC"	   /* a file that grows by a byte a fault */
#define SYNC_ENV_N    "ZOOPARALLEL_TEST_SYNC_N"	   /* how many there are to be */
#define SYNC_ENV_KILL "ZOOPARALLEL_TEST_SYNC_KILL" /* the process dies instead */

/* By its inode: a storage process may look at paths, but not at the links in /proc. */
static inline bool is_data_dir(int fd, const char *beside)
{
	char path[256];
	struct stat st, data;
	snprintf(path, sizeof(path), "%.*s/data", (int)(strrchr(beside, '/') - beside), beside);
	return fstat(fd, &st) == 0 && stat(path, &data) == 0 && st.st_ino == data.st_ino;
}

static inline bool is_sync_to_fail(int fd)
{
	uint64_t n = 0;
	struct stat st;
	const char *name = getenv(SYNC_ENV);
	if (!name || num_parse_u64(getenv(SYNC_ENV_N), &n) < 0 || !is_data_dir(fd, name)) {
		return false;
	}
	CLEANUP(fd_closep) int count_fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	return count_fd >= 0 && fstat(count_fd, &st) == 0 && (uint64_t)st.st_size < n &&
	       fd_write_all(count_fd, "x", 1) == 0;
}

/* Stands before the C library's: the directory of the targets cannot be synced. */
int fsync(int fd)
{
	if (is_sync_to_fail(fd)) {
		if (getenv(SYNC_ENV_KILL)) {
			raise(SIGKILL);
		}
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static inline void fail_syncs(unsigned n, bool is_kill)
{
	char text[16], name[64];
	snprintf(text, sizeof(text), "%u", n);
	snprintf(name, sizeof(name), "%s/syncs", fixture.tree.path);
	make_file(fixture.dir_fd, "syncs", "");
	setenv(SYNC_ENV, name, 1);
	setenv(SYNC_ENV_N, text, 1);
	if (is_kill) {
		setenv(SYNC_ENV_KILL, "1", 1);
	} else {
		unsetenv(SYNC_ENV_KILL);
	}
}

#define STUCK_FILE "stuck" /* names in its text the file that cannot be put in place beside it */

static inline bool is_stuck(int dir_fd, const char *name)
{
	char text[64] = "";
	CLEANUP(fd_closep) int fd = openat(dir_fd, STUCK_FILE, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && fd_pread_full(fd, text, sizeof(text) - 1, 0) >= 0 &&
	       strcmp(text, name) == 0;
}

/* Stands before the C library's. */
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (is_stuck(to_fd, to)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
