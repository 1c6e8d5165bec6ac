/* SPDX-License-Identifier: MIT */
/* Daemons that end while a job runs, and what the next one makes of what they have left. */
#include "tests/unit/scheduler_world.h"

#include <sys/file.h>

#include "daemon/sched/account_pages.h"

#define N_ROWS	 60000u
#define MIN_ROWS 2000

static int64_t n_rows_before;
static double counted_before;

static double counted(void)
{
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	double sum = 0;

	for (size_t i = 0; i < totals->n_names; i++) {
		sum += (double)totals->names[i].rows_processed;
	}
	return sum;
}

static bool is_preparing(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "preparing");
}

static bool has_begun(struct world *w)
{
	look(w->id);
	return w->seen.accepted_processed >= MIN_ROWS;
}

/* A job that is cut off in its middle by a stop of the daemon. */
static void cut_off(void)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", N_ROWS, 100);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":"
	       "\"out.jsonl\"},\"errors\":{\"path\":\"bad.jsonl\"},\"workers\":3}");
	run_until(has_begun, NULL);
	counted_before = counted();
	stop_daemon();
	ck_assert_uint_eq(count_parts(), 2);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}

/* The files of the job's own directories. */
static void in_run_dir(char path[static 128], const char *name)
{
	snprintf(path, 128, "%s/%s", world.id, name);
}

static void part_name(char path[static 128], unsigned number)
{
	snprintf(path, 128, ".zp-%s-%u.part", world.id, number);
}

static void start_again(void)
{
	world.options.chunk_size_bytes = 65536;
	start_daemon();
	look(world.id);
	ck_assert(world.was_seen);
	n_rows_before = world.seen.accepted_processed;
}

static void assert_all_right(void)
{
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(N_ROWS, 100));
	ck_assert_int_eq(world.seen.total_processed, N_ROWS);
	ck_assert_int_eq(world.seen.error_count, N_ROWS / 100);
	ck_assert_int_eq((int64_t)counted(), N_ROWS);
	char *errors = get(world.data_fd, "bad.jsonl");
	unsigned n_lines = 0;
	for (const char *at = errors; (at = strchr(at, '\n')) != NULL; at++) {
		n_lines++;
	}
	ck_assert_uint_eq(n_lines, N_ROWS / 100);
	free(errors);
	char path[128];
	in_run_dir(path, "plan.json");
	ck_assert(!is_there(world.dirs[DIR_JOBS], path));
	in_run_dir(path, "checkpoint-0");
	ck_assert(!is_there(world.dirs[DIR_JOBS], path));
}

START_TEST(a_stopped_job_goes_on_where_it_was)
{
	cut_off();
	start_again();
	ck_assert_int_ge(n_rows_before, MIN_ROWS);
	ck_assert(counted() >= counted_before);
	assert_all_right();
}
END_TEST

/* Looks at each turn of the loop. */
static bool has_counted_more(struct world *w)
{
	double now = counted();

	ck_assert(now >= counted_before);
	counted_before = MAX(counted_before, now);
	look(w->id);
	return now >= (double)n_rows_before + MIN_ROWS || w->seen.state == JOB_STATE_COMPLETED;
}

START_TEST(counters_never_go_back_over_a_restart)
{
	cut_off();
	for (int i = 0; i < 5; i++) {
		start_daemon();
		n_rows_before = (int64_t)counted_before;
		run_until(has_counted_more, NULL);
		ck_assert_int_eq(world.seen.state, JOB_STATE_RUNNING);
		stop_daemon();
	}
	start_again();
	assert_all_right();
}
END_TEST

static void remove_run_dir(void)
{
	static const char *const names[] = {"account",	      "chunks",		"plan.json",
					    "worker-0.stats", "worker-1.stats", "worker-2.stats"};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		in_run_dir(path, names[i]);
		unlinkat(world.dirs[DIR_RUN_JOBS], path, 0);
	}
	ck_assert_int_eq(unlinkat(world.dirs[DIR_RUN_JOBS], world.id, AT_REMOVEDIR), 0);
}

