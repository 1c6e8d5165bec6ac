/* SPDX-License-Identifier: MIT */
/*
 * How far did a commit come that was cut off? The record names each file's inode, and a rename
 * keeps it: so an inode under its temporary name was not renamed, under its target's name it was,
 * and under neither it is lost (someone replaced the target, or took it away; nothing tells us
 * whether it was whole). The device is not compared: its number may change at a reboot.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/util/fd.h"
#include "daemon/sched/commit.h"

/* 1: the path is that file; 0: it is another or none; -errno. */
static int is_file(int root_fd, const char *path, const struct commit_file *file)
{
	CLEANUP(fd_closep) int fd = fd_open_beneath(root_fd, path, O_PATH | O_NOFOLLOW, 0);
	struct stat st;
	if (fd < 0) {
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
	}
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	return S_ISREG(st.st_mode) && st.st_ino == file->inode &&
	       (uint64_t)st.st_size == file->size_bytes;
}

/* 1: to be renamed; 0: was renamed; -ENOENT: it is lost, which no look ends with; -errno. */
static int recover_file(const struct commit_file *file, const int *root_fds, size_t n_roots)
{
	if (file->root >= n_roots) {
		return -ENOENT; /* the configuration has changed since */
	}
	int r = is_file(root_fds[file->root], file->temporary, file);
	if (r != 0) {
		return r;
	}
	r = is_file(root_fds[file->root], file->target, file);
	return r == 0 ? -ENOENT : r < 0 ? r : 0;
}

int commit_recover(const struct commit_record *record, const int *root_fds, size_t n_roots)
{
	int n_left = 0;
	for (size_t i = 0; i < record->n_files; i++) {
		int r = recover_file(&record->files[i], root_fds, n_roots);
		if (r < 0) {
			return r;
		}
		n_left += r;
	}
	return n_left > 0 ? 1 : 0;
}
