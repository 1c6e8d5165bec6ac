/* SPDX-License-Identifier: MIT */
/*
 * One place for what the log, the result and the metrics say of a process's end, so that they say
 * the same.
 */
#include "daemon/sched/worker_end.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/model/worker_protocol.h"
#include "common/util/macro.h"

void worker_end_count(struct worker_tally *tally, const siginfo_t *info)
{
	if (info->si_code != CLD_EXITED) {
		tally->exits_signal++;
	} else if (info->si_status != WORKER_EXIT_OK) {
		tally->exits_error++;
	} else {
		tally->exits_ok++;
	}
}

bool worker_end_is_exit(const siginfo_t *info, int code)
{
	return info->si_code == CLD_EXITED && info->si_status == code;
}

bool worker_end_is_fault(const siginfo_t *info)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};

	if (info->si_code == CLD_EXITED) {
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++) {
		if (info->si_status == crashes[i]) {
			return true;
		}
	}
	return false;
}

void worker_end_describe(const siginfo_t *info, char ret_text[static WORKER_END_TEXT_SIZE])
{
	if (info->si_code != CLD_EXITED) {
		snprintf(ret_text, WORKER_END_TEXT_SIZE, "was killed by signal %d (%s)",
			 info->si_status, strsignal(info->si_status));
	} else if (info->si_status != WORKER_EXIT_OK) {
		snprintf(ret_text, WORKER_END_TEXT_SIZE, "ended with exit code %d",
			 info->si_status);
	} else {
		snprintf(ret_text, WORKER_END_TEXT_SIZE, "ended before its work was done");
	}
}
