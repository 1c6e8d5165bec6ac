/* SPDX-License-Identifier: MIT */
#include "daemon/http/render_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/util/clock.h"
#include "tests/support/unit.h"

/* What the parsers of Prometheus say of the texts is tested in tests/integration. */

static struct name_totals_view names[NAME_TOTALS_MAX];
static struct totals_view totals;
static struct live_view live;
static struct metrics_view view;
static struct buf out;

static const char *render(enum metrics_format format)
{
	totals.names = names;
	view.totals = &totals;
	view.live = &live;
	buf_clear(&out);
	render_metrics(&out, &view, format);
	ck_assert_int_eq(buf_error(&out), 0);
	return buf_terminated(&out);
}

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = strstr(text, line); at != NULL; at = strstr(at + 1, line)) {
		if ((at == text || at[-1] == '\n') && at[len] == '\n') {
			return true;
		}
	}
	return false;
}

#define ck_assert_line(text, line) ck_assert_msg(has_line(text, line), "no line: %s", line)

START_TEST(names_are_escaped)
{
	const char *text;

	totals.n_names = 1;
	names[0] = (struct name_totals_view){.name = "a\"b\\c\nd", .rows_processed = 7};
	text = render(METRICS_PROMETHEUS);
	ck_assert_line(text, "zooparallel_rows_processed_total{pipe=\"a\\\"b\\\\c\\nd\"} 7");
	names[0].name = "\xff";
	ck_assert_line(render(METRICS_PROMETHEUS),
		       "zooparallel_rows_processed_total{pipe=\"_invalid\"} 7");
}
END_TEST

START_TEST(the_formats_differ_where_they_must)
{
	const char *text = render(METRICS_PROMETHEUS);

	ck_assert_line(text, "# TYPE zooparallel_rows_processed_total counter");
	ck_assert_line(text, "# TYPE zooparallel_build_info gauge");
	ck_assert_ptr_null(strstr(text, "# UNIT"));
	ck_assert_ptr_null(strstr(text, "# EOF"));
	text = render(METRICS_OPENMETRICS);
	ck_assert_line(text, "# TYPE zooparallel_rows_processed counter");
	ck_assert_line(text, "# TYPE zooparallel_build info");
	ck_assert_line(text, "# UNIT zooparallel_input_bytes bytes");
	ck_assert_str_eq(text + out.len - 6, "# EOF\n");
}
END_TEST

