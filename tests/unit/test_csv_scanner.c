/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/csv_scanner.h"

#include <stdio.h>
#include <string.h>

#include "common/util/buf.h"
#include "daemon/pipe/reader.h"
#include "daemon/pipe/utf8.h"
#include "tests/support/unit.h"

/* The scanners against one another and against what is simpler than they are. */

enum { MAX_TEXT = 600, N_COLUMNS = 3, N_RANDOM_TEXTS = 10000 };

static char column_names[N_COLUMNS][80] = {"a", "quite \"long\"", ""};
static char *columns[N_COLUMNS] = {column_names[0], column_names[1], column_names[2]};
static struct json_keys keys;
static struct csv_index fields;

static void setup(void)
{
	/* A key that takes more than one step of a copy. */
	memset(columns[2], 'k', sizeof(column_names[2]) - 1);
	ck_assert_int_eq(json_keys_init(&keys, columns, N_COLUMNS), 0);
	ck_assert_int_eq(csv_index_init(&fields), 0);
}

static void teardown(void)
{
	json_keys_deinit(&keys);
	csv_index_deinit(&fields);
}

static uint64_t random_state = 88172645463325252;

static uint32_t random_below(uint32_t n)
{
	/* xorshift64: G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003). */
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % n;
}

/* Adds what the emitter gives, "start:" of each row that it refuses, and the fields' ends. */
static void convert(const struct csv_scanner *scanner, const struct dialect *dialect,
		    const uint8_t *bytes, size_t len, struct buf *out)
{
	const struct json_rows rows_of_batch = {
		.dialect = dialect,
		.keys = &keys,
		.index = &fields,
		.bytes = bytes,
		.start_limit = UINT32_MAX,
		.max_row_bytes = dialect->max_row_bytes,
	};
	struct json_rows rows = rows_of_batch;

	scanner->index(dialect, bytes, len, &fields);
	rows.end_row = fields.n_rows;
	for (size_t row = 0; row < fields.n_rows; row++) {
		size_t from = csv_index_row_start(&fields, row);
		uint8_t *end;

		ck_assert_int_eq(buf_reserve(out, json_emit_bound(&keys, fields.n_rows, len)), 0);
		row = scanner->emit(&rows, row, (uint8_t *)out->data + out->len, &end);
		out->len = (size_t)(end - (uint8_t *)out->data);
		if (row < fields.n_rows) {
			from = csv_index_row_start(&fields, row);
			buf_printf(out, "%zu:", from);
		}
	}
	for (size_t f = 0; f < fields.n_fields; f++) {
		uint32_t end = fields.field_ends[f] & CSV_INDEX_OFFSET;

		buf_add(out, &end, sizeof(end));
	}
}

static void check_all_alike(const struct dialect *dialect, const uint8_t *bytes, size_t len)
{
	CLEANUP(buf_deinit) struct buf wanted = BUF_INIT;
	const struct csv_scanner *scanner;

	convert(csv_scanner_find("portable"), dialect, bytes, len, &wanted);
	for (size_t n = 0; (scanner = csv_scanner_at(n)) != NULL; n++) {
		CLEANUP(buf_deinit) struct buf got = BUF_INIT;

		convert(scanner, dialect, bytes, len, &got);
		ck_assert_msg(got.len == wanted.len &&
				      (got.len == 0 || memcmp(got.data, wanted.data, got.len) == 0),
			      "%s, %zu bytes:\n%s\nportable:\n%s", scanner->name, len,
			      buf_terminated(&got), buf_terminated(&wanted));
	}
}

static struct dialect make_dialect(char delimiter, char quote, bool is_strict)
{
	const struct input_spec input = {
		.delimiter = delimiter,
		.quotechar = quote,
		.strict = is_strict,
		.max_row_bytes = 1 << 20,
	};
	struct dialect dialect;

	dialect_init(&dialect, &input);
	return dialect;
}

static const char *const nasty[] = {
	"\"",
	"\"",
	"\"\"",
	",",
	",",
	",",
	"\n",
	"\n",
	"\r\n",
	"\r",
	"\"\n",
	",\"",
	"\",",
	"\\",
	"\t",
	"\x01",
	"\x1f",
	"\x7f",
	"'",
	";",
	"\xc3\xa9",
	"\xe2\x82\xac",
	"\xf0\x9d\x84\x9e",
	"\xff",
	"\x80",
	"\xc3",
	"\xed\xa0\x80",
	"\xf4\x90\x80\x80",
	"\xe2\x82",
};

