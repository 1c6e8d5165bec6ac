/* SPDX-License-Identifier: MIT */
/* What a good spec becomes and where an error lies; which specs are good is test_spec_corpus.py. */
#include "common/model/job_spec.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "common/util/str.h"
#include "tests/support/unit.h"

#define SMALLEST "{\"version\":1,\"input\":{\"path\":\"a.csv\"},\"output\":{\"path\":\"a.jsonl\"}"

static struct job_spec *parse_right(const char *text)
{
	struct job_spec *spec = NULL;
	struct spec_error error = {0};
	int r = job_spec_parse(text, strlen(text), &spec, &error);

	ck_assert_msg(r == 0, "%s: %s", error.json_path, error.message);
	return spec;
}

static struct spec_error parse_wrong(const char *text)
{
	struct job_spec *spec = NULL;
	struct spec_error error;

	memset(&error, 'x', sizeof(error));
	ck_assert_int_eq(job_spec_parse(text, strlen(text), &spec, &error), -EINVAL);
	ck_assert_ptr_null(spec);
	return error;
}

static void check_line(const char *text, const char *expected)
{
	struct spec_error error = parse_wrong(text);
	char *line = NULL;

	ck_assert_int_eq(spec_error_render(&error, "a.json", &line), 0);
	ck_assert_str_eq(line, expected);
	free(line);
}

START_TEST(what_is_left_out_has_its_default)
{
	CLEANUP(job_spec_freep) struct job_spec *spec = parse_right(SMALLEST "}");
	const struct pipe_spec *pipe = &spec->pipes[0];

	ck_assert_ptr_null(spec->name);
	ck_assert_uint_eq(spec->workers, 0);
	ck_assert_int_eq(spec->priority, 0);
	ck_assert_uint_eq(spec->n_pipes, 1);
	ck_assert_str_eq(pipe->input.path, "a.csv");
	ck_assert_int_eq(pipe->input.delimiter, ',');
	ck_assert_int_eq(pipe->input.quotechar, '"');
	ck_assert(!pipe->input.strict);
	ck_assert(pipe->input.header);
	ck_assert_ptr_null(pipe->input.fieldnames);
	ck_assert_uint_eq(pipe->input.n_fieldnames, 0);
	ck_assert_uint_eq(pipe->input.skip_rows, 0);
	ck_assert(pipe->input.limit == UINT64_MAX);
	ck_assert_uint_eq(pipe->input.max_row_bytes, 1048576);
	ck_assert_str_eq(pipe->output.path, "a.jsonl");
	ck_assert_int_eq(pipe->output.if_exists, OUTPUT_IF_EXISTS_REPLACE);
	ck_assert_int_eq(pipe->output.mode, -1);
	ck_assert_ptr_null(pipe->errors.path);
	ck_assert(pipe->errors.max_rows == UINT64_MAX);
	ck_assert_double_eq(pipe->errors.max_ratio, 0.5);
	ck_assert_uint_eq(spec->limits.memory_per_worker_bytes, 0);
	ck_assert_int_eq(spec->limits.wall_ns, 0);
	ck_assert_int_eq(spec->limits.stall_ns, 60 * CLOCK_NS_PER_SEC);
	ck_assert_uint_eq(spec->retry.attempts, 3);
	ck_assert_int_eq(spec->retry.backoff_ns, CLOCK_NS_PER_SEC);
}
END_TEST

