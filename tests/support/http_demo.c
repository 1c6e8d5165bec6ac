/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server on made-up jobs, for tests: http_demo UNIX-PATH N-JOBS N-WORKERS.
 * Writes its TCP port in a line on stdout. SIGUSR1 ends the running job, SIGUSR2 reloads with
 * rows exposed and "etl.example" allowed, SIGTERM stops.
 *
 * Job 0, the newest, runs with N-WORKERS workers; the others have ended. Their names are nasty on
 * purpose. A submission is answered 50 ms later; one that holds "bad" is refused, one that holds
 * "slow" is answered only after the server's end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/num.h"
#include "daemon/core/loop.h"
#include "daemon/http/server.h"

enum { MAX_JOBS = 2000, MAX_WORKERS = 2000, MAX_CALLS = 200 };

struct pending_call {
	http_result_fn fn;
	void *userdata;
	struct loop_source *timer;
	struct demo *demo;
	char id[32];
	char text[128];
};

struct demo {
	struct loop *loop;
	struct server *server;
	size_t n_jobs, n_workers;
	struct job_view jobs[MAX_JOBS];
	char ids[MAX_JOBS][32];
	char names[MAX_JOBS][65];
	struct worker_view workers[MAX_WORKERS];
	struct pipe_view pipe;
	struct name_totals_view totals_by_name[NAME_TOTALS_MAX];
	struct totals_view totals;
	struct pending_call calls[MAX_CALLS];
	size_t n_calls;
	size_t n_submitted;
	int rejects_fd;
};

static const char *const nasty_names[] = {
	"plain",
	"quote\"quote",
	"back\\slash",
	"new\nline",
	"<b>html&amp;</b>",
	"\xc3\xa4\xe2\x82\xac",
	"tab\tctl\x01",
	"{}=,",
	"trailing\\",
	"",
};

static void make_workers(struct demo *demo)
{
	static const char *const states[] = {"running", "running", "starting", "exited",
					     "restarting"};

	for (uint32_t i = 0; i < demo->n_workers; i++) {
		demo->workers[i] = (struct worker_view){
			.slot = i,
			.pid = 1000 + (int32_t)i,
			.generation = i % 3,
			.state = states[i % ARRAY_SIZE(states)],
			.is_stats_valid = i % 7 != 6,
			.total_processed = 1000 * (int64_t)i,
			.success_count = 1000 * (int64_t)i,
			.ram_bytes = 5 << 20,
			.current_chunk = i % 4 == 3 ? -1 : (int64_t)i,
			.phase = i % 5,
			.heartbeat_age_seconds = i * 0.001,
		};
	}
}

static void make_job(struct demo *demo, size_t i)
{
	struct job_view *job = &demo->jobs[i];
	int64_t base_ns = INT64_C(1795000000) * CLOCK_NS_PER_SEC;

	/* Newest first: greater IDs come first. */
	snprintf(demo->ids[i], sizeof(demo->ids[i]), "20261122T%09zuZ", MAX_JOBS - i);
	if (i < ARRAY_SIZE(nasty_names)) {
		snprintf(demo->names[i], sizeof(demo->names[i]), "%s", nasty_names[i]);
	} else {
		snprintf(demo->names[i], sizeof(demo->names[i]), "job-%zu", i % 150);
	}
	*job = (struct job_view){
		.id = demo->ids[i],
		.name = demo->names[i],
		.state = i % 5 == 4 ? JOB_STATE_FAILED : JOB_STATE_COMPLETED,
		.reason = i % 5 == 4 ? JOB_REASON_REJECTS_EXCEEDED : JOB_REASON_OK,
		.message = i % 5 == 4 ? "12 of 20 rows were rejected; <max_ratio> is 0.5" : "",
		.phase = "finished",
		.verified = true,
		.total_processed = 100,
		.success_count = 88,
		.error_count = 12,
		.rejects = {[REJECT_RAGGED] = 12},
		.progress = 1,
		.eta_seconds = -1,
		.duration_seconds = 1.25,
		.input_bytes_total = 4096,
		.submitted_at_ns = base_ns,
		.started_at_ns = base_ns + 1,
		.finished_at_ns = base_ns + CLOCK_NS_PER_SEC,
		.n_workers = 2,
		.n_pipes = 1,
		.pipes = &demo->pipe,
	};
}

static void make_running(struct demo *demo)
{
	struct job_view *job = &demo->jobs[0];

	job->state = JOB_STATE_RUNNING;
	job->phase = "converting";
	job->finished_at_ns = 0;
	job->progress = 1.0 / 3;
	job->eta_seconds = 1e9;
	job->items_per_second = 1.0 / 0.0; /* whatever a view says, the text stays JSON */
	job->input_bytes_total = -1;
	job->ram_bytes = 5 << 20;
	job->n_workers = (uint32_t)demo->n_workers;
	job->workers = demo->workers;
}

