/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Locks children in as a worker does, with a kernel that can be made to have less or to fail: the
 * C library's syscall(2) is replaced by ours.
 */
#include "daemon/worker/restrict.h"

#include <dlfcn.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "build_config.h"
#include "tests/support/tree.h"
#include "tests/support/unit.h"

enum { EXIT_BROKEN = 99, EXIT_REFUSES_TO_WORK = 98 };

/* --- a kernel of our own ---------------------------------------------------------------------- */

/* Lets one kind of call fail. */
static struct {
	long number;
	int error;
	int n_before; /* so many are let through */
} fault;
/* Pretends to have this version of Landlock; 0: the true one. */
static long pretended_abi;
static struct {
	size_t size;
	uint64_t access, net, scoped;
} ruleset;

static inline long true_syscall(long number, const long arguments[6])
{
	static long (*next)(long number, ...);

	if (next == NULL) {
		void *symbol = dlsym(RTLD_NEXT, "syscall");

		memcpy(&next, &symbol, sizeof(next));
	}
	return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		    arguments[5]);
}

static inline bool is_to_fail(long number)
{
	return fault.error != 0 && fault.number == number && fault.n_before-- == 0;
}

long syscall(long number, ...)
{
	long arguments[6];
	va_list args;

	va_start(args, number);
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		arguments[i] = va_arg(args, long);
	}
	va_end(args);
	if (is_to_fail(number)) {
		errno = fault.error;
		return -1;
	}
	if (number == SYS_landlock_create_ruleset && arguments[0] != 0) {
		memset(&ruleset, 0, sizeof(ruleset));
		ruleset.size = (size_t)arguments[1];
		memcpy(&ruleset.access, (void *)arguments[0], ruleset.size);
	} else if (number == SYS_landlock_create_ruleset && pretended_abi > 0) {
		return pretended_abi;
	}
	return true_syscall(number, arguments);
}

/* --- a process that is locked in -------------------------------------------------------------- */

static struct tree tree;
static int in_fd, out_fd; /* two folders of the tree; all tests allow the first */

static inline void setup(void)
{
	tree_setup(&tree);
	in_fd = make_dir(tree.dir_fd, "in");
	out_fd = make_dir(tree.dir_fd, "out");
	make_file(in_fd, "file", "in");
	make_file(in_fd, "other", "in");
	make_file(out_fd, "file", "out");
	memset(&fault, 0, sizeof(fault));
	pretended_abi = 0;
}

static inline void teardown(void)
{
	fd_close(in_fd);
	fd_close(out_fd);
	tree_teardown(&tree);
}

static inline bool has_landlock(void)
{
	struct landlock landlock = LANDLOCK_INIT;
	int r = landlock_open(1, &landlock);

	landlock_close(&landlock);
	return r == 0;
}

static inline bool has_filters(void)
{
	return ZOOPARALLEL_HAS_FILTERS &&
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) < 0 && errno == EFAULT;
}

/* In a child: what is not so ends it. */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(STDERR_FILENO, "not so: %s (%s)\n", #condition, strerror(errno));  \
			_exit(EXIT_BROKEN);                                                        \
		}                                                                                  \
	} while (0)

static inline void say(void *userdata, const char *message)
{
	dprintf(STDERR_FILENO, "%s: %s\n", (const char *)userdata, message);
}

static inline void lock_in(enum syscall_filter mode, int fd)
{
	static char who[] = "told";
	struct restriction restriction;
	struct report report = {0};

	int r = restrict_init(mode, &restriction, &report);
	restriction.refused = say;
	restriction.userdata = who;
	if (r < 0 || restrict_allow(&restriction, fd, &report) < 0 ||
	    restrict_enter(&restriction, &report) < 0) {
		restrict_deinit(&restriction);
		dprintf(STDERR_FILENO, "%s: %s\n", job_reason_name(report.reason), report.message);
		_exit(EXIT_REFUSES_TO_WORK);
	}
}

struct outcome {
	int status; /* of waitpid(2) */
	char said[4096];
};

/* Lets fn run in a child, until its end. */
static inline struct outcome run(void (*fn)(const void *argument), const void *argument)
{
	struct outcome outcome = {0};
	int ends[2];
	size_t len = 0;
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		fn(argument);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], outcome.said + len, sizeof(outcome.said) - 1 - len)) > 0) {
		len += (size_t)n;
	}
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &outcome.status, 0), pid);
	return outcome;
}

static inline void assert_well(struct outcome outcome)
{
	ck_assert_msg(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0,
		      "status %x: %s", outcome.status, outcome.said);
}

static inline void assert_killed(struct outcome outcome, int signal_number)
{
	ck_assert_msg(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == signal_number,
		      "status %x: %s", outcome.status, outcome.said);
}
