/* SPDX-License-Identifier: MIT */

/*
 * zooparallel-worker with a fault: it dies of every row that contains the word of
 * ZOOPARALLEL_TEST_POISON, in the scanner's way and in the walker's, as it would of a bug in
 * either. The linker puts this file's functions before the real ones (--wrap, see meson.build), so
 * the worker's own sources are those of the real program.
 *
 * ZOOPARALLEL_TEST_SIGNAL is the number of the signal that it dies of; else it aborts.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/util/num.h"
#include "daemon/pipe/csv_scanner.h"

const struct csv_scanner *__real_csv_scanner_find(const char *name);
const struct csv_scanner *__wrap_csv_scanner_find(const char *name);
size_t __real_dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
			    uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault);
size_t __wrap_dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
			    uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault);

static const struct csv_scanner *real;

static void taste(const uint8_t *row, size_t len)
{
	const char *poison = getenv("ZOOPARALLEL_TEST_POISON");
	const char *text = getenv("ZOOPARALLEL_TEST_SIGNAL");
	uint64_t number = SIGABRT;

	if (poison == NULL || memmem(row, len, poison, strlen(poison)) == NULL ||
	    (text != NULL && num_parse_u64(text, &number) < 0)) {
		return;
	}
	raise((int)number);
}

static size_t emit(const struct json_rows *rows, size_t row, uint8_t *out, uint8_t **ret_out)
{
	for (size_t r = row; r < rows->end_row; r++) {
		uint32_t start = csv_index_row_start(rows->index, r);

		if (start >= rows->start_limit) {
			break;
		}
		taste(rows->bytes + start, csv_index_row_start(rows->index, r + 1) - start);
	}
	return real->emit(rows, row, out, ret_out);
}

const struct csv_scanner *__wrap_csv_scanner_find(const char *name)
{
	static struct csv_scanner poisoned;
	const struct csv_scanner *found = __real_csv_scanner_find(name);

	if (found != NULL && real == NULL) {
		/* Now: once the worker has locked itself in, it may not. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		real = found;
		poisoned = *found;
		poisoned.emit = emit;
		return &poisoned;
	}
	return found;
}

size_t __wrap_dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
			    uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault)
{
	taste(row, len);
	return __real_dialect_split(dialect, row, len, ret_ends, max_ends, ret_fault);
}
