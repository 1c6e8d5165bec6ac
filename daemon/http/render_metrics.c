/* SPDX-License-Identifier: MIT */
/*
 * One table: a line for each family, with the function that writes its samples and where the value
 * lies. The two text formats differ in the family's name (OpenMetrics leaves "_total" and "_info"
 * to the samples), in UNIT and in the last line, which is all that write_head() and the end know.
 * Names and helps of what workers count come from the table of counters (common/model/counter.h).
 *
 * Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://github.com/OpenObservability/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
 */
#include "daemon/http/render_metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "build_config.h"
#include "common/model/counter.h"
#include "common/util/str.h"
#include "daemon/http/json.h"

enum family_type {
	FAMILY_COUNTER,
	FAMILY_GAUGE,
	FAMILY_HISTOGRAM,
	FAMILY_INFO,
};

struct family {
	const char *name; /* without "_total" and "_info" */
	enum family_type type;
	const char *help;
	void (*write)(struct buf *out, const struct family *family,
		      const struct metrics_view *view);
	size_t offset; /* of the value, in what `write` reads */
};

/* "name" and, for what the type adds to it in samples, the suffix. */
static const char *suffix_of(const struct family *family)
{
	switch (family->type) {
	case FAMILY_COUNTER:
		return "_total";
	case FAMILY_INFO:
		return "_info";
	default:
		return "";
	}
}

static void write_escaped(struct buf *out, const char *text, const char *special)
{
	while (*text != '\0') {
		size_t n = strcspn(text, special);

		buf_add(out, text, n);
		text += n;
		if (*text != '\0') {
			buf_add_char(out, '\\');
			buf_add_char(out, *text == '\n' ? 'n' : *text);
			text++;
		}
	}
}

/* A label's value; the format is UTF-8, so one that is not stays out of it. */
static void write_label_value(struct buf *out, const char *text)
{
	if (!str_is_utf8(text, strlen(text), NULL)) {
		text = "_invalid";
	}
	buf_add_char(out, '"');
	write_escaped(out, text, "\\\"\n");
	buf_add_char(out, '"');
}

struct label {
	const char *name;
	const char *value;
};

/* The line up to its value; labels without a name are left out. */
static void write_series(struct buf *out, const struct family *family, struct label first,
			 struct label second)
{
	buf_add_str(out, family->name);
	buf_add_str(out, suffix_of(family));
	if (first.name != NULL) {
		buf_add_char(out, '{');
		buf_add_str(out, first.name);
		buf_add_char(out, '=');
		write_label_value(out, first.value);
		if (second.name != NULL) {
			buf_add_char(out, ',');
			buf_add_str(out, second.name);
			buf_add_char(out, '=');
			write_label_value(out, second.value);
		}
		buf_add_char(out, '}');
	}
	buf_add_char(out, ' ');
}

static const struct label no_label = {0};

static void write_i64(struct buf *out, int64_t value)
{
	json_add_i64(out, value);
	buf_add_char(out, '\n');
}

static void write_double(struct buf *out, double value)
{
	if (isfinite(value)) {
		buf_printf(out, "%.15g\n", value);
	} else {
		buf_add_str(out, isnan(value) ? "NaN\n" : value > 0 ? "+Inf\n" : "-Inf\n");
	}
}

static int64_t i64_at(const void *object, size_t offset)
{
	return *(const int64_t *)((const char *)object + offset);
}

static double double_at(const void *object, size_t offset)
{
	return *(const double *)((const char *)object + offset);
}

/* Single values. */

static void write_live_i64(struct buf *out, const struct family *family,
			   const struct metrics_view *view)
{
	write_series(out, family, no_label, no_label);
	write_i64(out, i64_at(view->live, family->offset));
}

static void write_live_double(struct buf *out, const struct family *family,
			      const struct metrics_view *view)
{
	write_series(out, family, no_label, no_label);
	write_double(out, double_at(view->live, family->offset));
}

