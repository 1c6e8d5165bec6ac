/* SPDX-License-Identifier: MIT */
#include "common/util/macro.h"

#include <check.h>
#include <string.h>

#include "tests/support/unit.h"

START_TEST(min_and_max_evaluate_each_argument_once)
{
	int n = 0;

	ck_assert_int_eq(MIN(++n, 10), 1);
	ck_assert_int_eq(MAX(++n, 1), 2);
	ck_assert_int_eq(n, 2);
}
END_TEST

START_TEST(min_and_max_can_be_nested)
{
	ck_assert_int_eq(MIN(MIN(3, 2), MAX(1, 0)), 1);
	ck_assert_int_eq(MAX(-1, MAX(-3, -2)), -1);
	ck_assert_double_eq(MIN(0.5, 0.25), 0.25);
}
END_TEST

START_TEST(taking_leaves_nothing_behind)
{
	char *text = strdup("x"), *taken = TAKE_PTR(text);
	int fd = 7;

	ck_assert_ptr_null(text);
	ck_assert_str_eq(taken, "x");
	ck_assert_int_eq(TAKE_FD(fd), 7);
	ck_assert_int_eq(fd, -1);
	free(taken);
}
END_TEST

static int n_cleaned;

static void count_clean(int *value)
{
	n_cleaned += *value;
}

START_TEST(cleanup_runs_at_the_end_of_the_scope)
{
	{
		CLEANUP(count_clean) int value = 5;

		ck_assert_int_eq(n_cleaned, 0);
		value++;
	}
	ck_assert_int_eq(n_cleaned, 6);
}
END_TEST

UNIT_MAIN(min_and_max_evaluate_each_argument_once, min_and_max_can_be_nested,
	  taking_leaves_nothing_behind, cleanup_runs_at_the_end_of_the_scope)
