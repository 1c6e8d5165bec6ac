/* SPDX-License-Identifier: MIT */
/* How jobs end, and what the next daemon makes of an end that was cut off anywhere. */
#include "tests/unit/scheduler_world.h"

#include "daemon/sched/job_store.h"

START_TEST(a_cancelled_job_does_not_run_again_after_a_stop)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 60000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(is_converting, NULL);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	stop_daemon();
	assert_nothing_left();
	start_daemon();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

static bool is_committing(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "committing") || w->seen.state == JOB_STATE_COMPLETED;
}

static bool has_turned(struct world *w)
{
	return w->n_turns == 0 || w->n_turns-- == 0;
}

/* What an ended job left in the runtime directory is removed after the start, not by it. */
static bool is_swept(struct world *w)
{
	return all_ended(w) && count_entries(w->dirs[DIR_RUN_JOBS], ".") == 0;
}

static int64_t n_exits(void)
{
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	int64_t sum = 0;

	for (int cause = 0; cause < WORKER_N_CAUSES; cause++) {
		sum += totals->worker_exits[cause];
	}
	return sum;
}

/* As many turns of the loop into the commit as the loop test's number says. */
START_TEST(a_job_cut_off_while_committing_is_finished_or_runs_again)
{
	put_csv("in.csv", 5000, 10);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":"
	       "\"out.jsonl\",\"if_exists\":\"fail\"},\"errors\":{\"path\":\"err.jsonl\"}}");
	run_until(is_committing, NULL);
	world.n_turns = (unsigned)_i;
	run_until(has_turned, NULL);
	int64_t n_exits_before = n_exits();
	/* The daemon's death: nobody is told, only its processes end. */
	end_daemon();
	start_daemon();
	ck_assert_int_ge(n_exits(), n_exits_before);
	run_until(is_swept, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(5000, 10));
	ck_assert_int_eq(world.seen.error_count, 500);
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_int_eq(totals->names[0].rows_success, 4500);
	ck_assert_int_eq(totals->names[0].jobs_completed, 1);
}
END_TEST

static int64_t n_counted(void)
{
	const struct totals_view *totals = scheduler_totals(world.scheduler);

	return totals->n_names > 0 ? totals->names[0].rows_processed : 0;
}

START_TEST(a_commit_that_a_stop_cuts_off_stays_counted)
{
	put_csv("in.csv", 1000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(is_committing, NULL);
	ck_assert_int_eq(n_counted(), 1000);
	world.is_stopped = false;
	scheduler_stop(world.scheduler, on_stop, NULL);
	ck_assert_int_eq(n_counted(), 1000);
	run_until(is_stopped, NULL);
	end_daemon();
	start_daemon();
	ck_assert_int_eq(n_counted(), 1000);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
}
END_TEST

static void in_job_dir(const char *name, char path[static 64])
{
	snprintf(path, 64, "%s/%s", world.id, name);
}

static bool has_result(struct world *w)
{
	char path[64];
	struct stat st;

	in_job_dir("result.json", path);
	return fstatat(w->dirs[DIR_JOBS], path, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool has_moved_on(struct world *w)
{
	return has_result(w) && count_entries(w->dirs[DIR_SPOOL], "active") == 0;
}

static bool has_moved_receipt(struct world *w)
{
	return count_entries(w->dirs[DIR_SPOOL], "active") == 0;
}

static bool is_forgotten(struct world *w)
{
	return !is_there(w->dirs[DIR_JOBS], w->id);
}

/* A directory in its place keeps result.json from being written. */
static void submit_unwritable(const char *spec)
{
	char path[64];

	submit(spec);
	in_job_dir("result.json", path);
	ck_assert_int_eq(mkdirat(world.dirs[DIR_JOBS], path, 0750), 0);
	run_until(all_ended, NULL);
	look(world.id);
	ck_assert_uint_eq(count_entries(world.dirs[DIR_SPOOL], "active"), 1);
	assert_nothing_left();
}

static void let_result_be_written(void)
{
	char path[64];

	in_job_dir("result.json", path);
	ck_assert_int_eq(unlinkat(world.dirs[DIR_JOBS], path, AT_REMOVEDIR), 0);
	scheduler_reconfigure(world.scheduler, &world.options); /* does not wait half a minute */
	run_until(has_moved_on, NULL);
}

START_TEST(a_failure_that_finds_no_room_is_written_down_later)
{
	submit_unwritable(SPEC("\"out.jsonl\"}"));
	ck_assert_int_eq(world.seen.reason, JOB_REASON_INPUT_MISSING);
	let_result_be_written();
	assert_ended(JOB_STATE_FAILED, JOB_REASON_INPUT_MISSING);
	put_csv("in.csv", 10, 0);
	stop_daemon();
	start_daemon();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_INPUT_MISSING);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	ck_assert_int_eq(scheduler_totals(world.scheduler)->names[0].jobs_failed, 1);
}
END_TEST

START_TEST(a_success_that_finds_no_room_is_written_down_later)
{
	put_csv("in.csv", 10, 0);
	submit_unwritable(SPEC("\"out.jsonl\"}"));
	ck_assert_int_eq(world.seen.state, JOB_STATE_COMPLETED);
	let_result_be_written();
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(10, 0));
}
END_TEST

/* The counters' base takes results in order, but what is shown does not wait for that. */
START_TEST(a_job_that_waits_to_be_written_down_holds_no_counter_up)
{
	put_csv("in.csv", 10, 0);
	submit_unwritable(SPEC("\"out.jsonl\"}"));
	ck_assert_int_eq(scheduler_totals(world.scheduler)->names[0].jobs_completed, 1);
	submit(SPEC("\"out2.jsonl\"}"));
	run_until(all_ended, NULL);
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_int_eq(totals->names[0].jobs_completed, 2);
	ck_assert_int_eq(totals->names[0].rows_success, 20);
	ck_assert_int_eq(totals->names[0].last_rows_processed, 10);
}
END_TEST

/* A directory in its place keeps commit.json from being written, after all rows were converted. */
static void submit_uncommittable(void)
{
	char path[64];

	put_csv("in.csv", 1000, 0);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":\"out.jsonl\"},"
	       "\"workers\":1,\"retry\":{\"attempts\":3,\"backoff\":\"20ms\"}}");
	in_job_dir("commit.json", path);
	ck_assert_int_eq(mkdirat(world.dirs[DIR_JOBS], path, 0750), 0);
}

