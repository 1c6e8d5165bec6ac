/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/convert.h"

#include <errno.h>
#include <stdlib.h>

#include "common/model/chunk_table.h"
#include "tests/support/pipe_fixture.h"
#include "tests/support/unit.h"

#define FIXTURE(text, n) pipe_fixture(text, sizeof(text) - 1, n)

START_TEST(values_are_unquoted_and_escaped)
{
	CLEANUP(pipe_fixture_deinit)
	struct pipe_fixture f = FIXTURE("x,\"a \"\"b\"\"\n,c\"\r\n\\,\b\f\t\x01\x7f\n"
					"\xc3\xa9\xf0\x9f\x98\x80,\n",
					2);

	ck_assert_str_eq(pipe_fixture_rows(&f),
			 "{\"a\":\"x\",\"b\":\"a \\\"b\\\"\\n,c\"}\n"
			 "{\"a\":\"\\\\\",\"b\":\"\\b\\f\\t\\u0001\x7f\"}\n"
			 "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"b\":\"\"}\n");
	ck_assert_uint_eq(f.total.success, 3);
	ck_assert_uint_eq(f.total.error, 0);
	ck_assert_uint_eq(f.total.end_line, 5);
}
END_TEST

START_TEST(the_last_line_needs_no_newline)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("1,2\n3,\"4\"", 2);

	ck_assert_str_eq(pipe_fixture_rows(&f),
			 "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"3\",\"b\":\"4\"}\n");
	ck_assert_uint_eq(f.total.end, 9);
}
END_TEST

START_TEST(an_empty_line_is_a_row_only_of_one_column)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("\n1\n\r\n\"\"\n\n", 1);

	ck_assert_str_eq(pipe_fixture_rows(&f), "{\"a\":\"\"}\n{\"a\":\"1\"}\n{\"a\":\"\"}\n"
						"{\"a\":\"\"}\n{\"a\":\"\"}\n");
	pipe_fixture_deinit(&f);
	f = FIXTURE("\n1,2\n\r\n\n3,4\n\n", 2);
	pipe_fixture_convert(&f);
	ck_assert_uint_eq(f.total.success, 2);
	ck_assert_uint_eq(f.total.rows, 2);
	ck_assert_uint_eq(f.total.end_line, 7);
}
END_TEST

START_TEST(every_fault_has_its_code_line_offset_and_field)
{
	CLEANUP(pipe_fixture_deinit)
	struct pipe_fixture f = FIXTURE("1\n"		/* 0 */
					"\"x\"y,2\n"	/* 2 */
					"a\rb,2\n"	/* 9 */
					"1,\xff\n"	/* 15 */
					"1,\"\n\0\"\n"	/* 19: line 5 and 6 */
					"1,2,\"3\"\r\n" /* 26 */
					"\"x\"\r,y\n"	/* 35: a bare CR behind a closing quote */
					"1,2,\"3\"4\n"	/* 42: no column for the field */
					"1,\"2\n",	/* 51 */
					2);

	ck_assert_str_eq(pipe_fixture_faults(&f),
			 "1:0:ragged:null 2:2:bad_quote:\"a\" 3:9:bare_cr:\"a\" "
			 "4:15:invalid_utf8:\"b\" 5:19:nul_byte:\"b\" 7:26:ragged:null "
			 "8:35:bad_quote:\"a\" 9:42:bad_quote:null 10:51:unclosed_quote:null ");
	ck_assert_uint_eq(f.total.error, 9);
	ck_assert_uint_eq(f.total.rejects[REJECT_BAD_QUOTE], 3);
	ck_assert_uint_eq(f.rows.len, 0);
}
END_TEST

