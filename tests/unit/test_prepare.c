/* SPDX-License-Identifier: MIT */
#include "daemon/pipe/prepare.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/pipe/columns.h"
#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

static struct tmpdir root;
static struct input_spec input;
static struct plan *plan;

static void setup(void)
{
	tmpdir_init(&root);
	plan = NULL;
	input = (struct input_spec){
		.delimiter = ',',
		.quotechar = '"',
		.header = true,
		.limit = UINT64_MAX,
		.max_row_bytes = 1000,
	};
}

static void teardown(void)
{
	plan_free(plan);
	tmpdir_deinit(&root);
}

static void put_bytes(const char *name, const void *data, size_t len)
{
	CLEANUP(fd_closep) int fd = openat(root.fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(fd_write_all(fd, data, len), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static const struct plan_pipe *prepare(const char *path)
{
	char path_copy[200];
	char *const root_paths[] = {root.path};
	const struct prepare_roots roots = {.paths = root_paths, .fds = &root.fd, .n = 1};
	struct pipe_spec pipe = {.input = input};
	const struct job_spec spec = {.n_pipes = 1, .pipes = &pipe};

	plan = plan_free(plan);
	snprintf(path_copy, sizeof(path_copy), "%s", path);
	pipe.input.path = path_copy;
	ck_assert_int_eq(prepare_run(&spec, &roots, 64, &plan), 0);

	/* Whoever reads it may have to refuse it, but not if we wrote it. */
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct plan *loaded;

	plan_render(plan, &text);
	ck_assert_int_eq(plan_load(text.data, text.len, &loaded), 0);
	plan_free(plan);
	plan = loaded;
	return plan->pipes;
}

/* Fails to prepare, and says why: "reason: message". */
static const char *failure(const char *path)
{
	static char text[512];

	prepare(path);
	ck_assert_uint_eq(plan->n_pipes, 0);
	snprintf(text, sizeof(text), "%s: %s", job_reason_name(plan->failure), plan->message);
	return text;
}

/* Column names, a blank behind each. */
static const char *columns(const struct plan_pipe *pipe)
{
	static char text[512];
	size_t len = 0;

	ck_assert_msg(plan->failure == JOB_REASON_OK, "%s", plan->message);
	text[0] = '\0';
	for (size_t c = 0; c < pipe->n_columns; c++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ", pipe->columns[c]);
	}
	return text;
}

START_TEST(header_bom_and_skipped_rows_come_before_the_data)
{
	put("a.csv", "\xef\xbb\xbf# one\n\"# two\n\nid,\"na\"\"me\n\",\r\n1,2,3\n");
	input.skip_rows = 2;

	const struct plan_pipe *pipe = prepare("a.csv");

	ck_assert_str_eq(columns(pipe), "id na\"me\n 3 ");
	ck_assert_str_eq(pipe->files[0].path, "a.csv");
	ck_assert_uint_eq(pipe->files[0].data_offset, 32);
	ck_assert_uint_eq(pipe->files[0].data_line, 6);
	ck_assert_ptr_null(pipe->files[0].field_of);
	ck_assert_uint_eq(pipe->n_bytes, 6);
}
END_TEST

START_TEST(double_names_are_numbered_and_empty_ones_placed)
{
	put("a.csv", "a,a_2,a,,a,\"\",2,4\n");
	ck_assert_str_eq(columns(prepare("a.csv")), "a a_2 a_3 4 a_4 6 2 4_2 ");
}
END_TEST

START_TEST(without_a_header_columns_are_positions)
{
	put("a.csv", "\n\nx,\"y,z\",\xff\n1\n");
	input.header = false;

	const struct plan_pipe *pipe = prepare("a.csv");

	ck_assert_str_eq(columns(pipe), "1 2 3 ");
	ck_assert_uint_eq(pipe->files[0].data_offset, 0);
	ck_assert_uint_eq(pipe->files[0].data_line, 1);
}
END_TEST

START_TEST(fieldnames_replace_the_header)
{
	char x[] = "x", y[] = "y", *names[] = {x, y};

	put("a.csv", "a,b\n1,2\n");
	input.fieldnames = names;
	input.n_fieldnames = 2;
	ck_assert_str_eq(columns(prepare("a.csv")), "x y ");
	ck_assert_uint_eq(plan->pipes[0].files[0].data_offset, 4);
	input.header = false;
	ck_assert_str_eq(columns(prepare("a.csv")), "x y ");
	ck_assert_uint_eq(plan->pipes[0].files[0].data_offset, 0);
	input.header = true;
	input.n_fieldnames = 1;
	ck_assert_str_eq(failure("a.csv"),
			 "input_unreadable: a.csv:1: The header row has 2 columns, "
			 "but there are 1 fieldnames.");
}
END_TEST

START_TEST(an_empty_file_has_no_columns_and_no_rows)
{
	static const char *const contents[] = {"", "\xef\xbb\xbf", "\n\r\n\n"};

	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		unlinkat(root.fd, "a.csv", 0);
		put("a.csv", contents[i]);
		for (int header = 0; header < 2; header++) {
			input.header = header;
			ck_assert_str_eq(columns(prepare("a.csv")), "");
			ck_assert_uint_eq(plan->pipes[0].n_chunks, 0);
		}
	}
}
END_TEST

START_TEST(a_glob_is_sorted_and_matched_by_name)
{
	put("users-2.csv", "b,a\n1,2\n");
	put("users-10.csv", "a,b\n");
	put("users-3.csv", "");
	put(".users-4.csv", "x\n");
	put("other.csv", "x\n");

	const struct plan_pipe *pipe = prepare("users-*.csv");

	ck_assert_str_eq(columns(pipe), "a b ");
	ck_assert_uint_eq(pipe->n_files, 3);
	ck_assert_str_eq(pipe->files[0].path, "users-10.csv");
	ck_assert_str_eq(pipe->files[1].path, "users-2.csv");
	ck_assert_uint_eq(pipe->files[1].field_of[0], 1);
	ck_assert_uint_eq(pipe->files[1].field_of[1], 0);
	ck_assert_uint_eq(pipe->n_chunks, 1);
}
END_TEST

START_TEST(a_glob_works_in_every_component)
{
	mkdirat(root.fd, "d1", 0700);
	mkdirat(root.fd, "d2", 0700);
	mkdirat(root.fd, "e1", 0700);
	put("d1/x1.csv", "a\n");
	put("d2/x2.csv", "a\n");
	put("d2/y1.csv", "a\n");
	put("e1/x1.csv", "a\n");
	put("d3", "not a folder\n");
	ck_assert_uint_eq(prepare("d?/x[0-9].csv")->n_files, 2);
	ck_assert_str_eq(plan->pipes[0].files[1].path, "d2/x2.csv");
	ck_assert_uint_eq(prepare("*1/x1.csv")->n_files, 2);
	ck_assert_uint_eq(prepare("d1/*.csv")->n_files, 1);
	ck_assert_str_eq(failure("d9/*.csv"), "input_missing: d9/*.csv: no file matches");
}
END_TEST

START_TEST(other_columns_name_both_files)
{
	put("a1.csv", "a,b\n");
	put("a2.csv", "a,c\n");
	ck_assert_str_eq(failure("a*.csv"),
			 "input_unreadable: a2.csv: has no column \"b\", but a1.csv has it");
	put("a3.csv", "a\n");
	ck_assert_str_eq(failure("a[13].csv"),
			 "input_unreadable: a3.csv: has 1 columns, but a1.csv has 2");
}
END_TEST

START_TEST(what_is_no_readable_file_is_named)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mkdirat(root.fd, "folder", 0700);
	mkfifoat(root.fd, "fifo", 0600);
	symlinkat("folder", root.fd, "link");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", root.path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);

	ck_assert_str_eq(failure("no.csv"), "input_missing: no.csv: no such file");
	ck_assert_str_eq(failure("no*.csv"), "input_missing: no*.csv: no file matches");
	ck_assert_str_eq(failure("folder"),
			 "input_unreadable: folder: is a directory, not a regular file");
	ck_assert_str_eq(failure("f?fo"), "input_unreadable: fifo: is a FIFO, not a regular file");
	ck_assert_str_eq(failure("socket"),
			 "input_unreadable: socket: is a socket, not a regular file");
	ck_assert_str_eq(failure("link"),
			 "path_denied: link: there is a symbolic link in the path");
	ck_assert_str_eq(failure("l*/x"),
			 "path_denied: l*/x: there is a symbolic link in the path");
	ck_assert_str_eq(failure("../x.csv"),
			 "path_denied: ../x.csv: not a path below a data root");
	ck_assert_str_eq(failure("/etc/passwd"),
			 "path_denied: /etc/passwd: outside the data roots");
}
END_TEST

START_TEST(a_header_that_cannot_be_read_is_named_with_its_line)
{
	put("a.csv", "\nid,\xff\n");
	put("b.csv", "id,\"name\n1,2\n");
	put_bytes("c.csv", "a\0b\n", 4);
	ck_assert_str_eq(failure("a.csv"),
			 "input_unreadable: a.csv:2: The row is not valid UTF-8.");
	ck_assert_str_eq(failure("b.csv"),
			 "input_unreadable: b.csv:1: A quote opens a field and none "
			 "closes it within max_row_bytes or the file.");
	ck_assert_str_eq(failure("c.csv"),
			 "input_unreadable: c.csv:1: The row contains a NUL byte.");
	input.max_row_bytes = 1;
	ck_assert_str_eq(failure("b.csv"),
			 "input_unreadable: b.csv:1: The row does not end within max_row_bytes.");
}
END_TEST

START_TEST(a_name_that_is_no_text_is_refused)
{
	put("x\xff.csv", "a\n");
	ck_assert_str_eq(failure("x*.csv"),
			 "input_unreadable: x?.csv: the file's name is not valid UTF-8");
}
END_TEST

START_TEST(ten_thousand_columns_are_no_trouble)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	for (int i = 0; i < 10000; i++) {
		buf_add_str(&text, i == 0 ? "same" : ",same");
	}
	buf_add_char(&text, '\n');
	put_bytes("a.csv", text.data, text.len);
	input.max_row_bytes = 1 << 20;

	const struct plan_pipe *pipe = prepare("a.csv");

	ck_assert_uint_eq(pipe->n_columns, 10000);
	ck_assert_str_eq(pipe->columns[9999], "same_10000");
}
END_TEST

