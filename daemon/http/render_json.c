/* SPDX-License-Identifier: MIT */
/*
 * What an object shows is a table of fields, in the order in which they are read: what it is, how
 * it stands, its rows, its bytes, its time. Only rejected rows are parsed: they come from a file,
 * and what leaves through TCP must be known to be without the row's text.
 */
#include "daemon/http/render_json.h"

#include <jansson.h>
#include <string.h>

#include "build_config.h"
#include "common/model/stats_file.h"
#include "common/util/macro.h"
#include "daemon/http/json.h"

#define JOB(name, kind)                                                                            \
	{                                                                                          \
#name, kind, offsetof(struct job_view, name)                                       \
	}
#define JOB_AS(name, field, kind)                                                                  \
	{                                                                                          \
		name, kind, offsetof(struct job_view, field)                                       \
	}

static const struct json_field job_fields[] = {
	JOB(message, JSON_KIND_TEXT),
	JOB(phase, JSON_KIND_TEXT),
	JOB(priority, JSON_KIND_INT),
	JOB(verified, JSON_KIND_BOOL),
	JOB(total_processed, JSON_KIND_I64),
	JOB(success_count, JSON_KIND_I64),
	JOB(error_count, JSON_KIND_I64),
	JOB(filtered, JSON_KIND_I64),
	JOB(accepted_processed, JSON_KIND_I64),
	JOB(accepted_success, JSON_KIND_I64),
	JOB(accepted_error, JSON_KIND_I64),
	JOB(accepted_filtered, JSON_KIND_I64),
	JOB(items_per_second, JSON_KIND_REAL),
	JOB(progress, JSON_KIND_RATIO_OR_NULL),
	JOB(eta_seconds, JSON_KIND_REAL_OR_NULL),
	JOB(duration_seconds, JSON_KIND_REAL),
	JOB(queue_seconds, JSON_KIND_REAL),
	JOB(input_bytes_total, JSON_KIND_I64_OR_NULL),
	JOB(input_bytes_done, JSON_KIND_I64_OR_NULL),
	JOB(output_bytes, JSON_KIND_I64),
	JOB(ram_bytes, JSON_KIND_I64),
	JOB(pss_bytes, JSON_KIND_I64),
	JOB(peak_ram_bytes, JSON_KIND_I64),
	JOB_AS("workers", n_workers, JSON_KIND_U32),
	JOB_AS("workers_alive", n_workers_alive, JSON_KIND_U32),
	JOB_AS("worker_restarts", n_worker_restarts, JSON_KIND_U32),
	JOB_AS("submitted_at", submitted_at_ns, JSON_KIND_TIME),
	JOB_AS("submitted_at_seconds", submitted_at_ns, JSON_KIND_TIME_SECONDS),
	JOB_AS("started_at", started_at_ns, JSON_KIND_TIME),
	JOB_AS("started_at_seconds", started_at_ns, JSON_KIND_TIME_SECONDS),
	JOB_AS("finished_at", finished_at_ns, JSON_KIND_TIME),
	JOB_AS("finished_at_seconds", finished_at_ns, JSON_KIND_TIME_SECONDS),
};

#define PIPE(name, kind)                                                                           \
	{                                                                                          \
#name, kind, offsetof(struct pipe_view, name)                                      \
	}

static const struct json_field pipe_fields[] = {
	PIPE(input, JSON_KIND_TEXT),
	PIPE(output, JSON_KIND_TEXT),
	PIPE(errors, JSON_KIND_TEXT),
	PIPE(total_processed, JSON_KIND_I64),
	PIPE(success_count, JSON_KIND_I64),
	PIPE(error_count, JSON_KIND_I64),
	PIPE(filtered, JSON_KIND_I64),
	PIPE(bytes_total, JSON_KIND_I64_OR_NULL),
	PIPE(bytes_done, JSON_KIND_I64_OR_NULL),
};

#define WORKER(name, kind)                                                                         \
	{                                                                                          \
#name, kind, offsetof(struct worker_view, name)                                    \
	}

static const struct json_field worker_fields[] = {
	WORKER(slot, JSON_KIND_U32),
	WORKER(pid, JSON_KIND_INT),
	WORKER(generation, JSON_KIND_U64),
	WORKER(state, JSON_KIND_TEXT),
	WORKER(is_stats_valid, JSON_KIND_BOOL),
	WORKER(total_processed, JSON_KIND_I64),
	WORKER(success_count, JSON_KIND_I64),
	WORKER(error_count, JSON_KIND_I64),
	WORKER(filtered, JSON_KIND_I64),
	WORKER(ram_bytes, JSON_KIND_I64),
	WORKER(pss_bytes, JSON_KIND_I64),
	WORKER(peak_ram_bytes, JSON_KIND_I64),
	WORKER(bytes_read, JSON_KIND_I64),
	WORKER(bytes_written, JSON_KIND_I64),
	WORKER(chunks_done, JSON_KIND_I64),
	WORKER(current_chunk, JSON_KIND_I64_OR_NULL),
	WORKER(heartbeat_age_seconds, JSON_KIND_REAL_OR_NULL),
};

