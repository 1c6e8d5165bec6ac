/* SPDX-License-Identifier: MIT */
/*
 * A person who reads this has a job to finish: the outcome first, then the account, then what to
 * do. The hints are one table by reason, so that a new reason without one is easily seen.
 */
#include "daemon/ctl/summary.h"

#include "common/util/clock.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "daemon/ctl/style.h"
#include "daemon/ctl/text.h"

enum { REJECTS_SHOWN = 3 };

static const char *const hints[JOB_N_REASONS] = {
	[JOB_REASON_REJECTS_EXCEEDED] =
		"check input.delimiter, quotechar, header; errors.max_rows, max_ratio",
	[JOB_REASON_INPUT_MISSING] = "check input.path; a relative path begins at the data root",
	[JOB_REASON_INPUT_UNREADABLE] = "check what the input is, its permissions and its header",
	[JOB_REASON_INPUT_CHANGED] = "run it again when nothing writes to the input any more",
	[JOB_REASON_OUTPUT_EXISTS] = "remove the file, or set output.if_exists to \"replace\"",
	[JOB_REASON_OUTPUT_UNWRITABLE] =
		"create the output's folder, make it writable, or name another output",
	[JOB_REASON_PATH_DENIED] = "use paths inside the data root, without .. and symbolic links",
	[JOB_REASON_IO_ERROR] = "check the disk; the input is as it was, run it again",
	[JOB_REASON_NO_SPACE] = "free some space where the output goes and run it again",
	[JOB_REASON_WORKER_CRASH] = "report it, please, with the daemon's messages",
	[JOB_REASON_MEMORY_LIMIT] = "raise limits.memory_per_worker or lower input.max_row_bytes",
	[JOB_REASON_TIMEOUT] = "raise limits.wall",
	[JOB_REASON_STALLED] = "check the input's disk, or raise limits.stall",
	[JOB_REASON_INTERNAL] = "report it, please, with the daemon's messages",
};

const char *summary_hint(enum job_reason reason)
{
	return (unsigned)reason < JOB_N_REASONS ? hints[reason] : NULL;
}

static const char *count(char text[static NUM_TEXT_SIZE], int64_t n)
{
	return num_format_count(text, (uint64_t)MAX(n, INT64_C(0)));
}

static const char *duration(char text[static NUM_TEXT_SIZE], double seconds)
{
	/* A clamp that the cast below can hold. */
	return num_format_duration_ns(text,
				      seconds > 0 && seconds < 1e9 ? (int64_t)(seconds * 1e9) : 0);
}

void summary_add_line(struct buf *out, const struct job_info *info)
{
	char rows[NUM_TEXT_SIZE], rejected[NUM_TEXT_SIZE], time[NUM_TEXT_SIZE];

	text_add_clean(out, info->id);
	buf_add_char(out, ' ');
	text_add_clean(out, info->name);
	buf_printf(out, ": %s", job_state_name(info->state));
	if (info->state != JOB_STATE_COMPLETED) {
		buf_add_str(out, " (");
		text_add_clean(out, info->reason);
		buf_add_char(out, ')');
	}
	buf_printf(out, ", %s rows, %s rejected, %s", count(rows, info->total_processed),
		   count(rejected, info->error_count), duration(time, info->duration_seconds));
	if (info->message[0] && info->state != JOB_STATE_COMPLETED) {
		buf_add_str(out, ": ");
		text_add_clean(out, info->message);
	}
	buf_add_char(out, '\n');
}

static void add_headline(struct buf *out, const struct job_info *info, bool color)
{
	enum style style = color ? style_of_state(info->state) : STYLE_PLAIN;

	buf_printf(out, "%s%-10s%s ", style_begin(style), job_state_name(info->state),
		   style_end(style));
	text_add_clean(out, info->name);
	if (info->state != JOB_STATE_COMPLETED) {
		buf_add_str(out, ": ");
		text_add_clean(out, info->reason);
	}
	buf_add_char(out, '\n');
}

