/* SPDX-License-Identifier: MIT */

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
