/* SPDX-License-Identifier: MIT */
/*
 * What the daemon opens at its start, and what would stop a job later: rights, kinds of file
 * systems, space. The configuration's own rules (nothing may overlap) are the parser's and have
 * been looked at with it.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/util/num.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/rights.h"

#define GIB UINT64_C(1073741824)
#define MIB UINT64_C(1048576)

/* Less is a warning, or a problem: nothing can be committed on a full disk. */
enum { FREE_WARNING_PERCENT = 5, FREE_PROBLEM_PERCENT = 1, PATH_SIZE = 4096 };
#define FREE_WARNING_BYTES GIB
#define FREE_PROBLEM_BYTES (64 * MIB)

static void add_absence(struct doctor *doctor, const char *check, const char *path,
			bool is_made_at_start, int error)
{
	bool is_hidden = error == EACCES && geteuid() != 0; /* by a folder above */
	bool is_missing = error == ENOENT && is_made_at_start;
	const char *advice = is_hidden		? "run this as root"
			     : is_made_at_start ? "create it, or let the daemon do so at its start"
						: "create it, or correct data_roots";

	doctor_add(doctor,
		   &(struct doctor_finding){
			   check, is_hidden || is_missing ? DOCTOR_WARNING : DOCTOR_PROBLEM, path,
			   advice},
		   "%s", strerror(error));
}

/* Whether it is there as a directory; if not, that has been told. */
static bool examine_presence(struct doctor *doctor, const char *check, const char *path,
			     bool is_made_at_start, struct stat *ret_stat)
{
	if (stat(path, ret_stat) < 0) {
		add_absence(doctor, check, path, is_made_at_start, errno);
		return false;
	}
	if (!S_ISDIR(ret_stat->st_mode)) {
		doctor_add(doctor,
			   &(struct doctor_finding){check, DOCTOR_PROBLEM, path,
						    "name a directory in the configuration"},
			   "it is no directory");
		return false;
	}
	return true;
}

static void examine_rights(struct doctor *doctor, const char *check, const char *path)
{
	char advice[512];
	int r;

	if (!doctor->may_become_user) {
		doctor_add(
			doctor,
			&(struct doctor_finding){check, DOCTOR_WARNING, path, "run this as root"},
			"it is there; what %s may do in it can't be tried from here",
			doctor->user_name);
		return;
	}
	r = rights_try(doctor->uid, path);
	if (r < 0) {
		(void)snprintf(advice, sizeof(advice),
			       "let %s read, enter and write it: chown, chmod or setfacl",
			       doctor->user_name);
		doctor_add(doctor, &(struct doctor_finding){check, DOCTOR_PROBLEM, path, advice},
			   "%s may not write there: %s", doctor->user_name, strerror(-r));
		return;
	}
	doctor_add(doctor, &(struct doctor_finding){check, DOCTOR_OK, path, NULL},
		   "%s may write there", doctor->user_name);
}

static bool is_little(uint64_t n_left, uint64_t n_all, int percent)
{
	return n_left < n_all / 100 * (uint64_t)percent;
}

/* Several directories on one file system have one room. */
static bool was_seen(struct doctor *doctor, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		return true;
	}
	for (size_t i = 0; i < doctor->n_seen; i++) {
		if (doctor->seen[i] == st.st_dev) {
			return true;
		}
	}
	if (doctor->n_seen < ARRAY_SIZE(doctor->seen)) {
		doctor->seen[doctor->n_seen++] = st.st_dev;
	}
	return false;
}

static void examine_space(struct doctor *doctor, const char *path)
{
	struct statvfs fs;
	char text[NUM_TEXT_SIZE];
	uint64_t n_left, n_all;
	enum doctor_level level = DOCTOR_OK;

	if (was_seen(doctor, path) || statvfs(path, &fs) < 0) {
		return;
	}
	n_left = (uint64_t)fs.f_bavail * fs.f_frsize;
	n_all = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (n_left < MIN(FREE_PROBLEM_BYTES, n_all / 10)) {
		level = DOCTOR_PROBLEM;
	} else if (n_left < FREE_WARNING_BYTES && is_little(n_left, n_all, FREE_WARNING_PERCENT)) {
		level = DOCTOR_WARNING;
	}
	doctor_add(doctor,
		   &(struct doctor_finding){"free_space", level, path,
					    level ? "remove what is not needed there" : NULL},
		   "%s free", num_format_size(text, n_left));
	/* Some file systems make their inodes as they are needed, and count none. */
	if (fs.f_files == 0) {
		return;
	}
	level = is_little(fs.f_favail, fs.f_files, FREE_PROBLEM_PERCENT)   ? DOCTOR_PROBLEM
		: is_little(fs.f_favail, fs.f_files, FREE_WARNING_PERCENT) ? DOCTOR_WARNING
									   : DOCTOR_OK;
	doctor_add(doctor,
		   &(struct doctor_finding){"free_inodes", level, path,
					    level ? "remove small files there" : NULL},
		   "%s inodes free", num_format_count(text, (uint64_t)fs.f_favail));
}

