/* SPDX-License-Identifier: MIT */
/*
 * zooparallel(1): the options before the command, the table of commands, the exit status. A result
 * that could not be written (a full disk, a closed pipe) is a failure, so stdout is closed here.
 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "build_config.h"
#include "common/util/macro.h"
#include "common/util/str.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/term.h"

#define DEFAULT_SOCKET "/run/zooparallel/control.sock"

/* What getopt(3) says is said by. */
static char program_name[64] = "zooparallel";

/* The names that a mistyped one is compared with. */
static const char *nearest_command(const char *name)
{
	const char *names[32];
	size_t n_names = MIN(command_table_len, ARRAY_SIZE(names));

	for (size_t i = 0; i < n_names; i++) {
		names[i] = command_table[i].name;
	}
	return str_nearest(name, names, n_names);
}

static int unknown_command(const char *name)
{
	const char *nearest = nearest_command(name);

	if (nearest) {
		term_error("no command \"%s\" (did you mean \"%s\"?)", name, nearest);
	} else {
		term_error("no command \"%s\" (see zooparallel --help)", name);
	}
	return CTL_EXIT_USAGE;
}

static int help(const char *name)
{
	const struct command *command = name ? command_find(name) : NULL;

	if (name && !command) {
		return unknown_command(name);
	}
	if (command) {
		command_print_help(command);
	} else {
		command_print_overview();
	}
	return CTL_EXIT_COMPLETED;
}

static int dispatch(struct ctl *ctl, int argc, char **argv)
{
	if (argc == 0) {
		command_print_overview();
		return CTL_EXIT_USAGE;
	}
	if (str_equal(argv[0], "help")) {
		bool is_about_itself = argc < 2 || str_equal(argv[1], "help") ||
				       str_equal(argv[1], "--help") || str_equal(argv[1], "-h");

		return help(is_about_itself ? NULL : argv[1]);
	}
	ctl->command = command_find(argv[0]);
	if (!ctl->command) {
		return unknown_command(argv[0]);
	}
	(void)snprintf(program_name, sizeof(program_name), "zooparallel: %s", ctl->command->name);
	argv[0] = program_name; /* its complaints begin as ours do */
	optind = 0;		/* getopt(3): begin anew, with another argv */
	return ctl->command->run(ctl, argc, argv);
}

static int parse_and_dispatch(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{"color", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},	 {"socket", required_argument, NULL, 's'},
		{"version", no_argument, NULL, 'v'},	 {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			return help(NULL);
		case 'j':
			ctl->json = true;
			break;
		case 's':
			ctl->socket_path = optarg;
			ctl->is_socket_given = true;
			break;
		case 'c':
			if (term_color_parse(optarg, &ctl->color) < 0) {
				term_error("--color wants auto, always or never");
				return CTL_EXIT_USAGE;
			}
			break;
		case 'v':
			printf("zooparallel " ZOOPARALLEL_VERSION "\n");
			return CTL_EXIT_COMPLETED;
		default:
			term_error("see zooparallel --help");
			return CTL_EXIT_USAGE;
		}
	}
	return dispatch(ctl, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
	const char *socket_path = getenv("ZOOPARALLEL_SOCKET");
	bool is_given = socket_path && socket_path[0];
	struct ctl ctl = {.socket_path = is_given ? socket_path : DEFAULT_SOCKET,
			  .is_socket_given = is_given};
	int code;

	/* For wcwidth(3) alone: what is printed is UTF-8 whatever the locale, numbers are C's. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (argc > 0) {
		argv[0] = program_name;
	}
	code = parse_and_dispatch(&ctl, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		term_error("cannot write the result: %m");
		return code == CTL_EXIT_COMPLETED ? CTL_EXIT_FAILED : code;
	}
	return code;
}
