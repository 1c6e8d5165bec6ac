/* SPDX-License-Identifier: MIT */
/*
 * The service as systemd has it loaded, drop-ins included: what a unit's file says need not be what
 * counts. Without systemd there is nothing to look at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/model/data_path.h"
#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/str.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/program.h"

#define UNIT		     "zooparallel.service"
#define SYSTEMCTL_TIMEOUT_NS (5 * CLOCK_NS_PER_SEC)

/* The value of a line "Key=value" as a text of the caller's; NULL: there is no such line. */
static char *property(const char *text, const char *key)
{
	size_t n_key = strlen(key);

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > n_key && strncmp(text, key, n_key) == 0 && text[n_key] == '=') {
			return strndup(text + n_key + 1, len - n_key - 1);
		}
		text += len + (text[len] == '\n');
	}
	return NULL;
}

static bool has_value(const char *text, const char *key, const char *wanted)
{
	CLEANUP(free_p) char *value = property(text, key);

	return str_equal(value, wanted);
}

/* Whether a blank-separated list (with systemd's prefixes) has a folder that path is in. */
static bool is_in_list(const char *list, const char *path)
{
	CLEANUP(free_p) char *copy = strdup(list);
	char *rest = copy;
	const char *item;

	while (rest && (item = strsep(&rest, " ")) != NULL) {
		size_t len;

		item += strspn(item, "-+");
		len = strlen(item);
		if (len > 0 && strncmp(path, item, len) == 0 &&
		    (path[len] == '/' || path[len] == '\0' || item[len - 1] == '/')) {
			return true;
		}
	}
	return false;
}

/* The property of the unit that is about the folder in which the path is; NULL: there is none. */
static const char *guard_of(const char *path)
{
	static const struct {
		const char *folder, *property;
	} places[] = {
		{"/home/", "ProtectHome"},     {"/root/", "ProtectHome"},
		{"/run/user/", "ProtectHome"}, {"/tmp/", "PrivateTmp"},
		{"/var/tmp/", "PrivateTmp"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (str_starts_with(path, places[i].folder)) {
			return places[i].property;
		}
	}
	return NULL;
}

/* Whether the service cannot even see the path, whatever ReadWritePaths= says. */
static bool is_hidden(const char *unit, const char *guard)
{
	return guard != NULL && (has_value(unit, guard, "yes") || has_value(unit, guard, "tmpfs"));
}

static bool needs_list(const char *unit, const char *guard)
{
	return has_value(unit, "ProtectSystem", "strict") ||
	       (str_equal(guard, "ProtectHome") && !has_value(unit, guard, "no"));
}

/* The folders that systemd makes for the service, which are its own. */
static void add_made(struct buf *list, const char *unit, const char *key, const char *parent)
{
	CLEANUP(free_p) char *names = property(unit, key);
	char *rest = names;
	const char *name;

	while (rest && (name = strsep(&rest, " ")) != NULL) {
		size_t len = strcspn(name, ":"); /* behind it are links to it */

		if (len > 0) {
			buf_printf(list, " %s/%.*s", parent, (int)len, name);
		}
	}
}

/* All that the service may write to, blank-separated. */
static void add_writable(struct buf *list, const char *unit)
{
	CLEANUP(free_p) char *named = property(unit, "ReadWritePaths");

	buf_add_str(list, named ? named : "");
	add_made(list, unit, "StateDirectory", "/var/lib");
	add_made(list, unit, "RuntimeDirectory", "/run");
}

static void examine_path(struct doctor *doctor, const char *unit, const char *writable,
			 const char *path)
{
	const char *guard = guard_of(path);
	char advice[512];

	if (is_hidden(unit, guard)) {
		(void)snprintf(advice, sizeof(advice),
			       "take another folder; or systemctl edit zooparallel, and there "
			       "under [Service]: %s=no",
			       guard);
		doctor_add(doctor,
			   &(struct doctor_finding){"unit_paths", DOCTOR_PROBLEM, path, advice},
			   "the service does not see it: %s= of " UNIT " hides it", guard);
		return;
	}
	if (!needs_list(unit, guard) || is_in_list(writable, path)) {
		doctor_add(doctor, &(struct doctor_finding){"unit_paths", DOCTOR_OK, path, NULL},
			   "the service may write there");
		return;
	}
	(void)snprintf(advice, sizeof(advice),
		       "systemctl edit zooparallel, and there under [Service]: ReadWritePaths=%s",
		       path);
	doctor_add(doctor, &(struct doctor_finding){"unit_paths", DOCTOR_PROBLEM, path, advice},
		   "the service may not write there: no ReadWritePaths= of " UNIT " has it");
}

static void examine_paths(struct doctor *doctor, const char *unit)
{
	static const char *const own[] = {"spool_dir", "state_dir", "run_dir"};
	CLEANUP(buf_deinit) struct buf list = BUF_INIT;
	const char *writable;
	const json_t *root;
	size_t i;

	add_writable(&list, unit);
	writable = buf_terminated(&list);
	if (!writable) {
		return;
	}
	json_array_foreach(json_object_get(doctor->config, "data_roots"), i, root)
	{
		const char *path = json_string_value(root);

		examine_path(doctor, unit, writable, path ? path : "/");
	}
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		const char *path = doctor_config_text(doctor, own[i]);

		if (path) {
			examine_path(doctor, unit, writable, path);
		}
	}
}

