/* SPDX-License-Identifier: MIT */
/*
 * Defaults, file and overrides are laid over one another in one struct. libconfuse is asked only
 * for what it is good at, the file's syntax with its line numbers: every option is a string or a
 * list of strings to it, and the table's functions (config_key.h) judge the values as they come,
 * while the line is still known.
 */
#include "daemon/core/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/core/config_check.h"
#include "daemon/core/config_key.h"
#include "daemon/core/config_value.h"

enum {
	MAX_FILE_BYTES = 1024 * 1024,
	MAX_OPTIONS = 64,
};

/* libconfuse hands its callbacks no pointer of ours, so this is where they find the reading. */
static struct {
	const char *path;
	struct config *config;
	struct config_error *error;
} reading;

struct config *config_free(struct config *config)
{
	if (!config) {
		return NULL;
	}
	config_list_deinit(&config->data_roots);
	config_list_deinit(&config->hook_dirs);
	config_list_deinit(&config->allowed_hosts);
	free(config->spool_dir);
	free(config->state_dir);
	free(config->run_dir);
	free(config->listen.host);
	free(config->allowed_users.uids);
	free(config);
	return NULL;
}

void config_freep(struct config **config)
{
	*config = config_free(*config);
}

static void cfg_freep(cfg_t **cfg)
{
	if (*cfg) {
		cfg_free(*cfg);
	}
}

static int set_defaults(struct config *config, struct config_error *ret_error)
{
	int r = 0;

	for (const struct config_key *key = config_keys; key->name && r == 0; key++) {
		r = config_key_set_text(key, key->default_text, config, ret_error);
	}
	return r;
}

PRINTF_FORMAT(2, 0) static void on_error(cfg_t *cfg, const char *format, va_list arguments)
{
	struct config_error reason;

	vsnprintf(reason.message, sizeof(reason.message), format, arguments);
	config_fail(reading.error, "%s:%d: %s", reading.path, cfg->line, reason.message);
}

/* Called with every option that the file sets, when all its values are there. */
static int on_option(cfg_t *cfg, cfg_opt_t *option)
{
	const struct config_key *key = config_key_find(option->name);
	size_t n_texts = cfg_opt_size(option);
	CLEANUP(free_p) char **texts = calloc(n_texts + 1, sizeof(*texts));
	struct config_error reason = {.message = "out of memory"};
	int r = -ENOMEM;

	if (texts) {
		for (size_t i = 0; i < n_texts; i++) {
			texts[i] = cfg_opt_getnstr(option, (unsigned)i);
		}
		r = config_key_set(key, texts, n_texts, reading.config, &reason);
	}
	if (r < 0) {
		cfg_error(cfg, "%s: %s", option->name, reason.message);
	}
	return r < 0 ? -1 : 0;
}

static cfg_t *make_parser(void)
{
	cfg_opt_t options[MAX_OPTIONS];
	size_t n_options = 0;
	cfg_t *cfg;

	for (const struct config_key *key = config_keys; key->name; key++) {
		options[n_options++] =
			key->is_list ? (cfg_opt_t)CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT)
				     : (cfg_opt_t)CFG_STR(key->name, NULL, CFGF_NODEFAULT);
	}
	options[n_options] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(options, CFGF_NONE);
	if (!cfg) {
		return NULL;
	}
	cfg_set_error_function(cfg, on_error);
	for (const struct config_key *key = config_keys; key->name; key++) {
		cfg_set_validate_func(cfg, key->name, on_option);
	}
	return cfg;
}

/* libconfuse ends an unknown key's message with its name in quotes. */
static void add_suggestion(struct config_error *error)
{
	static const char marker[] = "no such option '";
	char *name = strstr(error->message, marker);
	char key[64];
	size_t used = strlen(error->message);
	const char *nearest;

	if (!name) {
		return;
	}
	snprintf(key, sizeof(key), "%s", name + strlen(marker));
	key[strcspn(key, "'")] = '\0';
	nearest = config_key_nearest(key);
	if (nearest) {
		snprintf(error->message + used, sizeof(error->message) - used,
			 " (did you mean \"%s\"?)", nearest);
	}
}

static int parse_text(const char *path, const char *text, struct config *config,
		      struct config_error *ret_error)
{
	CLEANUP(cfg_freep) cfg_t *cfg = make_parser();

