/* SPDX-License-Identifier: MIT */
/*
 * libcurl's easy interface, one handle for all calls, so that a watch at 10 Hz keeps its
 * connection. The answer is bounded: whoever listens on that path is not trusted with our memory.
 */
#include "daemon/ctl/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <curl/curl.h>

#include "common/util/buf.h"
#include "common/util/clock.h"

enum { REPLY_MAX_BYTES = 64 * 1024 * 1024, POST_TIMEOUT_S = 30, CONNECT_TIMEOUT_S = 5 };

struct api {
	CURL *curl;
	struct curl_slist *json_headers;
	struct curl_slist *empty_headers;
	char *socket_path;
};

struct api *api_close(struct api *api)
{
	if (api) {
		curl_easy_cleanup(api->curl);
		curl_slist_free_all(api->json_headers);
		curl_slist_free_all(api->empty_headers);
		free(api->socket_path);
		free(api);
	}
	return NULL;
}

void api_closep(struct api **api)
{
	api_close(*api);
}

int api_open(const char *socket_path, struct api **ret_api)
{
	struct api *api;

	if (!socket_path[0] ||
	    strlen(socket_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		return -EINVAL;
	}
	api = calloc(1, sizeof(*api));
	if (!api) {
		return -ENOMEM;
	}
	api->curl = curl_easy_init();
	api->json_headers = curl_slist_append(NULL, "Content-Type: application/json");
	api->empty_headers = curl_slist_append(NULL, "Content-Type:"); /* none at all */
	api->socket_path = strdup(socket_path);
	if (!api->curl || !api->json_headers || !api->empty_headers || !api->socket_path) {
		api_close(api);
		return -ENOMEM;
	}
	*ret_api = api;
	return 0;
}

void api_reply_deinit(struct api_reply *reply)
{
	json_decref(reply->body);
	*reply = (struct api_reply){0};
}

static size_t take_bytes(char *data, size_t size, size_t n, void *userdata)
{
	struct buf *body = userdata;
	size_t len = size * n;

	if (body->len + len > REPLY_MAX_BYTES) {
		return 0; /* curl(3) ends the transfer with CURLE_WRITE_ERROR */
	}
	buf_add(body, data, len);
	return buf_error(body) ? 0 : len;
}

static int errno_of(CURL *curl, CURLcode code)
{
	long os_errno = 0;

	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
		return os_errno == EACCES ? -EACCES : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_GOT_NOTHING: /* it died with our question in hand */
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return -ECONNREFUSED;
	default:
		return -EPROTO;
	}
}

/* The handle's other options are set by the caller; they stay until curl_easy_reset(3). */
static int perform(struct api *api, const char *target, struct api_reply *ret_reply)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT, url = BUF_INIT;
	CURL *curl = api->curl;
	CURLcode code;

	buf_printf(&url, "http://localhost%s", target);
	if (!buf_terminated(&url)) {
		return -ENOMEM;
	}
	curl_easy_setopt(curl, CURLOPT_URL, url.data);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, api->socket_path);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		return errno_of(curl, code);
	}
	*ret_reply = (struct api_reply){0};
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret_reply->status);
	ret_reply->body = json_loadb(body.data ? body.data : "", body.len, JSON_REJECT_DUPLICATES,
				     NULL);
	return 0;
}

int api_get(struct api *api, const char *target, int64_t timeout_ns, struct api_reply *ret_reply)
{
	curl_easy_reset(api->curl);
	curl_easy_setopt(api->curl, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / CLOCK_NS_PER_MS));
	return perform(api, target, ret_reply);
}

int api_post(struct api *api, const char *target, const char *body, size_t len,
	     struct api_reply *ret_reply)
{
	CURL *curl = api->curl;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)POST_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, body ? api->json_headers : api->empty_headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)(body ? len : 0));
	return perform(api, target, ret_reply);
}

char *api_escape(const char *text)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* RFC 3986, section 2.3: what needs no escape anywhere. */
		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		    (c && strchr("-._~", c))) {
			buf_add_char(&out, (char)c);
		} else {
			buf_printf(&out, "%%%02X", c);
		}
	}
	return buf_terminated(&out) ? buf_take(&out) : NULL;
}

void api_problem_text(const struct api_reply *reply, char *ret_text, size_t size)
{
	const char *detail = json_string_value(json_object_get(reply->body, "detail"));
	const char *title = json_string_value(json_object_get(reply->body, "title"));

	if (detail && detail[0]) {
		(void)snprintf(ret_text, size, "%s", detail);
	} else if (title && title[0]) {
		(void)snprintf(ret_text, size, "%s", title);
	} else {
		(void)snprintf(ret_text, size, "the daemon answered with HTTP status %ld",
			       reply->status);
	}
}
