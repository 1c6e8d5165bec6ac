/* SPDX-License-Identifier: MIT */
/*
 * For programs that check a configuration before the daemon is started with it: what they read here
 * has been read by the daemon's own parser, so there is no second one that could differ.
 */
#include "daemon/core/config_print.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/core/config.h"

/* Paths may hold any bytes, JSON only UTF-8. */
static void add_text(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	if (str_is_utf8(text, len, NULL)) {
		buf_add_json_string(out, text, len);
	} else {
		buf_add_str(out, "null");
	}
}

static void add_list(struct buf *out, const char *key, const struct config_list *list)
{
	buf_printf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < list->n_items; i++) {
		buf_add_str(out, i > 0 ? "," : "");
		add_text(out, list->items[i]);
	}
	buf_add_char(out, ']');
}

static void add_path(struct buf *out, const char *key, const char *path)
{
	buf_printf(out, ",\"%s\":", key);
	add_text(out, path);
}

static void add_listen(struct buf *out, const struct config_listen *listen)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	bool is_ipv6 = strchr(listen->host, ':') != NULL;

	if (listen->host[0] != '\0') {
		buf_printf(&text, is_ipv6 ? "[%s]:%u" : "%s:%u", listen->host,
			   (unsigned)listen->port);
	}
	add_path(out, "listen", buf_terminated(&text) != NULL ? text.data : "");
}

static void add_count(struct buf *out, const char *key, uint64_t count)
{
	buf_printf(out, ",\"%s\":%" PRIu64, key, count);
}

static void add_duration(struct buf *out, const char *key, int64_t duration_ns)
{
	buf_printf(out, ",\"%s\":%" PRId64 ".%09" PRId64, key, duration_ns / CLOCK_NS_PER_SEC,
		   duration_ns % CLOCK_NS_PER_SEC);
}

static void add_users(struct buf *out, const struct config_users *users)
{
	buf_add_str(out, ",\"allowed_users\":[");
	for (size_t i = 0; i < users->n_uids; i++) {
		buf_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)users->uids[i]);
	}
	buf_add_char(out, ']');
}

static void add_all(struct buf *out, const struct config *config, const char *config_path)
{
	buf_add_str(out, "{\"config_file\":");
	if (config_path != NULL) {
		add_text(out, config_path);
	} else {
		buf_add_str(out, "null");
	}
	add_list(out, "data_roots", &config->data_roots);
	add_path(out, "spool_dir", config->spool_dir);
	add_path(out, "state_dir", config->state_dir);
	add_path(out, "run_dir", config->run_dir);
	add_list(out, "hook_dirs", &config->hook_dirs);
	add_listen(out, &config->listen);
	add_list(out, "allowed_hosts", &config->allowed_hosts);
	buf_printf(out, ",\"expose_rows\":%s", config->expose_rows ? "true" : "false");
	add_count(out, "max_jobs", config->max_jobs);
	add_count(out, "max_workers", config->max_workers);
	add_count(out, "chunk_size", config->chunk_size_bytes);
	add_duration(out, "checkpoint_interval", config->checkpoint_interval_ns);
	add_duration(out, "poll_interval", config->poll_interval_ns);
	add_duration(out, "retention", config->retention_ns);
	add_users(out, &config->allowed_users);
	buf_add_str(out, "}\n");
}

int config_print_json(int fd, const struct config *config, const char *config_path)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	add_all(&text, config, config_path);
	return buf_error(&text) < 0 ? -ENOMEM : fd_write_all(fd, text.data, text.len);
}