static void write_total_i64(struct buf *out, const struct family *family,
			    const struct metrics_view *view)
{
	write_series(out, family, no_label, no_label);
	write_i64(out, i64_at(view->totals, family->offset));
}

static void write_process_i64(struct buf *out, const struct family *family,
			      const struct metrics_view *view)
{
	write_series(out, family, no_label, no_label);
	write_i64(out, i64_at(&view->process, family->offset));
}

static void write_process_double(struct buf *out, const struct family *family,
				 const struct metrics_view *view)
{
	write_series(out, family, no_label, no_label);
	write_double(out, double_at(&view->process, family->offset));
}

static void write_config_ok(struct buf *out, const struct family *family,
			    const struct metrics_view *view)
{
	write_series(out, family, no_label, no_label);
	write_i64(out, view->is_config_ok);
}

static void write_build_info(struct buf *out, const struct family *family,
			     const struct metrics_view *view)
{
	write_series(out, family, (struct label){"version", ZOOPARALLEL_VERSION}, no_label);
	write_i64(out, 1);
}

/* One sample for each job name. */

static void write_names_i64(struct buf *out, const struct family *family,
			    const struct metrics_view *view)
{
	for (size_t i = 0; i < view->totals->n_names; i++) {
		const struct name_totals_view *name = &view->totals->names[i];

		write_series(out, family, (struct label){"pipe", name->name}, no_label);
		write_i64(out, i64_at(name, family->offset));
	}
}

/* Of the last job that has ended; names of which none has are left out. */
static void write_names_last(struct buf *out, const struct family *family,
			     const struct metrics_view *view)
{
	for (size_t i = 0; i < view->totals->n_names; i++) {
		const struct name_totals_view *name = &view->totals->names[i];

		if (name->jobs_completed + name->jobs_failed + name->jobs_aborted == 0) {
			continue;
		}
		write_series(out, family, (struct label){"pipe", name->name}, no_label);
		if (family->offset == offsetof(struct name_totals_view, last_rows_processed)) {
			write_i64(out, name->last_rows_processed);
		} else {
			write_double(out, double_at(name, family->offset));
		}
	}
}

/* Names of which this has never happened are left out: their age is not 1970's. */
static void write_timestamps(struct buf *out, const struct family *family,
			     const struct metrics_view *view)
{
	for (size_t i = 0; i < view->totals->n_names; i++) {
		const struct name_totals_view *name = &view->totals->names[i];
		double timestamp = double_at(name, family->offset);

		if (timestamp > 0) {
			write_series(out, family, (struct label){"pipe", name->name}, no_label);
			buf_printf(out, "%.3f\n", timestamp);
		}
	}
}

static void write_rejects(struct buf *out, const struct family *family,
			  const struct metrics_view *view)
{
	for (size_t i = 0; i < view->totals->n_names; i++) {
		const struct name_totals_view *name = &view->totals->names[i];

		for (int code = 0; code < REJECT_N_CODES; code++) {
			write_series(out, family, (struct label){"pipe", name->name},
				     (struct label){"reason", reject_name(code)});
			write_i64(out, name->rejects[code]);
		}
	}
}

static void write_jobs_finished(struct buf *out, const struct family *family,
				const struct metrics_view *view)
{
	static const struct {
		enum job_state state;
		size_t offset;
	} outcomes[] = {
		{JOB_STATE_COMPLETED, offsetof(struct name_totals_view, jobs_completed)},
		{JOB_STATE_FAILED, offsetof(struct name_totals_view, jobs_failed)},
		{JOB_STATE_ABORTED, offsetof(struct name_totals_view, jobs_aborted)},
	};

	for (size_t i = 0; i < view->totals->n_names; i++) {
		const struct name_totals_view *name = &view->totals->names[i];

		for (size_t k = 0; k < ARRAY_SIZE(outcomes); k++) {
			write_series(out, family, (struct label){"pipe", name->name},
				     (struct label){"outcome", job_state_name(outcomes[k].state)});
			write_i64(out, i64_at(name, outcomes[k].offset));
		}
	}
}

