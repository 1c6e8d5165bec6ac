/* SPDX-License-Identifier: MIT */
#include "common/model/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

/* Two files with rows and two without, one of them in another order. */
static const char sample[] =
	"{\"version\":1,\"chunk_size\":10,\"failure\":\"ok\",\"message\":\"\",\"pipes\":[\n"
	"{\"root\":1,\"columns\":[\"id\",\"n\\\"m\"],\"files\":[\n"
	"{\"path\":\"a.csv\",\"dev\":-5,\"inode\":7,\"size_bytes\":25,\"mtime_ns\":1,\"ctime_ns\":"
	"2,"
	"\"data_offset\":3,\"data_line\":2,\"field_of\":null},\n"
	"{\"path\":\"b.csv\",\"dev\":5,\"inode\":8,\"size_bytes\":9,\"mtime_ns\":1,\"ctime_ns\":2,"
	"\"data_offset\":9,\"data_line\":2,\"field_of\":null},\n"
	"{\"path\":\"c.csv\",\"dev\":5,\"inode\":9,\"size_bytes\":19,\"mtime_ns\":-1,\"ctime_ns\":"
	"2,"
	"\"data_offset\":9,\"data_line\":2,\"field_of\":[1,0]},\n"
	"{\"path\":\"d/"
	"e.csv\",\"dev\":5,\"inode\":9,\"size_bytes\":0,\"mtime_ns\":1,\"ctime_ns\":2,"
	"\"data_offset\":0,\"data_line\":1,\"field_of\":null}]}]}\n";

START_TEST(a_plan_survives_writing_and_reading)
{
	CLEANUP(plan_freep) struct plan *plan = NULL;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	ck_assert_int_eq(plan_load(sample, strlen(sample), &plan), 0);
	plan_render(plan, &text);
	ck_assert_str_eq(buf_terminated(&text), sample);
	ck_assert_uint_eq(plan->pipes[0].files[0].identity.dev, (uint64_t)-5);
	ck_assert_str_eq(plan->pipes[0].columns[1], "n\"m");
	ck_assert_uint_eq(plan->pipes[0].files[2].field_of[0], 1);
}
END_TEST

START_TEST(a_failed_plan_survives_too)
{
	static const char text[] = "{\"version\":1,\"chunk_size\":1,\"failure\":\"input_missing\","
				   "\"message\":\"a.csv: no such file\",\"pipes\":[]}\n";
	CLEANUP(plan_freep) struct plan *plan = NULL;
	CLEANUP(buf_deinit) struct buf again = BUF_INIT;

	ck_assert_int_eq(plan_load(text, strlen(text), &plan), 0);
	ck_assert_int_eq(plan->failure, JOB_REASON_INPUT_MISSING);
	plan_render(plan, &again);
	ck_assert_str_eq(buf_terminated(&again), text);
}
END_TEST

START_TEST(chunks_are_numbered_through_the_files)
{
	static const struct plan_chunk want[] = {
		{0, 3, 13, true, false},
		{0, 13, 23, false, false},
		{0, 23, 25, false, true},
		{2, 9, 19, true, true},
	};
	CLEANUP(plan_freep) struct plan *plan = NULL;

	ck_assert_int_eq(plan_load(sample, strlen(sample), &plan), 0);
	ck_assert_uint_eq(plan->pipes[0].n_chunks, ARRAY_SIZE(want));
	ck_assert_uint_eq(plan->pipes[0].n_bytes, 32);
	for (uint64_t k = 0; k < ARRAY_SIZE(want); k++) {
		struct plan_chunk chunk = plan_chunk_at(plan, &plan->pipes[0], k);

		ck_assert_uint_eq(chunk.file, want[k].file);
		ck_assert_uint_eq(chunk.begin, want[k].begin);
		ck_assert_uint_eq(chunk.end, want[k].end);
		ck_assert_int_eq(chunk.is_first_of_file, want[k].is_first_of_file);
		ck_assert_int_eq(chunk.is_last_of_file, want[k].is_last_of_file);
	}
}
END_TEST

