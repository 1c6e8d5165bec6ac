/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/program.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/util/clock.h"
#include "tests/support/unit.h"

#define LONG_NS	 (30 * CLOCK_NS_PER_SEC)
#define SHORT_NS (200 * CLOCK_NS_PER_MS)

static int run_shell(const char *script, int64_t timeout_ns, struct program_result *result)
{
	char shell[] = "sh", option[] = "-c", text[256];
	char *argv[] = {shell, option, text, NULL};

	(void)snprintf(text, sizeof(text), "%s", script);
	return program_run(argv, timeout_ns, result);
}

START_TEST(both_outputs_and_the_status_are_kept)
{
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;

	ck_assert_int_eq(run_shell("echo out; echo err >&2; exit 3", LONG_NS, &result), 0);
	ck_assert_str_eq(buf_terminated(&result.out), "out\n");
	ck_assert_str_eq(buf_terminated(&result.err), "err\n");
	ck_assert_int_eq(WEXITSTATUS(result.status), 3);
}
END_TEST

START_TEST(a_full_pipe_of_one_does_not_stop_the_other)
{
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;

	ck_assert_int_eq(run_shell("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero",
				   LONG_NS, &result),
			 0);
	ck_assert_uint_eq(result.out.len, 300000);
	ck_assert_uint_eq(result.err.len, 300000);
}
END_TEST

START_TEST(a_missing_program_is_told)
{
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;
	char name[] = "no-such-program-anywhere";
	char *argv[] = {name, NULL};

	ck_assert_int_eq(program_run(argv, LONG_NS, &result), -ENOENT);
}
END_TEST

START_TEST(who_takes_too_long_is_killed)
{
	CLEANUP(program_result_deinit) struct program_result first = PROGRAM_RESULT_INIT;
	CLEANUP(program_result_deinit) struct program_result second = PROGRAM_RESULT_INIT;

	ck_assert_int_eq(run_shell("exec sleep 1000", SHORT_NS, &first), -ETIMEDOUT);
	ck_assert_int_eq(WTERMSIG(first.status), SIGKILL);
	ck_assert_int_eq(run_shell("exec >&- 2>&-; exec sleep 1000", SHORT_NS, &second),
			 -ETIMEDOUT);
	ck_assert_int_eq(WTERMSIG(second.status), SIGKILL);
}
END_TEST

START_TEST(who_says_too_much_is_killed)
{
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;

	ck_assert_int_eq(run_shell("exec cat /dev/zero", LONG_NS, &result), -EFBIG);
	ck_assert_int_eq(WTERMSIG(result.status), SIGKILL);
}
END_TEST

START_TEST(its_input_is_empty)
{
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;

	ck_assert_int_eq(run_shell("exec cat", LONG_NS, &result), 0);
	ck_assert_uint_eq(result.out.len, 0);
}
END_TEST

UNIT_MAIN(both_outputs_and_the_status_are_kept, a_full_pipe_of_one_does_not_stop_the_other,
	  a_missing_program_is_told, who_takes_too_long_is_killed, who_says_too_much_is_killed,
	  its_input_is_empty)
