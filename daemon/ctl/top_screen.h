/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/ctl/style.h"

/* The terminal as a grid of cells, and its keys. One at a time: there is one terminal. */

enum screen_key {
	SCREEN_KEY_NONE = 0, /* nothing is typed; characters are themselves */
	SCREEN_KEY_ESCAPE = 27,
	SCREEN_KEY_UP = 0x110000, /* beyond all characters */
	SCREEN_KEY_DOWN,
	SCREEN_KEY_LEFT,
	SCREEN_KEY_RIGHT,
	SCREEN_KEY_PAGE_UP,
	SCREEN_KEY_PAGE_DOWN,
	SCREEN_KEY_HOME,
	SCREEN_KEY_END,
	SCREEN_KEY_ENTER,
	SCREEN_KEY_BACKSPACE,
	SCREEN_KEY_CLOSED, /* the terminal is gone */
};

struct screen;

/* NULL: stdin or stdout is no terminal, or one that has no screen; then nothing has changed. */
struct screen *screen_open(bool has_color);

/* The terminal as it was before. Takes NULL too; returns NULL. */
struct screen *screen_close(struct screen *screen);
void screen_closep(struct screen **screen);

void screen_size(const struct screen *screen, size_t *ret_n_lines, size_t *ret_n_columns);

/*
 * One whole line: the text, which is clean (text.h) and cut to the width, then blanks. A reversed
 * line stands out on every terminal.
 */
void screen_put_line(struct screen *screen, size_t line, const char *text, enum style style,
		     bool is_reversed);

/* Shows what was put since. */
void screen_flush(struct screen *screen);

/* A key that was typed, without waiting for one: an enum screen_key or a character below 0x80. */
int screen_read_key(struct screen *screen);

/* The window was resized, or others have written on it: all is drawn anew at the next flush. */
void screen_refresh(struct screen *screen);

/* Gives the terminal back, stops this process, and takes the terminal when it is continued. */
void screen_stop(struct screen *screen);
