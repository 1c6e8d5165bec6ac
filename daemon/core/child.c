/* SPDX-License-Identifier: MIT */
/*
 * Between fork and exec the child only makes system calls on what the parent has prepared: no
 * memory is asked for, nothing is looked up by a path but /dev/null. A pipe that closes on exec
 * carries the errno of whatever fails there, so the caller hears of a missing program as of any
 * other failed call. Reading it waits for the exec: about a millisecond.
 *
 * The program is one descriptor from start to end. A package upgrade that replaces the file under
 * a running daemon so never mixes two builds, which share structs as they are in memory.
 */
#include "daemon/core/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "common/model/worker_protocol.h"
#include "common/util/fd.h"
#include "common/util/str.h"

#define PROGRAM_NAME  "zooparallel-worker"
#define FIRST_FD      3
#define MAX_FDS	      1024
#define MAX_ARGUMENTS 1024 /* prepare gets every data root */
#define MAX_VARIABLES 64
#define EXIT_NO_EXEC  127 /* the shell's word for it */

/* What a worker may know of our environment: names, and prefixes that end in an underscore. */
static const char *const passed_variables[] = {
	"PATH",
	"LANG",
	"TZ",
	"ZOOPARALLEL_",
	"ASAN_OPTIONS",
	"LSAN_OPTIONS",
	"UBSAN_OPTIONS",
	"MSAN_OPTIONS",
	"TSAN_OPTIONS",
	"GCOV_PREFIX",
	"LLVM_PROFILE_FILE",
};

/* All that the child needs, made before the fork. */
struct launch {
	int program_fd, report_fd, null_fd;
	pid_t parent;
	const int *fds;
	size_t n_fds;
	char *argv[MAX_ARGUMENTS + 2];
	char *envp[MAX_VARIABLES + 2];
	char supervisor[64];
};

static bool is_passed(const char *variable)
{
	const char *equals = strchr(variable, '=');
	if (!equals || str_starts_with(variable, WORKER_ENV_SUPERVISOR "=")) {
		return false;
	}
	size_t len = (size_t)(equals - variable);
	for (size_t i = 0; i < ARRAY_SIZE(passed_variables); i++) {
		const char *passed = passed_variables[i];
		size_t n = strlen(passed);
		bool is_prefix = passed[n - 1] == '_';
		if ((is_prefix ? len > n : len == n) && strncmp(variable, passed, n) == 0) {
			return true;
		}
	}
	return false;
}

static int launch_set_environment(struct launch *launch)
{
	size_t n = 0;
	snprintf(launch->supervisor, sizeof(launch->supervisor), "%s=%ld", WORKER_ENV_SUPERVISOR,
		 (long)launch->parent);
	launch->envp[n++] = launch->supervisor;
	for (char **variable = environ; *variable; variable++) {
		if (!is_passed(*variable)) {
			continue;
		}
		if (n > MAX_VARIABLES) {
			return -E2BIG;
		}
		launch->envp[n++] = *variable;
	}
	launch->envp[n] = NULL;
	return 0;
}

/* exec(2) takes `char *const *` and changes nothing in it: the one place that drops the const. */
static char *unconst(const char *text)
{
	char *plain;
	memcpy(&plain, &text, sizeof(plain));
	return plain;
}

static int launch_set_arguments(struct launch *launch, const char *const *arguments)
{
	size_t n = 0;
	launch->argv[n++] = unconst(PROGRAM_NAME);
	for (; *arguments; arguments++) {
		if (n > MAX_ARGUMENTS) {
			return -E2BIG;
		}
		launch->argv[n++] = unconst(*arguments);
	}
	launch->argv[n] = NULL;
	return 0;
}

/*
 * Puts fds[i] at FIRST_FD + i. They may lie in each other's places, so all are moved above the
 * range first. The copies, as everything that was open, are closed by the exec.
 */
