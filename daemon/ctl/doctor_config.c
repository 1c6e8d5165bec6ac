/* SPDX-License-Identifier: MIT */
/*
 * The configuration as zooparalleld itself reads it, defaults and all: this program links neither
 * its parser nor its rules.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "common/util/clock.h"
#include "common/util/str.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/program.h"

#define DAEMON_TIMEOUT_NS (10 * CLOCK_NS_PER_SEC)
#define CONTROL_SOCKET	  "control.sock"

enum { ARGUMENTS_MAX = 136, DAEMON_EXIT_USAGE = 2, PATH_SIZE = 4096 };

/* zooparalleld takes 64 settings. */
static void fill_arguments(const struct doctor *doctor, char *program, char **argv)
{
	size_t n = 0;

	argv[n++] = program;
	argv[n++] = (char *)(uintptr_t) "--check-config";
	if (doctor->config_path) {
		argv[n++] = (char *)(uintptr_t) "--config";
		argv[n++] = (char *)(uintptr_t)doctor->config_path;
	}
	for (size_t i = 0; i < doctor->n_settings; i++) {
		argv[n++] = (char *)(uintptr_t) "--set";
		argv[n++] = doctor->settings[i];
	}
	argv[n] = NULL;
}

/* What it has said last, without "error: ". */
static const char *last_words(struct program_result *result)
{
	const char *text = buf_terminated(&result->err);
	size_t len = result->err.len;
	char *line;

	if (!text || len == 0) {
		return "it says nothing";
	}
	while (len > 0 && result->err.data[len - 1] == '\n') {
		result->err.data[--len] = '\0';
	}
	line = strrchr(result->err.data, '\n');
	line = line ? line + 1 : result->err.data;
	return str_starts_with(line, "error: ") ? line + strlen("error: ") : line;
}

static void tell_of_failure(struct doctor *doctor, int r, struct program_result *result)
{
	bool is_wrong = r == 0 && WIFEXITED(result->status) &&
			WEXITSTATUS(result->status) == DAEMON_EXIT_USAGE;

	if (is_wrong) {
		doctor_add(doctor,
			   &(struct doctor_finding){
				   "configuration", DOCTOR_PROBLEM, doctor->config_path,
				   "correct it; zooparalleld.conf describes every key"},
			   "%s", last_words(result));
	} else {
		doctor_add(doctor,
			   &(struct doctor_finding){"configuration", DOCTOR_PROBLEM,
						    doctor->config_path,
						    "run `zooparalleld --check-config` by hand"},
			   "cannot be checked: %s", r < 0 ? strerror(-r) : last_words(result));
	}
}

/* The worker is looked for where the daemon looks for it. */
static void examine_worker(struct doctor *doctor, const char *daemon_path)
{
	static const char installed[] = ZOOPARALLEL_LIBEXECDIR "/zooparallel-worker";
	const char *slash = strrchr(daemon_path, '/');
	char beside[PATH_SIZE];

	(void)snprintf(beside, sizeof(beside), "%.*s/zooparallel-worker",
		       (int)(slash ? slash - daemon_path : 0), daemon_path);
	if (access(beside, X_OK) == 0 || access(installed, X_OK) == 0) {
		doctor_add(doctor,
			   &(struct doctor_finding){"programs", DOCTOR_OK, daemon_path, NULL},
			   "the daemon and its worker are there");
		return;
	}
	doctor_add(doctor,
		   &(struct doctor_finding){"programs", DOCTOR_PROBLEM, daemon_path,
					    "install zooparallel-worker, or build it"},
		   "its worker is neither beside it nor in " ZOOPARALLEL_LIBEXECDIR);
}

static void take_config(struct doctor *doctor, struct program_result *result)
{
	const char *file;

	doctor->config = json_loadb(result->out.data ? result->out.data : "", result->out.len, 0,
				    NULL);
	if (!doctor->config) {
		doctor_add(doctor,
			   &(struct doctor_finding){"configuration", DOCTOR_PROBLEM, NULL,
						    "install programs of one version"},
			   "zooparalleld tells it in a form that is not known here");
		return;
	}
	file = doctor_config_text(doctor, "config_file");
	doctor_add(doctor, &(struct doctor_finding){"configuration", DOCTOR_OK, file, NULL},
		   file ? "is right" : "there is no file: the defaults are");
}

void doctor_examine_config(struct doctor *doctor)
{
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;
	CLEANUP(free_p) char *program = NULL;
	char *argv[ARGUMENTS_MAX];
	int r = program_find_daemon(&program);

	if (r < 0) {
		doctor_add(doctor,
			   &(struct doctor_finding){"programs", DOCTOR_PROBLEM, NULL,
						    "install it beside this program"},
			   "zooparalleld is not there: %s", strerror(-r));
		return;
	}
	examine_worker(doctor, program);
	fill_arguments(doctor, program, argv);
	r = program_run(argv, DAEMON_TIMEOUT_NS, &result);
	if (r < 0 || !WIFEXITED(result.status) || WEXITSTATUS(result.status) != 0) {
		tell_of_failure(doctor, r, &result);
	} else {
		take_config(doctor, &result);
	}
	if (doctor->ctl->is_socket_given ||
	    !doctor_config_path(doctor, "run_dir", CONTROL_SOCKET, doctor->socket_path,
				sizeof(doctor->socket_path))) {
		(void)snprintf(doctor->socket_path, sizeof(doctor->socket_path), "%s",
			       doctor->ctl->socket_path);
	}
}
