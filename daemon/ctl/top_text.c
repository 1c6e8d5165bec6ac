/* SPDX-License-Identifier: MIT */
/*
 * What is worth most stands left: a narrow screen cuts the lines' ends. The ID is last, since it
 * is only needed to be copied.
 */
#include "daemon/ctl/top_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/util/clock.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/text.h"

/* What JSON holds may be any double; a cast of one too great is undefined. */
static uint64_t bounded(double value)
{
	return value > 0 && value < 1e18 ? (uint64_t)value : 0;
}

static uint64_t count_of(const json_t *object, const char *key)
{
	return (uint64_t)MAX(job_info_integer(object, key), INT64_C(0));
}

static void add_daemon(struct buf *out, const struct top_data *data)
{
	const json_t *jobs = json_object_get(data->status, "jobs");
	double started = job_info_number(data->status, "started_at_seconds", 0);
	double now = (double)data->at_ns / (double)CLOCK_NS_PER_SEC;
	char text[NUM_TEXT_SIZE], time[CLOCK_TEXT_SIZE];

	buf_add_str(out, "zooparalleld ");
	text_add_clean(out, job_info_text(data->status, "version"));
	if (started > 0) {
		buf_printf(out, ", up %s",
			   num_format_duration_ns(text, (int64_t)bounded((now - started) * 1e9)));
	}
	if (!json_is_true(json_object_get(data->status, "ready"))) {
		buf_add_str(out, ", not ready");
	}
	buf_printf(out, "  %.8sZ ", clock_format_utc(time, data->at_ns) + 11);
	for (int state = 0; state < JOB_N_STATES; state++) {
		const char *name = job_state_name((enum job_state)state);

		buf_printf(out, "%s %s %s", state ? "," : "",
			   num_format_count(text, count_of(jobs, name)), name);
	}
}

static void add_totals(struct buf *out, const json_t *status)
{
	const json_t *workers = json_object_get(status, "workers");
	const json_t *n_in_state;
	const char *state;
	uint64_t n_workers = 0;
	char text[NUM_TEXT_SIZE];

	json_object_foreach((json_t *)(uintptr_t)workers, state, n_in_state)
	{
		if (!str_equal(state, "exited")) {
			n_workers += (uint64_t)MAX(json_integer_value(n_in_state), (json_int_t)0);
		}
	}
	buf_printf(out, "%s rows/s",
		   num_format_count(text, bounded(job_info_number(status, "items_per_second", 0))));
	buf_printf(out, "  %s workers", num_format_count(text, n_workers));
	buf_printf(out, "  RAM %s", num_format_size(text, count_of(status, "ram_bytes")));
	buf_printf(out, "  %s rows", num_format_count(text, count_of(status, "total_processed")));
	buf_printf(out, "  %s rejected", num_format_count(text, count_of(status, "error_count")));
	if (!json_is_true(json_object_get(status, "config_last_reload_successful"))) {
		buf_add_str(out, "  the last reload of its configuration has failed");
	}
}

static void add_fitting(struct buf *out, struct buf *line, size_t width)
{
	const char *text = buf_terminated(line);

	if (text) {
		buf_add(out, text, width ? text_fit(text, width) : line->len);
	}
	buf_add_char(out, '\n');
}

void top_text_add_header(struct buf *out, const struct top_data *data, size_t width)
{
	CLEANUP(buf_deinit) struct buf first = BUF_INIT, second = BUF_INIT;

	if (data->status) {
		add_daemon(&first, data);
		add_totals(&second, data->status);
	} else {
		text_add_clean(&first, data->problem);
		buf_add_str(&second, "trying again");
	}
	add_fitting(out, &first, width);
	add_fitting(out, &second, width);
}

static void add_duration(struct table *table, double seconds)
{
	char text[NUM_TEXT_SIZE];

	table_add(table, seconds >= 0
				 ? num_format_duration_ns(text, (int64_t)bounded(seconds * 1e9))
				 : "");
}

/* What went wrong tells more than that it did, and what is done more than that it runs. */
static const char *state_of(const struct job_info *job)
{
	if (job->state == JOB_STATE_FAILED && job->reason[0]) {
		return job->reason;
	}
	if (job->state == JOB_STATE_RUNNING && job->phase[0] &&
	    !str_equal(job->phase, "converting")) {
		return job->phase;
	}
	return job_state_name(job->state);
}

