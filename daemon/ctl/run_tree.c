/* SPDX-License-Identifier: MIT */
/*
 * Where the tree may be: the user's own runtime folder first, which is memory and ends with the
 * session; then what is usual for temporary files. The control socket's path must fit into a
 * sockaddr_un, so a base may be too deep as well.
 *
 * A `run` that was killed leaves its tree to the next one. The file `lock` is locked before it has
 * that name, by a description that the private daemon shares: where the lock can be had, both are
 * dead. A tree without that file may be one that is being made, and is left alone.
 */
#include "daemon/ctl/run_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/model/data_path.h"
#include "common/util/atomic_file.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/ctl/term.h"

#define TREE_PREFIX "zooparallel-"
#define TREE_NAME   TREE_PREFIX "XXXXXX"
#define LOCK_NAME   "lock"
#define SOCKET_NAME "run/control.sock"

enum { WALK_FDS = 16, SPEC_MODE = 0600, LOCK_MODE = 0600, TREE_MODE = 0700, N_BASES = 7 };

static const char *const folders[] = {"conf", "spool", "spool/incoming", "state", "run"};

const char *run_tree_path(const struct run_tree *tree, const char *relative,
			  char ret_path[static RUN_TREE_PATH_SIZE])
{
	(void)snprintf(ret_path, RUN_TREE_PATH_SIZE, "%s/%s", tree->path, relative);
	return ret_path;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

void run_tree_remove(struct run_tree *tree)
{
	if (!tree->path[0]) {
		return;
	}
	if (nftw(tree->path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 &&
	    errno != ENOENT) {
		term_error("cannot remove %s: %m; please do", tree->path);
	}
	tree->path[0] = '\0';
	tree->lock_fd = fd_close(tree->lock_fd);
}

static int make_folders(const struct run_tree *tree)
{
	char path[RUN_TREE_PATH_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (mkdir(run_tree_path(tree, folders[i], path), TREE_MODE) < 0) {
			return -errno;
		}
	}
	return 0;
}

static int take_lock(struct run_tree *tree)
{
	char fresh[RUN_TREE_PATH_SIZE], path[RUN_TREE_PATH_SIZE];

	tree->lock_fd = open(run_tree_path(tree, LOCK_NAME ".new", fresh),
			     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, LOCK_MODE);
	return tree->lock_fd < 0 || flock(tree->lock_fd, LOCK_EX | LOCK_NB) < 0 ||
			       rename(fresh, run_tree_path(tree, LOCK_NAME, path)) < 0
		       ? -errno
		       : 0;
}

/* 0, or why not here. */
static int make_in(const char *base, const char *data_root, struct run_tree *ret_tree)
{
	CLEANUP(free_p) char *real_base = realpath(base, NULL);
	struct run_tree tree = RUN_TREE_INIT;
	int r;

	if (!real_base) {
		return -errno;
	}
	if (strlen(real_base) + sizeof("/" TREE_NAME "/" SOCKET_NAME) >
	    sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		return -ENAMETOOLONG;
	}
	(void)snprintf(tree.path, sizeof(tree.path), "%s/" TREE_NAME, real_base);
	if (data_path_overlap(tree.path, data_root)) {
		return -EXDEV;
	}
	if (!mkdtemp(tree.path)) {
		return -errno;
	}
	r = take_lock(&tree);
	r = r < 0 ? r : make_folders(&tree);
	if (r < 0) {
		run_tree_remove(&tree);
		return r;
	}
	*ret_tree = tree;
	return 0;
}

/* Some are NULL or relative, and are none then. */
static void find_bases(char run_user[static RUN_TREE_PATH_SIZE], const char *bases[static N_BASES])
{
	(void)snprintf(run_user, RUN_TREE_PATH_SIZE, "/run/user/%u", geteuid());
	const char *const found[N_BASES] = {
		getenv("XDG_RUNTIME_DIR"),
		getenv("TMPDIR"),
		run_user,
		"/run",
		"/tmp",
		"/var/tmp",
		"/dev/shm",
	};

	for (size_t i = 0; i < N_BASES; i++) {
		bases[i] = found[i] && found[i][0] == '/' ? found[i] : NULL;
	}
}

int run_tree_make(const char *data_root, struct run_tree *ret_tree)
{
	char run_user[RUN_TREE_PATH_SIZE];
	const char *bases[N_BASES];
	int r = -ENOENT;

	find_bases(run_user, bases);
	for (size_t i = 0; i < N_BASES; i++) {
		if (bases[i]) {
			int one = make_in(bases[i], data_root, ret_tree);

			if (one == 0) {
				return 0;
			}
			/* An overlap tells the user more than the missing folders around it. */
			r = r == -EXDEV ? r : one;
		}
	}
	return r;
}

/* Removes it if it is a tree of this user's whose `run` and daemon are dead. */
static void sweep_one(const char *base, const char *name)
{
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;
	struct run_tree found = RUN_TREE_INIT;
	char path[RUN_TREE_PATH_SIZE];
	struct stat status;
	int n = snprintf(found.path, sizeof(found.path), "%s/%s", base, name);

	if (n < 0 || (size_t)n >= sizeof(found.path) || lstat(found.path, &status) < 0 ||
	    !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
		return;
	}
	found.lock_fd = open(run_tree_path(&found, LOCK_NAME, path),
			     O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (found.lock_fd >= 0 && flock(found.lock_fd, LOCK_EX | LOCK_NB) == 0) {
		tree = found;
	} else {
		fd_close(found.lock_fd);
	}
}

static void sweep_base(const char *base)
{
	DIR *folder = opendir(base);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		if (str_starts_with(entry->d_name, TREE_PREFIX) &&
		    strlen(entry->d_name) == sizeof(TREE_NAME) - 1) {
			sweep_one(base, entry->d_name);
		}
	}
	if (folder) {
		closedir(folder);
	}
}

void run_tree_sweep(void)
{
	char run_user[RUN_TREE_PATH_SIZE];
	const char *bases[N_BASES];

	find_bases(run_user, bases);
	for (size_t i = 0; i < N_BASES; i++) {
		if (bases[i]) {
			sweep_base(bases[i]);
		}
	}
}

/*
 * The spool ignores dot files and *.tmp, and its receipts carry an ID in front of the name: a name
 * that would not survive that is replaced where it does not matter, as the spec has been checked
 * to have a good one then.
 */
static const char *spool_name(const char *file_name, char ret_name[static NAME_MAX + 1])
{
	enum { LONGEST = 200 };

	while (*file_name == '.') {
		file_name++;
	}
	if (!*file_name || strlen(file_name) > LONGEST) {
		return "spec.json";
	}
	(void)snprintf(ret_name, NAME_MAX + 1, "%s%s", file_name,
		       str_ends_with(file_name, ".tmp") ? ".json" : "");
	return ret_name;
}

int run_tree_drop_spec(const struct run_tree *tree, const char *file_name, const char *text,
		       size_t len)
{
	CLEANUP(fd_closep) int dir_fd = -1;
	char path[RUN_TREE_PATH_SIZE], name[NAME_MAX + 1];

	dir_fd = open(run_tree_path(tree, "spool/incoming", path),
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		return -errno;
	}
	return atomic_file_write(dir_fd, spool_name(file_name, name), text, len, SPEC_MODE);
}