START_TEST(every_number_stands_at_its_name)
{
	const char *text;

	totals = (struct totals_view){.n_names = 1,
				      .worker_exits = {1, 2, 3, 4, 5, 6},
				      .worker_restarts = 4,
				      .stats_files_invalid = 5};
	names[0] = (struct name_totals_view){.name = "n",
					     .rows_processed = 10,
					     .rows_success = 11,
					     .rows_error = 12,
					     .rows_filtered = 13,
					     .input_bytes = 14,
					     .output_bytes = 15,
					     .rejects = {[REJECT_BAD_QUOTE] = 16},
					     .jobs_completed = 17,
					     .jobs_failed = 18,
					     .jobs_aborted = 19,
					     .last_success_timestamp_seconds = 20,
					     .last_failure_timestamp_seconds = 20.5,
					     .last_rows_processed = 21,
					     .last_duration_seconds = 22.5,
					     .last_queue_seconds = 23};
	live = (struct live_view){.ram_bytes = 30,
				  .pss_bytes = 31,
				  .peak_ram_bytes = 32,
				  .heartbeat_age_seconds = 0.5,
				  .queue_age_seconds = 33.5,
				  .jobs = {[JOB_STATE_PENDING] = 34},
				  .workers = {[LIVE_WORKER_RESTARTING] = 35},
				  .n_progress = 1,
				  .progress = {{.name = "n", .ratio = 0.25}}};
	view.process = (struct live_process){36.5, 37, 38, 39, 40};
	text = render(METRICS_PROMETHEUS);
	ck_assert_line(text, "zooparallel_rows_processed_total{pipe=\"n\"} 10");
	ck_assert_line(text, "zooparallel_rows_success_total{pipe=\"n\"} 11");
	ck_assert_line(text, "zooparallel_rows_error_total{pipe=\"n\"} 12");
	ck_assert_line(text, "zooparallel_rows_filtered_total{pipe=\"n\"} 13");
	ck_assert_line(text, "zooparallel_input_bytes_total{pipe=\"n\"} 14");
	ck_assert_line(text, "zooparallel_output_bytes_total{pipe=\"n\"} 15");
	ck_assert_line(text, "zooparallel_errors_total{pipe=\"n\",reason=\"bad_quote\"} 16");
	ck_assert_line(text, "zooparallel_errors_total{pipe=\"n\",reason=\"ragged\"} 0");
	ck_assert_line(text,
		       "zooparallel_jobs_finished_total{pipe=\"n\",outcome=\"completed\"} 17");
	ck_assert_line(text, "zooparallel_jobs_finished_total{pipe=\"n\",outcome=\"failed\"} 18");
	ck_assert_line(text, "zooparallel_jobs_finished_total{pipe=\"n\",outcome=\"aborted\"} 19");
	ck_assert_line(text, "zooparallel_job_last_success_timestamp_seconds{pipe=\"n\"} 20.000");
	ck_assert_line(text, "zooparallel_job_last_failure_timestamp_seconds{pipe=\"n\"} 20.500");
	ck_assert_line(text, "zooparallel_job_last_rows_processed{pipe=\"n\"} 21");
	ck_assert_line(text, "zooparallel_job_last_duration_seconds{pipe=\"n\"} 22.5");
	ck_assert_line(text, "zooparallel_job_queue_wait_seconds{pipe=\"n\"} 23");
	ck_assert_line(text, "zooparallel_workers_resident_memory_bytes 30");
	ck_assert_line(text, "zooparallel_workers_proportional_memory_bytes 31");
	ck_assert_line(text, "zooparallel_workers_peak_memory_bytes 32");
	ck_assert_line(text, "zooparallel_worker_heartbeat_age_seconds 0.5");
	ck_assert_line(text, "zooparallel_queue_age_seconds 33.5");
	ck_assert_line(text, "zooparallel_jobs{state=\"pending\"} 34");
	ck_assert_line(text, "zooparallel_workers{state=\"restarting\"} 35");
	ck_assert_line(text, "zooparallel_job_progress_ratio{pipe=\"n\"} 0.25");
	ck_assert_line(text, "zooparallel_worker_exits_total{cause=\"ok\"} 1");
	ck_assert_line(text, "zooparallel_worker_exits_total{cause=\"error\"} 2");
	ck_assert_line(text, "zooparallel_worker_exits_total{cause=\"signal\"} 3");
	ck_assert_line(text, "zooparallel_worker_exits_total{cause=\"oom\"} 4");
	ck_assert_line(text, "zooparallel_worker_exits_total{cause=\"memory_limit\"} 5");
	ck_assert_line(text, "zooparallel_worker_exits_total{cause=\"stalled\"} 6");
	ck_assert_line(text, "zooparallel_worker_restarts_total 4");
	ck_assert_line(text, "zooparallel_stats_files_invalid_total 5");
	ck_assert_line(text, "process_cpu_seconds_total 36.5");
	ck_assert_line(text, "process_start_time_seconds 37");
	ck_assert_line(text, "process_resident_memory_bytes 38");
	ck_assert_line(text, "process_open_fds 39");
	ck_assert_line(text, "process_max_fds 40");
	ck_assert_line(text, "zooparallel_config_last_reload_successful 0");
}
END_TEST

START_TEST(a_name_without_a_finished_job_has_no_last_one)
{
	totals.n_names = 1;
	names[0] = (struct name_totals_view){.name = "n"};
	ck_assert_ptr_null(strstr(render(METRICS_PROMETHEUS), "last_rows_processed{"));
	ck_assert_ptr_null(strstr(render(METRICS_PROMETHEUS), "timestamp_seconds{"));
	names[0].jobs_failed = 1;
	ck_assert_line(render(METRICS_PROMETHEUS),
		       "zooparallel_job_last_rows_processed{pipe=\"n\"} 0");
}
END_TEST

START_TEST(the_histogram_adds_up)
{
	const char *text;

	for (int i = 0; i < 13; i++) {
		totals.duration_counts[i] = 1;
	}
	totals.duration_sum = 99.5;
	text = render(METRICS_PROMETHEUS);
	ck_assert_line(text, "zooparallel_job_duration_seconds_bucket{le=\"0.1\"} 1");
	ck_assert_line(text, "zooparallel_job_duration_seconds_bucket{le=\"1.0\"} 3");
	ck_assert_line(text, "zooparallel_job_duration_seconds_bucket{le=\"86400.0\"} 12");
	ck_assert_line(text, "zooparallel_job_duration_seconds_bucket{le=\"+Inf\"} 13");
	ck_assert_line(text, "zooparallel_job_duration_seconds_count 13");
	ck_assert_line(text, "zooparallel_job_duration_seconds_sum 99.5");
}
END_TEST