static void make_totals(struct demo *demo)
{
	demo->totals.names = demo->totals_by_name;
	for (size_t i = 0; i < demo->n_jobs; i++) {
		struct name_totals_view *totals = NULL;

		for (size_t k = 0; k < demo->totals.n_names && totals == NULL; k++) {
			if (strcmp(demo->totals_by_name[k].name, demo->names[i]) == 0) {
				totals = &demo->totals_by_name[k];
			}
		}
		if (totals == NULL) {
			totals = &demo->totals_by_name[demo->totals.n_names++];
			totals->name = demo->names[i];
		}
		totals->rows_processed += 100;
		totals->jobs_completed++;
		totals->last_duration_seconds = 1.25;
		totals->last_success_timestamp_seconds = 1795000000.5;
		totals->rejects[REJECT_RAGGED] += 12;
		demo->totals.duration_counts[i % 13]++;
		demo->totals.duration_sum += 1.25;
	}
}

static void for_each_job(void *ctx, http_job_fn fn, void *userdata)
{
	struct demo *demo = ctx;

	for (size_t i = 0; i < demo->n_jobs; i++) {
		if (!fn(userdata, &demo->jobs[i])) {
			return;
		}
	}
}

static struct job_view *find_job(struct demo *demo, const char *id)
{
	for (size_t i = 0; i < demo->n_jobs; i++) {
		if (strcmp(demo->jobs[i].id, id) == 0) {
			return &demo->jobs[i];
		}
	}
	return NULL;
}

static bool with_job(void *ctx, const char *id, http_job_fn fn, void *userdata)
{
	struct job_view *job = find_job(ctx, id);

	if (job != NULL) {
		fn(userdata, job);
	}
	return job != NULL;
}

static const struct totals_view *totals(void *ctx)
{
	return &((struct demo *)ctx)->totals;
}

static size_t areas(void *ctx, const struct area_view **ret_areas)
{
	static const struct area_view views[] = {{"incoming", 1, 1 << 30, INT64_C(1) << 32},
						 {"invalid", 0, -1, -1},
						 {"state", -1, 1 << 20, 1 << 22}};

	*ret_areas = views;
	return ARRAY_SIZE(views);
}

static int open_rejects(void *ctx, const char *id)
{
	struct demo *demo = ctx;

	if (find_job(demo, id) == &demo->jobs[0]) {
		return -ENOENT;
	}
	return dup(demo->rejects_fd);
}

static bool is_ready(void *ctx, struct buf *reasons)
{
	struct demo *demo = ctx;

	if (demo->jobs[0].state == JOB_STATE_RUNNING) {
		return true;
	}
	buf_add_str(reasons, "The spool is \"read only\".\nThe state directory is full.\n");
	return false;
}

static bool config_last_reload_ok(void *ctx)
{
	return true;
}

static void answer_submission(void *userdata, int64_t now_ns)
{
	struct pending_call *call = userdata;
	bool is_bad = strstr(call->text, "bad") != NULL;
	struct http_result result = {
		.status = is_bad ? 422 : 202,
		.job_id = is_bad ? NULL : call->id,
		.text = is_bad ? "The spec is bad." : "The job is queued.",
		.detail_json = is_bad ? "\"line\":3,\"column\":7" : NULL,
	};

	call->timer = loop_source_free(call->timer);
	call->fn(call->userdata, &result);
	call->fn = NULL;
}

static void submit(void *ctx, const struct http_submission *submission, http_result_fn fn,
		   void *userdata)
{
	struct demo *demo = ctx;
	struct pending_call *call;

	if (demo->n_calls == MAX_CALLS) {
		fn(userdata, &(struct http_result){.status = 503, .text = "Too many."});
		return;
	}
	call = &demo->calls[demo->n_calls++];
	*call = (struct pending_call){.fn = fn, .userdata = userdata, .demo = demo};
	snprintf(call->id, sizeof(call->id), "20261122T9%08zuZ", ++demo->n_submitted);
	snprintf(call->text, sizeof(call->text), "%.*s", (int)MIN(submission->len, (size_t)100),
		 submission->text);
	if (strstr(call->text, "slow") != NULL) {
		return;
	}
	if (loop_add_timer(demo->loop, answer_submission, call, &call->timer) < 0 ||
	    loop_timer_arm(call->timer, clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS) < 0) {
		answer_submission(call, 0);
	}
}

static void validate(void *ctx, const char *text, size_t len, http_result_fn fn, void *userdata)
{
	bool is_bad = len == 0 || memmem(text, len, "bad", 3) != NULL;

	fn(userdata, &(struct http_result){.status = is_bad ? 422 : 200,
					   .text = is_bad ? "The spec is bad." : ""});
}

static void end_running(struct demo *demo)
{
	demo->jobs[0].state = JOB_STATE_COMPLETED;
	demo->jobs[0].phase = "finished";
	demo->jobs[0].workers = NULL;
	demo->jobs[0].items_per_second = 1e6;
	server_job_changed(demo->server, demo->jobs[0].id);
}

