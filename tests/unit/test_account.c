/* SPDX-License-Identifier: MIT */
#include "daemon/sched/account.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/sched/account_pages.h"
#include "daemon/sched/checkpoint.h"
#include "daemon/sched/resume.h"
#include "tests/support/tmpdir.h"
#include "tests/support/unit.h"

static const struct fold_state lanes[] = {
	{.n_folded = 3, .rows = 10, .success = 8, .error = 2, .out_end = 100, .err_end = 20},
	{.n_folded = 1, .rows = 5, .success = 5, .out_end = 50, .is_ended = true},
};
static const uint64_t inodes[] = {11, 12, 21, 22};

static struct account sample(uint64_t sequence)
{
	return (struct account){
		.sequence = sequence,
		.build_id = 7,
		.boot_id = "boot",
		.plan_checksum = 8,
		.saved_plan_checksum = 9,
		.started_at_ns = 10,
		.tally = {.exits[WORKER_CAUSE_SIGNAL] = 4},
		.held = {.rows = 40, .success = 39, .error = 1},
		.n_lanes = ARRAY_SIZE(lanes),
		.lanes = lanes,
		.inodes = inodes,
	};
}

static char *encode(uint64_t sequence)
{
	struct account account = sample(sequence);
	char *bytes = malloc(account_size(ARRAY_SIZE(lanes)));

	account_encode(&account, bytes);
	return bytes;
}

static void assert_is_sample(const struct account *found, uint64_t sequence)
{
	ck_assert_uint_eq(found->sequence, sequence);
	ck_assert_uint_eq(found->build_id, 7);
	ck_assert_str_eq(found->boot_id, "boot");
	ck_assert_uint_eq(found->plan_checksum, 8);
	ck_assert_uint_eq(found->saved_plan_checksum, 9);
	ck_assert_int_eq(found->started_at_ns, 10);
	ck_assert_int_eq(found->tally.exits[WORKER_CAUSE_SIGNAL], 4);
	ck_assert_uint_eq(found->held.rows, 40);
	ck_assert_uint_eq(found->held.error, 1);
	ck_assert_uint_eq(found->n_lanes, ARRAY_SIZE(lanes));
	ck_assert_mem_eq(found->lanes, lanes, sizeof(lanes));
	ck_assert_mem_eq(found->inodes, inodes, sizeof(inodes));
}

START_TEST(an_account_comes_back_as_it_was)
{
	char *bytes = encode(5);
	struct account found;

	ck_assert_int_eq(account_decode(bytes, account_size(2), &found), 0);
	assert_is_sample(&found, 5);
	ck_assert_uint_eq(fold_sum(found.lanes, found.n_lanes).rows, 15);
	account_deinit(&found);
	free(bytes);
}
END_TEST

START_TEST(any_byte_that_has_changed_is_seen)
{
	char *bytes = encode(5);
	struct account found;

	for (size_t at = 0; at < account_size(2); at++) {
		bytes[at] ^= 0x20;
		ck_assert_msg(account_decode(bytes, account_size(2), &found) == -EINVAL, "byte %zu",
			      at);
		bytes[at] ^= 0x20;
	}
	free(bytes);
}
END_TEST

START_TEST(a_cut_account_is_none)
{
	char *bytes = encode(5);
	struct account found;

	for (size_t len = 0; len < account_size(2); len++) {
		ck_assert_int_eq(account_decode(bytes, len, &found), -EINVAL);
	}
	free(bytes);
}
END_TEST

/* --- two pages -------------------------------------------------------------------------------- */

static struct account_pages pages;

static void write_pages(int dir_fd, uint64_t first, uint64_t last)
{
	ck_assert_int_eq(account_pages_create(dir_fd, ARRAY_SIZE(lanes), &pages), 0);
	for (uint64_t sequence = first; sequence <= last; sequence++) {
		struct account account = sample(sequence);

		account_pages_write(&pages, &account);
	}
	ck_assert_int_eq(account_pages_publish(dir_fd), 0);
	account_pages_close(&pages);
}

