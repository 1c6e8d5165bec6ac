/* SPDX-License-Identifier: MIT */

/*
 * Everything that can be known to be wrong with a job's inputs is found here, before its first row
 * is read; it becomes a plan that says so. Positive returns mean that: the plan has a failure.
 */
#include "daemon/pipe/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/model/data_path.h"
#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/pipe/columns.h"
#include "daemon/pipe/header.h"
#include "daemon/pipe/input_glob.h"
#include "daemon/pipe/reader.h"

enum { PREPARE_HAS_FAILED = 1 };
enum { PREPARE_WINDOW_BYTES = 64 * 1024 };

struct prepare {
	const struct prepare_roots *roots;
	struct plan *plan;
	struct reader reader;
	/* Of the pipe in work: */
	const struct input_spec *input;
	struct plan_pipe *pipe;
	const char *columns_path; /* the file that the columns are from */
};

static void prepare_deinit(struct prepare *prepare)
{
	reader_deinit(&prepare->reader);
	plan_free(prepare->plan);
}

/* The plan is JSON, but a file's name need not be text. */
static void make_text(char *message)
{
	size_t bad;

	while (!str_is_utf8(message, strlen(message), &bad)) {
		message[bad] = '?';
	}
}

PRINTF_FORMAT(3, 4)
static int fail(struct prepare *prepare, enum job_reason reason, const char *format, ...)
{
	char *message;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&message, format, args);
	va_end(args);
	if (n < 0) {
		return -ENOMEM;
	}
	make_text(message);
	prepare->plan->failure = reason;
	prepare->plan->message = message;
	return PREPARE_HAS_FAILED;
}

struct open_failure {
	int error;
	enum job_reason reason;
	const char *text;
};

static const struct open_failure open_failures[] = {
	{ENOENT, JOB_REASON_INPUT_MISSING, "no such file"},
	{ENOTDIR, JOB_REASON_INPUT_MISSING, "no such file: its folder is no folder"},
	{ENAMETOOLONG, JOB_REASON_INPUT_MISSING, "no such file: the path is too long"},
	{ELOOP, JOB_REASON_PATH_DENIED, "there is a symbolic link in the path"},
	{EXDEV, JOB_REASON_PATH_DENIED, "outside the data roots"},
	{EINVAL, JOB_REASON_PATH_DENIED, "not a path below a data root"},
	{EACCES, JOB_REASON_INPUT_UNREADABLE, "permission denied"},
	{EPERM, JOB_REASON_INPUT_UNREADABLE, "permission denied"},
	{ENXIO, JOB_REASON_INPUT_UNREADABLE, "is a socket, not a regular file"},
	{E2BIG, JOB_REASON_INPUT_UNREADABLE, "matches too many files"},
};

/* What an errno of opening or globbing a path means for the job. */
static int fail_open(struct prepare *prepare, const char *path, int error)
{
	if (error == -ENOMEM) {
		return error;
	}
	for (size_t i = 0; i < ARRAY_SIZE(open_failures); i++) {
		if (open_failures[i].error == -error) {
			return fail(prepare, open_failures[i].reason, "%s: %s", path,
				    open_failures[i].text);
		}
	}
	return fail(prepare, JOB_REASON_IO_ERROR, "%s: cannot be opened: %s", path,
		    strerror(-error));
}

static int fail_read(struct prepare *prepare, const char *path, int error)
{
	if (error == -ENOMEM) {
		return error;
	}
	if (error == -ENODATA) {
		return fail(prepare, JOB_REASON_INPUT_CHANGED,
			    "%s: became shorter while it was read", path);
	}
	return fail(prepare, JOB_REASON_IO_ERROR, "%s: cannot be read: %s", path, strerror(-error));
}

