/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

#include "common/model/spec_read.h"
#include "common/util/macro.h"

/*
 * Readers for the tables of job_spec_read.c (spec_read_fn of spec_read.h): numbers with a unit, in
 * strings as num.h parses them, from key->min to key->max.
 */

/* ret_field: uint64_t *, bytes; "256MiB" */
MUST_CHECK int spec_quantity_size(struct spec_reader *reader, const json_t *value,
				  const struct spec_key *key, void *ret_field);
/* ret_field: int64_t *, nanoseconds; "90s" */
MUST_CHECK int spec_quantity_duration(struct spec_reader *reader, const json_t *value,
				      const struct spec_key *key, void *ret_field);
/* The same, and null is 0: no limit. */
MUST_CHECK int spec_quantity_size_or_none(struct spec_reader *reader, const json_t *value,
					  const struct spec_key *key, void *ret_field);
MUST_CHECK int spec_quantity_duration_or_none(struct spec_reader *reader, const json_t *value,
					      const struct spec_key *key, void *ret_field);