static void add_account(struct buf *out, const struct job_info *info)
{
	char total[NUM_TEXT_SIZE], ok[NUM_TEXT_SIZE], rejected[NUM_TEXT_SIZE], rate[NUM_TEXT_SIZE],
		time[NUM_TEXT_SIZE];
	double per_second = info->duration_seconds > 0
				    ? (double)info->total_processed / info->duration_seconds
				    : 0;

	buf_printf(out, "rows       %s = %s ok + %s rejected", count(total, info->total_processed),
		   count(ok, info->success_count), count(rejected, info->error_count));
	if (info->filtered > 0) {
		buf_printf(out, " + %s filtered", count(ok, info->filtered));
	}
	buf_printf(out, "\ntime       %s, %s rows/s\n", duration(time, info->duration_seconds),
		   count(rate, per_second < 1e18 ? (int64_t)per_second : 0));
}

static void add_path(struct buf *out, const char *label, const char *path, const char *data_root)
{
	buf_printf(out, "%-10s ", label);
	if (data_root && path[0] != '/') {
		text_add_clean(out, data_root);
		buf_add_char(out, '/');
	}
	text_add_clean(out, path);
	buf_add_char(out, '\n');
}

/* On rejects_exceeded the error file is published and the output is not (design, section 3). */
static void add_files(struct buf *out, const struct job_info *info, const char *data_root)
{
	bool has_output = info->state == JOB_STATE_COMPLETED;
	bool has_errors = has_output || job_info_reason(info) == JOB_REASON_REJECTS_EXCEEDED;
	const json_t *pipe;
	size_t i;

	json_array_foreach(json_object_get(info->json, "pipes"), i, pipe)
	{
		const char *output = job_info_text(pipe, "output");
		const char *errors = job_info_text(pipe, "errors");

		if (has_output && output[0]) {
			add_path(out, "output", output, data_root);
		}
		if (has_errors && errors[0]) {
			add_path(out, "errors", errors, data_root);
		}
	}
}

/* INPUT:LINE: code: message, as compilers do. */
static void add_reject(struct buf *out, const json_t *reject)
{
	const char *field = job_info_text(reject, "field");

	buf_add_str(out, "rejected   ");
	text_add_clean(out, job_info_text(reject, "input"));
	buf_printf(out, ":%lld: ", (long long)job_info_integer(reject, "line"));
	text_add_clean(out, job_info_text(reject, "code"));
	if (field[0]) {
		buf_add_str(out, " in ");
		text_add_clean(out, field);
	}
	buf_add_str(out, ": ");
	text_add_clean(out, job_info_text(reject, "message"));
	buf_add_char(out, '\n');
}

/* Without errors.path the rejects lie in the job's state, which ends with a private daemon. */
static bool keeps_rejects(const struct job_info *info)
{
	const json_t *pipe;
	size_t i;

	json_array_foreach(json_object_get(info->json, "pipes"), i, pipe)
	{
		if (!job_info_text(pipe, "errors")[0]) {
			return false;
		}
	}
	return true;
}

static void add_rejects(struct buf *out, const struct job_info *info, const json_t *rejects)
{
	char more[NUM_TEXT_SIZE];
	size_t n_shown = MIN(json_array_size(rejects), (size_t)REJECTS_SHOWN);

	for (size_t i = 0; i < n_shown; i++) {
		add_reject(out, json_array_get(rejects, i));
	}
	if (n_shown && (uint64_t)MAX(info->error_count, INT64_C(0)) > n_shown) {
		buf_printf(out, "           and %s more\n",
			   count(more, info->error_count - (int64_t)n_shown));
	}
	if (n_shown && !keeps_rejects(info)) {
		buf_add_str(out, "           name errors.path in the spec to keep them\n");
	}
}

void summary_add_all(struct buf *out, const struct job_info *info,
		     const struct summary_options *options)
{
	const char *hint = info->state == JOB_STATE_FAILED ? summary_hint(job_info_reason(info))
							   : NULL;

	add_headline(out, info, options->color);
	if (info->message[0] && info->state != JOB_STATE_COMPLETED) {
		buf_add_str(out, "why        ");
		text_add_clean(out, info->message);
		buf_add_char(out, '\n');
	}
	if (info->total_processed > 0 || info->state == JOB_STATE_COMPLETED) {
		add_account(out, info);
	}
	add_files(out, info, options->data_root);
	add_rejects(out, info, options->rejects);
	if (hint) {
		buf_printf(out, "try        %s\n", hint);
	}
}
