/* SPDX-License-Identifier: MIT */
/* What a job leaves on disk and what is shown of it, when all processes do their work. */
#include "tests/unit/scheduler_world.h"

START_TEST(a_job_writes_all_rows_in_order)
{
	put_csv("in.csv", 20000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(20000, 0));
	ck_assert_int_eq(world.seen.total_processed, 20000);
	ck_assert_int_eq(world.seen.accepted_success, 20000);
	ck_assert_double_eq(world.seen.progress, 1.0);
}
END_TEST

START_TEST(rejects_stay_in_the_state_without_an_errors_path)
{
	put_csv("in.csv", 3000, 10);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(3000, 10));
	ck_assert_int_eq(world.seen.error_count, 300);
	ck_assert_int_eq(world.seen.rejects[REJECT_RAGGED], 300);
	struct buf text = BUF_INIT;
	int fd = scheduler_open_rejects(world.scheduler, world.id);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_read_all(fd, 1 << 24, &text), 0);
	fd_close(fd);
	unsigned n_lines = 0;
	for (size_t i = 0; i < text.len; i++) {
		n_lines += text.data[i] == '\n';
	}
	ck_assert_uint_eq(n_lines, 300);
	buf_deinit(&text);
}
END_TEST

START_TEST(too_many_rejects_publish_the_error_file_alone)
{
	put_csv("in.csv", 3000, 10);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":\"out.jsonl\"},"
	       "\"errors\":{\"path\":\"err.jsonl\",\"max_rows\":20}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_REJECTS_EXCEEDED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	ck_assert_int_eq(world.seen.error_count, 21);
	char *errors = get(world.data_fd, "err.jsonl");
	unsigned n_lines = 0;
	for (const char *at = errors; *at != '\0'; at++) {
		n_lines += *at == '\n';
	}
	free(errors);
	ck_assert_uint_eq(n_lines, 21);
}
END_TEST