/* Fills bytes[0..MAX_TEXT): the more harmless, the further rows get. */
static void make_nasty(uint8_t *bytes, uint32_t harmless)
{
	size_t len = 0;

	while (len < MAX_TEXT) {
		const char *token = nasty[random_below(ARRAY_SIZE(nasty))];
		char plain[2] = {(char)('a' + random_below(26)), '\0'};

		if (random_below(16) < harmless) {
			token = random_below(5) > 0 ? plain : random_below(3) > 0 ? "," : "\n";
		}

		size_t n = MIN(strlen(token), MAX_TEXT - len);

		memcpy(bytes + len, token, n);
		len += n;
	}
}

START_TEST(all_scanners_give_the_same_for_random_bytes)
{
	static const char dialects[][2] = {{',', '"'},	{',', '"'},  {',', 0},	  {';', '\''},
					   {'\t', '"'}, {'"', '\\'}, {'\\', '"'}, {'a', ','}};

	for (unsigned i = 0; i < N_RANDOM_TEXTS; i++) {
		const char *of = dialects[random_below(ARRAY_SIZE(dialects))];
		struct dialect dialect = make_dialect(of[0], of[1], i % 2 == 0);
		uint8_t text[64 + MAX_TEXT + READER_PADDING] = {0};
		uint8_t *bytes = text + random_below(64);

		make_nasty(bytes, random_below(16));
		check_all_alike(&dialect, bytes, random_below(MAX_TEXT + 1));
	}
}
END_TEST

START_TEST(all_scanners_give_the_same_for_every_byte_at_every_place)
{
	struct dialect csv = make_dialect(',', '"', false);
	uint8_t bytes[200 + READER_PADDING] = {0};

	for (size_t at = 0; at < 80; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			for (size_t i = 0; i < 200; i++) {
				bytes[i] = (uint8_t)("ab,\"cd\",\"ef\"\n"[i % 13]);
			}
			bytes[at] = (uint8_t)byte;
			check_all_alike(&csv, bytes, 200);
		}
	}
}
END_TEST

START_TEST(long_fields_and_keys_are_copied_whole)
{
	struct dialect csv = make_dialect(',', '"', false);
	uint8_t bytes[MAX_TEXT + READER_PADDING] = {0};

	for (size_t n = 0; n < MAX_TEXT - 8; n++) {
		CLEANUP(buf_deinit) struct buf out = BUF_INIT;
		CLEANUP(buf_deinit) struct buf wanted = BUF_INIT;

		memset(bytes, 'v', n);
		memcpy(bytes + n, ",,\"w\"\n", 6);
		check_all_alike(&csv, bytes, n + 6);
		convert(csv_scanner_at(0), &csv, bytes, n + 6, &out);
		buf_printf(&wanted,
			   "{\"a\":\"%.*s\",\"quite "
			   "\\\"long\\\"\":\"\",\"%s\":\"w\"}\n",
			   (int)n, (const char *)bytes, columns[2]);
		ck_assert_uint_le(wanted.len, out.len);
		ck_assert_mem_eq(out.data, wanted.data, wanted.len);
	}
}
END_TEST

START_TEST(keys_of_every_length_are_copied_whole)
{
	struct dialect csv = make_dialect(',', '"', false);
	const uint8_t bytes[3 + READER_PADDING] = "vw\n";
	const struct csv_scanner *scanner;

	for (size_t n = 1; n < sizeof(column_names[2]); n++) {
		char *column = columns[2] + sizeof(column_names[2]) - 1 - n;

		json_keys_deinit(&keys);
		ck_assert_int_eq(json_keys_init(&keys, &column, 1), 0);
		for (size_t i = 0; (scanner = csv_scanner_at(i)) != NULL; i++) {
			CLEANUP(buf_deinit) struct buf out = BUF_INIT;
			CLEANUP(buf_deinit) struct buf wanted = BUF_INIT;

			convert(scanner, &csv, bytes, 3, &out);
			buf_printf(&wanted, "{\"%s\":\"vw\"}\n", column);
			ck_assert_uint_le(wanted.len, out.len);
			ck_assert_mem_eq(out.data, wanted.data, wanted.len);
		}
	}
}
END_TEST

