/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/http/server.h"
#include "tests/support/unit.h"

START_TEST(port_0_is_any_free_one_and_a_taken_one_is_told)
{
	uint16_t port = 0, other;
	int fd = -1, second = -1;

	ck_assert_int_eq(server_listen_tcp("127.0.0.1", 0, &fd, &port), 0);
	ck_assert_uint_ne(port, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(server_listen_tcp("127.0.0.1", port, &second, &other), -EADDRINUSE);
	ck_assert_int_eq(second, -1);
	fd_close(fd);
}
END_TEST

START_TEST(a_host_that_is_not_here_is_an_error)
{
	uint16_t port;
	int fd = -1;

	ck_assert_int_eq(server_listen_tcp("192.0.2.1", 0, &fd, &port), -EADDRNOTAVAIL);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_a_live_one_is_not)
{
	char folder[] = "/tmp/zp-listen-XXXXXX";
	char path[64];
	struct stat status;
	int fd = -1, second = -1;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	ck_assert_int_eq(server_listen_unix(path, &fd), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0660);
	ck_assert_int_eq(server_listen_unix(path, &second), -EADDRINUSE);
	fd_close(fd);
	ck_assert_int_eq(server_listen_unix(path, &second), 0);
	fd_close(second);
	unlink(path);
	rmdir(folder);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
	char path[] = "/tmp/zp-listen-XXXXXX";
	char longest[256];
	int file = mkstemp(path);
	int fd = -1;

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(server_listen_unix(path, &fd), -EEXIST);
	ck_assert_int_eq(access(path, F_OK), 0);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(server_listen_unix(longest, &fd), -ENAMETOOLONG);
	ck_assert_int_eq(fd, -1);
	fd_close(file);
	unlink(path);
}
END_TEST

UNIT_MAIN(port_0_is_any_free_one_and_a_taken_one_is_told, a_host_that_is_not_here_is_an_error,
	  a_stale_socket_is_replaced_a_live_one_is_not, what_is_no_socket_is_left_alone)