START_TEST(the_first_fault_of_a_row_is_reported)
{
	CLEANUP(pipe_fixture_deinit)
	struct pipe_fixture f = FIXTURE("\xff,a\rb,c\na\rb,\xff\n\"a\"\xff,b\n\"a\"\0\n", 2);

	ck_assert_str_eq(pipe_fixture_faults(&f), "1:0:invalid_utf8:\"a\" 2:8:bare_cr:\"a\" "
						  "3:14:bad_quote:\"a\" 4:21:nul_byte:\"a\" ");
}
END_TEST

START_TEST(a_quote_inside_a_field_is_data_unless_strict)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("5\" disk,a\"b\"\n1,2\n", 2);

	ck_assert_str_eq(pipe_fixture_rows(&f), "{\"a\":\"5\\\" disk\",\"b\":\"a\\\"b\\\"\"}\n"
						"{\"a\":\"1\",\"b\":\"2\"}\n");
	f.spec.input.strict = true;
	ck_assert_str_eq(pipe_fixture_faults(&f), "1:0:stray_quote:\"a\" ");
	ck_assert_uint_eq(f.total.success, 1);
}
END_TEST

START_TEST(without_a_quotechar_nothing_quotes)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("\"a,b\"\n\",\n", 2);

	f.spec.input.quotechar = 0;
	ck_assert_str_eq(pipe_fixture_rows(&f), "{\"a\":\"\\\"a\",\"b\":\"b\\\"\"}\n"
						"{\"a\":\"\\\"\",\"b\":\"\"}\n");
}
END_TEST

START_TEST(odd_delimiters_and_quotes_work)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("1\t'\t''\"'\n\\\t2\n", 2);

	f.spec.input.delimiter = '\t';
	f.spec.input.quotechar = '\'';
	ck_assert_str_eq(pipe_fixture_rows(&f), "{\"a\":\"1\",\"b\":\"\\t'\\\"\"}\n"
						"{\"a\":\"\\\\\",\"b\":\"2\"}\n");
	pipe_fixture_deinit(&f);
	f = FIXTURE("1\"2\\,\\\n", 2);
	f.spec.input.delimiter = '"';
	f.spec.input.quotechar = '\\';
	ck_assert_str_eq(pipe_fixture_faults(&f), "");
	ck_assert_str_eq(buf_terminated(&f.rows), "{\"a\":\"1\",\"b\":\"2\\\\,\\\\\"}\n");
}
END_TEST

START_TEST(a_file_in_another_order_is_brought_into_that_of_the_columns)
{
	CLEANUP(pipe_fixture_deinit)
	struct pipe_fixture f = FIXTURE("1,2,3\r\n\xff,5,6\n1,2,\"x", 3);
	uint32_t field_of[] = {2, 0, 1};

	f.field_of = field_of;
	ck_assert_str_eq(pipe_fixture_rows(&f), "{\"a\":\"3\",\"b\":\"1\",\"c\":\"2\"}\n");
	ck_assert_str_eq(pipe_fixture_faults(&f),
			 "2:7:invalid_utf8:\"b\" 3:13:unclosed_quote:null ");
}
END_TEST

START_TEST(a_row_may_have_max_row_bytes_without_its_line_end)
{
	CLEANUP(pipe_fixture_deinit)
	struct pipe_fixture f = FIXTURE("abc,d\r\nabc,de\n\"a\",b\n\"a\n,b\n\"a\",b\nabcde", 2);

	f.spec.input.max_row_bytes = 5;
	ck_assert_str_eq(pipe_fixture_faults(&f),
			 "2:7:row_too_long:null 4:20:unclosed_quote:null 7:32:ragged:null ");
	ck_assert_uint_eq(f.total.success, 4);
	f.input_len++; /* six bytes behind the last newline: the string's NUL is one of them */
	ck_assert_str_eq(pipe_fixture_faults(&f),
			 "2:7:row_too_long:null 4:20:unclosed_quote:null 7:32:row_too_long:null ");
}
END_TEST

