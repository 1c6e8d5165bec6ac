/* SPDX-License-Identifier: MIT */
/* The sixteen colours only: a user's terminal has made them readable on its background. */
#include "daemon/ctl/style.h"

static const char *const sequences[STYLE_N] = {
	[STYLE_PLAIN] = "",	  [STYLE_GOOD] = "\033[32m", [STYLE_WARNING] = "\033[33m",
	[STYLE_BAD] = "\033[31m", [STYLE_DIM] = "\033[2m",
};

static const enum style state_styles[JOB_N_STATES] = {
	[JOB_STATE_PENDING] = STYLE_DIM,     [JOB_STATE_RUNNING] = STYLE_PLAIN,
	[JOB_STATE_COMPLETED] = STYLE_GOOD,  [JOB_STATE_FAILED] = STYLE_BAD,
	[JOB_STATE_ABORTED] = STYLE_WARNING,
};

const char *style_begin(enum style style)
{
	return sequences[style];
}

const char *style_end(enum style style)
{
	return style == STYLE_PLAIN ? "" : "\033[0m";
}

enum style style_of_state(enum job_state state)
{
	return state_styles[state];
}
