/* SPDX-License-Identifier: MIT */
/* The sentences say what was met, in the words of the dialect's table, and never what stood there.
 */
#include "common/model/reject.h"

#include <assert.h>
#include <errno.h>

#include "common/util/str.h"

_Static_assert(REJECT_N_CODES <= (int)REJECT_MAX_CODES, "the arrays by code are full");

static const struct {
	const char *name;
	const char *message;
} rejects[REJECT_N_CODES] = {
	[REJECT_RAGGED] = {"ragged", "The row has another number of fields than the header."},
	[REJECT_STRAY_QUOTE] = {"stray_quote",
				"A quote stands inside a field that does not begin with one."},
	[REJECT_BAD_QUOTE] = {"bad_quote", "A closing quote is followed by neither a delimiter nor "
					   "the end of the row."},
	[REJECT_BARE_CR] = {"bare_cr", "A carriage return outside quotes is not followed by a "
				       "line feed."},
	[REJECT_INVALID_UTF8] = {"invalid_utf8", "The row is not valid UTF-8."},
	[REJECT_NUL_BYTE] = {"nul_byte", "The row contains a NUL byte."},
	[REJECT_ROW_TOO_LONG] = {"row_too_long", "The row does not end within max_row_bytes."},
	[REJECT_UNCLOSED_QUOTE] =
		{"unclosed_quote",
		 "A quote opens a field and none closes it within max_row_bytes or the file."},
	[REJECT_CRASH] = {"crash", "Workers died on the row again and again."},
};

const char *reject_name(enum reject_code code)
{
	assert(code < REJECT_N_CODES);
	return rejects[code].name;
}

const char *reject_message(enum reject_code code)
{
	assert(code < REJECT_N_CODES);
	return rejects[code].message;
}

int reject_parse(const char *name, enum reject_code *ret)
{
	for (enum reject_code code = 0; code < REJECT_N_CODES; code++) {
		if (str_equal(name, rejects[code].name)) {
			*ret = code;
			return 0;
		}
	}
	return -EINVAL;
}