static void examine_state(struct doctor *doctor, const char *unit)
{
	CLEANUP(free_p) char *active = property(unit, "ActiveState");
	bool is_enabled = has_value(unit, "UnitFileState", "enabled");
	bool is_active = str_equal(active, "active") || str_equal(active, "reloading");

	if (is_active && !is_enabled) {
		doctor_add(doctor,
			   &(struct doctor_finding){"unit", DOCTOR_WARNING, UNIT,
						    "systemctl enable zooparallel"},
			   "it runs, but will not be started with the machine");
	} else if (is_active) {
		doctor_add(doctor, &(struct doctor_finding){"unit", DOCTOR_OK, UNIT, NULL},
			   "it runs and is started with the machine");
	} else if (is_enabled || str_equal(active, "failed")) {
		doctor_add(doctor,
			   &(struct doctor_finding){
				   "unit", DOCTOR_PROBLEM, UNIT,
				   "zooparallel logs says why; systemctl restart zooparallel"},
			   "it is %s", active && active[0] ? active : "not active");
	} else {
		doctor_add(doctor,
			   &(struct doctor_finding){"unit", DOCTOR_WARNING, UNIT,
						    "systemctl enable --now zooparallel"},
			   "it is neither started nor enabled");
	}
}

void doctor_examine_unit(struct doctor *doctor)
{
	static const char *const argv[] = {
		"systemctl",
		"show",
		UNIT,
		"--property=LoadState",
		"--property=User",
		"--property=ActiveState",
		"--property=UnitFileState",
		"--property=ReadWritePaths",
		"--property=StateDirectory",
		"--property=RuntimeDirectory",
		"--property=ProtectSystem",
		"--property=ProtectHome",
		"--property=PrivateTmp",
		NULL,
	};
	CLEANUP(program_result_deinit) struct program_result result = PROGRAM_RESULT_INIT;
	CLEANUP(free_p) char *user = NULL;
	const char *unit;

	if (program_run((char *const *)(uintptr_t)argv, SYSTEMCTL_TIMEOUT_NS, &result) < 0 ||
	    !WIFEXITED(result.status) || WEXITSTATUS(result.status) != 0 ||
	    !(unit = buf_terminated(&result.out))) {
		doctor_add(doctor, &(struct doctor_finding){"unit", DOCTOR_OK, NULL, NULL},
			   "no systemd runs here: nothing to look at");
		return;
	}
	if (!has_value(unit, "LoadState", "loaded")) {
		doctor_add(doctor, &(struct doctor_finding){"unit", DOCTOR_OK, UNIT, NULL},
			   "it is not installed: nothing to look at");
		return;
	}
	doctor->is_unit_known = true;
	user = property(unit, "User");
	(void)snprintf(doctor->unit_user, sizeof(doctor->unit_user), "%s", user ? user : "");
	examine_state(doctor, unit);
	examine_paths(doctor, unit);
}