/* One sample for each of a few kinds. */

static bool has_series(const struct totals_view *totals, const char *name)
{
	for (size_t i = 0; i < totals->n_names; i++) {
		if (str_equal(totals->names[i].name, name)) {
			return true;
		}
	}
	return false;
}

/* Not of names that are counted as "_other": they may be new ones day after day. */
static void write_progress(struct buf *out, const struct family *family,
			   const struct metrics_view *view)
{
	for (size_t i = 0; i < view->live->n_progress; i++) {
		const struct live_progress *progress = &view->live->progress[i];

		if (has_series(view->totals, progress->name)) {
			write_series(out, family, (struct label){"pipe", progress->name}, no_label);
			write_double(out, progress->ratio);
		}
	}
}

static void write_jobs(struct buf *out, const struct family *family,
		       const struct metrics_view *view)
{
	for (int state = 0; state < JOB_N_STATES; state++) {
		write_series(out, family, (struct label){"state", job_state_name(state)}, no_label);
		write_i64(out, view->live->jobs[state]);
	}
}

static void write_workers(struct buf *out, const struct family *family,
			  const struct metrics_view *view)
{
	for (size_t i = 0; i < LIVE_N_WORKER_STATES; i++) {
		write_series(out, family, (struct label){"state", live_worker_state_names[i]},
			     no_label);
		write_i64(out, view->live->workers[i]);
	}
}

static void write_worker_exits(struct buf *out, const struct family *family,
			       const struct metrics_view *view)
{
	for (int cause = 0; cause < WORKER_N_CAUSES; cause++) {
		write_series(out, family, (struct label){"cause", worker_cause_name(cause)},
			     no_label);
		write_i64(out, view->totals->worker_exits[cause]);
	}
}

/* Areas of which the number is not known are left out. */
static void write_areas(struct buf *out, const struct family *family,
			const struct metrics_view *view)
{
	for (size_t i = 0; i < view->n_areas; i++) {
		int64_t value = i64_at(&view->areas[i], family->offset);

		if (value >= 0) {
			write_series(out, family, (struct label){"area", view->areas[i].name},
				     no_label);
			write_i64(out, value);
		}
	}
}

static void write_durations(struct buf *out, const struct family *family,
			    const struct metrics_view *view)
{
	static const double bounds[JOB_DURATION_N_BOUNDS] = JOB_DURATION_BOUNDS;
	int64_t n = 0;

	for (size_t i = 0; i < JOB_DURATION_N_BOUNDS; i++) {
		char bound[32];

		/* "1.0", not "1": OpenMetrics wants it, and series ought not depend on the format.
		 */
		snprintf(bound, sizeof(bound),
			 bounds[i] == (double)(int64_t)bounds[i] ? "%.1f" : "%g", bounds[i]);
		n += view->totals->duration_counts[i];
		buf_printf(out, "%s_bucket{le=\"%s\"} %" PRId64 "\n", family->name, bound, n);
	}
	n += view->totals->duration_counts[JOB_DURATION_N_BOUNDS];
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n", family->name, n);
	buf_printf(out, "%s_count %" PRId64 "\n%s_sum ", family->name, n, family->name);
	write_double(out, view->totals->duration_sum);
}

#define NAME_AT(field)	  offsetof(struct name_totals_view, field)
#define LIVE_AT(field)	  offsetof(struct live_view, field)
#define TOTAL_AT(field)	  offsetof(struct totals_view, field)
#define PROCESS_AT(field) offsetof(struct live_process, field)
#define AREA_AT(field)	  offsetof(struct area_view, field)

