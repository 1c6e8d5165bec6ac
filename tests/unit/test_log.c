/* SPDX-License-Identifier: MIT */
#include "common/util/log.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "tests/support/unit.h"

static struct {
	int n, level, worker;
	const char *job;
	char message[LOG_MESSAGE_SIZE];
} last;

static void remember(int level, const char *job, int worker, const char *message)
{
	last.n++;
	last.level = level;
	last.job = job;
	last.worker = worker;
	ck_assert_uint_lt(strlen(message), sizeof(last.message));
	memcpy(last.message, message, strlen(message) + 1);
	errno = EIO;
}

START_TEST(a_sink_gets_the_parts_and_errno_is_kept)
{
	log_set_sink(remember);
	errno = ENOSPC;
	log_job(LOG_LEVEL_WARNING, "job-1", 3, "%s %d", "text", 7);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(last.level, 4);
	ck_assert_str_eq(last.job, "job-1");
	ck_assert_int_eq(last.worker, 3);
	ck_assert_str_eq(last.message, "text 7");
	log_error("plain");
	ck_assert_int_eq(last.level, 3);
	ck_assert_ptr_null(last.job);
	ck_assert_int_eq(last.worker, -1);
}
END_TEST

START_TEST(what_is_not_let_through_is_not_even_evaluated)
{
	int n = 0;

	log_set_sink(remember);
	log_debug("%d", ++n);
	ck_assert_int_eq(n + last.n, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("%d", ++n);
	ck_assert_int_eq(n + last.n, 2);
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("%d", ++n);
	log_error("%d", ++n);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(last.n, 2);
}
END_TEST

START_TEST(a_message_can_not_forge_a_line)
{
	log_set_sink(remember);
	log_info("file \"%s\" is bad", "a\nerror: fake\x1b[2J\x7f");
	ck_assert_str_eq(last.message, "file \"a?error: fake?[2J?\" is bad");
}
END_TEST

START_TEST(a_long_message_is_cut_between_characters)
{
	char text[LOG_MESSAGE_SIZE * 2];

	log_set_sink(remember);
	for (size_t shift = 0; shift < 3; shift++) {
		size_t len = shift;

		memset(text, 'x', shift);
		for (; len + 3 < sizeof(text); len += 3) {
			memcpy(text + len, "€", 3);
		}
		text[len] = '\0';
		log_info("%s", text);
		ck_assert(str_is_utf8(last.message, strlen(last.message), NULL));
		ck_assert_uint_ge(strlen(last.message), LOG_MESSAGE_SIZE - 4);
	}
}
END_TEST

START_TEST(the_default_is_one_line_on_stderr)
{
	CLEANUP(fd_closep) int fd = fd_memfd("stderr", "", 0);
	CLEANUP(fd_closep) int saved = dup(STDERR_FILENO);
	CLEANUP(buf_deinit) struct buf got = BUF_INIT;

	log_set_sink(remember);
	log_set_sink(NULL);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	log_info("hello");
	log_error("bad");
	log_job(LOG_LEVEL_WARNING, "J", -1, "slow");
	log_job(LOG_LEVEL_NOTICE, "J", 2, "died");
	log_job(LOG_LEVEL_INFO, NULL, 2, "lives");
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(fd_read_all(fd, SIZE_MAX, &got), 0);
	ck_assert_str_eq(buf_terminated(&got), "hello\nerror: bad\nwarning: job J: slow\n"
					       "notice: job J, worker 2: died\nworker 2: lives\n");
}
END_TEST

UNIT_MAIN(a_sink_gets_the_parts_and_errno_is_kept, what_is_not_let_through_is_not_even_evaluated,
	  a_message_can_not_forge_a_line, a_long_message_is_cut_between_characters,
	  the_default_is_one_line_on_stderr)
