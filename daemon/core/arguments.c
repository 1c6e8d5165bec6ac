/* SPDX-License-Identifier: MIT */

/*
 * Long options (and -h): a unit file and a script are read more often than they are typed. What is
 * wrong is said before anything of the daemon has started.
 */
#include "daemon/core/arguments.h"

#include <getopt.h>
#include <stdio.h>

enum option_code {
	OPTION_CONFIG = 1,
	OPTION_SET,
	OPTION_ONCE,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"set", required_argument, NULL, OPTION_SET},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

static const char usage[] = "usage: zooparalleld [--config FILE] [--set KEY=VALUE]... [--once]\n"
			    "\n"
			    "  --config FILE    read FILE instead of " ARGUMENTS_DEFAULT_CONFIG "\n"
			    "  --set KEY=VALUE  override a key of the configuration\n"
			    "  --once           run what is in the spool, then exit\n"
			    "  -h, --help       this text\n"
			    "  --version        the version\n"
			    "\n"
			    "See zooparalleld(8).\n";

static enum arguments_exit refuse(const char *what, const char *argument)
{
	fprintf(stderr, "zooparalleld: %s %s\n%s", what, argument, usage);
	return ARGUMENTS_EXIT_USAGE;
}

/* One option. ARGUMENTS_RUN: it was taken, read on. */
static enum arguments_exit take_option(int option, struct arguments *arguments)
{
	switch (option) {
	case OPTION_CONFIG:
		arguments->config_path = optarg;
		return ARGUMENTS_RUN;
	case OPTION_SET:
		if (arguments->n_overrides == ARGUMENTS_MAX_OVERRIDES) {
			return refuse("too many --set: no room for", optarg);
		}
		arguments->overrides[arguments->n_overrides++] = optarg;
		return ARGUMENTS_RUN;
	case OPTION_ONCE:
		arguments->is_once = true;
		return ARGUMENTS_RUN;
	case 'h':
	case OPTION_HELP:
		fputs(usage, stdout);
		return ARGUMENTS_EXIT_OK;
	case OPTION_VERSION:
		puts("zooparalleld " ZOOPARALLEL_VERSION);
		return ARGUMENTS_EXIT_OK;
	default: /* getopt has said what is wrong */
		fputs(usage, stderr);
		return ARGUMENTS_EXIT_USAGE;
	}
}

enum arguments_exit arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
	enum arguments_exit code = ARGUMENTS_RUN;
	int option;

	*ret_arguments = (struct arguments){0};
	while (code == ARGUMENTS_RUN &&
	       (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		code = take_option(option, ret_arguments);
	}
	if (code == ARGUMENTS_RUN && optind < argc) {
		code = refuse("unexpected argument", argv[optind]);
	}
	return code;
}
