/* SPDX-License-Identifier: MIT */
/* All that users named is escaped here, and the response's policy allows no script besides. */
#include "daemon/http/render_page.h"

#include <math.h>
#include <string.h>

#include "build_config.h"
#include "common/util/clock.h"
#include "common/util/num.h"

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '>':
			buf_add_str(out, "&gt;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		case '\'':
			buf_add_str(out, "&#39;");
			break;
		default:
			buf_add_char(out, *text);
		}
	}
}

static void add_count(struct buf *out, int64_t count)
{
	char text[NUM_TEXT_SIZE];

	buf_add_str(out, num_format_count(text, (uint64_t)MAX(count, INT64_C(0))));
}

static void add_size(struct buf *out, int64_t bytes)
{
	char text[NUM_TEXT_SIZE];

	buf_add_str(out, num_format_size(text, (uint64_t)MAX(bytes, INT64_C(0))));
}

static void add_seconds(struct buf *out, double seconds)
{
	char text[NUM_TEXT_SIZE];

	if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
		buf_add_str(out, "&ndash;");
		return;
	}
	buf_add_str(out, num_format_duration_ns(text, (int64_t)(seconds * CLOCK_NS_PER_SEC)));
}

static void add_rate(struct buf *out, double rate)
{
	add_count(out, isfinite(rate) && rate >= 0 && rate < 1e18 ? (int64_t)rate : 0);
}

void render_page_begin(struct buf *out, const struct live_view *live)
{
	static const char head[] =
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"refresh\" content=\"2\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<title>ZooParallel</title>\n<style>\n"
		":root{color-scheme:light dark}\n"
		"body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;"
		"padding:0 1em}\n"
		"table{border-collapse:collapse;width:100%}\n"
		"th,td{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid #ccc}\n"
		"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
		".failed,.aborted{color:#d3303c}.completed{color:#1f8a45}small{display:block}\n"
		"</style>\n</head>\n<body>\n<h1>ZooParallel " ZOOPARALLEL_VERSION "</h1>\n";

	buf_add_str(out, head);
	buf_printf(out, "<p>%lld running, %lld pending, %lld workers, ",
		   (long long)live->jobs[JOB_STATE_RUNNING],
		   (long long)live->jobs[JOB_STATE_PENDING],
		   (long long)live->workers[LIVE_WORKER_RUNNING]);
	add_rate(out, live->items_per_second);
	buf_add_str(out, " rows/s, RAM ");
	add_size(out, live->ram_bytes);
	buf_add_str(out, "</p>\n<p><a href=\"/api/v1/jobs?pretty\">jobs</a> "
			 "<a href=\"/api/v1/status?pretty\">status</a> "
			 "<a href=\"/metrics\">metrics</a> <a href=\"/readyz?pretty\">ready</a>"
			 "</p>\n<table>\n<tr><th>job<th>name<th>state<th class=\"n\">rows"
			 "<th class=\"n\">rejected<th class=\"n\">rows/s<th class=\"n\">progress"
			 "<th class=\"n\">left<th class=\"n\">time<th class=\"n\">RAM\n");
}

static void add_state(struct buf *out, const struct job_view *job)
{
	const char *state = job_state_name(job->state);

	buf_printf(out, "<td class=\"%s\">%s", state, state);
	if (job_state_is_final(job->state) && job->reason != JOB_REASON_OK) {
		buf_printf(out, ": %s", job_reason_name(job->reason));
	}
	if (job->message != NULL && job->message[0] != '\0') {
		buf_add_str(out, "<small>");
		add_escaped(out, job->message);
		buf_add_str(out, "</small>");
	}
}

void render_page_job(struct buf *out, const struct job_view *job)
{
	buf_add_str(out, "<tr><td><a href=\"/api/v1/jobs/");
	add_escaped(out, job->id);
	buf_add_str(out, "?pretty\">");
	add_escaped(out, job->id);
	buf_add_str(out, "</a><td>");
	add_escaped(out, job->name);
	add_state(out, job);
	buf_add_str(out, "<td class=\"n\">");
	add_count(out, job->total_processed);
	buf_add_str(out, "<td class=\"n\">");
	add_count(out, job->error_count);
	buf_add_str(out, "<td class=\"n\">");
	add_rate(out, job->items_per_second);
	buf_add_str(out, "<td class=\"n\">");
	if (isfinite(job->progress) && job->progress >= 0) {
		buf_printf(out, "%.1f %%", 100 * job->progress);
	}
	buf_add_str(out, "<td class=\"n\">");
	add_seconds(out, job_state_is_final(job->state) ? -1 : job->eta_seconds);
	buf_add_str(out, "<td class=\"n\">");
	add_seconds(out, job->duration_seconds);
	buf_add_str(out, "<td class=\"n\">");
	if (job_state_is_final(job->state)) {
		buf_add_str(out, "&ndash;\n");
		return;
	}
	add_size(out, job->ram_bytes);
	buf_add_char(out, '\n');
}

void render_page_end(struct buf *out, size_t n_left_out)
{
	buf_add_str(out, "</table>\n");
	if (n_left_out > 0) {
		buf_printf(out, "<p>and %zu older jobs</p>\n", n_left_out);
	}
	buf_add_str(out, "</body>\n</html>\n");
}
