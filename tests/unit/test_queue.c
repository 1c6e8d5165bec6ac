/* SPDX-License-Identifier: MIT */
/* Who runs next, how the moving numbers move, and when a dead worker's slot gets a new one. */
#include <check.h>

#include "common/util/clock.h"
#include "common/util/macro.h"
#include "daemon/sched/progress.h"
#include "daemon/sched/queue.h"
#include "daemon/sched/restart.h"

/* --- queue ------------------------------------------------------------------------------------ */

START_TEST(priority_goes_before_age)
{
	struct queue_entry old = {.priority = 0, .id = "20260101T000000000Z"};
	struct queue_entry young = {.priority = 0, .id = "20260101T000000001Z"};
	struct queue_entry urgent = {.priority = 1, .id = "20260101T000000002Z"};

	ck_assert(queue_is_before(&old, &young));
	ck_assert(!queue_is_before(&young, &old));
	ck_assert(queue_is_before(&urgent, &old));
	ck_assert(!queue_is_before(&old, &urgent));
	ck_assert(!queue_is_before(&old, &old));
}
END_TEST

START_TEST(the_head_takes_what_is_free_and_no_more_than_it_wants)
{
	struct queue_load load = {.max_jobs = 2, .max_workers = 8};

	ck_assert_uint_eq(queue_grant(&load, 4), 4);
	ck_assert_uint_eq(queue_grant(&load, 100), 8);
	ck_assert_uint_eq(queue_grant(&load, 0), 1);
	load.n_slots_taken = 7;
	ck_assert_uint_eq(queue_grant(&load, 100), 1);
	load.n_slots_taken = 8;
	ck_assert_uint_eq(queue_grant(&load, 1), 0);
}
END_TEST

START_TEST(limits_hold_when_they_shrink_below_what_runs)
{
	struct queue_load load = {
		.n_running = 3, .max_jobs = 2, .n_slots_taken = 9, .max_workers = 4};

	ck_assert_uint_eq(queue_grant(&load, 1), 0);
	load.n_running = 1;
	ck_assert_uint_eq(queue_grant(&load, 1), 0);
	load.n_slots_taken = 3;
	ck_assert_uint_eq(queue_grant(&load, 5), 1);
	load.n_running = 2;
	ck_assert_uint_eq(queue_grant(&load, 1), 0);
}
END_TEST

/* --- progress --------------------------------------------------------------------------------- */

static struct progress progress;

static void feed(double at_seconds, int64_t success, double ratio)
{
	struct progress_rows rows = {.success = success};

	progress_update(&progress, (int64_t)(at_seconds * (double)CLOCK_NS_PER_SEC), &rows, ratio);
}

START_TEST(live_numbers_never_go_back)
{
	struct progress_rows more = {.success = 10, .error = 5, .filtered = 2};
	struct progress_rows less = {.success = 7, .error = 6, .filtered = 0};

	progress_start(&progress, 0);
	progress_update(&progress, 1000, &more, 0.5);
	progress_update(&progress, 2000, &less, 0.4);
	ck_assert_int_eq(progress.live.success, 10);
	ck_assert_int_eq(progress.live.error, 6);
	ck_assert_int_eq(progress.live.filtered, 2);
	ck_assert_int_eq(progress_total(&progress), 18);
	ck_assert_double_eq(progress.ratio, 0.5);
	ck_assert_double_ge(progress.rows_per_second, 0.0);
}
END_TEST

START_TEST(the_first_rate_is_the_average)
{
	progress_start(&progress, 0);
	feed(0.5, 500, 0.1);
	ck_assert_double_eq_tol(progress.rows_per_second, 1000.0, 1e-6);
	feed(1.0, 1000, 0.2);
	ck_assert_double_eq_tol(progress.rows_per_second, 1000.0, 1e-6);
	ck_assert_double_eq_tol(progress_eta_seconds(&progress), 4.0, 1e-6);
}
END_TEST

START_TEST(the_rate_follows_a_change_within_seconds)
{
	progress_start(&progress, 0);
	for (int tick = 1; tick <= 1000; tick++) {
		feed(tick * 0.01, tick * 10, tick * 0.0001);
	}
	ck_assert_double_eq_tol(progress.rows_per_second, 1000.0, 1.0);
	for (int tick = 1; tick <= 200; tick++) { /* two seconds of nothing */
		feed(10.0 + tick * 0.01, 10000, 0.1);
	}
	ck_assert_double_gt(progress.rows_per_second, 300.0);
	ck_assert_double_lt(progress.rows_per_second, 430.0);
	for (int tick = 201; tick <= 2000; tick++) {
		feed(10.0 + tick * 0.01, 10000, 0.1);
	}
	ck_assert_double_lt(progress.rows_per_second, 1.0);
}
END_TEST