START_TEST(rows_beyond_a_limit_are_not_emitted)
{
	struct dialect csv = make_dialect(',', '"', false);
	const uint8_t bytes[18 + READER_PADDING] = "a,b,c\nd,e,f\ng,h,i\n";
	static const struct {
		size_t end_row;
		uint32_t start_limit;
		uint64_t max_row_bytes;
		size_t wanted;
	} cases[] = {{3, 18, 5, 3}, {2, 18, 5, 2}, {3, 7, 5, 2}, {3, 6, 5, 1}, {3, 18, 4, 0}};
	const struct csv_scanner *scanner;

	for (size_t n = 0; (scanner = csv_scanner_at(n)) != NULL; n++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			uint8_t out[1000];
			uint8_t *end;
			const struct json_rows rows = {
				.dialect = &csv,
				.keys = &keys,
				.index = &fields,
				.bytes = bytes,
				.end_row = cases[i].end_row,
				.start_limit = cases[i].start_limit,
				.max_row_bytes = cases[i].max_row_bytes,
			};

			scanner->index(&csv, bytes, 18, &fields);
			ck_assert_uint_eq(scanner->emit(&rows, 0, out, &end), cases[i].wanted);
		}
	}
}
END_TEST

START_TEST(fields_go_to_their_columns_in_every_row)
{
	struct dialect csv = make_dialect(',', '"', false);
	const uint8_t bytes[18 + READER_PADDING] = "p,q,r\ns,t,u\nv,w,x\n";
	static const char *const wanted[][3] = {{"r", "p", "q"}, {"u", "s", "t"}, {"x", "v", "w"}};
	static const uint32_t field_of[N_COLUMNS] = {2, 0, 1};
	const struct csv_scanner *scanner;

	for (size_t n = 0; (scanner = csv_scanner_at(n)) != NULL; n++) {
		CLEANUP(buf_deinit) struct buf text = BUF_INIT;
		uint8_t out[1000];
		uint8_t *end;
		const struct json_rows rows = {
			.dialect = &csv,
			.keys = &keys,
			.field_of = field_of,
			.index = &fields,
			.bytes = bytes,
			.end_row = 3,
			.start_limit = UINT32_MAX,
			.max_row_bytes = csv.max_row_bytes,
		};

		scanner->index(&csv, bytes, 18, &fields);
		ck_assert_uint_eq(scanner->emit(&rows, 0, out, &end), 3);
		for (size_t row = 0; row < 3; row++) {
			buf_printf(&text,
				   "{\"a\":\"%s\",\"quite \\\"long\\\"\":\"%s\",\"%s\":\"%s\"}\n",
				   wanted[row][0], wanted[row][1], columns[2], wanted[row][2]);
		}
		ck_assert_uint_eq((size_t)(end - out), text.len);
		ck_assert_mem_eq(out, text.data, text.len);
	}
}
END_TEST

static bool is_valid(const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = utf8_char_length(bytes + at, len - at);

		if (n == 0) {
			return false;
		}
		at += n;
	}
	return true;
}

/* A row whose second field holds the sequence at offset `at` of the batch. */
static void check_sequence(const uint8_t *sequence, size_t n, size_t at)
{
	struct dialect csv = make_dialect(',', '"', false);
	uint8_t bytes[300 + READER_PADDING] = {0};
	bool wanted = is_valid(sequence, n);
	const struct csv_scanner *scanner;

	memset(bytes, 'x', at + n);
	bytes[0] = ',';
	memcpy(bytes + at, sequence, n);
	memcpy(bytes + at + n, ",y\n", 3);
	for (size_t i = 0; (scanner = csv_scanner_at(i)) != NULL; i++) {
		uint8_t out[6 * 300 + 400];
		uint8_t *end;
		struct json_rows rows = {
			.dialect = &csv,
			.keys = &keys,
			.index = &fields,
			.bytes = bytes,
			.start_limit = UINT32_MAX,
			.max_row_bytes = csv.max_row_bytes,
			.end_row = 1,
		};

		scanner->index(&csv, bytes, at + n + 3, &fields);
		ck_assert_uint_eq(fields.n_rows, 1);
		ck_assert_msg(scanner->emit(&rows, 0, out, &end) == wanted,
			      "%s: %02x %02x %02x %02x (%zu) at %zu", scanner->name, sequence[0],
			      sequence[1], sequence[2], sequence[3], n, at);
	}
}