START_TEST(areas_show_what_is_known)
{
	static const struct area_view areas[] = {{"incoming", 3, -1, -1},
						 {"state", -1, 1000, 4000}};
	const char *text;

	view.areas = areas;
	view.n_areas = 2;
	text = render(METRICS_PROMETHEUS);
	ck_assert_line(text, "zooparallel_spool_files{area=\"incoming\"} 3");
	ck_assert_line(text, "zooparallel_filesystem_avail_bytes{area=\"state\"} 1000");
	ck_assert_line(text, "zooparallel_filesystem_size_bytes{area=\"state\"} 4000");
	ck_assert_ptr_null(strstr(text, "spool_files{area=\"state\"}"));
	ck_assert_ptr_null(strstr(text, "avail_bytes{area=\"incoming\"}"));
	ck_assert_ptr_null(strstr(text, "size_bytes{area=\"incoming\"}"));
}
END_TEST

START_TEST(a_name_has_the_progress_of_its_newest_running_job)
{
	struct job_view job = {.name = "n", .state = JOB_STATE_COMPLETED, .progress = 1};

	live_add_job(&live, &job);
	job.state = JOB_STATE_RUNNING;
	job.progress = -1; /* not known yet */
	live_add_job(&live, &job);
	job.progress = 0.5;
	live_add_job(&live, &job);
	job.progress = 0.75;
	live_add_job(&live, &job);
	job.name = "counted as another";
	live_add_job(&live, &job);
	ck_assert_uint_eq(live.n_progress, 2);
	totals.n_names = 2;
	names[0] = (struct name_totals_view){.name = "n"};
	names[1] = (struct name_totals_view){.name = "_other"};
	ck_assert_ptr_null(strstr(render(METRICS_PROMETHEUS), "counted as another"));
	ck_assert_line(render(METRICS_PROMETHEUS),
		       "zooparallel_job_progress_ratio{pipe=\"n\"} 0.5");
	for (int i = 0; i < 2 * NAME_TOTALS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		job.name = name;
		live_add_job(&live, &job);
	}
	ck_assert_uint_eq(live.n_progress, NAME_TOTALS_MAX);
}
END_TEST

START_TEST(the_queue_is_as_old_as_the_oldest_that_waits)
{
	struct job_view job = {.name = "n", .state = JOB_STATE_RUNNING, .queue_seconds = 99};

	live_add_job(&live, &job);
	ck_assert_line(render(METRICS_PROMETHEUS), "zooparallel_queue_age_seconds 0");
	job.state = JOB_STATE_PENDING;
	for (double seconds = 1; seconds < 4; seconds++) {
		job.queue_seconds = seconds == 2 ? 7.25 : seconds;
		live_add_job(&live, &job);
	}
	ck_assert_line(render(METRICS_PROMETHEUS), "zooparallel_queue_age_seconds 7.25");
}
END_TEST

START_TEST(a_scrape_of_a_thousand_workers_takes_less_than_5_ms)
{
	static struct worker_view workers[1000];
	static char texts[NAME_TOTALS_MAX][16];
	struct job_view job = {
		.name = "n", .state = JOB_STATE_RUNNING, .n_workers = 1000, .workers = workers};
	int64_t best_ns = INT64_MAX;

	totals.n_names = NAME_TOTALS_MAX;
	for (int i = 0; i < NAME_TOTALS_MAX; i++) {
		snprintf(texts[i], sizeof(texts[i]), "n%d", i);
		names[i] = (struct name_totals_view){
			.name = texts[i], .rows_processed = INT64_MAX, .jobs_completed = 1};
	}
	for (int i = 0; i < 1000; i++) {
		workers[i] = (struct worker_view){.state = "running", .is_stats_valid = true};
	}
	for (int i = 0; i < 20; i++) {
		int64_t start_ns = clock_monotonic_ns();

		live = (struct live_view){0};
		live_add_job(&live, &job);
		live_process_read(&view.process);
		render(i % 2 == 0 ? METRICS_PROMETHEUS : METRICS_OPENMETRICS);
		best_ns = MIN(best_ns, clock_monotonic_ns() - start_ns);
	}
	ck_assert_int_eq(live.workers[LIVE_WORKER_RUNNING], 1000);
#if !defined(__SANITIZE_ADDRESS__)
	ck_assert_int_lt(best_ns, 5 * CLOCK_NS_PER_MS);
#endif
}
END_TEST

UNIT_MAIN(names_are_escaped, the_formats_differ_where_they_must, every_number_stands_at_its_name,
	  a_name_without_a_finished_job_has_no_last_one, the_histogram_adds_up,
	  areas_show_what_is_known, a_name_has_the_progress_of_its_newest_running_job,
	  the_queue_is_as_old_as_the_oldest_that_waits,
	  a_scrape_of_a_thousand_workers_takes_less_than_5_ms)
