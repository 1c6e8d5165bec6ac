/* SPDX-License-Identifier: MIT */
/*
 * Why mapped, and what that costs. A thousand workers at a hundred readings a second would spend
 * an eighth of a core on pread(2) alone; loads from a mapping cost next to nothing. The price is
 * SIGBUS: whoever may write the file may also cut it, and a load behind the end of a file kills
 * the reader. A named file can't be sealed against that, so a handler stands by while a page is
 * being copied: it puts a page of zeros in the mapping's place and returns, the load is repeated by
 * the processor and succeeds, and the copy is thrown away. No jump out of a handler, no memory in
 * doubt. A fault anywhere else is given to whoever handled SIGBUS before.
 *
 * A worker's stores are guarded in the same way: whoever cuts its file takes its numbers off the
 * screen, and not a row of its work.
 *
 * The page is copied first and judged then: what is judged can't change under the judgement.
 */
#include "common/model/stats_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/fd.h"

enum { STATS_FILE_MODE = 0640 };

const char *stats_phase_name(int64_t phase)
{
	static const char *const names[STATS_N_PHASES] = {
		[STATS_PHASE_STARTING] = "starting",	 [STATS_PHASE_READING] = "reading",
		[STATS_PHASE_CONVERTING] = "converting", [STATS_PHASE_WAITING] = "waiting",
		[STATS_PHASE_WRITING] = "writing",
	};

	return phase >= 0 && phase < STATS_N_PHASES ? names[phase] : "unknown";
}

static void stats_page_init(struct stats_page *page, const struct stats_identity *identity)
{
	memset(page, 0, sizeof(*page));
	memcpy(page->magic, STATS_MAGIC, sizeof(page->magic));
	page->version = STATS_VERSION;
	page->file_size = STATS_FILE_SIZE;
	page->slot = identity->slot;
	page->pid = identity->pid;
	page->generation = identity->generation;
	page->start_ticks = identity->start_ticks;
	page->started_at = (uint64_t)identity->started_at_ns;
	page->current_chunk = -1;
}

/* All blocks are allocated here: a full tmpfs fails the creation, not a store years later. */
static int stats_file_fill(int fd, const struct stats_identity *identity)
{
	struct stats_page page;
	int r;

	r = posix_fallocate(fd, 0, STATS_FILE_SIZE);
	if (r != 0) {
		return -r;
	}
	stats_page_init(&page, identity);
	r = fd_pwrite_all(fd, &page, sizeof(page), 0);
	if (r < 0) {
		return r;
	}
	return fchmod(fd, STATS_FILE_MODE) < 0 ? -errno : 0;
}

int stats_file_create(int dirfd, const char *name, const struct stats_identity *identity)
{
	CLEANUP(fd_closep) int fd = -1;
	char temporary[NAME_MAX + 1];
	int n, r;

	n = snprintf(temporary, sizeof(temporary), ".%s.tmp", name);
	if (n >= (int)sizeof(temporary)) {
		return -ENAMETOOLONG;
	}
	/* A creator that was killed may have left one. */
	(void)unlinkat(dirfd, temporary, 0);
	fd = openat(dirfd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		return -errno;
	}
	r = stats_file_fill(fd, identity);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0) {
		r = -errno;
	}
	if (r < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return r;
	}
	return TAKE_FD(fd);
}

/* The page that is being copied right now. A process reads one at a time: it has one thread. */
static const struct stats_page *volatile guarded_page;
static volatile sig_atomic_t guard_was_hit;
/* The page that this process writes, if it is a worker: it has one. */
static const struct stats_page *volatile own_page;
static struct sigaction previous_action;

