/* SPDX-License-Identifier: MIT */
/*
 * The bar is one write each time, from the line's begin to an erase to its end (ECMA-48, EL), and
 * one column short of the width: a full line would wrap on some terminals. The width is asked at
 * each redraw, which makes SIGWINCH needless.
 */
#include "daemon/ctl/progress.h"

#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "daemon/ctl/bar.h"
#include "daemon/ctl/term.h"

#define LINE_INTERVAL_NS (2 * CLOCK_NS_PER_SEC)
#define ERASE_LINE	 "\r\033[K"

enum { FALLBACK_WIDTH = 80 };

struct progress progress_init(bool is_quiet)
{
	return (struct progress){
		.is_quiet = is_quiet,
		.is_bar = term_can_redraw(STDERR_FILENO),
		.last_state = JOB_N_STATES,
	};
}

/* A terminal that is gone must not end the job. */
static void emit(const struct buf *text)
{
	if (buf_error(text) == 0 && fd_write_all(STDERR_FILENO, text->data, text->len) < 0) {
		return;
	}
}

static void draw_bar(struct progress *progress, const struct job_info *info)
{
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;
	size_t width = term_width(STDERR_FILENO);

	buf_add_str(&line, "\r");
	bar_add(&line, info, (width ? width : FALLBACK_WIDTH) - 1);
	buf_add_str(&line, "\033[K");
	emit(&line);
	progress->is_drawn = true;
}

static void add_line(struct progress *progress, const struct job_info *info)
{
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;
	int64_t now_ns = clock_monotonic_ns();

	if (info->state == progress->last_state &&
	    now_ns - progress->last_line_ns < LINE_INTERVAL_NS) {
		return;
	}
	progress->last_state = info->state;
	progress->last_line_ns = now_ns;
	bar_add_plain(&line, info);
	emit(&line);
}

void progress_show(struct progress *progress, const struct job_info *info)
{
	if (progress->is_quiet) {
		return;
	}
	if (progress->is_bar) {
		draw_bar(progress, info);
	} else {
		add_line(progress, info);
	}
}

void progress_clear(struct progress *progress)
{
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;

	if (progress->is_drawn) {
		buf_add_str(&line, ERASE_LINE);
		emit(&line);
		progress->is_drawn = false;
	}
}
