/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "build_config.h"

/* The command line of zooparalleld(8). */

#define ARGUMENTS_DEFAULT_CONFIG ZOOPARALLEL_SYSCONFDIR "/zooparallel/zooparalleld.conf"
#define ARGUMENTS_MAX_OVERRIDES	 64

struct arguments {
	const char *config_path;		  /* NULL: the default one, if it exists */
	char *overrides[ARGUMENTS_MAX_OVERRIDES]; /* "key=value", in the order given */
	size_t n_overrides;
	bool is_once;
};

/* The daemon's exit codes. */
enum arguments_exit {
	ARGUMENTS_RUN = -1, /* not an exit: go on */
	ARGUMENTS_EXIT_OK = 0,
	ARGUMENTS_EXIT_FAILED = 1, /* could not start, or the loop failed */
	ARGUMENTS_EXIT_USAGE = 2,  /* arguments or configuration */
};

/* The file to read: the one that was named, else the default one if it is there now; NULL: none. */
const char *arguments_config_path(const struct arguments *arguments);

/*
 * Strings point into argv. Prints help, version, with --check-config the configuration, or what is
 * wrong, then says with what to exit.
 */
enum arguments_exit arguments_parse(int argc, char **argv, struct arguments *ret_arguments);
