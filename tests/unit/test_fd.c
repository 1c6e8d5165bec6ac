/* SPDX-License-Identifier: MIT */
#include "common/util/fd.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

static bool is_cloexec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

START_TEST(closing_keeps_errno_and_gives_no_fd)
{
	int fd = dup(0);

	errno = EXDEV;
	ck_assert_int_eq(fd_close(fd), -1);
	ck_assert_int_eq(fd_close(-1), -1);
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* More than a pipe holds: the writer must go on after short writes. */
START_TEST(a_pipe_takes_all_bytes_in_pieces)
{
	enum { N_BYTES = 1 << 20 };
	CLEANUP(buf_deinit) struct buf got = BUF_INIT;
	char *bytes = malloc(N_BYTES);
	int ends[2], status;
	pid_t child;

	for (size_t i = 0; i < N_BYTES; i++) {
		bytes[i] = (char)(i * 7 + i / 251);
	}
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		_exit(fd_write_all(ends[1], bytes, N_BYTES) == 0 ? 0 : 1);
	}
	close(ends[1]);
	ck_assert_int_eq(fd_read_all(ends[0], N_BYTES, &got), 0);
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(got.len, N_BYTES);
	ck_assert_mem_eq(got.data, bytes, N_BYTES);
	free(bytes);
}
END_TEST

START_TEST(errors_come_back_as_negative_errno)
{
	char byte;

	ck_assert_int_eq(fd_write_all(-1, "x", 1), -EBADF);
	ck_assert_int_eq(fd_pwrite_all(-1, "x", 1, 0), -EBADF);
	ck_assert_int_eq(fd_pread_full(-1, &byte, 1, 0), -EBADF);
	ck_assert_int_eq(fd_set_cloexec(-1, 1), -EBADF);
	ck_assert_int_eq(fd_write_all(-1, NULL, 0), 0);
}
END_TEST

START_TEST(pread_is_short_only_at_the_end_of_the_file)
{
	CLEANUP(fd_closep) int fd = fd_memfd("test", "0123456789", 10);
	char got[16] = "";

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_pread_full(fd, got, 4, 2), 4);
	ck_assert_mem_eq(got, "2345", 4);
	ck_assert_int_eq(fd_pread_full(fd, got, 16, 7), 3);
	ck_assert_mem_eq(got, "789", 3);
	ck_assert_int_eq(fd_pread_full(fd, got, 16, 10), 0);
	ck_assert_int_eq(fd_pwrite_all(fd, "XY", 2, 9), 0);
	ck_assert_int_eq(fd_pread_full(fd, got, 16, 8), 3);
	ck_assert_mem_eq(got, "8XY", 3);
}
END_TEST

START_TEST(reading_all_stops_beyond_its_limit)
{
	CLEANUP(fd_closep) int fd = fd_memfd("test", "0123456789", 10);
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;

	buf_add_str(&buf, "old");
	ck_assert_int_eq(fd_read_all(fd, 9, &buf), -EFBIG);
	ck_assert_str_eq(buf_terminated(&buf), "old");
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(fd_read_all(fd, 10, &buf), 0);
	ck_assert_str_eq(buf_terminated(&buf), "old0123456789");
	ck_assert_int_eq(fd_read_all(fd, 0, &buf), 0);
	ck_assert_int_eq(lseek(fd, 5, SEEK_SET), 5);
	ck_assert_int_eq(fd_read_all(fd, SIZE_MAX, &buf), 0);
	ck_assert_str_eq(buf_terminated(&buf), "old012345678956789");
}
END_TEST

START_TEST(nothing_leads_out_from_beneath)
{
	static const struct {
		const char *path;
		int error;
	} bad[] = {{"..", EXDEV},	   {"../x", EXDEV},	{"sub/../../x", EXDEV},
		   {"/etc/passwd", EXDEV}, {"link", ELOOP},	{"linked/file", ELOOP},
		   {"absolute", ELOOP},	   {"missing", ENOENT}, {"sub/file/x", ENOTDIR}};
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	int fd;

	tmpdir_init(&tmp);
	ck_assert_int_eq(mkdirat(tmp.fd, "sub", 0700), 0);
	fd = fd_open_beneath(tmp.fd, "sub/file", O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	fd_close(fd);
	ck_assert_int_eq(symlinkat("sub/file", tmp.fd, "link"), 0);
	ck_assert_int_eq(symlinkat("sub", tmp.fd, "linked"), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", tmp.fd, "absolute"), 0);
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
		ck_assert_msg(fd_open_beneath(tmp.fd, bad[k].path, O_RDONLY, 0) == -bad[k].error,
			      "%s", bad[k].path);
	}
	fd = fd_open_beneath(tmp.fd, "sub/../sub/./file", O_RDONLY, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert(is_cloexec(fd));
	fd_close(fd);
}
END_TEST

START_TEST(cloexec_goes_on_and_off)
{
	CLEANUP(fd_closep) int fd = fd_memfd("test", "", 0);

	ck_assert(is_cloexec(fd));
	ck_assert_int_eq(fd_set_cloexec(fd, 0), 0);
	ck_assert(!is_cloexec(fd));
	ck_assert_int_eq(fd_set_cloexec(fd, 1), 0);
	ck_assert(is_cloexec(fd));
}
END_TEST

/* It may come back, unlike the room of a disk. */
START_TEST(what_a_memfd_lacks_is_memory)
{
	struct rlimit before;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct rlimit none = {.rlim_cur = 1, .rlim_max = before.rlim_max};
	ck_assert_int_eq(sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	int fd = fd_memfd("test", "0123456789", 10);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(fd, -ENOMEM);
}
END_TEST

UNIT_MAIN(closing_keeps_errno_and_gives_no_fd, a_pipe_takes_all_bytes_in_pieces,
	  errors_come_back_as_negative_errno, pread_is_short_only_at_the_end_of_the_file,
	  reading_all_stops_beyond_its_limit, nothing_leads_out_from_beneath,
	  cloexec_goes_on_and_off, what_a_memfd_lacks_is_memory)
