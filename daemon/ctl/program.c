/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn(3) reports a missing program as its own failure, which fork and exec would need a
 * pipe for. Both outputs are read in one poll(2): a program that fills one pipe while we wait for
 * the other would hang.
 */
#include "daemon/ctl/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/process.h"

/* From this program's folder: the build folder's; an installation's. */
static const char *const daemon_places[] = {"zooparalleld", "../sbin/zooparalleld"};

enum { READ_SIZE = 4096 };

int program_find_daemon(char **ret_path)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0) {
		return -errno;
	}
	self[n] = '\0';
	*(strrchr(self, '/') + 1) = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(daemon_places); i++) {
		CLEANUP(free_p) char *path = NULL;

		if (asprintf(&path, "%s%s", self, daemon_places[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (access(path, X_OK) == 0) {
			*ret_path = realpath(path, NULL); /* people are to read it: no ".." */
			return *ret_path != NULL ? 0 : -errno;
		}
	}
	return -ENOENT;
}

void program_result_deinit(struct program_result *result)
{
	buf_deinit(&result->out);
	buf_deinit(&result->err);
}

struct pipes {
	int out[2], err[2];
};

static void pipes_close(struct pipes *pipes)
{
	for (size_t i = 0; i < 2; i++) {
		pipes->out[i] = fd_close(pipes->out[i]);
		pipes->err[i] = fd_close(pipes->err[i]);
	}
}

static int spawn(char *const *argv, const struct pipes *pipes, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0) {
		return -r;
	}
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		sigemptyset(&none);
		(void)posix_spawnattr_setsigmask(&attributes, &none);
		(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
		r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY,
						     0);
		r = r ? r : posix_spawn_file_actions_adddup2(&actions, pipes->out[1], 1);
		r = r ? r : posix_spawn_file_actions_adddup2(&actions, pipes->err[1], 2);
		r = r ? r : posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* 1: there may be more; 0: the end; -errno. */
static int read_more(int fd, struct buf *out)
{
	char data[READ_SIZE];
	ssize_t n = read(fd, data, sizeof(data));

	if (n < 0) {
		return errno == EINTR ? 1 : -errno;
	}
	buf_add(out, data, (size_t)n);
	if (buf_error(out) < 0) {
		return -ENOMEM;
	}
	return out->len > PROGRAM_MAX_BYTES ? -EFBIG : n > 0;
}

static int read_both(const struct pipes *pipes, int64_t deadline_ns, struct program_result *result)
{
	struct pollfd fds[] = {{.fd = pipes->out[0], .events = POLLIN},
			       {.fd = pipes->err[0], .events = POLLIN}};
	struct buf *bufs[] = {&result->out, &result->err};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
		int n = poll(fds, ARRAY_SIZE(fds), (int)MAX(left_ms, INT64_C(0)));

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n == 0) {
			return -ETIMEDOUT;
		}
		for (size_t i = 0; n > 0 && i < ARRAY_SIZE(fds); i++) {
			int r = fds[i].fd >= 0 && fds[i].revents ? read_more(fds[i].fd, bufs[i])
								 : 1;

			if (r < 0) {
				return r;
			}
			fds[i].fd = r == 0 ? -1 : fds[i].fd;
		}
	}
	return 0;
}

/* A program may close its outputs and go on. */
static int await_end(pid_t pid, int64_t deadline_ns)
{
	CLEANUP(fd_closep) int pid_fd = process_pidfd_open(pid);
	struct pollfd end = {.fd = pid_fd, .events = POLLIN};
	int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
	int n;

	if (pid_fd < 0) {
		return pid_fd;
	}
	while ((n = poll(&end, 1, (int)MAX(left_ms, INT64_C(0)))) < 0 && errno == EINTR) {
	}
	return n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

int program_run(char *const *argv, int64_t timeout_ns, struct program_result *ret)
{
	CLEANUP(pipes_close) struct pipes pipes = {{-1, -1}, {-1, -1}};
	int64_t deadline_ns = clock_monotonic_ns() + timeout_ns;
	pid_t pid = 0;
	int r;

	if (pipe2(pipes.out, O_CLOEXEC) < 0 || pipe2(pipes.err, O_CLOEXEC) < 0) {
		return -errno;
	}
	r = spawn(argv, &pipes, &pid);
	if (r < 0) {
		return r;
	}
	pipes.out[1] = fd_close(pipes.out[1]);
	pipes.err[1] = fd_close(pipes.err[1]);
	r = read_both(&pipes, deadline_ns, ret);
	r = r < 0 ? r : await_end(pid, deadline_ns);
	if (r < 0) {
		(void)kill(pid, SIGKILL);
	}
	while (waitpid(pid, &ret->status, 0) < 0 && errno == EINTR) {
	}
	return r;
}