/* Puts zeros in the place of `page` if the fault lies in it. */
static bool replace_if_hit(const struct stats_page *page, uintptr_t address, int protection)
{
	uintptr_t start = (uintptr_t)page;

	return page != NULL && address >= start && address < start + sizeof(*page) &&
	       mmap((void *)start, sizeof(*page), protection,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static void stats_file_on_sigbus(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	int saved_errno = errno;

	(void)context;
	/* A positive si_code is the kernel's: a real fault, with an address. */
	if (info->si_code > 0 && replace_if_hit(guarded_page, address, PROT_READ)) {
		guard_was_hit = 1;
		errno = saved_errno;
		return;
	}
	if (info->si_code > 0 && replace_if_hit(own_page, address, PROT_READ | PROT_WRITE)) {
		errno = saved_errno;
		return;
	}
	/* Not ours: the load repeats, or the signal is sent again, into the old disposition. */
	(void)sigaction(SIGBUS, &previous_action, NULL);
	if (info->si_code <= 0) {
		(void)raise(signal_number);
	}
	errno = saved_errno;
}

static int stats_file_install_guard(void)
{
	static bool is_installed;
	struct sigaction action = {.sa_sigaction = stats_file_on_sigbus, .sa_flags = SA_SIGINFO};

	if (is_installed) {
		return 0;
	}
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &previous_action) < 0) {
		return -errno;
	}
	is_installed = true;
	return 0;
}

int stats_file_map(int fd, struct stats_page **ret_page)
{
	struct stat st;
	void *page;
	int r;

	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode) || st.st_size != STATS_FILE_SIZE) {
		return -EINVAL;
	}
	r = stats_file_install_guard();
	if (r < 0) {
		return r;
	}
	page = mmap(NULL, STATS_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		return -errno;
	}
	own_page = page;
	*ret_page = page;
	return 0;
}

void stats_file_unmap(struct stats_page *page)
{
	if (page != NULL) {
		own_page = NULL;
		(void)munmap(page, STATS_FILE_SIZE);
	}
}

void stats_page_set_process(struct stats_page *page, pid_t pid, uint64_t start_ticks)
{
	STATS_STORE_(page, start_ticks, start_ticks);
	STATS_STORE_(page, pid, pid);
}

const char *stats_fault_message(enum stats_fault fault)
{
	static const char *const messages[STATS_N_FAULTS] = {
		[STATS_FAULT_NONE] = "is valid",
		[STATS_FAULT_MISSING] = "does not exist",
		[STATS_FAULT_UNREADABLE] = "cannot be read",
		[STATS_FAULT_NOT_REGULAR] = "is not a regular file",
		[STATS_FAULT_SIZE] = "has not the size of a stats file",
		[STATS_FAULT_TRUNCATED] = "was truncated while in use",
		[STATS_FAULT_MAGIC] = "is not a stats file",
		[STATS_FAULT_VERSION] = "has another layout version",
		[STATS_FAULT_VALUES] = "holds impossible values",
		[STATS_FAULT_REPLACED] = "was replaced while in use",
	};

	return fault < STATS_N_FAULTS ? messages[fault] : "is invalid";
}

