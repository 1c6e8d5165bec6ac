/* SPDX-License-Identifier: MIT */
/*
 * `zooparallel submit`: all specs are checked here before the first is handed over, so that a slip
 * in the third does not leave two jobs running.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/macro.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/job_wait.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/spec_file.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/text.h"

enum { SPECS_MAX = 256 };

struct submit_options {
	bool wait;
	struct job_wait_options waiting;
};

/* What is to be submitted, and what came of it. */
struct submission {
	struct spec_file specs[SPECS_MAX];
	char *ids[SPECS_MAX];
	size_t n_specs, n_ids;
};

static void submission_freep(struct submission **submission)
{
	if (*submission) {
		for (size_t i = 0; i < SPECS_MAX; i++) {
			spec_file_deinit(&(*submission)->specs[i]);
			free((*submission)->ids[i]);
		}
		free(*submission);
	}
}

static int load_all(struct submission *submission, int n_paths, char **paths)
{
	int code = CTL_EXIT_COMPLETED;

	for (int i = 0; i < n_paths; i++) {
		if (spec_file_load_or_complain(paths[i], &submission->specs[i])) {
			code = CTL_EXIT_USAGE;
		}
	}
	submission->n_specs = (size_t)n_paths;
	return code;
}

static int submit_one(const struct ctl *ctl, struct api *api, struct submission *submission,
		      const struct spec_file *spec)
{
	CLEANUP(client_json_decrefp) json_t *answer = NULL;
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;
	char *id;
	int code = client_submit(ctl, api, spec, &answer);

	if (code) {
		return code;
	}
	id = strdup(job_info_text(answer, "id"));
	if (!id || !id[0]) {
		free(id);
		term_error("%s: the daemon's answer has no ID", spec->path);
		return CTL_EXIT_FAILED;
	}
	submission->ids[submission->n_ids++] = id;
	if (ctl->json) {
		return CTL_EXIT_COMPLETED;
	}
	text_add_clean(&line, id);
	buf_add_char(&line, '\n');
	return output_text(&line);
}

static int print_ids(const struct submission *submission)
{
	CLEANUP(client_json_decrefp) json_t *all = json_array();

	for (size_t i = 0; i < submission->n_ids; i++) {
		const struct spec_file *spec = &submission->specs[i];

		if (json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "id",
							 submission->ids[i], "name", spec->job_name,
							 "file", spec->path)) < 0) {
			return CTL_EXIT_FAILED;
		}
	}
	return output_json(all);
}

static int submit_all(const struct ctl *ctl, struct submission *submission,
		      const struct submit_options *options)
{
	CLEANUP(api_closep) struct api *api = NULL;
	int code = client_open(ctl, &api);

	for (size_t i = 0; !code && i < submission->n_specs; i++) {
		code = submit_one(ctl, api, submission, &submission->specs[i]);
	}
	if (!code && options->wait) {
		(void)fflush(stdout);
		return job_wait_all(ctl, api, submission->ids, submission->n_ids,
				    &options->waiting);
	}
	/* The jobs that were accepted before a failure are told too. */
	if (ctl->json && submission->n_ids && print_ids(submission)) {
		return CTL_EXIT_FAILED;
	}
	return code;
}

static int parse_options(struct ctl *ctl, int argc, char **argv, struct submit_options *options)
{
	static const struct option table[] = {
		{"wait", no_argument, NULL, 'w'},
		{"strict", no_argument, NULL, 's'},
		{"timeout", required_argument, NULL, 't'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	int option;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		switch (option) {
		case 'w':
			options->wait = true;
			break;
		case 's':
			options->waiting.strict = true;
			break;
		case 'q':
			options->waiting.is_quiet = true;
			break;
		case 't':
			if (ctl_option_timeout(ctl, &options->waiting.timeout_ns) ==
			    CTL_OPTION_BAD) {
				return CTL_OPTION_BAD;
			}
			break;
		default:
			return option;
		}
	}
	return CTL_OPTION_END;
}

int cmd_submit(struct ctl *ctl, int argc, char **argv)
{
	struct submit_options options = {.waiting.timeout_ns = INT64_MAX};
	CLEANUP(submission_freep) struct submission *submission = NULL;
	int option = parse_options(ctl, argc, argv, &options);

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (optind == argc) {
		return ctl_usage_error(ctl, "which spec?");
	}
	if (argc - optind > SPECS_MAX) {
		return ctl_usage_error(ctl, "too many specs at once");
	}
	submission = calloc(1, sizeof(*submission));
	if (!submission) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	if (load_all(submission, argc - optind, argv + optind)) {
		return CTL_EXIT_USAGE;
	}
	return submit_all(ctl, submission, &options);
}
