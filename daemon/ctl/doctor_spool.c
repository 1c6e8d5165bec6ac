/* SPDX-License-Identifier: MIT */
/*
 * What lies about: specs that nobody takes, specs that were refused, temporary outputs of jobs that
 * are over. The search below the data roots is bounded: they may hold millions of files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/model/job_id.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/ctl/doctor.h"

enum {
	STUCK_SECONDS = 90, /* the daemon looks every 30 s, whatever it may have missed */
	ENTRIES_MAX = 200000,
	DEPTH_MAX = 32,
	TOLD_MAX = 5, /* of a kind, one by one */
	PATH_SIZE = 4096,
	ID_LENGTH = 19,
};

static void dir_closep(DIR **dir)
{
	if (*dir) {
		(void)closedir(*dir);
	}
}

static bool is_dot(const char *name)
{
	return str_equal(name, ".") || str_equal(name, "..");
}

static bool is_allowed(const struct doctor *doctor, uid_t uid)
{
	const json_t *element;
	size_t i;

	json_array_foreach(json_object_get(doctor->config, "allowed_users"), i, element)
	{
		if ((json_int_t)uid == json_integer_value(element)) {
			return true;
		}
	}
	return uid == doctor->uid;
}

/* What keeps the daemon from taking it; NULL: nothing that can be seen. */
static const char *why_stuck(const struct doctor *doctor, const char *name, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1) {
		return "it must be a regular file with one link";
	}
	if (!str_ends_with(name, ".json")) {
		return "its name does not end in .json, so it is left alone";
	}
	if (!is_allowed(doctor, st->st_uid)) {
		return "its owner is not among allowed_users";
	}
	return doctor->daemon_pid ? NULL : "no daemon runs that could take it";
}

static void examine_spec(struct doctor *doctor, const char *path, const char *name,
			 const struct stat *st)
{
	const char *why = why_stuck(doctor, name, st);

	doctor_add(doctor,
		   &(struct doctor_finding){
			   "stuck_spec",
			   why || !doctor->daemon_pid ? DOCTOR_WARNING : DOCTOR_PROBLEM, path,
			   "zooparallel validate tells of errors; zooparallel logs of the rest"},
		   "it waits for longer than %d s: %s", STUCK_SECONDS,
		   why ? why : "see the daemon's log");
}

/* Dot files and *.tmp are still being written by their owners. */
static bool is_draft(const char *name)
{
	return name[0] == '.' || str_ends_with(name, ".tmp");
}

static void examine_incoming(struct doctor *doctor)
{
	char path[PATH_SIZE], entry_path[PATH_SIZE + 256];
	CLEANUP(dir_closep) DIR *dir = NULL;
	const struct dirent *entry;
	size_t n_stuck = 0;
	struct stat st;

	if (!doctor_config_path(doctor, "spool_dir", "incoming", path, sizeof(path)) ||
	    !(dir = opendir(path))) {
		return; /* told with the directories */
	}
	while ((entry = readdir(dir)) != NULL) {
		if (is_draft(entry->d_name) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    time(NULL) - st.st_ctime < STUCK_SECONDS || n_stuck++ >= TOLD_MAX) {
			continue;
		}
		(void)snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);
		examine_spec(doctor, entry_path, entry->d_name, &st);
	}
	if (n_stuck > TOLD_MAX) {
		doctor_add(doctor,
			   &(struct doctor_finding){"stuck_spec", DOCTOR_WARNING, path, NULL},
			   "and %zu more", n_stuck - TOLD_MAX);
	} else if (n_stuck == 0) {
		doctor_add(doctor, &(struct doctor_finding){"stuck_spec", DOCTOR_OK, path, NULL},
			   "no spec waits in vain");
	}
}

