/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/summary.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "tests/support/unit.h"

/* Room for one job at a time: each test has a process of its own. */
static json_t *document;

static struct job_info parse(const char *text)
{
	struct job_info info;

	document = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(document);
	ck_assert_int_eq(job_info_read(document, &info), 0);
	return info;
}

static void drop_document(void)
{
	json_decref(document);
}

static const char completed[] =
	"{\"id\":\"20261122T101502123Z\",\"name\":\"users\",\"state\":\"completed\",\"reason\":"
	"\"ok\","
	"\"message\":\"\",\"total_processed\":1000,\"success_count\":998,\"error_count\":2,"
	"\"filtered\":0,\"duration_seconds\":0.5,\"submitted_at_seconds\":1795342502.125,"
	"\"pipes\":[{\"input\":\"users.csv\",\"output\":\"users.jsonl\",\"errors\":null}]}";

static const char failed[] =
	"{\"id\":\"20261122T101502123Z\",\"name\":\"users\",\"state\":\"failed\","
	"\"reason\":\"input_missing\",\"message\":\"no file users.csv\",\"total_processed\":0,"
	"\"pipes\":[{\"input\":\"users.csv\",\"output\":\"users.jsonl\",\"errors\":\"e.jsonl\"}]}";

START_TEST(a_job_is_read_from_its_json)
{
	struct job_info info = parse(completed);

	ck_assert_str_eq(info.id, "20261122T101502123Z");
	ck_assert_int_eq(info.state, JOB_STATE_COMPLETED);
	ck_assert_int_eq(info.total_processed, 1000);
	ck_assert_int_eq(info.error_count, 2);
	ck_assert_double_eq(info.duration_seconds, 0.5);
	ck_assert_double_eq(info.progress, -1);
	ck_assert_double_eq(info.eta_seconds, -1);
	ck_assert_int_eq(info.submitted_at_ns, INT64_C(1795342502125) * 1000000);
}
END_TEST

START_TEST(a_result_file_tells_the_duration_by_its_ends)
{
	struct job_info info = parse("{\"id\":\"x\",\"state\":\"completed\","
				     "\"started_at_ns\":1000000000,\"finished_at_ns\":2500000000}");

	ck_assert_double_eq(info.duration_seconds, 1.5);
}
END_TEST

START_TEST(filtered_rows_are_part_of_the_account)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	struct job_info info = parse(completed);

	info.filtered = 5;
	summary_add_all(&out, &info, &(struct summary_options){0});
	ck_assert_ptr_nonnull(
		strstr(buf_terminated(&out), "1,000 = 998 ok + 2 rejected + 5 filtered\n"));
}
END_TEST

START_TEST(what_is_no_job_is_refused)
{
	static const char *const texts[] = {
		"{}",
		"{\"id\":\"x\"}",
		"{\"id\":\"x\",\"state\":\"asleep\"}",
		"{\"id\":7,\"state\":\"failed\"}",
		"{\"id\":\"\",\"state\":\"failed\"}",
		"[]",
	};
	struct job_info info;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *json = json_loads(texts[i], 0, NULL);

		ck_assert_int_eq(job_info_read(json, &info), -EPROTO);
		json_decref(json);
	}
	ck_assert_int_eq(job_info_read(NULL, &info), -EPROTO);
}
END_TEST

START_TEST(members_of_a_wrong_type_count_as_missing)
{
	struct job_info info = parse("{\"id\":\"x\",\"state\":\"running\",\"name\":[],"
				     "\"total_processed\":\"many\",\"progress\":null,"
				     "\"eta_seconds\":{}}");

	ck_assert_str_eq(info.name, "");
	ck_assert_int_eq(info.total_processed, 0);
	ck_assert_double_eq(info.progress, -1);
	ck_assert_double_eq(info.eta_seconds, -1);
}
END_TEST

START_TEST(the_exit_code_tells_the_end)
{
	static const struct {
		enum job_state state;
		bool has_rejects, is_strict;
		enum ctl_exit code;
	} cases[] = {
		{JOB_STATE_COMPLETED, false, false, 0}, {JOB_STATE_COMPLETED, true, false, 0},
		{JOB_STATE_COMPLETED, false, true, 0},	{JOB_STATE_COMPLETED, true, true, 3},
		{JOB_STATE_FAILED, true, true, 1},	{JOB_STATE_FAILED, false, false, 1},
		{JOB_STATE_ABORTED, true, true, 4},	{JOB_STATE_ABORTED, false, false, 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(
			ctl_exit_of_job(cases[i].state, cases[i].has_rejects, cases[i].is_strict),
			cases[i].code);
	}
}
END_TEST

START_TEST(a_completed_run_is_accounted_for)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	struct job_info info = parse(completed);

	summary_add_all(&out, &info, &(struct summary_options){.data_root = "data"});
	ck_assert_str_eq(buf_terminated(&out), "completed  users\n"
					       "rows       1,000 = 998 ok + 2 rejected\n"
					       "time       500 ms, 2,000 rows/s\n"
					       "output     data/users.jsonl\n");
}
END_TEST

START_TEST(a_failed_run_says_why_and_what_to_do_and_names_no_output)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	struct job_info info = parse(failed);

	summary_add_all(&out, &info, &(struct summary_options){0});
	ck_assert_str_eq(buf_terminated(&out),
			 "failed     users: input_missing\n"
			 "why        no file users.csv\n"
			 "try        check input.path; a relative path begins at the data root\n");
}
END_TEST

START_TEST(the_first_rejects_are_shown_and_the_rest_counted)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	struct job_info info = parse(completed);
	json_t *rejects = json_loads("[{\"input\":\"users.csv\",\"line\":7,\"code\":\"ragged\","
				     "\"field\":null,\"message\":\"another number of fields\"}]",
				     0, NULL);

	summary_add_all(&out, &info, &(struct summary_options){.rejects = rejects});
	json_decref(rejects);
	ck_assert_ptr_nonnull(strstr(buf_terminated(&out),
				     "rejected   users.csv:7: ragged: another number of fields\n"
				     "           and 1 more\n"
				     "           name errors.path in the spec to keep them\n"));
}
END_TEST

START_TEST(one_line_tells_an_end)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	struct job_info info = parse(completed);

	summary_add_line(&out, &info);
	ck_assert_str_eq(buf_terminated(&out), "20261122T101502123Z users: completed, 1,000 rows, "
					       "2 rejected, 500 ms\n");
}
END_TEST

START_TEST(every_reason_of_a_failure_comes_with_advice)
{
	for (int reason = 0; reason < JOB_N_REASONS; reason++) {
		if (job_reason_state((enum job_reason)reason) == JOB_STATE_FAILED) {
			ck_assert_msg(summary_hint((enum job_reason)reason), "no advice for %s",
				      job_reason_name((enum job_reason)reason));
		}
	}
}
END_TEST

UNIT_MAIN_WITH(NULL, drop_document, a_job_is_read_from_its_json,
	       a_result_file_tells_the_duration_by_its_ends, filtered_rows_are_part_of_the_account,
	       what_is_no_job_is_refused, members_of_a_wrong_type_count_as_missing,
	       the_exit_code_tells_the_end, a_completed_run_is_accounted_for,
	       a_failed_run_says_why_and_what_to_do_and_names_no_output,
	       the_first_rejects_are_shown_and_the_rest_counted, one_line_tells_an_end,
	       every_reason_of_a_failure_comes_with_advice)
