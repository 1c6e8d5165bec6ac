/* SPDX-License-Identifier: MIT */

/*
 * One character at a time: the scanner hands over only what is not ASCII. Which second bytes are
 * allowed depends on the first alone, so table 3-7 of the Unicode standard becomes one entry for
 * each first byte; the third and fourth bytes are plain continuation bytes.
 */
#include "daemon/pipe/utf8.h"

struct lead {
	uint8_t length; /* of a character that begins so; 0: none does */
	uint8_t second_min, second_max;
};

static const struct lead leads[256] = {
	[0x00 ... 0x7f] = {1, 0x00, 0xff}, [0xc2 ... 0xdf] = {2, 0x80, 0xbf},
	[0xe0] = {3, 0xa0, 0xbf},	   [0xe1 ... 0xec] = {3, 0x80, 0xbf},
	[0xed] = {3, 0x80, 0x9f},	   [0xee ... 0xef] = {3, 0x80, 0xbf},
	[0xf0] = {4, 0x90, 0xbf},	   [0xf1 ... 0xf3] = {4, 0x80, 0xbf},
	[0xf4] = {4, 0x80, 0x8f},
};

size_t utf8_char_length(const uint8_t *bytes, size_t len)
{
	const struct lead *lead = len > 0 ? &leads[bytes[0]] : &leads[0xff];

	if (lead->length > len) {
		return 0;
	}
	if (lead->length < 2) {
		return lead->length;
	}
	if (bytes[1] < lead->second_min || bytes[1] > lead->second_max) {
		return 0;
	}
	for (size_t i = 2; i < lead->length; i++) {
		if ((bytes[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return lead->length;
}
