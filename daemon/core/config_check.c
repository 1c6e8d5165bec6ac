/* SPDX-License-Identifier: MIT */
/*
 * A job may write anywhere below a data root. So nothing that the daemon trusts (its spool, its
 * state, its run directory, its hooks, its own configuration) may lie there, or a job could write
 * the next job's spec; nor may one of these contain another. Data roots among themselves may nest,
 * and so may hook directories.
 */
#include "daemon/core/config_check.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/model/data_path.h"
#include "common/util/str.h"
#include "daemon/core/config.h"
#include "daemon/core/config_key.h"

/* A directory of the configuration, under the key that names it. */
struct place {
	const char *key;
	char *path; /* without symbolic links, if it exists */
};

struct places {
	struct place *items;
	size_t n_items;
};

static void places_deinit(struct places *places)
{
	for (size_t i = 0; i < places->n_items; i++) {
		free(places->items[i].path);
	}
	free(places->items);
}

static int add_place(struct places *places, const char *key, const char *path)
{
	char *resolved = realpath(path, NULL);

	if (!resolved) {
		/* It may be made later, or lie where we may not look: then the name has to do. */
		resolved = strdup(path);
	}
	if (!resolved) {
		return -ENOMEM;
	}
	places->items[places->n_items++] = (struct place){.key = key, .path = resolved};
	return 0;
}

static int add_list(struct places *places, const char *key, const struct config_list *list)
{
	int r = 0;

	for (size_t i = 0; i < list->n_items && r == 0; i++) {
		r = add_place(places, key, list->items[i]);
	}
	return r;
}

static int add_config_dir(struct places *places, const char *config_path)
{
	CLEANUP(free_p) char *copy = strdup(config_path);

	return copy ? add_place(places, "the configuration file", dirname(copy)) : -ENOMEM;
}

static int collect_places(const struct config *config, const char *config_path,
			  struct places *places)
{
	int r;

	places->items = calloc(config->data_roots.n_items + config->hook_dirs.n_items + 4,
			       sizeof(*places->items));
	if (!places->items) {
		return -ENOMEM;
	}
	r = add_list(places, "data_roots", &config->data_roots);
	r = r < 0 ? r : add_place(places, "spool_dir", config->spool_dir);
	r = r < 0 ? r : add_place(places, "state_dir", config->state_dir);
	r = r < 0 ? r : add_place(places, "run_dir", config->run_dir);
	r = r < 0 ? r : add_list(places, "hook_dirs", &config->hook_dirs);
	if (r == 0 && config_path) {
		r = add_config_dir(places, config_path);
	}
	return r;
}

static int check_overlaps(const struct places *places, struct config_error *ret_error)
{
	for (size_t i = 0; i < places->n_items; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct place *a = &places->items[k];
			const struct place *b = &places->items[i];

			if (!str_equal(a->key, b->key) && data_path_overlap(a->path, b->path)) {
				return config_fail(ret_error,
						   "%s (%s) and %s (%s) overlap: neither may be in "
						   "the other",
						   a->key, a->path, b->key, b->path);
			}
		}
	}
	return 0;
}

/* A socket's address is shorter than a path may be: sun_path of unix(7). */
static int check_run_dir(const struct config *config, struct config_error *ret_error)
{
	size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/control.sock");

	if (strlen(config->run_dir) > room) {
		return config_fail(
			ret_error,
			"run_dir: longer than %zu bytes, no room for the name of a socket", room);
	}
	return 0;
}

int config_check(const struct config *config, const char *config_path,
		 struct config_error *ret_error)
{
	CLEANUP(places_deinit) struct places places = {0};
	int r;

	if (config->data_roots.n_items == 0) {
		return config_fail(ret_error, "data_roots: at least one is needed");
	}
	r = check_run_dir(config, ret_error);
	if (r < 0) {
		return r;
	}
	r = collect_places(config, config_path, &places);
	return r < 0 ? r : check_overlaps(&places, ret_error);
}