/* "code":n of those that occurred; no answer has a key that it could do without. */
static void add_count(struct buf *out, const char **separator, const char *name, int64_t count)
{
	if (count != 0) {
		buf_printf(out, "%s\"%s\":%lld", *separator, name, (long long)count);
		*separator = ",";
	}
}

static void add_rejects(struct buf *out, const int64_t rejects[static REJECT_N_CODES])
{
	const char *separator = "";

	buf_add_str(out, ",\"rejects\":{");
	for (int code = 0; code < REJECT_N_CODES; code++) {
		add_count(out, &separator, reject_name(code), rejects[code]);
	}
	buf_add_char(out, '}');
}

static void add_worker_exits(struct buf *out, const int64_t exits[static WORKER_N_CAUSES])
{
	const char *separator = "";

	buf_add_str(out, ",\"worker_exits\":{");
	for (int cause = 0; cause < WORKER_N_CAUSES; cause++) {
		add_count(out, &separator, worker_cause_name(cause), exits[cause]);
	}
	buf_add_char(out, '}');
}

static void add_pipes(struct buf *out, const struct job_view *job)
{
	buf_add_str(out, ",\"pipes\":[");
	for (size_t i = 0; job->pipes != NULL && i < job->n_pipes; i++) {
		buf_add_str(out, i > 0 ? ",{" : "{");
		json_add_fields(out, pipe_fields, ARRAY_SIZE(pipe_fields), &job->pipes[i]);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

void render_json_job(struct buf *out, const struct job_view *job)
{
	buf_add_str(out, "{\"id\":");
	json_add_text(out, job->id);
	buf_add_str(out, ",\"name\":");
	json_add_text(out, job->name);
	buf_add_str(out, ",\"state\":");
	json_add_text(out, job_state_name(job->state));
	buf_add_str(out, ",\"reason\":");
	json_add_text(out, job_state_is_final(job->state) ? job_reason_name(job->reason) : NULL);
	buf_add_char(out, ',');
	json_add_fields(out, job_fields, ARRAY_SIZE(job_fields), job);
	add_worker_exits(out, job->worker_exits);
	add_rejects(out, job->rejects);
	add_pipes(out, job);
	buf_add_char(out, '}');
}

void render_json_workers(struct buf *out, const struct job_view *job)
{
	buf_add_str(out, "{\"job_id\":");
	json_add_text(out, job->id);
	buf_add_str(out, ",\"workers\":[");
	for (uint32_t i = 0; job->workers != NULL && i < job->n_workers; i++) {
		buf_add_str(out, i > 0 ? ",{" : "{");
		json_add_fields(out, worker_fields, ARRAY_SIZE(worker_fields), &job->workers[i]);
		buf_add_str(out, ",\"phase\":");
		json_add_text(out, stats_phase_name(job->workers[i].phase));
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}\n");
}

#define LIVE(name, kind)                                                                           \
	{                                                                                          \
#name, kind, offsetof(struct live_view, name)                                      \
	}

static const struct json_field live_fields[] = {
	LIVE(queue_age_seconds, JSON_KIND_REAL),
	LIVE(items_per_second, JSON_KIND_REAL),
	LIVE(ram_bytes, JSON_KIND_I64),
	LIVE(pss_bytes, JSON_KIND_I64),
	LIVE(peak_ram_bytes, JSON_KIND_I64),
	{"worker_heartbeat_age_seconds", JSON_KIND_REAL,
	 offsetof(struct live_view, heartbeat_age_seconds)},
	{"workers_with_invalid_stats", JSON_KIND_I64, offsetof(struct live_view, n_invalid_stats)},
};

#define PROCESS_AS(name, field, kind)                                                              \
	{                                                                                          \
		name, kind, offsetof(struct live_process, field)                                   \
	}

static const struct json_field process_fields[] = {
	PROCESS_AS("daemon_cpu_seconds", cpu_seconds, JSON_KIND_REAL),
	PROCESS_AS("daemon_ram_bytes", resident_bytes, JSON_KIND_I64),
	PROCESS_AS("daemon_open_fds", n_open_fds, JSON_KIND_I64),
	PROCESS_AS("started_at_seconds", start_time_seconds, JSON_KIND_REAL),
};

#define NAME(name, field)                                                                          \
	{                                                                                          \
		name, JSON_KIND_I64, offsetof(struct name_totals_view, field)                      \
	}

/* Summed over all names: since the daemon's state began. */
static const struct json_field total_fields[] = {
	NAME("total_processed", rows_processed), NAME("success_count", rows_success),
	NAME("error_count", rows_error),	 NAME("filtered", rows_filtered),
	NAME("input_bytes", input_bytes),	 NAME("output_bytes", output_bytes),
	NAME("jobs_completed", jobs_completed),	 NAME("jobs_failed", jobs_failed),
	NAME("jobs_aborted", jobs_aborted),
};

static void add_totals(struct buf *out, const struct totals_view *totals)
{
	struct name_totals_view sum = {0};

	for (size_t field = 0; field < ARRAY_SIZE(total_fields); field++) {
		size_t offset = total_fields[field].offset;

		for (size_t i = 0; i < totals->n_names; i++) {
			*(int64_t *)((char *)&sum + offset) += *(
				const int64_t *)((const char *)&totals->names[i] + offset);
		}
	}
	json_add_fields(out, total_fields, ARRAY_SIZE(total_fields), &sum);
	buf_printf(out, ",\"worker_restarts\":%lld,\"stats_files_invalid\":%lld",
		   (long long)totals->worker_restarts, (long long)totals->stats_files_invalid);
}

static void add_live(struct buf *out, const struct live_view *live)
{
	buf_add_str(out, "\"jobs\":{");
	for (int state = 0; state < JOB_N_STATES; state++) {
		buf_printf(out, "%s\"%s\":%lld", state > 0 ? "," : "", job_state_name(state),
			   (long long)live->jobs[state]);
	}
	buf_add_str(out, "},\"workers\":{");
	for (size_t i = 0; i < LIVE_N_WORKER_STATES; i++) {
		buf_printf(out, "%s\"%s\":%lld", i > 0 ? "," : "", live_worker_state_names[i],
			   (long long)live->workers[i]);
	}
	buf_add_str(out, "},");
	json_add_fields(out, live_fields, ARRAY_SIZE(live_fields), live);
}

static void add_areas(struct buf *out, const struct status_view *view)
{
	static const struct json_field fields[] = {
		{"name", JSON_KIND_TEXT, offsetof(struct area_view, name)},
		{"files", JSON_KIND_I64_OR_NULL, offsetof(struct area_view, n_files)},
		{"avail_bytes", JSON_KIND_I64_OR_NULL, offsetof(struct area_view, avail_bytes)},
		{"size_bytes", JSON_KIND_I64_OR_NULL, offsetof(struct area_view, size_bytes)},
	};

	buf_add_str(out, ",\"areas\":[");
	for (size_t i = 0; i < view->n_areas; i++) {
		buf_add_str(out, i > 0 ? ",{" : "{");
		json_add_fields(out, fields, ARRAY_SIZE(fields), &view->areas[i]);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

void render_json_reasons(struct buf *out, struct buf *lines)
{
	const char *line = buf_terminated(lines);
	const char *separator = "";

	buf_add_str(out, "\"reasons\":[");
	while (line != NULL && *line != '\0') {
		CLEANUP(free_p) char *reason = strndup(line, strcspn(line, "\n"));

		buf_add_str(out, separator);
		json_add_text(out, reason);
		separator = ",";
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	buf_add_char(out, ']');
}

void render_json_status(struct buf *out, const struct status_view *view)
{
	buf_printf(out, "{\"version\":\"%s\",\"ready\":%s,", ZOOPARALLEL_VERSION,
		   view->is_ready ? "true" : "false");
	render_json_reasons(out, view->reasons);
	buf_printf(out, ",\"config_last_reload_successful\":%s,\"loop_age_seconds\":",
		   view->is_config_ok ? "true" : "false");
	json_add_double(out, view->loop_age_seconds, 6);
	buf_add_char(out, ',');
	add_live(out, view->live);
	buf_add_char(out, ',');
	add_totals(out, view->totals);
	buf_add_char(out, ',');
	json_add_fields(out, process_fields, ARRAY_SIZE(process_fields), &view->process);
	add_areas(out, view);
	buf_add_str(out, "}\n");
}

static int add_dumped(const char *data, size_t len, void *userdata)
{
	buf_add(userdata, data, len);
	return 0;
}

bool render_json_reject(struct buf *out, const char *line, size_t len, bool with_row)
{
	json_t *object = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(object)) {
		json_decref(object);
		return false;
	}
	if (!with_row) {
		json_object_del(object, "row");
		json_object_del(object, "row_base64");
	}
	json_dump_callback(object, add_dumped, out, JSON_COMPACT);
	json_decref(object);
	return true;
}