START_TEST(after_a_row_without_end_parsing_resumes_behind_its_first_newline)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("\"a,1\nb,2\nc,3\n", 2);

	ck_assert_str_eq(pipe_fixture_faults(&f), "1:0:unclosed_quote:null ");
	ck_assert_str_eq(buf_terminated(&f.rows), "{\"a\":\"b\",\"b\":\"2\"}\n"
						  "{\"a\":\"c\",\"b\":\"3\"}\n");
}
END_TEST

/* Everything that the dialect knows, and rows of many lengths. */
static size_t fill_nasty(char *text, size_t size, unsigned seed)
{
	static const char *const parts[] = {
		",",	      "\n",  "\r\n",   "\"",	"\"\"",	    "a",
		"bcd",	      ",\"", "\",",    "\"\n",	"\xc3\xa9", "\xff",
		"\\",	      "\r",  "\x01",   "1,2\n", "x,y\r\n",  "\"q\",\"r\"\n",
		"0123456789", "\t",  "\"\r\n",
	};
	size_t len = 0;

	while (len + 16 < size) {
		seed = seed * 1103515245 + 12345;

		const char *part = parts[(seed >> 16) % ARRAY_SIZE(parts)];

		memcpy(text + len, part, strlen(part));
		len += strlen(part);
	}
	return len;
}

START_TEST(every_chunk_size_and_window_gives_the_same)
{
	char text[700];

	for (unsigned seed = 1; seed <= 12; seed++) {
		CLEANUP(pipe_fixture_deinit)
		struct pipe_fixture whole = pipe_fixture(text, fill_nasty(text, sizeof(text), seed),
							 2);

		whole.spec.input.max_row_bytes = seed * 9;
		pipe_fixture_convert(&whole);
		ck_assert_uint_gt(whole.total.success, 0);
		ck_assert_uint_gt(whole.total.error, 0);
		for (uint64_t chunk_size = 1; chunk_size <= 70; chunk_size++) {
			CLEANUP(pipe_fixture_deinit) struct pipe_fixture cut = whole;

			cut.rows = cut.errors = BUF_INIT;
			cut.chunk_size = chunk_size;
			cut.window_bytes = 1 + chunk_size * seed % 97;
			pipe_fixture_convert(&cut);
			ck_assert_str_eq(buf_terminated(&cut.rows), buf_terminated(&whole.rows));
			ck_assert_str_eq(buf_terminated(&cut.errors),
					 buf_terminated(&whole.errors));
			ck_assert_mem_eq(&cut.total, &whole.total, sizeof(cut.total));
		}
	}
}
END_TEST

START_TEST(a_limit_stops_behind_its_last_row)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("1\n2,3\n4\n5\n6\n", 1);

	for (f.chunk_size = 1; f.chunk_size < 12; f.chunk_size++) {
		f.spec.input.limit = 3;
		pipe_fixture_convert(&f);
		ck_assert_uint_eq(f.total.rows, 3);
		ck_assert_uint_eq(f.total.success, 2);
		ck_assert_uint_eq(f.total.end, 8);
		ck_assert_uint_eq(f.total.flags, CHUNK_FLAG_END_OF_LIMIT);
		f.spec.input.limit = 0;
		pipe_fixture_convert(&f);
		ck_assert_uint_eq(f.total.end, 0);
		ck_assert_uint_eq(f.total.flags, CHUNK_FLAG_END_OF_LIMIT);
	}
}
END_TEST

START_TEST(the_last_allowed_reject_ends_the_chunk)
{
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("1\n2,3\n4\n5,5\n6\n7,7\n", 1);

	f.reject_budget = 2;
	for (f.chunk_size = 1; f.chunk_size < 20; f.chunk_size++) {
		pipe_fixture_convert(&f);
		ck_assert_uint_eq(f.total.error, 2);
		ck_assert_uint_eq(f.total.success, 2);
		ck_assert_uint_eq(f.total.end, 12);
		ck_assert_uint_eq(f.total.flags, CHUNK_FLAG_END_OF_REJECTS);
	}
}
END_TEST