/* A reboot empties the runtime directory; the stop has left a checkpoint. */
START_TEST(a_job_goes_on_from_its_checkpoint_after_a_reboot)
{
	cut_off();
	remove_run_dir();
	start_again();
	ck_assert_int_ge(n_rows_before, MIN_ROWS);
	assert_all_right();
}
END_TEST

START_TEST(a_job_without_a_checkpoint_runs_again_after_a_reboot)
{
	char path[128];

	cut_off();
	remove_run_dir();
	for (int i = 0; i < 2; i++) {
		in_run_dir(path, i == 0 ? "checkpoint-0" : "checkpoint-1");
		unlinkat(world.dirs[DIR_JOBS], path, 0);
	}
	start_again();
	ck_assert_int_eq(n_rows_before, 0);
	assert_all_right();
}
END_TEST

static void spoil(int dir_fd, const char *path, bool is_cut)
{
	int fd = openat(dir_fd, path, O_RDWR | O_CLOEXEC);
	struct stat st;

	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(fstat(fd, &st), 0);
	if (is_cut) {
		ck_assert_int_eq(ftruncate(fd, st.st_size / 3), 0);
	} else {
		for (off_t at = 40; at < st.st_size; at += 64) {
			ck_assert_int_eq(pwrite(fd, "\xa5\x5a\xff", 3, at), 3);
		}
	}
	fd_close(fd);
}

/* Another file of the same length under the same name. */
static void replace_by_zeros(const char *path)
{
	int old_fd = openat(world.data_fd, path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	ck_assert_int_eq(fstat(old_fd, &st), 0);
	ck_assert_int_eq(unlinkat(world.data_fd, path, 0), 0);
	int fd = openat(world.data_fd, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, st.st_size), 0);
	fd_close(fd);
	fd_close(old_fd); /* until here, so that the inode's number is another one */
}

/* Each file that a resumed run reads, spoilt in two ways. */
START_TEST(what_is_spoilt_is_seen_and_the_rows_are_right)
{
	static const char *const names[] = {"account", "chunks", "plan.json"};
	char path[128];

	cut_off();
	if (_i < 6) {
		in_run_dir(path, names[_i / 2]);
		spoil(world.dirs[DIR_RUN_JOBS], path, _i % 2 == 0);
	} else if (_i < 8) {
		in_run_dir(path, "account");
		spoil(world.dirs[DIR_RUN_JOBS], path, false);
		in_run_dir(path, "checkpoint-0");
		spoil(world.dirs[DIR_JOBS], path, _i % 2 == 0);
	} else if (_i == 8) {
		part_name(path, 0);
		spoil(world.data_fd, path, true);
	} else {
		part_name(path, 0);
		replace_by_zeros(path);
	}
	start_again();
	assert_all_right();
}
END_TEST

