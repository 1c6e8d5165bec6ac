/* SPDX-License-Identifier: MIT */
/*
 * Which paths a worker can still open once it is locked in; and what becomes of it on kernels that
 * have less, or that fail.
 */
#include "tests/support/locked_in.h"

#include <linux/openat2.h>

#include "common/util/log.h"

/* --- paths ------------------------------------------------------------------------------------ */

static bool is_refused(long result)
{
	return result == -EACCES;
}

static int open_beneath(int fd, const char *path, int flags)
{
	return fd_open_beneath(fd, path, flags, flags & O_CREAT ? 0600 : 0);
}

static int open_anywhere(const char *path, int flags)
{
	const struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static void convert_reads_its_file(const void *argument)
{
	CLEANUP(fd_closep) int allowed = open_beneath(in_fd, "file", O_PATH);
	CLEANUP(fd_closep) int old_fd = open_beneath(in_fd, "other", O_RDWR);
	char text[8] = "";

	lock_in(SYSCALL_FILTER_CONVERT, allowed);
	CLEANUP(fd_closep) int fd = open_beneath(in_fd, "file", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	EXPECT(fd >= 0);
	EXPECT(fd_pread_full(fd, text, sizeof(text) - 1, 0) == 2);
	EXPECT(is_refused(open_beneath(in_fd, "file", O_RDWR)));
	EXPECT(is_refused(open_beneath(in_fd, "file", O_WRONLY)));
	EXPECT(is_refused(open_beneath(in_fd, "other", O_RDONLY)));
	EXPECT(is_refused(open_beneath(in_fd, "new", O_CREAT | O_WRONLY)));
	EXPECT(is_refused(open_beneath(in_fd, ".", O_RDONLY | O_DIRECTORY)));
	EXPECT(is_refused(open_beneath(out_fd, "file", O_RDONLY)));
	EXPECT(is_refused(open_anywhere("/etc/passwd", O_RDONLY)));
	EXPECT(is_refused(open_anywhere("/proc/self/mem", O_RDWR)) || ZOOPARALLEL_IS_SANITIZED);
	EXPECT(is_refused(open_anywhere("/proc/1/environ", O_RDONLY)));
	/* What was open stays what it was. */
	EXPECT(fd_pwrite_all(old_fd, "more", 4, 0) == 0);
	EXPECT(fd_pread_full(old_fd, text, sizeof(text) - 1, 0) == 4);
}

START_TEST(a_converting_worker_opens_its_inputs_and_nothing_else)
{
	if (has_landlock()) {
		assert_well(run(convert_reads_its_file, NULL));
	}
}
END_TEST

static void prepare_reads_its_root(const void *argument)
{
	struct dirent *entry;
	int n = 0;

	lock_in(SYSCALL_FILTER_PREPARE, in_fd);
	int fd = open_beneath(in_fd, ".", O_RDONLY | O_DIRECTORY);
	EXPECT(fd >= 0);
	DIR *dir = fdopendir(fd);
	EXPECT(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		n++;
	}
	closedir(dir);
	EXPECT(n == 4);
	CLEANUP(fd_closep) int file = open_beneath(in_fd, "other", O_RDONLY);
	EXPECT(file >= 0);
	EXPECT(is_refused(open_beneath(in_fd, "other", O_WRONLY)));
	EXPECT(is_refused(open_beneath(in_fd, "new", O_CREAT | O_WRONLY)));
	EXPECT(is_refused(open_beneath(out_fd, ".", O_RDONLY | O_DIRECTORY)));
	EXPECT(is_refused(open_beneath(out_fd, "file", O_RDONLY)));
	EXPECT(is_refused(open_anywhere("/etc/passwd", O_RDONLY)));
}

START_TEST(a_preparing_worker_reads_below_its_roots_and_nothing_else)
{
	if (has_landlock()) {
		assert_well(run(prepare_reads_its_root, NULL));
	}
}
END_TEST

static void storage_keeps_its_folder(const void *argument)
{
	lock_in(SYSCALL_FILTER_STORAGE, in_fd);
	EXPECT(mkdirat(in_fd, "new", 0755) == 0);
	CLEANUP(fd_closep) int dir = openat(in_fd, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT(dir >= 0);
	/* Whatever a user has put into the spool can be moved out of the way. */
	EXPECT(renameat2(in_fd, "file", dir, "moved", RENAME_NOREPLACE) == 0);
	EXPECT(renameat2(in_fd, "fifo", dir, "fifo", RENAME_NOREPLACE) == 0);
	EXPECT(renameat2(in_fd, "link", dir, "link", RENAME_NOREPLACE) == 0);
	CLEANUP(fd_closep) int fd = openat(dir, "moved", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, 1) == 0 && fsync(fd) == 0 && fchmod(fd, 0640) == 0);
	EXPECT(unlinkat(dir, "moved", 0) == 0 && unlinkat(dir, "fifo", 0) == 0);
	EXPECT(unlinkat(dir, "link", 0) == 0 && unlinkat(in_fd, "new", AT_REMOVEDIR) == 0);
	EXPECT(openat(out_fd, "file", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(unlinkat(out_fd, "file", 0) < 0 && errno == EACCES);
	EXPECT(mkdirat(out_fd, "new", 0755) < 0 && errno == EACCES);
	EXPECT(renameat2(in_fd, "other", out_fd, "other", 0) < 0);
	EXPECT(renameat2(out_fd, "file", in_fd, "stolen", 0) < 0);
	EXPECT(openat(AT_FDCWD, "/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
}

START_TEST(a_storage_process_keeps_its_folders_and_nothing_else)
{
	struct landlock landlock;

	if (landlock_open(LANDLOCK_ABI_THAT_MOVES_FILES, &landlock) == 0) {
		landlock_close(&landlock);
		ck_assert_int_eq(mkfifoat(in_fd, "fifo", 0600), 0);
		ck_assert_int_eq(symlinkat("/etc/passwd", in_fd, "link"), 0);
		assert_well(run(storage_keeps_its_folder, NULL));
	}
}
END_TEST

/* --- kernels that have less, or fail ---------------------------------------------------------- */

static void lock_in_with_debug_log(const void *argument)
{
	log_set_level(LOG_LEVEL_DEBUG);
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	CLEANUP(fd_closep) int fd = open_beneath(out_fd, "file", O_RDONLY);
	dprintf(STDERR_FILENO, "%s", fd < 0 ? "shut" : "open");
}

static void call_what_is_filtered(const void *argument)
{
	log_set_level(LOG_LEVEL_DEBUG);
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
	true_syscall(SYS_getuid, (long[6]){0});
}

static void prepare_with_usual_log(const void *argument)
{
	lock_in(SYSCALL_FILTER_PREPARE, in_fd);
}

START_TEST(a_kernel_without_landlock_is_borne_and_said)
{
	static const int errors[] = {ENOSYS, EOPNOTSUPP, EPERM};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fault.number = SYS_landlock_create_ruleset;
		fault.error = errors[i];
		struct outcome outcome = run(lock_in_with_debug_log, NULL);
		assert_well(outcome);
		ck_assert_ptr_nonnull(strstr(outcome.said, "debug: this kernel has no Landlock"));
		ck_assert_ptr_nonnull(strstr(outcome.said, "open"));
	}
}
END_TEST

START_TEST(a_kernel_without_filters_is_borne_and_said)
{
	static const int errors[] = {ENOSYS, EINVAL, EPERM};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fault.number = SYS_seccomp;
		fault.error = errors[i];
		struct outcome outcome = run(call_what_is_filtered, NULL);
		assert_well(outcome);
		ck_assert_ptr_nonnull(strstr(outcome.said, "debug: no filter of system calls"));
	}
}
END_TEST

START_TEST(what_a_kernel_lacks_is_a_notice_for_each_job)
{
	fault.number = SYS_landlock_create_ruleset;
	fault.error = ENOSYS;
	struct outcome outcome = run(prepare_with_usual_log, NULL);
	assert_well(outcome);
	ck_assert_ptr_nonnull(strstr(outcome.said, "notice: this kernel has no Landlock"));
	fault.number = SYS_seccomp;
	outcome = run(prepare_with_usual_log, NULL);
	assert_well(outcome);
	ck_assert_ptr_nonnull(strstr(outcome.said, "notice: no filter of system calls"));
}
END_TEST

static void lock_in_only(const void *argument)
{
	lock_in(SYSCALL_FILTER_CONVERT, in_fd);
}

START_TEST(who_cannot_lock_himself_in_refuses_to_work)
{
	static const struct {
		long number;
		int error, n_before;
		bool is_of_filters;
	} faults[] = {
		{SYS_landlock_create_ruleset, ENOMEM, 0, false},
		{SYS_landlock_create_ruleset, EINVAL, 1, false},
		{SYS_landlock_create_ruleset, ENOSYS, 1, false},
		{SYS_landlock_add_rule, EPERM, 0, false},
		{SYS_landlock_add_rule, EOPNOTSUPP, 0, false},
		{SYS_landlock_restrict_self, EPERM, 0, false},
		{SYS_landlock_restrict_self, E2BIG, 0, false},
		{SYS_seccomp, ENOMEM, 1, true},
		{SYS_seccomp, EINVAL, 1, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		if (faults[i].is_of_filters ? !has_filters() : !has_landlock()) {
			continue;
		}
		fault.number = faults[i].number;
		fault.error = faults[i].error;
		fault.n_before = faults[i].n_before;
		struct outcome outcome = run(lock_in_only, NULL);
		fault.error = 0;
		ck_assert_msg(WIFEXITED(outcome.status) &&
				      WEXITSTATUS(outcome.status) == EXIT_REFUSES_TO_WORK,
			      "fault %zu: status %x: %s", i, outcome.status, outcome.said);
		/* What may pass is tried again: that is what the reason is for. */
		ck_assert_ptr_nonnull(strstr(
			outcome.said, faults[i].error == ENOMEM ? "io_error: " : "internal: "));
		ck_assert_ptr_nonnull(strstr(outcome.said, "refuses to work"));
		ck_assert_ptr_nonnull(strstr(outcome.said, strerror(faults[i].error)));
	}
}
END_TEST

/* What each version handles, from the kernel's documentation. */
START_TEST(an_older_landlock_is_asked_for_what_it_has)
{
	static const struct {
		long abi;
		size_t size;
		uint64_t access, net, scoped;
	} versions[] = {
		{1, 8, 0x1fff, 0, 0},	    {2, 8, 0x3fff, 0, 0},    {3, 8, 0x7fff, 0, 0},
		{4, 16, 0x7fff, 0x3, 0},    {5, 16, 0xffff, 0x3, 0}, {6, 24, 0xffff, 0x3, 0x3},
		{99, 24, 0xffff, 0x3, 0x3},
	};
	struct landlock landlock = LANDLOCK_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		pretended_abi = versions[i].abi;
		int r = landlock_open(1, &landlock);
		ck_assert(r <= 0); /* the true kernel may be older than what is pretended */
		ck_assert_uint_eq(ruleset.size, versions[i].size);
		ck_assert_uint_eq(ruleset.access, versions[i].access);
		ck_assert_uint_eq(ruleset.net, versions[i].net);
		ck_assert_uint_eq(ruleset.scoped, versions[i].scoped);
		landlock_close(&landlock);
	}
	pretended_abi = 1;
	ck_assert_int_eq(landlock_open(LANDLOCK_ABI_THAT_MOVES_FILES, &landlock),
			 LANDLOCK_IS_MISSING);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, a_converting_worker_opens_its_inputs_and_nothing_else,
	       a_preparing_worker_reads_below_its_roots_and_nothing_else,
	       a_storage_process_keeps_its_folders_and_nothing_else,
	       a_kernel_without_landlock_is_borne_and_said,
	       a_kernel_without_filters_is_borne_and_said,
	       what_a_kernel_lacks_is_a_notice_for_each_job,
	       who_cannot_lock_himself_in_refuses_to_work,
	       an_older_landlock_is_asked_for_what_it_has)
