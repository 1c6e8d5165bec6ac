/* SPDX-License-Identifier: MIT */

/*
 * The first thing that goes wrong is what the supervisor is told; a worker stops at it, so nothing
 * later can take its place.
 */
#include "daemon/worker/report.h"

#include <stdarg.h>
#include <stdio.h>

int report_set(struct report *report, enum job_reason reason, const char *format, ...)
{
	va_list args;

	report->reason = reason;
	va_start(args, format);
	vsnprintf(report->message, sizeof(report->message), format, args);
	va_end(args);
	return -1;
}
