/* SPDX-License-Identifier: MIT */
/* `zooparallel wait` and `cancel`: the commands that take IDs and change or await an end. */
#include <stdint.h>
#include <stdio.h>

#include "common/util/macro.h"
#include "common/util/num.h"
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
		case 't':
			if (num_parse_duration_ns(optarg, &options.timeout_ns) < 0) {
				return ctl_usage_error(ctl,
						       "--timeout wants a time like 30s or 5m");
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

static int cancel_one(const struct ctl *ctl, struct api *api, const char *id, json_t *all)
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
	text_add_clean(&line, id);
	buf_add_str(&line, ": cancelled\n");
	return output_text(&line);
}

int cmd_cancel(struct ctl *ctl, int argc, char **argv)
{
	static const struct option table[] = {{0}};
	CLEANUP(api_closep) struct api *api = NULL;
	CLEANUP(client_json_decrefp) json_t *all = json_array();
	int option = ctl_option_next(ctl, argc, argv, table);
	int code, first_code = CTL_EXIT_COMPLETED;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (optind == argc) {
		return ctl_usage_error(ctl, "which job?");
	}
	code = client_open(ctl, &api);
	if (code) {
		return code;
	}
	for (int i = optind; i < argc && code != CTL_EXIT_UNREACHABLE; i++) {
		code = cancel_one(ctl, api, argv[i], all);
		first_code = first_code ? first_code : code;
	}
	if (ctl->json && output_json(all) && !first_code) {
		return CTL_EXIT_FAILED;
	}
	return first_code;
}
