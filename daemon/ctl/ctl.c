/* SPDX-License-Identifier: MIT */
/*
 * The frame of the command line. The common options are known before and after the command's
 * name (`zooparallel --json ls` and `zooparallel ls --json`), so each command's own options are
 * merged with them here, once.
 */
#include "daemon/ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#include "common/util/macro.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/term.h"

enum { OPTIONS_MAX = 24, SHORT_SIZE = 16, OPTION_JSON = 0x2000, OPTION_SOCKET, OPTION_COLOR };

static const struct option common_options[] = {
	{"color", required_argument, NULL, OPTION_COLOR},
	{"help", no_argument, NULL, CTL_OPTION_HELP},
	{"json", no_argument, NULL, OPTION_JSON},
	{"socket", required_argument, NULL, OPTION_SOCKET},
};

enum ctl_exit ctl_exit_of_job(enum job_state state, bool has_rejects, bool is_strict)
{
	switch (state) {
	case JOB_STATE_COMPLETED:
		return is_strict && has_rejects ? CTL_EXIT_REJECTED : CTL_EXIT_COMPLETED;
	case JOB_STATE_ABORTED:
		return CTL_EXIT_ABORTED;
	default:
		return CTL_EXIT_FAILED;
	}
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_table_len; i++) {
		if (str_equal(command_table[i].name, name)) {
			return &command_table[i];
		}
	}
	return NULL;
}

void command_print_overview(void)
{
	printf("usage: zooparallel [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < command_table_len; i++) {
		printf("  %-9s %s\n", command_table[i].name, command_table[i].summary);
	}
	printf("\n"
	       "  --socket PATH  the daemon's control socket ($ZOOPARALLEL_SOCKET)\n"
	       "  --json         print JSON\n"
	       "  --color WHEN   auto, always or never\n"
	       "  -h, --help     this text\n"
	       "  --version      the version\n\n"
	       "`zooparallel help COMMAND` tells more. Exit status: 0 completed, 1 failed, 2 usage "
	       "or invalid\nspec, 3 rejected rows under --strict, 4 aborted, 5 daemon unreachable, "
	       "6 timed out.\n");
}

void command_print_help(const struct command *command)
{
	printf("usage: zooparallel %s %s\n%s.\n", command->name, command->usage, command->summary);
	if (command->help[0]) {
		printf("\n%s", command->help);
	}
}

int ctl_option_next(struct ctl *ctl, int argc, char **argv, const struct option *own)
{
	struct option merged[OPTIONS_MAX] = {0};
	char short_options[SHORT_SIZE];
	size_t n_own = 0;

	while (own[n_own].name && n_own + ARRAY_SIZE(common_options) < OPTIONS_MAX - 1) {
		merged[n_own] = own[n_own];
		n_own++;
	}
	memcpy(&merged[n_own], common_options, sizeof(common_options));
	(void)snprintf(short_options, sizeof(short_options), "h%s",
		       ctl->command->short_options ? ctl->command->short_options : "");
	for (;;) {
		int value = getopt_long(argc, argv, short_options, merged, NULL);

		switch (value) {
		case 'h':
		case CTL_OPTION_HELP:
			command_print_help(ctl->command);
			return CTL_OPTION_HELP;
		case OPTION_JSON:
			ctl->json = true;
			break;
		case OPTION_SOCKET:
			ctl->socket_path = optarg;
			ctl->is_socket_given = true;
			break;
		case OPTION_COLOR:
			if (term_color_parse(optarg, &ctl->color) < 0) {
				ctl_usage_error(ctl, "--color wants auto, always or never");
				return CTL_OPTION_BAD;
			}
			break;
		case '?':
			term_error("%s: see zooparallel help %s", ctl->command->name,
				   ctl->command->name);
			return CTL_OPTION_BAD;
		default:
			return value;
		}
	}
}

int ctl_option_exit(int value)
{
	return value == CTL_OPTION_HELP ? CTL_EXIT_COMPLETED : CTL_EXIT_USAGE;
}

int ctl_option_timeout(const struct ctl *ctl, int64_t *timeout_ns)
{
	if (num_parse_duration_ns(optarg, timeout_ns) < 0) {
		ctl_usage_error(ctl, "--timeout wants a time like 30s or 5m");
		return CTL_OPTION_BAD;
	}
	return CTL_OPTION_END;
}

int ctl_usage_error(const struct ctl *ctl, const char *what)
{
	term_error("%s: %s (usage: zooparallel %s %s)", ctl->command->name, what,
		   ctl->command->name, ctl->command->usage);
	return CTL_EXIT_USAGE;
}
