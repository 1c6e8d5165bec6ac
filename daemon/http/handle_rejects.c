/* SPDX-License-Identifier: MIT */
/*
 * The first rejected rows of a job, from the file that its workers may still be writing: its last
 * line may be half there, and what lies behind the limits is not read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/http/handle.h"
#include "daemon/http/json.h"
#include "daemon/http/render_json.h"

/* A row of 4 KiB may be six times as long when escaped; the loop is not to read more than this. */
enum { REJECTS_MAX_BYTES = 4 * 1024 * 1024 };

/* Adds the objects of whole lines; returns whether there is more than the limit. */
static bool add_lines(struct buf *out, const struct buf *text, size_t limit, bool with_row)
{
	const char *line = text->data;
	const char *end = line + text->len;
	const char *line_end;
	size_t n_rows = 0;

	while (line < end && (line_end = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		struct buf row = BUF_INIT;

		if (n_rows == limit) {
			return true;
		}
		if (render_json_reject(&row, line, (size_t)(line_end - line), with_row)) {
			buf_add_str(out, n_rows > 0 ? "," : "");
			buf_add(out, row.data, row.len);
			n_rows++;
		}
		buf_deinit(&row);
		line = line_end + 1;
	}
	return false;
}

/* Adds the file's beginning. 1: there is more behind it; 0; -errno. */
static int read_head(int fd, struct buf *text)
{
	ssize_t n;

	if (buf_reserve(text, REJECTS_MAX_BYTES) < 0) {
		return -ENOMEM;
	}
	n = fd_pread_full(fd, text->data, REJECTS_MAX_BYTES, 0);
	if (n < 0) {
		return (int)n;
	}
	text->len = (size_t)n;
	return n == REJECTS_MAX_BYTES;
}

/* Whether the job exists; it may well have no file. */
static bool on_job(void *userdata, const struct job_view *job)
{
	return true;
}

enum route_result handle_rejects(struct exchange *exchange)
{
	const struct http_backend *backend = exchange->context->backend;
	bool with_row = exchange->request->is_unix || exchange->context->expose_rows;
	CLEANUP(fd_closep) int fd = -1;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct buf *out = &exchange->answer->body;
	size_t limit;
	bool is_more;
	int r = 0;

	if (!handle_limit(exchange, &limit)) {
		return ROUTE_DONE;
	}
	if (!backend->with_job(backend->ctx, exchange->job_id, on_job, NULL)) {
		handle_no_such_job(exchange);
		return ROUTE_DONE;
	}
	fd = backend->open_rejects(backend->ctx, exchange->job_id);
	if (fd >= 0) {
		r = read_head(fd, &text);
	}
	if (r < 0 || (fd < 0 && fd != -ENOENT)) {
		answer_problem(exchange->answer, 500, "The file of rejected rows: %s.",
			       strerror(r < 0 ? -r : -fd));
		return ROUTE_DONE;
	}
	buf_add_str(out, "{\"job_id\":");
	json_add_text(out, exchange->job_id);
	buf_add_str(out, ",\"errors\":[");
	is_more = (text.len > 0 && add_lines(out, &text, limit, with_row)) || r > 0;
	buf_printf(out, "],\"more\":%s}\n", is_more ? "true" : "false");
	exchange->answer->status = 200;
	exchange->answer->content_type = ANSWER_JSON;
	exchange->answer->may_compress = true;
	return ROUTE_DONE;
}
