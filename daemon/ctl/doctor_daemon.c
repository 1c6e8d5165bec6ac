/* SPDX-License-Identifier: MIT */
/*
 * The daemon as it answers now. That none runs is a warning: an installation may be looked at
 * before its first start, and `zooparallel run` needs none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "build_config.h"
#include "common/util/clock.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/api.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/peer.h"

#define ANSWER_TIMEOUT_NS (5 * CLOCK_NS_PER_SEC)

/* Sockets of 1,200 connections, and some descriptors for each job and worker. */
enum { FILES_MIN = 4096, HTTP_OK = 200 };

static void add_no_daemon(struct doctor *doctor, int r)
{
	if (r == -EACCES) {
		doctor_add(doctor,
			   &(struct doctor_finding){"daemon", DOCTOR_WARNING, doctor->socket_path,
						    "run this as root or as the daemon's user"},
			   "this user may not connect to it");
		return;
	}
	doctor_add(
		doctor,
		&(struct doctor_finding){"daemon", DOCTOR_WARNING, doctor->socket_path,
					 "start it: systemctl start zooparallel, or zooparalleld"},
		"no daemon answers there");
}

static void examine_readiness(struct doctor *doctor, struct api *api)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	const json_t *reasons, *reason;
	size_t i;

	if (api_get(api, "/readyz", ANSWER_TIMEOUT_NS, &reply) < 0 || reply.status == HTTP_OK) {
		return;
	}
	reasons = json_object_get(reply.body, "reasons");
	json_array_foreach(reasons, i, reason)
	{
		const char *text = json_string_value(reason);

		doctor_add(doctor,
			   &(struct doctor_finding){"daemon_ready", DOCTOR_PROBLEM,
						    doctor->socket_path,
						    "see its log: zooparallel logs"},
			   "it is not ready: %s", text ? text : "no reason given");
	}
	if (json_array_size(reasons) == 0) {
		doctor_add(doctor,
			   &(struct doctor_finding){"daemon_ready", DOCTOR_PROBLEM,
						    doctor->socket_path,
						    "see its log: zooparallel logs"},
			   "it is not ready");
	}
}

static void examine_status(struct doctor *doctor, const json_t *status)
{
	const char *version = job_info_text(status, "version");

	if (!str_equal(version, ZOOPARALLEL_VERSION)) {
		doctor_add(doctor,
			   &(struct doctor_finding){"daemon_version", DOCTOR_WARNING,
						    doctor->socket_path, "restart the daemon"},
			   "it is version %s, this program %s", version, ZOOPARALLEL_VERSION);
	}
	if (json_is_false(json_object_get(status, "config_last_reload_successful"))) {
		doctor_add(
			doctor,
			&(struct doctor_finding){
				"daemon_config", DOCTOR_WARNING, doctor->socket_path,
				"correct the configuration, then reload or restart the daemon"},
			"it could not read its configuration again and goes on with the old one");
	}
	if (job_info_number(status, "workers_with_invalid_stats", 0) > 0) {
		doctor_add(doctor,
			   &(struct doctor_finding){"stats_files", DOCTOR_WARNING,
						    doctor->socket_path,
						    "see who else writes into run_dir"},
			   "stats files of running workers are broken");
	}
}

/* The first number of the line "Max open files     1024     524288     files" (proc(5)). */
static bool read_file_limit(pid_t pid, uint64_t *ret)
{
	static const char label[] = "Max open files";
	char path[64], line[256];
	bool is_found = false;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	file = fopen(path, "re");
	while (file && !is_found && fgets(line, sizeof(line), file)) {
		if (str_starts_with(line, label)) {
			char *number = line + strlen(label);

			number += strspn(number, " ");
			number[strcspn(number, " ")] = '\0';
			is_found = num_parse_u64(number, ret) == 0;
		}
	}
	if (file) {
		(void)fclose(file);
	}
	return is_found;
}

static void examine_file_limit(struct doctor *doctor)
{
	struct rlimit own;
	uint64_t limit = 0;
	bool is_daemons = doctor->daemon_pid && read_file_limit(doctor->daemon_pid, &limit);

	if (!is_daemons && getrlimit(RLIMIT_NOFILE, &own) == 0) {
		limit = own.rlim_max; /* to which a daemon raises its own */
	}
	if (limit < FILES_MIN) {
		doctor_add(doctor,
			   &(struct doctor_finding){"open_files", DOCTOR_WARNING, NULL,
						    "raise LimitNOFILE= of the unit, or ulimit -n"},
			   "%s may open %" PRIu64 " files; many connections and workers want %d",
			   is_daemons ? "the daemon" : "a daemon started from here", limit,
			   FILES_MIN);
	} else {
		doctor_add(doctor, &(struct doctor_finding){"open_files", DOCTOR_OK, NULL, NULL},
			   "%s may open %" PRIu64, is_daemons ? "the daemon" : "a daemon", limit);
	}
}

static void ask_daemon(struct doctor *doctor)
{
	CLEANUP(api_closep) struct api *api = NULL;
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	char text[CLIENT_ERROR_SIZE];
	int r = api_open(doctor->socket_path, &api);

	r = r < 0 ? r : api_get(api, "/api/v1/status", ANSWER_TIMEOUT_NS, &reply);
	if (r == 0 && reply.status != HTTP_OK) {
		r = -EPROTO;
	}
	if (r < 0) {
		client_error_text(doctor->socket_path, r, text, sizeof(text));
		doctor_add(doctor,
			   &(struct doctor_finding){"daemon", DOCTOR_PROBLEM, doctor->socket_path,
						    "see its log: zooparallel logs"},
			   "process %d listens, but: %s", (int)doctor->daemon_pid, text);
		return;
	}
	doctor_add(doctor, &(struct doctor_finding){"daemon", DOCTOR_OK, doctor->socket_path, NULL},
		   "zooparalleld %s answers, process %d", job_info_text(reply.body, "version"),
		   (int)doctor->daemon_pid);
	examine_status(doctor, reply.body);
	examine_readiness(doctor, api);
}

void doctor_examine_daemon(struct doctor *doctor)
{
	struct ucred peer;
	int r = peer_of_socket(doctor->socket_path, &peer);

	if (r < 0 && r != -EAGAIN) {
		add_no_daemon(doctor, r);
	} else {
		if (r == 0) {
			doctor->daemon_pid = peer.pid;
			doctor->daemon_uid = peer.uid;
		}
		ask_daemon(doctor);
	}
	examine_file_limit(doctor);
}
