/* SPDX-License-Identifier: MIT */
/*
 * One place for what the log, the result and the metrics say of a process's end, so that they say
 * the same.
 *
 * A worker that the supervisor kills may have ended by itself, or by another's signal, before that
 * took effect: waitid(2) has the last word.
 */
#include "daemon/sched/worker_end.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/model/worker_protocol.h"
#include "common/util/macro.h"
#include "daemon/sched/oom.h"

static enum worker_cause cause_of(const siginfo_t *info, const struct worker_kill *kill,
				  struct oom *oom)
{
	if (info->si_code == CLD_EXITED) {
		return info->si_status == WORKER_EXIT_OK ? WORKER_CAUSE_OK : WORKER_CAUSE_ERROR;
	}
	if (info->si_status == SIGKILL && kill->is_sent) {
		return kill->cause;
	}
	return info->si_status == SIGKILL && oom_claim(oom) ? WORKER_CAUSE_OOM
							    : WORKER_CAUSE_SIGNAL;
}

void worker_end_judge(const siginfo_t *info, const struct worker_kill *kill, struct oom *oom,
		      struct worker_end *ret_end)
{
	char *what = ret_end->what;

	ret_end->cause = cause_of(info, kill, oom);
	if (info->si_code == CLD_EXITED && info->si_status != WORKER_EXIT_OK) {
		snprintf(what, WORKER_END_TEXT_SIZE, "ended with exit code %d", info->si_status);
	} else if (info->si_code == CLD_EXITED) {
		snprintf(what, WORKER_END_TEXT_SIZE, "ended before its work was done");
	} else if (worker_end_is_refused(info)) {
		snprintf(what, WORKER_END_TEXT_SIZE,
			 "was ended by its sandbox, for a system call that no worker makes");
	} else if (ret_end->cause == WORKER_CAUSE_OOM) {
		snprintf(what, WORKER_END_TEXT_SIZE, "was killed by the kernel for lack of memory");
	} else if (ret_end->cause == WORKER_CAUSE_SIGNAL || kill->what[0] == '\0') {
		snprintf(what, WORKER_END_TEXT_SIZE, "was killed by signal %d (%s)",
			 info->si_status, strsignal(info->si_status));
	} else {
		snprintf(what, WORKER_END_TEXT_SIZE, "%s", kill->what);
	}
}

bool worker_end_is_exit(const siginfo_t *info, int code)
{
	return info->si_code == CLD_EXITED && info->si_status == code;
}

bool worker_end_is_refused(const siginfo_t *info)
{
	return info->si_code != CLD_EXITED && info->si_status == SIGSYS;
}

static bool is_crash(int signal_number)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};

	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++) {
		if (signal_number == crashes[i]) {
			return true;
		}
	}
	return false;
}

bool worker_end_is_fault(const siginfo_t *info, const struct worker_end *end)
{
	return info->si_code == CLD_EXITED || is_crash(info->si_status) ||
	       end->cause == WORKER_CAUSE_STALLED || end->cause == WORKER_CAUSE_MEMORY_LIMIT;
}

enum job_reason worker_end_reason(enum worker_cause cause)
{
	switch (cause) {
	case WORKER_CAUSE_STALLED:
		return JOB_REASON_STALLED;
	case WORKER_CAUSE_OOM:
	case WORKER_CAUSE_MEMORY_LIMIT:
		return JOB_REASON_MEMORY_LIMIT;
	default:
		return JOB_REASON_WORKER_CRASH;
	}
}
