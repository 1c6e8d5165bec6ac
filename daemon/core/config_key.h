/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/macro.h"

struct config;
struct config_error;
struct config_key;

/*
 * Sets a field of struct config, whose type the function knows, and frees what it held. A key that
 * is no list gets one text. Returns 0, -EINVAL with a message that does not name the key, or
 * -ENOMEM; on failure the field is as it was.
 */
typedef int (*config_set_fn)(const struct config_key *key, char *const *texts, size_t n_texts,
			     void *field, struct config_error *ret_error);

/* One key of the configuration file and of `--set`. */
struct config_key {
	const char *name;
	const char *default_text; /* as `--set` takes it; the items of a list with commas */
	bool is_list;
	bool is_reloadable;
	config_set_fn set;
	size_t offset; /* of the field in struct config */
	size_t size;   /* of the field */
	int64_t min;   /* of a number, size or duration */
	int64_t max;
};

/* All keys in the order of struct config; the last has a NULL name. */
extern const struct config_key config_keys[];

/* NULL: no such key. */
const struct config_key *config_key_find(const char *name);

/* The key that name was probably meant to be, or NULL. */
const char *config_key_nearest(const char *name);

/* Sets the key's field in config from the texts of a list, or one text. Like config_set_fn. */
MUST_CHECK int config_key_set(const struct config_key *key, char *const *texts, size_t n_texts,
			      struct config *config, struct config_error *ret_error);

/* The same from one text as `--set` takes it: the items of a list are separated by commas. */
MUST_CHECK int config_key_set_text(const struct config_key *key, const char *text,
				   struct config *config, struct config_error *ret_error);

/* Fills the message. Returns -EINVAL. */
int config_fail(struct config_error *ret_error, const char *format, ...) PRINTF_FORMAT(2, 3);
