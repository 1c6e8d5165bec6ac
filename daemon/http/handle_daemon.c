/* SPDX-License-Identifier: MIT */
/* What the daemon tells of itself as a whole: page, metrics, health, status. */
#include <string.h>

#include "common/util/clock.h"
#include "daemon/http/handle.h"
#include "daemon/http/json.h"
#include "daemon/http/live.h"
#include "daemon/http/negotiate.h"
#include "daemon/http/page.h"
#include "daemon/http/render_json.h"
#include "daemon/http/render_metrics.h"

enum route_result handle_page(struct exchange *exchange)
{
	struct answer *answer = exchange->answer;

	buf_add(&answer->body, page_status.html, page_status.html_len);
	answer->gzip = page_status.gzip;
	answer->gzip_len = page_status.gzip_len;
	answer->policy = page_status.policy;
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
	render_json_reasons(&reasons, &lines);
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
		.reasons = &reasons,
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
