/* SPDX-License-Identifier: MIT */
/* The storage process through its real socket: what each operation leaves on a real disk. */
#include "tests/support/storage_fixture.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/model/job_spec.h"

#define ID "20261122T101502123Z"

static struct storage_reply write_file(int dir_fd, const char *name, const char *text)
{
	struct storage_request request = request_of(STORAGE_WRITE_FILE, name, NULL);
	request.mode = 0640;
	int fds[] = {dir_fd, fd_memfd("text", text, strlen(text))};
	struct storage_reply reply = ask(request, fds, 2);
	fd_close(fds[1]);
	return reply;
}

START_TEST(a_file_is_written_whole_with_its_mode)
{
	struct stat st;
	ck_assert_int_eq(write_file(fixture.dir_fd, "a", "old").status, 0);
	ck_assert_int_eq(write_file(fixture.dir_fd, "a", "new text").status, 0);
	assert_file(fixture.dir_fd, "a", "new text");
	ck_assert_int_eq(fstatat(fixture.dir_fd, "a", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(count_entries(fixture.dir_fd), 1);
}
END_TEST

START_TEST(names_that_lead_elsewhere_are_refused)
{
	static const char *const names[] = {"", ".", "..", "a/b", "/etc", "../x"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(write_file(fixture.dir_fd, names[i], "x").status, -EINVAL);
	}
	struct storage_request request;
	char name[300];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(storage_request_init(&request, STORAGE_UNLINK, name, NULL), -ENAMETOOLONG);
	/* A number of descriptors that the operation does not take. */
	request = request_of(STORAGE_UNLINK, "a", NULL);
	int fds[] = {fixture.dir_fd, fixture.dir_fd};
	ck_assert_int_eq(ask(request, fds, 2).status, -EINVAL);
}
END_TEST

START_TEST(a_rename_without_replacing_keeps_both_files)
{
	int fds[] = {fixture.dir_fd, fixture.dir_fd};
	struct storage_request request = request_of(STORAGE_RENAME, "from", "to");
	make_file(fixture.dir_fd, "from", "1");
	make_file(fixture.dir_fd, "to", "2");
	request.flags = RENAME_NOREPLACE;
	ck_assert_int_eq(ask(request, fds, 2).status, -EEXIST);
	assert_file(fixture.dir_fd, "from", "1");
	assert_file(fixture.dir_fd, "to", "2");
	request.flags = 0;
	ck_assert_int_eq(ask(request, fds, 2).status, 0);
	assert_file(fixture.dir_fd, "to", "1");
	ck_assert_int_eq(ask(request, fds, 2).status, -ENOENT);
}
END_TEST

START_TEST(a_rename_that_was_done_before_is_done)
{
	struct stat st;
	int fds[] = {fixture.dir_fd, fixture.dir_fd};
	struct storage_request request = request_of(STORAGE_RENAME, "from", "to");
	make_file(fixture.dir_fd, "to", "1");
	ck_assert_int_eq(fstatat(fixture.dir_fd, "to", &st, 0), 0);
	request.size = st.st_ino;
	ck_assert_int_eq(ask(request, fds, 2).status, 0);
	request.size = st.st_ino + 1;
	ck_assert_int_eq(ask(request, fds, 2).status, -ENOENT);
}
END_TEST

START_TEST(what_is_missing_is_removed_already)
{
	make_file(fixture.dir_fd, "a", "1");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
			ask(request_of(STORAGE_UNLINK, "a", NULL), &fixture.dir_fd, 1).status, 0);
		ck_assert_int_eq(
			ask(request_of(STORAGE_REMOVE_TREE, "b", NULL), &fixture.dir_fd, 1).status,
			0);
	}
	ck_assert_int_eq(count_entries(fixture.dir_fd), 0);
}
END_TEST

START_TEST(a_tree_is_removed_but_not_what_its_links_name)
{
	make_file(fixture.dir_fd, "kept", "1");
	int kept = make_dir(fixture.dir_fd, "kept.d");
	make_file(kept, "inside", "1");
	int tree = make_dir(fixture.dir_fd, "tree");
	int sub = make_dir(tree, "sub");
	make_file(sub, "file", "1");
	ck_assert_int_eq(symlinkat("../../kept", sub, "link"), 0);
	ck_assert_int_eq(symlinkat("../kept.d", tree, "dirlink"), 0);
	ck_assert_int_eq(
		ask(request_of(STORAGE_REMOVE_TREE, "tree", NULL), &fixture.dir_fd, 1).status, 0);
	ck_assert(!file_exists(fixture.dir_fd, "tree"));
	assert_file(fixture.dir_fd, "kept", "1");
	assert_file(kept, "inside", "1");
	fd_close(kept);
	fd_close(tree);
	fd_close(sub);
}
END_TEST

