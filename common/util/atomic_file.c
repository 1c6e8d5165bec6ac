/* SPDX-License-Identifier: MIT */
/*
 * Write under another name, make it durable, rename. The temporary name is random, not made from
 * the target's: two writers of one file (an old process that hangs in an fsync, and its successor)
 * then never rename each other's half-written file, and a long target name can't make it too long.
 * The price is that a crash may leave a file that only a sweep can know as such.
 */
#include "common/util/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/str.h"

#define ATOMIC_FILE_PREFIX ".zp-"
#define ATOMIC_FILE_SUFFIX ".tmp"

enum {
	ATOMIC_FILE_N_DIGITS = 16,
	ATOMIC_FILE_NAME_LEN = 4 + ATOMIC_FILE_N_DIGITS + 4,
};

static int atomic_file_temporary_name(char ret_name[static ATOMIC_FILE_NAME_LEN + 1])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
		return -errno;
	}
	snprintf(ret_name, ATOMIC_FILE_NAME_LEN + 1,
		 ATOMIC_FILE_PREFIX "%016" PRIx64 ATOMIC_FILE_SUFFIX, number);
	return 0;
}

static bool atomic_file_is_temporary(const char *name)
{
	return strlen(name) == ATOMIC_FILE_NAME_LEN && str_starts_with(name, ATOMIC_FILE_PREFIX) &&
	       strspn(name + 4, "0123456789abcdef") == ATOMIC_FILE_N_DIGITS &&
	       str_ends_with(name, ATOMIC_FILE_SUFFIX);
}

static int atomic_file_fill(int fd, const void *data, size_t len, mode_t mode)
{
	int r = fd_write_all(fd, data, len);

	if (r < 0) {
		return r;
	}
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0) {
		return -errno;
	}
	return 0;
}

int atomic_file_write(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	char temporary[ATOMIC_FILE_NAME_LEN + 1];
	CLEANUP(fd_closep) int fd = -1;
	int r;

	r = atomic_file_temporary_name(temporary);
	if (r < 0) {
		return r;
	}
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		return -errno;
	}
	r = atomic_file_fill(fd, data, len, mode);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0) {
		r = -errno;
	}
	if (r < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return r;
	}
	return fsync(dirfd) < 0 ? -errno : 0;
}

int atomic_file_sweep(int dirfd)
{
	int fd, n_removed = 0, r = 0;
	struct dirent *entry;
	DIR *dir;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	dir = fdopendir(fd);
	if (dir == NULL) {
		r = -errno;
		fd_close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		if (!atomic_file_is_temporary(entry->d_name)) {
			continue;
		}
		if (unlinkat(dirfd, entry->d_name, 0) < 0) {
			r = -errno;
		} else {
			n_removed++;
		}
	}
	if (r == 0 && errno != 0) {
		r = -errno;
	}
	closedir(dir);
	return r < 0 ? r : n_removed;
}