static int place_fds(struct launch *launch)
{
	int end = FIRST_FD + (int)launch->n_fds;
	int high[MAX_FDS];
	launch->report_fd = fcntl(launch->report_fd, F_DUPFD_CLOEXEC, end);
	launch->program_fd = fcntl(launch->program_fd, F_DUPFD_CLOEXEC, end);
	launch->null_fd = fcntl(launch->null_fd, F_DUPFD_CLOEXEC, end);
	if (launch->report_fd < 0 || launch->program_fd < 0 || launch->null_fd < 0) {
		return -errno;
	}
	for (size_t i = 0; i < launch->n_fds; i++) {
		high[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, end);
		if (high[i] < 0) {
			return -errno;
		}
	}
	for (size_t i = 0; i < launch->n_fds; i++) {
		if (dup2(high[i], FIRST_FD + (int)i) < 0) {
			return -errno;
		}
	}
	if (dup2(launch->null_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		return -errno;
	}
	return close_range((unsigned)end, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

/* Ignored signals and the mask would outlive the exec; handlers would not. */
static int reset_signals(void)
{
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction action = {.sa_handler = SIG_DFL};
		if (sigaction(number, &action, NULL) < 0 && errno != EINVAL) {
			return -errno; /* EINVAL: SIGKILL, SIGSTOP and what the C library keeps */
		}
	}
	sigset_t none;
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* In the child. Returns only what failed. */
static int launch_exec(struct launch *launch)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
		return -errno;
	}
	if (getppid() != launch->parent) {
		return -ESRCH; /* the supervisor died before the line above */
	}
	int r = place_fds(launch);
	if (r < 0) {
		return r;
	}
	r = reset_signals();
	if (r < 0) {
		return r;
	}
	execveat(launch->program_fd, "", launch->argv, launch->envp, AT_EMPTY_PATH);
	return -errno;
}

static void launch_child(struct launch *launch)
{
	int report_fd = launch->report_fd;
	int error = launch_exec(launch);
	/* place_fds has moved it, unless that is what failed: then the old number is good. */
	if (launch->report_fd >= 0) {
		report_fd = launch->report_fd;
	}
	ssize_t n = write(report_fd, &error, sizeof(error));
	_exit(n == sizeof(error) ? EXIT_NO_EXEC : EXIT_NO_EXEC - 1);
}

/* 0 once the child has exec'ed, or what it reported. */
static int wait_for_exec(int report_fd, pid_t pid)
{
	int error = 0;
	ssize_t n;
	do {
		n = read(report_fd, &error, sizeof(error));
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(error)) {
		return 0; /* closed: by the exec, or by a death that its pidfd will tell */
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
	}
	return error;
}

int child_spawn(int program_fd, const struct child_spec *spec, pid_t *ret_pid)
{
	struct launch launch = {.program_fd = program_fd,
				.parent = getpid(),
				.fds = spec->fds,
				.n_fds = spec->n_fds};
	if (spec->n_fds > MAX_FDS) {
		return -EMFILE;
	}
	int r = launch_set_arguments(&launch, spec->argv);
	if (r < 0) {
		return r;
	}
	r = launch_set_environment(&launch);
	if (r < 0) {
		return r;
	}
	CLEANUP(fd_closep) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int report[2];
	if (null_fd < 0 || pipe2(report, O_CLOEXEC) < 0) {
		return -errno;
	}
	CLEANUP(fd_closep) int read_fd = report[0];
	launch.report_fd = report[1];
	launch.null_fd = null_fd;
	pid_t pid = fork();
	if (pid == 0) {
		launch_child(&launch);
	}
	r = pid < 0 ? -errno : 0;
	fd_close(report[1]);
	if (r == 0) {
		r = wait_for_exec(read_fd, pid);
	}
	if (r == 0) {
		*ret_pid = pid;
	}
	return r;
}

static int open_program(const char *dir, size_t dir_len)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*s/%s", (int)dir_len, dir, PROGRAM_NAME);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		return -ENAMETOOLONG;
	}
	int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int child_find_program(int *ret_program_fd)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	const char *slash = n > 0 ? memrchr(self, '/', (size_t)n) : NULL;
	int fd = slash ? open_program(self, (size_t)(slash - self)) : -ENOENT;
	if (fd < 0) {
		fd = open_program(ZOOPARALLEL_LIBEXECDIR, strlen(ZOOPARALLEL_LIBEXECDIR));
	}
	if (fd < 0) {
		return fd;
	}
	*ret_program_fd = fd;
	return 0;
}
