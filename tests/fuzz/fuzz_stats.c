/* SPDX-License-Identifier: MIT */
/*
 * The stats reader against any bytes in any number: first two bytes, where the file is cut once it
 * is mapped (65535: it isn't); the rest, the file. A page that is accepted must add up and fold.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/model/stats_file.h"

enum { FUZZ_NO_CUT = 65535 };

static char path[64];
static int file_fd = -1;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void remove_file(void)
{
	unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	snprintf(path, sizeof(path), "/tmp/fuzz_stats.%ld", (long)getpid());
	file_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file_fd < 0) {
		abort();
	}
	atexit(remove_file);
	return 0;
}

static void check_snapshot(const struct stats_snapshot *snapshot)
{
	const int64_t *values = snapshot->values;
	int64_t sums[COUNTER_N] = {0};

	counter_fold_values(sums, values);
	counter_fold_values(sums, values);
	for (int i = 0; i < COUNTER_N; i++) {
		if (values[i] < -1 || sums[i] < 0) {
			abort();
		}
	}
	if (values[COUNTER_TOTAL_PROCESSED] != values[COUNTER_SUCCESS_COUNT] +
						       values[COUNTER_ERROR_COUNT] +
						       values[COUNTER_FILTERED]) {
		abort();
	}
	(void)stats_phase_name(values[COUNTER_PHASE]);
}

static void read_file(uint16_t cut)
{
	struct stats_reader reader = {0};
	struct stats_snapshot snapshot;
	int r = stats_file_open(AT_FDCWD, path, &reader);

	if (r < 0) {
		abort();
	}
	if (cut != FUZZ_NO_CUT && ftruncate(file_fd, cut % (STATS_FILE_SIZE + 1)) < 0) {
		abort();
	}
	for (int i = 0; i < 2; i++) {
		if (stats_file_read(&reader, &snapshot) == STATS_FAULT_NONE) {
			check_snapshot(&snapshot);
		}
	}
	stats_file_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t cut;

	if (size < sizeof(cut)) {
		return 0;
	}
	memcpy(&cut, data, sizeof(cut));
	data += sizeof(cut);
	size -= sizeof(cut);
	if (ftruncate(file_fd, 0) < 0 || pwrite(file_fd, data, size, 0) != (ssize_t)size) {
		abort();
	}
	read_file(cut);
	return 0;
}
