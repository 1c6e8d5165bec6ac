/* SPDX-License-Identifier: MIT */

/*
 * The portable scanner: a block's masks from eight words of eight bytes. Most blocks of a plain
 * file have nothing but letters, delimiters and line feeds, so a first look finds these two and
 * whether there is anything else; only then a second look asks what.
 */
#include "daemon/pipe/csv_block.h"
#include "daemon/pipe/csv_index.h"

enum { N_WORDS = CSV_BLOCK_BYTES / 8 };

/* The dialect's bytes, each repeated eight times. */
struct patterns {
	uint64_t delimiter;
	uint64_t quote;
};

/* Fills delimiter and newline. True if there is any byte of the other masks. */
static inline bool look_once(const struct patterns *patterns, const uint8_t *bytes,
			     struct csv_masks *masks)
{
	uint64_t others = 0;
	uint64_t delimiters = 0;
	uint64_t newlines = 0;

	for (unsigned i = 0; i < N_WORDS; i++) {
		uint64_t word = bits_load(bytes + 8 * i);
		uint64_t delimiter = bits_mark_equal(word, patterns->delimiter);
		uint64_t newline = bits_mark_equal(word, BITS_EACH('\n'));

		others |= bits_mark_care(word, patterns->quote) & ~(delimiter | newline);
		delimiters |= bits_gather(delimiter) << 8 * i;
		newlines |= bits_gather(newline) << 8 * i;
	}
	*masks = (struct csv_masks){
		.valid = UINT64_MAX,
		.delimiter = delimiters,
		.newline = newlines,
	};
	return others != 0;
}

static void look_twice(const struct dialect *dialect, const struct patterns *patterns,
		       const uint8_t *bytes, struct csv_masks *masks)
{
	for (unsigned i = 0; i < N_WORDS; i++) {
		uint64_t word = bits_load(bytes + 8 * i);
		uint64_t quote = bits_mark_equal(word, patterns->quote);

		masks->quote |= bits_gather(quote) << 8 * i;
		masks->cr |= bits_gather(bits_mark_equal(word, BITS_EACH('\r'))) << 8 * i;
		masks->care |= bits_gather(bits_mark_care(word, patterns->quote)) << 8 * i;
	}
	masks->quote = dialect->has_quote ? masks->quote : 0;
	masks->care &= ~(masks->delimiter | masks->newline | masks->cr);
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

		if (UNLIKELY(look_once(&patterns, bytes + at, &masks))) {
			look_twice(dialect, &patterns, bytes + at, &masks);
		}
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
