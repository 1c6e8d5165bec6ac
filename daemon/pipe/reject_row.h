/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/reject.h"
#include "common/util/buf.h"

/* At most so much of a rejected row is shown. */
enum { REJECT_ROW_SHOWN_BYTES = 4096 };

struct reject_row {
	const char *job;   /* its name */
	const char *input; /* path of the file below its data root, UTF-8 */
	uint64_t line;	   /* physical, 1 = first of the file */
	uint64_t offset;   /* of the row's first byte */
	enum reject_code code;
	const char *field; /* the column's name; NULL: none */
	/* Without the line end. Of a longer row REJECT_ROW_SHOWN_BYTES + 1 bytes are enough. */
	const uint8_t *bytes;
	size_t len;
};

/*
 * Adds the row's error line: one line of JSON. Its keys are job, input, line, offset, stage, code,
 * field, message, row (row_base64 where the shown bytes are not UTF-8), and row_truncated only if
 * that is true.
 */
void reject_row_render(const struct reject_row *row, struct buf *out);
