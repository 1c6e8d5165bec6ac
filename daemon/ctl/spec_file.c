/* SPDX-License-Identifier: MIT */
/*
 * The same parser as the daemon's judges the spec here, so that a slip is shown at once, with its
 * line, and nothing is started for it.
 */
#include "daemon/ctl/spec_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/model/job_spec.h"
#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/term.h"

void spec_file_deinit(struct spec_file *spec)
{
	free(spec->text);
	free(spec->job_name);
	*spec = SPEC_FILE_INIT;
}

const char *spec_file_base_name(const struct spec_file *spec)
{
	const char *slash = strrchr(spec->path, '/');

	if (str_equal(spec->path, "-")) {
		return "stdin.json";
	}
	return slash ? slash + 1 : spec->path;
}

static int read_text(struct spec_file *spec)
{
	CLEANUP(fd_closep) int fd = -1;
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	int r;

	fd = str_equal(spec->path, "-") ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(spec->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		return -errno;
	}
	r = fd_read_all(fd, JOB_SPEC_MAX_BYTES, &text);
	if (r < 0) {
		return r;
	}
	spec->len = text.len;
	spec->text = buf_terminated(&text) ? buf_take(&text) : NULL;
	return spec->text ? 0 : -ENOMEM;
}

/* The name that the job will have; the file's own must do where the spec has none. */
static int find_job_name(struct spec_file *spec, struct job_spec *parsed,
			 struct spec_error *ret_error)
{
	int r;

	if (parsed->name) {
		spec->job_name = TAKE_PTR(parsed->name);
		return 0;
	}
	r = job_name_from_file(spec_file_base_name(spec), &spec->job_name);
	if (r == -EINVAL) {
		*ret_error = (struct spec_error){.json_path = "$.name", .line = 1, .column = 1};
		(void)snprintf(ret_error->message, sizeof(ret_error->message),
			       "left out, and the file's name is no job name "
			       "([A-Za-z0-9._-], at most 64 characters)");
	}
	return r;
}

int spec_file_load(const char *path, struct spec_file *ret_spec, struct spec_error *ret_error)
{
	CLEANUP(job_spec_freep) struct job_spec *parsed = NULL;
	int r;

	*ret_spec = (struct spec_file){.path = path};
	r = read_text(ret_spec);
	if (r < 0) {
		return r;
	}
	r = job_spec_parse(ret_spec->text, ret_spec->len, &parsed, ret_error);
	if (r < 0) {
		return r;
	}
	return find_job_name(ret_spec, parsed, ret_error);
}

int spec_file_load_or_complain(const char *path, struct spec_file *ret_spec)
{
	CLEANUP(free_p) char *line = NULL;
	struct spec_error error;
	int r = spec_file_load(path, ret_spec, &error);

	switch (r) {
	case 0:
		return CTL_EXIT_COMPLETED;
	case -EINVAL:
		term_error("%s", spec_error_render(&error, path, &line) == 0 ? line : "bad spec");
		return CTL_EXIT_USAGE;
	case -EFBIG:
		term_error("%s: longer than %d bytes, which no job spec is", path,
			   JOB_SPEC_MAX_BYTES);
		return CTL_EXIT_USAGE;
	default:
		term_error("%s: cannot read it: %s", path, strerror(-r));
		return CTL_EXIT_USAGE;
	}
}
