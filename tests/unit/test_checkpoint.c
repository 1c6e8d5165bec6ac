/* SPDX-License-Identifier: MIT */
/* Checkpoints with a real storage process. Their order on the disk is a chaos test's to see. */
#include "tests/support/storage_fixture.h"

#include <sys/stat.h>

#include "common/util/clock.h"
#include "common/util/log.h"
#include "daemon/sched/checkpoint.h"
#include "daemon/sched/plan_file.h"

static struct sched_env env;
static struct checkpoint *checkpoint;
static int job_dir_fd, run_dir_fd, output_fd;
static unsigned n_taken, n_written, n_failed, n_settled, n_wanted;
static unsigned n_news; /* how many accounts there are to be taken */

static int take(void *userdata, struct buf *out)
{
	static const struct fold_state lane = {.rows = 1};
	static const uint64_t inodes[2];
	struct account account = {.lanes = &lane, .inodes = inodes, .n_lanes = 1};

	if (n_taken == n_news) {
		loop_exit(fixture.loop, 0);
		return 0;
	}
	account.sequence = ++n_taken;
	ck_assert_int_eq(buf_reserve(out, account_size(1)), 0);
	account_encode(&account, out->data + out->len);
	out->len += account_size(1);
	return 1;
}

static void on_written(void *userdata)
{
	if (++n_written == n_wanted) {
		loop_exit(fixture.loop, 0);
	}
}

static void on_failed(void *userdata, int status)
{
	ck_assert_int_eq(status, -EINVAL);
	n_failed++;
	loop_exit(fixture.loop, 0);
}

static void on_settled(void *userdata)
{
	n_settled++;
	loop_exit(fixture.loop, 0);
}

static void begin(int64_t interval_ns)
{
	const struct checkpoint_options options = {
		.env = &env,
		.storage = fixture.storage,
		.job_id = "x",
		.job_dir_fd = job_dir_fd,
		.run_dir_fd = run_dir_fd,
		.output_fds = &output_fd,
		.n_output_fds = 1,
		.take = take,
		.written = on_written,
		.failed = on_failed,
	};

	env.options.checkpoint_interval_ns = interval_ns;
	ck_assert_int_eq(checkpoint_new(&options, &checkpoint), 0);
}

static void run_until_written(unsigned n)
{
	n_wanted = n;
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_uint_eq(n_written, n);
}

static void setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	fixture_setup();
	env = (struct sched_env){.loop = fixture.loop};
	job_dir_fd = make_dir(fixture.dir_fd, "job");
	run_dir_fd = make_dir(fixture.dir_fd, "run");
	make_file(run_dir_fd, PLAN_FILE_NAME, "the plan");
	make_file(fixture.dir_fd, "out", "rows");
	output_fd = openat(fixture.dir_fd, "out", O_RDWR | O_CLOEXEC);
	n_taken = n_written = n_failed = n_settled = 0;
	n_news = 1000;
}

static void teardown(void)
{
	storage_free(fixture.storage);
	fixture.storage = NULL;
	checkpoint = checkpoint_free(checkpoint);
	fd_close(job_dir_fd);
	fd_close(run_dir_fd);
	fd_close(output_fd);
	fixture_teardown();
}

static void assert_newest(uint64_t sequence, unsigned next_record)
{
	struct account account;
	unsigned next;

	ck_assert_int_eq(checkpoint_read(job_dir_fd, &account, &next), 0);
	ck_assert_uint_eq(account.sequence, sequence);
	ck_assert_uint_eq(next, next_record);
	account_deinit(&account);
}

START_TEST(the_plan_is_saved_and_two_records_take_turns)
{
	begin(CLOCK_NS_PER_MS);
	run_until_written(1);
	assert_file(job_dir_fd, PLAN_FILE_NAME, "the plan");
	assert_newest(1, 1);
	run_until_written(2);
	assert_newest(2, 0);
	run_until_written(3);
	assert_newest(3, 1);
	ck_assert_int_eq(count_entries(job_dir_fd), 3);
}
END_TEST

