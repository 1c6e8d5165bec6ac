/* SPDX-License-Identifier: MIT */

/*
 * The locks are flocks on a file in the state and in the runtime directory: they go with the
 * process, however that ends, and a stale file means nothing. Its text, the pid, is for people
 * only.
 *
 * Write access is tried by making a file, not asked for by mode bits: a read-only mount, a full
 * or broken file system and a sandbox all answer the same question.
 */

#include "daemon/core/directories.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/atomic_file.h"
#include "common/util/buf.h"
#include "common/util/fd.h"
#include "daemon/core/config.h"
#include "daemon/core/sandbox.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

#define N_OWN 3 /* spool, state and run */

#define PRIVATE_MODE 0750
#define SPOOL_MODE   0770

static int fail(struct directories_error *error, const char *what, const char *path, int status,
		const char *advice)
{
	snprintf(error->message, sizeof(error->message), "%s %s: %s; %s", what, path,
		 strerror(-status), advice);
	return status;
}

/* mkdir -p for the last components that are missing. */
static int make_path(const char *path, mode_t mode)
{
	char copy[4096];

	if (mkdir(path, mode) == 0 || errno == EEXIST) {
		return 0;
	}
	if (errno != ENOENT || strlen(path) >= sizeof(copy)) {
		return -errno;
	}
	memcpy(copy, path, strlen(path) + 1);
	char *slash = strrchr(copy, '/');
	if (slash == NULL || slash == copy) {
		return -ENOENT;
	}
	*slash = '\0';
	int r = make_path(copy, 0755);
	if (r < 0) {
		return r;
	}
	return mkdir(path, mode) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Can a file be made here? */
static int try_write(int dir)
{
	int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0 ? 0 : -errno;
	}
	if (fd < 0) {
		return -errno;
	}
	close(fd);
	return 0;
}

static int open_own(const char *key, const char *path, mode_t mode, int *ret_fd,
		    struct directories_error *error)
{
	char what[64];
	int r = make_path(path, mode);

	snprintf(what, sizeof(what), "cannot use %s", key);
	if (r < 0) {
		return fail(error, what, path, r, "create it, or name another one");
	}
	*ret_fd = open(path, DIR_FLAGS);
	if (*ret_fd < 0) {
		return fail(error, what, path, -errno, "it must be a directory that we can read");
	}
	r = try_write(*ret_fd);
	if (r < 0) {
		return fail(error, what, path, r,
			    "we must be able to write there (see ReadWritePaths= of the unit)");
	}
	return 0;
}

static int open_jobs(int parent, const char *parent_path, int *ret_fd,
		     struct directories_error *error)
{
	if (mkdirat(parent, "jobs", PRIVATE_MODE) < 0 && errno != EEXIST) {
		return fail(error, "cannot create jobs/ in", parent_path, -errno,
			    "check its rights and free space");
	}
	*ret_fd = openat(parent, "jobs", DIR_FLAGS | O_NOFOLLOW);
	if (*ret_fd < 0) {
		return fail(error, "cannot open jobs/ in", parent_path, -errno, "check its rights");
	}
	return 0;
}

static int open_root(const char *path, struct directories *dirs, struct buf *closed,
		     struct directories_error *error)
{
	int fd = open(path, DIR_FLAGS);

	if (fd < 0) {
		return fail(error, "cannot use the data root", path, -errno,
			    "create it, or correct data_roots");
	}
	dirs->roots[dirs->n_roots++] = fd;
	if (try_write(fd) == -EROFS && sandbox_closes(fd)) {
		buf_printf(closed, " %s", path);
	}
	return 0;
}