static void spoil(int dir_fd, const char *name, off_t at)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	fd_close(fd);
}

START_TEST(the_later_page_counts)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	struct account found;

	tmpdir_init(&tmp);
	for (uint64_t last = 1; last < 5; last++) {
		write_pages(tmp.fd, 1, last);
		ck_assert_int_eq(account_pages_read(tmp.fd, &found), 0);
		assert_is_sample(&found, last);
		account_deinit(&found);
	}
}
END_TEST

START_TEST(a_torn_page_leaves_the_one_before)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	off_t size = (off_t)account_size(2);
	struct account found;

	tmpdir_init(&tmp);
	write_pages(tmp.fd, 1, 4); /* 3 in the first page, 4 in the second */
	spoil(tmp.fd, "account", 2 * size - 1);
	ck_assert_int_eq(account_pages_read(tmp.fd, &found), 0);
	assert_is_sample(&found, 3);
	account_deinit(&found);
	spoil(tmp.fd, "account", 70);
	ck_assert_int_eq(account_pages_read(tmp.fd, &found), -EINVAL);
}
END_TEST

START_TEST(a_spoilt_file_has_no_account)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	struct account found, account = sample(1);

	tmpdir_init(&tmp);
	ck_assert_int_eq(account_pages_create(tmp.fd, ARRAY_SIZE(lanes), &pages), 0);
	account_pages_write(&pages, &account);
	account_pages_write(&pages, &account);
	ck_assert_int_eq(account_pages_publish(tmp.fd), 0);
	account_pages_spoil(&pages);
	ck_assert_int_eq(account_pages_read(tmp.fd, &found), -EINVAL);
	account_pages_close(&pages);
}
END_TEST

START_TEST(a_new_file_does_not_touch_the_one_before_until_it_is_published)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	struct account found, account = sample(9);

	tmpdir_init(&tmp);
	write_pages(tmp.fd, 1, 2);
	ck_assert_int_eq(account_pages_create(tmp.fd, ARRAY_SIZE(lanes), &pages), 0);
	account_pages_write(&pages, &account);
	ck_assert_int_eq(account_pages_read(tmp.fd, &found), 0);
	assert_is_sample(&found, 2);
	account_deinit(&found);
	ck_assert_int_eq(account_pages_publish(tmp.fd), 0);
	ck_assert_int_eq(account_pages_read(tmp.fd, &found), 0);
	assert_is_sample(&found, 9);
	account_deinit(&found);
	account_pages_close(&pages);
}
END_TEST

/* --- records of checkpoints ------------------------------------------------------------------- */

static void put_record(int dir_fd, const char *name, uint64_t sequence)
{
	char *bytes = encode(sequence);
	int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_eq(fd_write_all(fd, bytes, account_size(2)), 0);
	fd_close(fd);
	free(bytes);
}

START_TEST(the_newest_whole_record_counts_and_is_not_overwritten_next)
{
	CLEANUP(tmpdir_deinit) struct tmpdir tmp;
	struct account found;
	unsigned next = 7;

	tmpdir_init(&tmp);
	ck_assert_int_eq(checkpoint_read(tmp.fd, &found, &next), -ENOENT);
	put_record(tmp.fd, "checkpoint-0", 5);
	ck_assert_int_eq(checkpoint_read(tmp.fd, &found, &next), 0);
	assert_is_sample(&found, 5);
	ck_assert_uint_eq(next, 1);
	account_deinit(&found);
	put_record(tmp.fd, "checkpoint-1", 6);
	ck_assert_int_eq(checkpoint_read(tmp.fd, &found, &next), 0);
	assert_is_sample(&found, 6);
	ck_assert_uint_eq(next, 0);
	account_deinit(&found);
	spoil(tmp.fd, "checkpoint-1", 100);
	ck_assert_int_eq(checkpoint_read(tmp.fd, &found, &next), 0);
	assert_is_sample(&found, 5);
	ck_assert_uint_eq(next, 1);
	account_deinit(&found);
}
END_TEST

