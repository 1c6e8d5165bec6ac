/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

/*
 * The one thing that is wrong with a job spec, and where.
 *
 * Plain data without pointers: it may be copied, kept and printed after the spec's text is gone.
 * All strings end with NUL; what is too long is cut at a character's border.
 */
enum {
	SPEC_ERROR_PATH_BYTES = 256,
	SPEC_ERROR_MESSAGE_BYTES = 256,
	SPEC_ERROR_SUGGESTION_BYTES = 64,
};

struct spec_error {
	char json_path[SPEC_ERROR_PATH_BYTES];	/* "$.input.delimter"; "" if the text is not JSON */
	unsigned line;				/* from 1 */
	unsigned column;			/* from 1, in characters */
	char message[SPEC_ERROR_MESSAGE_BYTES]; /* "unknown key" */
	char suggestion[SPEC_ERROR_SUGGESTION_BYTES]; /* the word that was probably meant, or "" */
};

/*
 * One line for people, without a newline:
 * `users.json:12:7: $.input.delimter: unknown key (did you mean "delimiter"?)`.
 * The caller frees *ret_line. Returns 0 or -ENOMEM.
 */
MUST_CHECK int spec_error_render(const struct spec_error *error, const char *file_name,
				 char **ret_line);