START_TEST(every_key_reaches_its_field)
{
	CLEANUP(job_spec_freep)
	struct job_spec *spec = parse_right(
		"{\"version\":1,\"name\":\"n.1-_\",\"workers\":1024,\"engine\":\"pool\","
		"\"priority\":-100,"
		"\"input\":{\"path\":\"/d/./x-*.csv\",\"format\":\"csv\",\"compression\":\"none\","
		"\"delimiter\":\"\\t\",\"quotechar\":null,\"strict\":true,\"header\":false,"
		"\"fieldnames\":[\"a\",\"ä\"],\"skip_rows\":3,\"limit\":0,\"max_row_bytes\":"
		"67108864},"
		"\"output\":{\"path\":\"o//o.jsonl\",\"format\":\"jsonl\",\"if_exists\":\"fail\","
		"\"mode\":\"0604\"},"
		"\"errors\":{\"path\":\"e\",\"max_rows\":9007199254740991,\"max_ratio\":0.25},"
		"\"limits\":{\"memory_per_worker\":\"33MiB\",\"wall\":\"2h\",\"stall\":\"1500ms\"},"
		"\"retry\":{\"attempts\":7,\"backoff\":\"0\"}}");
	const struct pipe_spec *pipe = &spec->pipes[0];

	ck_assert_str_eq(spec->name, "n.1-_");
	ck_assert_uint_eq(spec->workers, 1024);
	ck_assert_int_eq(spec->priority, -100);
	ck_assert_str_eq(pipe->input.path, "/d/x-*.csv");
	ck_assert_int_eq(pipe->input.delimiter, '\t');
	ck_assert_int_eq(pipe->input.quotechar, 0);
	ck_assert(pipe->input.strict);
	ck_assert(!pipe->input.header);
	ck_assert_uint_eq(pipe->input.n_fieldnames, 2);
	ck_assert_str_eq(pipe->input.fieldnames[0], "a");
	ck_assert_str_eq(pipe->input.fieldnames[1], "ä");
	ck_assert_uint_eq(pipe->input.skip_rows, 3);
	ck_assert_uint_eq(pipe->input.limit, 0);
	ck_assert_uint_eq(pipe->input.max_row_bytes, 67108864);
	ck_assert_str_eq(pipe->output.path, "o/o.jsonl");
	ck_assert_int_eq(pipe->output.if_exists, OUTPUT_IF_EXISTS_FAIL);
	ck_assert_int_eq(pipe->output.mode, 0604);
	ck_assert_str_eq(pipe->errors.path, "e");
	ck_assert(pipe->errors.max_rows == 9007199254740991);
	ck_assert_double_eq(pipe->errors.max_ratio, 0.25);
	ck_assert_uint_eq(spec->limits.memory_per_worker_bytes, 33 << 20);
	ck_assert_int_eq(spec->limits.wall_ns, 7200 * CLOCK_NS_PER_SEC);
	ck_assert_int_eq(spec->limits.stall_ns, 1500 * CLOCK_NS_PER_MS);
	ck_assert_uint_eq(spec->retry.attempts, 7);
	ck_assert_int_eq(spec->retry.backoff_ns, 0);
}
END_TEST

START_TEST(pipes_keep_their_order_and_their_own_defaults)
{
	CLEANUP(job_spec_freep)
	struct job_spec *spec = parse_right(
		"{\"pipes\":[{\"input\":{\"path\":\"a\",\"delimiter\":\";\"},"
		"\"output\":{\"path\":\"1\"}},"
		"{\"output\":{\"path\":\"2\"},\"errors\":{\"max_ratio\":1},"
		"\"input\":{\"path\":\"b\"}}],"
		"\"version\":1}");

	ck_assert_uint_eq(spec->n_pipes, 2);
	ck_assert_str_eq(spec->pipes[0].input.path, "a");
	ck_assert_int_eq(spec->pipes[0].input.delimiter, ';');
	ck_assert_double_eq(spec->pipes[0].errors.max_ratio, 0.5);
	ck_assert_str_eq(spec->pipes[1].output.path, "2");
	ck_assert_int_eq(spec->pipes[1].input.delimiter, ',');
	ck_assert_double_eq(spec->pipes[1].errors.max_ratio, 1);
}
END_TEST

START_TEST(an_unknown_key_is_named_with_its_place_and_the_nearest_one)
{
	check_line("{\n  \"version\": 1,\n  \"input\": {\"path\": \"ä\", \"delimter\": \";\"},\n"
		   "  \"output\": {\"path\": \"b\"}\n}\n",
		   "a.json:3:26: $.input.delimter: unknown key (did you mean \"delimiter\"?)");
	check_line(SMALLEST ",\"zebra crossing\":1}",
		   "a.json:1:67: $[\"zebra crossing\"]: unknown key");
}
END_TEST

