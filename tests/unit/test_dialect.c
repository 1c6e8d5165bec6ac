/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/dialect.h"

#include <string.h>

#include "daemon/pipe/utf8.h"
#include "tests/support/unit.h"

static struct dialect make_dialect(uint64_t max_row_bytes, bool strict)
{
	const struct input_spec input = {
		.delimiter = ',',
		.quotechar = '"',
		.strict = strict,
		.max_row_bytes = max_row_bytes,
	};
	struct dialect dialect;

	dialect_init(&dialect, &input);
	return dialect;
}

/* The walk over all of a file, with ever more of it at hand. */
static enum dialect_found walk_slowly(const struct dialect *dialect, const char *file,
				      struct dialect_walk *walk)
{
	enum dialect_found found = DIALECT_NEEDS_MORE;

	*walk = (struct dialect_walk){.state = DIALECT_START};
	for (size_t len = 0; found == DIALECT_NEEDS_MORE && len <= strlen(file); len++) {
		do {
			found = dialect_walk(dialect, (const uint8_t *)file, len,
					     len == strlen(file), walk);
		} while (found == DIALECT_FOUND_NEWLINE);
	}
	return found;
}

static const struct {
	const char *file;
	int line_end_at; /* -1: no end */
	int next;
	enum dialect_state state; /* where there is no end */
} extents[] = {
	{"", 0, 0, 0},
	{"\n", 0, 1, 0},
	{"\r\n", 0, 2, 0},
	{"a,b\nc", 3, 4, 0},
	{"a,b\r\nc", 3, 5, 0},
	{"a,b\rc\n", 5, 6, 0},
	{"a,b\r", 4, 4, 0},
	{"\"a\n\"\nb", 4, 5, 0},
	{"\"a\r\n\"\r\n", 5, 7, 0},
	{"\"a\"\r\n", 3, 5, 0},
	{"\"a\"\"\n\"\n", 6, 7, 0},
	{"\"a\"b\"\n", 5, 6, 0}, /* after a bad quote, quotes are data */
	{"a\"\n", 2, 3, 0},
	{"12345678", 8, 8, 0},
	{"12345678\n", 8, 9, 0},
	{"12345678\r\n", 8, 10, 0},
	{"123456789", -1, 9, DIALECT_UNQUOTED},
	{"123456789\n", -1, 9, DIALECT_UNQUOTED},
	{"12345678\r\r\n", -1, 9, DIALECT_UNQUOTED},
	{"\"1234567\n\"\n", -1, 9, DIALECT_QUOTED},
	{"\"1234567\"\n", -1, 9, DIALECT_QUOTE_IN_QUOTED},
	{"1234567,\"", -1, 9, DIALECT_QUOTED},
	{"\"a", -1, 2, DIALECT_QUOTED},
	{"\"a\n", -1, 3, DIALECT_QUOTED},
};

START_TEST(a_row_ends_where_the_table_says)
{
	struct dialect dialect = make_dialect(8, false);

	for (size_t i = 0; i < ARRAY_SIZE(extents); i++) {
		struct dialect_walk walk;
		enum dialect_found found = walk_slowly(&dialect, extents[i].file, &walk);

		ck_assert_msg((found == DIALECT_FOUND_END) == (extents[i].line_end_at >= 0),
			      "row %zu", i);
		ck_assert_msg((int)walk.at == extents[i].next, "row %zu", i);
		if (found == DIALECT_FOUND_END) {
			ck_assert_msg((int)walk.line_end_at == extents[i].line_end_at, "row %zu",
				      i);
		} else {
			ck_assert_msg(walk.state == extents[i].state, "row %zu", i);
		}
	}
}
END_TEST

