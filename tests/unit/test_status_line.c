/* SPDX-License-Identifier: MIT */
/* What a service manager is told, and how often: we are at the other end of its socket. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/core/loop.h"
#include "daemon/core/notify.h"
#include "daemon/core/status_line.h"
#include "tests/support/unit.h"

#define MS	    CLOCK_NS_PER_MS
#define RELOAD_TEXT "RELOADING=1\nMONOTONIC_USEC="

static struct loop *loop;
static struct status_line *status;
static int manager = -1;
static char folder[] = "/tmp/zp-status-XXXXXX";
static char path[64];
static int value; /* that the line shows */
static bool is_moving;

static bool render(void *userdata, char ret_line[static STATUS_LINE_SIZE])
{
	snprintf(ret_line, STATUS_LINE_SIZE, "value %d", value);
	return is_moving;
}

static void setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	memcpy(address.sun_path, path, sizeof(path));
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(status_line_new(loop, render, NULL, &status), 0);
}

static void teardown(void)
{
	status = status_line_free(status);
	loop = loop_free(loop);
	manager = fd_close(manager);
	unlink(path);
	rmdir(folder);
}

/* The next message, or "" if there is none. */
static const char *told(void)
{
	static char text[512];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void on_end(void *userdata, int64_t now_ns)
{
	loop_exit(loop, 0);
}

static void run_for(int64_t duration_ns)
{
	struct loop_source *timer = NULL;

	ck_assert_int_eq(loop_add_timer(loop, on_end, NULL, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(timer, clock_monotonic_ns() + duration_ns), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_source_free(timer);
}

START_TEST(a_thousand_changes_are_two_lines)
{
	for (value = 1; value <= 1000; value++) {
		status_line_touch(status);
	}
	ck_assert_str_eq(told(), "STATUS=value 1");
	ck_assert_str_eq(told(), "");
	run_for(1100 * MS);
	ck_assert_str_eq(told(), "STATUS=value 1001");
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(the_same_line_is_sent_once)
{
	status_line_touch(status);
	ck_assert_str_eq(told(), "STATUS=value 0");
	run_for(1100 * MS);
	status_line_touch(status);
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_line_that_moves_is_followed_and_one_that_rests_is_not)
{
	is_moving = true;
	status_line_touch(status);
	ck_assert_str_eq(told(), "STATUS=value 0");
	value = 1;
	run_for(1100 * MS);
	ck_assert_str_eq(told(), "STATUS=value 1");
	is_moving = false;
	run_for(1100 * MS);
	value = 2;
	run_for(1100 * MS);
	ck_assert_str_eq(told(), "");
	status_line_touch(status);
	ck_assert_str_eq(told(), "STATUS=value 2");
}
END_TEST

START_TEST(before_there_is_one_nothing_is_told)
{
	status_line_touch(NULL);
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_reload_carries_its_time_between_the_other_messages)
{
	notify_ready();
	notify_reloading();
	notify_stopping();
	ck_assert_str_eq(told(), "READY=1");
	const char *text = told();
	uint64_t begun_us = 0;
	ck_assert(str_starts_with(text, RELOAD_TEXT));
	ck_assert_int_eq(num_parse_u64(text + strlen(RELOAD_TEXT), &begun_us), 0);
	ck_assert_uint_gt(begun_us, 0);
	ck_assert_uint_le(begun_us, (uint64_t)clock_monotonic_ns() / 1000);
	ck_assert_str_eq(told(), "STOPPING=1");
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, a_thousand_changes_are_two_lines, the_same_line_is_sent_once,
	       a_line_that_moves_is_followed_and_one_that_rests_is_not,
	       before_there_is_one_nothing_is_told,
	       a_reload_carries_its_time_between_the_other_messages)
