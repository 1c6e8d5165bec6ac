/* SPDX-License-Identifier: MIT */
/* The table of commands: the overview, the help and the dispatch all come from it. */
#include "common/util/macro.h"
#include "daemon/ctl/ctl.h"

const struct command command_table[] = {
	{
		.name = "run",
		.usage = "SPEC [OPTION...]",
		.summary = "Run one job spec here and now, with a daemon of its own, and watch it",
		.help = "  --data-root DIR  where relative paths begin (the current folder)\n"
			"  --set KEY=VALUE  a setting of the daemon; may be given again\n"
			"  --strict         exit 3 if rows were rejected\n"
			"  --timeout TIME   stop after this time (30s, 5m) and exit 6\n"
			"  --quiet          no progress, no summary\n",
		.run = cmd_run,
	},
	{
		.name = "submit",
		.usage = "SPEC... [OPTION...]",
		.summary = "Hand job specs to the daemon and print their IDs",
		.help = "  --wait           wait until they have ended, as `wait` does\n"
			"  --strict         with --wait: exit 3 if rows were rejected\n"
			"  --timeout TIME   with --wait: give up waiting after this time\n"
			"  --quiet          with --wait: no progress\n",
		.run = cmd_submit,
	},
	{
		.name = "validate",
		.usage = "SPEC...",
		.summary = "Check job specs; needs no daemon",
		.help = "",
		.run = cmd_validate,
	},
	{
		.name = "ls",
		.usage = "[OPTION...]",
		.summary = "List jobs, the newest first",
		.help = "  --state STATE    pending, running, completed, failed or aborted\n"
			"  --name NAME      jobs of this name\n"
			"  --limit N        at most N jobs, up to 1000 (100)\n"
			"  --after ID       only jobs that are older than this one\n",
		.run = cmd_ls,
	},
	{
		.name = "top",
		.usage = "[OPTION...]",
		.summary = "Watch the daemon and its jobs live; h explains the keys",
		.help = "  -d, --interval TIME  look this often (500ms)\n"
			"  -n, --iterations N   end after N looks\n"
			"  --once               print one table and end\n"
			"  --sort KEY           name, state, rate, rows, rejects, ram, progress or "
			"age\n"
			"  --reverse            the other way round\n"
			"  --state STATE        only jobs in this state\n"
			"  --name TEXT          only jobs whose name has TEXT in it\n",
		.short_options = "d:n:",
		.run = cmd_top,
	},
	{
		.name = "show",
		.usage = "ID",
		.summary = "Show everything about one job",
		.help = "",
		.run = cmd_show,
	},
	{
		.name = "wait",
		.usage = "ID... [OPTION...]",
		.summary = "Wait until jobs have ended; the exit status says how",
		.help = "  --timeout TIME   give up after this time (30s, 5m) and exit 6\n"
			"  --strict         exit 3 if rows were rejected\n"
			"  --quiet          no progress\n",
		.run = cmd_wait,
	},
	{
		.name = "cancel",
		.usage = "ID... [OPTION...]",
		.summary = "Abort jobs; their outputs are not published",
		.help = "  --wait           wait until they have ended; exit 0 if all are aborted\n"
			"  --timeout TIME   with --wait: give up waiting after this time\n",
		.run = cmd_cancel,
	},
	{
		.name = "rejects",
		.usage = "ID [OPTION...]",
		.summary = "Show a job's first rejected rows",
		.help = "  --limit N        at most N rows, up to 1000 (100)\n"
			"  --skip N         pass over the first N rows\n",
		.run = cmd_rejects,
	},
	{
		.name = "logs",
		.usage = "[ID] [OPTION...]",
		.summary = "Show what the daemon has logged, of one job or of all",
		.help = "  -f, --follow     go on with what comes\n"
			"  -n, --lines N    only the last N lines\n"
			"  --since TIME     not before this time, as journalctl(1) reads it\n"
			"  --until TIME     not after this time\n"
			"  --unit UNIT      of this unit instead of zooparallel.service\n",
		.short_options = "fn:",
		.run = cmd_logs,
	},
	{
		.name = "doctor",
		.usage = "[OPTION...]",
		.summary = "Look at the whole installation and say what to do about it",
		.help = "  --config FILE    the daemon's configuration, if not the default one\n"
			"  --set KEY=VALUE  a setting of the daemon; may be given again\n"
			"  --quiet          only warnings and problems\n",
		.run = cmd_doctor,
	},
	{
		.name = "stats",
		.usage = "FILE",
		.summary = "Read one worker's stats file; needs no daemon",
		.help = "",
		.run = cmd_stats,
	},
};

const size_t command_table_len = ARRAY_SIZE(command_table);
