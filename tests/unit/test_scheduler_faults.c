/* SPDX-License-Identifier: MIT */
/* Workers that die, leave, lie or stay, and inputs that change. */
#include "tests/unit/scheduler_world.h"

static void kill_one(struct world *w)
{
	look(w->id);
	int32_t pid = w->pids[w->n_kills % 4];
	if (pid > 0 && w->n_kills < 40 && w->seen.total_processed > w->n_rows_at_kill + 400) {
		kill(pid, SIGKILL);
		w->n_kills++;
		w->n_rows_at_kill = w->seen.total_processed;
	}
}

START_TEST(killed_workers_cost_no_row)
{
	world.options.chunk_size_bytes = 96;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 60000, 0);
	submit("{\"version\":1,\"workers\":4,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, kill_one);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_uint_ge(world.n_kills,
			  1); /* how many there is time for is the machine's affair */
	ck_assert_uint_ge(world.seen.n_worker_restarts + 4, world.n_kills);
	assert_file_is("out.jsonl", expected_rows(60000, 0));
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_str_eq(totals->names[0].name, "job");
	ck_assert_int_eq(totals->names[0].rows_success, 60000);
	ck_assert_int_eq(totals->names[0].jobs_completed, 1);
	ck_assert_int_gt(totals->worker_exits[WORKER_CAUSE_SIGNAL], 0);
}
END_TEST

static void change_input(struct world *w)
{
	look(w->id);
	if (w->seen.total_processed > 0 && w->n_kills++ == 0) {
		put_text(w->data_fd, "new.csv", "id,name,note\n1,2,3\n");
		ck_assert_int_eq(renameat(w->data_fd, "new.csv", w->data_fd, "in.csv"), 0);
	}
}

START_TEST(an_input_that_is_replaced_fails_the_job)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 60000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, change_input);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_INPUT_CHANGED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

/* A process costs a tenth of a second under the sanitizers. */
#ifdef __SANITIZE_ADDRESS__
#define N_MANY_JOBS 30
#else
#define N_MANY_JOBS 200
#endif

static bool has_no_more_fds(struct world *w)
{
	return count_fds() <= w->n_fds;
}

START_TEST(many_jobs_leave_no_descriptor_behind)
{
	put_csv("in.csv", 50, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	unsigned n_before = count_fds();
	for (int i = 0; i < N_MANY_JOBS; i++) {
		submit(i % 4 == 3 ? SPEC("\"none/out.jsonl\"}") : SPEC("\"out.jsonl\"}"));
		run_until(all_ended, NULL);
	}
	world.n_fds = n_before;
	run_until(has_no_more_fds, NULL); /* the last storage process is reaped by and by */
	assert_nothing_left();
}
END_TEST

START_TEST(workers_that_do_not_work_fail_the_job_by_name)
{
	const struct part *part = &parts[_i];

	setenv(PART_VARIABLE, part->name, 1);
	put_csv("in.csv", 1000, 0);
	submit("{\"version\":1,\"workers\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"},\"limits\":{\"stall\":\"1s\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, part->reason);
	ck_assert_msg(strstr(world.seen_message, part->said) != NULL, "%s", world.seen_message);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

START_TEST(kills_from_outside_are_charged_to_no_chunk)
{
	setenv(PART_VARIABLE, "killed-often", 1);
	put_csv("in.csv", 1000, 10);
	submit("{\"version\":1,\"workers\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_int_eq(world.seen.n_worker_restarts, N_KILLS);
	ck_assert_int_eq(world.seen.rejects[REJECT_CRASH], 0);
	assert_file_is("out.jsonl", expected_rows(1000, 10));
}
END_TEST

/* More than a slot may have: three until it goes row by row, and two then. */
START_TEST(crashes_in_a_chunk_are_charged_to_it_and_cost_no_row)
{
	setenv(PART_VARIABLE, "crash-often", 1);
	put_csv("in.csv", 1000, 10);
	submit("{\"version\":1,\"workers\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_int_eq(world.seen.n_worker_restarts, N_CRASHES);
	ck_assert_int_eq(world.seen.rejects[REJECT_CRASH], 0);
	assert_file_is("out.jsonl", expected_rows(1000, 10));
}
END_TEST

START_TEST(no_row_of_a_careful_chunk_is_touched_before_its_true_start_is_known)
{
	setenv(PART_VARIABLE, "watch-careful", 1);
	put_csv("in.csv", 1000, 10);
	submit("{\"version\":1,\"workers\":2,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(1000, 10));
}
END_TEST

START_TEST(a_worker_that_stays_when_all_is_done_is_removed)
{
	setenv(PART_VARIABLE, "stay", 1);
	put_csv("in.csv", 1000, 0);
	submit("{\"version\":1,\"workers\":3,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(1000, 0));
}
END_TEST

START_TEST(a_hung_worker_is_found_however_seldom_one_polls)
{
	world.options.poll_interval_ns = 60 * CLOCK_NS_PER_SEC;
	scheduler_reconfigure(world.scheduler, &world.options);
	setenv(PART_VARIABLE, "hang", 1);
	put_csv("in.csv", 10, 0);
	submit("{\"version\":1,\"workers\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"},\"limits\":{\"stall\":\"1s\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_STALLED);
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_STALLED], 3);
}
END_TEST

START_TEST(a_slow_worker_is_waited_for)
{
	setenv(PART_VARIABLE, "slow", 1);
	put_csv("in.csv", 1000, 0);
	submit("{\"version\":1,\"workers\":3,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"},\"limits\":{\"stall\":\"3s\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(1000, 0));
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_STALLED], 0);
	ck_assert_uint_eq(world.seen.n_worker_restarts, 0);
}
END_TEST

START_TEST(the_time_limit_holds_before_there_is_a_pool)
{
	setenv(PART_VARIABLE, "prepare-hangs", 1);
	put_csv("in.csv", 10, 0);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"},\"limits\":{\"wall\":\"1s\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(world.seen_message, "limits.wall (1.0 s)"));
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_SIGNAL], 0);
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_OK], 1);
}
END_TEST

