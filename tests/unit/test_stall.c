/* SPDX-License-Identifier: MIT */
/* Who is taken for hung, and when; and above all, who is not. */
#include "daemon/sched/stall.h"

#include "common/util/clock.h"
#include "tests/support/unit.h"

#define TICK_NS	 (10 * CLOCK_NS_PER_MS)
#define LIMIT_NS (2 * CLOCK_NS_PER_SEC)

enum { N_SLOTS = 3 };

static struct stall stall;
static struct stall_sign signs[N_SLOTS];
static int64_t now_ns;

/* What one round has said of each slot. */
static enum stall_verdict verdicts[N_SLOTS];

static void setup(void)
{
	ck_assert_int_eq(stall_init(&stall, LIMIT_NS, N_SLOTS), 0);
	now_ns = 1000 * CLOCK_NS_PER_SEC;
	for (int i = 0; i < N_SLOTS; i++) {
		signs[i] = (struct stall_sign){.is_alive = true};
	}
}

static void teardown(void)
{
	stall_deinit(&stall);
}

static void round_after(int64_t elapsed_ns)
{
	now_ns += elapsed_ns;
	stall_tick(&stall, now_ns);
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		verdicts[i] = stall_look(&stall, i, &signs[i]);
	}
}

static void step(int slot)
{
	signs[slot].n_beats++;
	signs[slot].n_steps++;
}

/*
 * Rounds until slot 0 gets that verdict, while slot 1 works and slot 2 waits. The time that it
 * took, or -1 if it did not within a minute.
 */
static int64_t time_until(enum stall_verdict verdict)
{
	int64_t began_ns = now_ns;

	while (now_ns < began_ns + 60 * CLOCK_NS_PER_SEC) {
		round_after(TICK_NS);
		if (verdicts[0] == verdict) {
			return now_ns - began_ns;
		}
		ck_assert_int_eq(verdicts[1], STALL_NONE);
		ck_assert_int_eq(verdicts[2], STALL_NONE);
		ck_assert(!stall_is_deadlock(&stall));
		step(1);
		signs[2].n_beats++;
	}
	return -1;
}

START_TEST(who_is_silent_for_the_limit_is_hung)
{
	round_after(0);
	step(0);
	round_after(TICK_NS);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
}
END_TEST

START_TEST(who_never_gave_a_sign_is_hung_as_long_after_its_start)
{
	round_after(0);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
}
END_TEST

START_TEST(a_new_worker_has_the_whole_time_again)
{
	round_after(0);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
	signs[0].generation++;
	round_after(TICK_NS);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
	signs[0].is_alive = false;
	round_after(10 * LIMIT_NS);
	signs[0].is_alive = true;
	round_after(TICK_NS);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
}
END_TEST

START_TEST(a_sign_at_the_last_moment_begins_the_time_anew)
{
	round_after(0);
	for (int i = 0; i < 20; i++) {
		for (int64_t t = 0; t < LIMIT_NS - TICK_NS; t += TICK_NS) {
			round_after(TICK_NS);
			ck_assert_int_eq(verdicts[0], STALL_NONE);
			step(1);
		}
		signs[0].n_beats--; /* any change is one: the count is the worker's affair */
	}
}
END_TEST

/* As in the machine's sleep or under a debugger: nobody has had a turn, nobody is to blame. */
START_TEST(a_pause_of_the_whole_daemon_is_held_against_nobody)
{
	round_after(0);
	round_after(TICK_NS);
	round_after(100 * LIMIT_NS);
	for (int i = 0; i < N_SLOTS; i++) {
		ck_assert_int_eq(verdicts[i], STALL_NONE);
	}
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS - STALL_LONGEST_STEP_NS - TICK_NS);
}
END_TEST

START_TEST(a_clock_that_goes_back_is_borne)
{
	round_after(0);
	round_after(-CLOCK_NS_PER_SEC);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
}
END_TEST

START_TEST(who_cannot_be_killed_is_told_once)
{
	round_after(0);
	ck_assert_int_eq(time_until(STALL_HUNG), LIMIT_NS);
	ck_assert_int_eq(time_until(STALL_UNDEAD), 5 * CLOCK_NS_PER_SEC);
	ck_assert_int_eq(time_until(STALL_UNDEAD), -1);
	ck_assert_int_eq(time_until(STALL_HUNG), -1);
}
END_TEST

/* All but the workers of `silent` give signs of life; none comes forward. */
static int64_t time_until_deadlock(unsigned silent)
{
	int64_t began_ns = now_ns;

	while (now_ns < began_ns + 10 * LIMIT_NS) {
		for (unsigned i = 0; i < N_SLOTS; i++) {
			signs[i].n_beats += (silent >> i & 1) == 0;
		}
		round_after(TICK_NS);
		if (stall_is_deadlock(&stall)) {
			return now_ns - began_ns;
		}
	}
	return -1;
}

START_TEST(if_all_only_wait_it_is_a_deadlock)
{
	round_after(0);
	ck_assert_int_eq(time_until_deadlock(0), LIMIT_NS);
}
END_TEST

START_TEST(who_waits_for_a_silent_one_waits_rightly)
{
	round_after(0);
	ck_assert_int_eq(time_until_deadlock(1), -1);
}
END_TEST

START_TEST(who_waits_for_one_that_is_to_come_waits_rightly)
{
	round_after(0);
	signs[1].is_alive = false;
	signs[1].is_restarting = true;
	ck_assert_int_eq(time_until_deadlock(2), -1);
	signs[1].is_restarting = false; /* it has left: nobody waits for that */
	ck_assert_int_eq(time_until_deadlock(2), LIMIT_NS);
}
END_TEST

START_TEST(where_nobody_lives_there_is_no_deadlock)
{
	for (int i = 0; i < N_SLOTS; i++) {
		signs[i].is_alive = false;
	}
	ck_assert_int_eq(time_until_deadlock(7), -1);
}
END_TEST

START_TEST(one_that_comes_forward_is_enough)
{
	round_after(0);
	for (int i = 0; i < 20; i++) {
		for (int64_t t = 0; t < LIMIT_NS - TICK_NS; t += TICK_NS) {
			signs[0].n_beats++;
			signs[1].n_beats++;
			signs[2].n_beats++;
			round_after(TICK_NS);
			ck_assert(!stall_is_deadlock(&stall));
		}
		step(2);
	}
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, who_is_silent_for_the_limit_is_hung,
	       who_never_gave_a_sign_is_hung_as_long_after_its_start,
	       a_new_worker_has_the_whole_time_again,
	       a_sign_at_the_last_moment_begins_the_time_anew,
	       a_pause_of_the_whole_daemon_is_held_against_nobody, a_clock_that_goes_back_is_borne,
	       who_cannot_be_killed_is_told_once, if_all_only_wait_it_is_a_deadlock,
	       who_waits_for_a_silent_one_waits_rightly,
	       who_waits_for_one_that_is_to_come_waits_rightly,
	       where_nobody_lives_there_is_no_deadlock, one_that_comes_forward_is_enough)