static int64_t stats_page_value(const struct stats_page *page, const struct counter_info *counter)
{
	const char *at = (const char *)page + counter->offset;
	int64_t wide;
	int32_t narrow;

	if (counter->size == sizeof(narrow)) {
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

static bool stats_page_take_values(const struct stats_page *page, int64_t values[static COUNTER_N])
{
	int64_t sum;

	for (int i = 0; i < COUNTER_N; i++) {
		values[i] = stats_page_value(page, &counter_table[i]);
		if (values[i] < (i == COUNTER_CURRENT_CHUNK ? -1 : 0)) {
			return false;
		}
	}
	if (__builtin_add_overflow(values[COUNTER_SUCCESS_COUNT], values[COUNTER_ERROR_COUNT],
				   &sum) ||
	    __builtin_add_overflow(sum, values[COUNTER_FILTERED], &sum)) {
		return false;
	}
	values[COUNTER_TOTAL_PROCESSED] = sum;
	return true;
}

enum stats_fault stats_file_decode(const struct stats_page *page, struct stats_snapshot *ret)
{
	struct stats_snapshot snapshot;

	if (memcmp(page->magic, STATS_MAGIC, sizeof(page->magic)) != 0) {
		return STATS_FAULT_MAGIC;
	}
	if (page->version != STATS_VERSION || page->file_size != STATS_FILE_SIZE) {
		return STATS_FAULT_VERSION;
	}
	if (page->pid < 0 || page->started_at > INT64_MAX ||
	    !stats_page_take_values(page, snapshot.values)) {
		return STATS_FAULT_VALUES;
	}
	snapshot.identity = (struct stats_identity){
		.slot = page->slot,
		.generation = page->generation,
		.pid = page->pid,
		.start_ticks = page->start_ticks,
		.started_at_ns = (int64_t)page->started_at,
	};
	*ret = snapshot;
	return STATS_FAULT_NONE;
}

/*
 * Word by word from the front, each in one load: a counter is never torn, and total_processed, the
 * first, is loaded with acquire before those that it counts. False: the file ends before the page.
 */
static bool stats_page_copy(const struct stats_page *page, struct stats_page *ret_copy)
{
	const _Atomic uint64_t *from = (const _Atomic uint64_t *)page;
	uint64_t words[STATS_FILE_SIZE / sizeof(uint64_t)];

	guard_was_hit = 0;
	guarded_page = page;
	atomic_signal_fence(memory_order_seq_cst);
	words[0] = atomic_load_explicit(&from[0], memory_order_acquire);
	for (size_t i = 1; i < ARRAY_SIZE(words); i++) {
		words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	}
	atomic_signal_fence(memory_order_seq_cst);
	guarded_page = NULL;
	memcpy(ret_copy, words, sizeof(words));
	return guard_was_hit == 0;
}

static enum stats_fault stats_file_judge(const struct stat *st)
{
	if (!S_ISREG(st->st_mode)) {
		return STATS_FAULT_NOT_REGULAR;
	}
	/* Root could read it all the same; the answer must not depend on who asks. */
	if ((st->st_mode & (S_IRUSR | S_IRGRP | S_IROTH)) == 0) {
		return STATS_FAULT_UNREADABLE;
	}
	return st->st_size == STATS_FILE_SIZE ? STATS_FAULT_NONE : STATS_FAULT_SIZE;
}

/* What a failed open or stat says about the file; the rest is the caller's own trouble. */
static int stats_file_fault_of_errno(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return STATS_FAULT_MISSING;
	case ELOOP: /* a symbolic link */
	case ENXIO: /* a socket */
		return STATS_FAULT_NOT_REGULAR;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EBADF:
		return -error;
	default:
		return STATS_FAULT_UNREADABLE;
	}
}

int stats_file_open(int dirfd, const char *name, struct stats_reader *ret_reader)
{
	CLEANUP(fd_closep) int fd = -1;
	struct stat st;
	void *page;
	int r;

	r = stats_file_install_guard();
	if (r < 0) {
		return r;
	}
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		return stats_file_fault_of_errno(errno);
	}
	r = stats_file_judge(&st);
	if (r != STATS_FAULT_NONE) {
		return r;
	}
	page = mmap(NULL, STATS_FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		return stats_file_fault_of_errno(errno);
	}
	*ret_reader = (struct stats_reader){
		.page = page,
		.device = st.st_dev,
		.inode = st.st_ino,
	};
	return 0;
}

void stats_file_close(struct stats_reader *reader)
{
	if (reader->page != NULL) {
		(void)munmap((void *)(uintptr_t)reader->page, STATS_FILE_SIZE);
	}
	*reader = (struct stats_reader){0};
}

enum stats_fault stats_file_read(struct stats_reader *reader, struct stats_snapshot *ret)
{
	struct stats_page copy;

	if (reader->page == NULL) {
		return STATS_FAULT_MISSING;
	}
	if (reader->is_truncated || !stats_page_copy(reader->page, &copy)) {
		reader->is_truncated = true;
		return STATS_FAULT_TRUNCATED;
	}
	return stats_file_decode(&copy, ret);
}

enum stats_fault stats_file_recheck(const struct stats_reader *reader, int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = stats_file_fault_of_errno(errno);

		return r > 0 ? (enum stats_fault)r : STATS_FAULT_UNREADABLE;
	}
	if (!S_ISREG(st.st_mode)) {
		return STATS_FAULT_NOT_REGULAR;
	}
	if (st.st_dev != reader->device || st.st_ino != reader->inode) {
		return STATS_FAULT_REPLACED;
	}
	return stats_file_judge(&st);
}