static void cancel(void *ctx, const char *id, http_result_fn fn, void *userdata)
{
	struct demo *demo = ctx;
	struct job_view *job = find_job(demo, id);
	struct http_result result = {.status = 202, .job_id = id, .text = "It will stop."};

	if (job == NULL) {
		result = (struct http_result){.status = 404, .text = "There is no such job."};
	} else if (job_state_is_final(job->state)) {
		result = (struct http_result){.status = 409, .text = "It has ended."};
	} else {
		end_running(demo);
	}
	fn(userdata, &result);
}

static void forget(void *ctx, const char *id, http_result_fn fn, void *userdata)
{
	bool is_there = find_job(ctx, id) != NULL;

	fn(userdata, &(struct http_result){.status = is_there ? 204 : 404,
					   .text = is_there ? "" : "There is no such job."});
}

static void on_signal(void *userdata, int signal)
{
	struct demo *demo = userdata;
	static char host[] = "etl.example";
	char *hosts[] = {host};
	const struct server_options options = {
		.allowed_hosts = hosts, .n_allowed_hosts = 1, .expose_rows = true};

	if (signal == SIGUSR1) {
		end_running(demo);
	} else if (signal == SIGUSR2) {
		if (server_set_options(demo->server, &options) < 0) {
			loop_exit(demo->loop, 1);
		}
	} else {
		loop_exit(demo->loop, 0);
	}
}

static int run(struct demo *demo, const char *unix_path)
{
	const struct http_backend backend = {
		.ctx = demo,
		.for_each_job = for_each_job,
		.with_job = with_job,
		.totals = totals,
		.areas = areas,
		.open_rejects = open_rejects,
		.is_ready = is_ready,
		.config_last_reload_ok = config_last_reload_ok,
		.submit = submit,
		.validate = validate,
		.cancel = cancel,
		.forget = forget,
	};
	struct server_options options = {.tcp_fd = -1, .unix_fd = -1};
	const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM};
	struct loop_source *sources[ARRAY_SIZE(signals)] = {NULL};
	uint16_t port;
	int r = server_listen_tcp("127.0.0.1", 0, &options.tcp_fd, &port);

	r = r < 0 ? r : server_listen_unix(unix_path, &options.unix_fd);
	r = r < 0 ? r : server_new(demo->loop, &options, &backend, &demo->server);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++) {
		r = loop_add_signal(demo->loop, signals[i], on_signal, demo, &sources[i]);
	}
	if (r >= 0) {
		printf("%u\n", port);
		fflush(stdout);
		r = loop_run(demo->loop);
	}
	demo->server = server_free(demo->server);
	for (size_t i = 0; i < demo->n_calls; i++) {
		if (demo->calls[i].fn != NULL) {
			answer_submission(&demo->calls[i], 0);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		loop_source_free(sources[i]);
	}
	return r;
}

static int make_rejects(struct demo *demo)
{
	static const char text[] =
		"{\"job\":\"plain\",\"input\":\"in.csv\",\"line\":3,\"offset\":17,\"stage\":"
		"\"parse\","
		"\"code\":\"ragged\",\"field\":null,\"message\":\"It has 1 field, not 2.\","
		"\"row\":\"secret\\u0000\"}\n"
		"this is no json\n"
		"{\"job\":\"plain\",\"input\":\"in.csv\",\"line\":4,\"offset\":24,\"stage\":"
		"\"parse\","
		"\"code\":\"invalid_utf8\",\"field\":\"a\",\"message\":\"It is not UTF-8.\","
		"\"row_base64\":\"c2VjcmV0\",\"row_truncated\":true}\n"
		"{\"job\":\"plain\",\"input\":\"in.csv\",\"li";

	demo->rejects_fd = fd_memfd("rejects", text, sizeof(text) - 1);
	return demo->rejects_fd;
}

int main(int argc, char **argv)
{
	static struct demo demo;
	uint64_t n_jobs = 0, n_workers = 0;
	int r;

	if (argc != 4 || num_parse_u64(argv[2], &n_jobs) < 0 ||
	    num_parse_u64(argv[3], &n_workers) < 0 || n_jobs < 1 || n_jobs > MAX_JOBS ||
	    n_workers > MAX_WORKERS) {
		fprintf(stderr, "usage: http_demo UNIX-PATH N-JOBS N-WORKERS\n");
		return 2;
	}
	demo.n_jobs = n_jobs;
	demo.n_workers = n_workers;
	demo.pipe = (struct pipe_view){
		.input = "in\xff\"put.csv", .output = "out.jsonl", .bytes_total = -1};
	make_workers(&demo);
	for (size_t i = 0; i < demo.n_jobs; i++) {
		make_job(&demo, i);
	}
	make_running(&demo);
	make_totals(&demo);
	r = make_rejects(&demo);
	r = r < 0 ? r : loop_new(&demo.loop);
	r = r < 0 ? r : run(&demo, argv[1]);
	loop_free(demo.loop);
	fd_close(demo.rejects_fd);
	if (r < 0) {
		fprintf(stderr, "http_demo: %s\n", strerror(-r));
	}
	return r == 0 ? 0 : 1;
}