/* What was written by another build, and not folded, is no more worth than garbage. */
START_TEST(another_build_goes_on_from_the_folded_rows)
{
	struct account_pages pages = {0};
	struct account account;
	char path[128];

	cut_off();
	CLEANUP(fd_closep)
	int run_dir_fd = openat(world.dirs[DIR_RUN_JOBS], world.id, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(account_pages_read(run_dir_fd, &account), 0);
	account.build_id++;
	account.sequence++;
	ck_assert_int_eq(account_pages_create(run_dir_fd, account.n_lanes, &pages), 0);
	account_pages_write(&pages, &account);
	ck_assert_int_eq(account_pages_publish(run_dir_fd), 0);
	account_pages_close(&pages);
	part_name(path, 0);
	int fd = openat(world.data_fd, path, O_WRONLY | O_CLOEXEC);
	for (off_t at = 0; at < 1000000; at += 6) {
		ck_assert_int_eq(pwrite(fd, "wrong\n", 6, (off_t)account.lanes[0].out_end + at), 6);
	}
	fd_close(fd);
	account_deinit(&account);
	start_again();
	ck_assert_int_ge(n_rows_before, MIN_ROWS);
	assert_all_right();
}
END_TEST

/* A good plan, but not the one that the rows were made by: two columns have changed places. */
START_TEST(a_plan_that_is_not_the_recorded_one_is_not_gone_on_with)
{
	char path[128];

	cut_off();
	in_run_dir(path, "plan.json");
	char *text = get(world.dirs[DIR_RUN_JOBS], path);
	char *name = strstr(text, "\"name\",\"note\"");
	ck_assert_ptr_nonnull(name);
	memcpy(name, "\"note\",\"name\"", strlen("\"note\",\"name\""));
	put_text(world.dirs[DIR_RUN_JOBS], path, text);
	free(text);
	start_again();
	assert_all_right();
}
END_TEST

START_TEST(an_input_that_has_changed_meanwhile_fails_the_job)
{
	cut_off();
	if (_i == 0) {
		int fd = openat(world.data_fd, "in.csv", O_WRONLY | O_APPEND | O_CLOEXEC);
		ck_assert_int_eq(fd_write_all(fd, "1,2,3\n", 6), 0);
		fd_close(fd);
	} else if (_i == 1) {
		int fd = openat(world.data_fd, "in.csv", O_WRONLY | O_CLOEXEC);
		ck_assert_int_eq(ftruncate(fd, 100000), 0);
		fd_close(fd);
	} else {
		put_csv("new.csv", N_ROWS, 100);
		ck_assert_int_eq(renameat(world.data_fd, "new.csv", world.data_fd, "in.csv"), 0);
	}
	if (_i == 3) {
		remove_run_dir(); /* and the machine was down in between */
	}
	start_again();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_INPUT_CHANGED);
	ck_assert_uint_eq(world.seen.n_workers, 0); /* before any row is read */
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	ck_assert(counted() >= counted_before);
}
END_TEST

START_TEST(a_job_that_waits_to_go_on_can_be_cancelled)
{
	cut_off();
	world.options.max_jobs = 0;
	start_daemon();
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
	ck_assert(counted() >= counted_before);
}
END_TEST

/* Without its rows, so that it has to run again from its input. */
static void start_over(void)
{
	char path[128];

	part_name(path, 0);
	ck_assert_int_eq(unlinkat(world.data_fd, path, 0), 0);
	start_daemon();
	ck_assert(counted() >= counted_before);
	run_until(is_converting, NULL);
	ck_assert(counted() >= counted_before);
}

START_TEST(what_was_counted_stays_so_if_a_job_that_starts_over_is_cancelled)
{
	cut_off();
	start_over();
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
	ck_assert(counted() >= counted_before);
	ck_assert_int_eq(world.seen.total_processed,
			 world.seen.success_count + world.seen.error_count);
}
END_TEST

START_TEST(what_was_counted_stays_so_over_the_restarts_of_a_job_that_starts_over)
{
	cut_off();
	start_over();
	stop_daemon();
	start_again();
	ck_assert(counted() >= counted_before);
	assert_all_right();
}
END_TEST

START_TEST(a_job_that_is_cancelled_while_it_waits_for_its_lock_leaves_no_files)
{
	char path[128];

	cut_off();
	in_run_dir(path, "lock");
	int fd = openat(world.dirs[DIR_JOBS], path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0); /* as a worker that cannot die */
	start_daemon();
	run_until(is_preparing, NULL);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	fd_close(fd);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
}
END_TEST

/* What a start has to remove is removed, this last. */
static bool is_swept(struct world *w)
{
	return count_entries(w->dirs[DIR_RUN_JOBS], ".") == 0;
}

