/* SPDX-License-Identifier: MIT */
/*
 * `zooparallel logs`: the daemon's messages are the journal's, and journalctl(1) shows them better
 * than we could: it becomes this process. Where the daemon that answers does not write to the
 * journal, we say where its messages are instead of showing an empty list.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/model/job_id.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/peer.h"
#include "daemon/ctl/term.h"

#define DEFAULT_UNIT "zooparallel.service"

enum { ARGUMENTS_MAX = 24 };

struct logs_options {
	bool is_following;
	const char *n_lines, *since, *until, *unit;
	const char *job; /* NULL: of all */
};

static int take_option(const struct ctl *ctl, int option, struct logs_options *options)
{
	uint64_t n;

	switch (option) {
	case 'f':
		options->is_following = true;
		return CTL_OPTION_END;
	case 'n':
		options->n_lines = optarg;
		if (num_parse_u64(optarg, &n) < 0 && !str_equal(optarg, "all")) {
			ctl_usage_error(ctl, "--lines wants a number, or \"all\"");
			return CTL_OPTION_BAD;
		}
		return CTL_OPTION_END;
	case 's':
		options->since = optarg;
		return CTL_OPTION_END;
	case 'u':
		options->until = optarg;
		return CTL_OPTION_END;
	case 'U':
		options->unit = optarg;
		return CTL_OPTION_END;
	default:
		return option;
	}
}

static int parse_options(struct ctl *ctl, int argc, char **argv, struct logs_options *options)
{
	static const struct option table[] = {
		{"follow", no_argument, NULL, 'f'},	 {"lines", required_argument, NULL, 'n'},
		{"since", required_argument, NULL, 's'}, {"until", required_argument, NULL, 'u'},
		{"unit", required_argument, NULL, 'U'},	 {0},
	};
	int option;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		option = take_option(ctl, option, options);
		if (option != CTL_OPTION_END) {
			return option;
		}
	}
	return CTL_OPTION_END;
}

/*
 * Where the daemon that answers has its stderr; false if there is none, it may not be known, or it
 * is a socket, which is the journal's.
 */
static bool find_stderr(const struct ctl *ctl, char *ret_target, size_t size, pid_t *ret_pid)
{
	char link[64];
	struct ucred peer;
	ssize_t n;

	if (peer_of_socket(ctl->socket_path, &peer) < 0 || peer.pid <= 0) {
		return false;
	}
	(void)snprintf(link, sizeof(link), "/proc/%d/fd/2", (int)peer.pid);
	n = readlink(link, ret_target, size - 1);
	if (n < 0) {
		return false;
	}
	ret_target[n] = '\0';
	*ret_pid = peer.pid;
	return !str_starts_with(ret_target, "socket:");
}

static int tell_where(const struct logs_options *options, const char *target, pid_t pid)
{
	if (str_starts_with(target, "pipe:")) {
		term_error("logs: the daemon (process %d) does not write to the journal but to a "
			   "pipe: ask who started it",
			   (int)pid);
	} else if (str_equal(target, "/dev/null")) {
		term_error("logs: the daemon (process %d) was started with its messages thrown "
			   "away (2>/dev/null)",
			   (int)pid);
	} else if (str_starts_with(target, "/dev/")) {
		term_error("logs: the daemon (process %d) does not write to the journal but to "
			   "the terminal %s",
			   (int)pid, target);
	} else if (options->job) {
		term_error("logs: the daemon (process %d) does not write to the journal but to "
			   "%s; try: grep %s %s",
			   (int)pid, target, options->job, target);
	} else {
		term_error("logs: the daemon (process %d) does not write to the journal but to %s",
			   (int)pid, target);
	}
	return CTL_EXIT_FAILED;
}

static int exec_journalctl(const struct ctl *ctl, const struct logs_options *options)
{
	const char *argv[ARGUMENTS_MAX] = {"journalctl", "--unit",
					   options->unit ? options->unit : DEFAULT_UNIT};
	char match[64];
	size_t n = 3;
	const struct {
		const char *option, *value;
	} values[] = {
		{"--lines", options->n_lines},
		{"--since", options->since},
		{"--until", options->until},
		{"--output", ctl->json ? "json" : NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (values[i].value) {
			argv[n++] = values[i].option;
			argv[n++] = values[i].value;
		}
	}
	if (options->is_following) {
		argv[n++] = "--follow";
	}
	if (options->job) {
		(void)snprintf(match, sizeof(match), "JOB=%s", options->job);
		argv[n++] = match;
	}
	(void)fflush(stdout);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	if (errno == ENOENT) {
		term_error("logs: there is no journalctl here; a daemon without systemd writes to "
			   "its standard error, wherever that goes");
	} else {
		term_error("logs: cannot run journalctl: %m");
	}
	return CTL_EXIT_FAILED;
}

int cmd_logs(struct ctl *ctl, int argc, char **argv)
{
	struct logs_options options = {0};
	int option = parse_options(ctl, argc, argv, &options);
	char target[PATH_MAX];
	pid_t pid;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (argc - optind > 1) {
		return ctl_usage_error(ctl, "one job, please");
	}
	if (optind < argc) {
		options.job = argv[optind];
		if (!job_id_is_valid(options.job)) {
			term_error("logs: \"%s\" is no job's ID (see zooparallel ls)", options.job);
			return CTL_EXIT_USAGE;
		}
	}
	if (!options.unit && find_stderr(ctl, target, sizeof(target), &pid)) {
		return tell_where(&options, target, pid);
	}
	return exec_journalctl(ctl, &options);
}
