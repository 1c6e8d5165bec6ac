/* SPDX-License-Identifier: MIT */

/*
 * Every part of the line follows from the file's bytes and the spec, so two runs of a job give the
 * same error file, whatever their chunks and workers. Whether the row is text is judged by what is
 * shown of it: the rest may be gigabytes away.
 */
#include "daemon/pipe/reject_row.h"

#include <string.h>

#include "common/util/macro.h"
#include "common/util/str.h"

static void add_base64(struct buf *out, const uint8_t *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = MIN(len - i, (size_t)3);
		unsigned group = (unsigned)bytes[i] << 16;

		group |= n > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
		group |= n > 2 ? bytes[i + 2] : 0;

		const char four[] = {
			digits[group >> 18],
			digits[group >> 12 & 63],
			n > 1 ? digits[group >> 6 & 63] : '=',
			n > 2 ? digits[group & 63] : '=',
		};

		buf_add(out, four, sizeof(four));
	}
}

/* The cut, moved back to where a character begins if the bytes around it look like UTF-8. */
static size_t text_cut(const uint8_t *bytes, size_t cut)
{
	size_t at = cut;

	while (at > 0 && cut - at < 3 && (bytes[at] & 0xc0) == 0x80) {
		at--;
	}
	return at;
}

static void add_row(const struct reject_row *row, struct buf *out)
{
	bool is_cut = row->len > REJECT_ROW_SHOWN_BYTES;
	size_t cut = is_cut ? (size_t)REJECT_ROW_SHOWN_BYTES : row->len;
	size_t text_len = is_cut ? text_cut(row->bytes, cut) : cut;

	if (str_is_utf8(row->bytes, text_len, NULL)) {
		buf_add_str(out, ",\"row\":");
		buf_add_json_string(out, (const char *)row->bytes, text_len);
	} else {
		buf_add_str(out, ",\"row_base64\":\"");
		add_base64(out, row->bytes, cut);
		buf_add_char(out, '"');
	}
	buf_add_str(out, is_cut ? ",\"row_truncated\":true}\n" : "}\n");
}

void reject_row_render(const struct reject_row *row, struct buf *out)
{
	const char *message = reject_message(row->code);

	buf_add_str(out, "{\"job\":");
	buf_add_json_string(out, row->job, strlen(row->job));
	buf_add_str(out, ",\"input\":");
	buf_add_json_string(out, row->input, strlen(row->input));
	buf_printf(out,
		   ",\"line\":%llu,\"offset\":%llu,\"stage\":\"parse\",\"code\":\"%s\",\"field\":",
		   (unsigned long long)row->line, (unsigned long long)row->offset,
		   reject_name(row->code));
	if (row->field != NULL) {
		buf_add_json_string(out, row->field, strlen(row->field));
	} else {
		buf_add_str(out, "null");
	}
	buf_add_str(out, ",\"message\":");
	buf_add_json_string(out, message, strlen(message));
	add_row(row, out);
}