/* For want of a descriptor, or for a disk that answers again: here a directory is in its place. */
START_TEST(a_job_whose_spec_cannot_be_read_waits_for_a_later_start)
{
	char path[128], aside[128];

	cut_off();
	in_run_dir(path, "spec.json");
	in_run_dir(aside, "aside");
	ck_assert_int_eq(renameat(world.dirs[DIR_JOBS], path, world.dirs[DIR_JOBS], aside), 0);
	ck_assert_int_eq(mkdirat(world.dirs[DIR_JOBS], path, 0750), 0);
	start_daemon();
	run_until(is_swept, NULL);
	look(world.id);
	ck_assert(!world.was_seen);
	stop_daemon();
	ck_assert_int_eq(unlinkat(world.dirs[DIR_JOBS], path, AT_REMOVEDIR), 0);
	ck_assert_int_eq(renameat(world.dirs[DIR_JOBS], aside, world.dirs[DIR_JOBS], path), 0);
	start_again();
	assert_all_right();
}
END_TEST

START_TEST(a_run_for_once_leaves_nothing_to_go_on_with)
{
	world.options.is_once = true;
	stop_daemon();
	world.options.chunk_size_bytes = 256;
	start_daemon();
	put_csv("in.csv", N_ROWS, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(has_begun, NULL);
	stop_daemon();
	assert_nothing_left();
	start_daemon();
	run_until(all_ended, NULL);
}
END_TEST

static bool has_checkpoint(struct world *w)
{
	char path[128];

	look(w->id);
	in_run_dir(path, "checkpoint-1");
	return is_there(w->dirs[DIR_JOBS], path) || w->seen.state == JOB_STATE_COMPLETED;
}

/* Many checkpoints while the rows flow, then a power cut: all runtime files are gone. */
START_TEST(checkpoints_are_taken_while_the_job_runs)
{
	world.options.checkpoint_interval_ns = CLOCK_NS_PER_MS;
	world.options.chunk_size_bytes = 128;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", N_ROWS, 100);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":"
	       "\"out.jsonl\"},\"errors\":{\"path\":\"bad.jsonl\"},\"workers\":2}");
	run_until(has_checkpoint, NULL);
	ck_assert_int_eq(world.seen.state, JOB_STATE_RUNNING);
	stop_daemon();
	remove_run_dir();
	start_again();
	ck_assert_int_gt(n_rows_before, 0);
	assert_all_right();
}
END_TEST

/* Whatever step a checkpoint is at when the job ends, it leaves no record behind. */
START_TEST(a_cancelled_job_leaves_no_checkpoint)
{
	char path[128];

	world.options.checkpoint_interval_ns = CLOCK_NS_PER_MS;
	world.options.chunk_size_bytes = 128;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", N_ROWS, 100);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(has_checkpoint, NULL);
	struct timespec pause = {.tv_nsec = _i * 100000};
	nanosleep(&pause, NULL);
	(void)!scheduler_cancel(world.scheduler, world.id);
	run_until(all_ended, NULL);
	for (int i = 0; i < 2; i++) {
		in_run_dir(path, i == 0 ? "checkpoint-0" : "checkpoint-1");
		ck_assert(!is_there(world.dirs[DIR_JOBS], path));
	}
}
END_TEST

START_TEST(what_a_killed_daemon_left_is_swept)
{
	char name[128];

	put_csv("in.csv", 1000, 0);
	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	submit(SPEC("\"out.jsonl\"}"));
	stop_daemon();
	snprintf(name, sizeof(name), ".zp-%s-0.part", world.id);
	put_text(world.data_fd, name, "half");
	ck_assert_int_eq(mkdirat(world.dirs[DIR_RUN_JOBS], world.id, 0750), 0);
	snprintf(name, sizeof(name), "%s/chunks", world.id);
	put_text(world.dirs[DIR_RUN_JOBS], name, "old");
	world.options.max_jobs = 1;
	start_daemon();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(1000, 0));
}
END_TEST

/* --- attempts --------------------------------------------------------------------------------- */

