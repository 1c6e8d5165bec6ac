/* SPDX-License-Identifier: MIT */
/*
 * Targets are compared as absolute texts, not by root and path: one data root may lie inside
 * another. No symbolic link is ever followed below a root, so two texts that differ are two files
 * (but for hard links, which a rename replaces one by one).
 */
#include "daemon/sched/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/data_path.h"
#include "common/util/buf.h"
#include "common/util/str.h"

static void target_deinit(struct target *target)
{
	free(target->relative);
	free(target->directory);
	free(target->absolute);
}

void target_list_deinit(struct target_list *list)
{
	for (size_t i = 0; i < list->n_items; i++) {
		target_deinit(&list->items[i]);
	}
	free(list->items);
	*list = (struct target_list){0};
}

static int split(struct target *target)
{
	char *slash = strrchr(target->relative, '/');

	target->name = slash == NULL ? target->relative : slash + 1;
	target->directory = slash == NULL
				    ? strdup(".")
				    : strndup(target->relative, (size_t)(slash - target->relative));
	return target->directory == NULL ? -ENOMEM : 0;
}

static int join(struct target *target, const char *root_path)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	const char *separator = str_ends_with(root_path, "/") ? "" : "/";

	buf_printf(&text, "%s%s%s", root_path, separator, target->relative);
	target->absolute = buf_take(&text);
	return target->absolute == NULL ? -ENOMEM : 0;
}

static int resolve(struct target *target, const char *path, char *const *root_paths, size_t n_roots,
		   struct failure *ret_failure)
{
	int r = data_path_resolve(root_paths, n_roots, path, &target->root, &target->relative);

	if (r == -ENOMEM) {
		return r;
	}
	if (r < 0) {
		failure_set(ret_failure, JOB_REASON_PATH_DENIED, "%s: %s", path,
			    r == -EXDEV		 ? "lies outside of every data root"
			    : r == -ENAMETOOLONG ? "is too long"
						 : "must not contain `..`");
		return -EINVAL;
	}
	r = split(target);
	return r < 0 ? r : join(target, root_paths[target->root]);
}

static int add(struct target_list *list, const struct target *like, const char *path,
	       char *const *root_paths, size_t n_roots, struct failure *ret_failure)
{
	struct target *target = &list->items[list->n_items++];

	*target = *like;
	int r = resolve(target, path, root_paths, n_roots, ret_failure);
	if (r < 0) {
		return r;
	}
	struct target_list before = {.items = list->items, .n_items = list->n_items - 1};
	struct target_list last = {.items = target, .n_items = 1};
	if (target_list_conflict(&before, &last) != NULL) {
		failure_set(ret_failure, JOB_REASON_OUTPUT_UNWRITABLE,
			    "%s: the job writes this file twice", path);
		return -EINVAL;
	}
	return 0;
}

static int add_pipe(struct target_list *list, const struct job_spec *spec, size_t pipe,
		    char *const *root_paths, size_t n_roots, struct failure *ret_failure)
{
	const struct pipe_spec *pipe_spec = &spec->pipes[pipe];
	struct target like = {.pipe = pipe};

	int r = add(list, &like, pipe_spec->output.path, root_paths, n_roots, ret_failure);
	if (r < 0 || pipe_spec->errors.path == NULL) {
		return r;
	}
	like.is_errors = true;
	return add(list, &like, pipe_spec->errors.path, root_paths, n_roots, ret_failure);
}

int target_list_resolve(struct target_list *ret_list, const struct job_spec *spec,
			char *const *root_paths, size_t n_roots, struct failure *ret_failure)
{
	CLEANUP(target_list_deinit) struct target_list list = {0};

	list.items = calloc(2 * spec->n_pipes, sizeof(*list.items));
	if (list.items == NULL) {
		return -ENOMEM;
	}
	for (size_t pipe = 0; pipe < spec->n_pipes; pipe++) {
		int r = add_pipe(&list, spec, pipe, root_paths, n_roots, ret_failure);

		if (r < 0) {
			return r;
		}
	}
	*ret_list = list;
	list = (struct target_list){0};
	return 0;
}

const struct target *target_list_conflict(const struct target_list *a, const struct target_list *b)
{
	for (size_t i = 0; i < a->n_items; i++) {
		for (size_t k = 0; k < b->n_items; k++) {
			if (strcmp(a->items[i].absolute, b->items[k].absolute) == 0) {
				return &a->items[i];
			}
		}
	}
	return NULL;
}

const struct target *target_list_find(const struct target_list *list, size_t pipe, bool is_errors)
{
	for (size_t i = 0; i < list->n_items; i++) {
		if (list->items[i].pipe == pipe && list->items[i].is_errors == is_errors) {
			return &list->items[i];
		}
	}
	return NULL;
}