START_TEST(a_duplicate_key_is_named_with_its_second_place)
{
	check_line("{\"version\":1,\n\"input\":{\"path\":\"a\",\n "
		   "\"path\":\"b\"},\"output\":{\"path\":\"c\"}}",
		   "a.json:3:2: $.input.path: this key was there before");
}
END_TEST

START_TEST(a_wrong_value_is_named_with_the_place_of_the_value)
{
	check_line("{\"version\":1,\"input\":{\"path\":\"a\",\n\"limit\": "
		   "-1},\"output\":{\"path\":\"b\"}}",
		   "a.json:2:10: $.input.limit: must be from 0 to 9007199254740991");
	check_line(
		"{\"version\":1,\"pipes\":[{\"input\":{\"path\":\"a\"},\"output\":{\"path\":3}}]}",
		"a.json:1:62: $.pipes[0].output.path: must be a string, not a number");
	check_line("{\"version\":1,\"input\":{\"path\":\"a\",\"fieldnames\":[\"x\",\"y\",\"x\"]},"
		   "\"output\":{\"path\":\"b\"}}",
		   "a.json:1:56: $.input.fieldnames[2]: the same name as number 1");
}
END_TEST

START_TEST(a_missing_key_is_named_with_the_place_of_its_object)
{
	check_line("{\"version\":1,\n \"input\":{},\"output\":{\"path\":\"b\"}}",
		   "a.json:2:10: $.input: \"path\" is missing");
	check_line("{\"version\":1,\"input\":{\"path\":\"a\"}}",
		   "a.json:1:1: $: \"output\" is missing");
}
END_TEST

START_TEST(text_that_is_not_json_has_a_line_but_no_path)
{
	struct spec_error error = parse_wrong("{\"version\": 1,\n \"input\" {}}");

	ck_assert_uint_eq(error.line, 2);
	ck_assert_str_eq(error.json_path, "");
	ck_assert_ptr_nonnull(strstr(error.message, "not JSON"));
	error = parse_wrong("{\"version\": 1,\n \"name\": \"gr\xf6\xdf\"}");
	ck_assert_ptr_nonnull(strstr(error.message, "not JSON"));
	ck_assert(str_is_utf8(error.message, strlen(error.message), NULL));
	error = parse_wrong("");
	ck_assert_uint_eq(error.line, 1);
	ck_assert_uint_eq(error.column, 1);
}
END_TEST

START_TEST(two_targets_with_one_path_are_refused_however_it_is_written)
{
	check_line("{\"version\":1,\"input\":{\"path\":\"a\"},\"output\":{\"path\":\"./b\"},"
		   "\"errors\":{\"path\":\"b\"}}",
		   "a.json:1:76: $.errors.path: the same file as the output");
	check_line("{\"version\":1,\"pipes\":[{\"input\":{\"path\":\"a\"},\"output\":{\"path\":"
		   "\"b\"}},\n"
		   "{\"input\":{\"path\":\"a\"},\"output\":{\"path\":\".//b\"}}]}",
		   "a.json:2:40: $.pipes[1].output.path: the same file as the output of pipe 0");
}
END_TEST

START_TEST(a_comma_as_quotechar_and_a_quote_as_delimiter_are_refused)
{
	ck_assert_str_eq(
		parse_wrong("{\"version\":1,\"input\":{\"path\":\"a\",\"quotechar\":\",\"},"
			    "\"output\":{\"path\":\"b\"}}")
			.json_path,
		"$.input.quotechar");
	ck_assert_str_eq(
		parse_wrong("{\"version\":1,\"input\":{\"path\":\"a\",\"delimiter\":\"\\\"\"},"
			    "\"output\":{\"path\":\"b\"}}")
			.json_path,
		"$.input.delimiter");
}
END_TEST