START_TEST(a_wrong_delimiter_that_rejects_every_row_fails)
{
	put_text(world.data_fd, "in.csv", "a;b\n1,2;3;4\n5;6;7\n");
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\",\"delimiter\":\";\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_REJECTS_EXCEEDED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

START_TEST(an_empty_input_gives_an_empty_output)
{
	put_text(world.data_fd, "in.csv", "");
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", strdup(""));
	ck_assert(is_there(world.data_fd, "out.jsonl"));
}
END_TEST

static double longest_seconds; /* as shown of the job while it lived */

static void note_duration(struct world *w)
{
	look(w->id);
	longest_seconds = MAX(longest_seconds, w->seen.duration_seconds);
}

START_TEST(an_ended_job_took_no_less_than_was_shown)
{
	longest_seconds = 0;
	put_csv("in.csv", _i == 0 ? 1000 : 0, 0);
	submit(_i < 2 ? SPEC("\"out.jsonl\"}") : SPEC("\"none/out.jsonl\"}"));
	run_until(all_ended, note_duration);
	look(world.id);
	ck_assert(longest_seconds > 0);
	ck_assert_double_ge(world.seen.duration_seconds, longest_seconds);
	stop_daemon();
	start_daemon();
	double seconds = world.seen.duration_seconds;
	look(world.id);
	ck_assert_double_eq(world.seen.duration_seconds, seconds);
}
END_TEST

static unsigned most_started; /* workers, between two looks */

static void note_started(struct world *w)
{
	unsigned n_before = w->seen.n_workers_alive;

	look(w->id);
	most_started = MAX(most_started,
			   w->seen.n_workers_alive - MIN(n_before, w->seen.n_workers_alive));
}

START_TEST(others_are_served_while_many_workers_start)
{
	enum { N_WORKERS = 40 };

	stop_daemon();
	world.options.max_workers = N_WORKERS;
	start_daemon();
	put_csv("in.csv", 10000, 0);
	submit(SPEC("\"out.jsonl\"},\"workers\":40"));
	most_started = 0;
	run_until(all_ended, note_started);
	look(world.id);
	ck_assert_int_eq(world.seen.state, JOB_STATE_COMPLETED);
	ck_assert_uint_gt(most_started, 0);
	ck_assert_uint_lt(most_started, N_WORKERS / 2);
	assert_file_is("out.jsonl", expected_rows(10000, 0));
}
END_TEST

static const struct {
	const char *spec;
	enum job_reason reason;
} bad_specs[] = {
	{"{\"version\":1,\"input\":{\"path\":\"no.csv\"},\"output\":{\"path\":\"o\"}}",
	 JOB_REASON_INPUT_MISSING},
	{SPEC("\"/etc/o\"}"), JOB_REASON_PATH_DENIED},
	{SPEC("\"link/o\"}"), JOB_REASON_PATH_DENIED},
	{SPEC("\"link\"}"), JOB_REASON_PATH_DENIED},
	{SPEC("\"none/o\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"dir\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"fifo\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"in.csv\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"old.jsonl\",\"if_exists\":\"fail\"}"), JOB_REASON_OUTPUT_EXISTS},
	{SPEC("\"o\"},\"errors\":{\"path\":\"in.csv\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
};

static void must_not_commit(struct world *w)
{
	look(w->id);
	ck_assert_str_ne(w->seen_phase, "committing");
}

START_TEST(a_job_that_cannot_work_is_refused_and_changes_nothing)
{
	put_csv("in.csv", 10, 0);
	put_text(world.data_fd, "old.jsonl", "old");
	ck_assert_int_eq(symlinkat("dir", world.data_fd, "link"), 0);
	ck_assert_int_eq(mkdirat(world.data_fd, "dir", 0750), 0);
	ck_assert_int_eq(mkfifoat(world.data_fd, "fifo", 0640), 0);
	unsigned n_before = count_entries(world.data_fd, ".");
	submit(bad_specs[_i].spec);
	run_until(all_ended, must_not_commit);
	assert_ended(JOB_STATE_FAILED, bad_specs[_i].reason);
	ck_assert_int_eq(world.seen_pipe.bytes_total, -1); /* no one knows */
	ck_assert_uint_eq(count_entries(world.data_fd, "."), n_before);
	ck_assert_str_ne(world.seen_message, "");
	assert_file_is("old.jsonl", strdup("old"));
}
END_TEST

START_TEST(a_link_in_the_path_is_told_alike_of_inputs_and_outputs)
{
	static const char *const specs[] = {
		SPEC("\"link/o\"}"),
		"{\"version\":1,\"input\":{\"path\":\"link/in.csv\"},\"output\":{\"path\":\"o\"}}",
	};

	put_csv("in.csv", 10, 0);
	ck_assert_int_eq(symlinkat(".", world.data_fd, "link"), 0);
	submit(specs[_i]);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_PATH_DENIED);
	ck_assert_msg(str_ends_with(world.seen_message, ": there is a symbolic link in the path"),
		      "%s", world.seen_message);
}
END_TEST

START_TEST(a_target_of_a_live_job_is_refused_by_name)
{
	char first[24], second[24];

	world.options.max_jobs = 1;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 20000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	memcpy(first, world.id, sizeof(first));
	submit(SPEC("\"./out.jsonl\"}"));
	memcpy(second, world.id, sizeof(second));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_OUTPUT_UNWRITABLE);
	ck_assert_ptr_nonnull(strstr(world.seen_message, first));
	memcpy(world.id, first, sizeof(first));
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
}
END_TEST

START_TEST(a_running_job_can_be_cancelled)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 300000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(is_converting, NULL);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), -EBUSY);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), -EALREADY);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, "none"), -ENOENT);
}
END_TEST

START_TEST(a_waiting_job_can_be_cancelled)
{
	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
}
END_TEST

static bool is_gone(struct world *w)
{
	return !is_there(w->dirs[DIR_JOBS], w->id);
}

START_TEST(a_forgotten_job_is_gone_but_stays_counted)
{
	put_csv("in.csv", 100, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), 0);
	look(world.id);
	ck_assert(!world.was_seen);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), -ENOENT);
	run_until(is_gone, NULL);
	stop_daemon();
	start_daemon();
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_int_eq(totals->names[0].rows_success, 100);
	char id[24];
	scheduler_next_id(world.scheduler, id);
	ck_assert_int_gt(strcmp(id, world.id), 0);
}
END_TEST

