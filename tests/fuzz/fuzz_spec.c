/* SPDX-License-Identifier: MIT */
/*
 * The spec's parser against any bytes: what it accepts keeps the promises of job_spec.h, what it
 * refuses has a place and a reason that fit on one line. The locator, which the parser only runs
 * on JSON, gets the same bytes whatever they are.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/job_spec.h"
#include "common/model/json_locate.h"
#include "common/util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
	if (!condition) {
		abort();
	}
}

static void check_path(const char *path)
{
	demand(path[0] != '\0' && !strstr(path, "//") && !str_ends_with(path, "/"));
	demand(!str_equal(path, "..") && !str_starts_with(path, "../") && !strstr(path, "/../") &&
	       !str_ends_with(path, "/.."));
}

static void check_pipe(const struct pipe_spec *pipe)
{
	const struct input_spec *input = &pipe->input;

	check_path(input->path);
	check_path(pipe->output.path);
	if (pipe->errors.path) {
		check_path(pipe->errors.path);
		demand(!str_equal(pipe->errors.path, pipe->output.path));
	}
	demand(input->delimiter > 0 && !strchr("\r\n", input->delimiter));
	demand(input->quotechar >= 0 && input->delimiter != input->quotechar);
	demand((input->fieldnames == NULL) == (input->n_fieldnames == 0));
	demand(input->max_row_bytes >= 1 && input->max_row_bytes <= JOB_SPEC_MAX_ROW_BYTES);
	demand(input->limit <= JOB_SPEC_MAX_COUNT || input->limit == UINT64_MAX);
	demand(input->skip_rows <= JOB_SPEC_MAX_COUNT);
	demand(pipe->output.mode >= -1 && pipe->output.mode <= 0777);
	demand(pipe->errors.max_ratio >= 0 && pipe->errors.max_ratio <= 1);
}

static void check_spec(const struct job_spec *spec)
{
	demand(spec->n_pipes >= 1 && spec->n_pipes <= JOB_SPEC_MAX_PIPES);
	demand(spec->workers <= JOB_SPEC_MAX_WORKERS);
	demand(!spec->name || job_name_is_valid(spec->name));
	for (size_t i = 0; i < spec->n_pipes; i++) {
		check_pipe(&spec->pipes[i]);
	}
}

static void check_error(const struct spec_error *error)
{
	char *line = NULL;

	demand(error->line >= 1 && error->column >= 1 && error->message[0] != '\0');
	demand(spec_error_render(error, "fuzz.json", &line) == 0);
	demand(str_is_utf8(line, strlen(line), NULL) && !strchr(line, '\n'));
	free(line);
}

static void check_locator(const char *text, size_t size)
{
	const struct json_step steps[] = {
		{"pipes", 0}, {NULL, 1}, {"input", 0}, {"fieldnames", 0}, {NULL, 2}};
	struct json_place place;

	for (size_t n = 0; n <= ARRAY_SIZE(steps); n++) {
		(void)!json_locate(text, size, steps, n, JSON_LOCATE_VALUE, &place);
		(void)!json_locate(text, size, steps, n, JSON_LOCATE_KEY, &place);
	}
	(void)!json_locate_key_before(text, size, &place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(job_spec_freep) struct job_spec *spec = NULL;
	const char *text = (const char *)data;
	struct spec_error error;
	int r = job_spec_parse(text, size, &spec, &error);

	demand(r == 0 || r == -EINVAL);
	demand((r == 0) == (spec != NULL));
	if (r == 0) {
		check_spec(spec);
	} else {
		check_error(&error);
	}
	check_locator(text, size);
	return 0;
}