START_TEST(a_directory_may_be_there_but_not_a_file_in_its_place)
{
	struct stat st;
	struct storage_request request = request_of(STORAGE_MKDIR, "d", NULL);
	request.mode = 0751;
	ck_assert_int_eq(ask(request, &fixture.dir_fd, 1).status, 0);
	ck_assert_int_eq(ask(request, &fixture.dir_fd, 1).status, 0);
	ck_assert_int_eq(fstatat(fixture.dir_fd, "d", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0751);
	make_file(fixture.dir_fd, "f", "");
	request = request_of(STORAGE_MKDIR, "f", NULL);
	ck_assert_int_eq(ask(request, &fixture.dir_fd, 1).status, -ENOTDIR);
}
END_TEST

START_TEST(a_finished_file_ends_where_it_was_told)
{
	make_file(fixture.dir_fd, "a", "0123456789");
	int fd = openat(fixture.dir_fd, "a", O_WRONLY | O_CLOEXEC);
	struct storage_request request = request_of(STORAGE_FINISH_FILE, NULL, NULL);
	request.size = 4;
	ck_assert_int_eq(ask(request, &fd, 1).status, 0);
	assert_file(fixture.dir_fd, "a", "0123");
	fd_close(fd);
	fd = openat(fixture.dir_fd, "a", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(ask(request, &fd, 1).status, -EINVAL);
	fd_close(fd);
}
END_TEST

START_TEST(a_directory_is_synced_even_through_a_path_descriptor)
{
	int fd = openat(fixture.dir_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(ask(request_of(STORAGE_SYNC_DIR, NULL, NULL), &fd, 1).status, 0);
	fd_close(fd);
}
END_TEST

static int copy_lines(const char *from, const char *to, uint64_t n_lines)
{
	struct storage_request request = request_of(STORAGE_COPY_LINES, NULL, to);
	request.size = n_lines;
	request.mode = 0640;
	int fds[] = {openat(fixture.dir_fd, from, O_RDONLY | O_CLOEXEC), fixture.dir_fd};
	int status = ask(request, fds, 2).status;
	fd_close(fds[0]);
	return status;
}

START_TEST(whole_lines_are_copied_until_there_are_enough)
{
	make_file(fixture.dir_fd, "a", "1\n2\n3\n");
	make_file(fixture.dir_fd, "b", "4\n5\nhalf");
	ck_assert_int_eq(copy_lines("a", "head", 2), 0);
	assert_file(fixture.dir_fd, "head", "1\n2\n");
	ck_assert_int_eq(copy_lines("a", "all", 4), 0);
	assert_file(fixture.dir_fd, "all", "1\n2\n3\n");
	ck_assert_int_eq(copy_lines("b", "all", 4), 0);
	assert_file(fixture.dir_fd, "all", "4\n5\n");
	ck_assert_int_eq(copy_lines("b", "none", 0), 0);
	assert_file(fixture.dir_fd, "none", "");
}
END_TEST

START_TEST(long_files_of_lines_are_copied_exactly)
{
	struct buf text = BUF_INIT, head = BUF_INIT;
	for (int i = 0; i < 40000; i++) {
		size_t before = text.len;
		buf_printf(&text, "%d %.*s\n", i, i % 50,
			   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		if (i < 30000) {
			buf_add(&head, text.data + before, text.len - before);
		}
	}
	make_file(fixture.dir_fd, "a", buf_terminated(&text));
	ck_assert_int_eq(copy_lines("a", "head", 30000), 0);
	assert_file(fixture.dir_fd, "head", buf_terminated(&head));
	buf_deinit(&text);
	buf_deinit(&head);
}
END_TEST

START_TEST(only_the_parts_of_one_job_are_swept)
{
	static const char *const names[] = {".zp-A-0.part", ".zp-A-11.part", ".zp-B-0.part",
					    ".zp-A-0.other", "zp-A-0.part"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		make_file(fixture.dir_fd, names[i], "");
	}
	struct storage_request request = request_of(STORAGE_SWEEP_PARTS, ".zp-A-", NULL);
	ck_assert_int_eq(ask(request, &fixture.dir_fd, 1).status, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(file_exists(fixture.dir_fd, names[i]), i >= 2);
	}
	request.name[0] = '\0';
	ck_assert_int_eq(ask(request, &fixture.dir_fd, 1).status, -EINVAL);
}
END_TEST

static void make_aged_file(const char *name, int64_t mtime_s)
{
	struct timespec times[2] = {{.tv_sec = mtime_s}, {.tv_sec = mtime_s}};
	make_file(fixture.dir_fd, name, "");
	ck_assert_int_eq(utimensat(fixture.dir_fd, name, times, 0), 0);
}

START_TEST(a_list_has_the_oldest_first_and_no_dot_files)
{
	make_aged_file("c.json", 1000);
	make_aged_file("a.json", 2000);
	make_aged_file("b.json", 2000);
	make_aged_file("d.txt", 500);
	make_aged_file(".e.json", 100);
	make_aged_file("a.error.json", 100);
	int fds[] = {fixture.dir_fd, fd_memfd("names", "", 0)};
	struct storage_request request = request_of(STORAGE_LIST, ".json", ".error.json");
	request.size = 2;
	struct storage_reply reply = ask(request, fds, 2);
	ck_assert_int_eq(reply.status, 0);
	ck_assert_uint_eq(reply.count, 3);
	char names[64];
	ck_assert_int_eq(pread(fds[1], names, sizeof(names), 0), 14);
	ck_assert_mem_eq(names, "c.json\0a.json", 14);
	fd_close(fds[1]);
	reply = ask(request_of(STORAGE_LIST, NULL, NULL), &fixture.dir_fd, 1);
	ck_assert_int_eq(reply.status, 0);
	ck_assert_uint_eq(reply.count, 5);
}
END_TEST

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
	int mounted = make_dir(fixture.dir_fd, "jobs");
	char path[128];
	snprintf(path, sizeof(path), "%s/jobs", fixture.tree.path);
	if (mount("tmpfs", path, "tmpfs", 0, "size=4k,nr_inodes=3") < 0) {
		fd_close(mounted);
		return; /* needs root */
	}
	fd_close(mounted);
	struct claim_dirs dirs = claim_dirs();
	make_file(dirs.fds[0], "a.json", "{}");
	make_file(dirs.fds[2], "full", "takes the page");
	ck_assert_int_eq(write_file(dirs.fds[2], "b", "more").status, -ENOSPC);
	struct storage_reply reply = claim(&dirs, "a.json");
	ck_assert_int_eq(reply.status, -ENOSPC);
	ck_assert(!reply.is_refused);
	ck_assert(file_exists(dirs.fds[0], "a.json"));
	ck_assert_int_eq(count_entries(dirs.fds[2]), 1);
	claim_dirs_close(&dirs);
	storage_free(fixture.storage);
	fixture.storage = NULL;
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}
END_TEST

struct order {
	unsigned n_done, n_expected;
	unsigned n_lost;
};

struct numbered {
	struct order *order;
	unsigned number;
};

static void on_numbered(void *userdata, const struct storage_reply *reply)
{
	struct numbered *numbered = userdata;
	struct order *order = numbered->order;
	ck_assert_uint_eq(numbered->number, order->n_done);
	order->n_done++;
	if (reply->is_lost) {
		ck_assert_int_eq(reply->status, -EIO);
		order->n_lost++;
	} else {
		ck_assert_int_eq(reply->status, 0);
	}
	if (order->n_done == order->n_expected) {
		loop_exit(fixture.loop, 0);
	}
}

static void submit_many(struct order *order, struct numbered *numbered)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	struct storage_request request = request_of(STORAGE_UNLINK, "x", NULL);
	request.n_fds = 1;
	for (unsigned i = 0; i < order->n_expected; i++) {
		numbered[i] = (struct numbered){order, i};
		ck_assert_int_eq(storage_submit(fixture.storage, &request, &fixture.dir_fd,
						on_numbered, &numbered[i]),
				 0);
	}
	ck_assert_uint_eq(order->n_done, 0);
}

START_TEST(ten_thousand_requests_are_done_in_their_order)
{
	struct order order = {.n_expected = 10000};
	struct numbered *numbered = calloc(order.n_expected, sizeof(*numbered));
	submit_many(&order, numbered);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_uint_eq(order.n_lost, 0);
	free(numbered);
}
END_TEST

START_TEST(a_dead_process_answers_all_and_the_next_request_starts_another)
{
	struct order order = {.n_expected = 100};
	struct numbered numbered[100];
	make_file(fixture.dir_fd, "a", "1");
	/* So that there is a process to be killed before it has read the rest. */
	ask(request_of(STORAGE_UNLINK, "b", NULL), &fixture.dir_fd, 1);
	pid_t pid = storage_pid();
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	submit_many(&order, numbered);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_uint_eq(order.n_lost, 100);
	ck_assert(file_exists(fixture.dir_fd, "a"));
	ck_assert_int_eq(ask(request_of(STORAGE_UNLINK, "a", NULL), &fixture.dir_fd, 1).status, 0);
	ck_assert(!file_exists(fixture.dir_fd, "a"));
	ck_assert_int_ne(storage_pid(), pid);
}
END_TEST

static void on_never(void *userdata, const struct storage_reply *reply)
{
	ck_abort_msg("a freed storage does not call back");
}

START_TEST(a_freed_storage_leaves_undone_what_it_had_not_begun)
{
	ask(request_of(STORAGE_UNLINK, "x", NULL), &fixture.dir_fd, 1);
	pid_t pid = storage_pid();
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	make_file(fixture.dir_fd, "a", "1");
	struct storage_request request = request_of(STORAGE_UNLINK, "a", NULL);
	request.n_fds = 1;
	ck_assert_int_eq(storage_submit(fixture.storage, &request, &fixture.dir_fd, on_never, NULL),
			 0);
	fixture.storage = storage_free(fixture.storage);
	siginfo_t info;
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(info.si_code, CLD_EXITED);
	ck_assert_int_eq(info.si_status, 0);
	ck_assert(file_exists(fixture.dir_fd, "a"));
}
END_TEST

static void on_free(void *userdata, const struct storage_reply *reply)
{
	fixture.storage = storage_free(fixture.storage);
	loop_exit(fixture.loop, 0);
}

START_TEST(a_storage_may_be_freed_in_a_call_back)
{
	struct storage_request request = request_of(STORAGE_UNLINK, "a", NULL);
	request.n_fds = 1;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(storage_submit(fixture.storage, &request, &fixture.dir_fd,
						i == 0 ? on_free : on_never, NULL),
				 0);
	}
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_ptr_null(fixture.storage);
}
END_TEST

START_TEST(a_program_that_is_missing_fails_the_request)
{
	struct storage *storage = NULL;
	struct storage_request request = request_of(STORAGE_UNLINK, "a", NULL);
	request.n_fds = 1;
	int fd = openat(fixture.dir_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(storage_new(fixture.loop, fd, &storage), 0);
	ck_assert_int_eq(storage_submit(storage, &request, &fixture.dir_fd, on_never, NULL),
			 -EACCES);
	storage_free(storage);
	fd_close(fd);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return storage_main(argc - 2, argv + 2);
	}
	const TTest *tests[] = {
		a_file_is_written_whole_with_its_mode,
		names_that_lead_elsewhere_are_refused,
		a_rename_without_replacing_keeps_both_files,
		a_rename_that_was_done_before_is_done,
		what_is_missing_is_removed_already,
		a_tree_is_removed_but_not_what_its_links_name,
		a_directory_may_be_there_but_not_a_file_in_its_place,
		a_finished_file_ends_where_it_was_told,
		a_directory_is_synced_even_through_a_path_descriptor,
		whole_lines_are_copied_until_there_are_enough,
		long_files_of_lines_are_copied_exactly,
		only_the_parts_of_one_job_are_swept,
		a_list_has_the_oldest_first_and_no_dot_files,
		a_claim_copies_the_spec_and_moves_the_receipt,
		a_claim_that_was_cut_off_is_finished_or_begun_anew,
		a_spec_that_is_being_written_waits_for_its_writer,
		what_is_no_plain_spec_is_refused_and_left_alone,
		an_allowed_owner_may_hand_in_a_spec,
		a_name_that_is_too_long_for_a_receipt_is_refused,
		an_id_that_is_taken_harms_neither_job,
		a_full_disk_is_named_and_leaves_nothing,
		ten_thousand_requests_are_done_in_their_order,
		a_dead_process_answers_all_and_the_next_request_starts_another,
		a_freed_storage_leaves_undone_what_it_had_not_begun,
		a_storage_may_be_freed_in_a_call_back,
		a_program_that_is_missing_fails_the_request,
	};
	return unit_run("storage", tests, ARRAY_SIZE(tests), fixture_setup, fixture_teardown);
}
