/* SPDX-License-Identifier: MIT */
/*
 * A directory's entries for the spool, which wants the oldest first: what waited while the daemon
 * was down runs in the order in which it came.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/worker/storage_ops.h"

struct entry {
	int64_t mtime_ns;
	char *name;
};

struct entries {
	struct entry *items;
	size_t n_items, capacity;
};

static void entries_deinit(struct entries *entries)
{
	for (size_t i = 0; i < entries->n_items; i++) {
		free(entries->items[i].name);
	}
	free(entries->items);
}

static int entries_add(struct entries *entries, int dir_fd, const char *name)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (entries->n_items == entries->capacity) {
		size_t capacity = entries->capacity ? 2 * entries->capacity : 64;
		struct entry *items = reallocarray(entries->items, capacity, sizeof(*items));
		if (!items) {
			return -ENOMEM;
		}
		entries->items = items;
		entries->capacity = capacity;
	}
	char *copy = strdup(name);
	if (!copy) {
		return -ENOMEM;
	}
	entries->items[entries->n_items++] = (struct entry){
		.mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
		.name = copy};
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->mtime_ns != y->mtime_ns) {
		return x->mtime_ns < y->mtime_ns ? -1 : 1;
	}
	return strcmp(x->name, y->name);
}

static int entries_write(const struct entries *entries, size_t max_names, int fd)
{
	for (size_t i = 0; i < entries->n_items && i < max_names; i++) {
		const char *name = entries->items[i].name;
		int r = fd_write_all(fd, name, strlen(name) + 1);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static bool is_listed(const struct storage_request *request, const char *name)
{
	return name[0] != '.' && str_ends_with(name, request->name) &&
	       (request->to_name[0] == '\0' || !str_ends_with(name, request->to_name));
}

static int entries_read(DIR *dir, const struct storage_request *request, bool is_counting_only,
			struct entries *entries, uint64_t *ret_count)
{
	struct dirent *entry;
	uint64_t count = 0;
	while ((errno = 0, entry = readdir(dir))) {
		if (!is_listed(request, entry->d_name)) {
			continue;
		}
		count++;
		int r = is_counting_only ? 0 : entries_add(entries, dirfd(dir), entry->d_name);
		if (r < 0) {
			return r;
		}
	}
	*ret_count = count;
	return -errno;
}

int storage_op_list(const struct storage_request *request, const int *fds,
		    struct storage_reply *reply)
{
	CLEANUP(entries_deinit) struct entries entries = {0};
	bool is_counting_only = request->n_fds == 1;
	CLEANUP(fd_closep) int fd = openat(fds[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		return -errno;
	}
	fd = -1;
	int r = entries_read(dir, request, is_counting_only, &entries, &reply->count);
	closedir(dir);
	if (r < 0 || is_counting_only) {
		return r;
	}
	if (entries.n_items == 0) {
		return 0; /* qsort(3) takes no NULL */
	}
	qsort(entries.items, entries.n_items, sizeof(*entries.items), compare_entries);
	return entries_write(&entries, request->size, fds[1]);
}
