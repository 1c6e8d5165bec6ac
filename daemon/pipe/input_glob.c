/* SPDX-License-Identifier: MIT */

/*
 * glob(3) cannot be held below a descriptor, and it leaves out without a word what it may not read.
 * Here a folder that cannot be read is an error: a job that quietly misses a file is worse than one
 * that fails.
 */
#include "daemon/pipe/input_glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/model/plan.h"
#include "common/util/fd.h"

struct walk {
	int root_fd;
	struct input_glob found;
};

static void closedir_p(DIR **dir)
{
	if (*dir != NULL) {
		closedir(*dir);
	}
}

void input_glob_deinit(struct input_glob *glob)
{
	for (size_t i = 0; i < glob->n; i++) {
		free(glob->paths[i]);
	}
	free(glob->paths);
	*glob = (struct input_glob){0};
}

bool input_glob_is_pattern(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

/* Takes the path over. */
static int add_path(struct input_glob *glob, char *path)
{
	if (glob->n == glob->capacity) {
		size_t capacity = MAX(2 * glob->capacity, (size_t)16);
		char **paths = reallocarray(glob->paths, capacity, sizeof(*paths));

		if (paths == NULL) {
			free(path);
			return -ENOMEM;
		}
		glob->paths = paths;
		glob->capacity = capacity;
	}
	glob->paths[glob->n++] = path;
	return glob->n > PLAN_MAX_FILES ? -E2BIG : 0;
}

static int walk_below(struct walk *walk, const char *folder, const char *pattern);

/* `name` in `folder` matches all of the pattern before `rest`, which is "" at its end. */
static int walk_match(struct walk *walk, const char *folder, const char *name, const char *rest)
{
	CLEANUP(free_p) char *path = NULL;

	if (asprintf(&path, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return rest[0] == '\0' ? add_path(&walk->found, TAKE_PTR(path))
			       : walk_below(walk, path, rest);
}

static int walk_folder(struct walk *walk, DIR *dir, const char *folder, const char *component,
		       const char *rest)
{
	for (;;) {
		struct dirent *entry;
		int r;

		errno = 0;
		entry = readdir(dir);
		if (entry == NULL) {
			return -errno;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    fnmatch(component, entry->d_name, FNM_PERIOD | FNM_NOESCAPE) != 0) {
			continue;
		}
		r = walk_match(walk, folder, entry->d_name, rest);
		if (r < 0) {
			return r;
		}
	}
}

/* Everything in `folder` ("": the root) that matches the pattern's components. */
static int walk_below(struct walk *walk, const char *folder, const char *pattern)
{
	size_t len = strcspn(pattern, "/");
	const char *rest = pattern + len + (pattern[len] == '/');
	CLEANUP(free_p) char *component = strndup(pattern, len);
	CLEANUP(closedir_p) DIR *dir = NULL;
	CLEANUP(fd_closep) int fd = -1;

	if (component == NULL) {
		return -ENOMEM;
	}
	fd = fd_open_beneath(walk->root_fd, folder[0] == '\0' ? "." : folder,
			     O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOTDIR || fd == -ENOENT) {
		return 0; /* a file where the pattern has a folder, or gone by now */
	}
	if (fd < 0) {
		return TAKE_FD(fd);
	}
	if (!input_glob_is_pattern(component)) {
		struct stat st;
		bool exists = fstatat(fd, component, &st, AT_SYMLINK_NOFOLLOW) == 0;

		return exists ? walk_match(walk, folder, component, rest) : 0;
	}
	dir = fdopendir(fd);
	if (dir == NULL) {
		return -errno;
	}
	fd = -1; /* closedir's now */
	return walk_folder(walk, dir, folder, component, rest);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int input_glob_find(int root_fd, const char *pattern, struct input_glob *ret_glob)
{
	struct walk walk = {.root_fd = root_fd};
	int r = walk_below(&walk, "", pattern);

	if (r < 0) {
		input_glob_deinit(&walk.found);
		return r;
	}
	if (walk.found.n > 1) {
		qsort(walk.found.paths, walk.found.n, sizeof(char *), compare_paths);
	}
	*ret_glob = walk.found;
	return 0;
}
