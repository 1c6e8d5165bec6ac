/* SPDX-License-Identifier: MIT */
/* Which system calls a worker can still make once it is locked in, and what its last one does. */
#include "tests/support/locked_in.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "common/util/log.h"
#include "common/util/process.h"

static void lock_in_and_wait(const void *mode)
{
	lock_in(*(const enum syscall_filter *)mode, in_fd);
	dprintf(STDERR_FILENO, ".");
	for (;;) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_sec = 1}, NULL);
	}
}

static char *status_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return file_text(AT_FDCWD, path);
}

START_TEST(the_kernel_says_that_a_locked_in_process_is)
{
	for (enum syscall_filter mode = 0; mode < SYSCALL_N_FILTERS; mode++) {
		int ends[2];
		char byte;

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		pid_t pid = fork();
		if (pid == 0) {
			dup2(ends[1], STDERR_FILENO);
			lock_in_and_wait(&mode);
		}
		ck_assert_int_eq(read(ends[0], &byte, 1), 1);
		CLEANUP(free_p) char *text = status_of(pid);
		ck_assert_ptr_nonnull(strstr(text, "\nNoNewPrivs:\t1\n"));
		ck_assert(!has_filters() || strstr(text, "\nSeccomp:\t2\n") != NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		close(ends[0]);
		close(ends[1]);
	}
}
END_TEST

struct call {
	const char *name;
	long number;
	long arguments[6];
	bool has_sanitizer; /* its runtime makes it, too */
	unsigned modes_that_may;
};

#define MAY(mode) (1U << SYSCALL_FILTER_##mode)

static const struct call calls[] = {
	{"execve", SYS_execve, {0}, false, 0},
	{"execveat", SYS_execveat, {0}, false, 0},
	{"fork", SYS_fork, {0}, false, 0},
	{"clone", SYS_clone, {SIGCHLD}, true, 0},
	{"clone3", SYS_clone3, {0}, false, 0},
	{"socket", SYS_socket, {AF_UNIX, SOCK_STREAM}, false, 0},
	{"connect", SYS_connect, {0}, false, 0},
	{"bind", SYS_bind, {0}, false, 0},
	{"kill", SYS_kill, {1, 0}, false, 0},
	{"tgkill", SYS_tgkill, {1, 1, 0}, true, 0},
	{"ptrace", SYS_ptrace, {0}, true, 0},
	{"prctl", SYS_prctl, {PR_GET_DUMPABLE}, true, 0},
	{"prlimit64", SYS_prlimit64, {0}, true, 0},
	{"rt_sigaction", SYS_rt_sigaction, {SIGSYS, 0, 0, 8}, true, 0},
	{"open", SYS_open, {0}, true, 0},
	{"openat", SYS_openat, {-1, 0, 0}, true, MAY(STORAGE)},
	{"openat2", SYS_openat2, {-1, 0, 0}, false, MAY(PREPARE) | MAY(CONVERT)},
	{"unlinkat", SYS_unlinkat, {-1, 0}, false, MAY(STORAGE)},
	{"unlink", SYS_unlink, {0}, false, 0},
	{"symlinkat", SYS_symlinkat, {0, -1, 0}, false, 0},
	{"mknodat", SYS_mknodat, {-1, 0}, false, 0},
	{"fchmodat", SYS_fchmodat, {-1, 0}, false, 0},
	{"chdir", SYS_chdir, {0}, false, 0},
	{"ioctl", SYS_ioctl, {-1}, true, 0},
	{"fcntl", SYS_fcntl, {0, F_GETFL}, true, MAY(STORAGE) | MAY(PREPARE)},
	{"fcntl", SYS_fcntl, {0, F_SETOWN, 1}, true, 0},
	{"mmap", SYS_mmap, {0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}, false, 0},
	{"mprotect", SYS_mprotect, {0, 0, PROT_READ | PROT_EXEC}, false, 0},
	{"process_vm_writev", SYS_process_vm_writev, {0}, false, 0},
	{"pidfd_open", SYS_pidfd_open, {1}, false, 0},
	{"io_uring_setup", SYS_io_uring_setup, {0}, false, 0},
	{"bpf", SYS_bpf, {0}, false, 0},
	{"unshare", SYS_unshare, {0}, false, 0},
	{"setuid", SYS_setuid, {0}, false, 0},
};

struct trial {
	const struct call *call;
	enum syscall_filter mode;
};

static void make_call(const void *argument)
{
	const struct trial *trial = argument;

	lock_in(trial->mode, in_fd);
	true_syscall(trial->call->number, trial->call->arguments);
}

static void try_call(const struct trial *trial)
{
	const struct call *call = trial->call;
	struct outcome outcome = run(make_call, trial);
	char named[64], told[64];

	if (call->modes_that_may & (1U << trial->mode)) {
		assert_well(outcome);
		return;
	}
	snprintf(named, sizeof(named), "error: the sandbox refuses the system call %s (%ld)",
		 call->name, call->number);
	snprintf(told, sizeof(told), "told: the sandbox refuses the system call %s (%ld)",
		 call->name, call->number);
	assert_killed(outcome, SIGSYS);
	ck_assert_msg(strstr(outcome.said, named) && strstr(outcome.said, told), "%s: %s", named,
		      outcome.said);
}

START_TEST(a_call_that_is_not_in_the_table_is_named_and_ends_the_process)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls) && has_filters(); i++) {
		if (ZOOPARALLEL_IS_SANITIZED && calls[i].has_sanitizer) {
			continue;
		}
		for (enum syscall_filter mode = 0; mode < SYSCALL_N_FILTERS; mode++) {
			try_call(&(struct trial){&calls[i], mode});
		}
	}
}
END_TEST

