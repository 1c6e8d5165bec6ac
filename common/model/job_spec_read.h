/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

#include "common/util/macro.h"

struct job_spec;
struct spec_reader;

/*
 * The two halves of job_spec_parse(): every value by itself (job_spec_read.c), then the rules
 * between the parts of one spec (job_spec_check.c). Both return 0, -EINVAL with the reader's error
 * filled, or -ENOMEM; on failure *spec holds what was read so far, for its owner to free.
 */
MUST_CHECK int job_spec_read(struct spec_reader *reader, const json_t *root, struct job_spec *spec);
MUST_CHECK int job_spec_check(struct spec_reader *reader, const json_t *root,
			      const struct job_spec *spec);
