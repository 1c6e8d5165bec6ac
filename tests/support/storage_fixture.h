/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A temporary folder, a loop and a storage process for unit tests. The process is the test program
 * itself: its main begins with `if (argc > 1) { return storage_main(argc - 2, argv + 2); }`.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"
#include "daemon/worker/storage_main.h"
#include "tests/support/unit.h"

struct fixture {
	char path[64];
	int dir_fd, program_fd;
	int n_fds_before;
	struct loop *loop;
	struct storage *storage;
};

static struct fixture fixture;

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

static inline void fixture_setup(void)
{
	fixture.n_fds_before = count_fds();
	strncpy(fixture.path, "/tmp/zp-test-XXXXXX", sizeof(fixture.path));
	ck_assert_ptr_nonnull(mkdtemp(fixture.path));
	fixture.dir_fd = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fixture.program_fd, 0);
	ck_assert_int_eq(loop_new(&fixture.loop), 0);
	ck_assert_int_eq(storage_new(fixture.loop, fixture.program_fd, &fixture.storage), 0);
}

static inline void fixture_teardown(void)
{
	storage_free(fixture.storage);
	loop_free(fixture.loop);
	remove_all(fixture.dir_fd);
	fd_close(fixture.dir_fd);
	fd_close(fixture.program_fd);
	rmdir(fixture.path);
	ck_assert_int_eq(count_fds(), fixture.n_fds_before);
}

static inline void fixture_on_reply(void *userdata, const struct storage_reply *reply)
{
	*(struct storage_reply *)userdata = *reply;
	loop_exit(fixture.loop, 0);
}

/* Submits, runs the loop until the answer is there, gives it back. */
static inline struct storage_reply ask(struct storage_request request, const int *fds, unsigned n)
{
	struct storage_reply reply = {.status = 1};
	request.n_fds = n;
	ck_assert_int_eq(storage_submit(fixture.storage, &request, fds, fixture_on_reply, &reply),
			 0);
	ck_assert_int_eq(reply.status, 1);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	return reply;
}

static inline struct storage_request request_of(enum storage_op op, const char *name,
						const char *to_name)
{
	struct storage_request request;
	ck_assert_int_eq(storage_request_init(&request, op, name, to_name), 0);
	return request;
}

/* The storage process: our only child; 0 if there is none. */
static inline pid_t storage_pid(void)
{
	char path[64], text[64] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	char *got = fgets(text, sizeof(text), file);
	fclose(file);
	uint64_t pid = 0;
	text[strcspn(text, " ")] = '\0';
	return got && num_parse_u64(text, &pid) == 0 ? (pid_t)pid : 0;
}
