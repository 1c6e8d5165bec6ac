/* SPDX-License-Identifier: MIT */
/* A batch with real files and a storage process that dies on the way. */
#include "tests/support/storage_killer.h"

#include <sys/resource.h>

#include "common/util/clock.h"
#include "daemon/sched/batch.h"

static struct batch *batch;
static int n_ends, end_status;

static void on_end(void *userdata, int status)
{
	n_ends++;
	end_status = status;
	batch = batch_free(batch);
	loop_exit(fixture.loop, 0);
}

static void setup(void)
{
	fixture_setup();
	n_ends = 0;
	ck_assert_int_eq(batch_new(fixture.loop, fixture.storage, "x", on_end, NULL, &batch), 0);
}

static void run_batch(void)
{
	batch_seal(batch);
	ck_assert_int_eq(n_ends, 0);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_int_eq(n_ends, 1);
}

/* One of each that may be repeated. */
enum { N_REQUESTS = 4 };

static void add_requests(void)
{
	make_file(fixture.dir_fd, "from", "moved");
	make_file(fixture.dir_fd, "old", "");
	fd_close(make_dir(fixture.dir_fd, "tree"));
	batch_rename(batch, fixture.dir_fd, "from", fixture.dir_fd, "to");
	batch_unlink(batch, fixture.dir_fd, "old");
	batch_remove_tree(batch, fixture.dir_fd, "tree");
	batch_write(batch, fixture.dir_fd, "text", "written", 7);
}

static void assert_all_done(void)
{
	ck_assert_int_eq(end_status, 0);
	assert_file(fixture.dir_fd, "to", "moved");
	assert_file(fixture.dir_fd, "text", "written");
	ck_assert_int_eq(count_entries(fixture.dir_fd), 2);
}

START_TEST(a_batch_ends_once_when_all_is_done)
{
	add_requests();
	run_batch();
	assert_all_done();
}
END_TEST

START_TEST(what_a_dead_storage_left_undone_is_done)
{
	for (unsigned n = 1; n <= N_REQUESTS; n++) {
		for (int is_late = 0; is_late <= 1; is_late++) {
			if (n == 1 && !is_late) {
				continue; /* the killer knows no such point */
			}
			killer_arm(n, is_late);
			add_requests();
			run_batch();
			ck_assert(killer_has_struck());
			assert_all_done();
			fixture_teardown();
			setup();
		}
	}
}
END_TEST

static struct rlimit limit; /* of before */

static void lack_fds(void)
{
	struct rlimit none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = 4, .rlim_max = limit.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void on_relief(void *userdata, int64_t now_ns)
{
	ck_assert_int_eq(n_ends, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(what_finds_no_descriptors_waits_for_them)
{
	struct loop_source *timer = NULL;

	ck_assert_int_eq(loop_add_timer(fixture.loop, on_relief, NULL, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(timer, clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS), 0);
	make_file(fixture.dir_fd, "old", "");
	fd_close(make_dir(fixture.dir_fd, "tree"));
	lack_fds();
	batch_unlink(batch, fixture.dir_fd, "old");
	batch_remove_tree(batch, fixture.dir_fd, "tree");
	run_batch();
	loop_source_free(timer);
	ck_assert_int_eq(end_status, 0);
	ck_assert(!file_exists(fixture.dir_fd, "old"));
	ck_assert(!file_exists(fixture.dir_fd, "tree"));
}
END_TEST

/* In another order the file would be gone. */
START_TEST(what_had_to_wait_is_done_in_the_order_it_was_asked_for)
{
	struct loop_source *timer = NULL;

	ck_assert_int_eq(loop_add_timer(fixture.loop, on_relief, NULL, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(timer, clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS), 0);
	make_file(fixture.dir_fd, "a", "text");
	lack_fds();
	batch_rename(batch, fixture.dir_fd, "a", fixture.dir_fd, "b");
	batch_rename(batch, fixture.dir_fd, "b", fixture.dir_fd, "c");
	batch_rename(batch, fixture.dir_fd, "c", fixture.dir_fd, "d");
	run_batch();
	loop_source_free(timer);
	ck_assert_int_eq(end_status, 0);
	assert_file(fixture.dir_fd, "d", "text");
}
END_TEST

START_TEST(an_fsync_that_was_lost_is_not_repeated)
{
	killer_arm(1, true);
	make_file(fixture.dir_fd, "file", "text");
	CLEANUP(fd_closep) int fd = openat(fixture.dir_fd, "file", O_RDWR | O_CLOEXEC);
	batch_finish_file(batch, fd, 4);
	run_batch();
	ck_assert_int_eq(end_status, -EIO);
}
END_TEST

START_TEST(a_rename_of_nothing_is_a_failure)
{
	batch_rename(batch, fixture.dir_fd, "none", fixture.dir_fd, "to");
	run_batch();
	ck_assert_int_eq(end_status, -ENOENT);
}
END_TEST

static void teardown(void)
{
	storage_free(fixture.storage);
	fixture.storage = NULL;
	batch = batch_free(batch);
	fixture_teardown();
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		return storage_main(argc - 2, argv + 2);
	}
	const TTest *tests[] = {
		a_batch_ends_once_when_all_is_done,
		what_a_dead_storage_left_undone_is_done,
		what_finds_no_descriptors_waits_for_them,
		what_had_to_wait_is_done_in_the_order_it_was_asked_for,
		an_fsync_that_was_lost_is_not_repeated,
		a_rename_of_nothing_is_a_failure,
	};
	return unit_run("batch", tests, ARRAY_SIZE(tests), setup, teardown);
}