START_TEST(a_row_is_split_into_its_fields)
{
	static const char row[] = "a,\"b,\"\"\n\",,\"\"";
	struct dialect dialect = make_dialect(100, true);
	struct dialect_fault fault;
	uint32_t ends[4];

	ck_assert_uint_eq(
		dialect_split(&dialect, (const uint8_t *)row, strlen(row), ends, 4, &fault), 4);
	ck_assert(!fault.is_set);
	ck_assert_uint_eq(ends[0], 1);
	ck_assert_uint_eq(ends[1], 9);
	ck_assert_uint_eq(ends[2], 10);
	ck_assert_uint_eq(ends[3], 13);
	ck_assert_uint_eq(dialect_split(&dialect, (const uint8_t *)row, 0, ends, 4, &fault), 1);
	ck_assert_uint_eq(ends[0], 0);
}
END_TEST

START_TEST(more_fields_than_asked_for_are_only_counted)
{
	struct dialect dialect = make_dialect(100, false);
	struct dialect_fault fault;
	uint32_t ends[2] = {0, 77};

	ck_assert_uint_eq(dialect_split(&dialect, (const uint8_t *)"a,b,c", 5, ends, 1, &fault), 3);
	ck_assert_uint_eq(ends[1], 77);
}
END_TEST

static const struct {
	const char *row;
	enum reject_code code;
	size_t field, offset;
} faults[] = {
	{"a\"", REJECT_STRAY_QUOTE, 0, 1},
	{"a,b\"\"c", REJECT_STRAY_QUOTE, 1, 3},
	{"\"a\"b", REJECT_BAD_QUOTE, 0, 3},
	{",\"\" \"", REJECT_BAD_QUOTE, 1, 3},
	{"\"a\"\r", REJECT_BAD_QUOTE, 0, 3},
	{"\r", REJECT_BARE_CR, 0, 0},
	{"a,\r\r", REJECT_BARE_CR, 1, 2},
	{"a,b,\xc3", REJECT_INVALID_UTF8, 2, 4},
	{"\"\xed\xa0\x80\"", REJECT_INVALID_UTF8, 0, 1},
	{"\xc3\xa9\xa9", REJECT_INVALID_UTF8, 0, 2},
	{"\"a\"\xff", REJECT_BAD_QUOTE, 0, 3},
};

START_TEST(the_first_fault_is_named_with_its_place)
{
	struct dialect dialect = make_dialect(100, true);

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		const uint8_t *row = (const uint8_t *)faults[i].row;
		struct dialect_fault fault;

		dialect_split(&dialect, row, strlen(faults[i].row), NULL, 0, &fault);
		ck_assert_msg(fault.is_set && fault.code == faults[i].code &&
				      fault.field == faults[i].field &&
				      fault.offset == faults[i].offset,
			      "row %zu", i);
	}
}
END_TEST

START_TEST(a_nul_is_a_fault_in_every_state)
{
	static const char *const rows[] = {"\0", "a\0", "\"\0\"", "\"a\"\0"};
	static const size_t lens[] = {1, 2, 3, 4};
	struct dialect dialect = make_dialect(100, false);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dialect_fault fault;

		dialect_split(&dialect, (const uint8_t *)rows[i], lens[i], NULL, 0, &fault);
		ck_assert(fault.is_set);
		ck_assert_int_eq(fault.code, REJECT_NUL_BYTE);
	}
}
END_TEST

START_TEST(characters_are_those_of_unicode)
{
	static const char *const good[] = {"a",
					   "\x7f",
					   "\xc2\x80",
					   "\xdf\xbf",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80",
					  "\xc1\xbf",
					  "\xc2",
					  "\xc2\x20",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xe2\x82",
					  "\xe2\x82\x20",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xff",
					  ""};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_uint_eq(utf8_char_length((const uint8_t *)good[i], strlen(good[i])),
				  strlen(good[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_uint_eq(utf8_char_length((const uint8_t *)bad[i], strlen(bad[i])), 0);
	}
}
END_TEST

UNIT_MAIN(a_row_ends_where_the_table_says, a_row_is_split_into_its_fields,
	  more_fields_than_asked_for_are_only_counted, the_first_fault_is_named_with_its_place,
	  a_nul_is_a_fault_in_every_state, characters_are_those_of_unicode)
