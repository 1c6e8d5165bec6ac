/* SPDX-License-Identifier: MIT */
#include "common/util/atomic_file.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

static void read_file(int dirfd, const char *name, struct buf *buf)
{
	CLEANUP(fd_closep) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	buf_clear(buf);
	ck_assert_int_eq(fd_read_all(fd, SIZE_MAX, buf), 0);
}

static void assert_holds(int dirfd, const char *name, const char *text)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;

	read_file(dirfd, name, &buf);
	ck_assert_str_eq(buf_terminated(&buf), text);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL) {
		n++;
	}
	closedir(dir);
	return n - 2; /* "." and ".." */
}

START_TEST(a_write_makes_or_replaces_the_whole_file)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	struct stat st;

	tmpdir_init(&tmp);
	umask(077);
	ck_assert_int_eq(atomic_file_write(tmp.fd, "file", "long old text", 13, 0640), 0);
	assert_holds(tmp.fd, "file", "long old text");
	ck_assert_int_eq(atomic_file_write(tmp.fd, "file", "new", 3, 0644), 0);
	assert_holds(tmp.fd, "file", "new");
	ck_assert_int_eq(fstatat(tmp.fd, "file", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);
	ck_assert_int_eq(count_entries(tmp.path), 1);
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file_and_nothing_else)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	const struct rlimit limit = {.rlim_cur = 2, .rlim_max = RLIM_INFINITY};
	const struct rlimit no_limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

	tmpdir_init(&tmp);
	ck_assert_int_eq(atomic_file_write(tmp.fd, "file", "old", 3, 0600), 0);
	ck_assert_int_eq(mkdirat(tmp.fd, "folder", 0700), 0);
	ck_assert_int_eq(atomic_file_write(tmp.fd, "folder", "new", 3, 0600), -EISDIR);
	/* A limit on the size of files fails the write in its middle, as a full disk does. */
	sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(atomic_file_write(tmp.fd, "file", "newer", 5, 0600), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &no_limit), 0);
	assert_holds(tmp.fd, "file", "old");
	ck_assert_int_eq(count_entries(tmp.path), 2);
}
END_TEST

static void write_for_ever(int dirfd, char *bytes, size_t len)
{
	for (int letter = 0;; letter++) {
		memset(bytes, 'a' + letter % 26, len);
		if (atomic_file_write(dirfd, "file", bytes, len, 0600) < 0) {
			_exit(1);
		}
	}
}

/* A writer is killed again and again; whoever reads meanwhile finds 100,000 times one letter. */
START_TEST(replace_leaves_the_old_file_or_the_new)
{
	enum { N_BYTES = 100000, N_KILLS = 100 };
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	CLEANUP(buf_deinit) struct buf got = BUF_INIT;
	char *bytes = malloc(N_BYTES);

	tmpdir_init(&tmp);
	memset(bytes, 'a', N_BYTES);
	ck_assert_int_eq(atomic_file_write(tmp.fd, "file", bytes, N_BYTES, 0600), 0);
	for (int i = 0; i < N_KILLS; i++) {
		pid_t child = fork();

		if (child == 0) {
			write_for_ever(tmp.fd, bytes, N_BYTES);
		}
		for (int k = 0; k < i % 10; k++) {
			read_file(tmp.fd, "file", &got);
			ck_assert_uint_eq(got.len, N_BYTES);
			ck_assert_mem_eq(got.data, got.data + 1, N_BYTES - 1);
		}
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	}
	ck_assert_int_ge(atomic_file_sweep(tmp.fd), 0);
	ck_assert_int_eq(count_entries(tmp.path), 1);
	free(bytes);
}
END_TEST

START_TEST(a_sweep_removes_only_what_is_ours)
{
	static const char *const names[] = {".zp-0123456789abcdef.tmp",	 ".zp-0123456789abcdeX.tmp",
					    ".zp-0123456789abcdef.part", ".zp-0123456789abcde.tmp",
					    "zp-0123456789abcdef0.tmp",	 "file"};
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;

	tmpdir_init(&tmp);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		int fd = openat(tmp.fd, names[k], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		ck_assert_int_ge(fd, 0);
		fd_close(fd);
	}
	ck_assert_int_eq(atomic_file_sweep(tmp.fd), 1);
	ck_assert_int_eq(faccessat(tmp.fd, names[0], F_OK, 0), -1);
	ck_assert_int_eq(count_entries(tmp.path), ARRAY_SIZE(names) - 1);
	ck_assert_int_eq(atomic_file_sweep(tmp.fd), 0);
	ck_assert_int_eq(atomic_file_sweep(-1), -EBADF);
}
END_TEST

UNIT_MAIN(a_write_makes_or_replaces_the_whole_file,
	  a_failed_write_leaves_the_old_file_and_nothing_else,
	  replace_leaves_the_old_file_or_the_new, a_sweep_removes_only_what_is_ours)