static void examine_roots(struct doctor *doctor)
{
	const json_t *root;
	size_t i;

	json_array_foreach(json_object_get(doctor->config, "data_roots"), i, root)
	{
		const char *path = json_string_value(root);
		struct stat st;

		if (path && examine_presence(doctor, "data_root", path, false, &st)) {
			examine_rights(doctor, "data_root", path);
			examine_space(doctor, path);
		}
	}
}

/* Who may write into the spool may read and replace everything in the data roots. */
static void examine_openness(struct doctor *doctor, const char *path, const struct stat *st)
{
	if (st->st_mode & S_IWOTH) {
		doctor_add(doctor,
			   &(struct doctor_finding){"privacy", DOCTOR_PROBLEM, path,
						    "chmod o-w, and use a group"},
			   "everybody may write there, so everybody may have any job run");
	}
}

static void examine_kind(struct doctor *doctor, const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC) {
		doctor_add(doctor,
			   &(struct doctor_finding){"run_dir_kind", DOCTOR_WARNING, path,
						    "name a folder below /run, on a tmpfs"},
			   "it is on a disk: stats files and chunk tables are written back to it");
	}
}

/* A transition of a job is a rename. */
static void examine_areas(struct doctor *doctor, const struct stat *spool)
{
	static const char *const areas[] = {"incoming", "active", "done", "failed", "invalid"};
	char path[PATH_SIZE];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		if (!doctor_config_path(doctor, "spool_dir", areas[i], path, sizeof(path)) ||
		    stat(path, &st) < 0) {
			continue; /* the daemon makes it */
		}
		if (st.st_dev != spool->st_dev) {
			doctor_add(doctor,
				   &(struct doctor_finding){
					   "spool_area", DOCTOR_PROBLEM, path,
					   "unmount it: the spool is one file system"},
				   "it is another file system than the spool");
			continue;
		}
		examine_openness(doctor, path, &st);
		if (doctor->may_become_user) {
			examine_rights(doctor, "spool_area", path);
		}
	}
}

static void examine_own(struct doctor *doctor, const char *key)
{
	const char *path = doctor_config_text(doctor, key);
	struct stat st;

	if (!path || !examine_presence(doctor, key, path, true, &st)) {
		return;
	}
	examine_rights(doctor, key, path);
	examine_openness(doctor, path, &st);
	if (strcmp(key, "run_dir") == 0) {
		examine_kind(doctor, path);
	}
	if (strcmp(key, "spool_dir") == 0) {
		examine_areas(doctor, &st);
	}
	examine_space(doctor, path);
}

static void examine_hook_dirs(struct doctor *doctor)
{
	const json_t *element;
	size_t i;

	json_array_foreach(json_object_get(doctor->config, "hook_dirs"), i, element)
	{
		const char *path = json_string_value(element);
		struct stat st;

		if (!path || !examine_presence(doctor, "hook_dir", path, false, &st)) {
			continue;
		}
		/* Root can write everywhere; that says nothing. */
		if (doctor->may_become_user && doctor->uid != 0 &&
		    rights_try(doctor->uid, path) == 0) {
			doctor_add(doctor,
				   &(struct doctor_finding){"hook_dir", DOCTOR_PROBLEM, path,
							    "give it to root: chown, chmod"},
				   "the daemon's user may write there: a job could change a hook");
			continue;
		}
		doctor_add(doctor, &(struct doctor_finding){"hook_dir", DOCTOR_OK, path, NULL},
			   "it is there");
	}
}

void doctor_examine_directories(struct doctor *doctor)
{
	examine_roots(doctor);
	examine_own(doctor, "spool_dir");
	examine_own(doctor, "state_dir");
	examine_own(doctor, "run_dir");
	examine_hook_dirs(doctor);
}
