/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/job_state.h"
#include "daemon/ctl/job_info.h"

/* A running job on stderr: a bar that redraws itself on a terminal, now and then a line elsewhere.
 */
struct progress {
	bool is_quiet;
	bool is_bar;
	bool is_drawn; /* a bar stands on the screen */
	int64_t last_line_ns;
	enum job_state last_state;
};

struct progress progress_init(bool is_quiet);

/* Call it as often as there are new numbers. */
void progress_show(struct progress *progress, const struct job_info *info);

/* Takes the bar away: what is written next stands on a line of its own. */
void progress_clear(struct progress *progress);
