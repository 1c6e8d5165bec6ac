/* SPDX-License-Identifier: MIT */

/*
 * The counting loops are left to the compiler, which makes vector code of them on every machine;
 * the search takes a block of 64 bytes at a time as the scanners do.
 */
#include "daemon/pipe/parity.h"

#include "common/util/macro.h"
#include "daemon/pipe/bits.h"

void parity_add(struct parity_count *count, const struct dialect *dialect, const uint8_t *bytes,
		size_t len)
{
	count->n_newlines += bits_count_byte(bytes, len, '\n');
	if (dialect->has_quote) {
		count->quote_parity ^= bits_count_byte(bytes, len, dialect->quote) & 1;
	}
}

/* One bit for each of bytes[0..64) that equals `byte`. */
static uint64_t block_mask(const uint8_t *bytes, uint8_t byte)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t mark = bits_mark_equal(bits_load(bytes + 8 * i), BITS_EACH(byte));

		mask |= bits_gather(mark) << 8 * i;
	}
	return mask;
}

size_t parity_find_row(const struct dialect *dialect, const uint8_t *bytes, size_t len,
		       bool *inside_quotes)
{
	uint64_t carried = *inside_quotes ? UINT64_MAX : 0;

	for (size_t at = 0; at < len; at += 64) {
		uint64_t valid = bits_below(len - at);
		uint64_t quotes = dialect->has_quote ? block_mask(bytes + at, dialect->quote) : 0;
		uint64_t inside = bits_prefix_xor(quotes & valid) ^ carried;
		uint64_t newlines = block_mask(bytes + at, '\n') & valid & ~inside;

		if (newlines != 0) {
			*inside_quotes = false;
			return at + (size_t)__builtin_ctzll(newlines) + 1;
		}
		carried = (uint64_t)((int64_t)inside >> 63);
	}
	*inside_quotes = carried != 0;
	return len;
}
