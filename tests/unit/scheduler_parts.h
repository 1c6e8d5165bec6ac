/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The workers of scheduler_world.h: a test can have them play a part, the one that
 * ZOOPARALLEL_TEST_PART names; else the program executes the real one.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/model/chunk_table.h"
#include "common/model/job_state.h"
#include "common/model/worker_protocol.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/num.h"
#include "common/util/str.h"

#define PART_VARIABLE "ZOOPARALLEL_TEST_PART"

static inline int die(void)
{
	kill(getpid(), SIGKILL);
	return 1;
}

/* By its own fault, and without a core file. */
static inline int crash(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	abort();
}

static inline struct chunk_record *claim_one(struct chunk_table *table, uint32_t slot)
{
	uint64_t chunk;

	while (chunk_table_claim(table, 0, slot, &chunk) == 0) {
	}
	return chunk_table_record(table, 0, chunk);
}

static inline int part_crash(struct chunk_table *table, uint32_t slot)
{
	return crash();
}

static inline int part_crash_in_chunk(struct chunk_table *table, uint32_t slot)
{
	claim_one(table, slot);
	return crash();
}

/* Every row that is not on the list yet: the first one begins at byte 13, behind the header. */
static inline int part_crash_on_rows(struct chunk_table *table, uint32_t slot)
{
	struct chunk_record *record = claim_one(table, slot);
	struct chunk_deaths deaths = chunk_deaths_get(record);

	chunk_deaths_touch(record, deaths.is_careful ? 13 + deaths.n_skips : CHUNK_NO_ROW);
	return crash();
}

static inline int part_hang(struct chunk_table *table, uint32_t slot)
{
	return pause();
}

static inline int part_hang_in_chunk(struct chunk_table *table, uint32_t slot)
{
	uint64_t chunk;

	while (chunk_table_claim(table, 0, slot, &chunk) == 0) {
	}
	return pause();
}

/* As one that waits for a chunk that nobody will ever accept. */
static inline int part_wait(struct chunk_table *table, uint32_t slot)
{
	const struct timespec wait = {.tv_nsec = 10 * CLOCK_NS_PER_MS};

	while (!chunk_table_is_stopped(table)) {
		chunk_table_beat(table, slot, false);
		nanosleep(&wait, NULL);
	}
	return WORKER_EXIT_OK;
}

static inline int part_leave(struct chunk_table *table, uint32_t slot)
{
	return WORKER_EXIT_OK;
}

static inline int part_report(struct chunk_table *table, uint32_t slot)
{
	chunk_table_fail(table, slot, JOB_REASON_NO_SPACE, "disk\nfull\xff");
	return WORKER_EXIT_REPORTED;
}

static inline int part_report_nonsense(struct chunk_table *table, uint32_t slot)
{
	chunk_table_fail(table, slot, 4711, "who knows");
	return WORKER_EXIT_REPORTED;
}

static inline int part_scribble(struct chunk_table *table, uint32_t slot)
{
	struct chunk_accept accept = {.start = 1, .end = 2, .rows = 1, .success = 1};
	uint64_t chunk;

	if (chunk_table_claim(table, 0, slot, &chunk) > 0) {
		struct chunk_record *record = chunk_table_record(table, 0, chunk);

		chunk_table_accept(record, &accept);
		chunk_table_written(record);
	}
	pause();
	return 0;
}

static const struct part {
	const char *name;
	int (*convert)(struct chunk_table *table, uint32_t slot);
	enum job_reason reason;
	const char *said; /* in the message */
} parts[] = {
	{"crash", part_crash, JOB_REASON_WORKER_CRASH, "signal 6 (Aborted), 3 times in a row"},
	{"crash-in-chunk", part_crash_in_chunk, JOB_REASON_WORKER_CRASH,
	 "in.csv: 6 workers died converting bytes 13 to"},
	{"crash-on-rows", part_crash_on_rows, JOB_REASON_WORKER_CRASH,
	 "in.csv: the row at byte 21 has killed 3 workers running, and 8 rows before that"},
	{"hang", part_hang, JOB_REASON_STALLED, "worker 0 gave no sign of life for limits.stall"},
	{"hang-in-chunk", part_hang_in_chunk, JOB_REASON_STALLED, "in.csv: 3 workers died"},
	{"wait", part_wait, JOB_REASON_STALLED, "none has come forward"},
	{"leave", part_leave, JOB_REASON_WORKER_CRASH, "before its work was done"},
	{"report", part_report, JOB_REASON_NO_SPACE, "disk?full?"},
	{"report-nonsense", part_report_nonsense, JOB_REASON_INTERNAL, "who knows"},
	{"scribble", part_scribble, JOB_REASON_INTERNAL, "does not start where"},
};

/* What the part leaves to the real worker, with the descriptors that are there. */
static inline int be_real(char **argv)
{
	char path[4096], program[4200];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[MAX(len, 0)] = '\0';
	for (int i = 0; i < 3 && strrchr(path, '/') != NULL; i++) {
		*strrchr(path, '/') = '\0';
	}
	snprintf(program, sizeof(program), "%s/zooparallel-worker", path);
	execv(program, argv);
	return WORKER_EXIT_USAGE;
}