START_TEST(a_commit_that_always_fails_is_tried_no_more_often_than_the_spec_says)
{
	submit_uncommittable();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_IO_ERROR);
	ck_assert_int_eq(world.seen.worker_exits[WORKER_CAUSE_OK], 3 * 2); /* prepare and convert */
}
END_TEST

static bool waits_for_next_attempt(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "waiting") || w->seen.state != JOB_STATE_RUNNING;
}

/* Jobs are removed in the order of their ends: none may wait for one that never comes. */
START_TEST(a_commit_that_failed_once_keeps_no_job_from_being_removed)
{
	char path[64];

	submit_uncommittable();
	run_until(waits_for_next_attempt, NULL);
	in_job_dir("commit.json", path);
	ck_assert_int_eq(unlinkat(world.dirs[DIR_JOBS], path, AT_REMOVEDIR), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), 0);
	run_until(is_forgotten, NULL);
}
END_TEST

/* Its result is lost, but its receipt says that it has ended. */
START_TEST(a_job_whose_receipt_has_moved_on_does_not_run_again)
{
	static const char *const areas[] = {"failed", "done"};
	char path[64], from[64], to[64];

	put_csv("in.csv", 10, 0);
	put_text(world.data_fd, "out.jsonl", "old");
	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	submit(SPEC("\"out.jsonl\"}"));
	stop_daemon();
	in_job_dir("meta.json", path);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	static char file_name[] = "job.json";
	struct job_meta meta = {.id = world.id, .file_name = file_name, .submitted_at_ns = 1};
	job_meta_render(&meta, &text);
	put(world.dirs[DIR_JOBS], path, text.data, text.len);
	snprintf(from, sizeof(from), "active/%s.job.json", world.id);
	snprintf(to, sizeof(to), "%s/%s.job.json", areas[_i], world.id);
	ck_assert_int_eq(renameat(world.dirs[DIR_SPOOL], from, world.dirs[DIR_SPOOL], to), 0);
	world.options.max_jobs = 1;
	start_daemon();
	run_until(all_ended, NULL);
	look(world.id);
	ck_assert_int_eq(world.seen.state, JOB_STATE_FAILED);
	ck_assert_int_eq(world.seen.reason, JOB_REASON_IO_ERROR);
	ck_assert(has_result(&world));
	ck_assert(is_there(world.dirs[DIR_SPOOL], to));
	assert_file_is("out.jsonl", strdup("old"));
}
END_TEST

/* It could not be moved to invalid/ before the daemon died: the next start does, once. */
START_TEST(an_invalid_spec_in_active_is_moved_on_with_its_reason)
{
	char path[64];

	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	ck_assert_int_eq(mkdirat(world.dirs[DIR_SPOOL], "invalid", 0750), 0);
	submit(SPEC("\"out.jsonl\"}"));
	stop_daemon();
	in_job_dir("spec.json", path);
	put_text(world.dirs[DIR_JOBS], path, "{\"version\":1}");
	start_daemon();
	run_until(has_moved_receipt, NULL);
	snprintf(path, sizeof(path), "invalid/%s.job.json", world.id);
	ck_assert(is_there(world.dirs[DIR_SPOOL], path));
	snprintf(path, sizeof(path), "invalid/%s.job.json.error.json", world.id);
	CLEANUP(free_p) char *reason = get(world.dirs[DIR_SPOOL], path);
	ck_assert_ptr_nonnull(strstr(reason, "\"input\\\" is missing"));
	stop_daemon();
	start_daemon();
	run_until(is_forgotten, NULL);
}
END_TEST

