/* SPDX-License-Identifier: MIT */
/*
 * RELOADING=1 carries the time at which the reload began: without it systemd 253 and later can't
 * tell whether a READY=1 answers this reload or an earlier one. The unit's Type=notify-reload,
 * which waits for that answer, is theirs, too; 252 knows the two messages only.
 */
#include "daemon/core/notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "common/util/clock.h"

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

void notify_status(const char *line)
{
	(void)sd_notifyf(0, "STATUS=%s", line);
}
