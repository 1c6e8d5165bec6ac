/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util/macro.h"

/*
 * The daemon's configuration: the file of zooparalleld.conf, overridden by `--set key=value`, over
 * the defaults of one table (config_key.c). A struct config that config_load() has returned is
 * complete and checked; no reader of it needs a default of its own.
 */

struct config_list {
	char **items;
	size_t n_items;
};

struct config_listen {
	char *host; /* "127.0.0.1", "::1" (no brackets), a name; "": no TCP */
	uint16_t port;
};

struct config_users {
	uid_t *uids; /* the daemon's own user is always among them */
	size_t n_uids;
};

struct config {
	struct config_list
		data_roots; /* absolute, normalised, at least one; so are all paths below */
	char *spool_dir;
	char *state_dir;
	char *run_dir;
	struct config_list hook_dirs;
	struct config_listen listen;
	struct config_list allowed_hosts;
	bool expose_rows;
	uint64_t max_jobs;
	uint64_t max_workers; /* the online processors where the file says 0; never 0 here */
	uint64_t chunk_size_bytes;
	int64_t checkpoint_interval_ns;
	int64_t poll_interval_ns;
	int64_t retention_ns;
	struct config_users allowed_users;
};

struct config_error {
	char message[512]; /* one line without a newline, with file and line where there is one */
};

/*
 * Reads the file at path (NULL: none, the defaults), then applies n_overrides texts "key=value"
 * (the items of a list separated by commas) in their order, then checks the whole.
 * Returns 0 and *ret_config, which the caller frees; -EINVAL and *ret_error if a file, an override
 * or the whole is wrong; another -errno and *ret_error if the file can't be read; -ENOMEM.
 */
MUST_CHECK int config_load(const char *path, char *const *overrides, size_t n_overrides,
			   struct config **ret_config, struct config_error *ret_error);

/* Takes NULL too. Returns NULL. */
struct config *config_free(struct config *config);
void config_freep(struct config **config);

/*
 * For a reload: gives config the values of fresh for every key that may change while the daemon
 * runs, and fresh the old ones. Which those are is said in zooparalleld.conf.
 */
void config_adopt(struct config *config, struct config *fresh);

/* Whether a spec owned by uid may be run. */
bool config_is_user_allowed(const struct config *config, uid_t uid);
