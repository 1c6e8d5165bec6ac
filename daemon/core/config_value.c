/* SPDX-License-Identifier: MIT */
/*
 * Each function makes the whole new value first and replaces the old one last, so a mistake in the
 * file leaves a configuration that can still be used.
 */
#include "daemon/core/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/model/data_path.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/core/config.h"
#include "daemon/core/config_key.h"

void config_list_deinit(struct config_list *list)
{
	for (size_t i = 0; i < list->n_items; i++) {
		free(list->items[i]);
	}
	free(list->items);
	*list = (struct config_list){0};
}

static int copy_path(const char *text, char **ret_path, struct config_error *ret_error)
{
	int r;

	if (text[0] != '/') {
		return config_fail(ret_error, "\"%s\" is not an absolute path", text);
	}
	r = data_path_normalise(text, ret_path);
	if (r == -EINVAL) {
		return config_fail(ret_error, "\"%s\" must not have \"..\" in it", text);
	}
	if (r == -ENAMETOOLONG) {
		return config_fail(ret_error, "a path has at most %d bytes", PATH_MAX - 1);
	}
	return r;
}

int config_value_path(const struct config_key *key, char *const *texts, size_t n_texts, void *field,
		      struct config_error *ret_error)
{
	char **ret_path = field;
	char *path;
	int r = copy_path(texts[0], &path, ret_error);

	if (r < 0) {
		return r;
	}
	free(*ret_path);
	*ret_path = path;
	return 0;
}

static int copy_item(const char *text, char **ret_item, struct config_error *ret_error)
{
	if (!*text) {
		return config_fail(ret_error, "an item is empty");
	}
	*ret_item = strdup(text);
	return *ret_item ? 0 : -ENOMEM;
}

typedef int (*copy_fn)(const char *text, char **ret_item, struct config_error *ret_error);

static int copy_list(char *const *texts, size_t n_texts, copy_fn copy, struct config_list *list,
		     struct config_error *ret_error)
{
	CLEANUP(config_list_deinit) struct config_list fresh = {0};

	fresh.items = calloc(n_texts + 1, sizeof(*fresh.items));
	if (!fresh.items) {
		return -ENOMEM;
	}
	for (; fresh.n_items < n_texts; fresh.n_items++) {
		int r = copy(texts[fresh.n_items], &fresh.items[fresh.n_items], ret_error);

		if (r < 0) {
			return r;
		}
	}
	config_list_deinit(list);
	*list = fresh;
	fresh = (struct config_list){0};
	return 0;
}

int config_value_paths(const struct config_key *key, char *const *texts, size_t n_texts,
		       void *field, struct config_error *ret_error)
{
	return copy_list(texts, n_texts, copy_path, field, ret_error);
}

int config_value_list(const struct config_key *key, char *const *texts, size_t n_texts, void *field,
		      struct config_error *ret_error)
{
	return copy_list(texts, n_texts, copy_item, field, ret_error);
}

/*
 * Takes "HOST:PORT" apart. A colon in HOST is that of an IPv6 address, which must stand in
 * brackets: else "::1:9917" could be read in two ways.
 */
static int split_host_port(const char *text, char **ret_host, uint64_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t host_bytes = colon ? (size_t)(colon - text) : 0;

	if (host_bytes == 0 || num_parse_u64(colon + 1, ret_port) < 0 || *ret_port > UINT16_MAX) {
		return -EINVAL;
	}
	if (text[0] == '[') {
		if (host_bytes < 3 || text[host_bytes - 1] != ']') {
			return -EINVAL;
		}
		text++;
		host_bytes -= 2;
	} else if (memchr(text, ':', host_bytes)) {
		return -EINVAL;
	}
	*ret_host = strndup(text, host_bytes);
	return *ret_host ? 0 : -ENOMEM;
}

