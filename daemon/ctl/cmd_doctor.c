/* SPDX-License-Identifier: MIT */
/* `zooparallel doctor`: all examinations in their order, then what they have found. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/term.h"

enum { SETTINGS_MAX = 64 };

struct doctor_options {
	const char *config_path;
	char *settings[SETTINGS_MAX];
	size_t n_settings;
	bool is_quiet;
};

static int parse_options(struct ctl *ctl, int argc, char **argv, struct doctor_options *options)
{
	static const struct option table[] = {
		{"config", required_argument, NULL, 'c'},
		{"set", required_argument, NULL, 'k'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	int option;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		switch (option) {
		case 'c':
			options->config_path = optarg;
			break;
		case 'k':
			if (options->n_settings == SETTINGS_MAX || !strchr(optarg, '=')) {
				ctl_usage_error(ctl, "--set wants KEY=VALUE");
				return CTL_OPTION_BAD;
			}
			options->settings[options->n_settings++] = optarg;
			break;
		case 'q':
			options->is_quiet = true;
			break;
		default:
			return option;
		}
	}
	return CTL_OPTION_END;
}

static void examine(struct doctor *doctor)
{
	doctor_examine_config(doctor);
	doctor_examine_daemon(doctor);
	if (doctor->config) {
		doctor_examine_unit(doctor);
		doctor_examine_user(doctor);
		doctor_examine_directories(doctor);
		doctor_examine_spool(doctor);
	}
	doctor_examine_kernel(doctor);
}

static int print(const struct doctor *doctor, const struct doctor_options *options)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	bool has_color = term_has_color(STDOUT_FILENO, doctor->ctl->color);

	if (doctor->ctl->json) {
		return output_json(doctor->findings);
	}
	if (doctor_render(doctor, options->is_quiet ? DOCTOR_WARNING : DOCTOR_OK, has_color,
			  &text) < 0) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	return output_text(&text);
}

int cmd_doctor(struct ctl *ctl, int argc, char **argv)
{
	CLEANUP(client_json_decrefp) json_t *findings = json_array();
	CLEANUP(client_json_decrefp) json_t *config = NULL;
	struct doctor_options options = {0};
	struct doctor doctor = {.ctl = ctl, .findings = findings};
	int option = parse_options(ctl, argc, argv, &options);
	int code;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (optind != argc) {
		return ctl_usage_error(ctl, "no operands, please");
	}
	doctor.config_path = options.config_path;
	doctor.settings = options.settings;
	doctor.n_settings = options.n_settings;
	examine(&doctor);
	config = doctor.config;
	code = print(&doctor, &options);
	return code || !doctor.has_problem ? code : CTL_EXIT_FAILED;
}
