/* SPDX-License-Identifier: MIT */
/* Results are built whole and written once: a failure half-way does not look like a short one. */
#include "daemon/ctl/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/term.h"

/* Said here, where errno tells why. What else is printed is lost too, but not told once more. */
static int cannot_write(void)
{
	CLEANUP(fd_closep) int null_fd = -1;

	term_error("cannot write the result: %m");
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null_fd >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0) {
		clearerr(stdout);
	}
	return CTL_EXIT_FAILED;
}

static int dump(const json_t *document, size_t layout)
{
	if (!document || json_dumpf(document, stdout, layout | JSON_REAL_PRECISION(15)) < 0 ||
	    putchar('\n') == EOF) {
		return cannot_write();
	}
	return CTL_EXIT_COMPLETED;
}

int output_json(const json_t *document)
{
	return dump(document, JSON_INDENT(2));
}

int output_json_line(const json_t *document)
{
	return dump(document, JSON_COMPACT);
}

int output_text(struct buf *text)
{
	if (buf_error(text)) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	if (fwrite(text->data ? text->data : "", 1, text->len, stdout) != text->len) {
		return cannot_write();
	}
	return CTL_EXIT_COMPLETED;
}
