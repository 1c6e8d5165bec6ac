/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/bar.h"

#include <check.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "daemon/ctl/text.h"
#include "tests/support/unit.h"

static const struct job_info halfway = {
	.id = "20261122T101502123Z",
	.name = "users",
	.state = JOB_STATE_RUNNING,
	.reason = "",
	.message = "",
	.phase = "converting",
	.total_processed = 1234567,
	.ram_bytes = 24 * 1024 * 1024,
	.items_per_second = 3456789.9,
	.progress = 0.5,
	.eta_seconds = 12.3,
};

static void use_utf8(void)
{
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

static char *bar(const struct job_info *info, size_t width)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	bar_add(&out, info, width);
	ck_assert_ptr_nonnull(buf_terminated(&out));
	return buf_take(&out);
}

START_TEST(a_wide_screen_shows_all_of_it)
{
	CLEANUP(free_p) char *line = bar(&halfway, 120);

	ck_assert_str_eq(line, "users [===================>                  ]   50.0 %"
			       "  3,456,789 rows/s  ETA 12.3 s  RAM 24.0 MiB  1,234,567 rows");
}
END_TEST

START_TEST(a_narrow_screen_keeps_what_tells_most)
{
	CLEANUP(free_p) char *line = bar(&halfway, 40);

	ck_assert_str_eq(line, "users [===========>           ]   50.0 %");
}
END_TEST

START_TEST(no_line_is_wider_than_the_screen)
{
	struct job_info info = halfway;

	info.name = "動物園-a-name-that-is-much-too-long-for-anything";
	info.error_count = INT64_MAX;
	for (size_t width = 0; width < 200; width++) {
		CLEANUP(free_p) char *line = bar(&info, width);

		ck_assert_uint_le(text_width(line), width);
	}
}
END_TEST

START_TEST(rejects_are_shown_once_there_are_any)
{
	struct job_info info = halfway;
	CLEANUP(free_p) char *without = bar(&info, 200);
	CLEANUP(free_p) char *with = NULL;

	info.error_count = 3;
	with = bar(&info, 200);
	ck_assert_ptr_null(strstr(without, "rejected"));
	ck_assert_ptr_nonnull(strstr(with, "  3 rejected"));
}
END_TEST

START_TEST(the_gauge_is_full_at_the_end_and_empty_at_the_start)
{
	struct job_info info = halfway;
	CLEANUP(free_p) char *full = NULL;
	CLEANUP(free_p) char *empty = NULL;
	CLEANUP(free_p) char *unknown = NULL;

	info.progress = 1;
	full = bar(&info, 200);
	info.progress = 0;
	empty = bar(&info, 200);
	info.progress = -1;
	unknown = bar(&info, 200);
	ck_assert_ptr_nonnull(strstr(full, "[======================================]  100.0 %"));
	ck_assert_ptr_nonnull(strstr(empty, "[>                                     ]    0.0 %"));
	ck_assert_ptr_nonnull(strstr(unknown, "[                                      ]"));
	ck_assert_ptr_null(strchr(unknown, '%'));
}
END_TEST

START_TEST(numbers_beyond_reason_are_survived)
{
	struct job_info info = halfway;
	CLEANUP(free_p) char *line = NULL;

	info.progress = 1e300;
	info.items_per_second = INFINITY;
	info.eta_seconds = 1e300;
	info.total_processed = INT64_MIN;
	info.ram_bytes = INT64_MAX;
	line = bar(&info, 200);
	ck_assert_ptr_nonnull(strstr(line, "]  100.0 %  0 rows/s"));
}
END_TEST

START_TEST(a_job_that_does_not_convert_yet_says_what_it_does)
{
	struct job_info info = halfway;
	CLEANUP(free_p) char *line = NULL;

	info.state = JOB_STATE_PENDING;
	info.phase = "queued";
	info.progress = -1;
	line = bar(&info, 100);
	ck_assert_int_eq(strncmp(line, "users queued [", 14), 0);
}
END_TEST

START_TEST(a_job_that_commits_says_so_and_has_no_time_left)
{
	struct job_info info = halfway;
	CLEANUP(free_p) char *line = NULL;

	info.phase = "committing";
	info.progress = 1;
	info.eta_seconds = 0;
	line = bar(&info, 100);
	ck_assert_int_eq(strncmp(line, "users committing [", 18), 0);
	ck_assert_ptr_null(strstr(line, "ETA"));
}
END_TEST

START_TEST(the_plain_line_has_the_same_numbers)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	bar_add_plain(&out, &halfway);
	ck_assert_str_eq(buf_terminated(&out),
			 "users: converting, 50.0 %, 3,456,789 rows/s, ETA 12.3 s, RAM 24.0 MiB, "
			 "1,234,567 rows\n");
}
END_TEST

START_TEST(a_hostile_name_is_harmless)
{
	struct job_info info = halfway;
	CLEANUP(free_p) char *line = NULL;

	info.name = "\033[2J\r\n";
	info.phase = "\007";
	line = bar(&info, 100);
	for (const char *c = line; *c; c++) {
		ck_assert_int_ge(*c, ' ');
	}
}
END_TEST

UNIT_MAIN_WITH(use_utf8, NULL, a_wide_screen_shows_all_of_it, a_narrow_screen_keeps_what_tells_most,
	       no_line_is_wider_than_the_screen, rejects_are_shown_once_there_are_any,
	       the_gauge_is_full_at_the_end_and_empty_at_the_start,
	       numbers_beyond_reason_are_survived,
	       a_job_that_does_not_convert_yet_says_what_it_does,
	       a_job_that_commits_says_so_and_has_no_time_left, the_plain_line_has_the_same_numbers,
	       a_hostile_name_is_harmless)