START_TEST(utf8_is_judged_as_the_table_of_characters_does)
{
	static const uint8_t thirds[] = {'x', 0x80, 0xbf, 0xc0};

	for (unsigned first = 0x80; first < 256; first++) {
		for (unsigned second = 0x40; second < 256; second++) {
			/* More than two bytes are only looked at behind such a lead. */
			size_t n_tails = first < 0xe0 ? 4 : ARRAY_SIZE(thirds) * ARRAY_SIZE(thirds);

			for (size_t i = 0; i < n_tails; i++) {
				const uint8_t sequence[4] = {(uint8_t)first, (uint8_t)second,
							     thirds[i % ARRAY_SIZE(thirds)],
							     thirds[i / ARRAY_SIZE(thirds)]};

				/* Around a vector's border, another place for each. */
				check_sequence(sequence, 1 + i % 4, 26 + (first + second + i) % 40);
			}
		}
	}
}
END_TEST

START_TEST(a_character_is_judged_at_every_place)
{
	static const uint8_t sequences[][4] = {
		{0xf0, 0x9d, 0x84, 0x9e}, {0xe2, 0x82, 0xac, 'z'}, {'z', 'z', 0xc3, 0xa9},
		{0xf0, 0x9d, 0x84, 'z'},  {0xe2, 0x82, 'z', 'z'},  {'z', 'z', 'z', 0xc3},
		{'z', 0x80, 'z', 'z'},	  {0xed, 0xa0, 0x80, 'z'}, {0xe2, 0x82, 0xac, 0xac},
	};

	for (size_t at = 1; at < 200; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(sequences); i++) {
			check_sequence(sequences[i], 4, at);
		}
	}
}
END_TEST

static void check_counts(const struct dialect *dialect, const uint8_t *bytes, size_t len)
{
	const struct parity_count start = {.n_newlines = 5, .quote_parity = true};
	struct parity_count wanted = start;
	const struct csv_scanner *scanner;

	for (size_t i = 0; i < len; i++) {
		wanted.n_newlines += bytes[i] == '\n';
		wanted.quote_parity ^= dialect->has_quote && bytes[i] == dialect->quote;
	}
	for (size_t n = 0; (scanner = csv_scanner_at(n)) != NULL; n++) {
		struct parity_count got = start;

		scanner->count(&got, dialect, bytes, len);
		ck_assert_uint_eq(got.n_newlines, wanted.n_newlines);
		ck_assert(got.quote_parity == wanted.quote_parity);
	}
}

START_TEST(counts_are_those_of_a_plain_loop)
{
	struct dialect csv = make_dialect(',', '"', false);
	struct dialect none = make_dialect(',', 0, false);
	uint8_t text[MAX_TEXT + READER_PADDING] = {0};

	make_nasty(text, 4);
	text[40] = '\0'; /* no quote, even if there is none */
	for (size_t from = 0; from < 70; from++) {
		for (size_t len = 0; len < 300; len++) {
			check_counts(&csv, text + from, len);
			check_counts(&none, text + from, len);
		}
	}
}
END_TEST

START_TEST(the_portable_scanner_is_everywhere_and_the_last)
{
	size_t n = 0;

	while (csv_scanner_at(n + 1) != NULL) {
		n++;
	}
	ck_assert_str_eq(csv_scanner_at(n)->name, "portable");
	ck_assert_ptr_eq(csv_scanner_find("portable"), csv_scanner_at(n));
	ck_assert_ptr_eq(csv_scanner_find(NULL), csv_scanner_at(0));
	ck_assert_ptr_eq(csv_scanner_find(""), csv_scanner_at(0));
	ck_assert_ptr_null(csv_scanner_find("quantum"));
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, all_scanners_give_the_same_for_random_bytes,
	       all_scanners_give_the_same_for_every_byte_at_every_place,
	       long_fields_and_keys_are_copied_whole, keys_of_every_length_are_copied_whole,
	       rows_beyond_a_limit_are_not_emitted, fields_go_to_their_columns_in_every_row,
	       utf8_is_judged_as_the_table_of_characters_does, a_character_is_judged_at_every_place,
	       counts_are_those_of_a_plain_loop, the_portable_scanner_is_everywhere_and_the_last)
