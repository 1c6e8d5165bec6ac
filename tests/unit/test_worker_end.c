/* SPDX-License-Identifier: MIT */
/* What a process's end is counted and told as. */
#include "daemon/sched/worker_end.h"

#include <string.h>
#include <sys/wait.h>

#include "common/model/worker_protocol.h"
#include "common/util/fd.h"
#include "daemon/sched/oom.h"
#include "tests/support/unit.h"

static struct oom oom;
static int count_fd;
static struct worker_kill kill_sent;

static void setup(void)
{
	count_fd = fd_memfd("count", "oom_kill 0\n", 11);
	ck_assert_int_ge(count_fd, 0);
	oom_init_with(&oom, count_fd);
	kill_sent = (struct worker_kill){0};
}

static void teardown(void)
{
	oom_deinit(&oom);
}

static void count_one_kill(void)
{
	ck_assert_int_eq(fd_pwrite_all(count_fd, "oom_kill 1\n", 11, 0), 0);
}

static void assert_end(int code, int status, enum worker_cause cause, const char *what)
{
	siginfo_t info = {.si_code = code};
	struct worker_end end;

	info.si_status = status;
	worker_end_judge(&info, &kill_sent, &oom, &end);
	ck_assert_str_eq(worker_cause_name(end.cause), worker_cause_name(cause));
	ck_assert_str_eq(end.what, what);
}

START_TEST(an_exit_is_ok_or_an_error)
{
	assert_end(CLD_EXITED, 0, WORKER_CAUSE_OK, "ended before its work was done");
	assert_end(CLD_EXITED, 3, WORKER_CAUSE_ERROR, "ended with exit code 3");
}
END_TEST

START_TEST(a_signal_of_a_strangers_is_a_signal)
{
	assert_end(CLD_KILLED, SIGKILL, WORKER_CAUSE_SIGNAL, "was killed by signal 9 (Killed)");
	assert_end(CLD_DUMPED, SIGSEGV, WORKER_CAUSE_SIGNAL,
		   "was killed by signal 11 (Segmentation fault)");
}
END_TEST

START_TEST(a_kill_of_ours_has_our_reason)
{
	kill_sent = (struct worker_kill){
		.is_sent = true, .cause = WORKER_CAUSE_STALLED, .what = "hung"};
	assert_end(CLD_KILLED, SIGKILL, WORKER_CAUSE_STALLED, "hung");
}
END_TEST

START_TEST(who_was_faster_than_our_kill_has_its_own_reason)
{
	kill_sent = (struct worker_kill){
		.is_sent = true, .cause = WORKER_CAUSE_STALLED, .what = "hung"};
	assert_end(CLD_EXITED, 1, WORKER_CAUSE_ERROR, "ended with exit code 1");
	assert_end(CLD_KILLED, SIGBUS, WORKER_CAUSE_SIGNAL, "was killed by signal 7 (Bus error)");
}
END_TEST

START_TEST(whom_we_no_longer_needed_did_not_crash)
{
	kill_sent = (struct worker_kill){.is_sent = true, .cause = WORKER_CAUSE_OK};
	count_one_kill();
	assert_end(CLD_KILLED, SIGKILL, WORKER_CAUSE_OK, "was killed by signal 9 (Killed)");
}
END_TEST

START_TEST(a_kill_that_the_kernel_has_counted_is_for_lack_of_memory)
{
	count_one_kill();
	assert_end(CLD_KILLED, SIGSEGV, WORKER_CAUSE_SIGNAL,
		   "was killed by signal 11 (Segmentation fault)");
	assert_end(CLD_KILLED, SIGKILL, WORKER_CAUSE_OOM,
		   "was killed by the kernel for lack of memory");
	assert_end(CLD_KILLED, SIGKILL, WORKER_CAUSE_SIGNAL, "was killed by signal 9 (Killed)");
}
END_TEST

/* No chunk may be charged with it, and no row be rejected for it. */
START_TEST(what_its_sandbox_has_ended_is_no_fault_of_a_row)
{
	siginfo_t info = {.si_code = CLD_KILLED};
	struct worker_end end;

	assert_end(CLD_KILLED, SIGSYS, WORKER_CAUSE_SIGNAL,
		   "was ended by its sandbox, for a system call that no worker makes");
	info.si_status = SIGSYS;
	worker_end_judge(&info, &kill_sent, &oom, &end);
	ck_assert(worker_end_is_refused(&info));
	ck_assert(!worker_end_is_fault(&info, &end));
	info.si_code = CLD_DUMPED;
	ck_assert(worker_end_is_refused(&info));
	info.si_code = CLD_EXITED;
	ck_assert(!worker_end_is_refused(&info)); /* an exit code of that number */
	info = (siginfo_t){.si_code = CLD_KILLED};
	info.si_status = SIGSEGV;
	ck_assert(!worker_end_is_refused(&info));
}
END_TEST

START_TEST(a_cause_that_comes_again_is_the_jobs_reason)
{
	ck_assert_int_eq(worker_end_reason(WORKER_CAUSE_OK), JOB_REASON_WORKER_CRASH);
	ck_assert_int_eq(worker_end_reason(WORKER_CAUSE_ERROR), JOB_REASON_WORKER_CRASH);
	ck_assert_int_eq(worker_end_reason(WORKER_CAUSE_SIGNAL), JOB_REASON_WORKER_CRASH);
	ck_assert_int_eq(worker_end_reason(WORKER_CAUSE_OOM), JOB_REASON_MEMORY_LIMIT);
	ck_assert_int_eq(worker_end_reason(WORKER_CAUSE_MEMORY_LIMIT), JOB_REASON_MEMORY_LIMIT);
	ck_assert_int_eq(worker_end_reason(WORKER_CAUSE_STALLED), JOB_REASON_STALLED);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, an_exit_is_ok_or_an_error, a_signal_of_a_strangers_is_a_signal,
	       a_kill_of_ours_has_our_reason, who_was_faster_than_our_kill_has_its_own_reason,
	       whom_we_no_longer_needed_did_not_crash,
	       a_kill_that_the_kernel_has_counted_is_for_lack_of_memory,
	       what_its_sandbox_has_ended_is_no_fault_of_a_row,
	       a_cause_that_comes_again_is_the_jobs_reason)