START_TEST(what_could_not_be_written_does_not_count_and_is_tried_in_the_same_place)
{
	struct stat st;

	begin(CLOCK_NS_PER_MS);
	run_until_written(1);
	fd_close(make_dir(job_dir_fd, "checkpoint-1"));
	n_news = 3; /* two more are taken, then the loop ends */
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_uint_eq(n_taken, 3);
	ck_assert_uint_eq(n_written, 1);
	assert_newest(1, 1);
	ck_assert_int_eq(unlinkat(job_dir_fd, "checkpoint-1", AT_REMOVEDIR), 0);
	n_news = 1000;
	run_until_written(2);
	ck_assert_int_eq(fstatat(job_dir_fd, "checkpoint-1", &st, 0), 0);
	ck_assert(S_ISREG(st.st_mode));
	assert_newest(n_taken, 0);
}
END_TEST

START_TEST(rows_that_cannot_be_synced_are_told_once_and_never_recorded)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	output_fd = fd_close(output_fd);
	output_fd = ends[1];
	begin(CLOCK_NS_PER_MS);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	checkpoint_now(checkpoint);
	ck_assert_uint_eq(n_taken, 1);
	ck_assert_uint_eq(n_failed, 1);
	ck_assert_uint_eq(n_written, 0);
	ck_assert_int_eq(count_entries(job_dir_fd), 1); /* the plan */
	fd_close(ends[0]);
}
END_TEST

START_TEST(nothing_new_is_not_written)
{
	n_news = 0;
	begin(CLOCK_NS_PER_MS);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_int_eq(count_entries(job_dir_fd), 0);
}
END_TEST

START_TEST(the_last_one_is_waited_for_and_no_other_begins)
{
	begin(3600 * CLOCK_NS_PER_SEC);
	checkpoint_now(checkpoint);
	ck_assert(!checkpoint_settle(checkpoint, on_settled, NULL));
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_uint_eq(n_settled, 1);
	ck_assert_uint_eq(n_written, 1);
	assert_newest(1, 1);
	checkpoint_now(checkpoint);
	ck_assert_uint_eq(n_taken, 1);
	ck_assert(checkpoint_settle(checkpoint, on_settled, NULL));
}
END_TEST

START_TEST(a_job_that_has_ended_gets_no_record)
{
	begin(3600 * CLOCK_NS_PER_SEC);
	checkpoint_now(checkpoint);
	checkpoint_give_up(checkpoint);
	for (int i = 0; i < 8; i++) { /* each lets the step that is under way end */
		ask(request_of(STORAGE_UNLINK, "none", NULL), &job_dir_fd, 1);
	}
	ck_assert_int_eq(count_entries(job_dir_fd), 1); /* the plan */
	ck_assert_uint_eq(n_written, 0);
}
END_TEST

START_TEST(a_torn_record_leaves_the_one_before)
{
	struct account account;
	unsigned next;

	begin(CLOCK_NS_PER_MS);
	run_until_written(2);
	CLEANUP(fd_closep) int fd = openat(job_dir_fd, "checkpoint-1", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, 40), 0);
	assert_newest(1, 1);
	ck_assert_int_eq(unlinkat(job_dir_fd, "checkpoint-0", 0), 0);
	ck_assert_int_eq(checkpoint_read(job_dir_fd, &account, &next), -ENOENT);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return storage_main(argc - 2, argv + 2);
	}
	const TTest *tests[] = {
		the_plan_is_saved_and_two_records_take_turns,
		what_could_not_be_written_does_not_count_and_is_tried_in_the_same_place,
		rows_that_cannot_be_synced_are_told_once_and_never_recorded,
		nothing_new_is_not_written,
		the_last_one_is_waited_for_and_no_other_begins,
		a_job_that_has_ended_gets_no_record,
		a_torn_record_leaves_the_one_before,
	};
	return unit_run("checkpoint", tests, ARRAY_SIZE(tests), setup, teardown);
}
