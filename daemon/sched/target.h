/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/model/job_spec.h"
#include "common/util/macro.h"
#include "daemon/sched/failure.h"

/*
 * The files that a job is going to replace: each pipe's output, and its error file where the spec
 * names one.
 */
struct target {
	size_t pipe;
	bool is_errors;
	size_t root;	  /* index of the data root */
	char *relative;	  /* path below the root */
	char *directory;  /* all but its last component; "." for the root itself */
	const char *name; /* the last component, inside `relative` */
	char *absolute;	  /* root and path, normalised: what two targets are compared by */
};

struct target_list {
	struct target *items;
	size_t n_items;
};

/*
 * Resolves all targets of a spec below the roots, as text. Returns 0; -EINVAL with *ret_failure if
 * a path is denied or two targets of the job are the same file; -ENOMEM.
 */
int target_list_resolve(struct target_list *ret_list, const struct job_spec *spec,
			char *const *root_paths, size_t n_roots,
			struct failure *ret_failure) MUST_CHECK;
void target_list_deinit(struct target_list *list);

/* The first target of a that is one of b's too, or NULL. */
const struct target *target_list_conflict(const struct target_list *a, const struct target_list *b);

const struct target *target_list_find(const struct target_list *list, size_t pipe, bool is_errors);
