/* SPDX-License-Identifier: MIT */
#include "common/model/stats_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

#define NAME "worker-3.stats"

static const struct stats_identity some_identity = {
	.slot = 3,
	.generation = 2,
	.pid = 4242,
	.start_ticks = 777,
	.started_at_ns = INT64_C(1795342502123000000),
};

static struct tmpdir tmp;
static int page_fd;
static struct stats_page *page;
static struct stats_reader reader;
static struct stats_snapshot snapshot;

/* A stats file on disk (page_fd), mapped by its worker (page) and open in a reader. */
static void setup(void)
{
	tmpdir_init(&tmp);
	page_fd = stats_file_create(tmp.fd, NAME, &some_identity);
	ck_assert_int_ge(page_fd, 0);
	ck_assert_int_eq(stats_file_map(page_fd, &page), 0);
	ck_assert_int_eq(stats_file_open(tmp.fd, NAME, &reader), 0);
}

static void teardown(void)
{
	stats_file_close(&reader);
	stats_file_unmap(page);
	fd_close(page_fd);
	tmpdir_deinit(&tmp);
}

static void publish(int64_t success, int64_t error, int64_t filtered)
{
	const struct stats_progress progress = {
		.success_count = success,
		.error_count = error,
		.filtered = filtered,
		.bytes_read = success * 10,
		.bytes_written = success * 20,
	};

	stats_page_publish(page, &progress, 12345);
}

/* Read by hand, from the offsets of the manual's table. */
static int64_t number_at(off_t offset, size_t size)
{
	int64_t number = 0;

	ck_assert_int_eq(fd_pread_full(page_fd, &number, size, offset), size);
	return number;
}