static bool has_lost_spec(struct world *w)
{
	char path[64];

	in_job_dir("spec.json", path);
	return !is_there(w->dirs[DIR_JOBS], path);
}

/* Directories too deep to be removed, so many that one is met before the spec. */
static void make_irremovable(void)
{
	char path[256];

	for (int i = 0; i < 64; i++) {
		size_t len = (size_t)snprintf(path, sizeof(path), "%s/x%d", world.id, i);

		for (int depth = 0; depth < 20; depth++) {
			ck_assert_int_eq(mkdirat(world.dirs[DIR_JOBS], path, 0750), 0);
			len += (size_t)snprintf(path + len, sizeof(path) - len, "/x");
		}
	}
}

START_TEST(a_removal_that_is_cut_off_leaves_no_job_to_run_again)
{
	char path[64];

	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	make_irremovable();
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), 0);
	run_until(has_lost_spec, NULL);
	stop_daemon();
	in_job_dir("result.json", path);
	unlinkat(world.dirs[DIR_JOBS], path, 0);
	snprintf(path, sizeof(path), "done/%s.job.json", world.id);
	ck_assert_int_eq(unlinkat(world.dirs[DIR_SPOOL], path, 0), 0);
	put_text(world.data_fd, "out.jsonl", "mine");
	start_daemon();
	run_until(all_ended, NULL);
	look(world.id);
	ck_assert(!world.was_seen);
	assert_file_is("out.jsonl", strdup("mine"));
}
END_TEST

/* A job as a daemon left it that died between commit.json and the first rename. */
static void leave_committing(uint64_t more_dev)
{
	char name[64], path[128], receipt[64];
	static char target[] = "out.jsonl", message[] = "", job_name[] = "job";
	struct stat st;

	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	submit(SPEC("\"out.jsonl\"}"));
	stop_daemon();
	snprintf(name, sizeof(name), ".zp-%s-0.part", world.id);
	snprintf(receipt, sizeof(receipt), "%s.job.json", world.id);
	put_text(world.data_fd, name, "rows\n");
	ck_assert_int_eq(fstatat(world.data_fd, name, &st, 0), 0);
	struct job_result_pipe pipe = {.success_count = 1};
	struct job_result result = {.id = world.id,
				    .name = job_name,
				    .receipt = receipt,
				    .message = message,
				    .state = JOB_STATE_COMPLETED,
				    .finish_sequence = 1,
				    .total_processed = 1,
				    .n_pipes = 1,
				    .pipes = &pipe};
	struct commit_file file = {.temporary = name,
				   .target = target,
				   .dev = st.st_dev + more_dev,
				   .inode = st.st_ino,
				   .size_bytes = 5};
	struct commit_record record = {.result = &result, .n_files = 1, .files = &file};
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	commit_record_render(&record, &text);
	snprintf(path, sizeof(path), "%s/commit.json", world.id);
	put(world.dirs[DIR_JOBS], path, text.data, text.len);
	world.options.max_jobs = 4;
}

