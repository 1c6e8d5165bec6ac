/* SPDX-License-Identifier: MIT */
/*
 * What the terminal can do, and complaints. Nothing is cached: a window is resized, and asking
 * costs one ioctl.
 */
#include "daemon/ctl/term.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/str.h"
#include "daemon/ctl/text.h"

enum { MESSAGE_SIZE = 4096 };

bool term_can_redraw(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && term[0] && !str_equal(term, "dumb");
}

size_t term_width(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t term_height(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

int term_color_parse(const char *text, enum term_color *ret)
{
	static const char *const names[] = {
		[TERM_COLOR_AUTO] = "auto",
		[TERM_COLOR_ALWAYS] = "always",
		[TERM_COLOR_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (str_equal(text, names[i])) {
			*ret = (enum term_color)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool term_has_color(int fd, enum term_color when)
{
	const char *no_color = getenv("NO_COLOR");

	if (when != TERM_COLOR_AUTO) {
		return when == TERM_COLOR_ALWAYS;
	}
	return !(no_color && no_color[0]) && term_can_redraw(fd);
}

void term_error(const char *format, ...)
{
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;
	char message[MESSAGE_SIZE];
	int saved_errno = errno;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	text_add_clean(&line, message);
	/* One call: what the daemon or a progress bar writes does not get in between. */
	(void)fprintf(stderr, "zooparallel: %s\n", buf_terminated(&line) ? line.data : "no memory");
	errno = saved_errno;
}
