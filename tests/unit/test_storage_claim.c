/* SPDX-License-Identifier: MIT */
/* The claim of a spec: what is taken, what is refused, and what a cut leaves. */
#include "tests/support/storage_fixture.h"

#include <sys/mount.h>

#define ID "20261122T101502123Z"

struct claim_dirs {
	int fds[4]; /* incoming, active, jobs, text */
};

static struct claim_dirs claim_dirs(void)
{
	return (struct claim_dirs){{make_dir(fixture.dir_fd, "incoming"),
				    make_dir(fixture.dir_fd, "active"),
				    make_dir(fixture.dir_fd, "jobs"), fd_memfd("text", "", 0)}};
}

static void claim_dirs_close(struct claim_dirs *dirs)
{
	for (size_t i = 0; i < 4; i++) {
		fd_close(dirs->fds[i]);
	}
}

static struct storage_reply claim(const struct claim_dirs *dirs, const char *name)
{
	struct storage_request request = request_of(STORAGE_CLAIM, name, ID);
	request.size = 1000;
	request.n_uids = 1;
	request.uids[0] = 4711;
	return ask(request, dirs->fds, 4);
}

static void assert_not_claimed(const struct claim_dirs *dirs, const char *name)
{
	ck_assert(file_exists(dirs->fds[0], name));
	ck_assert_int_eq(count_entries(dirs->fds[1]), 0);
	ck_assert_int_eq(count_entries(dirs->fds[2]), 0);
}

START_TEST(a_claim_copies_the_spec_and_moves_the_receipt)
{
	struct claim_dirs dirs = claim_dirs();
	make_file(dirs.fds[0], "a b.json", "{}");
	struct storage_reply reply = claim(&dirs, "a b.json");
	ck_assert_int_eq(reply.status, 0);
	ck_assert_uint_eq(reply.uid, geteuid());
	assert_file(fixture.dir_fd, "jobs/" ID "/spec.json", "{}");
	assert_file(fixture.dir_fd, "active/" ID ".a b.json", "{}");
	ck_assert_int_eq(count_entries(dirs.fds[0]), 0);
	char text[3] = "";
	ck_assert_int_eq(pread(dirs.fds[3], text, 3, 0), 2);
	ck_assert_str_eq(text, "{}");
	ck_assert_int_eq(claim(&dirs, "a b.json").status, -ENOENT);
	claim_dirs_close(&dirs);
}
END_TEST

START_TEST(a_spec_that_is_being_written_waits_for_its_writer)
{
	struct claim_dirs dirs = claim_dirs();
	make_file(dirs.fds[0], "a.json", "{");
	int writer = openat(dirs.fds[0], "a.json", O_WRONLY | O_APPEND | O_CLOEXEC);
	/* However long ago it wrote last. */
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	ck_assert_int_eq(utimensat(dirs.fds[0], "a.json", old, 0), 0);
	struct storage_reply reply = claim(&dirs, "a.json");
	ck_assert_int_eq(reply.status, -EAGAIN);
	ck_assert(!reply.is_refused);
	assert_not_claimed(&dirs, "a.json");
	ck_assert_int_eq(write(writer, "}", 1), 1);
	fd_close(writer);
	ck_assert_int_eq(claim(&dirs, "a.json").status, 0);
	assert_file(fixture.dir_fd, "jobs/" ID "/spec.json", "{}");
	claim_dirs_close(&dirs);
}
END_TEST

static struct storage_reply claim_again(const struct claim_dirs *dirs, const char *name)
{
	struct storage_request request = request_of(STORAGE_CLAIM, name, ID);
	request.size = 1000;
	request.flags = STORAGE_CLAIM_AGAIN;
	return ask(request, dirs->fds, 4);
}

START_TEST(a_claim_that_was_cut_off_is_finished_or_begun_anew)
{
	struct claim_dirs dirs = claim_dirs();
	/* Cut off after the copy. */
	int job = make_dir(dirs.fds[2], ID);
	make_file(job, "spec.json", "{old");
	make_file(dirs.fds[0], "a.json", "{}");
	ck_assert_int_eq(claim_again(&dirs, "a.json").status, 0);
	assert_file(fixture.dir_fd, "jobs/" ID "/spec.json", "{}");
	assert_file(fixture.dir_fd, "active/" ID ".a.json", "{}");
	/* Cut off after the rename; a new spec of the same name has come since. */
	make_file(dirs.fds[0], "a.json", "{another}");
	make_file(dirs.fds[1], ID ".a.json", "{changed by its owner}");
	ck_assert_int_eq(ftruncate(dirs.fds[3], 0), 0);
	ck_assert_int_eq(claim_again(&dirs, "a.json").status, 0);
	assert_file(fixture.dir_fd, "incoming/a.json", "{another}");
	char text[3] = "";
	ck_assert_int_eq(pread(dirs.fds[3], text, 3, 0), 2);
	ck_assert_str_eq(text, "{}");
	fd_close(job);
	claim_dirs_close(&dirs);
}
END_TEST

static void make_big_file(int dir_fd, const char *name)
{
	char text[1002];
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	make_file(dir_fd, name, text);
}

