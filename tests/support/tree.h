/* SPDX-License-Identifier: MIT */
#pragma once

/* A temporary folder for unit tests, and files in it. Leaked descriptors fail the test. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/str.h"

struct tree {
	char path[32];
	int dir_fd;
	int n_fds_before;
};

static inline int count_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir)) {
		n++;
	}
	closedir(dir);
	return n;
}

static inline int make_dir(int dir_fd, const char *name)
{
	ck_assert(mkdirat(dir_fd, name, 0755) == 0 || errno == EEXIST);
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static inline void make_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	fd_close(fd);
}

/* The file's text, to be freed; NULL if there is no such file. */
static inline char *file_text(int dir_fd, const char *name)
{
	struct buf buf = BUF_INIT;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return NULL;
	}
	ck_assert_int_eq(fd_read_all(fd, 1 << 28, &buf), 0);
	fd_close(fd);
	return buf_take(&buf);
}

static inline bool file_exists(int dir_fd, const char *name)
{
	struct stat st;
	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void assert_file(int dir_fd, const char *name, const char *expected)
{
	char *text = file_text(dir_fd, name);
	ck_assert_msg(text != NULL, "%s is missing", name);
	ck_assert_str_eq(text, expected);
	free(text);
}

/* Entries without "." and "..". */
static inline int count_entries(int dir_fd)
{
	int n = -2, fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir)) {
		n++;
	}
	closedir(dir);
	return n;
}

static inline void remove_all(int dir_fd)
{
	struct dirent *entry;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..")) {
			continue;
		}
		if (unlinkat(dir_fd, entry->d_name, 0) == 0) {
			continue;
		}
		int sub = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub >= 0) {
			remove_all(sub);
			close(sub);
		}
		unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static inline void tree_setup(struct tree *tree)
{
	tree->n_fds_before = count_fds();
	/* Not on a disk if possible: thousands of fsyncs would take minutes. */
	snprintf(tree->path, sizeof(tree->path), "/dev/shm/zp-test-XXXXXX");
	if (!mkdtemp(tree->path)) {
		snprintf(tree->path, sizeof(tree->path), "/tmp/zp-test-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(tree->path));
	}
	tree->dir_fd = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(tree->dir_fd, 0);
}

static inline void tree_teardown(struct tree *tree)
{
	remove_all(tree->dir_fd);
	fd_close(tree->dir_fd);
	rmdir(tree->path);
	ck_assert_int_eq(count_fds(), tree->n_fds_before);
}
