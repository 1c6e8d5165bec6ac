/* SPDX-License-Identifier: MIT */
/*
 * As whom the daemon works decides every question of rights: the one that runs is asked first, then
 * the unit, then the name that the installation makes.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"

#define SERVICE_USER "zooparallel"

static void take_user(struct doctor *doctor, const struct passwd *user, uid_t uid)
{
	doctor->uid = uid;
	if (user) {
		(void)snprintf(doctor->user_name, sizeof(doctor->user_name), "%s", user->pw_name);
	} else {
		(void)snprintf(doctor->user_name, sizeof(doctor->user_name), "user %u",
			       (unsigned)uid);
	}
	doctor->may_become_user = geteuid() == 0 || geteuid() == uid;
}

/* Without a daemon that runs. */
static const struct passwd *expected_user(const struct doctor *doctor)
{
	const struct passwd *user = NULL;

	if (doctor->unit_user[0]) {
		user = getpwnam(doctor->unit_user);
	} else if (geteuid() == 0 && !doctor->config_path && doctor->n_settings == 0) {
		user = getpwnam(SERVICE_USER);
	}
	return user;
}

static void add_user(struct doctor *doctor)
{
	if (!doctor->may_become_user) {
		doctor_add(doctor,
			   &(struct doctor_finding){"user", DOCTOR_WARNING, doctor->user_name,
						    "run this as root"},
			   "the daemon's user; what it may do can't be tried from here");
	} else if (doctor->uid == 0) {
		doctor_add(
			doctor,
			&(struct doctor_finding){"user", DOCTOR_WARNING, doctor->user_name,
						 "run it as a user of its own, as the unit does"},
			"the daemon's user: a fault in it would reach everything");
	} else {
		doctor_add(doctor,
			   &(struct doctor_finding){"user", DOCTOR_OK, doctor->user_name, NULL},
			   "the daemon's user");
	}
}

void doctor_examine_user(struct doctor *doctor)
{
	const struct passwd *user;

	if (doctor->daemon_pid) {
		take_user(doctor, getpwuid(doctor->daemon_uid), doctor->daemon_uid);
		add_user(doctor);
		return;
	}
	user = expected_user(doctor);
	if (!user && doctor->unit_user[0]) {
		doctor_add(doctor,
			   &(struct doctor_finding){"user", DOCTOR_PROBLEM, doctor->unit_user,
						    "run systemd-sysusers"},
			   "the unit's user does not exist");
	}
	take_user(doctor, user ? user : getpwuid(geteuid()), user ? user->pw_uid : geteuid());
	add_user(doctor);
}
