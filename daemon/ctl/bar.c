/* SPDX-License-Identifier: MIT */
/*
 * name [=====>     ]  45.2 %  3,456,789 rows/s  ETA 12 s  3 rejected  RAM 24.1 MiB  1,000,000 rows
 *
 * The parts stand in the order of their worth: each is shown if it still fits beside the bar's
 * least width, and the bar takes what is left, up to a width that is still pleasant.
 */
#include "daemon/ctl/bar.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/util/macro.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/text.h"

enum { BAR_MIN = 10, BAR_MAX = 40, NAME_MAX_COLUMNS = 24, PART_SIZE = 64, GAP = 2 };

struct parts {
	char texts[6][PART_SIZE];
	size_t n;
};

static uint64_t at_least_zero(int64_t n)
{
	return (uint64_t)MAX(n, INT64_C(0));
}

/* What JSON holds may be any double; a cast of one too great is undefined. */
static int64_t bounded(double value)
{
	return value > 0 && value < 1e18 ? (int64_t)value : 0;
}

static double percent(const struct job_info *info)
{
	return 100 * MIN(info->progress, 1.0);
}

PRINTF_FORMAT(2, 3) static void add_part(struct parts *parts, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(parts->texts[parts->n++], PART_SIZE, format, args);
	va_end(args);
}

static void collect_parts(struct parts *parts, const struct job_info *info, int percent_width)
{
	char number[NUM_TEXT_SIZE];

	if (info->progress >= 0) {
		add_part(parts, "%*.1f %%", percent_width, percent(info));
	}
	add_part(parts, "%s rows/s",
		 num_format_count(number, at_least_zero(bounded(info->items_per_second))));
	if (info->eta_seconds >= 0 && info->progress < 1) {
		add_part(parts, "ETA %s",
			 num_format_duration_ns(number, bounded(info->eta_seconds * 1e9)));
	}
	if (info->error_count > 0) {
		add_part(parts, "%s rejected",
			 num_format_count(number, at_least_zero(info->error_count)));
	}
	if (info->ram_bytes > 0) {
		add_part(parts, "RAM %s", num_format_size(number, at_least_zero(info->ram_bytes)));
	}
	add_part(parts, "%s rows", num_format_count(number, at_least_zero(info->total_processed)));
}

/* What the job is doing; "converting" is what the bar itself says. */
static const char *activity(const struct job_info *info)
{
	if (job_state_is_final(info->state) || !info->phase[0]) {
		return job_state_name(info->state);
	}
	return info->phase;
}

static void add_gauge(struct buf *out, double progress, size_t n_columns)
{
	size_t n_inside = n_columns - 2;
	size_t n_full = progress > 0 ? (size_t)(MIN(progress, 1.0) * (double)n_inside) : 0;

	buf_add_char(out, '[');
	for (size_t i = 0; i < n_inside; i++) {
		buf_add_char(out, i < n_full ? '=' : i == n_full && progress >= 0 ? '>' : ' ');
	}
	buf_add_char(out, ']');
}

/* The parts that fit, each after a gap. */
static void join_parts(struct buf *out, const struct parts *parts, size_t n_columns)
{
	size_t n_used = 0;

	for (size_t i = 0; i < parts->n; i++) {
		size_t n_more = GAP + text_width(parts->texts[i]);

		if (n_used + n_more > n_columns) {
			break;
		}
		buf_printf(out, "%*s%s", GAP, "", parts->texts[i]);
		n_used += n_more;
	}
}

void bar_add(struct buf *out, const struct job_info *info, size_t width)
{
	CLEANUP(buf_deinit) struct buf name = BUF_INIT, tail = BUF_INIT, line = BUF_INIT;
	struct parts parts = {0};
	size_t n_left;

	text_add_clean(&name, info->name);
	if (!str_equal(activity(info), "converting")) {
		buf_add_char(&name, ' ');
		text_add_clean(&name, activity(info));
	}
	if (!buf_terminated(&name)) {
		return;
	}
	buf_add(&line, name.data, text_fit(name.data, NAME_MAX_COLUMNS));
	buf_add_char(&line, ' ');
	n_left = buf_terminated(&line) ? text_width(line.data) : 0;
	n_left = width > n_left ? width - n_left : 0;
	collect_parts(&parts, info, 5);
	join_parts(&tail, &parts, n_left > BAR_MIN ? n_left - BAR_MIN : 0);
	n_left -= MIN(n_left, tail.len);
	if (n_left >= BAR_MIN) {
		add_gauge(&line, info->progress, MIN(n_left, (size_t)BAR_MAX));
	}
	buf_add(&line, tail.data, tail.len);
	if (buf_terminated(&line)) {
		buf_add(out, line.data, text_fit(line.data, width));
	}
}

void bar_add_plain(struct buf *out, const struct job_info *info)
{
	struct parts parts = {0};

	text_add_clean(out, info->name);
	buf_add_str(out, ": ");
	text_add_clean(out, activity(info));
	if (info->state == JOB_STATE_RUNNING) {
		collect_parts(&parts, info, 0);
		for (size_t i = 0; i < parts.n; i++) {
			buf_printf(out, ", %s", parts.texts[i]);
		}
	}
	buf_add_char(out, '\n');
}
