/* SPDX-License-Identifier: MIT */
/*
 * The path is opened again, beneath its root, rather than a kept descriptor asked: a job of
 * 100,000 files cannot keep them open, and a file that was replaced under its name has changed as
 * much as one that was written to. O_PATH asks for no permission and no data.
 */
#include "daemon/sched/input_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"

#define FILES_PER_TURN 100

struct input_check {
	struct input_check_options options;
	struct loop_source *defer;
	size_t pipe, file; /* the next one to look at */
	struct failure failure;
};

/* The number of a device may change at a reboot; then it is pinned anew. */
static void adopt_device(const struct input_check *check, const struct plan_identity *identity,
			 struct plan_file *file)
{
	if (check->options.is_other_boot) {
		file->identity.dev = identity->dev;
	}
}

static void check_file(struct input_check *check, struct plan_file *file, int root_fd)
{
	struct plan_identity identity;
	CLEANUP(fd_closep) int fd = fd_open_beneath(root_fd, file->path, O_PATH, 0);
	int r = fd < 0 ? fd : plan_identity_of(fd, &identity);

	if (r == 0) {
		adopt_device(check, &identity, file);
	}
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM) {
		failure_set(&check->failure, JOB_REASON_INTERNAL, "%s: cannot be looked at: %s",
			    file->path, strerror(-r));
	} else if (r < 0) {
		failure_set(&check->failure, JOB_REASON_INPUT_CHANGED,
			    "%s: is no longer there as it was when the job started: %s", file->path,
			    strerror(-r));
	} else if (!plan_identity_equal(&identity, &file->identity)) {
		failure_set(&check->failure, JOB_REASON_INPUT_CHANGED,
			    "%s: was changed or replaced while the job ran", file->path);
	}
}

/* Looks at the next file. False: there is none left, or one has failed. */
static bool check_next(struct input_check *check)
{
	while (check->pipe < check->options.plan->n_pipes &&
	       check->file >= check->options.plan->pipes[check->pipe].n_files) {
		check->pipe++;
		check->file = 0;
	}
	if (check->pipe >= check->options.plan->n_pipes) {
		return false;
	}
	const struct plan_pipe *pipe = &check->options.plan->pipes[check->pipe];
	check_file(check, &pipe->files[check->file++], check->options.root_fds[pipe->root]);
	return check->failure.reason == JOB_REASON_OK;
}

static void on_turn(void *userdata)
{
	struct input_check *check = userdata;
	bool has_more = true;

	check->defer = loop_source_free(check->defer);
	for (int i = 0; i < FILES_PER_TURN && has_more; i++) {
		has_more = check_next(check);
	}
	if (has_more) {
		int r = loop_add_defer(check->options.loop, on_turn, check, &check->defer);

		if (r == 0) {
			return;
		}
		failure_set(&check->failure, JOB_REASON_INTERNAL, "cannot add an event: %s",
			    strerror(-r));
	}
	check->options.fn(check->options.userdata, &check->failure);
}

int input_check_start(const struct input_check_options *options, struct input_check **ret_check)
{
	struct input_check *check = calloc(1, sizeof(*check));

	if (check == NULL) {
		return -ENOMEM;
	}
	check->options = *options;
	int r = loop_add_defer(options->loop, on_turn, check, &check->defer);
	if (r < 0) {
		free(check);
		return r;
	}
	*ret_check = check;
	return 0;
}

struct input_check *input_check_free(struct input_check *check)
{
	if (check != NULL) {
		loop_source_free(check->defer);
		free(check);
	}
	return NULL;
}