START_TEST(the_overhang_counts_what_lies_behind_the_nominal_end)
{
	static const char text[] = "1,\"\n\n\"\n2,3\n";
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE(text, 2);

	/* One chunk of four bytes: "1,\"\n"; its row ends three bytes further on. */
	f.chunk_size = 4;
	f.spec.input.limit = 1;
	pipe_fixture_convert(&f);
	ck_assert_uint_eq(f.total.end, 7);
	ck_assert_uint_eq(f.total.end_line, 4);

	struct plan_file file = {.path = NULL, .identity.size_bytes = sizeof(text) - 1};
	char name[] = "a", other[] = "b", *columns[] = {name, other};
	struct plan_pipe plan = {.n_files = 1, .files = &file, .n_columns = 2, .columns = columns};
	struct convert_range range = {0, 0, 4, 1, UINT64_MAX, UINT64_MAX};
	struct convert_sink sink = {
		.flush = pipe_fixture_flush, .progress = pipe_fixture_progress, .user = &f};
	CLEANUP(fd_closep) int fd = fd_memfd("input", text, sizeof(text) - 1);
	struct convert_result result;
	struct convert_pipe *pipe;
	struct converter *converter;
	struct reader reader;

	ck_assert_int_eq(reader_init(&reader, 10), 0);
	ck_assert_int_eq(converter_new("portable", &converter), 0);
	ck_assert_int_eq(convert_pipe_new("job", &f.spec, &plan, &pipe), 0);
	reader_open(&reader, fd, sizeof(text) - 1);
	ck_assert_int_eq(convert_chunk(converter, pipe, &reader, &range, &sink, &result), 0);
	ck_assert_uint_eq(result.overhang_newlines, 2);
	ck_assert(result.overhang_quote_parity);
	/* The chunk behind it has no row of its own. */
	range.start = range.nominal_end = 7;
	ck_assert_int_eq(convert_chunk(converter, pipe, &reader, &range, &sink, &result), 0);
	ck_assert_uint_eq(result.end, 7);
	ck_assert_uint_eq(result.rows, 0);
	reader_deinit(&reader);
	convert_pipe_free(pipe);
	converter_free(converter);
	buf_deinit(&sink.rows);
}
END_TEST

START_TEST(output_is_flushed_in_pieces)
{
	size_t len = 3 << 20;
	CLEANUP(free_p) char *text = malloc(len);
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = pipe_fixture(text, len, 2);

	for (size_t i = 0; i < len; i += 4) {
		memcpy(text + i, "1,2\n", 4);
	}
	f.chunk_size = len;
	pipe_fixture_convert(&f);
	ck_assert_uint_eq(f.total.success, len / 4);
	ck_assert_uint_eq(f.rows.len, len / 4 * strlen("{\"a\":\"1\",\"b\":\"2\"}\n"));
	ck_assert_uint_ge(f.n_flushes, 3);
	ck_assert_uint_ge(f.n_progress, len / (64 << 10));
}
END_TEST

START_TEST(what_progress_returns_ends_the_conversion)
{
	size_t len = 1 << 20;
	CLEANUP(free_p) char *text = malloc(len);
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = pipe_fixture(text, len, 1);

	memset(text, 'x', len); /* an endless row, which is skipped in blocks */
	f.spec.input.max_row_bytes = 100;
	f.stop_at_progress = 3;
	pipe_fixture_convert(&f);
	ck_assert_int_eq(f.r, 7);
	ck_assert_uint_lt(f.total.end, len);
	ck_assert_uint_eq(f.total.error, 1);
}
END_TEST

START_TEST(a_file_shorter_than_planned_is_an_error)
{
	CLEANUP(fd_closep) int fd = fd_memfd("input", "1,2\n", 4);
	struct reader reader;
	struct reader_span span;

	ck_assert_int_eq(reader_init(&reader, 100), 0);
	reader_open(&reader, fd, 5);
	ck_assert_int_eq(reader_fetch(&reader, 0, 5, &span), -ENODATA);
	reader_deinit(&reader);
}
END_TEST

