/* SPDX-License-Identifier: MIT */
/* The event loop, and children by it: each test runs a real loop until what it waits for is there.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/core/child.h"
#include "daemon/core/loop.h"
#include "tests/support/unit.h"

#define MS CLOCK_NS_PER_MS

static struct loop *loop;
static int n_fds_before;

static int count_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir)) {
		n++;
	}
	closedir(dir);
	return n;
}

static void setup(void)
{
	n_fds_before = count_fds();
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
	loop = loop_free(loop);
	ck_assert_int_eq(count_fds(), n_fds_before);
}

struct seen {
	int n;
	int64_t at_ns;
	siginfo_t info;
	struct loop_source *source;
};

static void on_timer_exit(void *userdata, int64_t now_ns)
{
	struct seen *seen = userdata;
	seen->n++;
	seen->at_ns = now_ns;
	loop_exit(loop, 7);
}

START_TEST(a_timer_fires_once_and_not_before_its_time)
{
	struct seen seen = {0};
	struct loop_source *timer = NULL;
	ck_assert_int_eq(loop_add_timer(loop, on_timer_exit, &seen, &timer), 0);
	int64_t at_ns = clock_monotonic_ns() + 5 * MS + 1;
	ck_assert_int_eq(loop_timer_arm(timer, at_ns), 0);
	ck_assert_int_eq(loop_run(loop), 7);
	ck_assert_int_eq(seen.n, 1);
	ck_assert_int_ge(seen.at_ns, at_ns);
	ck_assert_int_lt(seen.at_ns, at_ns + 200 * MS);
	loop_source_free(timer);
}
END_TEST

static void on_timer_never(void *userdata, int64_t now_ns)
{
	ck_abort_msg("this timer was disarmed");
}

START_TEST(a_disarmed_timer_does_not_fire)
{
	struct seen seen = {0};
	struct loop_source *never = NULL, *timer = NULL;
	ck_assert_int_eq(loop_add_timer(loop, on_timer_never, NULL, &never), 0);
	ck_assert_int_eq(loop_add_timer(loop, on_timer_exit, &seen, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(never, clock_monotonic_ns() + MS), 0);
	ck_assert_int_eq(loop_timer_arm(timer, clock_monotonic_ns() + 10 * MS), 0);
	loop_timer_disarm(never);
	ck_assert_int_eq(loop_run(loop), 7);
	loop_source_free(never);
	loop_source_free(timer);
}
END_TEST

static void on_timer_again(void *userdata, int64_t now_ns)
{
	struct seen *seen = userdata;
	if (++seen->n == 5) {
		loop_exit(loop, 0);
		return;
	}
	ck_assert_int_eq(loop_timer_arm(seen->source, now_ns + MS), 0);
}

START_TEST(a_timer_may_be_armed_in_its_own_callback)
{
	struct seen seen = {0};
	ck_assert_int_eq(loop_add_timer(loop, on_timer_again, &seen, &seen.source), 0);
	ck_assert_int_eq(loop_timer_arm(seen.source, 0), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(seen.n, 5);
	loop_source_free(seen.source);
}
END_TEST

static void on_io_free(void *userdata, int fd, uint32_t epoll_events)
{
	struct seen *seen = userdata;
	seen->n++;
	seen->source = loop_source_free(seen->source);
	loop_exit(loop, 0);
}

START_TEST(a_source_may_be_freed_in_its_own_callback)
{
	int ends[2];
	struct seen seen = {0};
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	ck_assert_int_eq(loop_add_io(loop, ends[0], EPOLLIN, on_io_free, &seen, &seen.source), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(seen.n, 1);
	fd_close(ends[0]);
	fd_close(ends[1]);
}
END_TEST

static void on_io_count(void *userdata, int fd, uint32_t epoll_events)
{
	((struct seen *)userdata)->n++;
}

START_TEST(an_always_ready_source_does_not_starve_a_timer)
{
	int ends[2];
	struct seen busy = {0}, seen = {0};
	struct loop_source *io = NULL, *timer = NULL;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(loop_add_io(loop, ends[1], EPOLLOUT, on_io_count, &busy, &io), 0);
	ck_assert_int_eq(loop_add_timer(loop, on_timer_exit, &seen, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(timer, clock_monotonic_ns() + 5 * MS), 0);
	ck_assert_int_eq(loop_run(loop), 7);
	ck_assert_int_gt(busy.n, 2);
	loop_source_free(io);
	loop_source_free(timer);
	fd_close(ends[0]);
	fd_close(ends[1]);
}
END_TEST

static void on_signal_exit(void *userdata, int signal)
{
	((struct seen *)userdata)->n = signal;
	loop_exit(loop, 0);
}

START_TEST(a_signal_arrives_as_an_event)
{
	struct seen seen = {0};
	struct loop_source *source = NULL;
	ck_assert_int_eq(loop_add_signal(loop, SIGHUP, on_signal_exit, &seen, &source), 0);
	ck_assert_int_eq(kill(getpid(), SIGHUP), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(seen.n, SIGHUP);
	loop_source_free(source);
}
END_TEST

static void on_child_exit(void *userdata, const siginfo_t *info)
{
	struct seen *seen = userdata;
	seen->n++;
	seen->info = *info;
	seen->source = loop_source_free(seen->source);
	loop_exit(loop, 0);
}

static pid_t fork_child(int exit_code)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (exit_code < 0) {
			raise(SIGKILL);
		}
		_exit(exit_code);
	}
	return pid;
}

START_TEST(a_child_is_reaped_and_told_with_its_code)
{
	for (int code = -1; code < 4; code += 4) {
		struct seen seen = {0};
		pid_t pid = fork_child(code);
		ck_assert_int_eq(loop_add_child(loop, pid, on_child_exit, &seen, &seen.source), 0);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_int_eq(seen.n, 1);
		ck_assert_int_eq(seen.info.si_pid, pid);
		ck_assert_int_eq(seen.info.si_code, code < 0 ? CLD_KILLED : CLD_EXITED);
		ck_assert_int_eq(seen.info.si_status, code < 0 ? SIGKILL : code);
		ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), -1);
		ck_assert_int_eq(errno, ECHILD);
		teardown();
		setup();
	}
}
END_TEST

static void on_timer_until_reaped(void *userdata, int64_t now_ns)
{
	struct seen *seen = userdata;
	siginfo_t info = {0};
	if (waitid(P_PID, (id_t)seen->n, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
		loop_exit(loop, 0);
		return;
	}
	ck_assert_int_eq(loop_timer_arm(seen->source, now_ns + MS), 0);
}

START_TEST(the_loop_reaps_children_that_no_one_waits_for)
{
	struct seen seen = {0};
	seen.n = fork_child(0);
	pid_t sleeper = fork();
	if (sleeper == 0) {
		pause();
		_exit(0);
	}
	/* One ends while the loop runs, the other outlives the loop. */
	ck_assert_int_eq(loop_reap_child(loop, sleeper), 0);
	ck_assert_int_eq(loop_reap_child(loop, (pid_t)seen.n), 0);
	ck_assert_int_eq(loop_add_timer(loop, on_timer_until_reaped, &seen, &seen.source), 0);
	ck_assert_int_eq(loop_timer_arm(seen.source, 0), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_source_free(seen.source);
	teardown();
	kill(sleeper, SIGKILL);
	ck_assert_int_eq(waitpid(sleeper, NULL, 0), sleeper);
	setup();
}
END_TEST