static void examine_invalid(struct doctor *doctor)
{
	char path[PATH_SIZE];
	CLEANUP(dir_closep) DIR *dir = NULL;
	const struct dirent *entry;
	size_t n_invalid = 0;

	if (!doctor_config_path(doctor, "spool_dir", "invalid", path, sizeof(path)) ||
	    !(dir = opendir(path))) {
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		n_invalid += str_ends_with(entry->d_name, ".error.json");
	}
	if (n_invalid > 0) {
		doctor_add(doctor,
			   &(struct doctor_finding){
				   "invalid_specs", DOCTOR_WARNING, path,
				   "read the .error.json beside each, then remove them"},
			   "%zu specs were refused", n_invalid);
	} else {
		doctor_add(doctor, &(struct doctor_finding){"invalid_specs", DOCTOR_OK, path, NULL},
			   "no spec was refused");
	}
}

/* Whether the job that left ".zp-ID-N.part" has not ended. Unknown counts as live. */
static bool is_live(const struct doctor *doctor, const char *name)
{
	char job[64], path[PATH_SIZE];
	int len = snprintf(job, sizeof(job), "jobs/%.*s/result.json", ID_LENGTH,
			   name + strlen(".zp-"));

	if (len < 0 || !doctor_config_path(doctor, "state_dir", job, path, sizeof(path))) {
		return true;
	}
	if (access(path, F_OK) == 0) {
		return false;
	}
	*strrchr(path, '/') = '\0';
	return access(path, F_OK) == 0 || errno != ENOENT;
}

static bool is_part(const char *name)
{
	char id[ID_LENGTH + 1] = "";

	if (!str_starts_with(name, ".zp-") || !str_ends_with(name, ".part")) {
		return false;
	}
	(void)snprintf(id, sizeof(id), "%s", name + strlen(".zp-"));
	return job_id_is_valid(id);
}

struct search {
	struct doctor *doctor;
	size_t n_entries, n_found;
};

static void add_leftover(struct search *search, const char *path)
{
	if (search->n_found++ < TOLD_MAX) {
		doctor_add(search->doctor,
			   &(struct doctor_finding){
				   "leftover", DOCTOR_WARNING, path,
				   "remove it, unless another daemon (`run`) works there"},
			   "a temporary output that no job of this daemon writes");
	}
}

/* As jobs go: a root may be a link, nothing below it is followed, and mounts are no border. */
static void search_folder(struct search *search, int parent_fd, const char *name, const char *path,
			  int depth)
{
	CLEANUP(fd_closep)
	int fd = openat(parent_fd, name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth > 0 ? O_NOFOLLOW : 0));
	CLEANUP(dir_closep) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir) {
		return;
	}
	fd = -1; /* the stream's now */
	while (search->n_entries < ENTRIES_MAX && (entry = readdir(dir)) != NULL) {
		char entry_path[PATH_SIZE];
		int len = snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);

		if (is_dot(entry->d_name) || len < 0 || (size_t)len >= sizeof(entry_path)) {
			continue;
		}
		search->n_entries++;
		if (entry->d_type == DT_DIR && depth < DEPTH_MAX) {
			search_folder(search, dirfd(dir), entry->d_name, entry_path, depth + 1);
		} else if (is_part(entry->d_name) && !is_live(search->doctor, entry->d_name)) {
			add_leftover(search, entry_path);
		}
	}
}

static void examine_leftovers(struct doctor *doctor)
{
	struct search search = {.doctor = doctor};
	const json_t *root;
	size_t i;

	json_array_foreach(json_object_get(doctor->config, "data_roots"), i, root)
	{
		const char *path = json_string_value(root);

		if (path) {
			search_folder(&search, AT_FDCWD, path, path, 0);
		}
	}
	if (search.n_found > TOLD_MAX) {
		doctor_add(doctor, &(struct doctor_finding){"leftover", DOCTOR_WARNING, NULL, NULL},
			   "and %zu more", search.n_found - TOLD_MAX);
	} else if (search.n_found == 0) {
		doctor_add(doctor, &(struct doctor_finding){"leftover", DOCTOR_OK, NULL, NULL},
			   search.n_entries < ENTRIES_MAX
				   ? "no temporary output is left in the data roots"
				   : "none among the first %d files of the data roots",
			   ENTRIES_MAX);
	}
}

void doctor_examine_spool(struct doctor *doctor)
{
	examine_incoming(doctor);
	examine_invalid(doctor);
	examine_leftovers(doctor);
}
