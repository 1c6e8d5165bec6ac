/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What systemd hears of this daemon (sd_notify(3)). All of it does nothing without a NOTIFY_SOCKET,
 * and no failure matters: the service manager has timeouts of its own.
 */

void notify_ready(void);
void notify_reloading(void); /* notify_ready() ends it */
void notify_stopping(void);

/* One line for `systemctl status`. status_line.h keeps it up to date. */
void notify_status(const char *line);
