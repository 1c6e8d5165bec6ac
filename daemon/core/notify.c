/* SPDX-License-Identifier: MIT */
/*
 * RELOADING=1 carries the time at which the reload began: without it systemd 253 and later can't
 * tell whether a READY=1 answers this reload or an earlier one.
 */
#include "daemon/core/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/util/clock.h"

#define STATUS_SIZE 256

void notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_ns() / 1000);
}

void notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void notify_status(const char *format, ...)
{
	static char last[STATUS_SIZE];
	char status[STATUS_SIZE];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(status, sizeof(status), format, arguments);
	va_end(arguments);
	if (strcmp(status, last) == 0) {
		return;
	}
	memcpy(last, status, sizeof(last));
	(void)sd_notifyf(0, "STATUS=%s", status);
}
