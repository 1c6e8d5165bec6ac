/* SPDX-License-Identifier: MIT */

/*
 * Long options (and -h): a unit file and a script are read more often than they are typed. What is
 * wrong is said before anything of the daemon has started.
 */
#include "daemon/core/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/config.h"
#include "daemon/core/config_print.h"

enum option_code {
	OPTION_CONFIG = 1,
	OPTION_SET,
	OPTION_ONCE,
	OPTION_CHECK_CONFIG,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"set", required_argument, NULL, OPTION_SET},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

static const char usage[] = "usage: zooparalleld [--config FILE] [--set KEY=VALUE]... [--once]\n"
			    "\n"
			    "  --config FILE    read FILE instead of " ARGUMENTS_DEFAULT_CONFIG "\n"
			    "  --set KEY=VALUE  override a key of the configuration\n"
			    "  --once           run what is in the spool, then exit\n"
			    "  --check-config   print the configuration as JSON, then exit\n"
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
static enum arguments_exit take_option(int option, struct arguments *arguments, bool *ret_is_check)
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
	case OPTION_CHECK_CONFIG:
		*ret_is_check = true;
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

const char *arguments_config_path(const struct arguments *arguments)
{
	if (arguments->config_path == NULL && access(ARGUMENTS_DEFAULT_CONFIG, F_OK) == 0) {
		return ARGUMENTS_DEFAULT_CONFIG;
	}
	return arguments->config_path;
}

/* Nothing is opened or made: it may be asked beside a running daemon. */
static enum arguments_exit print_config(const struct arguments *arguments)
{
	CLEANUP(config_freep) struct config *config = NULL;
	const char *path = arguments_config_path(arguments);
	struct config_error error = {.message = "no memory"};
	int r = config_load(path, arguments->overrides, arguments->n_overrides, &config, &error);

	if (r < 0) {
		fprintf(stderr, "error: %s\n", error.message);
		return ARGUMENTS_EXIT_USAGE;
	}
	r = config_print_json(STDOUT_FILENO, config, path);
	if (r < 0) {
		fprintf(stderr, "error: cannot print the configuration: %s\n", strerror(-r));
		return ARGUMENTS_EXIT_FAILED;
	}
	return ARGUMENTS_EXIT_OK;
}

enum arguments_exit arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
	enum arguments_exit code = ARGUMENTS_RUN;
	bool is_check = false;
	int option;

	*ret_arguments = (struct arguments){0};
	while (code == ARGUMENTS_RUN &&
	       (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		code = take_option(option, ret_arguments, &is_check);
	}
	if (code == ARGUMENTS_RUN && optind < argc) {
		code = refuse("unexpected argument", argv[optind]);
	}
	return code == ARGUMENTS_RUN && is_check ? print_config(ret_arguments) : code;
}
