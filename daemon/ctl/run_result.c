/* SPDX-License-Identifier: MIT */
/*
 * The files, not the API, tell the end: a job may be so short that the control socket was never
 * seen, and the daemon ends with its last job. All reads are bounded.
 */
#include "daemon/ctl/run_result.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/ctl/text.h"

enum {
	RESULT_MAX_BYTES = 16 * 1024 * 1024,
	REJECTS_SHOWN = 8,
	LINES_SHOWN = 10,
	LOG_TAIL_BYTES = 64 * 1024,
};

static void closedir_p(DIR **dir)
{
	if (*dir) {
		closedir(*dir);
	}
}

static int load_json(int dir_fd, const char *name, json_t **ret_json)
{
	CLEANUP(fd_closep) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	int r;

	if (fd < 0) {
		return -errno;
	}
	r = fd_read_all(fd, RESULT_MAX_BYTES, &text);
	if (r < 0) {
		return r;
	}
	*ret_json = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
	return *ret_json ? 0 : -EPROTO;
}

/* The last of the names (IDs sort by time) that end with `suffix`; "" if there is none. */
static int find_last(const char *path, const char *suffix, char ret_name[static NAME_MAX + 1])
{
	CLEANUP(closedir_p) DIR *dir = opendir(path);
	struct dirent *entry;

	ret_name[0] = '\0';
	if (!dir) {
		return -errno;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && str_ends_with(entry->d_name, suffix) &&
		    strcmp(entry->d_name, ret_name) > 0) {
			(void)snprintf(ret_name, NAME_MAX + 1, "%s", entry->d_name);
		}
	}
	return ret_name[0] ? 0 : -ENOENT;
}

/* One object a line; the first few. A missing or broken file is an empty array. */
static json_t *load_rejects(int job_fd)
{
	CLEANUP(fd_closep)
	int fd = openat(job_fd, "errors.jsonl", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	json_t *rows = json_array();
	FILE *file = fd >= 0 ? fdopen(TAKE_FD(fd), "re") : NULL;

	while (file && json_array_size(rows) < REJECTS_SHOWN) {
		json_t *row = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);

		if (!row || json_array_append_new(rows, row) < 0) {
			break;
		}
	}
	if (file) {
		(void)fclose(file);
	}
	return rows;
}

int run_result_find_id(const struct run_tree *tree, char ret_id[static NAME_MAX + 1])
{
	char jobs[RUN_TREE_PATH_SIZE];

	return find_last(run_tree_path(tree, "state/jobs", jobs), "", ret_id);
}

int run_result_load(const struct run_tree *tree, json_t **ret_result, json_t **ret_rejects)
{
	CLEANUP(fd_closep) int job_fd = -1;
	char id[NAME_MAX + 1], path[RUN_TREE_PATH_SIZE + NAME_MAX + 1];
	int r = run_result_find_id(tree, id);

	if (r < 0) {
		return r;
	}
	(void)snprintf(path, sizeof(path), "%s/state/jobs/%s", tree->path, id);
	job_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job_fd < 0) {
		return -errno;
	}
	r = load_json(job_fd, "result.json", ret_result);
	if (r < 0) {
		return r;
	}
	*ret_rejects = load_rejects(job_fd);
	return 0;
}

int run_result_load_refusal(const struct run_tree *tree, json_t **ret_refusal)
{
	CLEANUP(fd_closep) int dir_fd = -1;
	char path[RUN_TREE_PATH_SIZE], name[NAME_MAX + 1];
	int r = find_last(run_tree_path(tree, "spool/invalid", path), ".error.json", name);

	if (r < 0) {
		return r;
	}
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -errno : load_json(dir_fd, name, ret_refusal);
}

/* The end of the log, from a line's beginning on. */
static void load_log(const struct run_tree *tree, struct buf *out)
{
	CLEANUP(fd_closep) int fd = -1;
	char path[RUN_TREE_PATH_SIZE];
	struct stat status;
	ssize_t n;

	fd = open(run_tree_path(tree, "log", path), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0 || buf_reserve(out, LOG_TAIL_BYTES) < 0) {
		return;
	}
	n = fd_pread_full(fd, out->data, LOG_TAIL_BYTES,
			  status.st_size > LOG_TAIL_BYTES ? status.st_size - LOG_TAIL_BYTES : 0);
	out->len = n > 0 ? (size_t)n : 0;
}

static bool is_warning(const char *line)
{
	return str_starts_with(line, "warning: ") || str_starts_with(line, "error: ");
}

static bool is_line(const char *line)
{
	return line[0] != '\0';
}

/* The last LINES_SHOWN lines that are wanted. */
static void add_lines(const struct run_tree *tree, bool (*is_wanted)(const char *line),
		      struct buf *out)
{
	CLEANUP(buf_deinit) struct buf log = BUF_INIT;
	const char *shown[LINES_SHOWN];
	size_t n_wanted = 0;
	char *rest, *line;

	load_log(tree, &log);
	if (!buf_terminated(&log)) {
		return;
	}
	rest = log.data;
	while ((line = strsep(&rest, "\n"))) {
		if (is_wanted(line)) {
			shown[n_wanted++ % LINES_SHOWN] = line;
		}
	}
	for (size_t i = n_wanted > LINES_SHOWN ? n_wanted - LINES_SHOWN : 0; i < n_wanted; i++) {
		buf_add_str(out, "zooparalleld: ");
		text_add_clean(out, shown[i % LINES_SHOWN]);
		buf_add_char(out, '\n');
	}
}

void run_result_add_warnings(const struct run_tree *tree, struct buf *out)
{
	add_lines(tree, is_warning, out);
}

void run_result_add_last_lines(const struct run_tree *tree, struct buf *out)
{
	add_lines(tree, is_line, out);
}