/* What workers count: the counter, where its sum is kept, and who writes it. */
static const struct {
	enum counter counter;
	void (*write)(struct buf *out, const struct family *family,
		      const struct metrics_view *view);
	size_t offset;
} counters[] = {
	{COUNTER_TOTAL_PROCESSED, write_names_i64, NAME_AT(rows_processed)},
	{COUNTER_SUCCESS_COUNT, write_names_i64, NAME_AT(rows_success)},
	{COUNTER_ERROR_COUNT, write_names_i64, NAME_AT(rows_error)},
	{COUNTER_FILTERED, write_names_i64, NAME_AT(rows_filtered)},
	{COUNTER_BYTES_READ, write_names_i64, NAME_AT(input_bytes)},
	{COUNTER_BYTES_WRITTEN, write_names_i64, NAME_AT(output_bytes)},
	{COUNTER_RAM_BYTES, write_live_i64, LIVE_AT(ram_bytes)},
	{COUNTER_PEAK_RAM_BYTES, write_live_i64, LIVE_AT(peak_ram_bytes)},
};

static const struct family families[] = {
	{"zooparallel_build", FAMILY_INFO, "The version that runs.", write_build_info, 0},
	{"zooparallel_errors", FAMILY_COUNTER, "Rows rejected, by reason.", write_rejects, 0},
	{"zooparallel_jobs", FAMILY_GAUGE, "Jobs that are known now, by state.", write_jobs, 0},
	{"zooparallel_jobs_finished", FAMILY_COUNTER, "Jobs that have ended, by outcome.",
	 write_jobs_finished, 0},
	{"zooparallel_queue_age_seconds", FAMILY_GAUGE,
	 "How long the pending job that waits longest has waited, 0 if none waits.",
	 write_live_double, LIVE_AT(queue_age_seconds)},
	{"zooparallel_job_duration_seconds", FAMILY_HISTOGRAM,
	 "How long jobs ran, from their start to their end.", write_durations, 0},
	{"zooparallel_job_queue_wait_seconds", FAMILY_GAUGE,
	 "How long the last job that ended had waited for its start.", write_names_last,
	 NAME_AT(last_queue_seconds)},
	{"zooparallel_job_progress_ratio", FAMILY_GAUGE,
	 "Part of the input that the newest running job has done, 0 to 1.", write_progress, 0},
	{"zooparallel_job_last_success_timestamp_seconds", FAMILY_GAUGE,
	 "When a job last completed, in seconds since 1970.", write_timestamps,
	 NAME_AT(last_success_timestamp_seconds)},
	{"zooparallel_job_last_failure_timestamp_seconds", FAMILY_GAUGE,
	 "When a job last failed, in seconds since 1970.", write_timestamps,
	 NAME_AT(last_failure_timestamp_seconds)},
	{"zooparallel_job_last_rows_processed", FAMILY_GAUGE, "Rows of the last job that ended.",
	 write_names_last, NAME_AT(last_rows_processed)},
	{"zooparallel_job_last_duration_seconds", FAMILY_GAUGE,
	 "How long the last job that ended ran.", write_names_last, NAME_AT(last_duration_seconds)},
	{"zooparallel_workers", FAMILY_GAUGE, "Slots of running jobs, by state.", write_workers, 0},
	{"zooparallel_worker_exits", FAMILY_COUNTER, "Ends of worker processes, by cause.",
	 write_worker_exits, 0},
	{"zooparallel_worker_restarts", FAMILY_COUNTER, "Workers started again after a death.",
	 write_total_i64, TOTAL_AT(worker_restarts)},
	{"zooparallel_worker_heartbeat_age_seconds", FAMILY_GAUGE,
	 "Time since the last progress of the worker that is longest without any.",
	 write_live_double, LIVE_AT(heartbeat_age_seconds)},
	{"zooparallel_workers_proportional_memory_bytes", FAMILY_GAUGE,
	 "Memory of the live workers, shared pages divided by their users.", write_live_i64,
	 LIVE_AT(pss_bytes)},
	{"zooparallel_stats_files_invalid", FAMILY_COUNTER,
	 "Times that a stats file was found broken.", write_total_i64,
	 TOTAL_AT(stats_files_invalid)},
	{"zooparallel_spool_files", FAMILY_GAUGE, "Job specs in the areas of the spool.",
	 write_areas, AREA_AT(n_files)},
	{"zooparallel_filesystem_avail_bytes", FAMILY_GAUGE,
	 "Space that the daemon may still use on the file system of an area.", write_areas,
	 AREA_AT(avail_bytes)},
	{"zooparallel_filesystem_size_bytes", FAMILY_GAUGE, "Size of the file system of an area.",
	 write_areas, AREA_AT(size_bytes)},
	{"zooparallel_config_last_reload_successful", FAMILY_GAUGE,
	 "1 if the configuration was good when last read, else 0.", write_config_ok, 0},
	{"process_cpu_seconds", FAMILY_COUNTER, "Processor time of the daemon itself.",
	 write_process_double, PROCESS_AT(cpu_seconds)},
	{"process_resident_memory_bytes", FAMILY_GAUGE, "Resident memory of the daemon itself.",
	 write_process_i64, PROCESS_AT(resident_bytes)},
	{"process_open_fds", FAMILY_GAUGE, "Descriptors that the daemon has open.",
	 write_process_i64, PROCESS_AT(n_open_fds)},
	{"process_max_fds", FAMILY_GAUGE, "Descriptors that the daemon may have open.",
	 write_process_i64, PROCESS_AT(n_max_fds)},
	{"process_start_time_seconds", FAMILY_GAUGE,
	 "When the daemon started, in seconds since 1970.", write_process_double,
	 PROCESS_AT(start_time_seconds)},
};