/* ReadWritePaths= takes a list, so one line of advice does for all roots. */
static int describe_closed(struct buf *closed, char **ret_problem)
{
	const char *paths = buf_terminated(closed);

	if (paths == NULL) {
		return -ENOMEM;
	}
	if (closed->len == 0) {
		return 0;
	}
	if (asprintf(ret_problem,
		     "the service may not write to the data roots%s: run `systemctl edit "
		     "zooparallel`, add ReadWritePaths=%s under [Service], and restart it",
		     paths, paths + 1) < 0) {
		*ret_problem = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int open_roots(const struct config *config, struct directories *dirs,
		      struct directories_error *error)
{
	CLEANUP(buf_deinit) struct buf closed = BUF_INIT;

	dirs->roots = calloc(config->data_roots.n_items + N_OWN, sizeof(*dirs->roots));
	if (dirs->roots == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < config->data_roots.n_items; i++) {
		int r = open_root(config->data_roots.items[i], dirs, &closed, error);

		if (r < 0) {
			return r;
		}
	}
	return describe_closed(&closed, &dirs->problem);
}

/* Says who holds the lock already, by the pid in its file. */
static int refuse_second(int lock, const char *key, const char *path,
			 struct directories_error *error)
{
	char pid[32];
	ssize_t n = pread(lock, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	snprintf(error->message, sizeof(error->message),
		 "another zooparalleld (pid %s) uses the %s %s; stop it, or give this one its own",
		 pid[0] != '\0' ? pid : "unknown", key, path);
	return -EBUSY;
}

static int take_lock(int dir, const char *key, const char *path, int *ret_lock,
		     struct directories_error *error)
{
	CLEANUP(fd_closep)
	int lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	char pid[32];

	if (lock < 0) {
		return fail(error, "cannot open the lock file in", path, -errno,
			    "check its rights");
	}
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		return errno == EWOULDBLOCK ? refuse_second(lock, key, path, error)
					    : fail(error, "cannot lock", path, -errno,
						   "is it a local file system?");
	}
	int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(lock, 0) < 0 || pwrite(lock, pid, (size_t)len, 0) != len) {
		return fail(error, "cannot write the lock file in", path, -errno,
			    "check the free space");
	}
	*ret_lock = TAKE_FD(lock);
	return 0;
}

/* jobs/ lie below state and run. */
static void set_reach(struct directories *dirs)
{
	const int own[N_OWN] = {dirs->spool, dirs->state, dirs->run};

	memcpy(dirs->roots + dirs->n_roots, own, sizeof(own));
	dirs->reach = (struct storage_reach){.fds = dirs->roots, .n_fds = dirs->n_roots + N_OWN};
}

static int open_all(const struct config *config, struct directories *dirs,
		    struct directories_error *error)
{
	int r;

	if ((r = open_roots(config, dirs, error)) < 0 ||
	    (r = open_own("state_dir", config->state_dir, PRIVATE_MODE, &dirs->state, error)) < 0 ||
	    (r = take_lock(dirs->state, "state_dir", config->state_dir, &dirs->lock, error)) < 0 ||
	    (r = open_own("spool_dir", config->spool_dir, SPOOL_MODE, &dirs->spool, error)) < 0 ||
	    (r = open_own("run_dir", config->run_dir, PRIVATE_MODE, &dirs->run, error)) < 0 ||
	    (r = take_lock(dirs->run, "run_dir", config->run_dir, &dirs->run_lock, error)) < 0 ||
	    (r = open_jobs(dirs->state, config->state_dir, &dirs->jobs, error)) < 0 ||
	    (r = open_jobs(dirs->run, config->run_dir, &dirs->run_jobs, error)) < 0) {
		return r;
	}
	set_reach(dirs);
	/* The locks are ours, so nobody else writes there. */
	r = atomic_file_sweep(dirs->state);
	r = r < 0 ? r : atomic_file_sweep(dirs->run);
	return r < 0 ? fail(error, "cannot sweep", config->state_dir, r, "check its rights") : 0;
}

int directories_open(const struct config *config, struct directories *ret_directories,
		     struct directories_error *ret_error)
{
	struct directories dirs = {.spool = -1,
				   .state = -1,
				   .jobs = -1,
				   .run = -1,
				   .run_jobs = -1,
				   .lock = -1,
				   .run_lock = -1};
	int r;

	*ret_error = (struct directories_error){.message = "out of memory"};
	r = open_all(config, &dirs, ret_error);
	if (r < 0) {
		directories_close(&dirs);
		return r;
	}
	*ret_directories = dirs;
	return 0;
}

void directories_close(struct directories *directories)
{
	for (size_t i = 0; i < directories->n_roots; i++) {
		fd_close(directories->roots[i]);
	}
	free(directories->roots);
	free(directories->problem);
	fd_close(directories->run_jobs);
	fd_close(directories->run);
	fd_close(directories->jobs);
	fd_close(directories->spool);
	fd_close(directories->run_lock);
	fd_close(directories->lock);
	fd_close(directories->state);
	*directories = (struct directories){0};
}
