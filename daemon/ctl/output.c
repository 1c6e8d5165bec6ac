/* SPDX-License-Identifier: MIT */
/* Results are built whole and written once: a failure half-way does not look like a short one. */
#include "daemon/ctl/output.h"

#include <stdio.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/term.h"

int output_json(const json_t *document)
{
	if (!document ||
	    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0 ||
	    putchar('\n') == EOF) {
		term_error("cannot write the result: %m");
		return CTL_EXIT_FAILED;
	}
	return CTL_EXIT_COMPLETED;
}

int output_text(struct buf *text)
{
	if (buf_error(text)) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	if (fwrite(text->data ? text->data : "", 1, text->len, stdout) != text->len) {
		term_error("cannot write the result: %m");
		return CTL_EXIT_FAILED;
	}
	return CTL_EXIT_COMPLETED;
}
