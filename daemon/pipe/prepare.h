/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/job_spec.h"
#include "common/model/plan.h"
#include "common/util/macro.h"

/* The data roots: their paths as configured, only to be compared as text, and open directories. */
struct prepare_roots {
	char *const *paths;
	const int *fds;
	size_t n;
};

/*
 * Finds, opens and measures every input of the spec: globs, identities, headers, columns. Inputs
 * that cannot be used give a plan with `failure` and a message that names file and line; the
 * caller frees the plan. Returns 0 or -ENOMEM.
 */
int prepare_run(const struct job_spec *spec, const struct prepare_roots *roots, uint64_t chunk_size,
		struct plan **ret_plan) MUST_CHECK;
