/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

#include "common/model/spec_read.h"
#include "common/util/macro.h"

/* Readers for the tables of job_spec_read.c (spec_read_fn of spec_read.h). */

/* ret_field: char **, normalised (data_path.h), which must hold NULL and is the caller's to free */
MUST_CHECK int spec_value_path(struct spec_reader *reader, const json_t *value,
			       const struct spec_key *key, void *ret_field);
/* ret_field: char *; one ASCII character, not a line end */
MUST_CHECK int spec_value_delimiter(struct spec_reader *reader, const json_t *value,
				    const struct spec_key *key, void *ret_field);
/* ret_field: char *; the same, and null is 0 */
MUST_CHECK int spec_value_quotechar(struct spec_reader *reader, const json_t *value,
				    const struct spec_key *key, void *ret_field);
/* ret_field: struct input_spec *, of which it fills fieldnames and n_fieldnames */
MUST_CHECK int spec_value_fieldnames(struct spec_reader *reader, const json_t *value,
				     const struct spec_key *key, void *ret_field);
/* ret_field: int *; permission bits from "0640" or "640" */
MUST_CHECK int spec_value_mode(struct spec_reader *reader, const json_t *value,
			       const struct spec_key *key, void *ret_field);