static const char *type_name(enum family_type type, enum metrics_format format)
{
	switch (type) {
	case FAMILY_COUNTER:
		return "counter";
	case FAMILY_HISTOGRAM:
		return "histogram";
	case FAMILY_INFO:
		return format == METRICS_OPENMETRICS ? "info" : "gauge";
	default:
		return "gauge";
	}
}

static void write_meta(struct buf *out, const char *keyword, const struct family *family,
		       enum metrics_format format)
{
	buf_add_str(out, keyword);
	buf_add_str(out, family->name);
	buf_add_str(out, format == METRICS_OPENMETRICS ? "" : suffix_of(family));
	buf_add_char(out, ' ');
}

/* OpenMetrics: a unit is the end of the family's name. */
static void write_unit(struct buf *out, const struct family *family, enum metrics_format format)
{
	static const char *const units[] = {"seconds", "bytes", "ratio"};

	for (size_t i = 0; format == METRICS_OPENMETRICS && i < ARRAY_SIZE(units); i++) {
		if (str_ends_with(family->name, units[i])) {
			write_meta(out, "# UNIT ", family, format);
			buf_printf(out, "%s\n", units[i]);
		}
	}
}

static void write_family(struct buf *out, const struct family *family,
			 const struct metrics_view *view, enum metrics_format format)
{
	write_meta(out, "# HELP ", family, format);
	write_escaped(out, family->help, format == METRICS_OPENMETRICS ? "\\\"\n" : "\\\n");
	buf_add_char(out, '\n');
	write_meta(out, "# TYPE ", family, format);
	buf_printf(out, "%s\n", type_name(family->type, format));
	write_unit(out, family, format);
	family->write(out, family, view);
}

static void write_counter_families(struct buf *out, const struct metrics_view *view,
				   enum metrics_format format)
{
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		const struct counter_info *info = &counter_table[counters[i].counter];
		char name[96];
		struct family family = {
			.name = name,
			.type = info->kind == COUNTER_KIND_COUNTER ? FAMILY_COUNTER : FAMILY_GAUGE,
			.help = info->help,
			.write = counters[i].write,
			.offset = counters[i].offset,
		};

		snprintf(name, sizeof(name), "zooparallel_%s", info->metric);
		write_family(out, &family, view, format);
	}
}

const char *render_metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

void render_metrics(struct buf *out, const struct metrics_view *view, enum metrics_format format)
{
	write_counter_families(out, view, format);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		write_family(out, &families[i], view, format);
	}
	if (format == METRICS_OPENMETRICS) {
		buf_add_str(out, "# EOF\n");
	}
}