	if (!cfg) {
		return -ENOMEM;
	}
	reading.path = path;
	reading.config = config;
	reading.error = ret_error;
	config_fail(ret_error, "%s: cannot be read as a configuration", path);
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
		add_suggestion(ret_error);
		return -EINVAL;
	}
	return 0;
}

/* libconfuse's scanner ends the process when a read fails, so the file is read here. */
static int read_file(const char *path, struct buf *ret_text)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd_read_all(fd, MAX_FILE_BYTES, ret_text);
}

/* libconfuse 3.3 counts a line with a comment three times: it gets spaces instead. */
static void blank_comments(char *text)
{
	char quote = '\0';

	for (char *at = text; *at; at++) {
		if (quote && *at == '\\' && at[1]) {
			at++;
		} else if (quote) {
			quote = *at == quote ? '\0' : quote;
		} else if (*at == '"' || *at == '\'') {
			quote = *at;
		} else if (*at == '#') {
			size_t n = strcspn(at, "\n");

			memset(at, ' ', n);
			at += n - 1;
		}
	}
}

static int load_file(const char *path, struct config *config, struct config_error *ret_error)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	int r = read_file(path, &text);

	if (r < 0) {
		config_fail(ret_error, "%s: %s", path, strerror(-r));
		return r;
	}
	if (text.len > 0 && memchr(text.data, '\0', text.len)) {
		return config_fail(ret_error, "%s: not a text file", path);
	}
	if (!buf_terminated(&text)) {
		return -ENOMEM;
	}
	blank_comments(text.data);
	return parse_text(path, text.data, config, ret_error);
}

static int fail_override(const char *override, const char *reason, struct config_error *ret_error)
{
	return config_fail(ret_error, "--set %s: %s", override, reason);
}

static int fail_unknown_override(const char *override, const char *name,
				 struct config_error *ret_error)
{
	const char *nearest = config_key_nearest(name);

	if (!nearest) {
		return fail_override(override, "unknown key", ret_error);
	}
	return config_fail(ret_error, "--set %s: unknown key (did you mean \"%s\"?)", override,
			   nearest);
}

static int apply_override(const char *override, struct config *config,
			  struct config_error *ret_error)
{
	struct config_error reason;
	const char *equals = strchr(override, '=');
	CLEANUP(free_p) char *name = NULL;
	const struct config_key *key;
	int r;

	if (!equals) {
		return fail_override(override, "must be KEY=VALUE", ret_error);
	}
	name = strndup(override, (size_t)(equals - override));
	if (!name) {
		return -ENOMEM;
	}
	key = config_key_find(name);
	if (!key) {
		return fail_unknown_override(override, name, ret_error);
	}
	r = config_key_set_text(key, equals + 1, config, &reason);
	return r == -EINVAL ? fail_override(override, reason.message, ret_error) : r;
}

static void resolve_max_workers(struct config *config)
{
	long n_online = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->max_workers == 0) {
		config->max_workers = n_online > 0 ? (uint64_t)n_online : 1;
	}
}

int config_load(const char *path, char *const *overrides, size_t n_overrides,
		struct config **ret_config, struct config_error *ret_error)
{
	CLEANUP(config_freep) struct config *config = calloc(1, sizeof(*config));
	int r;

	config_fail(ret_error, "out of memory"); /* unless a better reason is found */
	if (!config) {
		return -ENOMEM;
	}
	r = set_defaults(config, ret_error);
	if (r == 0 && path) {
		r = load_file(path, config, ret_error);
	}
	for (size_t i = 0; i < n_overrides && r == 0; i++) {
		r = apply_override(overrides[i], config, ret_error);
	}
	if (r == 0) {
		r = config_check(config, path, ret_error);
	}
	if (r < 0) {
		return r;
	}
	resolve_max_workers(config);
	*ret_config = TAKE_PTR(config);
	return 0;
}

static void swap_bytes(char *a, char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

void config_adopt(struct config *config, struct config *fresh)
{
	for (const struct config_key *key = config_keys; key->name; key++) {
		if (key->is_reloadable) {
			swap_bytes((char *)config + key->offset, (char *)fresh + key->offset,
				   key->size);
		}
	}
}

bool config_is_user_allowed(const struct config *config, uid_t uid)
{
	for (size_t i = 0; i < config->allowed_users.n_uids; i++) {
		if (config->allowed_users.uids[i] == uid) {
			return true;
		}
	}
	return false;
}
