/* SPDX-License-Identifier: MIT */
/*
 * `zooparallel top`: a screen on a terminal that has one, else tables with an empty line between
 * them, or with --json one document a line. The same looks at the daemon, and the same patience
 * with one that is gone, in all three.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/top_data.h"
#include "daemon/ctl/top_live.h"
#include "daemon/ctl/top_text.h"

#define DEFAULT_INTERVAL_NS (500 * CLOCK_NS_PER_MS)
#define MIN_INTERVAL_NS	    (10 * CLOCK_NS_PER_MS)
#define MAX_INTERVAL_NS	    (3600 * CLOCK_NS_PER_SEC)

/* Keys and their order are part of the interface. */
static int print_json(const struct ctl *ctl, const struct top_data *data)
{
	CLEANUP(client_json_decrefp) json_t *jobs = json_array();
	CLEANUP(client_json_decrefp) json_t *line = NULL;
	char at[CLOCK_TEXT_SIZE];

	for (size_t i = 0; i < data->n_jobs; i++) {
		if (json_array_append(jobs, (json_t *)(uintptr_t)data->jobs[i].json) < 0) {
			break;
		}
	}
	line = json_pack("{s:s, s:s, s:s?, s:O?, s:O}", "at", clock_format_utc(at, data->at_ns),
			 "socket", ctl->socket_path, "problem", data->error ? data->problem : NULL,
			 "status", data->status, "jobs", jobs);
	return output_json_line(line);
}

static int print_text(const struct ctl *ctl, const struct top_data *data, bool is_first)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	size_t width = term_width(STDOUT_FILENO);

	if (!is_first) {
		buf_add_char(&text, '\n');
	}
	top_text_add_header(&text, data, width);
	if (!data->error &&
	    top_text_add_jobs(&text, data, width, term_has_color(STDOUT_FILENO, ctl->color)) < 0) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	return output_text(&text);
}

static int print(const struct ctl *ctl, const struct top_data *data, bool is_first)
{
	int code = ctl->json ? print_json(ctl, data) : print_text(ctl, data, is_first);

	if (!code && fflush(stdout) != 0) {
		term_error("cannot write the result: %m");
		return CTL_EXIT_FAILED;
	}
	return code;
}

static void sleep_ns(int64_t duration_ns)
{
	(void)nanosleep(&(struct timespec){.tv_sec = duration_ns / CLOCK_NS_PER_SEC,
					   .tv_nsec = duration_ns % CLOCK_NS_PER_SEC},
			NULL);
}

static int print_looks(const struct ctl *ctl, struct api *api, const struct top_options *options)
{
	int error = 0;

	for (uint64_t i = 0; options->n_looks == 0 || i < options->n_looks; i++) {
		struct top_data data = TOP_DATA_INIT;
		int code;

		if (i > 0) {
			sleep_ns(options->interval_ns);
		}
		top_data_load(&data, api, ctl->socket_path, &options->choice);
		error = data.error;
		code = print(ctl, &data, i == 0);
		top_data_deinit(&data);
		if (code) {
			return code;
		}
	}
	return error ? (int)client_exit_of_error(error) : CTL_EXIT_COMPLETED;
}

/* A script asks once and wants an error on stderr, not a screen that says "trying again". */
static int print_once(const struct ctl *ctl, struct api *api, const struct top_options *options)
{
	struct top_data data = TOP_DATA_INIT;
	int code;

	top_data_load(&data, api, ctl->socket_path, &options->choice);
	if (data.error) {
		term_error("%s", data.problem);
		code = (int)client_exit_of_error(data.error);
	} else {
		code = print(ctl, &data, true);
	}
	top_data_deinit(&data);
	return code;
}

static int take_number(const struct ctl *ctl, int option, struct top_options *options)
{
	if (option == 'd') {
		if (num_parse_duration_ns(optarg, &options->interval_ns) == 0 &&
		    options->interval_ns >= MIN_INTERVAL_NS &&
		    options->interval_ns <= MAX_INTERVAL_NS) {
			return CTL_OPTION_END;
		}
		ctl_usage_error(ctl, "--interval wants a time from 10ms to 1h");
	} else {
		if (num_parse_u64(optarg, &options->n_looks) == 0 && options->n_looks > 0) {
			return CTL_OPTION_END;
		}
		ctl_usage_error(ctl, "--iterations wants a number from 1 on");
	}
	return CTL_OPTION_BAD;
}

static int take_choice(const struct ctl *ctl, int option, struct top_choice *choice)
{
	switch (option) {
	case 'k':
		if (top_key_parse(optarg, &choice->key) == 0) {
			return CTL_OPTION_END;
		}
		ctl_usage_error(ctl, "--sort wants name, state, rate, rows, rejects, ram, "
				     "progress or age");
		return CTL_OPTION_BAD;
	case 's':
		if (job_state_parse(optarg, &choice->state) == 0) {
			choice->has_state = true;
			return CTL_OPTION_END;
		}
		ctl_usage_error(ctl, "--state wants pending, running, completed, failed or "
				     "aborted");
		return CTL_OPTION_BAD;
	default:
		if (strlen(optarg) < sizeof(choice->name)) {
			memcpy(choice->name, optarg, strlen(optarg) + 1);
			return CTL_OPTION_END;
		}
		ctl_usage_error(ctl, "--name wants a part of a job's name");
		return CTL_OPTION_BAD;
	}
}

static int parse_options(struct ctl *ctl, int argc, char **argv, struct top_options *options,
			 bool *ret_is_once)
{
	static const struct option table[] = {
		{"interval", required_argument, NULL, 'd'},
		{"iterations", required_argument, NULL, 'n'},
		{"once", no_argument, NULL, '1'},
		{"sort", required_argument, NULL, 'k'},
		{"reverse", no_argument, NULL, 'r'},
		{"state", required_argument, NULL, 's'},
		{"name", required_argument, NULL, 'm'},
		{0},
	};
	int option;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		if (option >= CTL_OPTION_HELP) {
			return option;
		}
		if (option == '1') {
			*ret_is_once = true;
			continue;
		}
		if (option == 'r') {
			options->choice.is_reversed = true;
			continue;
		}
		option = option == 'd' || option == 'n'
				 ? take_number(ctl, option, options)
				 : take_choice(ctl, option, &options->choice);
		if (option != CTL_OPTION_END) {
			return option;
		}
	}
	return CTL_OPTION_END;
}

int cmd_top(struct ctl *ctl, int argc, char **argv)
{
	struct top_options options = {.interval_ns = DEFAULT_INTERVAL_NS,
				      .choice.key = TOP_KEY_STATE};
	CLEANUP(api_closep) struct api *api = NULL;
	bool is_once = false;
	int option = parse_options(ctl, argc, argv, &options, &is_once);
	int code;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (optind != argc) {
		return ctl_usage_error(ctl, "no operands, please; one job is for `show`");
	}
	code = client_open(ctl, &api);
	if (code) {
		return code;
	}
	if (is_once) {
		return print_once(ctl, api, &options);
	}
	code = ctl->json ? TOP_LIVE_NO_SCREEN : top_live(ctl, api, &options);
	if (code != TOP_LIVE_NO_SCREEN) {
		return code;
	}
	/* What is no screen is no terminal that we know: it may not know our colours. */
	ctl->color = ctl->color == TERM_COLOR_AUTO ? TERM_COLOR_NEVER : ctl->color;
	return print_looks(ctl, api, &options);
}