static const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static int open_input(struct prepare *prepare, const char *path, int *ret_fd)
{
	/* O_NONBLOCK: a FIFO without a writer must not hold us up. */
	CLEANUP(fd_closep)
	int fd = fd_open_beneath(prepare->roots->fds[prepare->pipe->root], path,
				 O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0) {
		return fail_open(prepare, path, fd);
	}
	if (fstat(fd, &st) < 0) {
		return fail_read(prepare, path, -errno);
	}
	if (!S_ISREG(st.st_mode)) {
		return fail(prepare, JOB_REASON_INPUT_UNREADABLE, "%s: is %s, not a regular file",
			    path, file_kind(st.st_mode));
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The first file with columns gives the pipe's; takes their names over. */
static void set_columns(struct prepare *prepare, const char *path, struct header *header)
{
	prepare->columns_path = path;
	prepare->pipe->columns = TAKE_PTR(header->names);
	prepare->pipe->n_columns = header->n_names;
	header->n_names = 0;
}

static int match_columns(struct prepare *prepare, const struct header *header,
			 struct plan_file *file)
{
	const struct plan_pipe *pipe = prepare->pipe;
	size_t missing;
	int r;

	if (header->n_names != pipe->n_columns) {
		return fail(prepare, JOB_REASON_INPUT_UNREADABLE,
			    "%s: has %zu columns, but %s has %zu", file->path, header->n_names,
			    prepare->columns_path, pipe->n_columns);
	}
	r = columns_match(pipe->columns, header->names, pipe->n_columns, &file->field_of, &missing);
	if (r == -ENOENT) {
		return fail(prepare, JOB_REASON_INPUT_UNREADABLE,
			    "%s: has no column \"%.200s\", but %s has it", file->path,
			    pipe->columns[missing], prepare->columns_path);
	}
	return r;
}

static int take_header(struct prepare *prepare, struct header *header, struct plan_file *file)
{
	file->data_offset = header->data_offset;
	file->data_line = header->data_line;
	if (header->n_names == 0) {
		return 0;
	}
	if (prepare->pipe->columns == NULL) {
		set_columns(prepare, file->path, header);
		return 0;
	}
	return match_columns(prepare, header, file);
}

static int read_head(struct prepare *prepare, struct plan_file *file, int fd)
{
	struct header_problem problem;
	struct header header;
	int r;

	reader_open(&prepare->reader, fd, file->identity.size_bytes);
	r = header_read(prepare->input, &prepare->reader, &header, &problem);
	if (r == HEADER_IS_BAD) {
		return fail(prepare, JOB_REASON_INPUT_UNREADABLE, "%s:%llu: %s", file->path,
			    (unsigned long long)problem.line, problem.text);
	}
	if (r < 0) {
		return fail_read(prepare, file->path, r);
	}
	r = take_header(prepare, &header, file);
	header_deinit(&header);
	return r;
}

/* Takes the path over. */
static int add_file(struct prepare *prepare, char **path)
{
	struct plan_file *file = &prepare->pipe->files[prepare->pipe->n_files++];
	CLEANUP(fd_closep) int fd = -1;
	int r;

	*file = (struct plan_file){.path = TAKE_PTR(*path)};
	if (!str_is_utf8(file->path, strlen(file->path), NULL)) {
		return fail(prepare, JOB_REASON_INPUT_UNREADABLE,
			    "%s: the file's name is not valid UTF-8", file->path);
	}
	r = open_input(prepare, file->path, &fd);
	if (r != 0) {
		return r;
	}
	r = plan_identity_of(fd, &file->identity);
	return r < 0 ? fail_read(prepare, file->path, r) : read_head(prepare, file, fd);
}

static int add_files(struct prepare *prepare, char **paths, size_t n)
{
	int r = 0;

	prepare->pipe->files = calloc(n, sizeof(*prepare->pipe->files));
	if (prepare->pipe->files == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		r = add_file(prepare, &paths[i]);
	}
	return r;
}

static int add_matches(struct prepare *prepare, const char *pattern)
{
	CLEANUP(input_glob_deinit) struct input_glob glob = {0};
	int r = input_glob_find(prepare->roots->fds[prepare->pipe->root], pattern, &glob);

	if (r < 0) {
		return fail_open(prepare, pattern, r);
	}
	if (glob.n == 0) {
		return fail(prepare, JOB_REASON_INPUT_MISSING, "%s: no file matches", pattern);
	}
	return add_files(prepare, glob.paths, glob.n);
}

static int add_pipe(struct prepare *prepare, const struct input_spec *input, struct plan_pipe *pipe)
{
	CLEANUP(free_p) char *path = NULL;
	size_t root;
	int r = data_path_resolve(prepare->roots->paths, prepare->roots->n, input->path, &root,
				  &path);

	if (r < 0) {
		return fail_open(prepare, input->path, r);
	}
	prepare->input = input;
	prepare->pipe = pipe;
	pipe->root = (unsigned)root;
	return input_glob_is_pattern(path) ? add_matches(prepare, path)
					   : add_files(prepare, &path, 1);
}

static int add_pipes(struct prepare *prepare, const struct job_spec *spec)
{
	struct plan *plan = prepare->plan;
	int r = 0;

	plan->pipes = calloc(spec->n_pipes, sizeof(*plan->pipes));
	if (plan->pipes == NULL) {
		return -ENOMEM;
	}
	for (; plan->n_pipes < spec->n_pipes && r == 0; plan->n_pipes++) {
		r = add_pipe(prepare, &spec->pipes[plan->n_pipes].input,
			     &plan->pipes[plan->n_pipes]);
	}
	return r;
}

/* A plan that says nothing but why there is none. */
static int failed_plan(struct plan *plan, struct plan **ret_plan)
{
	struct plan *failed = calloc(1, sizeof(*failed));

	if (failed == NULL) {
		return -ENOMEM;
	}
	*failed = (struct plan){
		.chunk_size = plan->chunk_size,
		.failure = plan->failure,
		.message = TAKE_PTR(plan->message),
	};
	*ret_plan = failed;
	return 0;
}

int prepare_run(const struct job_spec *spec, const struct prepare_roots *roots, uint64_t chunk_size,
		struct plan **ret_plan)
{
	struct prepare prepare = {.roots = roots, .plan = calloc(1, sizeof(*prepare.plan))};
	int r = reader_init(&prepare.reader, PREPARE_WINDOW_BYTES);

	if (r == 0 && prepare.plan == NULL) {
		r = -ENOMEM;
	}
	if (r == 0) {
		prepare.plan->chunk_size = chunk_size;
		r = add_pipes(&prepare, spec);
	}
	if (r == PREPARE_HAS_FAILED) {
		r = failed_plan(prepare.plan, ret_plan);
	} else if (r == 0) {
		*ret_plan = TAKE_PTR(prepare.plan);
	}
	prepare_deinit(&prepare);
	return r;
}