int config_value_listen(const struct config_key *key, char *const *texts, size_t n_texts,
			void *field, struct config_error *ret_error)
{
	struct config_listen *listen = field;
	char *host = NULL;
	uint64_t port = 0;
	int r;

	if (str_equal(texts[0], "")) {
		host = strdup("");
		r = host ? 0 : -ENOMEM;
	} else {
		r = split_host_port(texts[0], &host, &port);
	}
	if (r == -EINVAL) {
		return config_fail(ret_error,
				   "\"%s\" is not \"HOST:PORT\", \"[IPV6]:PORT\" or \"\"",
				   texts[0]);
	}
	if (r < 0) {
		return r;
	}
	free(listen->host);
	*listen = (struct config_listen){.host = host, .port = (uint16_t)port};
	return 0;
}

static int find_uid(const char *user, uid_t *ret_uid, struct config_error *ret_error)
{
	const struct passwd *entry;
	uint64_t number;

	if (num_parse_u64(user, &number) == 0 && number < UINT32_MAX) {
		*ret_uid = (uid_t)number;
		return 0;
	}
	entry = getpwnam(user);
	if (!entry) {
		return config_fail(ret_error, "there is no user \"%s\"", user);
	}
	*ret_uid = entry->pw_uid;
	return 0;
}

int config_value_users(const struct config_key *key, char *const *texts, size_t n_texts,
		       void *field, struct config_error *ret_error)
{
	struct config_users *users = field;
	CLEANUP(free_p) uid_t *uids = calloc(n_texts + 1, sizeof(*uids));

	if (!uids) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_texts; i++) {
		int r = find_uid(texts[i], &uids[i], ret_error);

		if (r < 0) {
			return r;
		}
	}
	uids[n_texts] = geteuid();
	free(users->uids);
	*users = (struct config_users){.uids = TAKE_PTR(uids), .n_uids = n_texts + 1};
	return 0;
}

int config_value_bool(const struct config_key *key, char *const *texts, size_t n_texts, void *field,
		      struct config_error *ret_error)
{
	if (!str_equal(texts[0], "true") && !str_equal(texts[0], "false")) {
		return config_fail(ret_error, "\"%s\" is neither true nor false", texts[0]);
	}
	*(bool *)field = str_equal(texts[0], "true");
	return 0;
}

int config_value_count(const struct config_key *key, char *const *texts, size_t n_texts,
		       void *field, struct config_error *ret_error)
{
	uint64_t count;

	if (num_parse_u64(texts[0], &count) < 0 || count < (uint64_t)key->min ||
	    count > (uint64_t)key->max) {
		return config_fail(ret_error, "\"%s\" is not a number from %" PRId64 " to %" PRId64,
				   texts[0], key->min, key->max);
	}
	*(uint64_t *)field = count;
	return 0;
}

int config_value_size(const struct config_key *key, char *const *texts, size_t n_texts, void *field,
		      struct config_error *ret_error)
{
	char least[NUM_TEXT_SIZE];
	char most[NUM_TEXT_SIZE];
	uint64_t size_bytes;

	if (num_parse_size(texts[0], &size_bytes) < 0 || size_bytes < (uint64_t)key->min ||
	    size_bytes > (uint64_t)key->max) {
		return config_fail(ret_error, "\"%s\" is not a size from %s to %s", texts[0],
				   num_format_size(least, (uint64_t)key->min),
				   num_format_size(most, (uint64_t)key->max));
	}
	*(uint64_t *)field = size_bytes;
	return 0;
}

int config_value_duration(const struct config_key *key, char *const *texts, size_t n_texts,
			  void *field, struct config_error *ret_error)
{
	char least[NUM_TEXT_SIZE];
	char most[NUM_TEXT_SIZE];
	int64_t duration_ns;

	if (num_parse_duration_ns(texts[0], &duration_ns) < 0 || duration_ns < key->min ||
	    duration_ns > key->max) {
		return config_fail(ret_error, "\"%s\" is not a duration from %s to %s", texts[0],
				   num_format_duration_ns(least, key->min),
				   num_format_duration_ns(most, key->max));
	}
	*(int64_t *)field = duration_ns;
	return 0;
}
