/* SPDX-License-Identifier: MIT */
/*
 * The one table of keys. File, `--set` and defaults are three sources of the same texts, so they
 * go through the same functions, and a key is one entry here plus its paragraph in
 * zooparalleld.conf (a test holds the two together).
 */
#include "daemon/core/config_key.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/job_spec.h"
#include "common/util/clock.h"
#include "common/util/str.h"
#include "daemon/core/config.h"
#include "daemon/core/config_value.h"

#define FIELD(field)                                                                               \
	.offset = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)

#define DAY_NS (INT64_C(86400) * CLOCK_NS_PER_SEC)

enum {
	MAX_JOBS = 1024,
	MAX_CHUNK_BYTES = 64 * 1024 * 1024,
};

const struct config_key config_keys[] = {
	{.name = "data_roots",
	 .default_text = "/srv/zooparallel",
	 .is_list = true,
	 .set = config_value_paths,
	 FIELD(data_roots)},
	{.name = "spool_dir",
	 .default_text = "/var/spool/zooparallel",
	 .set = config_value_path,
	 FIELD(spool_dir)},
	{.name = "state_dir",
	 .default_text = "/var/lib/zooparallel",
	 .set = config_value_path,
	 FIELD(state_dir)},
	{.name = "run_dir",
	 .default_text = "/run/zooparallel",
	 .set = config_value_path,
	 FIELD(run_dir)},
	{.name = "hook_dirs",
	 .default_text = "",
	 .is_list = true,
	 .set = config_value_paths,
	 FIELD(hook_dirs)},
	{.name = "listen",
	 .default_text = "127.0.0.1:9917",
	 .set = config_value_listen,
	 FIELD(listen)},
	{.name = "allowed_hosts",
	 .default_text = "",
	 .is_list = true,
	 .is_reloadable = true,
	 .set = config_value_list,
	 FIELD(allowed_hosts)},
	{.name = "expose_rows",
	 .default_text = "false",
	 .is_reloadable = true,
	 .set = config_value_bool,
	 FIELD(expose_rows)},
	{.name = "max_jobs",
	 .default_text = "4",
	 .is_reloadable = true,
	 .set = config_value_count,
	 FIELD(max_jobs),
	 .min = 1,
	 .max = MAX_JOBS},
	{.name = "max_workers",
	 .default_text = "0",
	 .is_reloadable = true,
	 .set = config_value_count,
	 FIELD(max_workers),
	 .max = JOB_SPEC_MAX_WORKERS},
	{.name = "chunk_size",
	 .default_text = "512KiB",
	 .is_reloadable = true,
	 .set = config_value_size,
	 FIELD(chunk_size_bytes),
	 .min = 1,
	 .max = MAX_CHUNK_BYTES},
	{.name = "checkpoint_interval",
	 .default_text = "5s",
	 .is_reloadable = true,
	 .set = config_value_duration,
	 FIELD(checkpoint_interval_ns),
	 .min = 100 * CLOCK_NS_PER_MS,
	 .max = 3600 * CLOCK_NS_PER_SEC},
	{.name = "poll_interval",
	 .default_text = "10ms",
	 .is_reloadable = true,
	 .set = config_value_duration,
	 FIELD(poll_interval_ns),
	 .min = CLOCK_NS_PER_MS,
	 .max = 60 * CLOCK_NS_PER_SEC},
	{.name = "retention",
	 .default_text = "7d",
	 .is_reloadable = true,
	 .set = config_value_duration,
	 FIELD(retention_ns),
	 .max = 3650 * DAY_NS},
	{.name = "allowed_users",
	 .default_text = "root",
	 .is_list = true,
	 .is_reloadable = true,
	 .set = config_value_users,
	 FIELD(allowed_users)},
	{.name = NULL},
};

int config_fail(struct config_error *ret_error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_error->message, sizeof(ret_error->message), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

const struct config_key *config_key_find(const char *name)
{
	for (const struct config_key *key = config_keys; key->name; key++) {
		if (str_equal(key->name, name)) {
			return key;
		}
	}
	return NULL;
}

const char *config_key_nearest(const char *name)
{
	const char *names[ARRAY_SIZE(config_keys)];
	size_t n_names = 0;

	for (const struct config_key *key = config_keys; key->name; key++) {
		names[n_names++] = key->name;
	}
	return str_nearest(name, names, n_names);
}

int config_key_set(const struct config_key *key, char *const *texts, size_t n_texts,
		   struct config *config, struct config_error *ret_error)
{
	return key->set(key, texts, n_texts, (char *)config + key->offset, ret_error);
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && strchr(" \t", text[len - 1])) {
		text[--len] = '\0';
	}
	return text;
}

/* Cuts list, which it changes, at its commas. An empty text is an empty list. */
static int split_list(char *list, char ***ret_items, size_t *ret_n_items)
{
	size_t n_items = 1;
	char **items;
	char *item;

	for (const char *at = list; (at = strchr(at, ',')); at++) {
		n_items++;
	}
	items = calloc(n_items, sizeof(*items));
	if (!items) {
		return -ENOMEM;
	}
	for (size_t i = 0; (item = strsep(&list, ",")); i++) {
		items[i] = trim(item);
	}
	*ret_items = items;
	*ret_n_items = n_items == 1 && !*items[0] ? 0 : n_items;
	return 0;
}

int config_key_set_text(const struct config_key *key, const char *text, struct config *config,
			struct config_error *ret_error)
{
	CLEANUP(free_p) char *copy = strdup(text);
	CLEANUP(free_p) char **items = NULL;
	size_t n_items;
	int r;

	if (!copy) {
		return -ENOMEM;
	}
	if (!key->is_list) {
		return config_key_set(key, &copy, 1, config, ret_error);
	}
	r = split_list(copy, &items, &n_items);
	return r < 0 ? r : config_key_set(key, items, n_items, config, ret_error);
}