START_TEST(too_many_columns_are_refused)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	for (unsigned i = 0; i < PLAN_MAX_COLUMNS; i++) {
		buf_add_char(&text, ',');
	}
	put_bytes("a.csv", text.data, text.len);
	input.max_row_bytes = 1 << 20;
	ck_assert_str_eq(failure("a.csv"),
			 "input_unreadable: a.csv:1: The header row has too many columns.");
}
END_TEST

START_TEST(columns_are_found_whatever_their_order)
{
	char a[] = "a", b[] = "b", c[] = "c", d[] = "d";
	char *const names[] = {a, b, c}, *const mixed[] = {c, a, b}, *const others[] = {a, b, d};
	uint32_t *field_of;
	size_t missing;

	ck_assert_int_eq(columns_match(names, names, 3, &field_of, &missing), 0);
	ck_assert_ptr_null(field_of);
	ck_assert_int_eq(columns_match(names, mixed, 3, &field_of, &missing), 0);
	ck_assert_uint_eq(field_of[0], 1);
	ck_assert_uint_eq(field_of[1], 2);
	ck_assert_uint_eq(field_of[2], 0);
	free(field_of);
	ck_assert_int_eq(columns_match(names, others, 3, &field_of, &missing), -ENOENT);
	ck_assert_uint_eq(missing, 2);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, header_bom_and_skipped_rows_come_before_the_data,
	       double_names_are_numbered_and_empty_ones_placed,
	       without_a_header_columns_are_positions, fieldnames_replace_the_header,
	       an_empty_file_has_no_columns_and_no_rows, a_glob_is_sorted_and_matched_by_name,
	       a_glob_works_in_every_component, other_columns_name_both_files,
	       what_is_no_readable_file_is_named,
	       a_header_that_cannot_be_read_is_named_with_its_line,
	       a_name_that_is_no_text_is_refused, ten_thousand_columns_are_no_trouble,
	       too_many_columns_are_refused, columns_are_found_whatever_their_order)