START_TEST(a_spec_has_a_greatest_length)
{
	size_t len = JOB_SPEC_MAX_BYTES + 1;
	char *text = malloc(len);
	struct job_spec *spec = NULL;
	struct spec_error error;

	memset(text, ' ', len);
	memcpy(text, SMALLEST "}", strlen(SMALLEST "}"));
	ck_assert_int_eq(job_spec_parse(text, JOB_SPEC_MAX_BYTES, &spec, &error), 0);
	spec = job_spec_free(spec);
	ck_assert_int_eq(job_spec_parse(text, JOB_SPEC_MAX_BYTES + 1, &spec, &error), -EINVAL);
	ck_assert_str_eq(error.message, "longer than 1048576 bytes");
	free(text);
}
END_TEST

START_TEST(the_text_need_not_end_with_nul)
{
	static const char text[] = SMALLEST "}";
	size_t len = strlen(text);

	for (size_t n = 0; n <= len; n++) {
		char *copy = malloc(n + (n == 0));
		struct job_spec *spec = NULL;
		struct spec_error error;

		memcpy(copy, text, n);
		ck_assert_int_eq(job_spec_parse(copy, n, &spec, &error), n == len ? 0 : -EINVAL);
		job_spec_free(spec);
		free(copy);
	}
}
END_TEST

static long n_allocations_left;

static void *malloc_until_none_is_left(size_t size)
{
	if (n_allocations_left-- > 0) {
		return malloc(size);
	}
	errno = ENOMEM;
	return NULL;
}

START_TEST(running_out_of_memory_is_not_the_specs_fault)
{
	static const char text[] = SMALLEST ",\"p\\u0072iority\":1}";
	long n_failed = 0;
	int r;

	json_set_alloc_funcs(malloc_until_none_is_left, free);
	do {
		struct job_spec *spec = NULL;
		struct spec_error error;

		n_allocations_left = n_failed++;
		r = job_spec_parse(text, strlen(text), &spec, &error);
		ck_assert_int_eq(r == -ENOMEM ? 0 : r, 0);
		ck_assert((r == 0) == (spec != NULL));
		job_spec_free(spec);
	} while (r < 0);
	ck_assert_int_gt(n_failed, 20);
}
END_TEST

START_TEST(a_name_has_few_letters_and_no_more_than_64)
{
	char name[66];

	memset(name, 'a', sizeof(name));
	name[65] = '\0';
	ck_assert(!job_name_is_valid(name));
	name[64] = '\0';
	ck_assert(job_name_is_valid(name));
	ck_assert(job_name_is_valid("A-z.0_9"));
	ck_assert(!job_name_is_valid(""));
	ck_assert(!job_name_is_valid("a b"));
	ck_assert(!job_name_is_valid("a/b"));
	ck_assert(!job_name_is_valid("\xc3\xa4"));
}
END_TEST

START_TEST(a_job_may_take_its_files_name)
{
	static const char *const files[][2] = {
		{"users.json", "users"},
		{"/a b/users.json", "users"},
		{"users", "users"},
		{"users.json.json", "users.json"},
		{"a/.json", NULL},
		{"my users.json", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP(free_p) char *name = NULL;

		ck_assert_int_eq(job_name_from_file(files[i][0], &name), files[i][1] ? 0 : -EINVAL);
		ck_assert_pstr_eq(name, files[i][1]);
	}
}
END_TEST

UNIT_MAIN(what_is_left_out_has_its_default, every_key_reaches_its_field,
	  pipes_keep_their_order_and_their_own_defaults,
	  an_unknown_key_is_named_with_its_place_and_the_nearest_one,
	  a_duplicate_key_is_named_with_its_second_place,
	  a_wrong_value_is_named_with_the_place_of_the_value,
	  a_missing_key_is_named_with_the_place_of_its_object,
	  text_that_is_not_json_has_a_line_but_no_path,
	  two_targets_with_one_path_are_refused_however_it_is_written,
	  a_comma_as_quotechar_and_a_quote_as_delimiter_are_refused, a_spec_has_a_greatest_length,
	  the_text_need_not_end_with_nul, running_out_of_memory_is_not_the_specs_fault,
	  a_name_has_few_letters_and_no_more_than_64, a_job_may_take_its_files_name)