START_TEST(an_estimate_needs_a_pace)
{
	progress_start(&progress, 0);
	ck_assert_double_eq(progress_eta_seconds(&progress), -1.0);
	feed(1.0, 0, 0.0);
	ck_assert_double_eq(progress_eta_seconds(&progress), -1.0);
	feed(2.0, 10, 1.5);
	ck_assert_double_eq(progress.ratio, 1.0);
	ck_assert_double_eq(progress_eta_seconds(&progress), 0.0);
}
END_TEST

START_TEST(a_clock_that_stands_still_changes_nothing)
{
	progress_start(&progress, 5);
	struct progress_rows rows = {.success = 3};
	progress_update(&progress, 5, &rows, 0.5);
	progress_update(&progress, 4, &rows, 0.5);
	ck_assert_int_eq(progress_total(&progress), 0);
}
END_TEST

/* --- restart ---------------------------------------------------------------------------------- */

static void assert_about(int64_t delay_ns, int64_t seconds)
{
	ck_assert_int_ge(delay_ns, seconds * CLOCK_NS_PER_SEC * 3 / 4);
	ck_assert_int_le(delay_ns, seconds * CLOCK_NS_PER_SEC * 5 / 4);
}

START_TEST(the_first_restart_is_at_once_then_it_backs_off)
{
	struct restart restart = {0};
	static const int64_t seconds[] = {1, 2, 4, 8, 16, 30, 30, 30};

	ck_assert_int_eq(restart_delay_ns(&restart, 0, 0), 0);
	for (uint64_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		/* others get on, this slot does not */
		assert_about(restart_delay_ns(&restart, i + 1, i * 123456789), seconds[i]);
	}
}
END_TEST

START_TEST(three_deaths_without_any_progress_are_the_end)
{
	struct restart restart = {0};

	ck_assert_int_eq(restart_delay_ns(&restart, 7, 0), 0);
	ck_assert_int_gt(restart_delay_ns(&restart, 7, 0), 0);
	ck_assert_int_eq(restart_delay_ns(&restart, 7, 0), -1);
}
END_TEST

START_TEST(progress_forgives)
{
	struct restart restart = {0};

	for (uint64_t n_done = 0; n_done < 100; n_done++) {
		ck_assert_int_eq(restart_delay_ns(&restart, n_done, 0), 0);
		restart_note_progress(&restart);
	}
	ck_assert_int_eq(restart_delay_ns(&restart, 100, 0), 0);
	ck_assert_int_gt(restart_delay_ns(&restart, 100, 0), 0);
	ck_assert_int_gt(restart_delay_ns(&restart, 101, 0), 0);
	ck_assert_int_gt(restart_delay_ns(&restart, 101, 0), 0);
	ck_assert_int_eq(restart_delay_ns(&restart, 101, 0), -1);
}
END_TEST

START_TEST(deaths_while_waiting_slow_a_slot_down_and_fail_nothing)
{
	struct restart restart = {0};

	for (unsigned i = 0; i < 20; i++) {
		restart_note_innocent(&restart);
		ck_assert_int_ge(restart_delay_ns(&restart, 0, 0), 0);
	}
	ck_assert_int_gt(restart_delay_ns(&restart, 0, 0), 20 * CLOCK_NS_PER_SEC);
	ck_assert_int_eq(restart_delay_ns(&restart, 0, 0), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queue");
	TCase *tcase = tcase_create("queue");

	tcase_add_test(tcase, priority_goes_before_age);
	tcase_add_test(tcase, the_head_takes_what_is_free_and_no_more_than_it_wants);
	tcase_add_test(tcase, limits_hold_when_they_shrink_below_what_runs);
	tcase_add_test(tcase, live_numbers_never_go_back);
	tcase_add_test(tcase, the_first_rate_is_the_average);
	tcase_add_test(tcase, the_rate_follows_a_change_within_seconds);
	tcase_add_test(tcase, an_estimate_needs_a_pace);
	tcase_add_test(tcase, a_clock_that_stands_still_changes_nothing);
	tcase_add_test(tcase, the_first_restart_is_at_once_then_it_backs_off);
	tcase_add_test(tcase, three_deaths_without_any_progress_are_the_end);
	tcase_add_test(tcase, progress_forgives);
	tcase_add_test(tcase, deaths_while_waiting_slow_a_slot_down_and_fail_nothing);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? 0 : 1;
}