static void block_and_call(const void *argument)
{
	sigset_t all;

	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	true_syscall(SYS_getuid, (long[6]){0});
}

START_TEST(a_blocked_signal_does_not_help)
{
	if (has_filters()) {
		assert_killed(run(block_and_call, NULL), SIGSYS);
	}
}
END_TEST

/* Its numbers mean other calls: int $0x80 is the way of i386, this bit that of x32. */
#define X32_BIT 0x40000000

static void call_as_i386(const void *argument)
{
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
#if defined(__x86_64__)
	long result = 20; /* getpid there, writev here */
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
#endif
}

static void call_as_x32(const void *argument)
{
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	true_syscall(X32_BIT | SYS_getpid, (long[6]){0});
}

START_TEST(another_processor_s_calls_are_refused)
{
	if (has_filters()) {
		assert_killed(run(call_as_x32, NULL), SIGSYS);
		/* A kernel that knows no i386 sends SIGSEGV. */
		ck_assert_int_ne(run(call_as_i386, NULL).status, 0);
	}
}
END_TEST

static void sleep_for_a_while(const void *argument)
{
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 300000000}, NULL);
	_exit(0);
}

/* The kernel makes another call of it than the one that was begun. */
START_TEST(a_wait_goes_on_after_a_stop)
{
	char state = '?';
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		sleep_for_a_while(NULL);
	}
	while (state != 'S' && state != 'Z') {
		ck_assert_int_eq(process_state(pid, &state), 0);
	}
	kill(pid, SIGSTOP);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 64);
}

/* What the C library does of its own accord. */
static void live_on(const void *argument)
{
	int statm_fd = process_resident_open();
	int64_t resident_bytes;
	size_t n = 100000;

	lock_in(*(const enum syscall_filter *)argument, in_fd);
	char(*items)[64] = malloc(n * sizeof(*items));
	EXPECT(items != NULL);
	memset(items, 1, n * sizeof(*items));
	items = realloc(items, 2 * n * sizeof(*items));
	EXPECT(items != NULL);
	qsort(items, n, sizeof(*items), compare);
	free(items);
	EXPECT(process_resident_read(statm_fd, &resident_bytes) == 0 && resident_bytes > 4096);
	EXPECT(strlen(strerror(ENOENT)) > 0);
	log_error("%d: %s", 7, "what is said is said");
	/* A tracer that skips a call leaves this number for the filter to see. */
	EXPECT(true_syscall(-1, (long[6]){0}) == -1 && errno == ENOSYS);
	exit(0);
}

START_TEST(memory_time_and_the_log_go_on)
{
	for (enum syscall_filter mode = 0; mode < SYSCALL_N_FILTERS; mode++) {
		struct outcome outcome = run(live_on, &mode);

		assert_well(outcome);
		ck_assert_ptr_nonnull(strstr(outcome.said, "what is said"));
	}
}
END_TEST

static void fail_an_assertion(const void *argument)
{
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	abort();
}

/* The C library sees this one for sure, whatever MALLOC_PERTURB_ has put there. */
static void free_twice(const void *argument)
{
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	char *volatile blocks[2] = {malloc(64), NULL};
	blocks[1] = blocks[0];
	for (int i = 0; i < 2; i++) {
		free(blocks[i]);
	}
}

/* Else a bug that a row brings to light would look like a breach. */
START_TEST(a_crash_stays_the_crash_that_it_is)
{
	assert_killed(run(fail_an_assertion, NULL), SIGABRT);
	if (!ZOOPARALLEL_IS_SANITIZED) {
		struct outcome outcome = run(free_twice, NULL);

		assert_killed(outcome, SIGABRT);
		ck_assert_msg(outcome.said[0] != '\0' && !strstr(outcome.said, "sandbox"), "%s",
			      outcome.said);
	}
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, the_kernel_says_that_a_locked_in_process_is,
	       a_call_that_is_not_in_the_table_is_named_and_ends_the_process,
	       a_blocked_signal_does_not_help, another_processor_s_calls_are_refused,
	       memory_time_and_the_log_go_on, a_wait_goes_on_after_a_stop,
	       a_crash_stays_the_crash_that_it_is)
