/* SPDX-License-Identifier: MIT */
/*
 * What proc(5) says of one process. Each of these files comes whole from one read(2) into a small
 * buffer. A zombie still has a stat line, but no memory: its resident set is 0 and its
 * smaps_rollup says ESRCH.
 */
#include "common/util/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/num.h"
#include "common/util/str.h"

enum {
	PROCESS_TEXT_SIZE = 4096, /* more than any of these files has */
	PROCESS_STAT_START_FIELD = 22,
};

int process_pidfd_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0U);

	return fd < 0 ? -errno : (int)fd;
}

static int process_read_fd(int fd, char ret_text[static PROCESS_TEXT_SIZE])
{
	ssize_t n = fd_pread_full(fd, ret_text, PROCESS_TEXT_SIZE - 1, 0);

	if (n < 0) {
		return (int)n;
	}
	ret_text[n] = '\0';
	return 0;
}

static int process_read_text(const char *path, char ret_text[static PROCESS_TEXT_SIZE])
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return errno == ENOENT ? -ESRCH : -errno;
	}
	return process_read_fd(fd, ret_text);
}

static int process_read_file(pid_t pid, const char *file, char ret_text[static PROCESS_TEXT_SIZE])
{
	char path[64];

	if (pid == 0) {
		snprintf(path, sizeof(path), "/proc/self/%s", file);
	} else {
		snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, file);
	}
	return process_read_text(path, ret_text);
}

/* The n-th word, counted from 1, as a number; words are set apart by blanks. */
static int process_parse_word(char *text, int n, uint64_t *ret)
{
	char *save = NULL;
	char *word = strtok_r(text, " \n", &save);

	while (word != NULL && --n > 0) {
		word = strtok_r(NULL, " \n", &save);
	}
	return word == NULL || num_parse_u64(word, ret) < 0 ? -EPROTO : 0;
}

/* Its stat line from field 3 on, in text. */
static int process_read_stat(pid_t pid, char text[static PROCESS_TEXT_SIZE], char **ret_fields)
{
	char *after_name;
	int r = process_read_file(pid, "stat", text);

	if (r < 0) {
		return r;
	}
	/* Field 2 is the program's name in parentheses; it may itself hold blanks and any other. */
	after_name = strrchr(text, ')');
	if (after_name == NULL || after_name[1] != ' ') {
		return -EPROTO;
	}
	*ret_fields = after_name + 2;
	return 0;
}

int process_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	char text[PROCESS_TEXT_SIZE], *fields;
	int r = process_read_stat(pid, text, &fields);

	return r < 0 ? r : process_parse_word(fields, PROCESS_STAT_START_FIELD - 2, ret_ticks);
}

int process_state(pid_t pid, char *ret_state)
{
	char text[PROCESS_TEXT_SIZE], *fields;
	int r = process_read_stat(pid, text, &fields);

	if (r < 0) {
		return r;
	}
	*ret_state = fields[0];
	return 0;
}

static int process_parse_resident(char *text, int64_t *ret_bytes)
{
	uint64_t n_pages;
	int r = process_parse_word(text, 2, &n_pages);

	if (r < 0) {
		return r;
	}
	*ret_bytes = (int64_t)n_pages * sysconf(_SC_PAGESIZE);
	return 0;
}

int process_resident_bytes(pid_t pid, int64_t *ret_bytes)
{
	char text[PROCESS_TEXT_SIZE];
	int r = process_read_file(pid, "statm", text);

	return r < 0 ? r : process_parse_resident(text, ret_bytes);
}

int process_resident_open(void)
{
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int process_resident_read(int statm_fd, int64_t *ret_bytes)
{
	char text[PROCESS_TEXT_SIZE];
	int r = process_read_fd(statm_fd, text);

	return r < 0 ? r : process_parse_resident(text, ret_bytes);
}

int process_proportional_bytes(pid_t pid, int64_t *ret_bytes)
{
	char text[PROCESS_TEXT_SIZE];
	uint64_t kib;
	char *line;
	int r = process_read_file(pid, "smaps_rollup", text);

	if (r < 0) {
		return r;
	}
	line = strstr(text, "\nPss:");
	if (line == NULL) {
		return -EPROTO;
	}
	r = process_parse_word(line, 2, &kib);
	if (r < 0) {
		return r;
	}
	*ret_bytes = (int64_t)kib * 1024;
	return 0;
}

int process_boot_id(char ret_id[static PROCESS_BOOT_ID_SIZE])
{
	char text[PROCESS_TEXT_SIZE];
	int r = process_read_text("/proc/sys/kernel/random/boot_id", text);

	if (r < 0) {
		return r;
	}
	if (strcspn(text, "\n") != PROCESS_BOOT_ID_SIZE - 1) {
		return -EPROTO;
	}
	memcpy(ret_id, text, PROCESS_BOOT_ID_SIZE - 1);
	ret_id[PROCESS_BOOT_ID_SIZE - 1] = '\0';
	return 0;
}

int process_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return -errno;
	}
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}
