/* SPDX-License-Identifier: MIT */
#include "daemon/http/render_json.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "tests/support/unit.h"

static struct buf out;

/* What was rendered, read by a parser that is not ours. */
static json_t *document(void)
{
	json_error_t error;
	json_t *json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &error);

	ck_assert_msg(json != NULL, "%s: %.*s", error.text, (int)out.len, out.data);
	return json;
}

static json_int_t int_at(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	ck_assert_msg(json_is_integer(value), "%s", key);
	return json_integer_value(value);
}

static const char *text_at(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	ck_assert_msg(json_is_string(value), "%s", key);
	return json_string_value(value);
}

START_TEST(a_job_has_all_its_fields_under_their_names)
{
	static const struct pipe_view pipes[] = {
		{.input = "i", .output = "o", .total_processed = 1, .bytes_total = -1},
		{.input = "j", .output = "p", .errors = "e", .bytes_total = 9},
	};
	const struct job_view job = {
		.id = "1A",
		.name = "n",
		.state = JOB_STATE_FAILED,
		.reason = JOB_REASON_NO_SPACE,
		.message = "disk \"full\"",
		.phase = "finished",
		.verified = true,
		.total_processed = 10,
		.success_count = 7,
		.error_count = 2,
		.filtered = 1,
		.accepted_processed = 9,
		.rejects = {[REJECT_RAGGED] = 2},
		.worker_exits = {[WORKER_CAUSE_OK] = 4, [WORKER_CAUSE_STALLED] = 1},
		.ram_bytes = 11,
		.items_per_second = 12.5,
		.progress = 0.5,
		.eta_seconds = -1,
		.duration_seconds = 3,
		.input_bytes_total = -1,
		.started_at_ns = INT64_C(1795000000500000000),
		.n_workers = 4,
		.n_pipes = 2,
		.pipes = pipes,
	};
	json_t *json, *pipe;

	render_json_job(&out, &job);
	json = document();
	ck_assert_str_eq(text_at(json, "id"), "1A");
	ck_assert_str_eq(text_at(json, "state"), "failed");
	ck_assert_str_eq(text_at(json, "reason"), "no_space");
	ck_assert_str_eq(text_at(json, "message"), "disk \"full\"");
	ck_assert_int_eq(int_at(json, "total_processed"), 10);
	ck_assert_int_eq(int_at(json, "success_count"), 7);
	ck_assert_int_eq(int_at(json, "error_count"), 2);
	ck_assert_int_eq(int_at(json, "filtered"), 1);
	ck_assert_int_eq(int_at(json, "accepted_processed"), 9);
	ck_assert_int_eq(int_at(json, "ram_bytes"), 11);
	ck_assert_int_eq(int_at(json, "workers"), 4);
	ck_assert_int_eq(int_at(json_object_get(json, "rejects"), "ragged"), 2);
	ck_assert_uint_eq(json_object_size(json_object_get(json, "rejects")), 1);
	ck_assert_int_eq(int_at(json_object_get(json, "worker_exits"), "ok"), 4);
	ck_assert_int_eq(int_at(json_object_get(json, "worker_exits"), "stalled"), 1);
	ck_assert_uint_eq(json_object_size(json_object_get(json, "worker_exits")), 2);
	ck_assert(json_is_null(json_object_get(json, "eta_seconds")));
	ck_assert(json_is_null(json_object_get(json, "input_bytes_total")));
	ck_assert(json_is_null(json_object_get(json, "finished_at")));
	ck_assert_str_eq(text_at(json, "started_at"), "2026-11-18T11:06:40.500Z");
	ck_assert(json_real_value(json_object_get(json, "started_at_seconds")) == 1795000000.5);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "pipes")), 2);
	pipe = json_array_get(json_object_get(json, "pipes"), 0);
	ck_assert(json_is_null(json_object_get(pipe, "errors")));
	ck_assert(json_is_null(json_object_get(pipe, "bytes_total")));
	json_decref(json);
}
END_TEST

START_TEST(a_job_that_has_not_ended_has_no_reason)
{
	const struct job_view job = {.id = "1A", .name = "n", .state = JOB_STATE_RUNNING};
	json_t *json;

	render_json_job(&out, &job);
	json = document();
	ck_assert(json_is_null(json_object_get(json, "reason")));
	json_decref(json);
}
END_TEST