/* --- what a run may go on from -----------------------------------------------------------------
 */

static struct tmpdir tree; /* holds run/ID and state/ID */
static struct sched_env env;

static int make_dir(const char *parent, const char *id)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", parent, id);
	ck_assert_int_eq(mkdirat(tree.fd, parent, 0700), 0);
	ck_assert_int_eq(mkdirat(tree.fd, path, 0700), 0);
	return openat(tree.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A live account with number 6, a checkpoint with number 5. */
static void setup_tree(void)
{
	tmpdir_init(&tree);
	int run_dir_fd = make_dir("run", "ID"), job_dir_fd = make_dir("state", "ID");
	write_pages(run_dir_fd, 6, 6);
	put_record(job_dir_fd, "checkpoint-1", 5);
	fd_close(run_dir_fd);
	fd_close(job_dir_fd);
	env = (struct sched_env){.boot_id = "boot", .build_id = 7};
	env.options.run_jobs_dir_fd = openat(tree.fd, "run", O_RDONLY | O_CLOEXEC);
	env.options.jobs_dir_fd = openat(tree.fd, "state", O_RDONLY | O_CLOEXEC);
}

static void assert_resumes(bool is_live_lost, uint64_t sequence, bool is_live, bool is_same_build)
{
	struct resume *resume = NULL;

	ck_assert_int_eq(resume_load(&env, "ID", is_live_lost, &resume), 0);
	ck_assert_ptr_nonnull(resume);
	assert_is_sample(&resume->account, sequence);
	ck_assert(resume->is_live == is_live);
	ck_assert(resume->is_same_build == is_same_build);
	ck_assert_uint_eq(resume->next_record, 0); /* the other one is the newest */
	resume_free(resume);
}

static void teardown_tree(void)
{
	fd_close(env.options.run_jobs_dir_fd);
	fd_close(env.options.jobs_dir_fd);
	tmpdir_deinit(&tree);
}

START_TEST(the_live_account_counts_on_its_own_boot)
{
	setup_tree();
	assert_resumes(false, 6, true, true);
	env.build_id = 8;
	assert_resumes(false, 6, true, false);
	teardown_tree();
}
END_TEST

START_TEST(elsewhere_the_checkpoint_counts)
{
	setup_tree();
	assert_resumes(true, 5, false, true);
	snprintf(env.boot_id, sizeof(env.boot_id), "another");
	assert_resumes(false, 5, false, true);
	env.boot_id[0] = '\0'; /* not known: no boot is this one */
	assert_resumes(false, 5, false, true);
	teardown_tree();
}
END_TEST

START_TEST(without_either_there_is_nothing)
{
	struct resume *resume = NULL;

	setup_tree();
	ck_assert_int_eq(unlinkat(tree.fd, "run/ID/account", 0), 0);
	ck_assert_int_eq(unlinkat(tree.fd, "state/ID/checkpoint-1", 0), 0);
	ck_assert_int_eq(resume_load(&env, "ID", false, &resume), 0);
	ck_assert_ptr_null(resume);
	ck_assert_int_eq(resume_load(&env, "no such job", false, &resume), 0);
	ck_assert_ptr_null(resume);
	teardown_tree();
}
END_TEST

UNIT_MAIN(an_account_comes_back_as_it_was, any_byte_that_has_changed_is_seen, a_cut_account_is_none,
	  the_later_page_counts, a_torn_page_leaves_the_one_before, a_spoilt_file_has_no_account,
	  a_new_file_does_not_touch_the_one_before_until_it_is_published,
	  the_newest_whole_record_counts_and_is_not_overwritten_next,
	  the_live_account_counts_on_its_own_boot, elsewhere_the_checkpoint_counts,
	  without_either_there_is_nothing)
