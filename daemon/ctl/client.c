/* SPDX-License-Identifier: MIT */
/* One place that turns what can go wrong with a request into a sentence and an exit code. */
#include "daemon/ctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "daemon/ctl/term.h"

#define RETRY_NS (500 * CLOCK_NS_PER_MS)

enum { HTTP_BAD_REQUEST = 400, HTTP_UNPROCESSABLE = 422, HTTP_UNAVAILABLE = 503 };

void client_json_decrefp(json_t **document)
{
	json_decref(*document);
}

void client_error_text(const char *socket_path, int error, char *ret_text, size_t size)
{
	switch (error) {
	case -ECONNREFUSED:
		(void)snprintf(ret_text, size, "no daemon answers on %s", socket_path);
		break;
	case -EACCES:
		(void)snprintf(ret_text, size, "this user may not connect to %s", socket_path);
		break;
	case -ETIMEDOUT:
		(void)snprintf(ret_text, size, "the daemon on %s does not answer", socket_path);
		break;
	case -EINVAL:
		(void)snprintf(ret_text, size, "\"%s\" is no path of a socket", socket_path);
		break;
	default:
		(void)snprintf(ret_text, size, "talking to %s: %s", socket_path, strerror(-error));
	}
}

enum ctl_exit client_exit_of_error(int error)
{
	switch (error) {
	case -ECONNREFUSED:
	case -EACCES:
	case -ETIMEDOUT:
		return CTL_EXIT_UNREACHABLE;
	case -EINVAL:
		return CTL_EXIT_USAGE;
	default:
		return CTL_EXIT_FAILED;
	}
}

static int complain_errno(const struct ctl *ctl, int error)
{
	const char *advice = "";
	char text[CLIENT_ERROR_SIZE];

	if (error == -ECONNREFUSED) {
		advice = "; start zooparalleld, name its socket with --socket, or use "
			 "`zooparallel run`";
	} else if (error == -EACCES) {
		advice = "; try as root or as the daemon's user";
	}
	client_error_text(ctl->socket_path, error, text, sizeof(text));
	term_error("%s%s", text, advice);
	return (int)client_exit_of_error(error);
}

int client_open(const struct ctl *ctl, struct api **ret_api)
{
	int r = api_open(ctl->socket_path, ret_api);

	return r < 0 ? complain_errno(ctl, r) : CTL_EXIT_COMPLETED;
}

/* Takes the document out of the reply, or complains with `subject` in front. */
static int take_document(struct api_reply *reply, const char *subject, json_t **ret_document)
{
	char problem[1024];

	if (reply->status >= 200 && reply->status < 300 && reply->body) {
		*ret_document = TAKE_PTR(reply->body);
		return CTL_EXIT_COMPLETED;
	}
	if (reply->status >= 200 && reply->status < 300) {
		term_error("%s: the daemon's answer is no JSON", subject);
		return CTL_EXIT_FAILED;
	}
	api_problem_text(reply, problem, sizeof(problem));
	term_error("%s: %s", subject, problem);
	return reply->status == HTTP_BAD_REQUEST || reply->status == HTTP_UNPROCESSABLE
		       ? CTL_EXIT_USAGE
		       : CTL_EXIT_FAILED;
}

/* A daemon that is too busy to hold one more long poll says 503: that means later, not never. */
static int get_patiently(struct api *api, const char *target, int64_t timeout_ns,
			 struct api_reply *reply)
{
	int64_t deadline_ns = clock_monotonic_ns() + timeout_ns;

	for (;;) {
		int r = api_get(api, target, timeout_ns, reply);

		if (r < 0 || reply->status != HTTP_UNAVAILABLE ||
		    clock_monotonic_ns() + RETRY_NS >= deadline_ns) {
			return r;
		}
		api_reply_deinit(reply);
		(void)nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
	}
}

static int get(const struct ctl *ctl, struct api *api, const char *target, int64_t timeout_ns,
	       const char *subject, json_t **ret_document)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	int r = get_patiently(api, target, timeout_ns, &reply);

	return r < 0 ? complain_errno(ctl, r) : take_document(&reply, subject, ret_document);
}

int client_get(const struct ctl *ctl, struct api *api, const char *target, int64_t timeout_ns,
	       json_t **ret_document)
{
	return get(ctl, api, target, timeout_ns, ctl->command->name, ret_document);
}

/* The target of one job's route; empty (with a complaint) on failure. */
static int job_target(struct buf *ret_target, const char *id, const char *suffix)
{
	CLEANUP(free_p) char *escaped = api_escape(id);

	if (!escaped || !id[0]) {
		term_error("%s", escaped ? "an ID is empty" : "no memory");
		return escaped ? CTL_EXIT_USAGE : CTL_EXIT_FAILED;
	}
	buf_printf(ret_target, "/api/v1/jobs/%s%s", escaped, suffix);
	return buf_terminated(ret_target) ? CTL_EXIT_COMPLETED : CTL_EXIT_FAILED;
}

int client_get_job(const struct ctl *ctl, struct api *api, const char *id, const char *suffix,
		   int64_t timeout_ns, json_t **ret_document)
{
	CLEANUP(buf_deinit) struct buf target = BUF_INIT;
	int code = job_target(&target, id, suffix);

	return code ? code : get(ctl, api, target.data, timeout_ns, id, ret_document);
}

int client_cancel(const struct ctl *ctl, struct api *api, const char *id, json_t **ret_document)
{
	CLEANUP(buf_deinit) struct buf target = BUF_INIT;
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	int code = job_target(&target, id, "/cancel");
	int r;

	if (code) {
		return code;
	}
	r = api_post(api, target.data, NULL, 0, &reply);
	return r < 0 ? complain_errno(ctl, r) : take_document(&reply, id, ret_document);
}

int client_submit(const struct ctl *ctl, struct api *api, const struct spec_file *spec,
		  json_t **ret_document)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	CLEANUP(buf_deinit) struct buf target = BUF_INIT;
	CLEANUP(free_p) char *name = api_escape(spec_file_base_name(spec));
	int r;

	buf_printf(&target, "/api/v1/jobs?name=%s", name ? name : "");
	if (!name || !buf_terminated(&target)) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	r = api_post(api, target.data, spec->text, spec->len, &reply);
	return r < 0 ? complain_errno(ctl, r) : take_document(&reply, spec->path, ret_document);
}
