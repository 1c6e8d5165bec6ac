/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

/*
 * What systemd hears of this daemon (sd_notify(3)). All of it does nothing without a NOTIFY_SOCKET,
 * and no failure matters: the service manager has timeouts of its own.
 */

void notify_ready(void);
void notify_reloading(void); /* notify_ready() ends it */
void notify_stopping(void);

/* One line for `systemctl status`; sent only if it differs from the last one. */
void notify_status(const char *format, ...) PRINTF_FORMAT(1, 2);
