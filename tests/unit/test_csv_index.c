/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/csv_index.h"

#include <string.h>

#include "daemon/pipe/bits.h"
#include "daemon/pipe/csv_block.h"
#include "daemon/pipe/parity.h"
#include "daemon/pipe/reader.h"
#include "tests/support/pipe_fixture.h"
#include "tests/support/unit.h"

static const struct csv_scanner *scanner;
static struct csv_index fields;

static void setup(void)
{
	scanner = pipe_fixture_scanner();
	ck_assert_int_eq(csv_index_init(&fields), 0);
}

static void teardown(void)
{
	csv_index_deinit(&fields);
}

static struct dialect make_dialect(char delimiter, char quote)
{
	const struct input_spec input = {
		.delimiter = delimiter, .quotechar = quote, .max_row_bytes = 1 << 20};
	struct dialect dialect;

	dialect_init(&dialect, &input);
	return dialect;
}

/* A scanner may trust what is not ASCII, or leave it to the careful path. */
static bool has_unicode(const struct csv_index *index, size_t f, const char *text)
{
	size_t from = f == 0 ? 0 : (index->field_ends[f - 1] & CSV_INDEX_OFFSET) + 1;
	size_t end = index->field_ends[f] & CSV_INDEX_OFFSET;

	while (from < end && (text[from] & 0x80) == 0) {
		from++;
	}
	return from < end;
}

/* Each field as `.` (clean), `q` (only quoted), `!` (care) or `~` (not ASCII), a `|` behind each
 * complete row. */
static const char *shape(const struct dialect *dialect, const char *text, size_t len)
{
	static char marks[600];
	uint8_t padded[512 + READER_PADDING] = {0};
	size_t n = 0, row = 0;

	ck_assert_uint_le(len, 512);
	memcpy(padded, text, len);
	scanner->index(dialect, padded, len, &fields);
	for (size_t f = 0; f < fields.n_fields; f++) {
		uint32_t end = fields.field_ends[f];

		marks[n++] = has_unicode(&fields, f, text) ? '~'
			     : end & CSV_INDEX_CARE	   ? '!'
			     : end & CSV_INDEX_QUOTED	   ? 'q'
							   : '.';
		if (row < fields.n_rows && csv_index_row_first(&fields, row + 1) == f + 1) {
			marks[n++] = '|';
			row++;
		}
	}
	ck_assert_uint_eq(row, fields.n_rows);
	marks[n] = '\0';
	return marks;
}

#define SHAPE(dialect, text) shape(&(dialect), text, sizeof(text) - 1)

START_TEST(fields_are_marked_by_what_they_need)
{
	struct dialect csv = make_dialect(',', '"');

	ck_assert_str_eq(SHAPE(csv, "a,bc,,d\n"), "....|");
	ck_assert_str_eq(SHAPE(csv, "a,\"b\",\"\"\r\nc"), ".qq|");
	ck_assert_str_eq(SHAPE(csv, "\"a\"\"b\",\"a,b\",\"a\nb\"\n"), "!q!|");
	ck_assert_str_eq(SHAPE(csv, "\xc3\xa9,\\,\t,\x7f\n"), "~!!.|");
	ck_assert_str_eq(SHAPE(csv, "a\"b,\"a\"b,c\n"), "!!.|"); /* a whole block by the table */
	ck_assert_str_eq(SHAPE(csv, "a\r\nb\rc\nd\r\r\n"), ".|!|!|");
	ck_assert_str_eq(SHAPE(csv, "\"a\r\",\"b\r\n\",\"c\"\r\n"), "!!q|");
	ck_assert_str_eq(SHAPE(csv, "a\n\n\"b"), ".|.|");
	ck_assert_str_eq(SHAPE(csv, ""), "");
}
END_TEST

START_TEST(any_byte_may_delimit_or_quote)
{
	struct dialect tabs = make_dialect('\t', '\'');
	struct dialect none = make_dialect(';', 0);
	struct dialect odd = make_dialect('"', '\\');

	ck_assert_str_eq(SHAPE(tabs, "a\t'b'\t'\t'\t\"\n"), ".q!!|");
	ck_assert_str_eq(SHAPE(none, "\"a;b\";'\n"), "!!.|");
	ck_assert_str_eq(SHAPE(none, "\ra;b\r\n\r\nc;\rd\r\n"), "!.|.|.!|");
	ck_assert_str_eq(SHAPE(odd, "a\"\\b\\\"c\n"), ".q.|");
}
END_TEST

START_TEST(a_delimiter_that_json_escapes_needs_care_where_it_is_data)
{
	static const char delimiters[] = "\t\\\"\x01";

	/* A whole block with nothing else in it: what lies behind a batch must not give it away. */
	for (size_t i = 0; i < sizeof(delimiters) - 1; i++) {
		struct dialect dialect = make_dialect(delimiters[i], '\'');
		char text[CSV_BLOCK_BYTES + 1];

		memset(text, 'x', sizeof(text));
		memcpy(text, "'a_b'_c\n", 8);
		text[2] = delimiters[i];
		text[5] = delimiters[i];
		text[sizeof(text) - 1] = '\n';
		ck_assert_str_eq(shape(&dialect, text, sizeof(text)), "!.|.|");
	}
}
END_TEST

