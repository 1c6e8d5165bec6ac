/* SPDX-License-Identifier: MIT */

/*
 * zooparallel-worker: everything that runs on the other side of the supervisor's fork. Which part
 * it plays is its first argument; what it may touch, its inherited descriptors
 * (common/model/worker_protocol.h).
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "build_config.h"
#include "common/model/worker_protocol.h"
#include "common/util/log.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/worker/convert_main.h"
#include "daemon/worker/prepare_main.h"
#include "daemon/worker/storage_main.h"

struct mode {
	const char *name;
	int (*run)(int n_args, char *const *args); /* returns an exit code */
};

static const struct mode modes[] = {
	{"prepare", prepare_main},
	{"convert", convert_main},
	{"storage", storage_main},
};

/*
 * Dies with the supervisor: the kernel's signal covers its death from now on, the comparison a
 * death before this line.
 */
static bool bind_to_supervisor(void)
{
	const char *text = getenv(WORKER_ENV_SUPERVISOR);
	uint64_t supervisor;

	if (text == NULL || num_parse_u64(text, &supervisor) < 0) {
		log_error("zooparallel-worker is started by zooparalleld, not by hand");
		return false;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
		log_error("cannot bind to the supervisor: %s", strerror(errno));
		return false;
	}
	return (uint64_t)getppid() == supervisor;
}

int main(int argc, char **argv)
{
	if (argc == 2 && str_equal(argv[1], "--version")) {
		puts("zooparallel-worker " ZOOPARALLEL_VERSION);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(modes); i++) {
		if (str_equal(argv[1], modes[i].name)) {
			/* exec by descriptor leaves the descriptor's number as the name. */
			prctl(PR_SET_NAME, "zooparallel-wrk");
			return bind_to_supervisor() ? modes[i].run(argc - 2, argv + 2)
						    : WORKER_EXIT_USAGE;
		}
	}
	fputs("usage: zooparallel-worker prepare|convert|storage ...\n"
	      "It is started by zooparalleld, see zooparalleld(8).\n",
	      stderr);
	return WORKER_EXIT_USAGE;
}
