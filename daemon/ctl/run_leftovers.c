/* SPDX-License-Identifier: MIT */
/*
 * A service would clean up when it starts again; a private daemon never does. The ID in the name
 * makes sure that the files are ours. As in the daemon, no path leads out of the data root.
 */
#include "daemon/ctl/run_leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/model/data_path.h"
#include "common/model/job_spec.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/ctl/run_result.h"
#include "daemon/ctl/term.h"

/* Takes over the descriptor. */
static void remove_in_folder(int folder_fd, const char *prefix)
{
	DIR *folder = fdopendir(folder_fd);
	struct dirent *entry;

	if (!folder) {
		fd_close(folder_fd);
		return;
	}
	while ((entry = readdir(folder))) {
		if (str_starts_with(entry->d_name, prefix) &&
		    str_ends_with(entry->d_name, ".part") &&
		    unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT) {
			term_error("cannot remove the temporary output %s: %m; please do",
				   entry->d_name);
		}
	}
	closedir(folder);
}

static void remove_beside(int root_fd, const char *data_root, const char *target,
			  const char *prefix)
{
	char *const roots[] = {(char *)(uintptr_t)data_root};
	CLEANUP(free_p) char *relative = NULL;
	size_t root_index;
	char *slash;
	int folder_fd;

	if (!target || data_path_resolve(roots, 1, target, &root_index, &relative) < 0) {
		return;
	}
	slash = strrchr(relative, '/');
	if (slash) {
		*slash = '\0';
	}
	folder_fd = fd_open_beneath(root_fd, slash ? relative : ".", O_RDONLY | O_DIRECTORY, 0);
	if (folder_fd >= 0) {
		remove_in_folder(folder_fd, prefix);
	}
}

void run_leftovers_remove(const struct run_tree *tree, const char *data_root,
			  const struct spec_file *spec)
{
	CLEANUP(job_spec_freep) struct job_spec *job = NULL;
	CLEANUP(fd_closep) int root_fd = open(data_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char id[NAME_MAX + 1], prefix[NAME_MAX + 8];
	struct spec_error error;

	if (root_fd < 0 || run_result_find_id(tree, id) < 0 ||
	    job_spec_parse(spec->text, spec->len, &job, &error) < 0) {
		return;
	}
	(void)snprintf(prefix, sizeof(prefix), ".zp-%s-", id);
	for (size_t i = 0; i < job->n_pipes; i++) {
		remove_beside(root_fd, data_root, job->pipes[i].output.path, prefix);
		remove_beside(root_fd, data_root, job->pipes[i].errors.path, prefix);
	}
}
