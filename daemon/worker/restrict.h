/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "common/util/macro.h"
#include "daemon/worker/landlock.h"
#include "daemon/worker/report.h"
#include "daemon/worker/syscall_filter.h"

/*
 * How a worker locks itself in before it touches the first byte that comes from elsewhere: no new
 * privileges, Landlock, a filter of system calls. What the kernel does not have is left out; what
 * it has and does not carry out is an error, and the worker must not go on.
 *
 *	mode	opens by path, from then on	and may still
 *	prepare	files and folders below the	write the plan
 *		data roots, to read
 *	convert	the inputs of the plan, to read	read them, write its outputs, its stats file and
 *						the chunk table
 *	storage	all below the daemon's own	answer the supervisor
 *		folders and the data roots
 *
 * It is the last step of a start. What is to run outside, as a hook's program, is started before
 * it. All functions return 0, or -1 with the report set.
 */
struct restriction {
	enum syscall_filter mode;
	struct landlock landlock; /* rules_fd -1: the kernel has none that will do */
	/* Of a call that the filter refuses, see syscall_filter_enter; NULL is fine. */
	syscall_filter_refused_fn refused;
	void *userdata;
};

int restrict_init(enum syscall_filter mode, struct restriction *ret_restriction,
		  struct report *report) MUST_CHECK;

/* Whether anything has to be allowed at all. */
bool restrict_has_rules(const struct restriction *restriction);

/* The file or folder fd stays what the mode may do with its own; any descriptor will do. */
int restrict_allow(const struct restriction *restriction, int fd, struct report *report) MUST_CHECK;

/* There is no way back from here. */
int restrict_enter(struct restriction *restriction, struct report *report) MUST_CHECK;

void restrict_deinit(struct restriction *restriction);
