/* SPDX-License-Identifier: MIT */
/*
 * ncurses(3) knows the terminals; only this file knows ncurses. newterm(3) is used, since
 * initscr(3) exits where it finds no terminal it knows. Its signal handlers never run: the caller
 * has blocked those signals and reads them from a descriptor, so a resize, a stop and an end are
 * events among others and never interrupt a drawing.
 */
#include "daemon/ctl/top_screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NCURSES_NOMACROS
#include <curses.h>

#include "common/util/macro.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/text.h"

/* How long the rest of an arrow key's sequence may take to come after its escape. */
enum { ESCAPE_DELAY_MS = 25, FALLBACK_LINES = 24, FALLBACK_COLUMNS = 80 };

struct screen {
	SCREEN *terminal;
	bool has_color;
};

static const short colors[STYLE_N] = {
	[STYLE_GOOD] = COLOR_GREEN,
	[STYLE_WARNING] = COLOR_YELLOW,
	[STYLE_BAD] = COLOR_RED,
};

static bool use_colors(void)
{
	if (!has_colors() || start_color() == ERR) {
		return false;
	}
	(void)use_default_colors();
	for (int style = 0; style < STYLE_N; style++) {
		if (colors[style]) {
			(void)init_pair((short)(style + 1), colors[style], -1);
		}
	}
	return true;
}

struct screen *screen_open(bool has_color)
{
	struct screen *screen;

	if (!term_can_redraw(STDIN_FILENO) || !term_can_redraw(STDOUT_FILENO)) {
		return NULL;
	}
	screen = calloc(1, sizeof(*screen));
	if (!screen) {
		return NULL;
	}
	screen->terminal = newterm(NULL, stdout, stdin);
	if (!screen->terminal) {
		free(screen);
		return NULL;
	}
	(void)set_escdelay(ESCAPE_DELAY_MS);
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)nodelay(stdscr, TRUE);
	(void)curs_set(0);
	screen->has_color = has_color && use_colors();
	return screen;
}

struct screen *screen_close(struct screen *screen)
{
	if (screen) {
		(void)endwin();
		delscreen(screen->terminal);
		free(screen);
	}
	return NULL;
}

void screen_closep(struct screen **screen)
{
	*screen = screen_close(*screen);
}

void screen_size(const struct screen *screen, size_t *ret_n_lines, size_t *ret_n_columns)
{
	*ret_n_lines = (size_t)MAX(getmaxy(stdscr), 1);
	*ret_n_columns = (size_t)MAX(getmaxx(stdscr), 1);
}

static attr_t attributes_of(const struct screen *screen, enum style style)
{
	if (style == STYLE_DIM) {
		return A_DIM;
	}
	return screen->has_color && colors[style] ? (attr_t)COLOR_PAIR(style + 1) : A_NORMAL;
}

void screen_put_line(struct screen *screen, size_t line, const char *text, enum style style,
		     bool is_reversed)
{
	size_t n_lines, n_columns, len;
	attr_t attributes = is_reversed ? A_REVERSE : attributes_of(screen, style);

	screen_size(screen, &n_lines, &n_columns);
	if (line >= n_lines) {
		return;
	}
	len = text_fit(text, n_columns);
	(void)attrset((int)attributes);
	(void)mvaddnstr((int)line, 0, text, (int)len);
	/* The lower right cell too: addstr() fails there once it has written, which is no matter.
	 */
	for (size_t column = text_width(text); column < n_columns; column++) {
		(void)mvaddch((int)line, (int)column, ' ');
	}
	(void)attrset(A_NORMAL);
}

void screen_flush(struct screen *screen)
{
	(void)refresh();
}

/* A key pressed for long must not be taken for a terminal that is gone: only ERR asks. */
static bool is_closed(void)
{
	struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&terminal, 1, 0) > 0 && (terminal.revents & (POLLHUP | POLLERR | POLLNVAL));
}

int screen_read_key(struct screen *screen)
{
	static const struct {
		int curses_key;
		int key;
	} keys[] = {
		{KEY_UP, SCREEN_KEY_UP},	 {KEY_DOWN, SCREEN_KEY_DOWN},
		{KEY_LEFT, SCREEN_KEY_LEFT},	 {KEY_RIGHT, SCREEN_KEY_RIGHT},
		{KEY_PPAGE, SCREEN_KEY_PAGE_UP}, {KEY_NPAGE, SCREEN_KEY_PAGE_DOWN},
		{KEY_HOME, SCREEN_KEY_HOME},	 {KEY_END, SCREEN_KEY_END},
		{KEY_ENTER, SCREEN_KEY_ENTER},	 {'\n', SCREEN_KEY_ENTER},
		{'\r', SCREEN_KEY_ENTER},	 {KEY_BACKSPACE, SCREEN_KEY_BACKSPACE},
		{'\b', SCREEN_KEY_BACKSPACE},	 {0x7f, SCREEN_KEY_BACKSPACE},
	};

	for (;;) {
		int typed = getch();

		if (typed == ERR) {
			return is_closed() ? SCREEN_KEY_CLOSED : SCREEN_KEY_NONE;
		}
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			if (keys[i].curses_key == typed) {
				return keys[i].key;
			}
		}
		/* What is no key of ours is passed over. */
		if (typed > 0 && typed < 0x80) {
			return typed;
		}
	}
}

void screen_refresh(struct screen *screen)
{
	size_t n_lines = term_height(STDOUT_FILENO);
	size_t n_columns = term_width(STDOUT_FILENO);

	(void)resizeterm((int)(n_lines ? n_lines : FALLBACK_LINES),
			 (int)(n_columns ? n_columns : FALLBACK_COLUMNS));
	(void)clear(); /* and all of it anew, whatever is thought to be there */
}

void screen_stop(struct screen *screen)
{
	(void)endwin();
	(void)raise(SIGSTOP);
	(void)reset_prog_mode();
	screen_refresh(screen);
}
