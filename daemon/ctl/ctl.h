/* SPDX-License-Identifier: MIT */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "daemon/ctl/term.h"

/* What every command of zooparallel(1) shares: the exit codes, the options, the table. */

/* Scripts rely on these numbers. */
enum ctl_exit {
	CTL_EXIT_COMPLETED = 0,
	CTL_EXIT_FAILED = 1,
	CTL_EXIT_USAGE = 2,    /* or an invalid spec */
	CTL_EXIT_REJECTED = 3, /* completed, but with rejected rows, under --strict */
	CTL_EXIT_ABORTED = 4,
	CTL_EXIT_UNREACHABLE = 5, /* no daemon, or it died */
	CTL_EXIT_TIMED_OUT = 6,
};

/* The code for a job that has ended in a final state. */
enum ctl_exit ctl_exit_of_job(enum job_state state, bool has_rejects, bool is_strict);

struct command;

/* The call as a whole. */
struct ctl {
	const char *socket_path;
	bool is_socket_given; /* by --socket or by the environment; else it is the default */
	bool json;	      /* stdout carries JSON and nothing else */
	enum term_color color;
	const struct command *command;
};

/* argv[0] is the command's name. Returns an enum ctl_exit. */
typedef int (*command_fn)(struct ctl *ctl, int argc, char **argv);

struct command {
	const char *name;
	const char *usage;	   /* what follows the name */
	const char *summary;	   /* one line */
	const char *help;	   /* its own options, a line each; "" if there are none */
	const char *short_options; /* of its own, as getopt(3) takes them; NULL: none */
	command_fn run;
};

extern const struct command command_table[];
extern const size_t command_table_len;

/* NULL if there is no such command. */
const struct command *command_find(const char *name);

void command_print_overview(void);
void command_print_help(const struct command *command);

/*
 * getopt_long(3) for one command: `own` are its options (ended by zeros), the common ones (--json,
 * --socket, --color, --help) are taken care of. The value of an own option; CTL_OPTION_END after
 * the last, optind is then the first operand; else the command ends with ctl_option_exit(value).
 */
enum {
	CTL_OPTION_END = -1,
	CTL_OPTION_HELP = 0x1000, /* the help has been printed */
	CTL_OPTION_BAD,		  /* the complaint has been printed */
};
int ctl_option_next(struct ctl *ctl, int argc, char **argv, const struct option *own);
int ctl_option_exit(int value);

/* Takes optarg for --timeout, in ns. CTL_OPTION_END; CTL_OPTION_BAD with *timeout_ns untouched. */
int ctl_option_timeout(const struct ctl *ctl, int64_t *timeout_ns);

/* Complains about the operands; CTL_EXIT_USAGE. */
int ctl_usage_error(const struct ctl *ctl, const char *what);

int cmd_cancel(struct ctl *ctl, int argc, char **argv);
int cmd_doctor(struct ctl *ctl, int argc, char **argv);
int cmd_logs(struct ctl *ctl, int argc, char **argv);
int cmd_ls(struct ctl *ctl, int argc, char **argv);
int cmd_rejects(struct ctl *ctl, int argc, char **argv);
int cmd_run(struct ctl *ctl, int argc, char **argv);
int cmd_show(struct ctl *ctl, int argc, char **argv);
int cmd_stats(struct ctl *ctl, int argc, char **argv);
int cmd_submit(struct ctl *ctl, int argc, char **argv);
int cmd_top(struct ctl *ctl, int argc, char **argv);
int cmd_validate(struct ctl *ctl, int argc, char **argv);
int cmd_wait(struct ctl *ctl, int argc, char **argv);
