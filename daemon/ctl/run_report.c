/* SPDX-License-Identifier: MIT */
/*
 * The end of a run as a sentence and an exit code, from the files in the tree and the way in which
 * the daemon ended. Results go to stdout, complaints to stderr.
 */
#include "daemon/ctl/run_report.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/macro.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/run_result.h"
#include "daemon/ctl/summary.h"
#include "daemon/ctl/term.h"

/* Of zooparalleld(8). */
enum { DAEMON_EXIT_USAGE = 2 };

static void print_to_stderr(struct buf *text)
{
	if (buf_terminated(text)) {
		(void)fputs(text->data, stderr);
	}
}

/* There is no result: the spec was refused, we stopped it, or the daemon died. */
static int report_no_result(const struct run_report *report)
{
	CLEANUP(client_json_decrefp) json_t *refusal = NULL;
	CLEANUP(buf_deinit) struct buf lines = BUF_INIT;

	if (run_result_load_refusal(report->tree, &refusal) == 0) {
		term_error("%s: %s", report->spec->path, job_info_text(refusal, "error"));
		return CTL_EXIT_USAGE;
	}
	if (report->end == RUN_END_INTERRUPTED) {
		term_error("interrupted before there was a result");
		return CTL_EXIT_ABORTED;
	}
	if (report->end == RUN_END_TIMED_OUT) {
		term_error("stopped by --timeout before there was a result");
		return CTL_EXIT_TIMED_OUT;
	}
	run_result_add_last_lines(report->tree, &lines);
	print_to_stderr(&lines);
	if (WIFSIGNALED(report->daemon_status)) {
		term_error("zooparalleld was killed by signal %d", WTERMSIG(report->daemon_status));
		return CTL_EXIT_UNREACHABLE;
	}
	term_error("zooparalleld ended with status %d and without a result",
		   WEXITSTATUS(report->daemon_status));
	return WEXITSTATUS(report->daemon_status) == DAEMON_EXIT_USAGE ? CTL_EXIT_USAGE
								       : CTL_EXIT_UNREACHABLE;
}

static void report_quietly(const struct job_info *info)
{
	if (info->state != JOB_STATE_COMPLETED) {
		term_error("%s: %s: %s: %s", info->name, job_state_name(info->state), info->reason,
			   info->message);
	}
}

/* The result as it was written, and what the API would have made of it. */
static int print_json(json_t *result, const struct job_info *info)
{
	double seconds = info->duration_seconds;
	double rate = seconds > 0 ? (double)info->total_processed / seconds : 0;

	if (json_object_set_new(result, "duration_seconds", json_real(seconds)) < 0 ||
	    json_object_set_new(result, "items_per_second", json_real(rate)) < 0) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	return output_json(result);
}

static int print_result(const struct ctl *ctl, const struct run_report *report, json_t *result,
			const json_t *rejects, const struct job_info *info)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct summary_options options = {
		.data_root = report->data_root,
		.rejects = rejects,
		.color = term_has_color(STDOUT_FILENO, ctl->color),
	};

	if (ctl->json) {
		return print_json(result, info);
	}
	if (report->is_quiet) {
		report_quietly(info);
		return CTL_EXIT_COMPLETED;
	}
	summary_add_all(&text, info, &options);
	return output_text(&text);
}

/* What happened counts, not what was asked for: a job may complete while it is being stopped. */
static int report_result(const struct ctl *ctl, const struct run_report *report, json_t *result,
			 const json_t *rejects)
{
	struct job_info info;
	int code;

	if (job_info_read(result, &info) < 0) {
		term_error("the job's result can't be read");
		return CTL_EXIT_FAILED;
	}
	code = print_result(ctl, report, result, rejects, &info);
	if (report->end == RUN_END_TIMED_OUT && info.state == JOB_STATE_ABORTED) {
		term_error("stopped by --timeout");
		return CTL_EXIT_TIMED_OUT;
	}
	return code ? code
		    : (int)ctl_exit_of_job(info.state, info.error_count > 0, report->is_strict);
}

int run_report(const struct ctl *ctl, const struct run_report *report)
{
	CLEANUP(client_json_decrefp) json_t *result = NULL, *rejects = NULL;
	CLEANUP(buf_deinit) struct buf warnings = BUF_INIT;

	if (run_result_load(report->tree, &result, &rejects) < 0) {
		return report_no_result(report);
	}
	if (!report->is_quiet) {
		run_result_add_warnings(report->tree, &warnings);
		print_to_stderr(&warnings);
	}
	return report_result(ctl, report, result, rejects);
}