START_TEST(rows_and_fields_lie_where_their_ends_are)
{
	struct dialect csv = make_dialect(',', '"');

	SHAPE(csv, "a,b\n\"c\nd\",e\r\nf,");
	ck_assert_uint_eq(fields.n_rows, 2);
	ck_assert_uint_eq(fields.n_fields, 5);
	ck_assert_uint_eq(csv_index_row_start(&fields, 0), 0);
	ck_assert_uint_eq(csv_index_row_start(&fields, 1), 4);
	ck_assert_uint_eq(csv_index_row_start(&fields, 2), 13);
	ck_assert_uint_eq(fields.field_ends[2] & CSV_INDEX_OFFSET, 9);
	ck_assert_uint_eq(fields.field_ends[4], 14);
}
END_TEST

START_TEST(one_byte_gives_the_whole_field_care)
{
	struct dialect csv = make_dialect(',', '"');

	/* With whole blocks between the byte and the field's end. */
	for (size_t at = 1; at < 260; at++) {
		char text[300];

		memset(text, 'x', sizeof(text));
		text[0] = text[290] = ',';
		text[at] = '\\';
		text[299] = '\n';
		ck_assert_str_eq(shape(&csv, text, sizeof(text)), ".!.|");
	}
}
END_TEST

static bool has_flag(size_t row)
{
	uint32_t flags = 0;

	for (size_t f = csv_index_row_first(&fields, row);
	     f < csv_index_row_first(&fields, row + 1); f++) {
		flags |= fields.field_ends[f] & ~CSV_INDEX_OFFSET;
	}
	return flags != 0;
}

START_TEST(a_row_is_flagged_if_one_of_its_fields_is)
{
	static const char *const flagged[] = {",\"q\",", ",\\\\\\,", ",x\"x,"};
	struct dialect csv = make_dialect(',', '"');

	/* Rows longer than a block and many in one, with one flag among them. */
	for (size_t at = 0; at < 400; at++) {
		uint8_t bytes[405 + READER_PADDING] = {0};

		for (size_t i = 0; i < 405; i++) {
			bool is_long = i >= 70 && i < 300;

			bytes[i] = (uint8_t)(is_long ? "abc,"[i % 4] : "ab,\n"[i % 4]);
		}
		memcpy(bytes + at, flagged[at / 4 % 3], 5);
		scanner->index(&csv, bytes, 405, &fields);
		ck_assert_uint_gt(fields.n_rows, 30);
		for (size_t row = 0; row < fields.n_rows; row++) {
			ck_assert_int_eq((fields.row_ends[row] & CSV_INDEX_FLAGGED) != 0,
					 has_flag(row));
		}
	}
}
END_TEST

START_TEST(what_lies_behind_a_batch_is_not_indexed)
{
	struct dialect csv = make_dialect(',', '"');
	uint8_t bytes[200 + READER_PADDING];
	uint32_t ends[200];

	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)("a\"b,\"c\"\r\n"[i % 9]); /* every block by the table */
	}
	scanner->index(&csv, bytes, 200, &fields);
	size_t n = fields.n_fields;
	memcpy(ends, fields.field_ends, n * sizeof(*ends));
	for (size_t len = 0; len < 200; len++) {
		size_t n_wanted = 0;

		while (n_wanted < n && (ends[n_wanted] & CSV_INDEX_OFFSET) < len) {
			n_wanted++;
		}
		scanner->index(&csv, bytes, len, &fields);
		ck_assert_uint_eq(fields.n_fields, n_wanted);
		ck_assert_uint_eq(fields.n_rows, n_wanted / 2);
	}
}
END_TEST

/* What the dialect's walker says of the same bytes. */
static void check_by_walking(const struct dialect *dialect, const uint8_t *bytes, size_t len)
{
	size_t start = 0, n_fields = 0;

	for (size_t row = 0; row < fields.n_rows; row++) {
		struct dialect_walk walk = {.state = DIALECT_START};
		struct dialect_fault fault;
		uint32_t ends[512];

		while (dialect_walk(dialect, bytes + start, len - start, true, &walk) ==
		       DIALECT_FOUND_NEWLINE) {
		}
		ck_assert_uint_eq(csv_index_row_start(&fields, row), start);
		ck_assert_uint_eq(csv_index_row_start(&fields, row + 1), start + walk.at);

		size_t n = dialect_split(dialect, bytes + start, walk.line_end_at, ends, 512,
					 &fault);

		ck_assert_uint_eq(csv_index_row_first(&fields, row + 1), n_fields + n);
		for (size_t f = 0; f + 1 < n; f++) {
			ck_assert_uint_eq(fields.field_ends[n_fields + f] & CSV_INDEX_OFFSET,
					  start + ends[f]);
		}
		n_fields += n;
		start += walk.at;
	}
}

