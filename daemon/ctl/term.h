/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/macro.h"

/* Whether fd is a terminal that can redraw a line (TERM is not "dumb"). */
bool term_can_redraw(int fd);

/* The terminal's width in columns, asked anew each time; 0 if fd is none or does not know. */
size_t term_width(int fd);

/* The terminal's height in lines; 0 if fd is none or does not know. */
size_t term_height(int fd);

/* What --color says. */
enum term_color {
	TERM_COLOR_AUTO, /* on a terminal that is not "dumb", unless NO_COLOR is set */
	TERM_COLOR_ALWAYS,
	TERM_COLOR_NEVER,
};

/* "auto", "always", "never"; -EINVAL for anything else. */
int term_color_parse(const char *text, enum term_color *ret) MUST_CHECK;

/* Whether to colour what goes to fd. */
bool term_has_color(int fd, enum term_color when);

/* One line "zooparallel: ..." on stderr, made safe to show. Keeps errno; %m works. */
void term_error(const char *format, ...) PRINTF_FORMAT(1, 2);
