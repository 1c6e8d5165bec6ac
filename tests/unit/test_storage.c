/* SPDX-License-Identifier: MIT */
/* The storage process through its real socket: what each operation leaves on a real disk. */
#include "tests/support/storage_fixture.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemon/worker/landlock.h"

static struct storage_reply write_file(int dir_fd, const char *name, const char *text)
{
	struct storage_request request = request_of(STORAGE_WRITE_FILE, name, NULL);
	request.mode = 0640;
	int fds[] = {dir_fd, fd_memfd("text", text, strlen(text))};
	struct storage_reply reply = ask(request, fds, 2);
	fd_close(fds[1]);
	return reply;
}

static bool can_be_confined(void)
{
	struct landlock landlock = LANDLOCK_INIT;
	int r = landlock_open(LANDLOCK_ABI_THAT_MOVES_FILES, &landlock);
	landlock_close(&landlock);
	return r == 0;
}

/* Whatever it is asked for: Landlock keeps it where it was told. */
START_TEST(what_lies_elsewhere_is_out_of_reach)
{
	struct storage_request request = request_of(STORAGE_UNLINK, "kept", NULL);
	char outside[] = "/tmp/zp-outside-XXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(outside));
	int fd = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	make_file(fd, "kept", "");
	int status = ask(request, &fd, 1).status;
	ck_assert_int_eq(file_exists(fd, "kept"), status != 0);
	ck_assert_int_eq(status, can_be_confined() ? -EACCES : 0);
	unlinkat(fd, "kept", 0);
	fd_close(fd);
	rmdir(outside);
}
END_TEST

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

START_TEST(what_a_write_that_was_cut_off_has_left_is_swept)
{
	static const char *const names[] = {".zp-0123456789abcdef.tmp", ".zp-A-0.part",
					    "spec.json"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		make_file(fixture.dir_fd, names[i], "");
	}
	struct storage_request request = request_of(STORAGE_SWEEP_TEMPORARIES, NULL, NULL);
	ck_assert_int_eq(ask(request, &fixture.dir_fd, 1).status, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(file_exists(fixture.dir_fd, names[i]), i >= 1);
	}
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

START_TEST(a_stopped_process_is_killed_and_answers_all)
{
	struct order order = {.n_expected = 3};
	struct numbered numbered[3];

	ask(request_of(STORAGE_UNLINK, "b", NULL), &fixture.dir_fd, 1);
	pid_t pid = storage_pid();
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	submit_many(&order, numbered);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_uint_eq(order.n_lost, 3);
	ck_assert_int_eq(ask(request_of(STORAGE_UNLINK, "b", NULL), &fixture.dir_fd, 1).status, 0);
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
	ck_assert_int_eq(storage_new(fixture.loop, fd, &(struct storage_reach){0}, &storage), 0);
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
		what_lies_elsewhere_is_out_of_reach,
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
		what_a_write_that_was_cut_off_has_left_is_swept,
		a_list_has_the_oldest_first_and_no_dot_files,
		ten_thousand_requests_are_done_in_their_order,
		a_dead_process_answers_all_and_the_next_request_starts_another,
		a_stopped_process_is_killed_and_answers_all,
		a_freed_storage_leaves_undone_what_it_had_not_begun,
		a_storage_may_be_freed_in_a_call_back,
		a_program_that_is_missing_fails_the_request,
	};
	return unit_run("storage", tests, ARRAY_SIZE(tests), fixture_setup, fixture_teardown);
}
