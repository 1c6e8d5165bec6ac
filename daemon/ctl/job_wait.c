/* SPDX-License-Identifier: MIT */
/*
 * Long polls: the daemon answers when the job has ended, or after POLL_NS so that a dead one is
 * noticed; nothing is asked in between. Where a bar is drawn the polls are as short as its frames.
 */
#include "daemon/ctl/job_wait.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/progress.h"
#include "daemon/ctl/summary.h"
#include "daemon/ctl/term.h"

#define POLL_NS	 (20 * CLOCK_NS_PER_SEC)
#define FRAME_NS (200 * CLOCK_NS_PER_MS)
#define GRACE_NS (10 * CLOCK_NS_PER_SEC) /* how late an answer may be */

/* One long poll; the job as it is then. */
static int poll_job(const struct ctl *ctl, struct api *api, const char *id, int64_t wait_ns,
		    json_t **ret_job)
{
	char suffix[40];

	(void)snprintf(suffix, sizeof(suffix), "?wait=%" PRId64 "ms", wait_ns / CLOCK_NS_PER_MS);
	return client_get_job(ctl, api, id, suffix, wait_ns + GRACE_NS, ret_job);
}

static int wait_one(const struct ctl *ctl, struct api *api, const char *id, int64_t deadline_ns,
		    struct progress *progress, json_t **ret_job)
{
	int64_t poll_ns = progress->is_quiet ? POLL_NS : FRAME_NS;

	for (;;) {
		CLEANUP(client_json_decrefp) json_t *job = NULL;
		int64_t left_ns = MAX(deadline_ns - clock_monotonic_ns(), INT64_C(0));
		struct job_info info;
		int code = poll_job(ctl, api, id, MIN(left_ns, poll_ns), &job);

		if (code) {
			return code;
		}
		if (job_info_read(job, &info) < 0) {
			term_error("%s: the daemon's answer is no job", id);
			return CTL_EXIT_FAILED;
		}
		if (job_state_is_final(info.state)) {
			*ret_job = TAKE_PTR(job);
			return CTL_EXIT_COMPLETED;
		}
		progress_show(progress, &info);
		if (clock_monotonic_ns() >= deadline_ns) {
			progress_clear(progress);
			term_error("%s: still %s, no longer waiting", id,
				   job_state_name(info.state));
			return CTL_EXIT_TIMED_OUT;
		}
	}
}

static int code_of(const struct job_info *info, const struct job_wait_options *options)
{
	if (options->is_for_aborts) {
		return info->state == JOB_STATE_ABORTED ? CTL_EXIT_COMPLETED : CTL_EXIT_FAILED;
	}
	return (int)ctl_exit_of_job(info->state, info->error_count > 0, options->strict);
}

static int report(const struct ctl *ctl, const json_t *job, const struct job_wait_options *options,
		  json_t *all)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct job_info info;
	int code;

	if (job_info_read(job, &info) < 0) {
		return CTL_EXIT_FAILED;
	}
	code = code_of(&info, options);
	if (ctl->json) {
		return json_array_append(all, (json_t *)(uintptr_t)job) < 0 ? CTL_EXIT_FAILED
									    : code;
	}
	summary_add_line(&text, &info);
	return output_text(&text) ? CTL_EXIT_FAILED : code;
}

int job_wait_all(const struct ctl *ctl, struct api *api, char *const *ids, size_t n_ids,
		 const struct job_wait_options *options)
{
	CLEANUP(client_json_decrefp) json_t *all = json_array();
	int64_t now_ns = clock_monotonic_ns();
	int64_t deadline_ns = options->timeout_ns < INT64_MAX - now_ns
				      ? now_ns + options->timeout_ns
				      : INT64_MAX;
	struct progress progress = progress_init(options->is_quiet);
	int first_code = CTL_EXIT_COMPLETED;

	/* Lines would only be noise in a script's log: a bar or nothing. */
	progress.is_quiet = progress.is_quiet || !progress.is_bar;
	for (size_t i = 0; i < n_ids; i++) {
		CLEANUP(client_json_decrefp) json_t *job = NULL;
		int code = wait_one(ctl, api, ids[i], deadline_ns, &progress, &job);
		bool is_over = code == CTL_EXIT_TIMED_OUT || code == CTL_EXIT_UNREACHABLE;

		progress_clear(&progress);
		if (!code) {
			code = report(ctl, job, options, all);
			(void)fflush(stdout);
		}
		first_code = first_code ? first_code : code;
		if (is_over) {
			break;
		}
	}
	if (ctl->json && output_json(all) && !first_code) {
		return CTL_EXIT_FAILED;
	}
	return first_code;
}