START_TEST(an_unknown_scanner_is_refused)
{
	struct converter *converter;

	ck_assert_int_eq(converter_new("quantum", &converter), -EINVAL);
	ck_assert_int_eq(converter_new("", &converter), 0);
	converter_free(converter);
}
END_TEST

static size_t n_indexed;

static void index_and_count(const struct dialect *dialect, const uint8_t *bytes, size_t len,
			    struct csv_index *index)
{
	n_indexed += len;
	pipe_fixture_scanner()->index(dialect, bytes, len, index);
}

START_TEST(rows_without_end_do_not_make_the_scanner_look_far)
{
	struct csv_scanner counting = *pipe_fixture_scanner();
	/* To the scanner, which knows no max_row_bytes, the second line has no end in the file. */
	static const char lines[] = "1,2\nx\",\"\n";
	size_t len = (sizeof(lines) - 1) << 12;
	CLEANUP(free_p) char *text = malloc(len);
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = pipe_fixture(text, len, 2);

	for (size_t i = 0; i < len; i++) {
		text[i] = lines[i % (sizeof(lines) - 1)];
	}
	counting.index = index_and_count;
	f.scanner = &counting;
	f.spec.input.max_row_bytes = 8;
	n_indexed = 0;
	pipe_fixture_convert(&f);
	ck_assert_uint_gt(f.total.error, 1 << 10);
	ck_assert_uint_le(n_indexed, 100 * len); /* of a few rows each time, not of the file */
}
END_TEST

/* Where the rows start that were touched. */
struct touched {
	uint64_t offsets[32];
	size_t n;
};

static void note_touch(const struct convert_care *care, uint64_t offset)
{
	struct touched *touched = care->user;

	ck_assert_uint_lt(touched->n, ARRAY_SIZE(touched->offsets));
	touched->offsets[touched->n++] = offset;
}

static void ignore_touch(const struct convert_care *care, uint64_t offset)
{
}

START_TEST(careful_conversion_gives_the_same)
{
	char text[700];

	for (unsigned seed = 1; seed <= 12; seed++) {
		CLEANUP(pipe_fixture_deinit)
		struct pipe_fixture fast = pipe_fixture(text, fill_nasty(text, sizeof(text), seed),
							2);

		fast.spec.input.max_row_bytes = seed * 9;
		pipe_fixture_convert(&fast);
		ck_assert_uint_gt(fast.total.success, 0);
		for (uint64_t chunk_size = 1; chunk_size <= 700; chunk_size += 1 + chunk_size / 3) {
			CLEANUP(pipe_fixture_deinit) struct pipe_fixture careful = fast;

			careful.rows = careful.errors = BUF_INIT;
			careful.chunk_size = chunk_size;
			careful.window_bytes = 1 + chunk_size * seed % 97;
			careful.care.touch = ignore_touch;
			pipe_fixture_convert(&careful);
			ck_assert_str_eq(buf_terminated(&careful.rows), buf_terminated(&fast.rows));
			ck_assert_str_eq(buf_terminated(&careful.errors),
					 buf_terminated(&fast.errors));
			ck_assert_mem_eq(&careful.total, &fast.total, sizeof(careful.total));
		}
	}
}
END_TEST

START_TEST(careful_conversion_tells_each_row_before_it_is_touched)
{
	static const char text[] = "1,2\n\n\"3\n\",4\n5\n6,7";
	static const uint64_t starts[] = {0, 4, 5, 12, 14};
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE(text, 2);
	struct touched touched = {.n = 0};

	f.care = (struct convert_care){.touch = note_touch, .user = &touched};
	pipe_fixture_convert(&f);
	ck_assert_uint_eq(f.total.rows, 4);
	ck_assert_uint_eq(touched.n, ARRAY_SIZE(starts));
	ck_assert_mem_eq(touched.offsets, starts, sizeof(starts));
}
END_TEST

