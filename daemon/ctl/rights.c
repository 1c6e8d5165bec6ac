/* SPDX-License-Identifier: MIT */
/*
 * Mode bits are half of the truth: read-only mounts, ACLs and security modules have their say too.
 * So it is tried, by a child that has become the user with all of its groups. An errno fits into
 * an exit status.
 */
#include "daemon/ctl/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

static int become(uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	if (geteuid() == uid) {
		return 0;
	}
	if (!user) {
		return ESRCH;
	}
	return initgroups(user->pw_name, user->pw_gid) < 0 ||
			       setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
			       setresuid(uid, uid, uid) < 0
		       ? errno
		       : 0;
}

/* A file that has no name, or where a file system can't do that, what access(2) says. */
static int try_write(const char *path)
{
	int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0) {
		return 0;
	}
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT) {
		return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
	}
	return errno;
}

static int try(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || faccessat(fd, ".", R_OK | X_OK, AT_EACCESS) < 0) {
		return errno;
	}
	return try_write(path);
}

int rights_try(uid_t uid, const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		return -errno;
	}
	if (pid == 0) {
		int error = become(uid);

		_exit(error ? error : try(path));
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			return -errno;
		}
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}
