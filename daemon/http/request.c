/* SPDX-License-Identifier: MIT */
/*
 * The target is taken apart here and not by the HTTP library: it decodes leniently (%00 cuts a
 * path short, a broken %XX stays as it is, a second value of a parameter hides the first), and what
 * the routes are given ought to be either exactly what the client meant or an error.
 *
 * One copy of the text is decoded in place: decoding never makes it longer.
 */
#include "daemon/http/request.h"

#include <errno.h>
#include <string.h>

#include "common/util/str.h"

enum request_method request_method_parse(const char *name)
{
	static const struct {
		const char *name;
		enum request_method method;
	} methods[] = {
		{"GET", REQUEST_GET},
		{"HEAD", REQUEST_HEAD},
		{"POST", REQUEST_POST},
		{"DELETE", REQUEST_DELETE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (str_equal(name, methods[i].name)) {
			return methods[i].method;
		}
	}
	return REQUEST_OTHER;
}

/* -1 if c is no hexadecimal digit. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

/* Decodes in place. -EINVAL for a bad %XX, and for controls, encoded or not: no name has any. */
static int decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++) {
		char c = *from;

		if (c == '%') {
			int high = hex_value(from[1]);
			int low = high < 0 ? -1 : hex_value(from[2]);

			if (low < 0) {
				return -EINVAL;
			}
			c = (char)(high << 4 | low);
			from += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f) {
			return -EINVAL;
		}
		*to++ = c;
	}
	*to = '\0';
	return str_is_utf8(text, (size_t)(to - text), NULL) ? 0 : -EINVAL;
}

static int add_param(struct request_target *target, char *text)
{
	char *value = strchr(text, '=');
	int r;

	if (value != NULL) {
		*value++ = '\0';
		r = decode(value);
		if (r < 0) {
			return r;
		}
	}
	r = decode(text);
	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < target->n_params; i++) {
		if (str_equal(target->params[i].name, text)) {
			return -EEXIST;
		}
	}
	if (target->n_params == REQUEST_MAX_PARAMS) {
		return -E2BIG;
	}
	target->params[target->n_params++] = (struct request_param){
		.name = text, .value = value != NULL ? value : ""};
	return 0;
}

static int parse_query(struct request_target *target, char *query)
{
	while (query != NULL) {
		char *next = strchr(query, '&');

		if (next != NULL) {
			*next++ = '\0';
		}
		if (*query != '\0') {
			int r = add_param(target, query);

			if (r < 0) {
				return r;
			}
		}
		query = next;
	}
	return 0;
}

/* Splits "http://AUTHORITY/PATH"; the path's slash has to give its place to the authority's end. */
static int split_authority(char **path, struct request_target *target)
{
	static const char scheme[] = "http://";
	const size_t n_scheme = sizeof(scheme) - 1;
	char *text = *path;
	size_t len;

	if (!str_starts_with(text, scheme)) {
		return 0;
	}
	len = strcspn(text + n_scheme, "/?");
	if (text[n_scheme + len] != '/') {
		return -EINVAL;
	}
	memmove(text, text + n_scheme, len);
	text[len] = '\0';
	target->authority = text;
	*path = text + n_scheme + len;
	return 0;
}

static int parse_text(struct request_target *target)
{
	char *path = target->text;
	char *query;
	int r = split_authority(&path, target);

	if (r < 0) {
		return r;
	}
	query = strchr(path, '?');
	if (query != NULL) {
		*query++ = '\0';
	}
	if (*path != '/') {
		return -EINVAL;
	}
	r = decode(path);
	if (r < 0) {
		return r;
	}
	target->path = path;
	return parse_query(target, query);
}

int request_target_parse(const char *raw, struct request_target *ret_target)
{
	struct request_target target = {0};
	int r;

	if (strnlen(raw, REQUEST_MAX_TARGET_BYTES + 1) > REQUEST_MAX_TARGET_BYTES) {
		return -E2BIG;
	}
	target.text = strdup(raw);
	if (target.text == NULL) {
		return -ENOMEM;
	}
	r = parse_text(&target);
	if (r < 0) {
		request_target_deinit(&target);
		return r;
	}
	*ret_target = target;
	return 0;
}

void request_target_deinit(struct request_target *target)
{
	free(target->text);
	*target = (struct request_target){0};
}

const char *request_param(const struct request *request, const char *name)
{
	for (size_t i = 0; i < request->target.n_params; i++) {
		if (str_equal(request->target.params[i].name, name)) {
			return request->target.params[i].value;
		}
	}
	return NULL;
}