START_TEST(what_is_no_plain_spec_is_refused_and_left_alone)
{
	static const struct {
		const char *name;
		int status;
	} cases[] = {
		{"symlink.json", -ELOOP},    {"hardlink.json", -EMLINK}, {"fifo.json", -EINVAL},
		{"dir.json", -EINVAL},	     {"big.json", -EFBIG},	 {"foreign.json", -EPERM},
		{"b\xff\x80.json", -EILSEQ},
	};
	struct claim_dirs dirs = claim_dirs();
	make_file(fixture.dir_fd, "outside", "{}");
	ck_assert_int_eq(symlinkat("../outside", dirs.fds[0], "symlink.json"), 0);
	ck_assert_int_eq(linkat(fixture.dir_fd, "outside", dirs.fds[0], "hardlink.json", 0), 0);
	ck_assert_int_eq(mkfifoat(dirs.fds[0], "fifo.json", 0600), 0);
	ck_assert_int_eq(mkdirat(dirs.fds[0], "dir.json", 0700), 0);
	make_big_file(dirs.fds[0], "big.json");
	make_file(dirs.fds[0], "foreign.json", "{}");
	make_file(dirs.fds[0], "b\xff\x80.json", "{}");
	bool is_root = fchownat(dirs.fds[0], "foreign.json", 4712, 4712, 0) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].status == -EPERM && !is_root) {
			continue; /* only root can make another's file */
		}
		struct storage_reply reply = claim(&dirs, cases[i].name);
		ck_assert_msg(reply.status == cases[i].status, "%s: %d", cases[i].name,
			      reply.status);
		ck_assert(reply.is_refused);
		assert_not_claimed(&dirs, cases[i].name);
	}
	claim_dirs_close(&dirs);
}
END_TEST

START_TEST(an_allowed_owner_may_hand_in_a_spec)
{
	struct claim_dirs dirs = claim_dirs();
	make_file(dirs.fds[0], "a.json", "{}");
	if (fchownat(dirs.fds[0], "a.json", 4711, 4711, 0) == 0) {
		struct storage_reply reply = claim(&dirs, "a.json");
		ck_assert_int_eq(reply.status, 0);
		ck_assert_uint_eq(reply.uid, 4711);
	}
	claim_dirs_close(&dirs);
}
END_TEST

START_TEST(a_name_that_is_too_long_for_a_receipt_is_refused)
{
	struct claim_dirs dirs = claim_dirs();
	char name[256] = "";
	memset(name, 'x', 250);
	make_file(dirs.fds[0], name, "{}");
	struct storage_reply reply = claim(&dirs, name);
	ck_assert_int_eq(reply.status, -ENAMETOOLONG);
	ck_assert(reply.is_refused);
	claim_dirs_close(&dirs);
}
END_TEST

START_TEST(an_id_that_is_taken_harms_neither_job)
{
	struct claim_dirs dirs = claim_dirs();
	int job = make_dir(dirs.fds[2], ID);
	make_file(job, "spec.json", "other");
	make_file(dirs.fds[0], "a.json", "{}");
	struct storage_reply reply = claim(&dirs, "a.json");
	ck_assert_int_eq(reply.status, -EEXIST);
	ck_assert(!reply.is_refused);
	assert_file(job, "spec.json", "other");
	assert_file(dirs.fds[0], "a.json", "{}");
	fd_close(job);
	claim_dirs_close(&dirs);
}
END_TEST

START_TEST(a_full_disk_is_named_and_leaves_nothing)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/jobs", fixture.tree.path);
	fd_close(make_dir(fixture.dir_fd, "jobs"));
	if (mount("tmpfs", path, "tmpfs", 0, "size=4k,nr_inodes=3") < 0) {
		return; /* needs root */
	}
	struct claim_dirs dirs = claim_dirs();
	make_file(dirs.fds[0], "a.json", "{}");
	make_file(dirs.fds[2], "full", "takes the page");
	struct storage_reply reply = claim(&dirs, "a.json");
	ck_assert_int_eq(reply.status, -ENOSPC);
	ck_assert(!reply.is_refused);
	ck_assert(file_exists(dirs.fds[0], "a.json"));
	ck_assert_int_eq(count_entries(dirs.fds[2]), 1);
	claim_dirs_close(&dirs);
	fixture.storage = storage_free(fixture.storage);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return storage_main(argc - 2, argv + 2);
	}
	const TTest *tests[] = {
		a_claim_copies_the_spec_and_moves_the_receipt,
		a_spec_that_is_being_written_waits_for_its_writer,
		a_claim_that_was_cut_off_is_finished_or_begun_anew,
		what_is_no_plain_spec_is_refused_and_left_alone,
		an_allowed_owner_may_hand_in_a_spec,
		a_name_that_is_too_long_for_a_receipt_is_refused,
		an_id_that_is_taken_harms_neither_job,
		a_full_disk_is_named_and_leaves_nothing,
	};
	return unit_run("storage_claim", tests, ARRAY_SIZE(tests), fixture_setup, fixture_teardown);
}
