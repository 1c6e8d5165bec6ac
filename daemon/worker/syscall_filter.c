/* SPDX-License-Identifier: MIT */
/*
 * The filters' programs are made when this one is built (make_filters.c): to make one at each start
 * would more than double what it costs a worker to lock itself in (0.45 ms, most of it the kernel's
 * work on the filter), and link it with a library more. What is left to do here is to write the
 * own pid into it.
 *
 * A call that is refused must be seen, and be seen to be no row's fault. An error number would be
 * taken for the disk's or the input's. A death at once (SECCOMP_RET_KILL_PROCESS) would not say
 * which call it was, except to an audit log that few have. So the kernel sends SIGSYS, whose
 * handler says it and then dies of the same signal, which the supervisor knows (worker_end.h). The
 * call is not made in any case, also if someone has taken over the process: the handler cannot be
 * replaced, since rt_sigaction is refused, and while SIGSYS is blocked the kernel kills by it.
 */
#include "daemon/worker/syscall_filter.h"

#include "build_config.h"

#if ZOOPARALLEL_HAS_FILTERS

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util/log.h"
#include "daemon/worker/filter_pid.h"
#include "daemon/worker/filter_programs.h"

static syscall_filter_refused_fn refused_fn;
static void *refused_userdata;

static const char *name_of(int number)
{
	const char *name = number >= 0 && (size_t)number < ARRAY_SIZE(filter_call_names)
				   ? filter_call_names[number]
				   : NULL;

	return name != NULL ? name : "unknown";
}

/* The call was ours, so the handler may use what a call may: nothing here waits for a lock. */
static void on_refused(int signal_number, siginfo_t *info, void *context)
{
	char message[128];

	snprintf(message, sizeof(message),
		 "the sandbox refuses the system call %s (%d): please report it",
		 name_of(info->si_syscall), info->si_syscall);
	log_error("%s", message);
	if (refused_fn != NULL) {
		refused_fn(refused_userdata, message);
	}
	raise(signal_number); /* the handler was for once, and the signal is not blocked */
}

static int set_handler(void)
{
	struct sigaction action = {.sa_sigaction = on_refused,
				   .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};

	sigemptyset(&action.sa_mask);
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

/*
 * A kernel without filters, or a sandbox around us that refuses this call, says so before it looks
 * at the program. Without SPEC_ALLOW kernels before 5.16 would slow each filtered process down, by
 * guarding it against code of its own that it does not run.
 */
static int install(const struct sock_fprog *program)
{
	const unsigned flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) == 0 || errno != EFAULT) {
		return SYSCALL_FILTER_IS_MISSING;
	}
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) < 0 ? -errno : 0;
}

int syscall_filter_enter(enum syscall_filter filter, syscall_filter_refused_fn fn, void *userdata)
{
	struct sock_filter steps[FILTER_MAX_STEPS];
	const struct sock_fprog program = {.len = filter_programs[filter].n_steps, .filter = steps};

	memcpy(steps, filter_programs[filter].steps, program.len * sizeof(*steps));
	for (size_t i = 0; i < program.len; i++) {
		if (BPF_CLASS(steps[i].code) == BPF_JMP && steps[i].k == FILTER_PID) {
			steps[i].k = (uint32_t)getpid();
		}
	}
	refused_fn = fn;
	refused_userdata = userdata;
	int r = set_handler();
	return r < 0 ? r : install(&program);
}

#else

int syscall_filter_enter(enum syscall_filter filter, syscall_filter_refused_fn fn, void *userdata)
{
	return SYSCALL_FILTER_IS_MISSING;
}

#endif
