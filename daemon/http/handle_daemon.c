/* SPDX-License-Identifier: MIT */
/* What the daemon tells of itself as a whole: page, metrics, health, status. */
#include <string.h>

#include "common/util/clock.h"
#include "daemon/http/handle.h"
#include "daemon/http/json.h"
#include "daemon/http/live.h"
#include "daemon/http/negotiate.h"
#include "daemon/http/render_json.h"
#include "daemon/http/render_metrics.h"
#include "daemon/http/render_page.h"

enum { PAGE_MAX_JOBS = 100 };

struct page {
	struct buf *out;
	size_t n_jobs;
};

static bool add_to_page(void *userdata, const struct job_view *job)
{
	struct page *page = userdata;

	if (page->n_jobs++ < PAGE_MAX_JOBS) {
		render_page_job(page->out, job);
	}
	return true;
}

enum route_result handle_page(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	struct answer *answer = exchange->answer;
	struct page page = {.out = &answer->body};
	struct live_view live;

	live_collect(backend, &live);
	render_page_begin(&answer->body, &live);
	backend->for_each_job(backend->ctx, add_to_page, &page);
	render_page_end(&answer->body,
			page.n_jobs > PAGE_MAX_JOBS ? page.n_jobs - PAGE_MAX_JOBS : 0);
	answer->status = 200;
	answer->content_type = ANSWER_HTML;
	answer->may_compress = true;
	return ROUTE_DONE;
}

enum route_result handle_metrics(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	enum metrics_format format = METRICS_PROMETHEUS;
	struct live_view live;
	struct metrics_view view = {
		.live = &live,
		.is_config_ok = backend->config_last_reload_ok(backend->ctx),
	};

	if (negotiate_metrics(exchange->request->accept) == NEGOTIATE_OPENMETRICS) {
		format = METRICS_OPENMETRICS;
	}
	live_collect(backend, &live);
	live_process_read(&view.process);
	view.n_areas = backend->areas(backend->ctx, &view.areas);
	view.totals = backend->totals(backend->ctx);
	render_metrics(&exchange->answer->body, &view, format);
	exchange->answer->status = 200;
	exchange->answer->content_type = render_metrics_content_type(format);
	exchange->answer->may_compress = true;
	exchange->answer->is_fresh_always = true;
	exchange->answer->varies_by_accept = true;
	return ROUTE_DONE;
}

static void set_json(struct answer *answer)
{
	answer->status = 200;
	answer->content_type = ANSWER_JSON;
	answer->is_fresh_always = true;
}

enum route_result handle_health(struct exchange *exchange)
{
	struct buf *body = &exchange->answer->body;

	set_json(exchange->answer);
	buf_add_str(body, "{\"status\":\"ok\",\"loop_age_seconds\":");
	json_add_double(body, (double)exchange->loop_age_ns / (double)CLOCK_NS_PER_SEC, 6);
	buf_add_str(body, "}\n");
	return ROUTE_DONE;
}

/* A line each -> "reasons":["...","..."] */
static void add_reasons(struct buf *out, struct buf *lines)
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

enum route_result handle_ready(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	CLEANUP(buf_deinit) struct buf lines = BUF_INIT;
	CLEANUP(buf_deinit) struct buf reasons = BUF_INIT;

	if (exchange->context->is_closing) {
		buf_add_str(&lines, "The daemon is stopping.\n");
	} else if (backend->is_ready(backend->ctx, &lines)) {
		set_json(exchange->answer);
		buf_add_str(&exchange->answer->body, "{\"status\":\"ready\"}\n");
		return ROUTE_DONE;
	}
	add_reasons(&reasons, &lines);
	answer_set_problem(exchange->answer, 503, "The daemon is not ready.",
			   buf_terminated(&reasons));
	return ROUTE_DONE;
}

enum route_result handle_status(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	CLEANUP(buf_deinit) struct buf reasons = BUF_INIT;
	struct live_view live;
	struct status_view view = {
		.live = &live,
		.loop_age_seconds = (double)exchange->loop_age_ns / (double)CLOCK_NS_PER_SEC,
		.is_ready = backend->is_ready(backend->ctx, &reasons),
		.is_config_ok = backend->config_last_reload_ok(backend->ctx),
	};

	live_collect(backend, &live);
	live_process_read(&view.process);
	view.n_areas = backend->areas(backend->ctx, &view.areas);
	view.totals = backend->totals(backend->ctx);
	set_json(exchange->answer);
	render_json_status(&exchange->answer->body, &view);
	exchange->answer->may_compress = true;
	return ROUTE_DONE;
}
