/* SPDX-License-Identifier: MIT */
#include "common/model/job_state.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"

/* The words of the manual, written down once more: a renamed one breaks every reader of a file. */
static const char *const states[] = {"pending", "running", "completed", "failed", "aborted"};
static const char *const reasons[] = {"ok",
				      "rejects_exceeded",
				      "input_missing",
				      "input_unreadable",
				      "input_changed",
				      "output_exists",
				      "output_unwritable",
				      "path_denied",
				      "io_error",
				      "no_space",
				      "worker_crash",
				      "memory_limit",
				      "timeout",
				      "stalled",
				      "cancelled",
				      "internal"};

START_TEST(names_are_those_of_the_manual)
{
	ck_assert_uint_eq(ARRAY_SIZE(states), JOB_N_STATES);
	ck_assert_uint_eq(ARRAY_SIZE(reasons), JOB_N_REASONS);
	for (size_t k = 0; k < ARRAY_SIZE(states); k++) {
		ck_assert_str_eq(job_state_name((enum job_state)k), states[k]);
	}
	for (size_t k = 0; k < ARRAY_SIZE(reasons); k++) {
		ck_assert_str_eq(job_reason_name((enum job_reason)k), reasons[k]);
	}
}
END_TEST

START_TEST(names_are_parsed_back_and_others_refused)
{
	enum job_state state = JOB_STATE_ABORTED;
	enum job_reason reason = JOB_REASON_INTERNAL;

	ck_assert_int_eq(job_state_parse("runing", &state), -EINVAL);
	ck_assert_int_eq(job_state_parse("", &state), -EINVAL);
	ck_assert_int_eq(job_reason_parse("OK", &reason), -EINVAL);
	ck_assert_int_eq(state, JOB_STATE_ABORTED);
	ck_assert_int_eq(reason, JOB_REASON_INTERNAL);
	for (size_t k = 0; k < ARRAY_SIZE(states); k++) {
		ck_assert_int_eq(job_state_parse(states[k], &state), 0);
		ck_assert_uint_eq(state, k);
	}
	for (size_t k = 0; k < ARRAY_SIZE(reasons); k++) {
		ck_assert_int_eq(job_reason_parse(reasons[k], &reason), 0);
		ck_assert_uint_eq(reason, k);
	}
}
END_TEST

START_TEST(the_life_cycle_has_exactly_these_steps)
{
	/* From a row to a column, in the order of the enum. */
	static const char *const steps[JOB_N_STATES] = {".R.FA", "..CFA", ".....", ".....",
							"....."};

	for (unsigned from = 0; from < JOB_N_STATES; from++) {
		for (unsigned to = 0; to < JOB_N_STATES; to++) {
			ck_assert_msg(job_state_may_become(from, to) == (steps[from][to] != '.'),
				      "%s to %s", states[from], states[to]);
		}
	}
}
END_TEST

START_TEST(nothing_leaves_a_final_state)
{
	for (unsigned from = 0; from < JOB_N_STATES; from++) {
		bool has_next = false;

		for (unsigned to = 0; to < JOB_N_STATES; to++) {
			has_next = has_next || job_state_may_become(from, to);
		}
		ck_assert(job_state_is_final(from) != has_next);
	}
}
END_TEST

START_TEST(every_reason_leads_to_a_final_state)
{
	for (unsigned k = 0; k < JOB_N_REASONS; k++) {
		enum job_state state = job_reason_state(k);

		ck_assert(job_state_is_final(state));
		ck_assert((state == JOB_STATE_COMPLETED) == (k == JOB_REASON_OK));
		ck_assert((state == JOB_STATE_ABORTED) == (k == JOB_REASON_CANCELLED));
	}
}
END_TEST

UNIT_MAIN(names_are_those_of_the_manual, names_are_parsed_back_and_others_refused,
	  the_life_cycle_has_exactly_these_steps, nothing_leaves_a_final_state,
	  every_reason_leads_to_a_final_state)
