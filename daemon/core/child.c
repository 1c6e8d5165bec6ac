/* SPDX-License-Identifier: MIT */
/*
 * The child runs in our memory until its exec (CLONE_VM): a fork copies the page tables and makes
 * every page that either side then writes to a fault, and where faults are dear that costs more
 * than the exec itself. It has a stack of its own, only makes system calls on what has been
 * prepared, and writes to nothing but that stack and the launch, where it leaves the errno of
 * whatever failed: so the caller hears of a missing program as of any other failed call. Signals
 * are blocked meanwhile: a handler that ran in the child would run on our data.
 *
 * Unlike vfork(2) we are not suspended, but wait for a pipe that the exec or a death closes: a
 * child that someone stops before its exec must not stop this loop with it.
 *
 * The program is one descriptor from start to end. A package upgrade that replaces the file under
 * a running daemon so never mixes two builds, which share structs as they are in memory.
 */
#include "daemon/core/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
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
#include "common/util/buf.h"
#include "common/util/checksum.h"
#include "common/util/fd.h"
#include "common/util/str.h"

#define PROGRAM_NAME	  "zooparallel-worker"
#define FIRST_FD	  3
#define MAX_FDS		  1024
#define MAX_ARGUMENTS	  1024 /* prepare gets every data root */
#define MAX_VARIABLES	  64
#define PROGRAM_MAX_BYTES (64 * 1024 * 1024)
#define STACK_BYTES	  (64 * 1024) /* malloc aligns it enough */
#define EXEC_TIMEOUT_MS	  2000
#define EXIT_NO_EXEC	  127 /* the shell's word for it */

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
	int program_fd, null_fd;
	int closing_fd; /* of a pipe; place_fds() must not close it */
	pid_t parent;
	volatile int error; /* of the child: 0 once it has exec'ed */
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
	launch->closing_fd = fcntl(launch->closing_fd, F_DUPFD_CLOEXEC, end);
	launch->program_fd = fcntl(launch->program_fd, F_DUPFD_CLOEXEC, end);
	launch->null_fd = fcntl(launch->null_fd, F_DUPFD_CLOEXEC, end);
	if (launch->closing_fd < 0 || launch->program_fd < 0 || launch->null_fd < 0) {
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

static int launch_child(void *argument)
{
	struct launch *launch = argument;

	launch->error = launch_exec(launch);
	return EXIT_NO_EXEC;
}

/*
 * A child that comes to no end here is killed. What then closes the pipe is its death, of which the
 * caller hears as of any other.
 */
static void wait_for_exec(int closed_fd, pid_t pid)
{
	struct pollfd poll_fd = {.fd = closed_fd, .events = POLLIN};

	if (poll(&poll_fd, 1, EXEC_TIMEOUT_MS) == 0) {
		kill(pid, SIGKILL);
		(void)poll(&poll_fd, 1, -1);
	}
}

/* Returns the pid once the child has exec'ed, is dead, or has set launch->error; or -errno. */
static pid_t launch_start(struct launch *launch)
{
	CLEANUP(free_p) char *stack = malloc(STACK_BYTES);
	int closing[2];
	sigset_t all, before;

	if (!stack) {
		return -ENOMEM;
	}
	if (pipe2(closing, O_CLOEXEC) < 0) {
		return -errno;
	}
	CLEANUP(fd_closep) int closed_fd = closing[0];
	launch->closing_fd = closing[1];
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = clone(launch_child, stack + STACK_BYTES, CLONE_VM | SIGCHLD, launch);
	int error = pid < 0 ? -errno : 0;
	fd_close(closing[1]);
	if (pid > 0) {
		wait_for_exec(closed_fd, pid);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return error < 0 ? error : pid;
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
	if (null_fd < 0) {
		return -errno;
	}
	launch.null_fd = null_fd;
	pid_t pid = launch_start(&launch);
	if (pid < 0) {
		return pid;
	}
	if (launch.error < 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
		}
		return launch.error;
	}
	*ret_pid = pid;
	return 0;
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

/* An O_PATH descriptor can't be read: it is opened anew, through its own link. */
static int open_for_reading(int program_fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", program_fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int child_program_id(int program_fd, uint64_t *ret_id)
{
	CLEANUP(fd_closep) int fd = open_for_reading(program_fd);
	CLEANUP(buf_deinit) struct buf bytes = BUF_INIT;

	if (fd < 0) {
		return fd;
	}
	int r = fd_read_all(fd, PROGRAM_MAX_BYTES, &bytes);
	if (r < 0) {
		return r;
	}
	uint64_t id = checksum_add(CHECKSUM_INIT, bytes.data != NULL ? bytes.data : "", bytes.len);
	*ret_id = id != 0 ? id : 1;
	return 0;
}
