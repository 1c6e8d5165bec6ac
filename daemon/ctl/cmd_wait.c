/* SPDX-License-Identifier: MIT */
/* `zooparallel wait` and `cancel`: the commands that take IDs and change or await an end. */
#include <stdint.h>
#include <stdio.h>

#include "common/util/macro.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/job_wait.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/text.h"

int cmd_wait(struct ctl *ctl, int argc, char **argv)
{
	static const struct option table[] = {
		{"strict", no_argument, NULL, 's'},
		{"timeout", required_argument, NULL, 't'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	struct job_wait_options options = {.timeout_ns = INT64_MAX};
	CLEANUP(api_closep) struct api *api = NULL;
	int option, code;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		switch (option) {
		case 's':
			options.strict = true;
			break;
		case 'q':
			options.is_quiet = true;
			break;
		case 't':
			if (ctl_option_timeout(ctl, &options.timeout_ns) == CTL_OPTION_BAD) {
				return ctl_option_exit(CTL_OPTION_BAD);
			}
			break;
		default:
			return ctl_option_exit(option);
		}
	}
	if (optind == argc) {
		return ctl_usage_error(ctl, "which job?");
	}
	code = client_open(ctl, &api);
	return code ? code
		    : job_wait_all(ctl, api, argv + optind, (size_t)(argc - optind), &options);
}

/* Quiet where the job's end is going to be told anyway. */
static int cancel_one(const struct ctl *ctl, struct api *api, const char *id, bool is_quiet,
		      json_t *all)
{
	CLEANUP(client_json_decrefp) json_t *answer = NULL;
	CLEANUP(buf_deinit) struct buf line = BUF_INIT;
	int code = client_cancel(ctl, api, id, &answer);

	if (code) {
		return code;
	}
	if (ctl->json) {
		return json_array_append(all, answer) < 0 ? CTL_EXIT_FAILED : CTL_EXIT_COMPLETED;
	}
	if (is_quiet) {
		return CTL_EXIT_COMPLETED;
	}
	text_add_clean(&line, id);
	buf_add_str(&line, ": cancelled\n");
	return output_text(&line);
}

/* What could not be cancelled is not waited for: it would be another job's end, or none. */
static int cancel_all(const struct ctl *ctl, struct api *api, char **ids, int n_ids,
		      const struct job_wait_options *waiting)
{
	CLEANUP(client_json_decrefp) json_t *all = json_array();
	int code = CTL_EXIT_COMPLETED, first_code = CTL_EXIT_COMPLETED;
	size_t n_cancelled = 0;

	for (int i = 0; i < n_ids && code != CTL_EXIT_UNREACHABLE; i++) {
		code = cancel_one(ctl, api, ids[i], waiting != NULL, all);
		first_code = first_code ? first_code : code;
		if (!code) {
			ids[n_cancelled++] = ids[i];
		}
	}
	if (waiting && code != CTL_EXIT_UNREACHABLE) {
		code = job_wait_all(ctl, api, ids, n_cancelled, waiting);
		return first_code ? first_code : code;
	}
	if (ctl->json && output_json(all) && !first_code) {
		return CTL_EXIT_FAILED;
	}
	return first_code;
}

int cmd_cancel(struct ctl *ctl, int argc, char **argv)
{
	static const struct option table[] = {
		{"wait", no_argument, NULL, 'w'},
		{"timeout", required_argument, NULL, 't'},
		{0},
	};
	struct job_wait_options waiting = {.timeout_ns = INT64_MAX, .is_for_aborts = true};
	CLEANUP(api_closep) struct api *api = NULL;
	bool is_waiting = false;
	int option, code;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		switch (option) {
		case 'w':
			is_waiting = true;
			break;
		case 't':
			if (ctl_option_timeout(ctl, &waiting.timeout_ns) == CTL_OPTION_BAD) {
				return ctl_option_exit(CTL_OPTION_BAD);
			}
			break;
		default:
			return ctl_option_exit(option);
		}
	}
	if (optind == argc) {
		return ctl_usage_error(ctl, "which job?");
	}
	code = client_open(ctl, &api);
	return code ? code
		    : cancel_all(ctl, api, argv + optind, argc - optind,
				 is_waiting ? &waiting : NULL);
}
