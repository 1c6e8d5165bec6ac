/* SPDX-License-Identifier: MIT */
/*
 * Rules between values. What is wrong is known here, where it stands in the text is not, so the
 * steps that led to the values are taken once more before an error is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/job_spec.h"
#include "common/model/job_spec_read.h"
#include "common/model/spec_read.h"
#include "common/util/str.h"

/* A file that a job makes. */
struct target {
	const char *path;
	const char *part; /* the key of the object that names it */
	size_t pipe;
};

/* Goes to $.PART or, where the spec has a list of pipes, to $.pipes[PIPE].PART. */
static void enter_part(struct spec_reader *reader, const json_t *root, size_t pipe,
		       const char *part)
{
	if (json_object_get(root, "pipes")) {
		spec_enter(reader, "pipes", 0);
		spec_enter(reader, NULL, pipe);
	}
	spec_enter(reader, part, 0);
}

static int check_quotechar_differs(struct spec_reader *reader, const json_t *root,
				   const struct job_spec *spec, size_t pipe)
{
	const struct input_spec *input = &spec->pipes[pipe].input;
	size_t n_steps = reader->n_steps;
	int r;

	if (input->delimiter != input->quotechar) {
		return 0;
	}
	enter_part(reader, root, pipe, "input");
	/* One of the two may be the default and stand nowhere; a comma can only be a quotechar. */
	spec_enter(reader, input->delimiter == ',' ? "quotechar" : "delimiter", 0);
	r = spec_fail(reader, "delimiter and quotechar must differ");
	reader->n_steps = n_steps;
	return r;
}

static int fail_target(struct spec_reader *reader, const json_t *root, const struct target *target,
		       const struct target *earlier)
{
	size_t n_steps = reader->n_steps;
	int r;

	enter_part(reader, root, target->pipe, target->part);
	spec_enter(reader, "path", 0);
	if (json_object_get(root, "pipes")) {
		r = spec_fail(reader, "the same file as the %s of pipe %zu", earlier->part,
			      earlier->pipe);
	} else {
		r = spec_fail(reader, "the same file as the %s", earlier->part);
	}
	reader->n_steps = n_steps;
	return r;
}

/* Paths are normalised, so the same text is the same file; at most 128 of them are compared. */
static int check_targets_differ(struct spec_reader *reader, const json_t *root,
				const struct job_spec *spec)
{
	struct target targets[2 * JOB_SPEC_MAX_PIPES];
	size_t n_targets = 0;

	for (size_t i = 0; i < 2 * spec->n_pipes; i++) {
		const struct pipe_spec *pipe = &spec->pipes[i / 2];
		struct target target = {.path = pipe->output.path, .part = "output", .pipe = i / 2};

		if (i % 2 == 1) {
			target.path = pipe->errors.path;
			target.part = "errors";
		}
		for (size_t k = 0; k < n_targets; k++) {
			if (target.path && str_equal(targets[k].path, target.path)) {
				return fail_target(reader, root, &target, &targets[k]);
			}
		}
		if (target.path) {
			targets[n_targets++] = target;
		}
	}
	return 0;
}

int job_spec_check(struct spec_reader *reader, const json_t *root, const struct job_spec *spec)
{
	for (size_t i = 0; i < spec->n_pipes; i++) {
		int r = check_quotechar_differs(reader, root, spec, i);

		if (r < 0) {
			return r;
		}
	}
	return check_targets_differ(reader, root, spec);
}
