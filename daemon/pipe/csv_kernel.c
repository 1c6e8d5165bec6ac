/* SPDX-License-Identifier: MIT */

/*
 * The inner loops. meson.build compiles this file once for each instruction set, with the
 * compiler's options for it and CSV_KERNEL as its name; simd.h goes by those options. So there is
 * one logic, and the sets differ only in how they ask for 64 bytes at a time.
 *
 * The approach, bitmasks of structural characters and from them a list of places, is that of
 * G. Langdale and D. Lemire, "Parsing Gigabytes of JSON per Second", The VLDB Journal 28 (2019).
 */
#include "daemon/pipe/csv_block.h"
#include "daemon/pipe/csv_scanner.h"
#include "daemon/pipe/json_emit_rows.h"
#include "daemon/pipe/simd.h"

#define NAME_OF(kernel)	   NAME_OF_2(kernel)
#define NAME_OF_2(kernel)  #kernel
#define SCANNER_OF(kernel) SCANNER_OF_2(kernel)
#define SCANNER_OF_2(name) csv_scanner_##name

/* What the masks are made of besides the bytes. */
struct wanted {
	uint8_t delimiter;
	uint8_t quote;		/* '\r' if there is none: it is looked for anyway */
	uint64_t quotes;	/* all bits if there is one, else none */
	bool is_odd_delimiter;	/* JSON escapes it where it is data, and simd_look() won't tell */
	bool distrusts_unicode; /* what is not ASCII needs care */
};

static struct wanted make_wanted(const struct dialect *dialect, bool distrusts_unicode)
{
	uint8_t delimiter = dialect->delimiter;

	return (struct wanted){
		.delimiter = delimiter,
		.quote = dialect->has_quote ? dialect->quote : '\r',
		.quotes = dialect->has_quote ? UINT64_MAX : 0,
		.is_odd_delimiter = delimiter < 0x20 || delimiter == '"' || delimiter == '\\',
		.distrusts_unicode = distrusts_unicode,
	};
}

static inline struct csv_masks make_masks(const struct wanted *wanted, struct simd_block block,
					  uint64_t non_ascii)
{
	struct simd_oddities oddities = simd_look(block, wanted->delimiter, wanted->quote);
	struct csv_masks masks = {
		.valid = UINT64_MAX,
		.delimiter = simd_equal(block, wanted->delimiter),
		.newline = simd_equal(block, '\n'),
	};

	if (oddities.has_quote_or_cr) {
		masks.quote = simd_equal(block, wanted->quote) & wanted->quotes;
		masks.cr = simd_equal(block, '\r');
	}
	if (oddities.has_other) {
		masks.care = simd_escaped(block);
		if (wanted->distrusts_unicode) {
			masks.care |= non_ascii;
		}
		masks.care &= ~(masks.quote | masks.newline | masks.cr);
	} else if (wanted->is_odd_delimiter) {
		masks.care = masks.delimiter;
	}
	return masks;
}

static inline void cut_masks(struct csv_masks *masks, size_t n_valid)
{
	uint64_t valid = bits_below(n_valid);

	masks->valid = valid;
	masks->delimiter &= valid;
	masks->newline &= valid;
	masks->quote &= valid;
	masks->cr &= valid;
	masks->care &= valid;
}

static inline __attribute__((always_inline)) void index_batch(const struct dialect *dialect,
							      const uint8_t *bytes, size_t len,
							      struct csv_index *ret_index,
							      const bool trusts_unicode)
{
	/* Not through the pointer: the ends that are stored could change it, for all the compiler
	 * knows. */
	struct csv_index index = {
		.field_ends = ret_index->field_ends,
		.row_ends = ret_index->row_ends,
	};
	const struct wanted wanted = make_wanted(dialect, !trusts_unicode);
	struct csv_block_state state = CSV_BLOCK_STATE_INIT;
	struct simd_utf8 utf8;

	simd_utf8_init(&utf8);
	for (size_t at = 0; at < len; at += CSV_BLOCK_BYTES) {
		struct simd_block block = simd_load(bytes + at);
		uint64_t non_ascii = simd_non_ascii(block);
		struct csv_masks masks = make_masks(&wanted, block, non_ascii);

		if (UNLIKELY(len - at < CSV_BLOCK_BYTES)) {
			cut_masks(&masks, len - at);
		}
		if (trusts_unicode) {
			simd_utf8_check(&utf8, block, non_ascii);
		}
		csv_block_index(dialect, bytes + at, (uint32_t)at, &masks, &state, &index);
	}
	index.is_valid_utf8 = trusts_unicode && simd_utf8_is_valid(&utf8);
	*ret_index = index;
}

/*
 * Mostly all UTF-8 is valid, and then what is not ASCII is as good as a letter. If it is not, the
 * batch goes through again and each field that is not ASCII is left to the careful path.
 */
static void index_fields(const struct dialect *dialect, const uint8_t *bytes, size_t len,
			 struct csv_index *index)
{
	if (SIMD_VALIDATES_UTF8) {
		index_batch(dialect, bytes, len, index, true);
		if (LIKELY(index->is_valid_utf8)) {
			return;
		}
	}
	index_batch(dialect, bytes, len, index, false);
}

static size_t emit_rows(const struct json_rows *rows, size_t row, uint8_t *out, uint8_t **ret_out)
{
	return rows->field_of == NULL ? json_put_rows(rows, row, out, ret_out, false)
				      : json_put_rows(rows, row, out, ret_out, true);
}

static void count_bytes(struct parity_count *count, const struct dialect *dialect,
			const uint8_t *bytes, size_t len)
{
	uint64_t quotes_wanted = dialect->has_quote ? UINT64_MAX : 0;
	size_t n_blocks = SIMD_COUNTS_BY_MASK ? len / CSV_BLOCK_BYTES : 0;
	uint64_t n_newlines = 0;
	uint64_t n_quotes = 0;

	for (size_t i = 0; i < n_blocks; i++) {
		struct simd_block block = simd_load(bytes + i * CSV_BLOCK_BYTES);

		n_newlines += bits_count(simd_equal(block, '\n'));
		n_quotes += bits_count(simd_equal(block, dialect->quote) & quotes_wanted);
	}
	count->n_newlines += n_newlines;
	count->quote_parity ^= n_quotes & 1;
	parity_add(count, dialect, bytes + n_blocks * CSV_BLOCK_BYTES,
		   len - n_blocks * CSV_BLOCK_BYTES);
}

const struct csv_scanner SCANNER_OF(CSV_KERNEL) = {
	.name = NAME_OF(CSV_KERNEL),
	.index = index_fields,
	.emit = emit_rows,
	.count = count_bytes,
};
