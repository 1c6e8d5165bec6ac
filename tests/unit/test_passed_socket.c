/* SPDX-License-Identifier: MIT */
/*
 * Sockets as a service manager passes them: from descriptor 3 on, told by three variables. Check
 * has descriptors of its own there, so each scenario runs in a child that says with its exit code
 * which line of it failed.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/log.h"
#include "daemon/core/passed_socket.h"
#include "tests/support/unit.h"

#define FIRST 3

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			_exit(__LINE__ - FIRST_LINE);                                              \
		}                                                                                  \
	} while (0)
#define FIRST_LINE 30

static void run_in_child(void (*scenario)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		close_range(FIRST, ~0U, 0);
		scenario();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0) {
		ck_abort_msg("line %d", WEXITSTATUS(status) + FIRST_LINE);
	}
}

static void open_tcp(bool is_listening)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	REQUIRE(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	REQUIRE(!is_listening || listen(fd, 1) == 0);
}

static void announce(const char *count, const char *names)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void pass_none(void)
{
	int fd = 77;

	REQUIRE(passed_socket_take("http", &fd) == 0);
	REQUIRE(fd == -1);
}

START_TEST(none_passed_is_no_error)
{
	run_in_child(pass_none);
}
END_TEST

static void pass_three(void)
{
	int fd = -1;

	open_tcp(true);
	open_tcp(true);
	open_tcp(true);
	announce("3", "other:http:http");
	REQUIRE(passed_socket_take("http", &fd) == 0);
	REQUIRE(fd == FIRST + 1);
	REQUIRE(!is_open(FIRST) && !is_open(FIRST + 2));
	REQUIRE((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	REQUIRE((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	REQUIRE(getenv("LISTEN_FDS") == NULL);
}

START_TEST(the_named_one_is_taken_and_the_others_are_closed)
{
	run_in_child(pass_three);
}
END_TEST

static void pass_to_another(void)
{
	int fd = 77;

	open_tcp(true);
	announce("1", "http");
	setenv("LISTEN_PID", "1", 1);
	REQUIRE(passed_socket_take("http", &fd) == 0);
	REQUIRE(fd == -1);
	REQUIRE(is_open(FIRST));
}

START_TEST(what_is_meant_for_another_process_is_left_alone)
{
	run_in_child(pass_to_another);
}
END_TEST

static void check_refused(void)
{
	int fd = 77;

	announce("1", "http");
	REQUIRE(passed_socket_take("http", &fd) == -EINVAL);
	REQUIRE(fd == 77);
	REQUIRE(!is_open(FIRST));
}

static void pass_one_that_does_not_listen(void)
{
	open_tcp(false);
	check_refused();
}

static void pass_datagrams(void)
{
	REQUIRE(socket(AF_INET, SOCK_DGRAM, 0) == FIRST);
	check_refused();
}

static void pass_unix(void)
{
	REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == FIRST);
	check_refused();
}

static void pass_no_socket(void)
{
	REQUIRE(open("/dev/null", O_RDWR | O_CLOEXEC) == FIRST);
	check_refused();
}

START_TEST(what_is_no_listening_tcp_socket_is_refused)
{
	run_in_child(pass_one_that_does_not_listen);
	run_in_child(pass_datagrams);
	run_in_child(pass_unix);
	run_in_child(pass_no_socket);
}
END_TEST

static void pass_many(void)
{
	int fd = 77;

	announce("many", "http");
	REQUIRE(passed_socket_take("http", &fd) < 0);
	REQUIRE(fd == 77);
}

START_TEST(a_count_that_is_no_number_is_an_error)
{
	run_in_child(pass_many);
}
END_TEST

UNIT_MAIN(none_passed_is_no_error, the_named_one_is_taken_and_the_others_are_closed,
	  what_is_meant_for_another_process_is_left_alone,
	  what_is_no_listening_tcp_socket_is_refused, a_count_that_is_no_number_is_an_error)