/* How often, before the real one may work; counted in a file of the only data root. */
enum { N_KILLS = 8, N_CRASHES = 5 };

static inline bool was_done(int root_fd, const char *name, off_t n_times)
{
	struct stat st = {0};
	CLEANUP(fd_closep)
	int fd = openat(root_fd, name, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);

	return fstat(fd, &st) < 0 || st.st_size >= n_times || fd_write_all(fd, "x", 1) < 0;
}

/* Holds the first chunk for seven seconds before it lets the real one work. */
static inline int play_slow(struct chunk_table *table, uint32_t slot, char **argv)
{
	const struct timespec wait = {.tv_nsec = 10 * CLOCK_NS_PER_MS};
	uint64_t chunk;

	if (chunk_table_claim(table, 0, slot, &chunk) > 0) {
		for (int i = 0; i < 700; i++) {
			chunk_table_beat(table, slot, true);
			nanosleep(&wait, NULL);
		}
		chunk_table_give_back(table, 0, chunk);
	}
	return be_real(argv);
}

/*
 * Slot 0 holds chunk 0, and watches what slot 1 does with chunk 1, which is in careful mode: it may
 * guess a start, but has no true one yet, so no row of it may be touched. False: one was.
 */
static inline bool watch_careful_chunk(struct chunk_table *table, uint32_t slot)
{
	struct chunk_record *record = chunk_table_record(table, 0, 1);
	int64_t until_ns = INT64_MAX;

	if (slot > 0) {
		while (!chunk_deaths_get(record).is_careful) {
		}
		return true;
	}
	chunk_table_publish_scan(claim_one(table, slot), false, 1); /* all that a guess waits for */
	chunk_deaths_set(record, &(struct chunk_deaths){.is_careful = 1});
	while (clock_monotonic_ns() < until_ns) {
		if (atomic_load(&record->row_after) != 0) {
			chunk_table_fail(table, slot, JOB_REASON_INTERNAL, "a row was touched");
			return false;
		}
		if (until_ns == INT64_MAX && atomic_load(&record->is_waiting)) {
			until_ns = clock_monotonic_ns() + 200 * CLOCK_NS_PER_MS;
		}
	}
	chunk_table_give_back(table, 0, 0);
	return true;
}

static inline int play_convert(const char *name, char **argv)
{
	struct chunk_table table;
	uint64_t slot;

	if (num_parse_u64(argv[2], &slot) < 0 || chunk_table_map(CONVERT_FD_TABLE, &table) < 0) {
		return WORKER_EXIT_USAGE;
	}
	if (str_equal(name, "stay") && slot > 0) {
		return pause();
	}
	if (str_equal(name, "killed-often") && !was_done(CONVERT_FD_OUTPUTS + 2, name, N_KILLS)) {
		claim_one(&table, (uint32_t)slot);
		return die();
	}
	if (str_equal(name, "watch-careful") && !watch_careful_chunk(&table, (uint32_t)slot)) {
		return WORKER_EXIT_REPORTED;
	}
	if (str_equal(name, "crash-often") && !was_done(CONVERT_FD_OUTPUTS + 2, name, N_CRASHES)) {
		claim_one(&table, (uint32_t)slot);
		return crash();
	}
	/* The names begin with what they report, and end with how often. */
	if (str_starts_with(name, "full-") &&
	    !was_done(CONVERT_FD_OUTPUTS + 2, name, name[5] - '0')) {
		chunk_table_fail(&table, (uint32_t)slot, JOB_REASON_NO_SPACE, "the disk is full");
		return WORKER_EXIT_REPORTED;
	}
	if (str_starts_with(name, "changed-") && !was_done(CONVERT_FD_OUTPUTS + 2, name, 9)) {
		chunk_table_fail(&table, (uint32_t)slot, JOB_REASON_INPUT_CHANGED,
				 "it was changed");
		return WORKER_EXIT_REPORTED;
	}
	if (str_equal(name, "slow") && slot == 0) {
		return play_slow(&table, 0, argv);
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (str_equal(name, parts[i].name)) {
			return parts[i].convert(&table, (uint32_t)slot);
		}
	}
	return be_real(argv);
}

static inline int play_prepare(const char *name, char **argv)
{
	if (str_equal(name, "prepare-crashes")) {
		return crash();
	}
	if (str_equal(name, "prepare-hangs")) {
		return pause();
	}
	if (str_equal(name, "prepare-stops")) {
		return kill(getpid(), SIGSTOP);
	}
	if (str_equal(name, "prepare-babbles")) {
		return fd_write_all(PREPARE_FD_PLAN, "{\"version\":1", 12);
	}
	if (str_equal(name, "prepare-is-killed") && !was_done(PREPARE_FD_ROOTS, name, N_KILLS)) {
		return die();
	}
	return be_real(argv);
}

static inline int play(char **argv)
{
	const char *name = getenv(PART_VARIABLE);

	if (name != NULL && str_equal(argv[1], "convert")) {
		return play_convert(name, argv);
	}
	if (name != NULL && str_equal(argv[1], "prepare")) {
		return play_prepare(name, argv);
	}
	return be_real(argv);
}