START_TEST(no_more_jobs_run_than_may)
{
	char spec[256];

	world.options.max_jobs = 2;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 3000, 0);
	for (int i = 0; i < 8; i++) {
		snprintf(spec, sizeof(spec), SPEC("\"out-%d.jsonl\"}"), i);
		submit(spec);
	}
	run_until(all_ended, NULL);
	ck_assert_uint_le(world.max_running, 2);
	ck_assert_uint_ge(world.max_running, 1);
	assert_nothing_left();
}
END_TEST

/* A base with as many names as leave one free, before "_other". */
static void put_base(unsigned n_names)
{
	struct buf text = BUF_INIT;

	buf_add_str(&text, "{\"version\":1,\"finish_sequence\":0,\"last_id\":\"\","
			   "\"duration_counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0],\"names\":[");
	for (unsigned i = 0; i < n_names; i++) {
		buf_printf(&text, "%s{\"name\":\"old-%u\"}", i > 0 ? "," : "", i);
	}
	buf_add_str(&text, "]}");
	put(world.dirs[DIR_STATE], "base.json", text.data, text.len);
	buf_deinit(&text);
}

/* Rows counted for a name; -1 if it is not there. */
static int64_t rows_of(const char *name)
{
	const struct totals_view *totals = scheduler_totals(world.scheduler);

	for (size_t i = 0; i < totals->n_names; i++) {
		if (str_equal(totals->names[i].name, name)) {
			return totals->names[i].rows_processed;
		}
	}
	return -1;
}

START_TEST(a_name_keeps_the_place_in_which_it_was_shown)
{
	stop_daemon();
	put_base(NAME_TOTALS_MAX - 2);
	world.options.max_jobs = 1;
	start_daemon();
	put_csv("in.csv", 100, 0);
	submit(SPEC("\"first.jsonl\"},\"name\":\"first\",\"priority\":-1"));
	submit(SPEC("\"second.jsonl\"},\"name\":\"second\""));
	ck_assert_int_eq(rows_of("first"), 0);
	ck_assert_int_eq(rows_of("second"), -1);
	ck_assert_int_eq(rows_of("_other"), 0);
	run_until(all_ended, NULL);
	look(world.id); /* the second, which has ended first */
	ck_assert_int_eq(world.seen.total_processed, 100);
	ck_assert_int_eq(rows_of("first"), 100);
	ck_assert_int_eq(rows_of("second"), -1);
	ck_assert_int_eq(rows_of("_other"), 100);
	ck_assert_uint_eq(scheduler_totals(world.scheduler)->n_names, NAME_TOTALS_MAX);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return play(argv);
	}
	TCase *tcase = unit_begin(setup, teardown);

	tcase_add_test(tcase, a_job_writes_all_rows_in_order);
	tcase_add_test(tcase, rejects_stay_in_the_state_without_an_errors_path);
	tcase_add_test(tcase, too_many_rejects_publish_the_error_file_alone);
	tcase_add_test(tcase, a_wrong_delimiter_that_rejects_every_row_fails);
	tcase_add_test(tcase, an_empty_input_gives_an_empty_output);
	tcase_add_test(tcase, others_are_served_while_many_workers_start);
	tcase_add_loop_test(tcase, an_ended_job_took_no_less_than_was_shown, 0, 3);
	tcase_add_loop_test(tcase, a_job_that_cannot_work_is_refused_and_changes_nothing, 0,
			    ARRAY_SIZE(bad_specs));
	tcase_add_loop_test(tcase, a_link_in_the_path_is_told_alike_of_inputs_and_outputs, 0, 2);
	tcase_add_test(tcase, a_target_of_a_live_job_is_refused_by_name);
	tcase_add_test(tcase, a_running_job_can_be_cancelled);
	tcase_add_test(tcase, a_waiting_job_can_be_cancelled);
	tcase_add_test(tcase, a_forgotten_job_is_gone_but_stays_counted);
	tcase_add_test(tcase, no_more_jobs_run_than_may);
	tcase_add_test(tcase, a_name_keeps_the_place_in_which_it_was_shown);
	return unit_end("scheduler", tcase);
}
