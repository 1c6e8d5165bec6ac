/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "daemon/http/backend.h"

/*
 * A backend of two jobs, "1A" running (two workers) and "1B" failed. Changing calls answer at once,
 * or, with is_slow, never until fake_answer().
 */
struct fake {
	struct worker_view workers[2];
	struct pipe_view pipe;
	struct job_view jobs[2];
	struct name_totals_view name;
	struct totals_view totals;
	int rejects_fd; /* or -errno; stays the test's own */
	bool is_slow, is_unready;
	unsigned n_submitted;
	http_result_fn fn; /* what is_slow has put off */
	void *userdata;
};

static void fake_init(struct fake *fake)
{
	*fake = (struct fake){
		.pipe = {.input = "in.csv", .output = "out.jsonl", .bytes_total = -1},
		.name = {.name = "users", .rows_processed = 12},
		.rejects_fd = -ENOENT,
	};
	for (uint32_t i = 0; i < 2; i++) {
		fake->workers[i] = (struct worker_view){
			.slot = i, .pid = 100, .state = "running", .is_stats_valid = i == 0};
		fake->jobs[i] = (struct job_view){
			.id = i == 0 ? "1A" : "1B",
			.name = i == 0 ? "users" : "orders",
			.state = i == 0 ? JOB_STATE_RUNNING : JOB_STATE_FAILED,
			.reason = i == 0 ? JOB_REASON_OK : JOB_REASON_NO_SPACE,
			.message = "",
			.phase = "converting",
			.progress = 0.5,
			.n_workers = 2,
			.workers = i == 0 ? fake->workers : NULL,
			.n_pipes = 1,
			.pipes = &fake->pipe,
		};
	}
	fake->totals = (struct totals_view){.n_names = 1, .names = &fake->name};
}

static void fake_for_each_job(void *ctx, http_job_fn fn, void *userdata)
{
	struct fake *fake = ctx;

	if (fn(userdata, &fake->jobs[1])) { /* newest first */
		fn(userdata, &fake->jobs[0]);
	}
}

static bool fake_with_job(void *ctx, const char *id, http_job_fn fn, void *userdata)
{
	struct fake *fake = ctx;

	for (int i = 0; i < 2; i++) {
		if (strcmp(fake->jobs[i].id, id) == 0) {
			fn(userdata, &fake->jobs[i]);
			return true;
		}
	}
	return false;
}

static const struct totals_view *fake_totals(void *ctx)
{
	return &((struct fake *)ctx)->totals;
}

static size_t fake_areas(void *ctx, const struct area_view **ret_areas)
{
	static const struct area_view areas[] = {{"incoming", 3, -1, -1},
						 {"state", -1, 1000, 4000}};

	*ret_areas = areas;
	return 2;
}

static int fake_open_rejects(void *ctx, const char *id)
{
	int fd = ((struct fake *)ctx)->rejects_fd;

	return fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : fd;
}

static bool fake_is_ready(void *ctx, struct buf *reasons)
{
	struct fake *fake = ctx;

	if (fake->is_unready) {
		buf_add_str(reasons, "One.\nTwo.\n");
	}
	return !fake->is_unready;
}

static bool fake_config_ok(void *ctx)
{
	return true;
}

static void fake_answer(struct fake *fake)
{
	fake->fn(fake->userdata,
		 &(struct http_result){.status = 202, .job_id = "1C", .text = "Queued."});
	fake->fn = NULL;
}

static void fake_change(struct fake *fake, http_result_fn fn, void *userdata)
{
	fake->fn = fn;
	fake->userdata = userdata;
	if (!fake->is_slow) {
		fake_answer(fake);
	}
}

static void fake_submit(void *ctx, const struct http_submission *submission, http_result_fn fn,
			void *userdata)
{
	((struct fake *)ctx)->n_submitted++;
	fake_change(ctx, fn, userdata);
}

static void fake_validate(void *ctx, const char *text, size_t len, http_result_fn fn,
			  void *userdata)
{
	fn(userdata, &(struct http_result){.status = len > 0 ? 200 : 422, .text = ""});
}

static void fake_change_job(void *ctx, const char *id, http_result_fn fn, void *userdata)
{
	fake_change(ctx, fn, userdata);
}

static struct http_backend fake_backend(struct fake *fake)
{
	return (struct http_backend){
		.ctx = fake,
		.for_each_job = fake_for_each_job,
		.with_job = fake_with_job,
		.totals = fake_totals,
		.areas = fake_areas,
		.open_rejects = fake_open_rejects,
		.is_ready = fake_is_ready,
		.config_last_reload_ok = fake_config_ok,
		.submit = fake_submit,
		.validate = fake_validate,
		.cancel = fake_change_job,
		.forget = fake_change_job,
	};
}