START_TEST(rows_to_skip_are_rejected_as_crash_and_the_others_are_not)
{
	static const char text[] = "1,2\n\"3\n\",4\r\n5\n6,7\n\"\nx,y\n8,9";
	static const uint64_t skips[] = {18, 4, 24};
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE(text, 2);

	/* Those of two lines, of an unclosed quote, and at the file's end. */
	f.care = (struct convert_care){.skips = skips, .n_skips = 3, .touch = ignore_touch};
	for (f.chunk_size = 1; f.chunk_size < sizeof(text); f.chunk_size++) {
		ck_assert_str_eq(pipe_fixture_faults(&f),
				 "2:4:crash:null 4:12:ragged:null 6:18:crash:null "
				 "8:24:crash:null ");
		ck_assert_str_eq(buf_terminated(&f.rows), "{\"a\":\"1\",\"b\":\"2\"}\n"
							  "{\"a\":\"6\",\"b\":\"7\"}\n"
							  "{\"a\":\"x\",\"b\":\"y\"}\n");
		ck_assert_uint_eq(f.total.rejects[REJECT_CRASH], 3);
		ck_assert_uint_eq(f.total.error, 4);
	}
	ck_assert_ptr_nonnull(strstr(buf_terminated(&f.errors), "\"row\":\"\\\"3\\n\\\",4\"}"));
	ck_assert_ptr_nonnull(strstr(buf_terminated(&f.errors), "\"row\":\"8,9\"}"));
}
END_TEST

START_TEST(budgets_hold_in_careful_mode)
{
	static const uint64_t skips[] = {2};
	CLEANUP(pipe_fixture_deinit) struct pipe_fixture f = FIXTURE("1\n2\n3\n4\n", 1);

	f.care = (struct convert_care){.skips = skips, .n_skips = 1, .touch = ignore_touch};
	f.spec.input.limit = 3;
	pipe_fixture_convert(&f);
	ck_assert_uint_eq(f.total.rows, 3);
	ck_assert_uint_eq(f.total.success, 2);
	ck_assert_uint_eq(f.total.flags, CHUNK_FLAG_END_OF_LIMIT);
	f.reject_budget = 1;
	pipe_fixture_convert(&f);
	ck_assert_uint_eq(f.total.rows, 2);
	ck_assert_uint_eq(f.total.flags, CHUNK_FLAG_END_OF_REJECTS);
}
END_TEST

UNIT_MAIN_IF(pipe_fixture_scanner() != NULL, NULL, NULL, values_are_unquoted_and_escaped,
	     the_last_line_needs_no_newline, an_empty_line_is_a_row_only_of_one_column,
	     every_fault_has_its_code_line_offset_and_field, the_first_fault_of_a_row_is_reported,
	     a_quote_inside_a_field_is_data_unless_strict, without_a_quotechar_nothing_quotes,
	     odd_delimiters_and_quotes_work,
	     a_file_in_another_order_is_brought_into_that_of_the_columns,
	     a_row_may_have_max_row_bytes_without_its_line_end,
	     after_a_row_without_end_parsing_resumes_behind_its_first_newline,
	     every_chunk_size_and_window_gives_the_same, a_limit_stops_behind_its_last_row,
	     the_last_allowed_reject_ends_the_chunk,
	     the_overhang_counts_what_lies_behind_the_nominal_end, output_is_flushed_in_pieces,
	     what_progress_returns_ends_the_conversion, a_file_shorter_than_planned_is_an_error,
	     an_unknown_scanner_is_refused, rows_without_end_do_not_make_the_scanner_look_far,
	     careful_conversion_gives_the_same,
	     careful_conversion_tells_each_row_before_it_is_touched,
	     rows_to_skip_are_rejected_as_crash_and_the_others_are_not,
	     budgets_hold_in_careful_mode)