/* The number of a device may be another after a reboot. */
START_TEST(a_commit_is_gone_on_with_when_the_disk_has_another_number)
{
	leave_committing((uint64_t)_i);
	start_daemon();
	ck_assert_int_eq(n_counted(), 1);
	run_until(is_swept, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", strdup("rows\n"));
}
END_TEST

/* Nothing in the data root can be looked at any more. Returns its descriptor, to show it again. */
static int hide_data(void)
{
	int data_fd = world.data_fd;

	world.data_fd = -1;
	return data_fd;
}

static bool is_waiting(struct world *w)
{
	look(w->id);
	return w->was_seen && w->seen.state == JOB_STATE_RUNNING &&
	       str_equal(w->seen_phase, "committing");
}

static bool has_ended(struct world *w)
{
	look(w->id);
	return w->was_seen && w->seen.state > JOB_STATE_RUNNING;
}

START_TEST(a_commit_that_cannot_be_looked_at_waits_until_it_can)
{
	char id[sizeof(world.id)];

	leave_committing(0);
	int data_fd = hide_data();
	start_daemon();
	ck_assert_int_eq(n_counted(), 1);
	run_until(is_waiting, NULL);
	memcpy(id, world.id, sizeof(id));
	submit(SPEC("\"out.jsonl\"}"));
	run_until(has_ended, NULL);
	ck_assert_int_eq(world.seen.reason, JOB_REASON_OUTPUT_UNWRITABLE);
	memcpy(world.id, id, sizeof(id));
	ck_assert(is_waiting(&world));
	world.data_fd = data_fd;
	run_until(is_swept, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", strdup("rows\n"));
}
END_TEST

/* As someone who takes the file away would find it at the next start, or meanwhile. */
START_TEST(a_commit_whose_files_are_gone_when_it_can_be_looked_at_has_failed)
{
	char name[64];

	leave_committing(0);
	snprintf(name, sizeof(name), ".zp-%s-0.part", world.id);
	int data_fd = hide_data();
	start_daemon();
	run_until(is_waiting, NULL);
	ck_assert_int_eq(unlinkat(data_fd, name, 0), 0);
	world.data_fd = data_fd;
	run_until(is_swept, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_IO_ERROR);
}
END_TEST

START_TEST(a_commit_that_waits_to_be_looked_at_outlives_a_stop)
{
	char path[128];

	leave_committing(0);
	int data_fd = hide_data();
	start_daemon();
	if (_i == 1) {
		run_until(is_waiting, NULL);
	}
	stop_daemon();
	snprintf(path, sizeof(path), "%s/commit.json", world.id);
	ck_assert(is_there(world.dirs[DIR_JOBS], path));
	world.data_fd = data_fd;
	ck_assert_uint_eq(count_parts(), 1);
	start_daemon();
	ck_assert_int_eq(n_counted(), 1);
	run_until(is_swept, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", strdup("rows\n"));
}
END_TEST

/* What may be there all the same is left to whoever cancelled it. */
START_TEST(a_commit_that_waits_to_be_looked_at_can_be_cancelled)
{
	leave_committing(0);
	int data_fd = hide_data();
	start_daemon();
	run_until(is_waiting, NULL);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(has_ended, NULL);
	world.data_fd = data_fd;
	ck_assert_int_eq(world.seen.state, JOB_STATE_ABORTED);
	ck_assert_int_eq(world.seen.reason, JOB_REASON_CANCELLED);
	ck_assert_uint_eq(count_parts(), 1);
}
END_TEST

/* Else it would never end. */
START_TEST(a_commit_that_cannot_be_looked_at_waits_for_no_daemon_that_runs_once)
{
	char path[128];

	leave_committing(0);
	int data_fd = hide_data();
	world.options.is_once = true;
	start_daemon();
	look(world.id);
	ck_assert(!world.was_seen);
	stop_daemon();
	world.data_fd = data_fd;
	snprintf(path, sizeof(path), "%s/commit.json", world.id);
	ck_assert(is_there(world.dirs[DIR_JOBS], path));
	ck_assert_uint_eq(count_parts(), 1);
	world.options.is_once = false;
	start_daemon();
	run_until(is_swept, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return play(argv);
	}
	TCase *tcase = unit_begin(setup, teardown);

	tcase_add_test(tcase, a_cancelled_job_does_not_run_again_after_a_stop);
	tcase_add_test(tcase, a_commit_that_a_stop_cuts_off_stays_counted);
	tcase_add_loop_test(tcase, a_job_cut_off_while_committing_is_finished_or_runs_again, 0, 20);
	tcase_add_test(tcase, a_failure_that_finds_no_room_is_written_down_later);
	tcase_add_test(tcase, a_success_that_finds_no_room_is_written_down_later);
	tcase_add_test(tcase, a_job_that_waits_to_be_written_down_holds_no_counter_up);
	tcase_add_test(tcase, a_commit_that_always_fails_is_tried_no_more_often_than_the_spec_says);
	tcase_add_test(tcase, a_commit_that_failed_once_keeps_no_job_from_being_removed);
	tcase_add_loop_test(tcase, a_job_whose_receipt_has_moved_on_does_not_run_again, 0, 2);
	tcase_add_test(tcase, an_invalid_spec_in_active_is_moved_on_with_its_reason);
	tcase_add_test(tcase, a_removal_that_is_cut_off_leaves_no_job_to_run_again);
	tcase_add_loop_test(tcase, a_commit_is_gone_on_with_when_the_disk_has_another_number, 0, 2);
	tcase_add_test(tcase, a_commit_that_cannot_be_looked_at_waits_until_it_can);
	tcase_add_test(tcase, a_commit_whose_files_are_gone_when_it_can_be_looked_at_has_failed);
	tcase_add_loop_test(tcase, a_commit_that_waits_to_be_looked_at_outlives_a_stop, 0, 2);
	tcase_add_test(tcase, a_commit_that_waits_to_be_looked_at_can_be_cancelled);
	tcase_add_test(tcase, a_commit_that_cannot_be_looked_at_waits_for_no_daemon_that_runs_once);
	return unit_end("scheduler_end", tcase);
}