START_TEST(numbers_that_are_none_become_null)
{
	const struct job_view job = {.id = "\xff",
				     .items_per_second = INFINITY,
				     .progress = NAN,
				     .eta_seconds = -INFINITY,
				     .duration_seconds = 1e300};
	json_t *json;

	render_json_job(&out, &job);
	json = document();
	ck_assert(json_is_null(json_object_get(json, "items_per_second")));
	ck_assert(json_is_null(json_object_get(json, "progress")));
	ck_assert(json_is_null(json_object_get(json, "eta_seconds")));
	ck_assert_str_eq(text_at(json, "id"), "\xef\xbf\xbd");
	json_decref(json);
}
END_TEST

START_TEST(workers_are_listed_while_they_live)
{
	static const struct worker_view workers[] = {
		{.slot = 0, .pid = 5, .state = "running", .is_stats_valid = true, .phase = 2},
		{.slot = 1, .state = "exited", .current_chunk = -1, .phase = 77},
	};
	struct job_view job = {.id = "1A", .n_workers = 2, .workers = workers};
	json_t *json, *list;

	render_json_workers(&out, &job);
	json = document();
	list = json_object_get(json, "workers");
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_int_eq(int_at(json_array_get(list, 0), "pid"), 5);
	ck_assert_str_eq(text_at(json_array_get(list, 0), "phase"), "converting");
	ck_assert(json_is_null(json_object_get(json_array_get(list, 1), "current_chunk")));
	json_decref(json);
	buf_clear(&out);
	job.workers = NULL;
	render_json_workers(&out, &job);
	ck_assert_str_eq(buf_terminated(&out), "{\"job_id\":\"1A\",\"workers\":[]}\n");
}
END_TEST

START_TEST(the_status_sums_up_all_names)
{
	static const struct name_totals_view names[] = {
		{.name = "a", .rows_processed = 1, .jobs_failed = 2},
		{.name = "b", .rows_processed = 10, .rows_error = 3},
	};
	const struct totals_view totals = {.n_names = 2, .names = names, .worker_restarts = 6};
	static const struct live_view live = {.jobs = {[JOB_STATE_RUNNING] = 2}, .ram_bytes = 8};
	CLEANUP(buf_deinit) struct buf reasons = BUF_INIT;
	const struct status_view view = {
		.totals = &totals, .live = &live, .reasons = &reasons, .is_ready = true};
	json_t *json;

	render_json_status(&out, &view);
	json = document();
	ck_assert_int_eq(int_at(json, "total_processed"), 11);
	ck_assert_int_eq(int_at(json, "error_count"), 3);
	ck_assert_int_eq(int_at(json, "jobs_failed"), 2);
	ck_assert_int_eq(int_at(json, "worker_restarts"), 6);
	ck_assert_int_eq(int_at(json, "ram_bytes"), 8);
	ck_assert_int_eq(int_at(json_object_get(json, "jobs"), "running"), 2);
	ck_assert(json_is_true(json_object_get(json, "ready")));
	json_decref(json);
}
END_TEST

START_TEST(a_rejected_row_loses_its_text_where_it_must)
{
	static const char line[] = "{\"line\":3,\"row\":\"a\\u0000b\",\"row_base64\":\"YQ==\"}";

	ck_assert(render_json_reject(&out, line, strlen(line), false));
	ck_assert_str_eq(buf_terminated(&out), "{\"line\":3}");
	buf_clear(&out);
	ck_assert(render_json_reject(&out, line, strlen(line), true));
	ck_assert_str_eq(buf_terminated(&out), line);
}
END_TEST

START_TEST(lines_that_are_no_object_are_left_out)
{
	static const char *const lines[] = {"",
					    "{",
					    "[]",
					    "1",
					    "{\"a\":1",
					    "{\"a\":1}x",
					    "{\"a\":1,\"a\":2}",
					    "{\"a\":\"\xff\"}"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		ck_assert_msg(!render_json_reject(&out, lines[i], strlen(lines[i]), true), "%s",
			      lines[i]);
	}
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

UNIT_MAIN(a_job_has_all_its_fields_under_their_names, a_job_that_has_not_ended_has_no_reason,
	  numbers_that_are_none_become_null, workers_are_listed_while_they_live,
	  the_status_sums_up_all_names, a_rejected_row_loses_its_text_where_it_must,
	  lines_that_are_no_object_are_left_out)
