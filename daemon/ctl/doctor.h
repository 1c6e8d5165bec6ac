/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/util/macro.h"
#include "daemon/ctl/ctl.h"

/*
 * `zooparallel doctor`: a list of findings, and the examinations that add to it. Each looks at one
 * part of an installation, changes nothing, and needs only what the ones before have found out.
 */

struct buf;

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_WARNING, /* works, but not as well as it could, or not for long */
	DOCTOR_PROBLEM, /* does not work */
	DOCTOR_N_LEVELS,
};

struct doctor {
	const struct ctl *ctl;
	const char *config_path; /* --config; NULL: the daemon's default */
	char *const *settings;	 /* --set */
	size_t n_settings;
	json_t *findings;
	bool has_problem;
	/* By the examinations, for those that follow. */
	json_t *config; /* of `zooparalleld --check-config`; NULL: it is wrong */
	bool is_unit_known;
	char unit_user[64];    /* "": unknown */
	char socket_path[256]; /* "": unknown */
	pid_t daemon_pid;      /* 0: none answers */
	uid_t daemon_uid;      /* of the daemon_pid */
	uid_t uid;	       /* that the daemon runs as, or would */
	char user_name[64];    /* of it */
	bool may_become_user;  /* we are that user, or root */
	dev_t seen[32];	       /* file systems whose room has been told */
	size_t n_seen;
};

/*
 * Adds a finding. `check` is one of the names in zooparallel(1), subject what was looked at (a
 * path, a unit; NULL: nothing in particular), advice what to do about it (NULL: nothing).
 */
struct doctor_finding {
	const char *check;
	enum doctor_level level;
	const char *subject;
	const char *advice;
};
void doctor_add(struct doctor *doctor, const struct doctor_finding *finding, const char *format,
		...) PRINTF_FORMAT(3, 4);

/* The findings as lines for people; only those from a level on. 0 or -ENOMEM. */
int doctor_render(const struct doctor *doctor, enum doctor_level least, bool has_color,
		  struct buf *out) MUST_CHECK;

/* A text of the configuration; NULL if it has none. */
const char *doctor_config_text(const struct doctor *doctor, const char *key);

/* "DIR/name" of one of its directories; false if there is no such directory or it is too long. */
bool doctor_config_path(const struct doctor *doctor, const char *key, const char *name,
			char *ret_path, size_t size);

/* In this order. */
void doctor_examine_config(struct doctor *doctor);
void doctor_examine_daemon(struct doctor *doctor);
void doctor_examine_unit(struct doctor *doctor);
void doctor_examine_user(struct doctor *doctor);
void doctor_examine_directories(struct doctor *doctor);
void doctor_examine_spool(struct doctor *doctor);
void doctor_examine_kernel(struct doctor *doctor);