START_TEST(a_prepare_that_is_stopped_is_found)
{
	setenv(PART_VARIABLE, "prepare-stops", 1);
	put_csv("in.csv", 10, 0);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"},\"limits\":{\"stall\":\"1s\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_STALLED);
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_STALLED], 3);
}
END_TEST

static const char *const bad_prepares[] = {"prepare-crashes", "prepare-babbles"};

START_TEST(a_prepare_that_fails_three_times_fails_the_job)
{
	setenv(PART_VARIABLE, bad_prepares[_i], 1);
	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_WORKER_CRASH);
}
END_TEST

START_TEST(a_prepare_that_is_killed_is_started_again)
{
	setenv(PART_VARIABLE, "prepare-is-killed", 1);
	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_uint_eq(world.seen.n_worker_restarts, N_KILLS);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return play(argv);
	}
	TCase *tcase = unit_begin(setup, teardown);

	tcase_add_test(tcase, killed_workers_cost_no_row);
	tcase_add_test(tcase, an_input_that_is_replaced_fails_the_job);
	tcase_add_loop_test(tcase, workers_that_do_not_work_fail_the_job_by_name, 0,
			    ARRAY_SIZE(parts));
	tcase_add_test(tcase, kills_from_outside_are_charged_to_no_chunk);
	tcase_add_test(tcase, crashes_in_a_chunk_are_charged_to_it_and_cost_no_row);
	tcase_add_test(tcase, no_row_of_a_careful_chunk_is_touched_before_its_true_start_is_known);
	tcase_add_test(tcase, a_worker_that_stays_when_all_is_done_is_removed);
	tcase_add_test(tcase, a_hung_worker_is_found_however_seldom_one_polls);
	tcase_add_test(tcase, a_slow_worker_is_waited_for);
	tcase_add_test(tcase, a_prepare_that_is_stopped_is_found);
	tcase_add_test(tcase, the_time_limit_holds_before_there_is_a_pool);
	tcase_add_loop_test(tcase, a_prepare_that_fails_three_times_fails_the_job, 0,
			    ARRAY_SIZE(bad_prepares));
	tcase_add_test(tcase, a_prepare_that_is_killed_is_started_again);
	tcase_add_test(tcase, many_jobs_leave_no_descriptor_behind);
	return unit_end("scheduler_faults", tcase);
}