START_TEST(quotes_at_every_place_of_a_block_are_indexed_as_the_table_says)
{
	struct dialect csv = make_dialect(',', '"');
	uint8_t bytes[200 + READER_PADDING] = {0};

	for (size_t at = 50; at < 140; at++) {
		for (size_t apart = 1; apart < 20; apart++) {
			for (size_t i = 0; i < 200; i++) {
				bytes[i] = (uint8_t)("ab,c\r\nd,,\n"[i * 7 % 10]);
			}
			bytes[at] = '"';
			bytes[at + apart] = '"';
			bytes[at - apart] = apart % 3 == 0 ? '"' : bytes[at - apart];
			scanner->index(&csv, bytes, 200, &fields);
			check_by_walking(&csv, bytes, 200);
		}
	}
}
END_TEST

START_TEST(a_quote_is_judged_with_its_neighbour_in_the_next_block)
{
	struct dialect csv = make_dialect(',', '"');
	static const char *const ends[][2] = {
		{"\"\"y\"\n", "!|"},  {"\"y\n", "!|"},	      {"\"\r\n", "q|"},
		{"\",\"\"\n", "qq|"}, {"\"\ry\",z\n", "!.|"}, {"\xc3\xa9\"\n", "~|"},
	};

	for (size_t n = 50; n < 135; n++) {
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
			char text[200] = "\"";

			memset(text + 1, 'x', n);
			memcpy(text + 1 + n, ends[i][0], strlen(ends[i][0]));
			ck_assert_str_eq(shape(&csv, text, 1 + n + strlen(ends[i][0])), ends[i][1]);
		}
	}
}
END_TEST

START_TEST(words_are_exact_for_every_byte)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		for (unsigned place = 0; place < 8; place++) {
			uint8_t bytes[8];

			memset(bytes, 'x', sizeof(bytes));
			bytes[place] = (uint8_t)byte;

			uint64_t word = bits_load(bytes);
			uint64_t mark = UINT64_C(0x80) << 8 * place;
			bool needs_care = byte < 0x20 || byte > 0x7f || byte == '"' ||
					  byte == '\\' || byte == '\'';

			ck_assert_uint_eq(bits_mark_equal(word, BITS_EACH(byte)),
					  byte == 'x' ? BITS_HIGH : mark);
			ck_assert_uint_eq(bits_mark_care(word, BITS_EACH('\'')),
					  needs_care ? mark : 0);
			ck_assert_uint_eq(bits_gather(mark), UINT64_C(1) << place);
		}
	}
	ck_assert_uint_eq(bits_gather(BITS_HIGH), 0xff);
	ck_assert_uint_eq(bits_prefix_xor(0x8000000000000011), 0x800000000000000f);
	ck_assert_uint_eq(bits_count(UINT64_MAX), 64);
	ck_assert_uint_eq(bits_count(0x8000000000000011), 3);
}
END_TEST

START_TEST(parity_finds_the_next_row)
{
	struct dialect csv = make_dialect(',', '"');
	uint8_t bytes[300 + READER_PADDING];
	struct parity_count count = {0};
	bool inside = false;

	memset(bytes, 'x', sizeof(bytes));
	ck_assert_uint_eq(parity_find_row(&csv, bytes, 300, &inside), 300);
	bytes[70] = '"';
	bytes[100] = bytes[200] = '\n';
	bytes[150] = '"';
	ck_assert_uint_eq(parity_find_row(&csv, bytes, 300, &inside), 201);
	inside = true;
	ck_assert_uint_eq(parity_find_row(&csv, bytes, 300, &inside), 101);
	ck_assert(!inside);
	ck_assert_uint_eq(parity_find_row(&csv, bytes, 90, &inside), 90);
	ck_assert(inside);
	parity_add(&count, &csv, bytes, 300);
	ck_assert_uint_eq(count.n_newlines, 2);
	ck_assert(!count.quote_parity);
	parity_add(&count, &csv, bytes, 71);
	ck_assert(count.quote_parity);
}
END_TEST

UNIT_MAIN_IF(pipe_fixture_scanner() != NULL, setup, teardown, fields_are_marked_by_what_they_need,
	     any_byte_may_delimit_or_quote,
	     a_delimiter_that_json_escapes_needs_care_where_it_is_data,
	     rows_and_fields_lie_where_their_ends_are, one_byte_gives_the_whole_field_care,
	     a_row_is_flagged_if_one_of_its_fields_is, what_lies_behind_a_batch_is_not_indexed,
	     quotes_at_every_place_of_a_block_are_indexed_as_the_table_says,
	     a_quote_is_judged_with_its_neighbour_in_the_next_block, words_are_exact_for_every_byte,
	     parity_finds_the_next_row)