/* What a hostile or broken `prepare` might write: one change each to the sample. */
static const char *const changes[][2] = {
	{"\"version\":1", "\"version\":2"},
	{"\"version\":1", "\"version\":1,\"more\":1"},
	{"\"chunk_size\":10", "\"chunk_size\":0"},
	{"\"chunk_size\":10", "\"chunk_size\":-1"},
	{"\"chunk_size\":10", "\"chunk_size\":1.5"},
	{"\"failure\":\"ok\"", "\"failure\":\"bored\""},
	{"\"failure\":\"ok\"", "\"failure\":\"io_error\""},
	{"\"message\":\"\",", ""},
	{"\"root\":1", "\"root\":-1"},
	{"\"root\":1", "\"root\":70000"},
	{"\"root\":1", "\"root\":1,\"root\":1"},
	{"[\"id\",\"n\\\"m\"]", "[\"id\",\"id\"]"},
	{"[\"id\",\"n\\\"m\"]", "[\"id\",3]"},
	{"[\"id\",\"n\\\"m\"]", "[]"},
	{"[\"id\",\"n\\\"m\"]", "\"id\""},
	{"\"path\":\"a.csv\"", "\"path\":\"/a.csv\""},
	{"\"path\":\"a.csv\"", "\"path\":\"../a.csv\""},
	{"\"path\":\"a.csv\"", "\"path\":\"\""},
	{"\"path\":\"a.csv\"", "\"path\":\"b.csv\""},
	{"\"path\":\"a.csv\"", "\"path\":\"./a.csv\""},
	{"\"inode\":7", "\"inode\":\"7\""},
	{"\"size_bytes\":25", "\"size_bytes\":2"},
	{"\"size_bytes\":25", "\"size_bytes\":-25"},
	{"\"data_line\":2", "\"data_line\":0"},
	{"\"field_of\":[1,0]", "\"field_of\":[1,1]"},
	{"\"field_of\":[1,0]", "\"field_of\":[1,2]"},
	{"\"field_of\":[1,0]", "\"field_of\":[1]"},
	{"\"field_of\":[1,0]", "\"field_of\":[1,-1]"},
	{"\"field_of\":[1,0]", "\"field_of\":{}"},
	{"]}]}\n", "]}]"},
};

START_TEST(nothing_of_a_plan_is_believed)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const char *at = strstr(sample, changes[i][0]);
		CLEANUP(buf_deinit) struct buf text = BUF_INIT;
		struct plan *plan = NULL;

		ck_assert_ptr_nonnull(at);
		buf_add(&text, sample, (size_t)(at - sample));
		buf_add_str(&text, changes[i][1]);
		buf_add_str(&text, at + strlen(changes[i][0]));
		ck_assert_msg(plan_load(text.data, text.len, &plan) == -EINVAL, "change %zu", i);
		ck_assert_ptr_null(plan);
	}
}
END_TEST

START_TEST(sums_that_overflow_are_refused)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct plan *plan;

	buf_add_str(&text, "{\"version\":1,\"chunk_size\":1,\"failure\":\"ok\",\"message\":\"\","
			   "\"pipes\":[{\"root\":0,\"columns\":[\"a\"],\"files\":[");
	for (int i = 0; i < 3; i++) {
		buf_printf(&text,
			   "%s{\"path\":\"%d\",\"dev\":5,\"inode\":9,"
			   "\"size_bytes\":9223372036854775807,\"mtime_ns\":1,\"ctime_ns\":2,"
			   "\"data_offset\":0,\"data_line\":1,\"field_of\":null}",
			   i == 0 ? "" : ",", i);
	}
	buf_add_str(&text, "]}]}");
	ck_assert_int_eq(plan_load(text.data, text.len, &plan), -EINVAL);
}
END_TEST

START_TEST(an_identity_tells_changed_files)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	struct plan_identity before, after;
	int fd;

	tmpdir_init(&tmp);
	fd = openat(tmp.fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(plan_identity_of(fd, &before), 0);
	ck_assert_int_eq(plan_identity_of(fd, &after), 0);
	ck_assert(plan_identity_equal(&before, &after));
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(plan_identity_of(fd, &after), 0);
	ck_assert(!plan_identity_equal(&before, &after));
	ck_assert_uint_eq(after.size_bytes, 1);
	close(fd);
	ck_assert_int_eq(plan_identity_of(fd, &after), -EBADF);
}
END_TEST

UNIT_MAIN(a_plan_survives_writing_and_reading, a_failed_plan_survives_too,
	  chunks_are_numbered_through_the_files, nothing_of_a_plan_is_believed,
	  sums_that_overflow_are_refused, an_identity_tells_changed_files)
