/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/run_tree.h"
#include "daemon/ctl/run_watch.h"
#include "daemon/ctl/spec_file.h"

/* A private daemon that has ended. */
struct run_report {
	const struct run_tree *tree;
	const struct spec_file *spec;
	const char *data_root; /* as the user named it; NULL: the current folder */
	enum run_end end;
	int daemon_status; /* of waitpid(2) */
	bool is_strict, is_quiet;
};

/* Tells how the run has ended. Returns an enum ctl_exit. */
int run_report(const struct ctl *ctl, const struct run_report *report);