START_TEST(a_loop_that_ends_waits_a_moment_for_the_children_it_reaps)
{
	pid_t pid = fork();
	if (pid == 0) {
		usleep(50 * 1000);
		_exit(0);
	}
	ck_assert_int_eq(loop_reap_child(loop, pid), 0);
	teardown();
	ck_assert_int_eq(waitpid(pid, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
	setup();
}
END_TEST

static void on_inotify_exit(void *userdata, const struct inotify_event *event)
{
	struct seen *seen = userdata;
	if (event->len > 0 && str_equal(event->name, "x")) {
		seen->n++;
		loop_exit(loop, 0);
	}
}

START_TEST(a_directory_is_watched_by_its_descriptor)
{
	char path[] = "/tmp/zp-loop-XXXXXX";
	struct seen seen = {0};
	struct loop_source *source = NULL;
	ck_assert_ptr_nonnull(mkdtemp(path));
	int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
	ck_assert_int_eq(
		loop_add_inotify(loop, dir_fd, IN_CLOSE_WRITE, on_inotify_exit, &seen, &source), 0);
	fd_close(openat(dir_fd, "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(seen.n, 1);
	loop_source_free(source);
	unlinkat(dir_fd, "x", 0);
	fd_close(dir_fd);
	rmdir(path);
}
END_TEST

static void on_defer_exit(void *userdata)
{
	((struct seen *)userdata)->n++;
	loop_exit(loop, 0);
}

START_TEST(a_deferred_call_happens_in_the_loop)
{
	struct seen seen = {0};
	struct loop_source *source = NULL;
	ck_assert_int_eq(loop_add_defer(loop, on_defer_exit, &seen, &source), 0);
	ck_assert_int_eq(seen.n, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(seen.n, 1);
	loop_source_free(source);
}
END_TEST

/* What child_spawn starts here is this very program: see child_main. */
static int self_fd(void)
{
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Child "fds N FIRST": descriptors 3.. hold the numbers FIRST, FIRST + 1...; nothing else is open.
 */
static int child_check_fds(const char *n_text)
{
	uint64_t n = 0;
	if (num_parse_u64(n_text, &n) < 0) {
		return 10;
	}
	for (uint64_t i = 0; i < n; i++) {
		char c = 0;
		if (pread((int)(3 + i), &c, 1, 0) != 1 || c != (char)('A' + i)) {
			return 11;
		}
	}
	for (int fd = (int)(3 + n); fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) >= 0) {
			return 12;
		}
	}
	struct stat null, in;
	if (stat("/dev/null", &null) < 0 || fstat(0, &in) < 0 || null.st_rdev != in.st_rdev) {
		return 13;
	}
	struct stat out, err;
	return fstat(1, &out) == 0 && fstat(2, &err) == 0 && out.st_ino == err.st_ino ? 0 : 14;
}

static int child_check_state(void)
{
	sigset_t mask;
	struct sigaction action;
	char supervisor[32];
	snprintf(supervisor, sizeof(supervisor), "%ld", (long)getppid());
	if (sigprocmask(SIG_SETMASK, NULL, &mask) < 0 || sigismember(&mask, SIGTERM)) {
		return 20;
	}
	if (sigaction(SIGPIPE, NULL, &action) < 0 || action.sa_handler != SIG_DFL) {
		return 21;
	}
	if (!str_equal(getenv("ZOOPARALLEL_SUPERVISOR"), supervisor)) {
		return 22;
	}
	if (!str_equal(getenv("ZOOPARALLEL_SCANNER"), "portable") || !getenv("PATH")) {
		return 23;
	}
	return getenv("SECRET") || getenv("PATHS") || getenv("ZOOPARALLEL_") ? 24 : 0;
}

static int child_main(int argc, char **argv)
{
	if (str_equal(argv[1], "fds") && argc == 3) {
		return child_check_fds(argv[2]);
	}
	if (str_equal(argv[1], "state")) {
		return child_check_state();
	}
	if (str_equal(argv[1], "pause")) {
		char c = 0;
		ssize_t n = write(3, &c, 1);
		return n == 1 ? pause() : 1;
	}
	return 99;
}

static int exit_code_of(pid_t pid)
{
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int letter_fd(char letter)
{
	int fd = fd_memfd("letter", &letter, 1);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(fds_are_placed_from_3_on_in_the_order_given)
{
	enum { N = 6 };
	int fds[N], program_fd = self_fd();
	/* Filled from the end, so that they lie in each other's places: the 1st in the last's. */
	for (int i = N - 1; i >= 0; i--) {
		fds[i] = letter_fd((char)('A' + i));
	}
	const char *const argv[] = {"fds", "6", NULL};
	struct child_spec spec = {.argv = argv, .fds = fds, .n_fds = N};
	pid_t pid = 0;
	ck_assert_int_eq(child_spawn(program_fd, &spec, &pid), 0);
	ck_assert_int_eq(exit_code_of(pid), 0);
	for (int i = 0; i < N; i++) {
		fd_close(fds[i]);
	}
	fd_close(program_fd);
}
END_TEST

START_TEST(a_child_starts_with_clean_signals_and_environment)
{
	int program_fd = self_fd();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	ck_assert_int_eq(sigaction(SIGPIPE, &ignore, NULL), 0);
	setenv("SECRET", "1", 1);
	setenv("PATHS", "1", 1);
	setenv("ZOOPARALLEL_SCANNER", "portable", 1);
	setenv("ZOOPARALLEL_SUPERVISOR", "1", 1);
	const char *const argv[] = {"state", NULL};
	struct child_spec spec = {.argv = argv};
	pid_t pid = 0;
	ck_assert_int_eq(child_spawn(program_fd, &spec, &pid), 0);
	ck_assert_int_eq(exit_code_of(pid), 0);
	fd_close(program_fd);
}
END_TEST

START_TEST(a_program_that_cannot_be_run_is_told_at_once)
{
	char path[] = "/tmp/zp-loop-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	const char *const argv[] = {"state", NULL};
	struct child_spec spec = {.argv = argv};
	pid_t pid = 0;
	ck_assert_int_eq(child_spawn(fd, &spec, &pid), -EACCES);
	ck_assert_int_eq(fchmod(fd, 0700), 0);
	ck_assert_int_eq(write(fd, "nonsense", 8), 8);
	int program_fd = open(path, O_PATH | O_CLOEXEC);
	fd_close(fd);
	ck_assert_int_eq(child_spawn(program_fd, &spec, &pid), -ENOEXEC);
	int bad[] = {-1};
	spec.fds = bad;
	spec.n_fds = 1;
	ck_assert_int_eq(child_spawn(program_fd, &spec, &pid), -EBADF);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	fd_close(program_fd);
	unlink(path);
}
END_TEST

/* A write lease holds an exec of the file up for as long as lease-break-time, 45 s. */
START_TEST(a_child_that_never_comes_to_its_exec_is_killed)
{
	char path[] = "/tmp/zp-loop-XXXXXX";
	fd_close(mkstemp(path));
	ck_assert_int_eq(chmod(path, 0700), 0);
	int program_fd = open(path, O_PATH | O_CLOEXEC);
	int lease_fd = open(path, O_RDONLY | O_CLOEXEC);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	ck_assert_int_eq(sigaction(SIGIO, &ignore, NULL), 0);
	ck_assert_int_eq(fcntl(lease_fd, F_SETLEASE, F_WRLCK), 0);
	const char *const argv[] = {"state", NULL};
	struct child_spec spec = {.argv = argv};
	siginfo_t info;
	pid_t pid = 0;
	int64_t began_ns = clock_monotonic_ns();
	ck_assert_int_eq(child_spawn(program_fd, &spec, &pid), 0);
	ck_assert_int_lt(clock_monotonic_ns() - began_ns, 20 * CLOCK_NS_PER_SEC);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	ck_assert_int_eq(info.si_code, CLD_KILLED);
	ck_assert_int_eq(info.si_status, SIGKILL);
	unlink(path);
	fd_close(lease_fd);
	fd_close(program_fd);
}
END_TEST

START_TEST(a_child_dies_with_its_supervisor)
{
	int program_fd = self_fd(), ends[2];
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid_t supervisor = fork();
	if (supervisor == 0) {
		const char *const argv[] = {"pause", NULL};
		struct child_spec spec = {.argv = argv, .fds = &ends[1], .n_fds = 1};
		pid_t pid = 0;
		_exit(child_spawn(program_fd, &spec, &pid) == 0 && pause() ? 1 : 1);
	}
	fd_close(ends[1]);
	char c;
	ck_assert_int_eq(read(ends[0], &c, 1), 1);
	kill(supervisor, SIGKILL);
	ck_assert_int_eq(waitpid(supervisor, NULL, 0), supervisor);
	/* The pipe's last writer is the grandchild: it ends with it. */
	ck_assert_int_eq(read(ends[0], &c, 1), 0);
	fd_close(ends[0]);
	fd_close(program_fd);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return child_main(argc, argv);
	}
	const TTest *tests[] = {
		a_timer_fires_once_and_not_before_its_time,
		a_disarmed_timer_does_not_fire,
		a_timer_may_be_armed_in_its_own_callback,
		a_source_may_be_freed_in_its_own_callback,
		an_always_ready_source_does_not_starve_a_timer,
		a_signal_arrives_as_an_event,
		a_child_is_reaped_and_told_with_its_code,
		the_loop_reaps_children_that_no_one_waits_for,
		a_loop_that_ends_waits_a_moment_for_the_children_it_reaps,
		a_directory_is_watched_by_its_descriptor,
		a_deferred_call_happens_in_the_loop,
		fds_are_placed_from_3_on_in_the_order_given,
		a_child_starts_with_clean_signals_and_environment,
		a_program_that_cannot_be_run_is_told_at_once,
		a_child_that_never_comes_to_its_exec_is_killed,
		a_child_dies_with_its_supervisor,
	};
	return unit_run("loop", tests, ARRAY_SIZE(tests), setup, teardown);
}
