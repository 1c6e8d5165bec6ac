/* SPDX-License-Identifier: MIT */
/*
 * The way of a request through our own code: target, host, routes, negotiation, handlers, the
 * answer. The input is lines: method, target, Host, Accept, Accept-Encoding, If-None-Match,
 * Idempotency-Key; the rest is the body. Its first byte chooses socket, version, user and what the
 * backend does. Whatever comes, the answer must be one that a client can read.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/http/route.h"
#include "tests/support/http_fake.h"

enum { FLAG_UNIX = 1, FLAG_OLD = 2, FLAG_SLOW = 4, FLAG_REJECTS = 8, FLAG_EXPOSE = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

/* Takes a line off the text as a string; NULL if it is empty. */
static char *take_line(char **text)
{
	char *line = *text;
	char *end = strchr(line, '\n');

	if (end != NULL) {
		*end = '\0';
		*text = end + 1;
	} else {
		*text = line + strlen(line);
	}
	return *line != '\0' ? line : NULL;
}

static void check_json(const struct answer *answer)
{
	json_t *json = json_loadb(answer->body.data, answer->body.len,
				  JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

	require(json_is_object(json));
	if (answer->status >= 400) {
		require(json_integer_value(json_object_get(json, "status")) == answer->status);
		require(strcmp(answer->content_type, ANSWER_PROBLEM) == 0);
	}
	json_decref(json);
}

static void check_answer(const struct exchange *exchange)
{
	const struct answer *answer = exchange->answer;

	require(answer->status >= 200 && answer->status <= 599);
	require(answer->status < 500 || answer->status == 503);
	require((answer->status == 405) == (answer->allow[0] != '\0'));
	require((answer->status == 304) <= (answer->etag[0] != '\0'));
	if (!exchange->request->is_unix) {
		const struct fake *fake = exchange->context->backend->ctx;

		require(fake->n_submitted == 0);
	}
	if (answer->content_type == NULL) {
		require(answer->body.len == 0);
		return;
	}
	require(answer->body.len > 0);
	if (answer->is_gzip) {
		require(memcmp(answer->body.data, "\x1f\x8b", 2) == 0);
		return;
	}
	require(str_is_utf8(answer->body.data, answer->body.len, NULL));
	if (strstr(answer->content_type, "json") != NULL) {
		check_json(answer);
	}
}

static void run(struct exchange *exchange, struct fake *fake)
{
	const struct route *route = route_admit(exchange);
	enum route_result result = ROUTE_DONE;

	if (route != NULL) {
		result = route_run(route, exchange);
	}
	if (result == ROUTE_WAIT) {
		require(exchange->wait_until_ns > exchange->now_ns);
		exchange->now_ns = exchange->wait_until_ns;
		result = route_run(route, exchange);
	}
	if (result == ROUTE_LATER && exchange->request->body.len % 2 == 0) {
		fake_answer(fake);
	}
	if (result == ROUTE_LATER) {
		exchange->must_answer = true;
		result = route_run(route, exchange);
	}
	require(result == ROUTE_DONE);
	check_answer(exchange);
}

static void set_rejects(struct fake *fake, const struct request *request)
{
	int fd = fd_memfd("rejects", request->body.data, request->body.len);

	require(fd >= 0);
	fake->rejects_fd = fd;
}

static void ask(struct route_context *context, struct fake *fake, uint8_t flags, char *text)
{
	struct answer answer = ANSWER_INIT;
	struct request request = {
		.is_unix = (flags & FLAG_UNIX) != 0,
		.may_change = (flags & FLAG_UNIX) != 0,
		.is_http_1_0 = (flags & FLAG_OLD) != 0,
		.received_ns = 1,
	};
	struct exchange exchange = {.context = context,
				    .request = &request,
				    .answer = &answer,
				    .may_wait = true,
				    .now_ns = 1};
	const char *method = take_line(&text);
	const char *target = take_line(&text);
	int r;

	request.method = request_method_parse(method);
	request.host = take_line(&text);
	request.n_hosts = request.host != NULL;
	request.accept = take_line(&text);
	request.accept_encoding = take_line(&text);
	request.if_none_match = take_line(&text);
	request.idempotency_key = take_line(&text);
	buf_add_str(&request.body, text);
	if ((flags & FLAG_REJECTS) != 0) {
		set_rejects(fake, &request);
	}
	r = request_target_parse(target != NULL ? target : "", &request.target);
	if (r < 0) {
		route_refuse_target(&exchange, r);
		check_answer(&exchange);
	} else {
		run(&exchange, fake);
	}
	fake->rejects_fd = fd_close(fake->rejects_fd);
	request_target_deinit(&request.target);
	buf_deinit(&request.body);
	answer_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake fake;
	struct http_backend backend;
	struct route_context context = {.backend = &backend};
	char *text;

	if (size == 0) {
		return 0;
	}
	text = strndup((const char *)data + 1, size - 1);
	fake_init(&fake);
	fake.is_slow = (data[0] & FLAG_SLOW) != 0;
	backend = fake_backend(&fake);
	context.expose_rows = (data[0] & FLAG_EXPOSE) != 0;
	context.idempotency = idempotency_new();
	require(text != NULL && context.idempotency != NULL &&
		host_list_init(&context.hosts, NULL, 0) == 0);
	ask(&context, &fake, data[0], text);
	idempotency_free(context.idempotency);
	host_list_deinit(&context.hosts);
	free(text);
	if (fake.fn != NULL) {
		fake_answer(&fake); /* after the end of everything else */
	}
	return 0;
}
