/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/api.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

static void check_escape(const char *text, const char *expected)
{
	CLEANUP(free_p) char *escaped = api_escape(text);

	ck_assert_str_eq(escaped, expected);
}

static void check_problem(const char *body, const char *expected)
{
	CLEANUP(api_reply_deinit)
	struct api_reply reply = {.status = 418, .body = json_loads(body, 0, NULL)};
	char text[64];

	api_problem_text(&reply, text, sizeof(text));
	ck_assert_str_eq(text, expected);
}

/* A socket that listens at `path`; what connects to it is never answered. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

START_TEST(an_id_cannot_change_the_route)
{
	check_escape("20261122T101502123Z", "20261122T101502123Z");
	check_escape("../../status?x=1#y", "..%2F..%2Fstatus%3Fx%3D1%23y");
	check_escape("a b\r\n%00", "a%20b%0D%0A%2500");
	check_escape("\xc3\xa4", "%C3%A4");
	check_escape("", "");
}
END_TEST

START_TEST(a_problem_is_told_by_its_detail_then_its_title_then_its_status)
{
	check_problem("{\"title\":\"Not Found\",\"detail\":\"There is no job x.\"}",
		      "There is no job x.");
	check_problem("{\"title\":\"Not Found\",\"detail\":\"\"}", "Not Found");
	check_problem("{\"detail\":7}", "the daemon answered with HTTP status 418");
	check_problem("not JSON", "the daemon answered with HTTP status 418");
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_refused)
{
	struct api *api;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(api_open(path, &api), -EINVAL);
	ck_assert_int_eq(api_open("", &api), -EINVAL);
}
END_TEST

START_TEST(nobody_there_is_told_from_nobody_answering)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	CLEANUP(api_closep) struct api *api = NULL;
	struct api_reply reply;
	char path[100];
	int fd;

	tmpdir_init(&tmp);
	snprintf(path, sizeof(path), "%s/sock", tmp.path);
	ck_assert_int_eq(api_open(path, &api), 0);
	ck_assert_int_eq(api_get(api, "/api/v1/jobs", CLOCK_NS_PER_SEC, &reply), -ECONNREFUSED);
	fd = listen_at(path);
	ck_assert_int_eq(api_get(api, "/api/v1/jobs", 50 * CLOCK_NS_PER_MS, &reply), -ETIMEDOUT);
	fd_close(fd);
	ck_assert_int_eq(api_get(api, "/api/v1/jobs", CLOCK_NS_PER_SEC, &reply), -ECONNREFUSED);
}
END_TEST

UNIT_MAIN(an_id_cannot_change_the_route,
	  a_problem_is_told_by_its_detail_then_its_title_then_its_status,
	  a_path_that_no_socket_can_have_is_refused, nobody_there_is_told_from_nobody_answering)
