/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/macro.h"

/* Whether fd is a terminal that can redraw a line (TERM is not "dumb"). */
bool term_can_redraw(int fd);

/* The terminal's width in columns, asked anew each time; 0 if fd is none or does not know. */
size_t term_width(int fd);

/* Whether to colour what goes to fd: a terminal, and NO_COLOR is not set. */
bool term_has_color(int fd);

/* One line "zooparallel: ..." on stderr, made safe to show. Keeps errno; %m works. */
void term_error(const char *format, ...) PRINTF_FORMAT(1, 2);