START_TEST(a_new_file_is_as_the_manual_says)
{
	struct stat st;
	char magic[8];

	ck_assert_int_eq(fstatat(tmp.fd, NAME, &st, 0), 0);
	ck_assert_int_eq(st.st_size, 256);
	ck_assert_int_gt(st.st_blocks, 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(fd_pread_full(page_fd, magic, 8, 64), 8);
	ck_assert_mem_eq(magic, "ZOOSTAT1", 8);
	ck_assert_int_eq(number_at(72, 2), 1);
	ck_assert_int_eq(number_at(74, 2), 256);
	ck_assert_int_eq(number_at(76, 4), 3);
	ck_assert_int_eq(number_at(80, 4), 4242);
	ck_assert_int_eq(number_at(84, 4), 2);
	ck_assert_int_eq(number_at(88, 8), 777);
	ck_assert_int_eq(number_at(96, 8), some_identity.started_at_ns);
	ck_assert_int_eq(number_at(128, 8), -1);
	ck_assert_int_eq(fcntl(page_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

START_TEST(what_is_published_stands_where_the_manual_says)
{
	publish(70, 15, 5);
	stats_page_set_ram(page, 5000);
	stats_page_set_ram(page, 4000);
	stats_page_set_chunks_done(page, 7);
	stats_page_set_phase(page, STATS_PHASE_WRITING, 8);
	stats_page_set_finished(page, 1);
	stats_page_set_process(page, 99, 1234);
	ck_assert_int_eq(number_at(0, 8), 90);
	ck_assert_int_eq(number_at(8, 8), 70);
	ck_assert_int_eq(number_at(16, 8), 15);
	ck_assert_int_eq(number_at(24, 8), 4000);
	ck_assert_int_eq(number_at(32, 4), 1);
	ck_assert_int_eq(number_at(36, 4), 1);
	ck_assert_int_eq(number_at(40, 8), 700);
	ck_assert_int_eq(number_at(48, 8), 1400);
	ck_assert_int_eq(number_at(56, 8), 12345);
	ck_assert_int_eq(number_at(80, 4), 99);
	ck_assert_int_eq(number_at(88, 8), 1234);
	ck_assert_int_eq(number_at(104, 8), 5000);
	ck_assert_int_eq(number_at(112, 8), 5);
	ck_assert_int_eq(number_at(120, 8), 7);
	ck_assert_int_eq(number_at(128, 8), 8);
	ck_assert_int_eq(number_at(136, 8), STATS_PHASE_WRITING);
}
END_TEST

START_TEST(a_reader_sees_what_was_published_last)
{
	publish(70, 15, 5);
	stats_page_set_phase(page, STATS_PHASE_READING, 8);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	ck_assert_int_eq(snapshot.values[COUNTER_TOTAL_PROCESSED], 90);
	ck_assert_int_eq(snapshot.values[COUNTER_SUCCESS_COUNT], 70);
	ck_assert_int_eq(snapshot.values[COUNTER_BYTES_WRITTEN], 1400);
	ck_assert_int_eq(snapshot.values[COUNTER_CURRENT_CHUNK], 8);
	ck_assert_int_eq(snapshot.values[COUNTER_IS_FINISHED], 0);
	ck_assert_uint_eq(snapshot.identity.slot, 3);
	ck_assert_uint_eq(snapshot.identity.generation, 2);
	ck_assert_int_eq(snapshot.identity.pid, 4242);
	ck_assert_uint_eq(snapshot.identity.start_ticks, 777);
	ck_assert_int_eq(snapshot.identity.started_at_ns, some_identity.started_at_ns);
	publish(71, 15, 5);
	stats_page_set_finished(page, 0);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	ck_assert_int_eq(snapshot.values[COUNTER_TOTAL_PROCESSED], 91);
	ck_assert_int_eq(snapshot.values[COUNTER_IS_FINISHED], 1);
	ck_assert_int_eq(snapshot.values[COUNTER_HAS_ERROR], 0);
}
END_TEST

START_TEST(the_total_is_the_sum_whatever_a_dead_writer_left)
{
	publish(70, 15, 5);
	atomic_store(&page->error_count, 16); /* died between two stores */
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	ck_assert_int_eq(snapshot.values[COUNTER_TOTAL_PROCESSED], 91);
}
END_TEST

START_TEST(a_restart_of_the_slot_replaces_the_file)
{
	struct stats_identity next = some_identity;
	int fd;

	next.generation = 3;
	fd = stats_file_create(tmp.fd, NAME, &next);
	ck_assert_int_ge(fd, 0);
	fd_close(fd);
	ck_assert_int_eq(stats_file_recheck(&reader, tmp.fd, NAME), STATS_FAULT_REPLACED);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	ck_assert_uint_eq(snapshot.identity.generation, 2);
	stats_file_close(&reader);
	ck_assert_int_eq(stats_file_open(tmp.fd, NAME, &reader), 0);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	ck_assert_uint_eq(snapshot.identity.generation, 3);
	ck_assert_int_eq(stats_file_recheck(&reader, tmp.fd, NAME), STATS_FAULT_NONE);
}
END_TEST

START_TEST(a_failed_creation_leaves_nothing)
{
	char long_name[300];

	memset(long_name, 'x', sizeof(long_name));
	long_name[299] = '\0';
	ck_assert_int_eq(stats_file_create(tmp.fd, long_name, &some_identity), -ENAMETOOLONG);
	ck_assert_int_eq(stats_file_create(-1, NAME, &some_identity), -EBADF);
	ck_assert_int_eq(mkdirat(tmp.fd, "taken", 0700), 0);
	ck_assert_int_eq(stats_file_create(tmp.fd, "taken", &some_identity), -EISDIR);
	ck_assert_int_eq(faccessat(tmp.fd, ".taken.tmp", F_OK, 0), -1);
}
END_TEST

START_TEST(a_creator_that_was_killed_is_no_obstacle)
{
	int fd;

	ck_assert_int_eq(symlinkat("/nowhere/at/all", tmp.fd, "." NAME ".tmp"), 0);
	fd = stats_file_create(tmp.fd, NAME, &some_identity);
	ck_assert_int_ge(fd, 0);
	fd_close(fd);
}
END_TEST

START_TEST(only_256_bytes_are_mapped)
{
	CLEANUP(fd_closep) int fd = fd_memfd("short", "short", 5);
	struct stats_page *other = NULL;
	int ends[2];

	ck_assert_int_eq(stats_file_map(fd, &other), -EINVAL);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(stats_file_map(ends[0], &other), -EINVAL);
	fd_close(ends[0]);
	fd_close(ends[1]);
	ck_assert_ptr_null(other);
}
END_TEST

/* What else may stand under the name, and what the reader says of it. */

static void make_nothing(void)
{
}

static void make_empty(void)
{
	fd_close(openat(tmp.fd, NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void make_short(void)
{
	CLEANUP(fd_closep) int fd = stats_file_create(tmp.fd, NAME, &some_identity);

	ck_assert_int_eq(ftruncate(fd, 255), 0);
}

static void make_long(void)
{
	CLEANUP(fd_closep) int fd = stats_file_create(tmp.fd, NAME, &some_identity);

	ck_assert_int_eq(ftruncate(fd, 257), 0);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifoat(tmp.fd, NAME, 0600), 0);
}

static void make_folder(void)
{
	ck_assert_int_eq(mkdirat(tmp.fd, NAME, 0700), 0);
}

static void make_symlink(void)
{
	fd_close(stats_file_create(tmp.fd, "other", &some_identity));
	ck_assert_int_eq(symlinkat("other", tmp.fd, NAME), 0);
}

static void make_socket(void)
{
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" NAME, tmp.path);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void make_unreadable(void)
{
	CLEANUP(fd_closep) int fd = stats_file_create(tmp.fd, NAME, &some_identity);

	ck_assert_int_eq(fchmod(fd, 0), 0);
}

static const struct {
	void (*make)(void);
	enum stats_fault fault;
} strangers[] = {
	{make_nothing, STATS_FAULT_MISSING},
	{make_empty, STATS_FAULT_SIZE},
	{make_short, STATS_FAULT_SIZE},
	{make_long, STATS_FAULT_SIZE},
	{make_fifo, STATS_FAULT_NOT_REGULAR},
	{make_folder, STATS_FAULT_NOT_REGULAR},
	{make_symlink, STATS_FAULT_NOT_REGULAR},
	{make_socket, STATS_FAULT_NOT_REGULAR},
	{make_unreadable, STATS_FAULT_UNREADABLE},
};

START_TEST(a_stranger_under_the_name_is_named_and_never_waited_for)
{
	for (size_t k = 0; k < ARRAY_SIZE(strangers); k++) {
		enum stats_fault fault = strangers[k].fault;
		struct stats_reader other = {0};
		bool is_file;

		stats_file_close(&reader);
		(void)unlinkat(tmp.fd, NAME, 0);
		(void)unlinkat(tmp.fd, NAME, AT_REMOVEDIR);
		fd_close(stats_file_create(tmp.fd, NAME, &some_identity));
		ck_assert_int_eq(stats_file_open(tmp.fd, NAME, &reader), 0);
		ck_assert_int_eq(unlinkat(tmp.fd, NAME, 0), 0);
		strangers[k].make();
		ck_assert_msg(stats_file_open(tmp.fd, NAME, &other) == (int)fault, "number %zu", k);
		ck_assert_ptr_null(other.page);
		/* Behind the back of an open reader: the mapping goes on, a recheck tells. */
		is_file = fault == STATS_FAULT_SIZE || fault == STATS_FAULT_UNREADABLE;
		ck_assert_int_eq(stats_file_recheck(&reader, tmp.fd, NAME),
				 is_file ? STATS_FAULT_REPLACED : fault);
		ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	}
}
END_TEST

START_TEST(ones_own_lack_is_not_the_files_fault)
{
	ck_assert_int_eq(stats_file_open(-1, NAME, &reader), -EBADF);
}
END_TEST

START_TEST(a_recheck_sees_a_cut_within_the_page_and_lost_permissions)
{
	ck_assert_int_eq(ftruncate(page_fd, 100), 0);
	ck_assert_int_eq(stats_file_recheck(&reader, tmp.fd, NAME), STATS_FAULT_SIZE);
	ck_assert_int_eq(ftruncate(page_fd, 256), 0);
	ck_assert_int_eq(stats_file_recheck(&reader, tmp.fd, NAME), STATS_FAULT_NONE);
	ck_assert_int_eq(fchmod(page_fd, 0), 0);
	ck_assert_int_eq(stats_file_recheck(&reader, tmp.fd, NAME), STATS_FAULT_UNREADABLE);
}
END_TEST

START_TEST(a_file_cut_to_nothing_does_not_kill_its_reader)
{
	ck_assert_int_eq(ftruncate(page_fd, 0), 0);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_TRUNCATED);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_TRUNCATED);
	ck_assert_int_eq(stats_file_open(tmp.fd, NAME, &reader), STATS_FAULT_SIZE);
}
END_TEST

START_TEST(a_cut_reader_can_be_opened_again_once_the_file_is_whole)
{
	struct stats_reader second;

	ck_assert_int_eq(stats_file_open(tmp.fd, NAME, &second), 0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(ftruncate(page_fd, 0), 0);
		ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_TRUNCATED);
		stats_file_close(&reader);
		fd_close(page_fd);
		page_fd = stats_file_create(tmp.fd, NAME, &some_identity);
		ck_assert_int_eq(stats_file_open(tmp.fd, NAME, &reader), 0);
		ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
	}
	ck_assert_int_eq(stats_file_read(&second, &snapshot), STATS_FAULT_TRUNCATED);
	stats_file_close(&second);
}
END_TEST

START_TEST(a_closed_reader_reads_nothing)
{
	stats_file_close(&reader);
	ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_MISSING);
	stats_file_close(&reader);
}
END_TEST

/* For a child that is to die: neither a report nor a core file. */
static void be_quiet(void)
{
	const struct rlimit no_core = {0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
}

/* Only the pages of stats files are forgiven: any other SIGBUS kills as ever. */
START_TEST(a_fault_elsewhere_still_kills)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int fd = fd_memfd("other", "x", 1);
		volatile char *other = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

		be_quiet();
		if (ftruncate(fd, 0) == 0) {
			(void)*other;
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(status != 0); /* a signal, or a sanitizer's report of it */
	child = fork();
	if (child == 0) {
		be_quiet();
		raise(SIGBUS);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(status != 0);
}
END_TEST

static enum stats_fault decode_with(size_t offset, const void *bytes, size_t len)
{
	unsigned char copy[STATS_FILE_SIZE] __attribute__((aligned(8)));

	memcpy(copy, page, sizeof(copy));
	memcpy(copy + offset, bytes, len);
	return stats_file_decode((const struct stats_page *)copy, &snapshot);
}

START_TEST(impossible_values_are_refused)
{
	static const int64_t minus_one = -1, minus_two = -2, huge = INT64_MAX;

	publish(1, 1, 1);
	ck_assert_int_eq(decode_with(0, "", 0), STATS_FAULT_NONE);
	ck_assert_int_eq(decode_with(64, "ZOOSTAT2", 8), STATS_FAULT_MAGIC);
	ck_assert_int_eq(decode_with(72, "\2", 1), STATS_FAULT_VERSION);
	ck_assert_int_eq(decode_with(74, "\1", 1), STATS_FAULT_VERSION);
	ck_assert_int_eq(decode_with(80, &minus_one, 4), STATS_FAULT_VALUES);
	ck_assert_int_eq(decode_with(96, &minus_one, 8), STATS_FAULT_VALUES);
	for (int i = 0; i < COUNTER_N; i++) {
		const struct counter_info *counter = &counter_table[i];
		const int64_t *bad = i == COUNTER_CURRENT_CHUNK ? &minus_two : &minus_one;

		ck_assert_msg(decode_with(counter->offset, bad, counter->size) ==
				      STATS_FAULT_VALUES,
			      "%s", counter->name);
	}
	ck_assert_int_eq(decode_with(8, &huge, 8), STATS_FAULT_VALUES);
	ck_assert_int_eq(decode_with(112, &huge, 8), STATS_FAULT_VALUES);
}
END_TEST

START_TEST(faults_and_phases_have_words)
{
	for (unsigned k = 0; k < STATS_N_FAULTS; k++) {
		ck_assert_uint_gt(strlen(stats_fault_message(k)), 0);
	}
	ck_assert_str_eq(stats_phase_name(STATS_PHASE_WAITING), "waiting");
	ck_assert_str_eq(stats_phase_name(STATS_N_PHASES), "unknown");
	ck_assert_str_eq(stats_phase_name(INT64_MIN), "unknown");
}
END_TEST

/* One of the worst workers: publishes, scribbles, cuts and mends its file without a rest. */
static void torment_file(void)
{
	uint64_t random = (uint64_t)getpid();

	for (;;) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		switch (random >> 61) {
		case 0:
			(void)!ftruncate(page_fd, 0);
			break;
		case 1:
			(void)!ftruncate(page_fd, (off_t)(random >> 40 & 511));
			break;
		case 2:
			(void)!pwrite(page_fd, &random, sizeof(random), random >> 40 & 255);
			break;
		case 3:
			fd_close(stats_file_create(tmp.fd, NAME, &some_identity));
			break;
		default:
			fd_close(page_fd);
			page_fd = openat(tmp.fd, NAME, O_RDWR | O_CLOEXEC);
		}
	}
}

START_TEST(a_worker_outlives_the_cutting_of_its_file)
{
	publish(1, 0, 0);
	ck_assert_int_eq(ftruncate(page_fd, 0), 0);
	publish(2, 0, 0);
	publish(3, 4, 5);
	ck_assert_int_eq(atomic_load(&page->total_processed), 12);
}
END_TEST

START_TEST(a_scribbling_truncating_worker_never_kills_its_reader)
{
	int64_t end = clock_monotonic_ns() + 2 * CLOCK_NS_PER_SEC;
	long n_seen[STATS_N_FAULTS] = {0};
	pid_t child = fork();

	if (child == 0) {
		torment_file();
	}
	while (clock_monotonic_ns() < end) {
		int r = stats_file_open(tmp.fd, NAME, &reader);

		for (int i = 0; r == 0 && i < 100; i++) {
			enum stats_fault fault = stats_file_read(&reader, &snapshot);

			ck_assert_uint_lt(fault, STATS_N_FAULTS);
			n_seen[fault]++;
			(void)stats_file_recheck(&reader, tmp.fd, NAME);
		}
		ck_assert_int_ge(r, 0);
		stats_file_close(&reader);
	}
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	/* Else the torment was none. */
	ck_assert_int_gt(n_seen[STATS_FAULT_NONE], 0);
	ck_assert_int_gt(n_seen[STATS_FAULT_TRUNCATED], 0);
	ck_assert_int_gt(n_seen[STATS_FAULT_MAGIC] + n_seen[STATS_FAULT_VALUES], 0);
}
END_TEST

/* The promise of the memory order; the raw page is read as a reader must, total first. */
START_TEST(a_reader_never_sees_a_total_above_its_parts)
{
	int64_t end = clock_monotonic_ns() + CLOCK_NS_PER_SEC, last = 0;
	pid_t child = fork();

	if (child == 0) {
		for (int64_t i = 0;; i++) {
			publish(i, i / 3, i / 7);
		}
	}
	while (clock_monotonic_ns() < end) {
		int64_t total = atomic_load_explicit(&reader.page->total_processed,
						     memory_order_acquire);

		ck_assert_int_eq(stats_file_read(&reader, &snapshot), STATS_FAULT_NONE);
		ck_assert_int_ge(snapshot.values[COUNTER_TOTAL_PROCESSED], total);
		ck_assert_int_ge(snapshot.values[COUNTER_TOTAL_PROCESSED], last);
		last = snapshot.values[COUNTER_TOTAL_PROCESSED];
	}
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_gt(last, 0);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, a_worker_outlives_the_cutting_of_its_file,
	       a_new_file_is_as_the_manual_says, what_is_published_stands_where_the_manual_says,
	       a_reader_sees_what_was_published_last,
	       the_total_is_the_sum_whatever_a_dead_writer_left,
	       a_restart_of_the_slot_replaces_the_file, a_failed_creation_leaves_nothing,
	       a_creator_that_was_killed_is_no_obstacle, only_256_bytes_are_mapped,
	       a_stranger_under_the_name_is_named_and_never_waited_for,
	       ones_own_lack_is_not_the_files_fault,
	       a_recheck_sees_a_cut_within_the_page_and_lost_permissions,
	       a_file_cut_to_nothing_does_not_kill_its_reader,
	       a_cut_reader_can_be_opened_again_once_the_file_is_whole,
	       a_closed_reader_reads_nothing, a_fault_elsewhere_still_kills,
	       impossible_values_are_refused, faults_and_phases_have_words,
	       a_scribbling_truncating_worker_never_kills_its_reader,
	       a_reader_never_sees_a_total_above_its_parts)
