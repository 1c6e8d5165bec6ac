/* SPDX-License-Identifier: MIT */

/*
 * The portable scanner. Whatever looks at all 64 bytes of a block is a plain loop over them without
 * a branch, of which any compiler makes vector code; only to bring a mark in each byte together to
 * a mask of bits takes words. What a block does not have costs no mask: most have nothing but
 * printable ASCII, delimiters and line feeds.
 */
#include "daemon/pipe/csv_block.h"
#include "daemon/pipe/csv_index.h"

/* What a block has besides printable ASCII, delimiters and LF. */
struct oddities {
	bool has_quote_or_cr;
	bool has_other;
};

/* Whether JSON, or nobody yet knows, has to treat the byte specially. */
static inline uint8_t needs_care(uint8_t byte)
{
	return (byte < 0x20) | (byte >= 0x80) | (byte == '"') | (byte == '\\');
}

static inline struct oddities look(const struct dialect *dialect, uint8_t quote,
				   const uint8_t *bytes)
{
	uint8_t quote_or_cr = 0;
	uint8_t other = 0;

	for (unsigned i = 0; i < CSV_BLOCK_BYTES; i++) {
		uint8_t byte = bytes[i];
		uint8_t is_end = (byte == '\n') | (byte == dialect->delimiter);
		uint8_t is_quote_or_cr = (byte == quote) | (byte == '\r');

		quote_or_cr |= is_quote_or_cr;
		other |= needs_care(byte) & ((is_end | is_quote_or_cr) ^ 1);
	}
	return (struct oddities){quote_or_cr != 0, other != 0};
}

/* marks has 0x80 for the bytes that are meant, else 0. */
static inline uint64_t gather(const uint8_t marks[CSV_BLOCK_BYTES])
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < CSV_BLOCK_BYTES; i += 8) {
		mask |= bits_gather(bits_load(marks + i)) << i;
	}
	return mask;
}

static inline uint64_t equal_mask(const uint8_t *bytes, uint8_t byte)
{
	uint8_t marks[CSV_BLOCK_BYTES];

	for (unsigned i = 0; i < CSV_BLOCK_BYTES; i++) {
		marks[i] = bytes[i] == byte ? 0x80 : 0;
	}
	return gather(marks);
}

static inline uint64_t care_mask(const uint8_t *bytes)
{
	uint8_t marks[CSV_BLOCK_BYTES];

	for (unsigned i = 0; i < CSV_BLOCK_BYTES; i++) {
		marks[i] = needs_care(bytes[i]) ? 0x80 : 0;
	}
	return gather(marks);
}

static inline void make_masks(const struct dialect *dialect, const uint8_t *bytes,
			      struct csv_masks *masks)
{
	/* Without a quotechar, '\r' stands in for it: it is looked for anyway. */
	uint8_t quote = dialect->has_quote ? dialect->quote : '\r';
	struct oddities oddities = look(dialect, quote, bytes);

	*masks = (struct csv_masks){
		.valid = UINT64_MAX,
		.delimiter = equal_mask(bytes, dialect->delimiter),
		.newline = equal_mask(bytes, '\n'),
	};
	if (oddities.has_quote_or_cr) {
		masks->quote = dialect->has_quote ? equal_mask(bytes, quote) : 0;
		masks->cr = equal_mask(bytes, '\r');
	}
	if (oddities.has_other) {
		masks->care = care_mask(bytes) & ~(masks->quote | masks->newline | masks->cr);
	}
	if (UNLIKELY(needs_care(dialect->delimiter))) {
		masks->care |= masks->delimiter; /* where it is data; look() takes it for an end */
	}
}

static void cut_masks(struct csv_masks *masks, size_t n_valid)
{
	uint64_t valid = bits_below(n_valid);

	masks->valid = valid;
	masks->delimiter &= valid;
	masks->newline &= valid;
	masks->quote &= valid;
	masks->cr &= valid;
	masks->care &= valid;
}

static void index_portable(const struct dialect *dialect, const uint8_t *bytes, size_t len,
			   struct csv_index *index)
{
	struct csv_block_state state = CSV_BLOCK_STATE_INIT;

	index->n_fields = 0;
	index->n_rows = 0;
	for (size_t at = 0; at < len; at += CSV_BLOCK_BYTES) {
		struct csv_masks masks;

		make_masks(dialect, bytes + at, &masks);
		if (UNLIKELY(len - at < CSV_BLOCK_BYTES)) {
			cut_masks(&masks, len - at);
		}
		csv_block_index(dialect, bytes + at, (uint32_t)at, &masks, &state, index);
	}
}

const struct csv_scanner csv_scanner_portable = {
	.name = "portable",
	.index = index_portable,
};
