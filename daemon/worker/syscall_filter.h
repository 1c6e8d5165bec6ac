/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

/* The system calls that a worker may still make; make_filters.c has the tables. */
enum syscall_filter {
	SYSCALL_FILTER_PREPARE,
	SYSCALL_FILTER_CONVERT,
	SYSCALL_FILTER_STORAGE,
	SYSCALL_N_FILTERS,
};

enum { SYSCALL_FILTER_IS_MISSING = 1 };

/*
 * Told, in a signal handler, of the call that ends this process, before its death: to write it
 * down where others find it.
 */
typedef void (*syscall_filter_refused_fn)(void *userdata, const char *message);

/*
 * From here on a call that is not in the filter's table is not made: the process logs its name,
 * tells it to fn (NULL is fine) and dies of SIGSYS. Needs no_new_privs. Returns 0, -errno, or
 * SYSCALL_FILTER_IS_MISSING: neither the kernel's nor this build's lack of filters is an error.
 */
int syscall_filter_enter(enum syscall_filter filter, syscall_filter_refused_fn fn,
			 void *userdata) MUST_CHECK;
