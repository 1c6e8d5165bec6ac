/* SPDX-License-Identifier: MIT */

/*
 * The portable scanner: a block's masks from eight words of eight bytes. Most blocks of most files
 * have nothing but printable ASCII, delimiters and line feeds, and most of the others only quotes
 * and CRs besides. To see that is a loop of which any compiler makes vector code, and then a few
 * masks suffice, in fewer steps.
 */
#include "daemon/pipe/csv_block.h"
#include "daemon/pipe/csv_index.h"

enum { N_WORDS = CSV_BLOCK_BYTES / 8 };

/* The dialect's bytes, each repeated eight times. */
struct patterns {
	uint64_t delimiter;
	uint64_t quote;
};

enum block_kind {
	BLOCK_PLAIN,  /* printable ASCII, delimiters and LF */
	BLOCK_QUOTED, /* quotes or CR as well */
	BLOCK_OTHER,
};

static inline enum block_kind kind_of(const struct dialect *dialect, const uint8_t *bytes)
{
	uint8_t quote = dialect->has_quote ? dialect->quote : '"';
	uint8_t has_quote = 0;
	uint8_t has_other = 0;

	for (unsigned i = 0; i < CSV_BLOCK_BYTES; i++) {
		uint8_t byte = bytes[i];
		uint8_t is_end = (byte == '\n') | (byte == dialect->delimiter);
		uint8_t is_quote = (byte == quote) | (byte == '\r');
		uint8_t is_other = (byte < 0x20) | (byte >= 0x80) | (byte == '"') | (byte == '\\');

		has_quote |= is_quote;
		has_other |= is_other & ~(is_end | is_quote);
	}
	if (has_other & 1) {
		return BLOCK_OTHER;
	}
	return has_quote ? BLOCK_QUOTED : BLOCK_PLAIN;
}

static inline void plain_masks(const struct patterns *patterns, const uint8_t *bytes,
			       struct csv_masks *masks)
{
	for (unsigned i = 0; i < N_WORDS; i++) {
		uint64_t word = bits_load(bytes + 8 * i);
		uint64_t delimiter = bits_mark_equal_ascii(word, patterns->delimiter);
		uint64_t newline = bits_mark_equal_ascii(word, BITS_EACH('\n'));

		masks->delimiter |= bits_gather(delimiter) << 8 * i;
		masks->newline |= bits_gather(newline) << 8 * i;
	}
}

static inline void quoted_masks(const struct patterns *patterns, const uint8_t *bytes,
				struct csv_masks *masks)
{
	for (unsigned i = 0; i < N_WORDS; i++) {
		uint64_t word = bits_load(bytes + 8 * i);
		uint64_t quote = bits_mark_equal_ascii(word, patterns->quote);
		uint64_t cr = bits_mark_equal_ascii(word, BITS_EACH('\r'));

		masks->quote |= bits_gather(quote) << 8 * i;
		masks->cr |= bits_gather(cr) << 8 * i;
	}
}

static void other_masks(const struct patterns *patterns, const uint8_t *bytes,
			struct csv_masks *masks)
{
	for (unsigned i = 0; i < N_WORDS; i++) {
		uint64_t word = bits_load(bytes + 8 * i);
		uint64_t delimiter = bits_mark_equal(word, patterns->delimiter);
		uint64_t newline = bits_mark_equal(word, BITS_EACH('\n'));
		uint64_t quote = bits_mark_equal(word, patterns->quote);
		uint64_t cr = bits_mark_equal(word, BITS_EACH('\r'));
		uint64_t care = bits_mark_care(word, patterns->quote);

		masks->delimiter |= bits_gather(delimiter) << 8 * i;
		masks->newline |= bits_gather(newline) << 8 * i;
		masks->quote |= bits_gather(quote) << 8 * i;
		masks->cr |= bits_gather(cr) << 8 * i;
		masks->care |= bits_gather(care & ~(quote | newline | cr)) << 8 * i;
	}
}

static inline void make_masks(const struct dialect *dialect, const struct patterns *patterns,
			      const uint8_t *bytes, struct csv_masks *masks)
{
	enum block_kind kind = kind_of(dialect, bytes);

	*masks = (struct csv_masks){.valid = UINT64_MAX};
	if (UNLIKELY(kind == BLOCK_OTHER)) {
		other_masks(patterns, bytes, masks);
	} else {
		plain_masks(patterns, bytes, masks);
		if (kind == BLOCK_QUOTED) {
			quoted_masks(patterns, bytes, masks);
		}
	}
	if (UNLIKELY(!dialect->has_quote)) {
		masks->care |= masks->quote; /* '"' stood in for it */
		masks->quote = 0;
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
	const struct patterns patterns = {
		.delimiter = BITS_EACH(dialect->delimiter),
		.quote = BITS_EACH(dialect->has_quote ? dialect->quote : '"'),
	};
	struct csv_block_state state = CSV_BLOCK_STATE_INIT;

	index->n_fields = 0;
	index->n_rows = 0;
	for (size_t at = 0; at < len; at += CSV_BLOCK_BYTES) {
		struct csv_masks masks;

		make_masks(dialect, &patterns, bytes + at, &masks);
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
