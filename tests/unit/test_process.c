/* SPDX-License-Identifier: MIT */
#include "common/util/process.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "tests/support/unit.h"

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* What breaks a reader of /proc/PID/stat that stops at the first ')'. */
		prctl(PR_SET_NAME, "a) R 1 (b");
		for (;;) {
			pause();
		}
	}
	return pid;
}

static void stop(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(a_pidfd_tells_of_the_death)
{
	pid_t pid = start_sleeper();
	CLEANUP(fd_closep) int fd = process_pidfd_open(pid);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(process_pidfd_open(pid), -ESRCH);
}
END_TEST

START_TEST(the_start_time_does_not_depend_on_the_name)
{
	uint64_t mine, again, childs;
	pid_t pid = start_sleeper();

	ck_assert_int_eq(process_start_ticks(0, &mine), 0);
	ck_assert_int_eq(process_start_ticks(getpid(), &again), 0);
	ck_assert_uint_eq(mine, again);
	prctl(PR_SET_NAME, ") 1 2 3 (");
	ck_assert_int_eq(process_start_ticks(0, &again), 0);
	ck_assert_uint_eq(mine, again);
	ck_assert_int_eq(process_start_ticks(pid, &childs), 0);
	ck_assert_uint_ge(childs, mine);
	ck_assert_uint_le(childs, mine + 60 * (uint64_t)sysconf(_SC_CLK_TCK));
	stop(pid);
	ck_assert_int_eq(process_start_ticks(pid, &childs), -ESRCH);
}
END_TEST

START_TEST(a_stopped_process_says_so)
{
	pid_t pid = start_sleeper();
	siginfo_t info;
	char state;

	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
	ck_assert_int_eq(process_state(pid, &state), 0);
	ck_assert_int_eq(state, 'T');
	stop(pid);
	ck_assert_int_eq(process_state(pid, &state), -ESRCH);
	ck_assert_int_eq(process_state(0, &state), 0);
	ck_assert_int_eq(state, 'R');
}
END_TEST

START_TEST(touched_memory_is_resident)
{
	enum { N_BYTES = 32 << 20 };
	int64_t before, after, proportional;
	char *bytes;

	ck_assert_int_eq(process_resident_bytes(0, &before), 0);
	ck_assert_int_gt(before, 0);
	bytes = mmap(NULL, N_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	memset(bytes, 1, N_BYTES);
	ck_assert_int_eq(process_resident_bytes(getpid(), &after), 0);
	/* The kernel counts per processor and adds up later: a little may be missing. */
	ck_assert_int_ge(after, before + N_BYTES - (4 << 20));
	ck_assert_int_eq(process_proportional_bytes(0, &proportional), 0);
	ck_assert_int_ge(proportional, N_BYTES);
	munmap(bytes, N_BYTES);
}
END_TEST

START_TEST(one_s_own_memory_can_be_read_again_from_an_open_file)
{
	enum { N_BYTES = 32 << 20 };
	int64_t before, after;
	int fd = process_resident_open();

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(process_resident_read(fd, &before), 0);
	char *bytes = mmap(NULL, N_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	memset(bytes, 1, N_BYTES);
	ck_assert_int_eq(process_resident_read(fd, &after), 0);
	ck_assert_int_ge(after, before + N_BYTES - (4 << 20));
	munmap(bytes, N_BYTES);
	close(fd);
	ck_assert_int_eq(process_resident_read(-1, &after), -EBADF);
}
END_TEST

START_TEST(the_dead_have_no_memory)
{
	pid_t pid = start_sleeper();
	int64_t bytes = 99;
	siginfo_t info;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(process_resident_bytes(pid, &bytes), 0);
	ck_assert_int_eq(bytes, 0);
	ck_assert_int_eq(process_proportional_bytes(pid, &bytes), -ESRCH);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(process_resident_bytes(pid, &bytes), -ESRCH);
	ck_assert_int_eq(process_proportional_bytes(pid, &bytes), -ESRCH);
}
END_TEST

START_TEST(the_boot_id_is_a_uuid)
{
	char id[PROCESS_BOOT_ID_SIZE];

	ck_assert_int_eq(process_boot_id(id), 0);
	ck_assert_uint_eq(strlen(id), 36);
	ck_assert_uint_eq(strspn(id, "0123456789abcdef-"), 36);
	ck_assert_int_eq(id[8], '-');
}
END_TEST

START_TEST(the_soft_limit_of_files_is_raised_to_the_hard_one)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max / 2;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(process_raise_file_limit(), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

UNIT_MAIN(the_soft_limit_of_files_is_raised_to_the_hard_one, a_pidfd_tells_of_the_death,
	  the_start_time_does_not_depend_on_the_name, a_stopped_process_says_so,
	  touched_memory_is_resident, one_s_own_memory_can_be_read_again_from_an_open_file,
	  the_dead_have_no_memory, the_boot_id_is_a_uuid)
