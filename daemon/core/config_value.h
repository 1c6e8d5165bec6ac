/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/macro.h"

struct config_error;
struct config_key;
struct config_list;

/* From text to a field's value, one function for each type of field: see config_set_fn. */

/* char *, an absolute path, kept normalised */
MUST_CHECK int config_value_path(const struct config_key *key, char *const *texts, size_t n_texts,
				 void *field, struct config_error *ret_error);
/* struct config_list of such paths */
MUST_CHECK int config_value_paths(const struct config_key *key, char *const *texts, size_t n_texts,
				  void *field, struct config_error *ret_error);
/* struct config_list */
MUST_CHECK int config_value_list(const struct config_key *key, char *const *texts, size_t n_texts,
				 void *field, struct config_error *ret_error);
/* struct config_listen */
MUST_CHECK int config_value_listen(const struct config_key *key, char *const *texts, size_t n_texts,
				   void *field, struct config_error *ret_error);
/* struct config_users, from names and numbers */
MUST_CHECK int config_value_users(const struct config_key *key, char *const *texts, size_t n_texts,
				  void *field, struct config_error *ret_error);
/* bool */
MUST_CHECK int config_value_bool(const struct config_key *key, char *const *texts, size_t n_texts,
				 void *field, struct config_error *ret_error);
/* uint64_t, key->min to key->max */
MUST_CHECK int config_value_count(const struct config_key *key, char *const *texts, size_t n_texts,
				  void *field, struct config_error *ret_error);
/* uint64_t of bytes, key->min to key->max */
MUST_CHECK int config_value_size(const struct config_key *key, char *const *texts, size_t n_texts,
				 void *field, struct config_error *ret_error);
/* int64_t of nanoseconds, key->min to key->max */
MUST_CHECK int config_value_duration(const struct config_key *key, char *const *texts,
				     size_t n_texts, void *field, struct config_error *ret_error);

/* Frees the items. */
void config_list_deinit(struct config_list *list);
