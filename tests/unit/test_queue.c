/* SPDX-License-Identifier: MIT */
/* Who runs next, how the moving numbers move, and when a dead worker's slot gets a new one. */
#include <check.h>

#include "common/util/clock.h"
#include "common/util/macro.h"
#include "daemon/sched/progress.h"
#include "daemon/sched/queue.h"
#include "daemon/sched/restart.h"
#include "tests/support/unit.h"

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

static int64_t delay_of(struct restart *restart, enum restart_cause cause, uint64_t n_done)
{
	return restart_delay_ns(restart, cause, n_done, 0);
}

START_TEST(the_first_restart_is_at_once_then_it_backs_off)
{
	static const int64_t seconds[] = {1, 2, 4, 8, 16, 30, 30, 30};
	struct restart restart = {0};

	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 0), 0);
	for (uint64_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		/* others get on, this slot does not */
		assert_about(restart_delay_ns(&restart, RESTART_CAUSE_FAULT, i + 1, i * 123456789),
			     seconds[i]);
	}
}
END_TEST

START_TEST(three_faults_without_any_progress_are_the_end)
{
	struct restart restart = {0};

	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 7), 0);
	ck_assert_int_gt(delay_of(&restart, RESTART_CAUSE_FAULT, 7), 0);
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 7), -1);
	ck_assert_uint_eq(restart_max_stuck(RESTART_CAUSE_FAULT), 3);
}
END_TEST

START_TEST(progress_forgives)
{
	struct restart restart = {0};

	for (uint64_t n_done = 0; n_done < 100; n_done++) {
		ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, n_done), 0);
		restart_note_progress(&restart);
	}
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 100), 0);
	ck_assert_int_gt(delay_of(&restart, RESTART_CAUSE_FAULT, 100), 0);
	ck_assert_int_gt(delay_of(&restart, RESTART_CAUSE_FAULT, 101), 0);
	ck_assert_int_gt(delay_of(&restart, RESTART_CAUSE_FAULT, 101), 0);
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 101), -1);
}
END_TEST

START_TEST(kills_are_borne_very_often_and_never_wait_long)
{
	struct restart restart = {0};
	int64_t delay_ns = 0;

	for (unsigned i = 1; i < restart_max_stuck(RESTART_CAUSE_KILL); i++) {
		delay_ns = delay_of(&restart, RESTART_CAUSE_KILL, 5);
		ck_assert_int_ge(delay_ns, 0);
		ck_assert_int_le(delay_ns, CLOCK_NS_PER_SEC * 5 / 4);
	}
	ck_assert_int_gt(delay_ns, CLOCK_NS_PER_SEC / 2);
	/* They neither hide faults nor add to them. */
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 5), 0);
	ck_assert_int_gt(delay_of(&restart, RESTART_CAUSE_FAULT, 5), 0);
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_KILL, 5), -1);
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 5), -1);
	ck_assert_uint_ge(restart_max_stuck(RESTART_CAUSE_KILL), 100);
}
END_TEST

START_TEST(deaths_that_are_charged_to_a_chunk_are_counted_there)
{
	struct restart restart = {0};

	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_CHARGED, 0), 0);
	}
	ck_assert_int_eq(delay_of(&restart, RESTART_CAUSE_FAULT, 0), 0);
}
END_TEST

enum { STORM_SLOTS = 2, STORM_KILLS = 1000, STORM_CHUNK_MS = 10 };

/* How long a worker takes to start, on an idle machine and on a loaded one. */
static const struct {
	int64_t start_ms;
	uint64_t least_done;
	int64_t longest_ms;
} storms[] = {{10, 250, 200000}, {60, 10, 1000000}};

/* A slot under random kills, a millisecond at a time. */
struct storm_slot {
	struct restart restart;
	int64_t starts_at_ms;
};

static bool storm_hit(struct storm_slot *slot, int64_t now_ms, uint64_t n_done, uint64_t jitter)
{
	int64_t delay_ns = restart_delay_ns(&slot->restart, RESTART_CAUSE_KILL, n_done, jitter);

	slot->starts_at_ms = now_ms + delay_ns / CLOCK_NS_PER_MS;
	return delay_ns >= 0;
}

/* One every 20 ms on average, and that is how long it takes to a worker's first chunk, or 3.5 times
 * that. */
START_TEST(fifty_kills_a_second_neither_fail_a_job_nor_stop_it)
{
	struct storm_slot slots[STORM_SLOTS] = {0};
	const size_t kind = (size_t)_i % ARRAY_SIZE(storms);
	unsigned seed = (unsigned)_i + 1;
	unsigned n_kills = 0;
	uint64_t n_done = 0;
	int64_t now_ms = 0;

	for (; n_kills < STORM_KILLS; now_ms++) {
		size_t at = (size_t)rand_r(&seed) % STORM_SLOTS;

		for (size_t i = 0; i < STORM_SLOTS; i++) {
			int64_t age_ms = now_ms - slots[i].starts_at_ms - storms[kind].start_ms;

			if (age_ms > 0 && age_ms % STORM_CHUNK_MS == 0) {
				restart_note_progress(&slots[i].restart);
				n_done++;
			}
		}
		/* One that lives, if any does. */
		at = slots[at].starts_at_ms <= now_ms ? at : (at + 1) % STORM_SLOTS;
		if (slots[at].starts_at_ms <= now_ms && rand_r(&seed) % 20 == 0) {
			ck_assert(storm_hit(&slots[at], now_ms, n_done, (uint64_t)rand_r(&seed)));
			n_kills++;
		}
	}
	ck_assert_uint_ge(n_done, storms[kind].least_done);
	ck_assert_int_le(now_ms, storms[kind].longest_ms);
}
END_TEST

int main(void)
{
	TCase *tcase = unit_begin(NULL, NULL);

	tcase_add_test(tcase, priority_goes_before_age);
	tcase_add_test(tcase, the_head_takes_what_is_free_and_no_more_than_it_wants);
	tcase_add_test(tcase, limits_hold_when_they_shrink_below_what_runs);
	tcase_add_test(tcase, live_numbers_never_go_back);
	tcase_add_test(tcase, the_first_rate_is_the_average);
	tcase_add_test(tcase, the_rate_follows_a_change_within_seconds);
	tcase_add_test(tcase, an_estimate_needs_a_pace);
	tcase_add_test(tcase, a_clock_that_stands_still_changes_nothing);
	tcase_add_test(tcase, the_first_restart_is_at_once_then_it_backs_off);
	tcase_add_test(tcase, three_faults_without_any_progress_are_the_end);
	tcase_add_test(tcase, progress_forgives);
	tcase_add_test(tcase, kills_are_borne_very_often_and_never_wait_long);
	tcase_add_test(tcase, deaths_that_are_charged_to_a_chunk_are_counted_there);
	tcase_add_loop_test(tcase, fifty_kills_a_second_neither_fail_a_job_nor_stop_it, 0, 50);
	return unit_end("queue", tcase);
}