static void add_job(struct table *table, const struct job_info *job, int64_t now_ns)
{
	bool is_final = job_state_is_final(job->state);
	char text[NUM_TEXT_SIZE];

	table_add(table, job->name);
	table_add_styled(table, state_of(job), style_of_state(job->state));
	if (job->progress >= 0) {
		table_printf(table, "%.1f %%", 100 * MIN(job->progress, 1.0));
	} else {
		table_add(table, "");
	}
	table_add(table, num_format_count(text, bounded(job->items_per_second)));
	table_add(table, num_format_count(text, bounded((double)job->total_processed)));
	table_add_styled(table, num_format_count(text, bounded((double)job->error_count)),
			 job->error_count > 0 ? STYLE_WARNING : STYLE_PLAIN);
	table_add(table, is_final ? "" : num_format_size(text, bounded((double)job->ram_bytes)));
	add_duration(table, is_final ? -1 : job->eta_seconds);
	add_duration(table, job->submitted_at_ns ? (double)(now_ns - job->submitted_at_ns) /
							   (double)CLOCK_NS_PER_SEC
						 : -1);
	table_add(table, job->id);
}

int top_text_add_jobs(struct buf *out, const struct top_data *data, size_t width, bool has_color)
{
	static const struct table_column columns[] = {
		{"NAME", TABLE_ELASTIC}, {"STATE", TABLE_ELASTIC}, {"PROGRESS", TABLE_RIGHT},
		{"ROWS/S", TABLE_RIGHT}, {"ROWS", TABLE_RIGHT},	   {"REJECTED", TABLE_RIGHT},
		{"RAM", TABLE_RIGHT},	 {"ETA", TABLE_RIGHT},	   {"AGE", TABLE_RIGHT},
		{"ID", TABLE_LEFT},
	};
	CLEANUP(table_deinit) struct table table;

	table_init(&table, columns, ARRAY_SIZE(columns));
	table.has_color = has_color;
	for (size_t i = 0; i < data->n_jobs; i++) {
		add_job(&table, &data->jobs[i], data->at_ns);
	}
	return table_render(&table, width, out);
}

static void add_worker(struct table *table, const json_t *worker)
{
	char text[NUM_TEXT_SIZE];

	table_printf(table, "%" PRIu64, count_of(worker, "slot"));
	table_printf(table, "%" PRIu64, count_of(worker, "pid"));
	table_add_styled(table, job_info_text(worker, "state"),
			 json_is_false(json_object_get(worker, "is_stats_valid")) ? STYLE_WARNING
										  : STYLE_PLAIN);
	table_add(table, job_info_text(worker, "phase"));
	table_add(table, num_format_count(text, count_of(worker, "generation")));
	table_add(table, num_format_count(text, count_of(worker, "total_processed")));
	table_add(table, num_format_count(text, count_of(worker, "error_count")));
	table_add(table, num_format_size(text, count_of(worker, "ram_bytes")));
	table_add(table, num_format_size(text, count_of(worker, "peak_ram_bytes")));
	table_add(table, num_format_size(text, count_of(worker, "bytes_read")));
	table_add(table, num_format_size(text, count_of(worker, "bytes_written")));
	add_duration(table, job_info_number(worker, "heartbeat_age_seconds", -1));
}

int top_text_add_workers(struct buf *out, const json_t *workers, size_t width)
{
	static const struct table_column columns[] = {
		{"SLOT", TABLE_RIGHT},	   {"PID", TABLE_RIGHT},      {"STATE", TABLE_LEFT},
		{"PHASE", TABLE_LEFT},	   {"RESTARTS", TABLE_RIGHT}, {"ROWS", TABLE_RIGHT},
		{"REJECTED", TABLE_RIGHT}, {"RAM", TABLE_RIGHT},      {"PEAK", TABLE_RIGHT},
		{"READ", TABLE_RIGHT},	   {"WRITTEN", TABLE_RIGHT},  {"SILENT", TABLE_RIGHT},
	};
	CLEANUP(table_deinit) struct table table;
	const json_t *worker;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(workers, i, worker)
	{
		add_worker(&table, worker);
	}
	return table_render(&table, width, out);
}
