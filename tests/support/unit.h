/* SPDX-License-Identifier: MIT */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/util/macro.h"

enum { UNIT_TIMEOUT_SECONDS = 90 };

/* What meson takes for "skipped". */
enum { UNIT_SKIPPED = 77 };

/*
 * The end of a unit test's file: UNIT_MAIN(first_test, second_test) runs the named tests, each in
 * a process of its own (unless CK_FORK=no); UNIT_MAIN_WITH(setup, teardown, ...) each between the
 * two.
 */
#define UNIT_MAIN(...)			     UNIT_MAIN_WITH(NULL, NULL, __VA_ARGS__)
#define UNIT_MAIN_WITH(setup, teardown, ...) UNIT_MAIN_IF(true, setup, teardown, __VA_ARGS__)

/* The same where the condition holds; elsewhere nothing runs and the program counts as skipped. */
#define UNIT_MAIN_IF(condition, setup, teardown, ...)                                              \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *tests[] = {__VA_ARGS__};                                              \
                                                                                                   \
		return (condition) ? unit_run(__FILE__, tests, ARRAY_SIZE(tests), setup, teardown) \
				   : UNIT_SKIPPED;                                                 \
	}

/* Tests are added by tcase_add_test() and its like, then all are run: for main(), as its value. */
static inline TCase *unit_begin(SFun setup, SFun teardown)
{
	TCase *tcase = tcase_create("unit");

	tcase_set_timeout(tcase, UNIT_TIMEOUT_SECONDS);
	tcase_add_checked_fixture(tcase, setup, teardown);
	return tcase;
}

static inline int unit_end(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int n_failed;

	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int unit_run(const char *name, const TTest *const *tests, size_t n_tests, SFun setup,
			   SFun teardown)
{
	TCase *tcase = unit_begin(setup, teardown);

	for (size_t i = 0; i < n_tests; i++) {
		tcase_add_test(tcase, tests[i]);
	}
	return unit_end(name, tcase);
}
