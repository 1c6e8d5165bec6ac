/* SPDX-License-Identifier: MIT */
/*
 * A path is a walk over its components; `.` and empty ones are no components. Everything here,
 * comparison too, is said in terms of that walk, so "/data//in/./x" needs no special case and
 * "/data" never contains "/database".
 */
#include "common/model/data_path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct component {
	const char *text; /* not ended by NUL */
	size_t len;	  /* 0: there is none left */
};

static bool component_is(struct component component, const char *text)
{
	return component.len == strlen(text) && memcmp(component.text, text, component.len) == 0;
}

/* Takes the next component off *path. */
static struct component next_component(const char **path)
{
	struct component component;

	do {
		*path += strspn(*path, "/");
		component.text = *path;
		component.len = strcspn(*path, "/");
		*path += component.len;
	} while (component_is(component, "."));
	return component;
}

/* Whether prefix contains *path; if so, takes its components off *path. */
static bool take_prefix(const char *prefix, const char **path)
{
	const char *rest = *path;
	struct component wanted;

	while ((wanted = next_component(&prefix)).len > 0) {
		struct component found = next_component(&rest);

		if (found.len != wanted.len || memcmp(found.text, wanted.text, wanted.len) != 0) {
			return false;
		}
	}
	*path = rest;
	return true;
}

/* Never makes the path longer, except that "" of a relative one becomes ".". */
static void join_components(const char *path, bool is_absolute, char *ret_joined)
{
	struct component component;
	char *at = ret_joined;

	if (is_absolute) {
		*at++ = '/';
	}
	while ((component = next_component(&path)).len > 0) {
		if (at > ret_joined && at[-1] != '/') {
			*at++ = '/';
		}
		memcpy(at, component.text, component.len);
		at += component.len;
	}
	if (at == ret_joined) {
		*at++ = '.';
	}
	*at = '\0';
}

static bool has_parent_component(const char *path)
{
	struct component component;

	while ((component = next_component(&path)).len > 0) {
		if (component_is(component, "..")) {
			return true;
		}
	}
	return false;
}

static int check_path(const char *path)
{
	if (!*path || has_parent_component(path)) {
		return -EINVAL;
	}
	return strlen(path) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int normalise(const char *path, bool is_absolute, char **ret_path)
{
	char *joined = malloc(strlen(path) + 2);

	if (!joined) {
		return -ENOMEM;
	}
	join_components(path, is_absolute, joined);
	*ret_path = joined;
	return 0;
}

int data_path_normalise(const char *path, char **ret_path)
{
	int r = check_path(path);

	return r < 0 ? r : normalise(path, *path == '/', ret_path);
}

/* All roots that contain the path are its beginnings: the longest leaves the least of it. */
static bool take_longest_root(char *const *roots, size_t n_roots, const char **path,
			      size_t *ret_root_index)
{
	const char *best = NULL;

	for (size_t i = 0; i < n_roots; i++) {
		const char *below = *path;

		if (take_prefix(roots[i], &below) && (!best || below > best)) {
			best = below;
			*ret_root_index = i;
		}
	}
	*path = best ? best : *path;
	return best;
}

int data_path_resolve(char *const *roots, size_t n_roots, const char *path, size_t *ret_root_index,
		      char **ret_relative)
{
	size_t root_index = 0;
	int r = check_path(path);

	if (r < 0) {
		return r;
	}
	if (n_roots == 0 ||
	    (*path == '/' && !take_longest_root(roots, n_roots, &path, &root_index))) {
		return -EXDEV;
	}
	r = normalise(path, false, ret_relative);
	if (r == 0) {
		*ret_root_index = root_index;
	}
	return r;
}

bool data_path_overlap(const char *a, const char *b)
{
	const char *below_a = b;
	const char *below_b = a;

	return take_prefix(a, &below_a) || take_prefix(b, &below_b);
}