static void submit_for_attempts(const char *part)
{
	setenv(PART_VARIABLE, part, 1);
	put_csv("in.csv", 2000, 0);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":\"out.jsonl\"},"
	       "\"workers\":1,\"retry\":{\"attempts\":3,\"backoff\":\"50ms\"}}");
}

static bool is_between_attempts(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "waiting") || w->seen.state != JOB_STATE_RUNNING;
}

START_TEST(a_failure_that_passes_costs_only_time)
{
	submit_for_attempts("full-2");
	run_until(is_converting, NULL);
	run_until(is_between_attempts, NULL);
	ck_assert_int_eq(world.seen.state, JOB_STATE_RUNNING);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(2000, 0));
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_ERROR], 2);
}
END_TEST

START_TEST(a_failure_that_stays_is_named_after_the_last_attempt)
{
	submit_for_attempts("full-9");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_NO_SPACE);
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_ERROR], 3);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

START_TEST(a_permanent_failure_is_not_tried_again)
{
	submit_for_attempts("changed-");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_INPUT_CHANGED);
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_ERROR], 1);
}
END_TEST

START_TEST(a_job_between_attempts_can_be_cancelled)
{
	submit_for_attempts("full-9");
	run_until(is_between_attempts, NULL);
	ck_assert_str_eq(world.seen_phase, "waiting");
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
}
END_TEST

START_TEST(a_job_between_attempts_goes_on_at_the_next_start)
{
	submit_for_attempts("full-1");
	run_until(is_between_attempts, NULL);
	ck_assert_str_eq(world.seen_phase, "waiting");
	stop_daemon();
	start_daemon();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(2000, 0));
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return play(argv);
	}
	TCase *tcase = unit_begin(setup, teardown);

	tcase_add_test(tcase, a_stopped_job_goes_on_where_it_was);
	tcase_add_test(tcase, counters_never_go_back_over_a_restart);
	tcase_add_test(tcase, a_job_goes_on_from_its_checkpoint_after_a_reboot);
	tcase_add_test(tcase, a_job_without_a_checkpoint_runs_again_after_a_reboot);
	tcase_add_loop_test(tcase, what_is_spoilt_is_seen_and_the_rows_are_right, 0, 10);
	tcase_add_loop_test(tcase, another_build_goes_on_from_the_folded_rows, 0, 4);
	tcase_add_test(tcase, a_plan_that_is_not_the_recorded_one_is_not_gone_on_with);
	tcase_add_loop_test(tcase, an_input_that_has_changed_meanwhile_fails_the_job, 0, 4);
	tcase_add_test(tcase, a_job_that_waits_to_go_on_can_be_cancelled);
	tcase_add_test(tcase, what_was_counted_stays_so_if_a_job_that_starts_over_is_cancelled);
	tcase_add_test(tcase,
		       what_was_counted_stays_so_over_the_restarts_of_a_job_that_starts_over);
	tcase_add_test(tcase, a_job_that_is_cancelled_while_it_waits_for_its_lock_leaves_no_files);
	tcase_add_test(tcase, a_job_whose_spec_cannot_be_read_waits_for_a_later_start);
	tcase_add_test(tcase, a_run_for_once_leaves_nothing_to_go_on_with);
	tcase_add_test(tcase, checkpoints_are_taken_while_the_job_runs);
	tcase_add_loop_test(tcase, a_cancelled_job_leaves_no_checkpoint, 0, 20);
	tcase_add_test(tcase, what_a_killed_daemon_left_is_swept);
	tcase_add_test(tcase, a_failure_that_passes_costs_only_time);
	tcase_add_test(tcase, a_failure_that_stays_is_named_after_the_last_attempt);
	tcase_add_test(tcase, a_permanent_failure_is_not_tried_again);
	tcase_add_test(tcase, a_job_between_attempts_can_be_cancelled);
	tcase_add_test(tcase, a_job_between_attempts_goes_on_at_the_next_start);
	return unit_end("scheduler_resume", tcase);
}
